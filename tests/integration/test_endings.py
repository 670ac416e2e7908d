"""What time or the last use brought is recorded once, with event and entry, and never before it is so."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from consent.store import ENDED_UNRECORDED
from core.errors import BashuError, Reason
from gateway.endings import START, Endings
from tests.admission_stage import open_stage

ONE_USE = {"max_uses": 1, "frequency": {"n": 1, "per": "DAY"}}


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


@pytest.fixture
def endings(stage):
    return Endings(stage.db, entries=stage.entries)


async def short(stage, **changes):
    start = int(datetime.now(UTC).timestamp()) - 100
    return await stage.grant(iat=start, nbf=start, exp=start + 120, **changes)


async def last_event(stage, consent):
    event = (await stage.consents.show(consent.consent_id, institution=None)).events[-1]
    return event.from_state.value, event.to_state.value, event.reason, event.actor.value, event.revision


async def test_an_expired_consent_is_recorded_once_with_what_was_under_way_withheld(stage, endings):
    consent, standing = await short(stage), await stage.grant()
    await stage.ask(consent)
    assert await endings.walk() == 0
    stage.shift(seconds=21)
    assert await endings.walk() == 1
    assert await last_event(stage, consent) == ("ACTIVE", "EXPIRED", "EXPIRED", "SYSTEM", 2)
    assert (await stage.types())[-2:] == ["RELEASE_WITHHELD", "CONSENT_STATUS"]
    assert await endings.walk() == 0
    assert (await last_event(stage, standing))[1] == "ACTIVE"
    assert await stage.check_log() == []


async def test_a_held_consent_that_expires_is_recorded_by_the_lifting(stage, endings):
    consent = await short(stage)
    await stage.consents.hold(consent.consent_id, reason="X")
    stage.shift(seconds=21)
    assert await endings.walk() == 0
    await stage.consents.lift(consent.consent_id, reason="Y")
    assert (await last_event(stage, consent))[1] == "EXPIRED"
    assert await endings.walk() == 0


async def test_spent_uses_are_recorded_once_no_query_is_under_way(stage, endings):
    consent = await stage.grant(usage=ONE_USE)
    admitted = await stage.ask(consent)
    assert await endings.walk() == 0
    await stage.release(admitted)
    assert await endings.walk() == 1
    assert (await last_event(stage, consent))[:3] == ("ACTIVE", "EXHAUSTED", "EXHAUSTED")
    assert await endings.walk() == 0
    with pytest.raises(BashuError) as refused:
        await stage.ask(consent)
    assert refused.value.reason is Reason.CONSENT_EXHAUSTED
    stage.shift(days=31)
    assert await endings.walk() == 1
    assert (await last_event(stage, consent))[:2] == ("EXHAUSTED", "EXPIRED")
    assert await stage.check_log() == []


async def test_pages_follow_one_another_and_two_workers_record_one_event(stage, endings):
    consents = [await short(stage) for _ in range(5)]
    stage.shift(seconds=21)
    other = Endings(stage.db, entries=stage.entries)
    recorded = [await one.walk(page=2) for one in (endings, endings, other, endings, other, other, endings)]
    assert sum(recorded) == 5
    assert [(await last_event(stage, consent))[-1] for consent in consents] == [2] * 5


async def test_one_that_cannot_be_recorded_keeps_no_other_waiting_and_is_found_again(stage, endings, monkeypatch):
    consents = [await short(stage) for _ in range(3)]
    stage.shift(seconds=21)
    first, record = min(consent.consent_id for consent in consents), endings._record

    async def failing(consent_id):
        if consent_id == first:
            raise BashuError(Reason.EVIDENCE_UNAVAILABLE, "away")
        return await record(consent_id)

    monkeypatch.setattr(endings, "_record", failing)
    assert await endings.walk() == 2
    monkeypatch.undo()
    assert await endings.walk() == 1


async def test_the_walk_reads_pages_by_key(stage):
    async with stage.db.transaction() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        plan = "\n".join(row[0] for row in await tx.fetch(f"EXPLAIN {ENDED_UNRECORDED}", START, 100))
    assert "consent_pkey" in plan
    assert "Seq Scan" not in plan
