"""Refusals as entries: every one of an authenticated caller, and a count for those that are too many."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import structlog

from core.clock import Clock
from core.errors import BashuError, Reason
from database import Database
from gateway.batcher import Batcher
from gateway.database_time import DatabaseTime
from gateway.entries import Attempted, Entries
from ledger import store as ledger_store
from ledger.access import store as access_store
from ledger.model import Entry

MOST_A_MINUTE: Final = 100
"""Refusals of one institution for one reason that are written one by one, each minute and worker."""
_MINUTE_S: Final = 60.0

_log = structlog.get_logger(__name__)
Kind = tuple[str, Reason]


@dataclass(slots=True)
class _Minute:
    started: float
    written: int = 0
    suppressed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class _Refusal:
    """A refusal to write; ``pseudonym``: the subject's, None where it was not understood."""

    entry: Entry
    pseudonym: str | None


class DenialLimit:
    """Counts refusals by institution and reason; ``now`` is a monotonic time in seconds."""

    def __init__(self, most: int = MOST_A_MINUTE) -> None:
        self._most = most
        self._minutes: dict[Kind, _Minute] = {}

    def admits(self, kind: Kind, now: float) -> bool:
        """Count one refusal and tell whether it is written by itself."""
        minute = self._minutes.get(kind)
        if minute is None:
            minute = self._minutes[kind] = _Minute(started=now)
        elif now - minute.started >= _MINUTE_S and not minute.suppressed:
            minute.started, minute.written = now, 0
        if minute.written < self._most:
            minute.written += 1
            return True
        minute.suppressed += 1
        return False

    def drain(self, now: float, *, everything: bool = False) -> list[tuple[Kind, int]]:
        """Return how many refusals were only counted in minutes that are over, and forget those minutes."""
        over = [kind for kind, m in self._minutes.items() if everything or now - m.started >= _MINUTE_S]
        counted = [(kind, self._minutes.pop(kind).suppressed) for kind in over]
        return [(kind, count) for kind, count in counted if count]


class Denials:
    """Writes QUERY_DENIED entries, gathered; :meth:`run` belongs to the worker's task group."""

    def __init__(self, db: Database, *, entries: Entries, time: DatabaseTime, clock: Clock) -> None:
        self._db = db
        self._entries = entries
        self._time = time
        self._clock = clock
        self._limit = DenialLimit()
        self._batcher: Batcher[_Refusal, None] = Batcher(self._append)

    async def record(self, attempted: Attempted, error: BashuError) -> None:
        """Write the refusal, or count it; returns once it is durable.

        Raises:
            BashuError: the ledger cannot be written; the caller is told that in the refusal's place.
        """
        if self._limit.admits((attempted.institution, error.reason), self._clock.monotonic()):
            version = error.metadata.get("policy_version")
            entry = self._entries.denied(
                attempted,
                error.reason,
                rule=error.metadata.get("rule", ""),
                ts=self._time.now(),
                policy_version=None if version is None else int(version),
            )
            await self._batcher.submit(_Refusal(entry=entry, pseudonym=attempted.pseudonym))

    async def run(self) -> None:
        """Write what gathers, and each minute the counts; what is left when cancelled is written then."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._batcher.run())
                group.create_task(self._count())
        finally:
            await self._flush_or_say(everything=True)

    async def flush(self, *, everything: bool = False) -> None:
        """Write the counts of minutes that are over (or of all)."""
        counted = self._limit.drain(self._clock.monotonic(), everything=everything)
        now = self._time.now()
        entries = [
            self._entries.denied_count(institution, reason, count, ts=now) for (institution, reason), count in counted
        ]
        if entries:
            await ledger_store.append(self._db, entries)

    async def _append(self, refusals: list[_Refusal]) -> Sequence[BashuError | None]:
        entries = [refusal.entry for refusal in refusals]
        subjects = {refusal.entry.entry_id: refusal.pseudonym for refusal in refusals if refusal.pseudonym}
        if not subjects:
            await ledger_store.append(self._db, entries)
            return [None] * len(entries)
        async with self._db.transaction() as tx:
            # The subject sees who was refused, too.
            await access_store.name_denied(tx, subjects)
            await ledger_store.append(tx, entries)
        return [None] * len(entries)

    async def _count(self) -> None:
        while True:
            await asyncio.sleep(_MINUTE_S / 4)
            await self._flush_or_say()

    async def _flush_or_say(self, *, everything: bool = False) -> None:
        try:
            await self.flush(everything=everything)
        except BashuError as error:
            _log.warning("denial_counts_not_written", reason=error.reason.value)
