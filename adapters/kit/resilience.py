"""Breaker, bulkhead and retry budget: a platform that misbehaves hurts nobody but those who ask it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, Final, TypeVar

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from adapters.kit.failures import Failure, PlatformFailureError

T = TypeVar("T")

FAILURES_TO_OPEN: Final = 5
COOLDOWN_S: Final = 5.0
RETRY_SHARE: Final = 0.10
RETRY_FLOOR: Final = 3.0
"""Retries that a quiet platform may have before any call has earned one."""
RETRY_CEILING: Final = 50.0
MAX_RETRIES: Final = 1
"""Both platforms' pages allow the same call once more, never twice."""
_JITTER_S: Final = 0.05
_RANDOM: Final = secrets.SystemRandom()


class Ticket(Enum):
    """How the breaker let a call through."""

    CALL = "call"
    PROBE = "probe"


class Breaker:
    """Opens after failures in a row; after the cool-down exactly one call probes, and its outcome decides."""

    def __init__(
        self, *, monotonic: Callable[[], float], threshold: int = FAILURES_TO_OPEN, cooldown_s: float = COOLDOWN_S
    ) -> None:
        self._monotonic = monotonic
        self._threshold = threshold
        self._cooldown_s = cooldown_s
        self._failures = 0
        self._opened_at: float | None = None
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Tell whether calls are refused or only probed."""
        return self._opened_at is not None

    def admit(self) -> Ticket | None:
        """Let a call through, or refuse it (None). A ticket must come back through one of the three methods below."""
        if self._opened_at is None:
            return Ticket.CALL
        if self._is_probing or self._monotonic() - self._opened_at < self._cooldown_s:
            return None
        self._is_probing = True
        return Ticket.PROBE

    def succeeded(self, ticket: Ticket) -> None:
        """Close, unless the call began before the breaker opened: that one proves nothing about now."""
        if ticket is Ticket.PROBE or self._opened_at is None:
            self._failures, self._opened_at, self._is_probing = 0, None, False

    def failed(self, ticket: Ticket) -> None:
        """Count a failure; a failed probe opens anew."""
        if ticket is Ticket.PROBE:
            self._is_probing = False
        elif self._opened_at is not None:
            return
        self._failures += 1
        if self._failures >= self._threshold:
            self._opened_at = self._monotonic()

    def abandoned(self, ticket: Ticket) -> None:
        """Take back the ticket of a call that ended without saying anything (cancelled, too little time)."""
        if ticket is Ticket.PROBE:
            self._is_probing = False


class Bulkhead:
    """At most ``in_flight`` calls at once and ``waiting`` behind them; who waits, waits inside its own deadline."""

    def __init__(self, *, monotonic: Callable[[], float], in_flight: int = 64, waiting: int = 512) -> None:
        self._monotonic = monotonic
        self._places = asyncio.Semaphore(in_flight)
        self._may_wait = waiting
        self._waiting = 0

    @asynccontextmanager
    async def place(self, *, deadline: float) -> AsyncIterator[None]:
        """Hold one place. Raises PlatformFailureError (BULKHEAD_FULL) where none comes free in time."""
        if self._places.locked():
            await self._queue(deadline)
        else:
            await self._places.acquire()
        try:
            yield
        finally:
            self._places.release()

    async def _queue(self, deadline: float) -> None:
        if self._waiting >= self._may_wait:
            raise PlatformFailureError(Failure.BULKHEAD_FULL)
        self._waiting += 1
        try:
            async with asyncio.timeout(deadline - self._monotonic()):
                await self._places.acquire()
        except TimeoutError:
            raise PlatformFailureError(Failure.BULKHEAD_FULL) from None
        finally:
            self._waiting -= 1


class RetryBudget:
    """At most one retry for every ten calls, with a small floor to begin with."""

    def __init__(self, *, share: float = RETRY_SHARE, floor: float = RETRY_FLOOR) -> None:
        self._share = share
        self._left = floor

    def earn(self) -> None:
        """Count one first try."""
        self._left = min(RETRY_CEILING, self._left + self._share)

    def spend(self) -> bool:
        """Take one retry out of the budget; False where none is left."""
        if self._left < 1:
            return False
        self._left -= 1
        return True


async def with_retry(
    once: Callable[[], Awaitable[T]],
    *,
    budget: RetryBudget,
    deadline: float,
    monotonic: Callable[[], float],
    retries: int = MAX_RETRIES,
) -> T:
    """Call ``once``, and again where its failure advises so, the budget allows it and the deadline leaves room.

    Only for calls that may be repeated without harm. The first try stands outside tenacity, which costs 44 us a call.
    """
    budget.earn()
    try:
        return await once()
    except PlatformFailureError as failure:
        if retries < 1 or not _fits(failure, deadline, monotonic) or not budget.spend():
            raise
        await asyncio.sleep(_advice(failure))
    again = AsyncRetrying(
        retry=retry_if_exception(lambda error: _fits(error, deadline, monotonic)),
        stop=lambda state: state.attempt_number >= retries or not budget.spend(),
        wait=_wait,
        reraise=True,
    )
    return await again(once)


async def hedged(
    once: Callable[[], Coroutine[Any, Any, T]],
    *,
    after_s: float,
    budget: RetryBudget,
    deadline: float,
    monotonic: Callable[[], float],
) -> T:
    """Call ``once``, and a second time beside it where it has not ended after ``after_s``; the first answer wins.

    Only for reads within one permit. A second call is a retry of the budget, and is not made where none is left or the
    deadline comes first. Where both fail the first call's failure is raised; nothing is under way any more afterwards.
    """
    calls = [asyncio.create_task(once())]
    try:
        done, _ = await asyncio.wait(calls, timeout=after_s)
        if not done and monotonic() < deadline and budget.spend():
            calls.append(asyncio.create_task(once()))
        pending = set(calls)
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for call in done:
                if call.exception() is None:
                    return call.result()
        return calls[0].result()
    finally:
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)


def _fits(error: BaseException, deadline: float, monotonic: Callable[[], float]) -> bool:
    if not isinstance(error, PlatformFailureError) or error.retry_after_s is None:
        return False
    return monotonic() + error.retry_after_s + _JITTER_S < deadline


def _wait(state: RetryCallState) -> float:
    error = None if state.outcome is None else state.outcome.exception()
    return _advice(error) if isinstance(error, PlatformFailureError) else 0.0


def _advice(failure: PlatformFailureError) -> float:
    return (failure.retry_after_s or 0.0) + _RANDOM.uniform(0, _JITTER_S)
