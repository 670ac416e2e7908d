"""What time brought, written down: consents that ended or whose uses are spent get their event and ledger entry.

A courtesy to readers (consent-and-ledger): no decision rests on it, since admission and release compute the state from
the row and the time. The consents are walked in the order of their ids, a page a second, by every worker: no index on
columns that every use changes, no leader, and what one has locked or recorded the others find done.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from consent import service
from consent import store as consent_store
from consent.model import ConsentFacts, ConsentState
from consent.service import Change
from core.errors import BashuError, Reason
from database import Database
from gateway import store
from gateway.consents import retrying, take_away
from gateway.entries import Entries
from ledger import store as ledger_store

EVERY_S: Final = 1.0
PAGE: Final = 2_000
"""Consents looked at in a second by one worker: ten million take about an hour and a half of one, less of more."""
START: Final = UUID(int=0)

_log = structlog.get_logger(__name__)


class Endings:
    """Records EXPIRED, and EXHAUSTED once no query is under way; one per worker."""

    def __init__(self, db: Database, *, entries: Entries) -> None:
        self._db = db
        self._entries = entries
        self._after = START

    async def run(self) -> None:
        """Walk a page every second until cancelled."""
        while True:
            try:
                await self.walk()
            except BashuError as error:
                _log.warning("endings_not_recorded", reason=error.reason.value)
            await asyncio.sleep(EVERY_S)

    async def walk(self, *, page: int = PAGE) -> int:
        """Look at the next page and record what ended there; return how many. After the last page comes the first."""
        last, ended = await consent_store.ended_unrecorded(self._db, after=self._after, limit=page)
        self._after = last or START
        recorded = 0
        for consent_id in ended:
            try:
                recorded += await retrying(partial(self._record, consent_id))
            except BashuError as error:
                # The others of the page must not wait for this one; the next walk finds it again.
                _log.warning("ending_not_recorded", consent_id=str(consent_id), reason=error.reason.value)
        return recorded

    async def _record(self, consent_id: UUID) -> bool:
        async with self._db.transaction() as tx:
            facts = await service.lock_one(tx, consent_id)
            recorded = await consent_store.last_state(tx, facts)
            has_open = bool(await store.lock_open_of_consents(tx, [consent_id]))

            def end(facts: ConsentFacts, now: datetime) -> Change | None:
                change = service.ended_by_time(facts, recorded=recorded, now=now)
                if has_open and change is not None and change.transition.to_state is ConsentState.EXHAUSTED:
                    # What is open may give its use back.
                    return None
                return change

            _, entries = await take_away(tx, self._entries, consent_id, end, Reason.CONSENT_EXPIRED)
            if entries:
                await ledger_store.append(tx, entries)
        return bool(entries)
