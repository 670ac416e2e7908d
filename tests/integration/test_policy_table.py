"""The policy table over real PostgreSQL: versions that only come, the next admission that decides by them, their entries."""

from __future__ import annotations

import asyncio
import hashlib
import json

import pytest

from consent.limits import Effect, PolicyRule
from core.errors import BashuError, Reason
from database import StatementFailed
from gateway.decisions import explain
from gateway.entries import By
from gateway.policy.service import Policies
from gateway.policy.table import table_json
from tests.admission_stage import open_stage

ADMIN = By(participant="admin-1", institution="gateway-operator", operator="0001")
NO_TAX = PolicyRule(rule_id="NO_TAX", effect=Effect.DENY, data_item="tax_payment")
RECENT = PolicyRule(rule_id="RECENT", effect=Effect.LOOKBACK, lookback_days=90, purpose="PRE_LOAN_REVIEW")
ELSEWHERE = PolicyRule(rule_id="ELSEWHERE", effect=Effect.DENY, purpose="GUARANTOR_REVIEW")


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


def policies(stage):
    return Policies(stage.db, entries=stage.entries)


async def reason_of(awaitable):
    with pytest.raises(BashuError) as caught:
        await awaitable
    return caught.value.reason


async def last(stage, kind):
    return next(entry for entry in reversed(await stage.entries_written()) if entry["type"] == kind)


async def test_the_next_question_is_decided_by_the_version_just_set(stage):
    consent, table = await stage.grant(), policies(stage)
    assert await table.set([NO_TAX], replaces=0, by=ADMIN) == 1
    assert await reason_of(stage.ask(consent)) is Reason.POLICY_LIMIT
    await stage.release(await stage.ask(consent, items=("tax_credit_grade",)))
    assert await table.set([RECENT, ELSEWHERE], replaces=1, by=ADMIN) == 2
    assert await reason_of(stage.ask(consent)) is Reason.POLICY_LIMIT
    await stage.release(await stage.ask(consent, lookback=90))
    assert await table.set([], replaces=2, by=ADMIN) == 3
    await stage.release(await stage.ask(consent))
    assert (await stage.facts(consent)).used == 3
    assert await stage.check_log() == []


async def test_intent_entry_and_explanation_name_the_version_decided_by(stage):
    consent, table = await stage.grant(), policies(stage)
    await stage.ask(consent)
    await table.set([NO_TAX], replaces=0, by=ADMIN)
    admitted = await stage.ask(consent, items=("tax_credit_grade",))
    assert [row["policy_version"] for row in await stage.intents()] == [0, 1]
    assert (await last(stage, "QUERY_INTENT"))["decision"] == {"outcome": "ADMITTED", "policy_version": 1}
    explained = await explain(stage.db, admitted.permit.request_id, "bank-cq")
    assert (explained.outcome, explained.policy_version) == ("PERMIT", 1)


async def test_a_refusals_entry_names_the_version_and_is_explained_by_it(stage):
    consent = await stage.grant()
    await policies(stage).set([NO_TAX], replaces=0, by=ADMIN)
    with pytest.raises(BashuError) as caught:
        await stage.ask(consent)
    assert caught.value.metadata["policy_rule"] == "NO_TAX"
    denied = await last(stage, "QUERY_DENIED")
    assert denied["decision"] == {
        "outcome": "DENIED", "reason": "POLICY_LIMIT", "rule": "11-policy", "policy_version": 1,
    }  # fmt: skip
    assert await stage.check_log() == []
    explained = await explain(stage.db, denied_request(denied), "bank-cq")
    assert (explained.outcome, explained.policy_version, explained.steps[-1].name) == ("POLICY_LIMIT", 1, "policy")


def denied_request(entry):
    return entry["intent"]["request"]


async def test_a_change_is_an_entry_with_both_versions_and_the_tables_digest(stage):
    table = policies(stage)
    await table.set([NO_TAX], replaces=0, by=ADMIN)
    entry = await last(stage, "POLICY_CHANGE")
    assert entry["status"] == {"from": "0", "to": "1", "reason": "POLICY_SET", "actor": "admin-1"}
    assert entry["object"] == "policy"
    assert entry["requester"]["institution"] == "gateway-operator"
    assert "0001" not in json.dumps(entry["requester"])
    number, rules, row = await table.show(None)
    assert (number, rules, row.set_by, str(row.entry_id)) == (1, (NO_TAX,), "admin-1", entry["entry_id"])
    assert entry["detail_sha256"] == hashlib.sha256(table_json(rules)).hexdigest() == row.table_sha256.hex()


async def test_earlier_versions_stay_and_one_that_never_was_is_not_found(stage):
    table = policies(stage)
    assert await table.show(None) == (0, (), None)
    await table.set([NO_TAX], replaces=0, by=ADMIN)
    await table.set([RECENT], replaces=1, by=ADMIN)
    assert [(await table.show(number))[1] for number in (0, 1, 2)] == [(), (NO_TAX,), (RECENT,)]
    assert await reason_of(table.show(3)) is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_a_table_made_from_an_older_version_is_refused_and_the_same_again_changes_nothing(stage):
    table = policies(stage)
    await table.set([NO_TAX], replaces=0, by=ADMIN)
    assert await reason_of(table.set([RECENT], replaces=0, by=ADMIN)) is Reason.REVISION_CHANGED
    assert await reason_of(table.set([RECENT], replaces=2, by=ADMIN)) is Reason.REVISION_CHANGED
    assert await table.set([NO_TAX], replaces=0, by=ADMIN) == 1
    assert (await stage.count())["POLICY_CHANGE"] == 1


async def test_of_two_changes_at_once_one_stands(stage):
    table = policies(stage)
    results = await asyncio.gather(
        *(table.set(rules, replaces=0, by=ADMIN) for rules in ([NO_TAX], [RECENT], [ELSEWHERE])),
        return_exceptions=True,
    )
    refused = [result for result in results if isinstance(result, BashuError)]
    assert [result for result in results if not isinstance(result, BashuError)] == [1]
    assert {error.reason for error in refused} == {Reason.REVISION_CHANGED}
    assert (await stage.count())["POLICY_CHANGE"] == 1


@pytest.mark.parametrize(
    "statement",
    ["UPDATE policy_rule SET effect = 'ALLOW'", "DELETE FROM policy_rule", "UPDATE policy_version SET set_by = 'x'"],
)
async def test_no_rule_is_ever_changed_or_taken_out_even_by_the_owner(stage, statement):
    await policies(stage).set([NO_TAX], replaces=0, by=ADMIN)
    with pytest.raises(StatementFailed):
        await stage.owner.execute(statement)
