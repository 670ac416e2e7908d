"""Answer codes ``FHM`` and what each of them means here (section 9)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from adapters.kit.failures import Failure, PlatformFailureError

OK: Final = "0000"
NO_RECORD: Final = "0001"
UNDER_WAY: Final = "0002"
PARTIAL: Final = "0003"
CLOCK: Final = "1003"
AUTHORISATION_MISSING: Final = "2001"
AUTHORISATION_EXPIRED: Final = "2002"
AUTHORISATION_MISMATCH: Final = "2003"
UNDER_REVIEW: Final = "2005"
JOB_GONE: Final = "4001"
QUOTA: Final = "9007"
QUOTA_OF_THE_SECOND: Final = "1"
REVIEW_TAKES: Final = timedelta(seconds=120)


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """One row of the table; ``retry_after_s`` None: the same call again would only fail again."""

    failure: Failure
    retry_after_s: float | None = None
    note: str = ""


MEANINGS: Final[Mapping[str, Meaning]] = {
    NO_RECORD: Meaning(failure=Failure.NOT_FOUND),
    UNDER_WAY: Meaning(failure=Failure.PENDING),
    "1001": Meaning(failure=Failure.FAILED),
    "1002": Meaning(failure=Failure.FAILED),
    CLOCK: Meaning(failure=Failure.FAILED, retry_after_s=0.0),
    "1004": Meaning(failure=Failure.FAILED, retry_after_s=0.0),
    AUTHORISATION_MISSING: Meaning(failure=Failure.DENIED),
    AUTHORISATION_EXPIRED: Meaning(failure=Failure.DENIED),
    AUTHORISATION_MISMATCH: Meaning(failure=Failure.DENIED),
    "2004": Meaning(failure=Failure.DENIED),
    UNDER_REVIEW: Meaning(failure=Failure.PENDING),
    "3001": Meaning(failure=Failure.NOT_FOUND),
    "3002": Meaning(failure=Failure.DENIED, note="NAME_MISMATCH"),
    JOB_GONE: Meaning(failure=Failure.FAILED),
    "9001": Meaning(failure=Failure.NOT_ANSWERED, retry_after_s=0.2),
    QUOTA: Meaning(failure=Failure.QUOTA),
    "9900": Meaning(failure=Failure.MAINTENANCE),
    "9999": Meaning(failure=Failure.FAILED, retry_after_s=0.5),
}


class RefusedError(PlatformFailureError):
    """The platform answered, with a code that is no result."""

    def __init__(self, code: str, *, now: datetime, limit: str = "") -> None:
        meaning = MEANINGS.get(code)
        if meaning is None:
            super().__init__(Failure.MALFORMED, "HEAD/FHM")
        else:
            is_short = code == QUOTA and limit == QUOTA_OF_THE_SECOND
            super().__init__(
                meaning.failure,
                f"{code} {meaning.note}".strip(),
                retry_after_s=1.0 if is_short else meaning.retry_after_s,
                resume_after=now + REVIEW_TAKES if code == UNDER_REVIEW else None,
            )
        self.code: Final = code
