"""Each hour a TALLY for each institution of which something was integrated: how many entries of its own, and where.

Ranges of one institution follow each other without a gap, so its own export shows it that nothing is missing. After a
stop one tally covers the time of the stop. Tallies themselves are not counted, or a quiet log would never rest.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Final

import structlog

from core.errors import BashuError
from database import Database
from gateway.entries import Entries
from ledger import store

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
        """Write the tallies that are due; return how many (0 too where this hour has its own)."""
        if not await store.is_tally_due(self._db):
            return 0
        async with self._db.transaction() as tx:
            clock = await store.lock_tally_clock(tx)
            if clock is None:
                return 0
            size = (await store.head(tx)).size
            counted = await store.tally_counts(tx, begin=clock.to_index, end=size)
            now: datetime = clock.now
            entries = [
                self._entries.tally(row.institution, from_index=row.from_index, to_index=size, count=row.count, ts=now)
                for row in counted
            ]
            await store.move_tallies(tx, institutions=[row.institution for row in counted], to_index=size)
            if entries:
                await store.append(tx, entries)
        return len(entries)
