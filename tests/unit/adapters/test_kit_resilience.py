"""Breaker, bulkhead, budget, retry, pacing: what each of them promises."""

from __future__ import annotations

import asyncio
import time

import pytest

from adapters.kit.failures import STATUS_OF, Failure, PlatformFailureError
from adapters.kit.pacing import Pacer, Rate
from adapters.kit.resilience import Breaker, Bulkhead, RetryBudget, Ticket, with_retry
from adapters.kit.transport import TransportSettings


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_every_failure_has_a_status() -> None:
    assert set(STATUS_OF) == set(Failure)


def opened(clock: Clock) -> Breaker:
    breaker = Breaker(monotonic=clock, threshold=3, cooldown_s=5.0)
    for _ in range(3):
        ticket = breaker.admit()
        assert ticket is Ticket.CALL
        breaker.failed(ticket)
    return breaker


def test_twenty_callers_at_a_half_open_breaker_make_one_probe() -> None:
    clock = Clock()
    breaker = opened(clock)
    assert breaker.admit() is None
    clock.now += 5.0
    assert [breaker.admit() for _ in range(20)].count(Ticket.PROBE) == 1


def test_a_probe_that_succeeds_closes_and_one_that_fails_opens_anew() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 5.0
    breaker.failed(breaker.admit() or Ticket.CALL)
    assert breaker.admit() is None
    clock.now += 5.0
    breaker.succeeded(breaker.admit() or Ticket.CALL)
    assert breaker.admit() is Ticket.CALL


def test_a_cancelled_probe_lets_the_next_one_probe() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 5.0
    ticket = breaker.admit()
    assert ticket is Ticket.PROBE
    breaker.abandoned(ticket)
    assert breaker.admit() is Ticket.PROBE


def test_a_call_from_before_neither_closes_an_open_breaker_nor_frees_its_probe() -> None:
    clock = Clock()
    breaker = opened(clock)
    clock.now += 5.0
    assert breaker.admit() is Ticket.PROBE
    breaker.succeeded(Ticket.CALL)
    breaker.failed(Ticket.CALL)
    assert breaker.is_open
    assert breaker.admit() is None


def test_retries_are_a_tenth_of_the_calls() -> None:
    budget = RetryBudget(floor=0.0)
    for _ in range(100):
        budget.earn()
    assert sum(budget.spend() for _ in range(100)) in {9, 10}


async def test_a_full_bulkhead_refuses_who_cannot_wait() -> None:
    bulkhead = Bulkhead(monotonic=time.monotonic, in_flight=1, waiting=0)
    async with bulkhead.place(deadline=time.monotonic() + 5):
        with pytest.raises(PlatformFailureError, match="BULKHEAD_FULL"):
            async with bulkhead.place(deadline=time.monotonic() + 5):
                raise AssertionError
    async with bulkhead.place(deadline=time.monotonic() + 5):
        pass


async def test_a_place_that_comes_free_goes_to_who_waits() -> None:
    bulkhead = Bulkhead(monotonic=time.monotonic, in_flight=1, waiting=1)
    served = []

    async def one(name: str) -> None:
        async with bulkhead.place(deadline=time.monotonic() + 5):
            served.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(one("first"), one("second"))
    assert served == ["first", "second"]


class Scripted:
    """Fails as told, then answers."""

    def __init__(self, *failures: PlatformFailureError) -> None:
        self.failures = list(failures)
        self.calls = 0

    async def __call__(self) -> str:
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)
        return "answer"


def passing(retry_after_s: float | None = 0.0) -> PlatformFailureError:
    return PlatformFailureError(Failure.RESET, retry_after_s=retry_after_s)


async def retried(once: Scripted, *, budget: RetryBudget | None = None, within_s: float = 5.0, retries: int = 1) -> str:
    return await with_retry(
        once,
        budget=budget or RetryBudget(),
        deadline=time.monotonic() + within_s,
        monotonic=time.monotonic,
        retries=retries,
    )


async def test_a_passing_failure_is_tried_once_more() -> None:
    once = Scripted(passing())
    assert await retried(once) == "answer"
    assert once.calls == 2


@pytest.mark.parametrize(
    ("once", "calls", "options"),
    [
        (Scripted(passing(), passing()), 2, {}),
        (Scripted(passing(None)), 1, {}),
        (Scripted(passing(60.0)), 1, {}),
        (Scripted(passing()), 1, {"budget": RetryBudget(floor=0.0)}),
        (Scripted(passing(), passing(), passing()), 3, {"retries": 2}),
        (Scripted(passing()), 1, {"retries": 0}),
    ],
    ids=["one retry", "no advice", "no time", "no budget", "two retries", "none wanted"],
)
async def test_more_is_not_tried(once: Scripted, calls: int, options: dict[str, object]) -> None:
    with pytest.raises(PlatformFailureError):
        await retried(once, **options)  # type: ignore[arg-type]
    assert once.calls == calls


async def test_a_call_that_is_not_due_in_time_is_paced_out() -> None:
    pacer = Pacer({"lane": Rate(per_second=0.01, burst=1)}, monotonic=time.monotonic)
    await pacer.wait("lane", deadline=time.monotonic() + 1)
    with pytest.raises(PlatformFailureError, match="PACED"):
        await pacer.wait("lane", deadline=time.monotonic() + 0.01)
    await pacer.wait("free", deadline=time.monotonic() - 1)


@pytest.mark.parametrize(
    "url",
    ["http://platform.example", "ftp://127.0.0.1", "https://", "http://10.0.0.1:80", "https://h/?a=1"],
)
def test_tls_is_left_out_on_loopback_alone(url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        TransportSettings(base_url=url)
    TransportSettings(base_url="http://127.0.0.1:8080")
