"""Pages as every listing has them: a size, and a token that is the last key of the page before."""

from __future__ import annotations

from typing import Final
from uuid import UUID

from bashu.v1 import common_pb2
from core.errors import BashuError, Reason

DEFAULT_PAGE: Final = 50
_FIRST: Final = UUID(int=0)


def page_size(page: common_pb2.PageRequest) -> int:
    """Return how many rows are wanted."""
    return page.page_size or DEFAULT_PAGE


def after_id(page: common_pb2.PageRequest) -> UUID:
    """Return the id behind which the page starts.

    Raises:
        BashuError: MALFORMED for a token that no answer gave.
    """
    return read_id(page.page_token, "page.page_token") if page.page_token else _FIRST


def read_id(text: str, field: str) -> UUID:
    """Return a UUID in its usual form.

    Raises:
        BashuError: MALFORMED.
    """
    try:
        value = UUID(text)
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, f"{field} is not a UUID", field=field) from error
    if str(value) != text.lower():
        raise BashuError(Reason.MALFORMED, f"{field} is not a UUID in its usual form", field=field)
    return value
