"""What each platform wrote down: enquiries (查询记录), authorisations, submits. Read at /control/books."""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime, time, timedelta
from typing import Any, Final

from core.clock import SHANGHAI, rfc3339

LINES_KEPT: Final = 50_000
"""Lines of each list; older ones are dropped, so that a long load test does not fill the memory."""
MARK_TIME: Final = timedelta(hours=24)
"""One key is one enquiry mark for 24 h (both interface pages, section 4)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """An enquiry mark. ``evidence`` is the gateway's QUERY_INTENT leaf hash, hex, None when it was not sent."""

    key: str
    institution: str
    subject: str
    purpose: str
    kinds: tuple[str, ...]
    at: datetime
    evidence: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filing:
    """An authorisation as filed. ``state`` is in the platform's own words; a later state is a later line's."""

    key: str
    institution: str
    subject: str
    purpose: str
    kinds: tuple[str, ...]
    at: datetime
    state: str
    artefact_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """A job that was accepted (chongqing): serial LSH, job number RWH."""

    key: str
    job: str
    subject: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Disputed:
    """A dispute as received; its words are not written down here."""

    key: str
    institution: str
    subject: str
    kind: str
    locator: str
    at: datetime


class Book:
    """The books of one platform; in memory, bounded, gone with the process."""

    def __init__(self) -> None:
        self._enquiries: OrderedDict[tuple[str, str], list[Enquiry]] = OrderedDict()
        self._filings: OrderedDict[str, Filing] = OrderedDict()
        self._submits: deque[Submit] = deque(maxlen=LINES_KEPT)
        self._disputes: deque[Disputed] = deque(maxlen=LINES_KEPT)

    def mark(self, enquiry: Enquiry) -> bool:
        """Write an enquiry mark; tell whether it is a new one.

        Where the institution's key has a mark younger than 24 h, only kinds that it does not name yet are added to it.
        """
        lines = self._enquiries.setdefault((enquiry.institution, enquiry.key), [])
        if lines and enquiry.at - lines[-1].at < MARK_TIME:
            kinds = dict.fromkeys((*lines[-1].kinds, *enquiry.kinds))
            lines[-1] = replace(lines[-1], kinds=tuple(kinds))
            return False
        lines.append(enquiry)
        if len(self._enquiries) > LINES_KEPT:
            self._enquiries.popitem(last=False)
        return True

    def file(self, filing: Filing) -> None:
        """Write an authorisation, or its new state."""
        self._filings[filing.key] = filing
        if len(self._filings) > LINES_KEPT:
            self._filings.popitem(last=False)

    def submit(self, submit: Submit) -> None:
        """Write an accepted job."""
        self._submits.append(submit)

    def dispute(self, disputed: Disputed) -> None:
        """Write a dispute that was taken."""
        self._disputes.append(disputed)

    @property
    def disputes(self) -> list[Disputed]:
        """All disputes, oldest first."""
        return list(self._disputes)

    @property
    def enquiries(self) -> list[Enquiry]:
        """All enquiry marks, oldest key first."""
        return [line for lines in self._enquiries.values() for line in lines]

    def of_day(self, day: date) -> list[Enquiry]:
        """Return the enquiry marks of a Beijing day in the order in which they were made."""
        begin = datetime.combine(day, time.min, SHANGHAI)
        end = begin + timedelta(days=1)
        return sorted((line for line in self.enquiries if begin <= line.at < end), key=lambda line: line.at)

    @property
    def filings(self) -> list[Filing]:
        """All authorisations, oldest first, in their latest state."""
        return list(self._filings.values())

    @property
    def submits(self) -> list[Submit]:
        """All accepted jobs, oldest first."""
        return list(self._submits)


class Books:
    """The books of both platforms."""

    def __init__(self) -> None:
        self.chongqing = Book()
        self.sichuan = Book()

    def as_json(self) -> dict[str, Any]:
        """Return both books in the shape of subjects.md section 1."""
        return {
            "chongqing": {
                "enquiries": [_line(row) for row in self.chongqing.enquiries],
                "authorisations": [_line(row) for row in self.chongqing.filings],
                "submits": [_line(row) for row in self.chongqing.submits],
                "disputes": [_line(row) for row in self.chongqing.disputes],
            },
            "sichuan": {
                "enquiries": [_line(row) for row in self.sichuan.enquiries],
                "authorizations": [_line(row) for row in self.sichuan.filings],
                "disputes": [_line(row) for row in self.sichuan.disputes],
            },
        }


def _line(row: Enquiry | Filing | Submit | Disputed) -> dict[str, Any]:
    return {**asdict(row), "at": rfc3339(row.at)}
