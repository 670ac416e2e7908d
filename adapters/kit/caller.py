"""One call through everything that protects both sides: pacing, bulkhead, breaker, transport, retry."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from adapters.kit.failures import TRIPPING, Failure, PlatformFailureError
from adapters.kit.pacing import Pacer, Rate
from adapters.kit.quota import Quota
from adapters.kit.resilience import MAX_RETRIES, Breaker, Bulkhead, RetryBudget, Ticket, hedged, with_retry
from adapters.kit.transport import RawAnswer, Transport, TransportSettings

T = TypeVar("T")

IN_FLIGHT: Final = 64
"""Calls of one process at once to one platform, where nothing else is set."""
DAILY_QUOTA: Final = "DAILY_QUOTA"
"""Detail of a call that was not sent because the gateway has had its quota of the day."""
FAIR_WAIT_S: Final = 1.0
"""A caller who waited less says nothing about the platform: his deadline was short, and opens no breaker."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request; ``path`` comes with its query, percent-encoded."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one process may do to one platform at once."""

    in_flight: int = IN_FLIGHT
    waiting: int = 512
    rates: Mapping[str, Rate]
    quota: Quota | None = None
    """The day's quota, over all processes; None: there is none."""
    hedge_after_s: float | None = None
    """How long a read waits before it is sent a second time beside the first; None: never."""


class Caller:
    """Sends idempotent calls to one platform; both platforms' interfaces have no other kind."""

    def __init__(
        self, settings: TransportSettings, limits: Limits, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._monotonic = monotonic
        self._transport = Transport(settings, monotonic=monotonic)
        self._pacer = Pacer(limits.rates, monotonic=monotonic)
        self._bulkhead = Bulkhead(monotonic=monotonic, in_flight=limits.in_flight, waiting=limits.waiting)
        self._breaker = Breaker(monotonic=monotonic)
        self._budget = RetryBudget()
        self._quota = limits.quota
        self._hedge_after_s = limits.hedge_after_s

    async def call(
        self,
        make: Callable[[], Call],
        read: Callable[[RawAnswer], T],
        *,
        lane: str,
        deadline: float,
        retries: int = MAX_RETRIES,
        is_counted: bool = True,
        is_read: bool = False,
    ) -> T:
        """Send what ``make`` returns and return what ``read`` makes of the answer.

        ``make`` is called for every try and after pacing, so that clocks and nonces are fresh. ``lane`` is the lane
        of pacing; ``is_counted``: each try counts in the platform's daily quota. ``is_read``: sent twice it leaves one
        enquiry mark, so it may be hedged. Raises PlatformFailureError, from the wire or from ``read``.
        """

        async def once() -> T:
            await self._pacer.wait(lane, deadline=deadline)
            async with self._bulkhead.place(deadline=deadline):
                return await self._guarded(make(), read, deadline, is_counted=is_counted)

        hedge_after_s = self._hedge_after_s if is_read else None

        async def attempt() -> T:
            if hedge_after_s is None:
                return await once()
            return await hedged(
                once, after_s=hedge_after_s, budget=self._budget, deadline=deadline, monotonic=self._monotonic
            )

        return await with_retry(
            attempt, budget=self._budget, deadline=deadline, monotonic=self._monotonic, retries=retries
        )

    def may_ask_again(self) -> bool:
        """Take one retry out of the budget, for a part of an answer that the platform advises to ask for again."""
        return self._budget.spend()

    async def close(self) -> None:
        """Close connections."""
        await self._transport.close()

    async def _guarded(self, call: Call, read: Callable[[RawAnswer], T], deadline: float, *, is_counted: bool) -> T:
        ticket = self._breaker.admit()
        if ticket is None:
            raise PlatformFailureError(Failure.CIRCUIT_OPEN)
        if is_counted:
            await self._count(ticket, deadline)
        began = self._monotonic()
        try:
            raw = await self._transport.send(
                call.method, call.path, headers=call.headers, body=call.body, deadline=deadline
            )
            answer = read(raw)
        except PlatformFailureError as failure:
            self._record(ticket, failure, waited_s=self._monotonic() - began)
            raise
        except BaseException:
            self._breaker.abandoned(ticket)
            raise
        self._breaker.succeeded(ticket)
        return answer

    async def _count(self, ticket: Ticket, deadline: float) -> None:
        """Count a call that is about to leave, once the breaker let it through."""
        if self._quota is None:
            return
        try:
            async with asyncio.timeout(deadline - self._monotonic()):
                is_granted = await self._quota.take()
        except BaseException as error:
            self._breaker.abandoned(ticket)
            if isinstance(error, TimeoutError):
                raise PlatformFailureError(Failure.TIMED_OUT) from None
            raise
        if not is_granted:
            self._breaker.abandoned(ticket)
            raise PlatformFailureError(Failure.QUOTA, DAILY_QUOTA)

    def _record(self, ticket: Ticket, failure: PlatformFailureError, *, waited_s: float) -> None:
        if failure.failure not in TRIPPING:
            self._breaker.succeeded(ticket)
        elif failure.failure is Failure.TIMED_OUT and waited_s < FAIR_WAIT_S:
            self._breaker.abandoned(ticket)
        else:
            self._breaker.failed(ticket)
