"""Batches gather while one runs; nobody waits without bound, and who leaves takes nobody along."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from core.errors import BashuError, Reason
from gateway.batcher import Batcher, Gathering


class Handler:
    """Answers each item with itself, once it is let through; keeps what it was given."""

    def __init__(self):
        self.batches = []
        self.gate = asyncio.Event()
        self.started = asyncio.Event()
        self.answer = lambda item: item

    async def __call__(self, items):
        self.batches.append(items)
        self.started.set()
        await self.gate.wait()
        return [self.answer(item) for item in items]


@asynccontextmanager
async def running(handler, **options):
    batcher = Batcher(handler, Gathering(**options))
    task = asyncio.create_task(batcher.run())
    try:
        yield batcher, task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def first_in_flight(batcher, handler, *items):
    """Submit ``items``; return their tasks once the first is being handled and the others wait."""
    tasks = [asyncio.create_task(batcher.submit(items[0]))]
    await handler.started.wait()
    tasks += [asyncio.create_task(batcher.submit(item)) for item in items[1:]]
    await asyncio.sleep(0)
    return tasks


async def test_what_arrives_while_a_batch_runs_goes_together():
    handler = Handler()
    async with running(handler) as (batcher, _):
        tasks = await first_in_flight(batcher, handler, 1, 2, 3, 4)
        handler.gate.set()
        assert await asyncio.gather(*tasks) == [1, 2, 3, 4]
    assert handler.batches == [[1], [2, 3, 4]]


async def test_a_batch_has_a_size():
    handler = Handler()
    async with running(handler, max_batch=2) as (batcher, _):
        tasks = await first_in_flight(batcher, handler, *range(6))
        handler.gate.set()
        await asyncio.gather(*tasks)
    assert [len(batch) for batch in handler.batches] == [1, 2, 2, 1]


async def test_a_cancelled_caller_abandons_only_its_own_answer():
    handler = Handler()
    async with running(handler) as (batcher, _):
        tasks = await first_in_flight(batcher, handler, 1, 2, 3)
        tasks[0].cancel()
        tasks[1].cancel()
        await asyncio.sleep(0)
        handler.gate.set()
        assert await tasks[2] == 3
    assert handler.batches == [[1], [3]]


async def test_too_many_waiting_are_told_to_come_back():
    handler = Handler()
    async with running(handler, max_waiting=2) as (batcher, _):
        tasks = await first_in_flight(batcher, handler, 1, 2, 3)
        with pytest.raises(BashuError) as caught:
            await batcher.submit(4)
        assert caught.value.reason is Reason.OVERLOADED
        assert caught.value.retry_after_s > 0
        handler.gate.set()
        await asyncio.gather(*tasks)


async def test_an_error_for_one_item_reaches_its_caller_alone():
    handler = Handler()
    handler.gate.set()
    handler.answer = lambda item: BashuError(Reason.CONSENT_HELD, "x") if item == 2 else item
    async with running(handler) as (batcher, _):
        outcomes = await asyncio.gather(*(batcher.submit(n) for n in (1, 2, 3)), return_exceptions=True)
    assert outcomes[0::2] == [1, 3]
    assert outcomes[1].reason is Reason.CONSENT_HELD


async def test_a_fault_fails_its_batch_and_not_the_next():
    handler = Handler()
    handler.gate.set()
    handler.answer = lambda item: 1 // item
    async with running(handler) as (batcher, _):
        with pytest.raises(ZeroDivisionError):
            await batcher.submit(0)
        assert await batcher.submit(1) == 1


async def test_who_waits_when_the_worker_stops_is_told():
    handler = Handler()
    async with running(handler) as (batcher, task):
        tasks = await first_in_flight(batcher, handler, 1, 2)
        task.cancel()
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        assert [outcome.reason for outcome in outcomes] == [Reason.DRAINING] * 2
        with pytest.raises(BashuError) as caught:
            await batcher.submit(3)
        assert caught.value.reason is Reason.DRAINING


async def test_only_a_busy_batcher_lingers(monkeypatch):
    naps = []
    sleep = asyncio.sleep

    async def nap(seconds):
        if seconds:
            naps.append(seconds)
        await sleep(0)

    handler = Handler()
    async with running(handler, linger_s=0.003) as (batcher, _):
        monkeypatch.setattr(asyncio, "sleep", nap)
        tasks = await first_in_flight(batcher, handler, *range(6))
        assert naps == []
        handler.gate.set()
        await asyncio.gather(*tasks)
        await batcher.submit(9)
        assert naps == [0.003]
        await batcher.submit(10)
        assert naps == [0.003]


async def test_a_batcher_may_linger_always_or_never(monkeypatch):
    naps = []
    sleep = asyncio.sleep

    async def nap(seconds):
        naps.append(seconds)
        await sleep(0)

    monkeypatch.setattr(asyncio, "sleep", nap)
    handler = Handler()
    handler.gate.set()
    async with running(handler, linger_s=0.0, busy_from=0) as (batcher, _):
        await batcher.submit(1)
    assert naps == []
    async with running(handler, linger_s=0.003, busy_from=0) as (batcher, _):
        await batcher.submit(1)
    assert naps == [0.003]


async def test_who_listens_hears_of_each_batch_how_long_its_items_waited():
    heard = []
    handler = Handler()
    async with running(handler, told=heard.append) as (batcher, _):
        tasks = await first_in_flight(batcher, handler, 1, 2, 3)
        handler.gate.set()
        await asyncio.gather(*tasks)
    assert [len(waits) for waits in heard] == [1, 2]
    assert all(wait >= 0 for waits in heard for wait in waits)
