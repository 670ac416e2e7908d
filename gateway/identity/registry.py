"""The registry in memory: one immutable snapshot, exchanged whole when the database's version changes.

Identity alone is kept here; the state of a consent never is.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Final

import structlog

from core.clock import Clock
from core.errors import BashuError
from database import Statements
from gateway.identity import store
from gateway.identity.model import Snapshot

POLL_S: Final = 0.4
"""How often the version is looked at; under the 500 ms that leave room for a reload within the second."""
MAX_AGE_S: Final = 0.9
"""A snapshot not confirmed for longer is confirmed before it is used: suspensions and revocations count in 1 s."""
MIN_REFRESH_GAP_S: Final = 0.1
"""An unknown kid asks the database at once, but at most ten times a second whoever sends however many."""

_log = structlog.get_logger(__name__)


class Registry:
    """Holds the snapshot and keeps it confirmed. One per worker; :meth:`run` belongs to the worker's task group."""

    def __init__(self, db: Statements, *, clock: Clock) -> None:
        self._db = db
        self._clock = clock
        self._snapshot: Snapshot | None = None
        self._confirmed_at = -MAX_AGE_S
        self._database_now = clock.now()
        self._lock = asyncio.Lock()

    async def snapshot(self) -> Snapshot:
        """Return a snapshot confirmed against the primary less than :data:`MAX_AGE_S` ago.

        Raises:
            BashuError: the database did not answer; who called cannot be known then.
        """
        kept = self._snapshot
        if kept is not None and self._clock.monotonic() - self._confirmed_at < MAX_AGE_S:
            return kept
        return await self.refresh(older_than_s=MAX_AGE_S)

    async def refresh(self, *, older_than_s: float = MIN_REFRESH_GAP_S) -> Snapshot:
        """Confirm the snapshot, or exchange it, unless that was done less than ``older_than_s`` ago."""
        async with self._lock:
            kept = self._snapshot
            started = self._clock.monotonic()
            if kept is not None and started - self._confirmed_at < older_than_s:
                return kept
            pulse = await store.read_pulse(self._db)
            if kept is None or kept.version != pulse.version:
                kept = await store.read_snapshot(self._db)
            self._snapshot, self._confirmed_at, self._database_now = kept, started, pulse.now
            return kept

    def now(self) -> datetime:
        """Return the database's time as of the last confirmation, carried on by this process's clock."""
        return self._database_now + timedelta(seconds=max(self._clock.monotonic() - self._confirmed_at, 0.0))

    async def run(self) -> None:
        """Keep the snapshot confirmed until cancelled; a database that is away is asked again."""
        while True:
            try:
                await self.refresh()
            except BashuError as error:
                _log.warning("registry_not_confirmed", reason=error.reason.value)
            await asyncio.sleep(POLL_S)
