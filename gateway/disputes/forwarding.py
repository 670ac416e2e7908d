"""Hands disputes to platforms that take them and asks where they stand; every worker runs it, one has each turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Final

import structlog

from adapters.kit.protocol import Adapter, DisputeCase, DisputeStanding, TakesDisputes
from core.clock import SHANGHAI
from core.errors import BashuError
from database import Database
from gateway.disputes import store
from gateway.disputes.model import Dispute, State
from gateway.disputes.service import Disputes, Step

EVERY_S: Final = 2.0
AT_ONCE: Final = 20
LEASE: Final = timedelta(minutes=2)
CALL_S: Final = 20.0
ASK_AGAIN: Final = timedelta(hours=1)
"""How often a platform is asked where a dispute stands."""
RETRY_FIRST: Final = timedelta(seconds=30)
RETRY_MOST: Final = timedelta(hours=6)
PLATFORM: Final = "PLATFORM"
SYSTEM: Final = "SYSTEM"

_log = structlog.get_logger(__name__)


class Forwarding:
    """Speaks to platforms about disputes. :meth:`run` belongs to the worker's task group."""

    def __init__(self, db: Database, *, disputes: Disputes, adapters: Mapping[str, Adapter]) -> None:
        self._db = db
        self._disputes = disputes
        self._adapters = adapters

    async def run(self) -> None:
        """Do what is due, again and again, until cancelled."""
        while True:
            try:
                await self.once()
            except BashuError as error:
                _log.warning("disputes_wait", reason=error.reason.value)
            await asyncio.sleep(EVERY_S)

    async def once(self) -> int:
        """Speak to the platforms of all disputes that are due; return how many."""
        claimed = await store.claim(self._db, limit=AT_ONCE, lease=LEASE)
        for dispute in claimed:
            await self._talk(dispute)
        return len(claimed)

    async def _talk(self, dispute: Dispute) -> None:
        again = min(RETRY_FIRST * 2 ** min(dispute.tries - 1, 16), RETRY_MOST)
        try:
            standing = await self._ask(dispute)
            await self._take(dispute, standing)
            again = ASK_AGAIN
        except Exception as failure:  # noqa: BLE001 - one platform's program must not end the worker
            # The kind alone: what a platform sent, or an opener wrote, must not reach a log.
            _log.warning("dispute_not_forwarded", platform=dispute.platform_id, error=type(failure).__name__)
        await store.try_at(self._db, dispute.dispute_id, await self._disputes.now() + again)

    async def _ask(self, dispute: Dispute) -> DisputeStanding:
        adapter = self._adapters.get(dispute.platform_id)
        if not isinstance(adapter, TakesDisputes):
            raise TimeoutError
        words = await self._disputes.words(dispute)
        case = DisputeCase(
            dispute_id=dispute.dispute_id,
            subject=words.subject,
            item=dispute.data_item,
            locator=words.locator,
            text=words.text,
            received_on=_day(dispute.received_at),
            institution=dispute.institution,
        )
        async with asyncio.timeout(CALL_S + 1):
            return await adapter.dispute(case, dispute.platform_reference or "", deadline=time.monotonic() + CALL_S)

    async def _take(self, dispute: Dispute, standing: DisputeStanding) -> None:
        if dispute.state is State.RECEIVED:
            step = Step(to=State.FORWARDED, actor=SYSTEM, reference=standing.reference)
            await self._disputes.step(dispute.dispute_id, step, by=None)
        if standing.outcome is not None:
            step = Step(to=State.CHECKED, actor=PLATFORM, outcome=standing.outcome, words=standing.explanation)
            await self._disputes.step(dispute.dispute_id, step, by=None)


def _day(moment: datetime) -> date:
    return moment.astimezone(SHANGHAI).date()
