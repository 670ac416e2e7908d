"""Ways of admitting that look right and are not, each failing in the very race in which the right one holds.

The race is held in place by a row lock, not left to luck: a gatekeeper locks the consent, the statements under test
take their snapshots and wait for it, and then it lets go.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from datetime import date

import pytest

from consent import store as consent_store
from consent.model import Actor, HoldKind, LoanEnd
from core.errors import BashuError, Reason
from gateway import store
from tests.admission_stage import FIRM, POST_LOAN, open_stage

ONE_USE = {"usage": {"mode": "ONE_TIME", "max_uses": 1, "frequency": None}}
VERSION_READ = "c.version = ($31::bigint[])[array_position($30::uuid[], c.consent_id)]"
COUNTED_HERE = """(SELECT count(*) FROM intent AS x WHERE x.consent_id = c.consent_id AND x.uses = 1) < c.max_uses
    AND $31::bigint[] IS NOT NULL"""


@pytest.fixture
async def workers(fresh_database, tmp_path):
    (tmp_path / "b").mkdir()
    async with (
        open_stage(fresh_database, tmp_path) as one,
        open_stage(fresh_database, tmp_path / "b") as two,
    ):
        yield one, two


@asynccontextmanager
async def gatekeeper(stage, consent):
    """Hold the consent's row; whoever wants it waits until the block ends."""
    async with stage.owner.transaction() as tx:
        await tx.fetch("SELECT 1 FROM consent WHERE consent_id = $1 FOR NO KEY UPDATE", consent.consent_id)
        yield


async def ask_at_once(workers, consent):
    """Let two workers ask about a consent with one use; return the outcomes."""
    async with gatekeeper(workers[0], consent):
        tasks = [asyncio.create_task(worker.ask(consent)) for worker in workers]
        await workers[0].waiting_for_a_lock(2)
    return await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_version_read_lets_one_of_two_have_the_last_use(workers):
    consent = await workers[0].grant(**ONE_USE)
    outcomes = await ask_at_once(workers, consent)
    assert [o.reason for o in outcomes if isinstance(o, BashuError)] == [Reason.CONSENT_EXHAUSTED]
    assert (await workers[0].count())["QUERY_INTENT"] == 1
    assert await workers[0].check_log() == []


async def test_a_budget_counted_in_the_locking_statement_is_overspent(workers, monkeypatch):
    """READ COMMITTED: the statement that waited counts with the snapshot it took before the wait."""
    assert VERSION_READ in store.ADMIT
    monkeypatch.setattr(store, "ADMIT", store.ADMIT.replace(VERSION_READ, COUNTED_HERE))
    # The row's own CHECK is the last line of defence; the way of counting must be seen without it.
    await workers[0].owner.execute("ALTER TABLE consent DROP CONSTRAINT consent_never_overspent")
    consent = await workers[0].grant(**ONE_USE)
    outcomes = await ask_at_once(workers, consent)
    assert not [o for o in outcomes if isinstance(o, BaseException)]
    assert any("OVERSPENT" in line for line in await workers[0].check_log())


async def test_the_row_refuses_to_be_overspent_whatever_the_statement_says(workers, monkeypatch):
    monkeypatch.setattr(store, "ADMIT", store.ADMIT.replace(VERSION_READ, COUNTED_HERE))
    consent = await workers[0].grant(**ONE_USE)
    outcomes = await ask_at_once(workers, consent)
    assert len([o for o in outcomes if isinstance(o, BashuError)]) == 1
    assert (await workers[0].count())["QUERY_INTENT"] == 1


async def hold_during_an_admission(workers):
    """Place a hold on a subject while an admission that read none waits for its consent; then try to release."""
    one, two = workers
    consent = await one.grant()
    async with gatekeeper(one, consent):
        asking = asyncio.create_task(one.ask(consent))
        await one.waiting_for_a_lock()
        holding = asyncio.create_task(two.holds.place(FIRM, HoldKind.HOLD, reason="X"))
        waiting = asyncio.create_task(one.waiting_for_a_lock(2))
        await asyncio.wait([holding, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
    admitted = await asking
    await holding
    return await asyncio.gather(one.release(admitted), return_exceptions=True)


async def test_the_table_lock_lets_a_hold_close_what_was_admitted_before_it(workers):
    (outcome,) = await hold_during_an_admission(workers)
    assert isinstance(outcome, BashuError)
    assert outcome.reason is Reason.CONSENT_HELD
    assert (await workers[0].types())[1:] == ["QUERY_INTENT", "RELEASE_WITHHELD", "HOLD_PLACED"]
    assert await workers[0].check_log() == []


async def test_a_hold_without_the_table_lock_is_slipped_past(workers, monkeypatch):
    async def no_lock(_tx):
        return None

    monkeypatch.setattr(consent_store, "lock_holds", no_lock)
    (outcome,) = await hold_during_an_admission(workers)
    assert not isinstance(outcome, BaseException)
    found = await workers[0].check_log()
    assert [line.split(":")[0].split()[-1] for line in found] == ["QUERY_INTENT_UNDER_HOLD", "RELEASE_UNDER_HOLD"]


async def revoke_during_an_admission(workers):
    """Revoke while an admission waits for the consent in front; then try to release."""
    one, two = workers
    consent = await one.grant()
    async with gatekeeper(one, consent):
        asking = asyncio.create_task(one.ask(consent))
        await one.waiting_for_a_lock()
        revoking = asyncio.create_task(two.consents.revoke(consent.consent_id, reason="X", actor=Actor.SUBJECT))
        await one.waiting_for_a_lock(2)
    await revoking
    (admitted,) = await asyncio.gather(asking, return_exceptions=True)
    if isinstance(admitted, BashuError):
        return admitted
    (outcome,) = await asyncio.gather(one.release(admitted), return_exceptions=True)
    return outcome


async def test_a_revocation_closes_what_was_admitted_before_it(workers):
    outcome = await revoke_during_an_admission(workers)
    assert isinstance(outcome, BashuError)
    assert outcome.reason is Reason.CONSENT_REVOKED
    assert await workers[0].check_log() == []


async def test_a_revocation_that_leaves_intents_open_is_followed_by_a_release(workers, monkeypatch):
    async def none_open(_tx, _ids):
        return []

    monkeypatch.setattr(store, "lock_open_of_consents", none_open)
    outcome = await revoke_during_an_admission(workers)
    assert not isinstance(outcome, BaseException)
    assert any("RELEASE_AFTER_REVOKED" in line for line in await workers[0].check_log())


async def close_a_loan_during_an_admission(workers):
    """Close a loan in front of an admission that read it open, under a consent that goes on."""
    one, two = workers
    day = date(2026, 1, 1)
    await one.loans.register("bank-cq", "loan-1", subject=FIRM, application_reference="", opened_on=day, due_on=day)
    consent = await one.grant(**POST_LOAN)
    async with gatekeeper(one, consent):
        closing = asyncio.create_task(two.loans.close("bank-cq", "loan-1", reason=LoanEnd.SETTLED))
        await one.waiting_for_a_lock()
        named = {"purpose": "POST_LOAN_MANAGEMENT", "application_reference": "", "loan_reference": "loan-1"}
        asking = asyncio.create_task(one.ask(consent, **named))
        await one.waiting_for_a_lock(2)
    await closing
    (outcome,) = await asyncio.gather(asking, return_exceptions=True)
    return outcome


async def test_an_admission_that_read_the_loan_open_is_decided_again(workers):
    outcome = await close_a_loan_during_an_admission(workers)
    assert isinstance(outcome, BashuError)
    assert outcome.reason is Reason.LOAN_CLOSED


async def test_a_loan_closed_without_touching_its_consents_is_slipped_past(workers, monkeypatch):
    async def no_touch(_tx, _ids):
        return None

    monkeypatch.setattr(consent_store, "touch", no_touch)
    outcome = await close_a_loan_during_an_admission(workers)
    assert not isinstance(outcome, BaseException)
