"""Telling each change of what the witnesses' age means: in the log, as an alarm, in numbers. No decision rests on it.

Admissions read the age themselves (check 15). An alarm of one witness (AHEAD, FORKED) is told here too.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import structlog

from consent import store as consent_store
from consent.witnessing import WitnessBudgets, WitnessGrade
from core.errors import BashuError
from database import Database, Transaction
from gateway.entries import Entries
from gateway.witness.model import ALARMS, WitnessState
from ledger import store as ledger_store
from ledger.model import Entry, EntryType
from ledger.witness import store

LOOK_EVERY_S: Final = 5.0
OBJECT: Final = "evidence/witnesses"
"""What entries call the grade; an alarm's object is ``witness/`` and its name."""
_ACTOR: Final = "SYSTEM"
_SILENT: Final = "NONE"

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class WitnessMetrics:
    """The grade, the age (seconds) and each witness's state as last seen, and how often the grade was reached."""

    grade: str = WitnessGrade.FRESH.value
    age_s: float | None = None
    states: dict[str, str] = field(default_factory=dict)
    changes: Counter[str] = field(default_factory=Counter)


class WitnessGrading:
    """Any number may run: the grade's row lets one of them tell each change, once. Without budgets it does nothing."""

    def __init__(
        self, db: Database, *, witnesses: Sequence[str], budgets: WitnessBudgets | None, entries: Entries
    ) -> None:
        self._db = db
        self._witnesses = tuple(witnesses)
        self._budgets = budgets
        self._entries = entries
        self.metrics = WitnessMetrics()

    async def run(self) -> None:
        """Look until cancelled."""
        while self._budgets is not None:
            try:
                await self.look()
            except BashuError as error:
                _log.warning("witness_grade_failed", reason=error.reason.value)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> int:
        """Tell what changed; return the entries written (0 too where another gateway has told it)."""
        if self._budgets is None:
            return 0
        aged = await store.aged(self._db)
        if aged.age_s is None:
            # Nobody was asked yet: a gateway's first seconds are no change.
            return 0
        standings = await store.standings(self._db, self._witnesses)
        self.metrics.age_s, self.metrics.grade = aged.age_s, self._budgets.grade(aged.age_s).value
        self.metrics.states = {one.witness: one.state for one in standings}
        if self.metrics.grade == aged.grade and not any(map(_untold, standings)):
            return 0
        async with self._db.transaction() as tx:
            return await self._tell(tx)

    async def _tell(self, tx: Transaction) -> int:
        if self._budgets is None or not await store.lock_grade(tx):
            return 0
        # Read again under the lock: who told it a moment ago is not repeated.
        aged = await store.aged(tx)
        grade = self._budgets.grade(aged.age_s)
        entries: list[Entry] = []
        now = await consent_store.now(tx)
        if grade.value != aged.grade:
            await store.set_grade(tx, grade.value)
            status = (aged.grade, grade.value, "WITNESS_QUORUM_AGE", _ACTOR)
            entries.append(self._entries.about(EntryType.POLICY_CHANGE, ts=now, status=status, obj=OBJECT))
            self.metrics.changes[grade.value] += 1
            say = _log.info if grade is WitnessGrade.FRESH else _log.error
            say("witness_grade", was=aged.grade, grade=grade.value, age_s=round(aged.age_s or 0.0, 1))
        for one in await store.standings(tx, self._witnesses):
            if _untold(one):
                await store.set_recorded(tx, one.witness, one.state)
                status = (one.recorded or _SILENT, one.state, "WITNESS_CONTRADICTS", _ACTOR)
                obj = f"witness/{one.witness}"
                entries.append(self._entries.about(EntryType.POLICY_CHANGE, ts=now, status=status, obj=obj))
        if entries:
            await ledger_store.append(tx, entries)
        return len(entries)


def _untold(one: store.Standing) -> bool:
    """Tell whether a witness's alarm, or the end of one, is not in the log yet.

    An alarm ends with a cosignature alone: a witness that falls silent has taken nothing back.
    """
    if one.state in ALARMS:
        return one.recorded != one.state
    return one.state == WitnessState.COSIGNED and one.recorded in ALARMS
