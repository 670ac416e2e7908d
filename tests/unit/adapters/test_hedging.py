"""Hedging: a read that is not answered is sent once more beside the first, within the budget; the first answer wins."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field

import pytest

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.resilience import RetryBudget, hedged


@dataclass
class Calls:
    """Each call waits for what a test sets on its future."""

    futures: list[asyncio.Future[str]] = field(default_factory=list)
    began: asyncio.Event = field(default_factory=asyncio.Event)
    wanted: int = 1

    async def __call__(self) -> str:
        future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        if len(self.futures) >= self.wanted:
            self.began.set()
        return await future


def hedging(calls: Calls, *, budget: RetryBudget | None = None, within_s: float = 30.0) -> asyncio.Task[str]:
    return asyncio.create_task(
        hedged(
            calls,
            after_s=0.0,
            budget=budget or RetryBudget(),
            deadline=time.monotonic() + within_s,
            monotonic=time.monotonic,
        )
    )


@pytest.mark.parametrize("winner", [0, 1])
async def test_the_first_answer_wins_and_the_other_call_is_ended(winner: int) -> None:
    calls = Calls(wanted=2)
    task = hedging(calls)
    await calls.began.wait()
    calls.futures[winner].set_result(f"call {winner}")
    assert await task == f"call {winner}"
    assert calls.futures[1 - winner].cancelled()


async def test_a_failure_waits_for_the_other_and_two_are_the_first_one_s() -> None:
    calls = Calls(wanted=2)
    task = hedging(calls)
    await calls.began.wait()
    calls.futures[0].set_exception(PlatformFailureError(Failure.RESET))
    await asyncio.sleep(0)
    assert not task.done()
    calls.futures[1].set_exception(PlatformFailureError(Failure.HTTP))
    with pytest.raises(PlatformFailureError) as failed:
        await task
    assert failed.value.failure is Failure.RESET


@pytest.mark.parametrize(("floor", "within_s"), [(0.0, 30.0), (3.0, -1.0)], ids=["no budget", "no time"])
async def test_without_budget_or_time_the_first_call_stays_alone(floor: float, within_s: float) -> None:
    calls = Calls()
    task = hedging(calls, budget=RetryBudget(floor=floor), within_s=within_s)
    await calls.began.wait()
    calls.futures[0].set_result("first")
    assert await task == "first"
    assert len(calls.futures) == 1


async def test_a_hedge_is_a_retry_of_the_budget() -> None:
    budget, calls = RetryBudget(floor=1.0), Calls(wanted=2)
    task = hedging(calls, budget=budget)
    await calls.began.wait()
    calls.futures[0].set_result("first")
    await task
    assert not budget.spend()


async def test_who_gives_up_leaves_no_call_behind() -> None:
    calls = Calls(wanted=2)
    task = hedging(calls)
    await calls.began.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert all(future.cancelled() for future in calls.futures)
