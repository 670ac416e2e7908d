"""Quotas of a day over two workers on one database: never more is sent than the quota, and little less."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.kit.caller import DAILY_QUOTA
from adapters.registry import load_one
from bashu.v1.common_pb2 import PlatformStatus
from core.clock import SystemClock
from core.permit import Permit
from database import open_database
from gateway.platform.quotas import ASK_AGAIN_S, LENDER_QUOTA, SharedQuotas
from gateway.platform.standing import Standing
from standards.catalogue import load_standard
from tests.admission_stage import FIRM, OTHER_FIRM
from tests.platform_stage import a_permit
from tests.sandbox_stage import open_platforms

QUOTA_EXHAUSTED = PlatformStatus.PLATFORM_STATUS_QUOTA_EXHAUSTED
ITEMS = frozenset({"enterprise_registration"})
HOME = {"chongqing": FIRM, "sichuan": OTHER_FIRM}


class SetMonotonic:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.at = 1_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
async def workers(fresh_database):
    """Two workers' quotas, each over connections of its own."""
    async with AsyncExitStack() as held:
        opened = []
        for _ in range(2):
            db = await open_database(fresh_database.gateway_dsn, max_size=2)
            held.push_async_callback(db.close)
            opened.append(SharedQuotas(db, monotonic=SetMonotonic()))
        yield opened
        fresh_database.shift_time(timedelta())


async def took(quotas: SharedQuotas, limit: int, calls: int, holder: str = "") -> int:
    return sum([await quotas.take("chongqing", holder, limit) for _ in range(calls)])


@pytest.mark.parametrize(("limit", "stranded"), [(1, 0), (25, 0), (250, 2), (1_000, 10)])
async def test_two_workers_at_once_never_take_more_and_at_most_a_block_less(workers, limit, stranded):
    async def one(quotas: SharedQuotas) -> int:
        granted = await asyncio.gather(*(quotas.take("chongqing", "", limit) for _ in range(limit)))
        return sum(granted)

    taken = sum(await asyncio.gather(*(one(quotas) for quotas in workers)))
    assert limit - stranded <= taken <= limit
    assert await workers[0].taken() == {("chongqing", ""): limit}


async def test_what_a_worker_gives_back_is_another_one_s(workers):
    first, second = workers
    assert await took(first, 500, 1) == 1
    assert await took(second, 500, 500) == 495
    await first.give_back()
    assert await took(second, 500, 10) == 0
    second._monotonic.at += ASK_AGAIN_S
    assert await took(second, 500, 10) == 4
    assert await took(first, 500, 1) == 0


async def test_a_block_takes_one_statement_and_a_call_none(workers):
    class Counting:
        statements = 0

        async def fetchrow(self, *arguments):
            self.statements += 1
            return await db.fetchrow(*arguments)

    quotas, db = workers[0], workers[0]._db
    quotas._db = Counting()
    assert await took(quotas, 10_000, 250) == 250
    assert quotas._db.statements == 3
    quotas._db = db


async def test_holders_and_platforms_count_apart_and_a_smaller_quota_counts_at_once(workers):
    first, _ = workers
    assert await took(first, 2, 5) == 2
    assert await took(first, 2, 5, "bank-cq") == 2
    assert await took(first, 3, 5, "bank-sc") == 3
    assert await first.take("sichuan", "", 1)
    first._monotonic.at += ASK_AGAIN_S
    assert await took(first, 1, 5) == 0
    assert await took(first, 4, 5) == 0  # believed gone for a moment
    first._monotonic.at += ASK_AGAIN_S
    assert await took(first, 4, 5) == 2


async def test_the_next_day_in_shanghai_counts_anew_and_no_block_outlives_its_day(workers, fresh_database):
    first, second = workers
    assert await took(first, 300, 1) == 1
    assert await took(second, 300, 400) == 297
    fresh_database.shift_time(timedelta(days=1))
    for quotas in workers:
        quotas._monotonic.at += 86_400
    assert await took(second, 300, 400) == 300
    assert await took(first, 300, 400) == 0


async def test_a_database_that_is_away_grants_nothing(workers):
    await workers[0]._db.close()
    assert not await workers[0].take("chongqing", "", 10)


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_never_more_than_the_quota_reaches_the_platform_s_books(workers, tmp_path, platform):
    """Sichuan counts requests: one lends a token, one files, so some fewer questions fit."""
    limit = 20
    async with open_platforms(tmp_path) as platforms, AsyncExitStack() as held:
        adapters = []
        for quotas in workers:
            quotas._monotonic = SystemClock().monotonic
            config = replace(platforms.configs[platform], quotas=quotas.of_platform)
            config = replace(config, options={**config.options, "daily_quota": limit})
            adapters.append(load_one(config, standard=load_standard(), clock=SystemClock()))
            held.push_async_callback(adapters[-1].close)

        async def ask(adapter):
            permit = a_permit(platform, ITEMS, request_id=uuid.uuid4(), subject=replace(HOME[platform], name=""))
            deadline = asyncio.get_running_loop().time() + 20
            (answer,) = await adapter.ask(replace(permit, artefact=None), ITEMS, deadline=deadline)
            return answer

        answers = await asyncio.gather(*(ask(adapters[number % 2]) for number in range(2 * limit)))
        marks = len(getattr(platforms.books, platform).enquiries)
        spare = {"chongqing": 0, "sichuan": 2}[platform]
        assert marks == limit - spare
        assert sum(answer.status == PlatformStatus.PLATFORM_STATUS_OK for answer in answers) == marks
        refused = [answer for answer in answers if answer.status == QUOTA_EXHAUSTED]
        assert len(refused) == 2 * limit - marks
        assert {answer.detail for answer in refused} == {DAILY_QUOTA}
        assert workers[0].limits == {platform: limit}


async def test_a_lender_that_had_its_questions_is_told_so_and_another_goes_on(workers):
    first, second = workers
    permit: Permit = a_permit("chongqing", ITEMS)
    standing = Standing(closed={}, policies={}, quotas={"chongqing": 1})
    assert await first.spent(permit, standing) == {}
    spent = await second.spent(permit, standing)
    assert (spent["chongqing"].status, spent["chongqing"].detail) == (QUOTA_EXHAUSTED, LENDER_QUOTA)
    assert await second.spent(replace(permit, institution="bank-sc"), standing) == {}
    closed = {"chongqing": spent["chongqing"]}
    assert await first.spent(replace(permit, institution="bank-x"), replace(standing, closed=closed)) == {}
    assert ("chongqing", "bank-x") not in await first.taken()
