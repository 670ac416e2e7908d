"""Holds an institution to the queries a day and a second that the operator allows it, over all workers.

A query takes one out of its worker's block and touches no row. What a worker still holds of a second when the next has
begun lapses; so at most a block a worker more than the limit falls into any one second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.errors import BashuError, Reason, Turn
from database import Database
from gateway.identity.model import Caller, Role, Snapshot
from gateway.limits import store

AT_THE_GATEWAY: Final = ""
"""In the place of a platform: the institution's quota at the gateway itself."""
BLOCK_SHARE: Final = 10
"""A worker takes this part of a second's queries at once, at least one."""
_BLOCK_LASTS_S: Final = 1.0
_DAY_RETRY_S: Final = 3600.0
"""After a day's quota there is nothing to gain by asking sooner: it is raised by a person or renewed at midnight."""


class DayQuotas(Protocol):
    """Counts what is taken of a day; :class:`gateway.platform.quotas.SharedQuotas` is one."""

    async def take(self, platform_id: str, holder: str, limit: int) -> bool:
        """Count one; False where today's quota is gone, or nobody can tell."""

    async def taken(self) -> Mapping[tuple[str, str], int]:
        """Return what was taken today by platform and holder."""


class RegistrySource(Protocol):
    """Where the registry's snapshot comes from; ``gateway.identity.registry.Registry`` is one."""

    async def snapshot(self) -> Snapshot:
        """Return a snapshot confirmed against the primary within the last second."""


@dataclass(slots=True)
class _Lease:
    """What is left of a block; times are monotonic. ``gone_until``: no block can be had before."""

    left: int = 0
    ends_at: float = 0.0
    gone_until: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class QueryLimits:
    """The limits as one worker keeps them. Belongs to its event loop."""

    def __init__(
        self, db: Database, *, registry: RegistrySource, quotas: DayQuotas, monotonic: Callable[[], float]
    ) -> None:
        self._db = db
        self._registry = registry
        self._quotas = quotas
        self._monotonic = monotonic
        self._leases: dict[str, _Lease] = {}

    async def count(self, caller: Caller) -> None:
        """Count one query of a lender. A subject's own queries are nobody's to ration (条例 Art. 17).

        Raises:
            BashuError: RATE_LIMITED, with when to ask again and which of the two limits it was.
        """
        if caller.role is not Role.LENDER:
            return
        limits = (await self._registry.snapshot()).institutions.get(caller.institution)
        if limits is None:
            return
        if limits.queries_per_second and not await self._take_of_second(caller.institution, limits.queries_per_second):
            raise _limited("queries_per_second", limits.queries_per_second, retry_after_s=_BLOCK_LASTS_S)
        if limits.queries_per_day and not await self._quotas.take(
            AT_THE_GATEWAY, caller.institution, limits.queries_per_day
        ):
            raise _limited("queries_per_day", limits.queries_per_day, retry_after_s=_DAY_RETRY_S)

    async def taken_today(self, institution: str) -> int:
        """Return what was taken of today's quota, blocks that workers hold included."""
        return (await self._quotas.taken()).get((AT_THE_GATEWAY, institution), 0)

    async def _take_of_second(self, institution: str, per_second: int) -> bool:
        lease = self._leases.setdefault(institution, _Lease())
        if self._is_taken(lease):
            return True
        async with lease.lock:
            if self._is_taken(lease):
                return True
            asked_at = self._monotonic()
            if asked_at < lease.gone_until:
                return False
            block = max(1, per_second // BLOCK_SHARE)
            if not await store.lease_rate(self._db, institution, block=block, per_second=per_second):
                # So long it takes until a block more fits; who asks before asks in vain, and costs no statement.
                lease.gone_until = asked_at + min(block / per_second, _BLOCK_LASTS_S)
                return False
            lease.left, lease.ends_at = block, asked_at + _BLOCK_LASTS_S
            return self._is_taken(lease)

    def _is_taken(self, lease: _Lease) -> bool:
        if lease.left < 1 or self._monotonic() >= lease.ends_at:
            return False
        lease.left -= 1
        return True


def _limited(quota: str, limit: int, *, retry_after_s: float) -> BashuError:
    return BashuError(
        Reason.RATE_LIMITED,
        "the institution has had the queries that the gateway's operator allows it",
        metadata={"quota": quota, "limit": str(limit)},
        turn=Turn.OPERATOR if quota == "queries_per_day" else Turn.CALLER,
        retry_after_s=retry_after_s,
    )
