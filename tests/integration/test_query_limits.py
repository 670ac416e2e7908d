"""Quotas of an institution over two workers on one database: a day's never exceeded, a second's by a block at most."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest

from core.errors import BashuError, Reason
from database import open_database
from gateway.clock.model import BACK_S
from gateway.identity.admin import Actor, Administration
from gateway.identity.model import Caller, Institution, InstitutionKind, Role
from gateway.identity.sealing import NameSeal
from gateway.identity.store import read_snapshot
from gateway.limits.service import QueryLimits
from gateway.platform.quotas import SharedQuotas
from tests.admission_stage import HeldRegistry, a_snapshot


class SetMonotonic:
    """Seconds that pass when a test says so."""

    def __init__(self):
        self.at = 1_000.0

    def __call__(self):
        return self.at


class Worker:
    def __init__(self, db, registry):
        self.monotonic = SetMonotonic()
        self.quotas = SharedQuotas(db, monotonic=self.monotonic)
        self.limits = QueryLimits(db, registry=registry, quotas=self.quotas, monotonic=self.monotonic)

    async def outcome(self, caller):
        """None for a query that counts, else the refusal."""
        try:
            await self.limits.count(caller)
        except BashuError as refused:
            return refused
        return None

    async def passed(self, calls, caller=None):
        outcomes = [await self.outcome(caller or a_caller()) for _ in range(calls)]
        return outcomes.count(None)


def a_caller(institution="bank-cq", role=Role.LENDER):
    return Caller(
        participant_id=institution,
        institution=institution,
        institution_kind=InstitutionKind.BANK,
        role=role,
        kid="k",
        operator="0001",
    )


def allow(registry, *, per_day=0, per_second=0):
    bank = Institution(
        institution="bank-cq",
        kind=InstitutionKind.BANK,
        name="bank",
        queries_per_day=per_day,
        queries_per_second=per_second,
    )
    other = Institution(institution="bank-sc", kind=InstitutionKind.BANK, name="other")
    registry.current = a_snapshot(institutions={"bank-cq": bank, "bank-sc": other})


@pytest.fixture
async def stage(fresh_database):
    """The registry's snapshot as a test sets it, and two workers over connections of their own."""
    registry = HeldRegistry()
    async with AsyncExitStack() as held:
        workers = []
        for _ in range(2):
            db = await open_database(fresh_database.gateway_dsn, max_size=2)
            held.push_async_callback(db.close)
            workers.append(Worker(db, registry))
        yield registry, workers, fresh_database
        fresh_database.shift_time(timedelta())


async def test_without_a_quota_nothing_is_counted(stage):
    _, (first, _), _ = stage
    assert await first.passed(50) == 50
    assert await first.limits.taken_today("bank-cq") == 0


async def test_two_workers_at_once_let_through_a_days_quota_and_no_more(stage):
    registry, workers, _ = stage
    allow(registry, per_day=7)
    outcomes = await asyncio.gather(*(worker.outcome(a_caller()) for worker in workers for _ in range(10)))
    assert outcomes.count(None) == 7
    assert await workers[0].limits.taken_today("bank-cq") == 7
    refused = next(outcome for outcome in outcomes if outcome is not None)
    assert refused.reason is Reason.RATE_LIMITED
    assert refused.metadata == {"quota": "queries_per_day", "limit": "7"}
    assert refused.retry_after_s is not None


async def test_the_next_day_in_beijing_has_a_quota_of_its_own(stage):
    registry, (first, _), fresh = stage
    allow(registry, per_day=3)
    assert await first.passed(5) == 3
    fresh.shift_time(timedelta(days=1))
    first.monotonic.at += 86_400
    assert await first.passed(5) == 3


async def test_a_raised_quota_counts_on_from_what_was_taken(stage):
    registry, (first, _), _ = stage
    allow(registry, per_day=3)
    assert await first.passed(5) == 3
    allow(registry, per_day=5)
    first.monotonic.at += 10
    assert await first.passed(5) == 2


async def test_another_institution_and_a_subjects_own_query_are_not_counted(stage):
    registry, (first, _), _ = stage
    allow(registry, per_day=1, per_second=1)
    assert await first.passed(5) == 1
    assert await first.passed(5, a_caller("bank-sc")) == 5
    assert await first.passed(5, a_caller("bank-cq", Role.SUBJECT_AGENT)) == 5


async def passed_and_seconds(fresh, calls, *workers):
    """How many of ``calls`` a worker got through, and how long that took by the clock that decides."""
    owner = await open_database(fresh.owner_dsn, max_size=1)
    try:
        before = await owner.fetchval("SELECT bashu_now()")
        passed = sum([await worker.passed(calls) for worker in workers])
        return passed, (await owner.fetchval("SELECT bashu_now()") - before).total_seconds()
    finally:
        await owner.close()


@pytest.mark.parametrize("per_second", [1, 5, 20])
async def test_two_workers_share_a_seconds_queries(stage, per_second):
    registry, workers, fresh = stage
    allow(registry, per_second=per_second)
    passed, seconds = await passed_and_seconds(fresh, 4 * per_second, *workers)
    assert per_second <= passed <= per_second * (1 + seconds)
    # The database's clock a little back, as far as it may be: whatever time this took, the second is spoken for.
    fresh.shift_time(timedelta(seconds=-BACK_S))
    for worker in workers:
        await worker.passed(per_second)
        assert (await worker.outcome(a_caller())).metadata["quota"] == "queries_per_second"


async def test_what_was_not_used_of_a_second_does_not_add_to_the_next(stage):
    registry, (first, _), fresh = stage
    allow(registry, per_second=40)
    assert await first.passed(1) == 1
    fresh.shift_time(timedelta(hours=1))
    first.monotonic.at += 3_600
    passed, seconds = await passed_and_seconds(fresh, 200, first)
    assert 40 <= passed <= 40 * (1 + seconds)


async def test_a_refused_second_is_asked_about_again_only_when_a_block_may_fit(stage):
    registry, (first, _), fresh = stage
    allow(registry, per_second=1)
    assert await first.passed(1) == 1
    fresh.shift_time(timedelta(seconds=-BACK_S))
    assert await first.passed(1) == 0
    fresh.shift_time(timedelta(hours=1))
    assert await first.passed(1) == 0
    first.monotonic.at += 1.0
    assert await first.passed(1) == 1


async def test_queries_counted_by_a_clock_that_had_jumped_ahead_keep_nobody_out_once_it_is_right_again(stage):
    registry, (first, second), fresh = stage
    allow(registry, per_second=1)
    fresh.shift_time(timedelta(days=365))
    assert await first.passed(1) == 1
    fresh.shift_time(timedelta())
    assert await second.passed(1) == 1


async def test_a_quota_set_is_in_the_registry_and_an_entry_of_the_log(fresh_database):
    administration = Administration(origin="log.example/bashu", seal=NameSeal(bytes(32)), operator_key=bytes(32))
    actor = Actor(participant_id="admin-1", institution="gw", role=Role.GATEWAY_ADMIN, operator="0001")
    db = await open_database(fresh_database.gateway_dsn, max_size=1)
    owner = await open_database(fresh_database.owner_dsn, max_size=1)
    try:
        await owner.execute("INSERT INTO institution (institution, institution_kind, name) VALUES ('b', 'bank', 'b')")
        await owner.execute(
            "INSERT INTO participant (participant_id, institution, role, name) VALUES ('b', 'b', 'LENDER', 'b')"
        )
        before = (await read_snapshot(db)).version
        async with db.transaction() as tx:
            await administration.set_quota(tx, "b", per_day=9, per_second=2, actor=actor)
        snapshot = await read_snapshot(db)
        assert snapshot.version > before
        found = snapshot.institutions["b"]
        assert (found.queries_per_day, found.queries_per_second) == (9, 2)
        body = await owner.fetchval("SELECT convert_from(body, 'UTF8') FROM ledger_entry ORDER BY seq DESC LIMIT 1")
        assert '"to":"QUOTA_SET"' in body
        assert '"object":"b"' in body
        with pytest.raises(BashuError) as caught:
            async with db.transaction() as tx:
                await administration.set_quota(tx, "nobody", per_day=9, per_second=2, actor=actor)
        assert caught.value.reason is Reason.NOT_FOUND_OR_NOT_YOURS
    finally:
        await db.close()
        await owner.close()
