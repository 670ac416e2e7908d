"""Quotas of a day (Asia/Shanghai), shared by all workers: blocks leased from one row a platform and holder.

A call takes one out of its worker's block and touches no row; a block takes one statement. What a worker still held
when it ended by itself goes back, what a killed one held lapses: so many less, never more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Final

import structlog

from bashu.v1.common_pb2 import PlatformStatus
from core.errors import BashuError
from core.permit import Permit
from database import Database
from gateway.platform import store
from gateway.platform.standing import Closed, Standing

BLOCK_SHARE: Final = 100
"""A block is at most this part of the quota: so much of it may lapse with one killed worker."""
BLOCK_MOST: Final = 100
ASK_AGAIN_S: Final = 5.0
"""How long a worker believes that a quota is gone: another may give a block back, an operator may raise it."""
GATEWAY: Final = ""
"""Holder of a platform's quota for the whole gateway; others are institutions."""
LENDER_QUOTA: Final = "LENDER_DAILY_QUOTA"
"""Detail of items that were not asked because the lender has had its quota of the day at this platform."""

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Lease:
    """What is left of a block; ``day`` None: never leased. Times are monotonic."""

    day: date | None = None
    left: int = 0
    ends_at: float = 0.0
    gone_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class SharedQuotas:
    """The quotas of one worker. Belongs to its event loop."""

    def __init__(self, db: Database, *, monotonic: Callable[[], float]) -> None:
        self._db = db
        self._monotonic = monotonic
        self._leases: dict[tuple[str, str], _Lease] = {}
        self._limits: dict[str, int] = {}

    @property
    def limits(self) -> Mapping[str, int]:
        """Return the calls a day of each platform that has a quota."""
        return self._limits

    def of_platform(self, platform_id: str, limit: int) -> _PlatformQuota:
        """Return a platform's quota for this gateway, as its adapter counts with it."""
        self._limits[platform_id] = limit
        return _PlatformQuota(self, platform_id, limit)

    async def spent(self, permit: Permit, standing: Standing) -> dict[str, Closed]:
        """Count one question of the permit's lender at each platform; return those where its quota is gone."""
        return {
            platform_id: Closed(status=PlatformStatus.PLATFORM_STATUS_QUOTA_EXHAUSTED, detail=LENDER_QUOTA)
            for platform_id, limit in sorted(standing.quotas.items())
            if platform_id not in standing.closed and not await self.take(platform_id, permit.institution, limit)
        }

    async def take(self, platform_id: str, holder: str, limit: int) -> bool:
        """Count one; False where today's quota of ``limit`` is gone, or the database cannot tell."""
        lease = self._leases.setdefault((platform_id, holder), _Lease())
        if self._is_taken(lease):
            return True
        async with lease.lock:
            if self._is_taken(lease):
                return True
            if self._monotonic() < lease.gone_until:
                return False
            try:
                await self._lease(lease, platform_id, holder, limit)
            except BashuError as error:
                _log.warning("quota_unknown", platform=platform_id, reason=error.reason.value)
                return False
            return self._is_taken(lease)

    async def give_back(self) -> None:
        """Return what is left of every block; the worker asks no platform any more."""
        for (platform_id, holder), lease in self._leases.items():
            left, lease.left = lease.left, 0
            if left and lease.day is not None:
                await store.return_quota(self._db, platform_id, holder, day=lease.day, count=left)

    async def taken(self) -> dict[tuple[str, str], int]:
        """Return what was taken today by platform and holder, over all workers, what they hold in blocks included."""
        return await store.quota_taken(self._db)

    def _is_taken(self, lease: _Lease) -> bool:
        if lease.left < 1 or self._monotonic() >= lease.ends_at:
            return False
        lease.left -= 1
        return True

    async def _lease(self, lease: _Lease, platform_id: str, holder: str, limit: int) -> None:
        asked_at = self._monotonic()
        block = max(1, min(BLOCK_MOST, limit // BLOCK_SHARE))
        granted = await store.lease_quota(self._db, platform_id, holder, block=block, limit=limit)
        # Counted from before the statement, so that a block never outlives its day.
        lease.day, lease.left, lease.ends_at = granted.day, granted.count, asked_at + granted.seconds_left
        lease.gone_until = 0.0 if granted.count else asked_at + min(ASK_AGAIN_S, granted.seconds_left)


@dataclass(frozen=True, slots=True)
class _PlatformQuota:
    quotas: SharedQuotas
    platform_id: str
    limit: int

    async def take(self) -> bool:
        """Count one call; see :class:`adapters.kit.quota.Quota`."""
        return await self.quotas.take(self.platform_id, GATEWAY, self.limit)
