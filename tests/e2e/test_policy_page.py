"""The commands of docs/policy.md as they are written there, and what a lender meets afterwards, over mutual TLS."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import admin_pb2
from loadtest.observation import ledger_reader
from loadtest.questions import question
from loadtest.stack import Stack
from tests.e2e.test_consent_page import ROOT, run

PAGE = ROOT / "docs" / "policy.md"
SUBJECT = "91500105XXTT00018M"
EMPTY = b'{"rules":[]}'
Consented = Callable[..., Awaitable[str]]


@pytest.fixture
async def admin(stack: Stack) -> AsyncIterator[Bashu]:
    """The operator's client; whatever a test did, no rule stands afterwards."""
    async with Bashu(Profile.of_dev_stack(stack.state, "admin-1")) as client:
        yield client
        await set_table(client, EMPTY, (await shown(client)).policy_version)


async def shown(client: Bashu, version: str = "") -> admin_pb2.GetPolicyResponse:
    request = admin_pb2.GetPolicyRequest(policy_version=version)
    return await client.call(lambda rpcs: rpcs.admin.GetPolicy, request)


async def set_table(client: Bashu, table: bytes, replaces: str) -> str:
    request = admin_pb2.SetPolicyRequest(table=table, replaces_version=replaces)
    return (await client.call(lambda rpcs: rpcs.admin.SetPolicy, request)).policy_version


def commands(number: int) -> list[str]:
    block = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[number]
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


async def test_the_operator_sets_the_table_of_the_page_and_a_lender_meets_it(
    stack: Stack, admin: Bashu, bank: Bashu, consented: Consented
) -> None:
    show, change, read = commands(0)
    version = (await shown(admin)).policy_version
    assert version in await asyncio.to_thread(run, stack, show)
    printed = await asyncio.to_thread(run, stack, change.replace("VERSION", version))
    assert str(int(version) + 1) in printed
    listed = await asyncio.to_thread(run, stack, read)
    assert "NO_CASH_FLOW" in listed

    consent_id = await consented(items=("enterprise_registration", "cash_flow_monthly"))
    with pytest.raises(BashuCallError) as caught:
        await bank.query_credit(question(SUBJECT, consent_id))
    assert caught.value.reason == "POLICY_LIMIT"
    assert caught.value.metadata["policy_rule"] == "NO_CASH_FLOW"
    answer = await bank.query_credit(question(SUBJECT, consent_id, data_items=["enterprise_registration"]))
    explained = await bank.explain_decision(answer.request_id)
    assert (explained.outcome, explained.policy_version) == ("PERMIT", str(int(version) + 1))


async def test_the_entry_of_a_change_holds_the_digest_of_the_table_that_everybody_reads(
    stack: Stack, admin: Bashu
) -> None:
    before = (await shown(admin)).policy_version
    await set_table(admin, b'{"rules": [{"id": "OLD", "effect": "LOOKBACK", "lookback_days": 3000}]}', before)
    current = await shown(admin)
    async with Bashu(Profile.of_dev_stack(stack.state, "auditor-1")) as auditor:
        seen = await shown(auditor, current.policy_version)
        assert (seen.table, seen.entry_id, seen.set_by) == (current.table, current.entry_id, "admin-1")
        async with ledger_reader(stack) as db:
            body = await db.fetchval("SELECT body FROM ledger_entry WHERE entry_id = $1", current.entry_id)
    assert json.loads(body)["detail_sha256"] == hashlib.sha256(seen.table).hexdigest()


@pytest.mark.parametrize("participant", ["bank-cq", "auditor-1", "officer-1", "platform-cq"])
async def test_nobody_but_the_operator_sets_a_table(stack: Stack, participant: str) -> None:
    async with Bashu(Profile.of_dev_stack(stack.state, participant)) as client:
        with pytest.raises(BashuCallError) as caught:
            await set_table(client, EMPTY, "0")
    assert caught.value.reason == "ROLE_NOT_ALLOWED"


async def test_a_wrong_table_is_refused_and_its_rule_named(admin: Bashu) -> None:
    version = (await shown(admin)).policy_version
    with pytest.raises(BashuCallError) as caught:
        await set_table(admin, b'{"rules": [{"id": "A", "effect": "DENY", "data_item": "favourite_colour"}]}', version)
    assert caught.value.reason == "MALFORMED"
    assert "A: no such data item" in caught.value.message
    assert (await shown(admin)).policy_version == version


async def test_a_quota_is_set_as_written_and_a_lender_sees_its_own_alone(stack: Stack, admin: Bashu) -> None:
    change, show, own = commands(1)
    assert "since" in await asyncio.to_thread(run, stack, change)
    try:
        assert "20000" in await asyncio.to_thread(run, stack, show)
        assert "20000" in await asyncio.to_thread(run, stack, own)
        async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as other:
            with pytest.raises(BashuCallError) as caught:
                await other.call(lambda rpcs: rpcs.admin.GetQuota, admin_pb2.GetQuotaRequest(institution="bank-02"))
        assert caught.value.reason == "NOT_FOUND_OR_NOT_YOURS"
    finally:
        await admin.call(lambda rpcs: rpcs.admin.SetQuota, admin_pb2.SetQuotaRequest(institution="bank-02"))
    seen = await admin.call(lambda rpcs: rpcs.admin.GetQuota, admin_pb2.GetQuotaRequest(institution="bank-02"))
    assert (seen.institution, seen.queries_per_day, seen.queries_per_second) == ("bank-02", 0, 0)
