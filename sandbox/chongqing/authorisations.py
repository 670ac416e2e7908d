"""Authorisations as filed (docs/platforms/chongqing.md section 5). They live in real time, by the platform's clock."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Final

from core.clock import SHANGHAI
from sandbox.chongqing.codes import Fhm
from sandbox.chongqing.messages import Filing, Submission, compact_day

_MAX_KEPT: Final = 200_000
"""The oldest are forgotten beyond it; their numbers then answer 2001."""
_NUMBERS_A_DAY: Final = 1_000_000
_NUMBERS_A_SECOND: Final = 11
"""86,400 s of a day times this stay below ``_NUMBERS_A_DAY``."""


class State(StrEnum):
    """``SQZT``; the sandbox itself never rejects (2) or revokes (3)."""

    UNDER_REVIEW = "0"
    IN_FORCE = "1"
    EXPIRED = "4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """One authorisation; ``reviewed_at`` is the end of its review."""

    number: str
    jgdm: str
    filing: Filing
    filed_at: datetime
    reviewed_at: datetime

    def state(self, now: datetime) -> State:
        """Return the state at the platform's time ``now``."""
        if now.astimezone(SHANGHAI).date() > self.filing.last_day:
            return State.EXPIRED
        return State.UNDER_REVIEW if now < self.reviewed_at else State.IN_FORCE

    def covers(self, filing: Filing) -> bool:
        """Tell whether a new filing asks for nothing that this one does not hold already."""
        return _key(self.filing) == _key(filing) and filing.kinds <= self.filing.kinds


class AuthorisationBook:
    """The authorisations of all callers, each seen by the one that filed it."""

    def __init__(self, *, review: Callable[[], timedelta]) -> None:
        self._review = review
        self._by_number: OrderedDict[str, Authorisation] = OrderedDict()
        self._by_key: dict[tuple[str, ...], list[str]] = {}
        self._issued = 0

    def file(self, filing: Filing, *, jgdm: str, now: datetime) -> Authorisation:
        """Return the one in force or under review that covers ``filing``, or file it anew."""
        for number in self._by_key.get((jgdm, *_key(filing)), ()):
            known = self._by_number[number]
            if known.covers(filing) and known.state(now) is not State.EXPIRED:
                return known
        filed = Authorisation(
            number=self._number(now), jgdm=jgdm, filing=filing, filed_at=now, reviewed_at=now + self._review()
        )
        self._keep(filed)
        return filed

    def find(self, number: str, *, jgdm: str) -> Authorisation | None:
        """Return that caller's authorisation, None for one that is unknown or another's."""
        known = self._by_number.get(number)
        return known if known is not None and known.jgdm == jgdm else None

    def _keep(self, filed: Authorisation) -> None:
        while len(self._by_number) >= _MAX_KEPT:
            number, oldest = self._by_number.popitem(last=False)
            key = (oldest.jgdm, *_key(oldest.filing))
            self._by_key[key].remove(number)
            if not self._by_key[key]:
                del self._by_key[key]
        self._by_number[filed.number] = filed
        self._by_key.setdefault((filed.jgdm, *_key(filed.filing)), []).append(filed.number)

    def _number(self, now: datetime) -> str:
        # A restart forgets all numbers. Counting on from the time of day keeps a number that a caller still holds from
        # becoming another subject's: it is unknown (2001) instead.
        local = now.astimezone(SHANGHAI)
        of_the_second = (local.hour * 3600 + local.minute * 60 + local.second) * _NUMBERS_A_SECOND
        running = max(self._issued + 1, of_the_second)
        while (number := f"SQ{compact_day(local.date())}{running % _NUMBERS_A_DAY:06d}") in self._by_number:
            running += 1
        self._issued = running if running < _NUMBERS_A_DAY else 0
        return number


def refusal(known: Authorisation | None, asked: Submission, *, now: datetime) -> Fhm | None:
    """Check a question under ``BGLX`` 2 against its authorisation, in the stated order; None: it stands."""
    if known is None:
        return Fhm.AUTHORISATION_MISSING
    if _differs(known.filing, asked):
        return Fhm.AUTHORISATION_DIFFERS
    match known.state(now):
        case State.EXPIRED:
            return Fhm.AUTHORISATION_EXPIRED
        case State.UNDER_REVIEW:
            return Fhm.AUTHORISATION_UNDER_REVIEW
        case State.IN_FORCE:
            return None if asked.kinds <= known.filing.kinds else Fhm.AUTHORISATION_SCOPE


def _differs(filing: Filing, asked: Submission) -> bool:
    filed: tuple[str, str, str, date | None] = (filing.subject, filing.institution, filing.purpose, filing.last_day)
    return filed != (asked.subject, asked.institution, asked.purpose, asked.last_day)


def _key(filing: Filing) -> tuple[str, ...]:
    return (filing.institution, filing.subject, filing.purpose, filing.artefact_digest)
