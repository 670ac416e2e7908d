"""One consent takes the place of another, at once and whole, over real PostgreSQL."""

from __future__ import annotations

import asyncio

import pytest

from consent.artefact import parse_artefact
from consent.model import Actor, ConsentState
from consent.state import state
from core.errors import BashuError, Reason
from core.ids import uuid7
from tests.admission_stage import GRANTED, OTHER_FIRM, VOCABULARY, a_payload, a_snapshot, open_stage, signed


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


def amendment(parent, **changes):
    named = {"consent_id": str(parent.consent_id), "artefact_hash": parent.artefact_hash.hex()}
    return signed(a_payload(**({"supersedes": named} | changes)))


async def refused(awaitable):
    with pytest.raises(BashuError) as caught:
        await awaitable
    return caught.value.reason


async def test_uses_carry_over_and_the_log_stands(stage):
    parent = await stage.grant()
    await stage.release(await stage.ask(parent))
    child = (await stage.consents.register(amendment(parent))).facts
    assert (child.used, child.carried, child.last_use, child.window_used) == (1, 1, 0, 1)
    old = await stage.facts(parent)
    assert (old.superseded_by, state(old, child.registered_at)) == (child.consent_id, ConsentState.SUPERSEDED)
    for _ in range(2):
        await stage.release(await stage.ask(child))
    assert await refused(stage.ask(child)) is Reason.CONSENT_EXHAUSTED
    assert await refused(stage.ask(parent)) is Reason.CONSENT_SUPERSEDED
    assert await stage.check_log() == []


async def test_a_query_under_way_is_withheld(stage):
    parent = await stage.grant()
    admitted = await stage.ask(parent)
    await stage.consents.register(amendment(parent))
    with pytest.raises(BashuError) as caught:
        await stage.release(admitted)
    assert caught.value.reason is Reason.CONSENT_SUPERSEDED
    assert (await stage.types())[-3:] == ["RELEASE_WITHHELD", "CONSENT_STATUS", "CONSENT_REGISTERED"]
    assert await stage.check_log() == []


async def test_of_two_amendments_one_stands(stage):
    parent = await stage.grant()
    results = await asyncio.gather(
        *(stage.consents.register(amendment(parent)) for _ in range(2)), return_exceptions=True
    )
    assert [r.reason for r in results if isinstance(r, BashuError)] == [Reason.CONSENT_SUPERSEDED]
    assert (await stage.count())["CONSENT_REGISTERED"] == 2


async def test_the_same_amendment_twice_at_once_answers_alike(stage):
    raw = amendment(await stage.grant())
    first, second = await asyncio.gather(*(stage.consents.register(raw) for _ in range(2)))
    assert first.entry_id == second.entry_id
    assert (await stage.count())["CONSENT_STATUS"] == 1


async def test_admissions_race_an_amendment_and_none_overspends(stage):
    parent = await stage.grant()
    asks = [stage.ask(parent) for _ in range(6)]
    results = await asyncio.gather(*asks, stage.consents.register(amendment(parent)), return_exceptions=True)
    child = results[-1].facts
    assert child.carried == sum(not isinstance(result, BashuError) for result in results[:-1])
    await asyncio.gather(*(stage.ask(child) for _ in range(4)), return_exceptions=True)
    assert (await stage.facts(child)).used == 3
    assert await stage.check_log() == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"subject": OTHER_FIRM}, Reason.SUBJECT_MISMATCH),
        ({"requester": {"institution": "bank-sc"}}, Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS),
        (
            {"supersedes": {"consent_id": str(uuid7()), "artefact_hash": "0" * 64}},
            Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
        ),
    ],
)
async def test_only_ones_own_is_superseded(stage, changes, expected):
    assert await refused(stage.consents.register(amendment(await stage.grant(), **changes))) is expected
    assert await stage.types() == ["CONSENT_REGISTERED"]


async def test_another_hash_or_too_few_uses_is_malformed(stage):
    parent = await stage.grant()
    wrong = {"consent_id": str(parent.consent_id), "artefact_hash": "0" * 64}
    assert await refused(stage.consents.register(amendment(parent, supersedes=wrong))) is Reason.ARTEFACT_MALFORMED
    for _ in range(2):
        await stage.release(await stage.ask(parent))
    few = amendment(parent, usage={"max_uses": 1})
    assert await refused(stage.consents.register(few)) is Reason.ARTEFACT_MALFORMED


async def test_a_held_or_revoked_consent_is_not_superseded(stage):
    parent = await stage.grant()
    await stage.consents.hold(parent.consent_id, reason="X")
    assert await refused(stage.consents.register(amendment(parent))) is Reason.CONSENT_HELD
    await stage.consents.revoke(parent.consent_id, reason="X", actor=Actor.SUBJECT)
    assert await refused(stage.consents.register(amendment(parent))) is Reason.CONSENT_REVOKED


async def test_other_windows_count_anew_and_the_total_carries(stage):
    parent = await stage.grant()
    await stage.release(await stage.ask(parent))
    child = await stage.consents.register(amendment(parent, usage={"frequency": {"n": 3, "per": "MONTH"}}))
    assert (child.facts.window_key, child.facts.used) == ("", 1)
    assert parse_artefact(child.parsed.raw, VOCABULARY).artefact.items.keys() == set(GRANTED)
    assert (await stage.ask(child.facts)).permit


async def test_a_rotated_authoritys_standing_consents_still_work(stage):
    consent = await stage.grant()
    stage.registry.current = a_snapshot(keys={})
    assert (await stage.ask(consent)).permit
