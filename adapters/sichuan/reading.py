"""What every module's mapping needs: whose answer it is, the standard, marks and dropped values (section 7)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from google.protobuf.message import Message
from msgspec import UNSET

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan import messages as sc
from bashu.v1.report_pb2 import CreditRecord
from standards import days
from standards.answer import Mark, record_of
from standards.catalogue import Standard
from standards.malformed import MalformedValueError

MAPPING_VERSION: Final = "sichuan/1"
WRONG_SUBJECT: Final = "WRONG_SUBJECT"


@dataclass(slots=True, kw_only=True)
class Reading:
    """One module being read: whose it is (None: a person's), the standard, and the personal values dropped so far."""

    module: str
    subject: str | None
    name: str
    standard: Standard
    dropped: int = 0
    marks: set[Mark] = field(default_factory=set)

    def drop(self, *values: Any) -> None:
        """Count personal values (C3) that were sent; they go no further."""
        self.dropped += sum(1 for value in values if value is not None and value != "")

    def code(self, list_id: str, text: str | None) -> str | None:
        """Read a code by its name; a text that the list does not know is kept and marked."""
        if not text:
            return None
        coded = self.standard.codes.resolve(list_id, text)
        self.marks |= set() if coded.is_known else {Mark.CODE_UNKNOWN}
        return coded.value

    def listed(self, known: Mapping[str, str], text: str | None) -> str | None:
        """Read a code of the page's own list; another one is kept and marked."""
        if not text:
            return None
        self.marks |= set() if text in known else {Mark.CODE_UNKNOWN}
        return known.get(text, text)

    def division(self, province: str | None, city: str | None, district: str | None) -> str | None:
        """Find a division's code by names; None, and a mark, where the tables have none."""
        code = self.standard.divisions.by_names(province or "", city or "", district or "")
        self.marks |= set() if code is not None else {Mark.DIVISION_UNKNOWN}
        return code

    def own(self, code: str, head_office: str | None) -> None:
        """Accept what is the subject's or its branch's. Raises PlatformFailureError (MALFORMED) for others'."""
        if code == self.subject:
            return
        if head_office != self.subject:
            raise PlatformFailureError(Failure.MALFORMED, WRONG_SUBJECT)
        self.marks.add(Mark.BRANCH)

    def record(self, body: Message, *field_quality: str) -> CreditRecord:
        """Wrap a message with the marks collected since the last record."""
        record = record_of(body, marks=self.marks, field_quality=field_quality)
        self.marks.clear()
        return record


def path_of(reading: Reading, number: int | None = None) -> Callable[[str], str]:
    """Return how a member's place is written: ``module[row].member``."""
    place = reading.module if number is None else f"{reading.module}[{number}]"
    return lambda member: f"{place}.{member}"


def mandatory_day(text: str, path: str) -> str:
    """Read a day that must be there. Raises MalformedValueError."""
    found = days.day(text, path=path)
    if found is None:
        raise MalformedValueError(path, "a day, the member is mandatory")
    return found


def mandatory_month(text: str, path: str) -> str:
    """Read a month that must be there. Raises MalformedValueError."""
    found = days.month(text, path=path)
    if found is None:
        raise MalformedValueError(path, "a month, the member is mandatory")
    return found


def end_of(value: sc.EndDate, path: str) -> days.EndDay:
    """Read the end of a term: null is open, an absent member unknown."""
    if value is UNSET:
        return days.EndDay(day=None, no_fixed_term=None)
    return days.end_day(value, path=path)
