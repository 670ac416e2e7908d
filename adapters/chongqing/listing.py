"""What the tables of like rows are made of (section 7)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from google.protobuf.message import Message

from adapters.chongqing.reading import Read, Tag
from adapters.chongqing.shapes import Shape
from standards.answer import Mark
from standards.ratings import RatingScales

Finish: TypeAlias = Callable[[Message, RatingScales], frozenset[Mark]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """One item's rows. ``owner`` is the field that holds the subject's code; ``choice`` the row's ``LB`` (类别).

    ``finish`` turns what was filled in as the platform wrote it, and needs the standard's scales, into the standard's.
    """

    group: str
    message: type[Message]
    shape: Shape
    owner: str | None = "uscc"
    choice: str | None = None
    finish: Finish | None = None


def must(name: str, field: str, read: Read) -> Tag:
    """Return a mandatory tag."""
    return Tag(name=name, field=field, read=read, is_required=True)


def may(name: str, field: str, read: Read) -> Tag:
    """Return a tag that may be blank."""
    return Tag(name=name, field=field, read=read)


def numbered(*values: str) -> dict[str, str]:
    """Return the codes of a list that is numbered in the order given."""
    return {str(number): value for number, value in enumerate(values, start=1)}
