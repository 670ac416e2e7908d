"""Close what nobody closed: intents past their time become ABANDONED, within 5 s of ``expires_at``."""

from __future__ import annotations

import asyncio
from typing import Final

import structlog

from core.errors import BashuError, Reason
from database import Database
from gateway import store
from gateway.entries import Entries

EVERY_S: Final = 1.0
AT_ONCE: Final = 500

_log = structlog.get_logger(__name__)


class Sweeper:
    """Any number may run: what one has locked the others skip."""

    def __init__(self, db: Database, *, entries: Entries) -> None:
        self._db = db
        self._entries = entries

    async def run(self) -> None:
        """Sweep every second until cancelled; a full batch is followed by the next at once."""
        while True:
            closed = 0
            try:
                closed = await self.sweep()
            except BashuError as error:
                _log.warning("sweep_failed", reason=error.reason.value)
            if closed < AT_ONCE:
                await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Close up to 500 overdue intents; return how many."""
        intents, now = await store.overdue(self._db, limit=AT_ONCE)
        if now is None:
            return 0
        closings = [
            store.Closing(
                key=intent.key, reason=Reason.OUT_OF_TIME.value, entry=self._entries.abandoned(intent, ts=now)
            )
            for intent in intents
        ]
        return len(await store.close(self._db, closings, skip_locked=True))
