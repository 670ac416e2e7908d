"""Disputes as both sandbox platforms keep them: received, checked at the next refresh of the data, answered.

What the check finds is fixed, so that tests and examples can count on it: a blank identifier cannot be verified, one
whose last digit is even is found right, every other one wrong.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from sandbox.books import Disputed

KEPT: Final = 10_000
WRONG, RIGHT, UNVERIFIABLE = "数据有误", "数据无误", "无法核实"
EXPLANATIONS: Final = {
    WRONG: "经核查，登记有误，已更正。",
    RIGHT: "经核查，登记无误。",
    UNVERIFIABLE: "未提供记录标识，无法核实。",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One dispute; ``day`` is the data day on which it came."""

    number: str
    institution: str
    key: str
    subject: str
    kind: str
    locator: str
    reason: str
    at: datetime
    day: date

    def line(self) -> Disputed:
        """Return what the book writes down."""
        return Disputed(
            key=self.number,
            institution=self.institution,
            subject=self.subject,
            kind=self.kind,
            locator=self.locator,
            at=self.at,
        )

    def outcome(self, today: date) -> str | None:
        """Return what the check found, None until the data's next refresh."""
        if today <= self.day:
            return None
        if not self.locator:
            return UNVERIFIABLE
        digits = [char for char in self.locator if char.isdigit()]
        return RIGHT if digits and int(digits[-1]) % 2 == 0 else WRONG


class DisputeDesk:
    """All disputes at one platform, in memory; ``prefix`` begins their numbers."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._by_key: OrderedDict[tuple[str, str], Case] = OrderedDict()

    def open(  # noqa: PLR0917 - the parts of one dispute
        self, institution: str, key: str, subject: str, kind: str, locator: str, reason: str, at: datetime, day: date
    ) -> tuple[Case, bool] | None:
        """Open a dispute, or find it again; tell whether it is new. None: the key stands for another one."""
        known = self._by_key.get((institution, key))
        if known is not None:
            same = (known.subject, known.kind, known.locator, known.reason) == (subject, kind, locator, reason)
            return (known, False) if same else None
        number = f"{self._prefix}{at:%Y%m%d}{len(self._by_key) + 1:06d}"
        case = Case(
            number=number,
            institution=institution,
            key=key,
            subject=subject,
            kind=kind,
            locator=locator,
            reason=reason,
            at=at,
            day=day,
        )
        self._by_key[institution, key] = case
        if len(self._by_key) > KEPT:
            self._by_key.popitem(last=False)
        return case, True

    def find(self, number: str) -> Case | None:
        """Return a dispute by its number."""
        return next((case for case in self._by_key.values() if case.number == number), None)
