"""Each hour a TALLY for each institution of which something was integrated: how many entries of its own, and where.

Ranges of one institution follow each other without a gap, so its own export shows it that nothing is missing. After a
stop each hour that was missed has its own. Tallies themselves are not counted, or a quiet log would never rest.
"""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from core.errors import BashuError
from database import Database
from gateway.entries import Entries
from ledger import store
from ledger.model import Entry
from ledger.tally import store as tally_store

LOOK_EVERY_S: Final = 20.0

_log = structlog.get_logger(__name__)


class Tallies:
    """Any number may run: the clock's row lets one of them write an hour, once."""

    def __init__(self, db: Database, *, entries: Entries) -> None:
        self._db = db
        self._entries = entries

    async def run(self) -> None:
        """Look for a new hour until cancelled."""
        while True:
            try:
                await self.tally()
            except BashuError as error:
                _log.warning("tally_failed", reason=error.reason.value)
            await asyncio.sleep(LOOK_EVERY_S)

    async def tally(self) -> int:
        """Write the tallies that are due, an hour after the other; return how many."""
        if not await tally_store.is_tally_due(self._db):
            return 0
        async with self._db.transaction() as tx:
            clock = await tally_store.lock_tally_clock(tx)
            if clock is None:
                return 0
            entries, marks, to_index = list[Entry](), await tally_store.tally_marks(tx), clock.to_index
            for hour in await tally_store.tally_hours(tx, clock):
                for name, count in (await tally_store.tally_counts(tx, begin=to_index, end=hour.to_index)).items():
                    span = {"from_index": marks.get(name, 0), "to_index": hour.to_index}
                    entries.append(self._entries.tally(name, hour=hour.hour, count=count, ts=clock.now, **span))
                    marks[name] = hour.to_index
                to_index = hour.to_index
            await tally_store.move_tallies(tx, clock, marks=marks, to_index=to_index)
            if entries:
                await store.append(tx, entries)
        return len(entries)
