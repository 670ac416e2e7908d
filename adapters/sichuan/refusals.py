"""Answers that are no data: status codes and texts, and what each of them means here (section 8)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from adapters.kit.failures import Failure, PlatformFailureError

REVIEW_TAKES: Final = timedelta(seconds=60)
RETRY_AFTER_S: Final = 0.1
TOKEN_TEXTS: Final = frozenset({"token expired", "token invalid"})
PENDING: Final = "authorization pending"
EXPIRED: Final = "authorization expired"
TOO_MANY: Final = 429
FIRST_SERVER_ERROR: Final = 500
_SERVER_FAILED: Final = re.compile(r"request to [\w/-]{1,64}-server failed", re.ASCII)
_SERVER_TIMED_OUT: Final = re.compile(r"request to [\w/-]{1,64}-server timed out", re.ASCII)
_RETRY_AFTER: Final = re.compile(r"\d{1,5}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One row of the table; ``note`` stands for the detail where the page names one."""

    failure: Failure
    note: str = ""


MEANINGS: Final[Mapping[tuple[int, str], Meaning]] = {
    (401, "invalid credentials"): Meaning(failure=Failure.FAILED),
    (401, "token expired"): Meaning(failure=Failure.FAILED),
    (401, "token invalid"): Meaning(failure=Failure.FAILED),
    (403, "authorization required"): Meaning(failure=Failure.DENIED),
    (403, "authorization rejected"): Meaning(failure=Failure.DENIED),
    (403, "authorization revoked"): Meaning(failure=Failure.DENIED),
    (403, "authorization subject mismatch"): Meaning(failure=Failure.DENIED),
    (403, "authorization scope exceeded"): Meaning(failure=Failure.DENIED),
    (403, EXPIRED): Meaning(failure=Failure.DENIED),
    (403, PENDING): Meaning(failure=Failure.PENDING),
    (403, "query reason not offered"): Meaning(failure=Failure.DENIED, note="PURPOSE_NOT_OFFERED"),
    (403, "name and credit code differ"): Meaning(failure=Failure.DENIED, note="NAME_MISMATCH"),
    (403, "daily quota exceeded"): Meaning(failure=Failure.QUOTA),
    (404, "authorization not found"): Meaning(failure=Failure.FAILED),
    (413, "request too large"): Meaning(failure=Failure.FAILED),
    (500, "internal error"): Meaning(failure=Failure.FAILED),
    (503, "system maintenance"): Meaning(failure=Failure.MAINTENANCE),
}


class RefusedError(PlatformFailureError):
    """The platform answered with a status other than 200. ``text`` is one of its known texts, else empty."""

    def __init__(self, status: int, text: str, *, now: datetime, retry_after: str = "") -> None:
        text = text.strip()
        meaning = MEANINGS.get((status, text))
        is_failed = status >= FIRST_SERVER_ERROR and _SERVER_FAILED.fullmatch(text) is not None
        is_known = meaning is not None or is_failed or _SERVER_TIMED_OUT.fullmatch(text) is not None
        wait_s = RETRY_AFTER_S if is_failed else None
        if status == TOO_MANY and _RETRY_AFTER.fullmatch(retry_after) is not None:
            wait_s = float(retry_after)
        super().__init__(
            _failure(status, text) if meaning is None else meaning.failure,
            (meaning.note if meaning is not None else "") or f"{status} {text if is_known else ''}".strip(),
            retry_after_s=wait_s,
            resume_after=now + REVIEW_TAKES if text == PENDING else None,
        )
        self.http_status: Final = status
        self.text: Final = text if is_known else ""

    @property
    def concerns_authorisation(self) -> bool:
        """Tell whether the authorisation that was sent is no longer any good."""
        return self.text.startswith("authorization ") and self.failure is not Failure.PENDING


def _failure(status: int, text: str) -> Failure:
    if status == TOO_MANY:
        return Failure.QUOTA
    if _SERVER_TIMED_OUT.fullmatch(text) is not None:
        return Failure.NOT_ANSWERED
    if status < FIRST_SERVER_ERROR or _SERVER_FAILED.fullmatch(text) is not None:
        return Failure.FAILED
    return Failure.HTTP
