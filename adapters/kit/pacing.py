"""Keep to a platform's published rates. One process's share only: quotas of a day are shared (quota.py)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiolimiter import AsyncLimiter

from adapters.kit.failures import Failure, PlatformFailureError


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """Calls a second, and how many may come at once."""

    per_second: float
    burst: float


class Pacer:
    """Delays calls lane by lane; a lane without a rate is free. Belongs to one event loop."""

    def __init__(self, rates: Mapping[str, Rate], *, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lanes = {lane: AsyncLimiter(rate.burst, rate.burst / rate.per_second) for lane, rate in rates.items()}

    async def wait(self, lane: str, *, deadline: float) -> None:
        """Wait for this lane's turn. Raises PlatformFailureError (PACED) where it does not come in time."""
        limiter = self._lanes.get(lane)
        if limiter is None:
            return
        if limiter.has_capacity():
            await limiter.acquire()
            return
        try:
            async with asyncio.timeout(deadline - self._monotonic()):
                await limiter.acquire()
        except TimeoutError:
            raise PlatformFailureError(Failure.PACED) from None
