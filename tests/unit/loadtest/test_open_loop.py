"""The driver is open loop: arrivals do not wait for answers."""

from __future__ import annotations

import asyncio

from loadtest.driver import ANSWERED, Prepared, drive

QUESTIONS = [Prepared(request_id=str(number), frame=b"") for number in range(40)]


class HoldsAllUntilTheLast:
    """Answers nothing before the last question came: a closed loop would wait for ever."""

    def __init__(self) -> None:
        self._came = 0
        self._last = asyncio.Event()

    async def ask(self, _question: Prepared) -> str:
        self._came += 1
        if self._came == len(QUESTIONS):
            self._last.set()
        await self._last.wait()
        return ANSWERED


class RefusesEveryFourth:
    async def ask(self, question: Prepared) -> str:
        return ANSWERED if int(question.request_id) % 4 else "OVERLOADED"


async def test_questions_leave_while_none_is_answered() -> None:
    async with asyncio.timeout(30):
        measured = await drive(HoldsAllUntilTheLast(), QUESTIONS, rate_per_s=2000, seed=1)
    assert (measured.offered, measured.answered, measured.refused) == (40, 40, {})
    # The first question waited for the last: its latency counts from when it was due, not from the answer's turn.
    assert measured.max_ms > measured.p50_ms > 0


async def test_refusals_are_counted_by_reason_and_kept_out_of_the_latencies() -> None:
    measured = await drive(RefusesEveryFourth(), QUESTIONS, rate_per_s=5000, seed=1)
    assert (measured.offered, measured.answered, measured.refused) == (40, 30, {"OVERLOADED": 10})
