"""Over-disclosure: what platforms sent that they should not have, gathered and kept by the day for their operators.

Counts are gathered in memory and written every few seconds: they warn an operator, they prove nothing about a query.
The first of a kind on a day is a PLATFORM_EVENT of the log, so that nobody can say it was never told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Final

import structlog

from adapters.kit.checked import Finding
from core.errors import BashuError
from database import Database
from gateway.database_time import DatabaseTime
from gateway.entries import Entries
from gateway.platform import store
from gateway.platform.store import Disclosure, DisclosureKey
from ledger import store as ledger_store
from standards.days import beijing_day

FLUSH_S: Final = 2.0
MOST_KINDS: Final = 1000
"""Kinds gathered between two writes: platforms times items times kinds stays far below."""
_log = structlog.get_logger(__name__)


class Disclosures:
    """Gathers findings of queries; :meth:`run` belongs to the worker's task group."""

    def __init__(self, db: Database, *, entries: Entries, time: DatabaseTime) -> None:
        self._db = db
        self._entries = entries
        self._time = time
        self._gathered: Counter[DisclosureKey] = Counter()

    def note(self, findings: Iterable[Finding]) -> None:
        """Gather what one query's answers held; kinds and counts alone, and one log line each."""
        for finding in findings:
            key = (finding.platform_id, finding.item, finding.kind.value)
            _log.warning("platform_finding", platform=key[0], item=key[1], kind=key[2], count=finding.count)
            if key in self._gathered or len(self._gathered) < MOST_KINDS:
                self._gathered[key] += finding.count

    async def run(self) -> None:
        """Write what was gathered until cancelled, and once more then; a database that is away is tried again."""
        try:
            while True:
                await asyncio.sleep(FLUSH_S)
                await self._flush_or_say()
        finally:
            await self._flush_or_say()

    async def flush(self) -> None:
        """Write what was gathered; what fails is gathered again. Raises BashuError."""
        gathered, self._gathered = self._gathered, Counter()
        if not gathered:
            return
        try:
            await self._write(gathered)
        except BaseException:
            self._gathered.update(gathered)
            raise

    async def page(
        self, platform_id: str, *, before: tuple[date, str, str] = (date.max, "", ""), limit: int
    ) -> Sequence[Disclosure]:
        """Return a platform's findings, the newest day first, behind ``before`` (day, item, kind)."""
        return await store.disclosure_page(self._db, platform_id, before=before, limit=limit)

    async def _write(self, gathered: Mapping[DisclosureKey, int]) -> None:
        now = self._time.now()
        day = beijing_day(now)
        async with self._db.transaction() as tx:
            first = await store.add_disclosures(tx, gathered, day=day, now=now)
            entries = [self._entries.disclosure(*key, ts=now) for key in first]
            if entries:
                await ledger_store.append(tx, entries)

    async def _flush_or_say(self) -> None:
        try:
            await self.flush()
        except BashuError as error:
            _log.warning("disclosures_not_written", reason=error.reason.value)
