"""Each gateway watches the database's clock: a jump is an entry, and admissions are refused until it is sound again."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from datetime import datetime, timedelta
from typing import Any, Final

import structlog

from core.clock import rfc3339
from core.errors import BashuError
from database import Database, Transaction
from gateway.clock import store
from gateway.clock.model import ClockState, Mark, Sight, compared, judge
from ledger import store as ledger_store
from ledger.model import EntryType, build_entry

LOOK_EVERY_S: Final = 1.0
ADVANCE_EVERY: Final = timedelta(seconds=10)
"""How much later than the clock's last sound moment a restart may find it and not know of a jump back."""
ACCEPTED: Final = "ACCEPTED"

_log = structlog.get_logger(__name__)


def boot_seconds() -> float:
    """Return seconds since the machine's start that count its sleep too, where the system has such a clock."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class ClockWatch:
    """Any number may run. ``seconds`` is this machine's clock, which nobody sets: it only counts."""

    def __init__(self, db: Database, *, origin: str, seconds: Callable[[], float] = boot_seconds) -> None:
        self._db = db
        self._origin = origin
        self._seconds = seconds
        self._anchor: Sight | None = None
        self._number: int | None = None
        self._shift = timedelta()
        self._state = ClockState.SOUND
        self._turned = asyncio.Event()

    @property
    def is_sound(self) -> bool:
        """Whether the clock was sound at the last look."""
        return self._state is ClockState.SOUND

    async def run(self) -> None:
        """Look every second until cancelled."""
        while True:
            try:
                await self.look()
            except BashuError as error:
                _log.warning("clock_not_read", reason=error.reason.value)
            await asyncio.sleep(LOOK_EVERY_S)

    async def while_sound(self, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Let ``run`` work while the clock is sound, cancelled at a jump and begun anew after it.

        For what time alone brings about: consents that end, holds that fall due, data to be destroyed.
        """
        while True:
            turned = self._turned
            if not self.is_sound:
                await turned.wait()
                continue
            work, turn = asyncio.create_task(run()), asyncio.create_task(turned.wait())
            try:
                await asyncio.wait({work, turn}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    return work.result()
            finally:
                for task in (work, turn):
                    task.cancel()
                await asyncio.gather(work, turn, return_exceptions=True)

    async def heed(self, now: datetime) -> None:
        """Look at once where a ``bashu_now()`` just read is not what it should be."""
        moment = self._seconds()
        sight = Sight(at=now - self._shift, since=moment, until=moment)
        if self._anchor is None or compared(self._anchor, sight) is not self._state:
            await self.look()

    async def look(self) -> ClockState:
        """Judge the clock, tell a change, and return what it is taken for."""
        since = self._seconds()
        reading = await store.read(self._db)
        sight, mark = Sight(at=reading.now, since=since, until=self._seconds()), reading.mark
        self._shift = reading.ts - reading.now
        if self._number != mark.number and mark.state is ClockState.SOUND:
            # The first look, or somebody found the clock sound again: what was expected before counts no more.
            self._anchor = None
        self._number = mark.number
        found = judge(self._anchor, sight, mark)
        if found is not mark.state:
            async with self._db.transaction() as tx:
                await self._tell(tx, reading, sight, found)
        elif found is ClockState.SOUND and sight.at - mark.at > ADVANCE_EVERY:
            await store.advance(self._db, mark, sight.at)
        if found is ClockState.SOUND:
            self._anchor = sight
        if found is not self._state:
            self._state = found
            # Whoever waits for a turn gets this one; the next turn is another event.
            turned, self._turned = self._turned, asyncio.Event()
            turned.set()
        return found

    async def _tell(self, tx: Transaction, reading: store.Reading, sight: Sight, found: ClockState) -> None:
        mark = reading.mark
        if not await store.lock(tx, mark):
            return
        before = mark.at if self._anchor is None else max(mark.at, self._anchor.at)
        at = sight.at if found is ClockState.SOUND else before
        expected = mark.at if self._anchor is None else self._anchor.expected(sight)
        _log.error("clock_anomaly", was=mark.state.value, to=found.value, seen=rfc3339(sight.at))
        await store.change(tx, at=at, state=found)
        self._number = mark.number + 1
        fields = anomaly(mark, to=found.value, expected=expected, seen=sight.at, actor="SYSTEM")
        entry = build_entry(EntryType.CLOCK_ANOMALY, origin=self._origin, ts=reading.ts, fields=fields)
        await ledger_store.append(tx, [entry])


async def accept(db: Database, *, origin: str) -> ClockState:
    """Take the clock as it is for sound, by an operator's word; return what it was taken for."""
    async with db.transaction() as tx:
        reading = await store.read(tx)
        if not await store.lock(tx, reading.mark) or reading.mark.state is ClockState.SOUND:
            return ClockState.SOUND
        await store.change(tx, at=reading.now, state=ClockState.SOUND)
        fields = anomaly(
            reading.mark, to=ACCEPTED, expected=reading.mark.at, seen=reading.now, actor="GATEWAY_OPERATOR"
        )
        entry = build_entry(EntryType.CLOCK_ANOMALY, origin=origin, ts=reading.ts, fields=fields)
        await ledger_store.append(tx, [entry])
    return reading.mark.state


def anomaly(mark: Mark, *, to: str, expected: datetime, seen: datetime, actor: str) -> dict[str, Any]:
    """Return the members of a CLOCK_ANOMALY."""
    return {
        "status": {"from": mark.state.value, "to": to, "actor": actor},
        "clock": {"expected": rfc3339(expected), "seen": rfc3339(seen)},
    }
