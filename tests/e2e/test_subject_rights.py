"""A subject's agent over real sockets: the own report, what others saw, what is kept, erasure."""

from __future__ import annotations

import base64
import json
import os
import signal
import uuid
from dataclasses import replace
from typing import Any

import pytest

from bashu.errors import BashuCallError
from bashu.v1 import common_pb2, ledger_pb2, subject_pb2
from database import open_database
from loadtest.agent import agent_profile
from loadtest.observation import ledger_reader, sealed_export, until
from loadtest.questions import Wire, question
from loadtest.stack import Stack

# Of its own: own reports are counted by the year.
SUBJECT = "91510107XXTT001658"
STRANGER = "91510107XXTT00122T"
ERASED = "91510104XXTT90025Q"


async def reason_of(call: Any) -> str:
    with pytest.raises(BashuCallError) as refused:
        await call
    return refused.value.reason


def own(code: str = SUBJECT, **fields: Any) -> subject_pb2.RequestOwnReportRequest:
    return subject_pb2.RequestOwnReportRequest(
        request_id=str(uuid.uuid4()), subject=question(code, "").subject, **fields
    )


async def test_a_subject_gets_its_own_report_with_a_receipt_twice_a_year_for_free(stack: Stack) -> None:
    async with Wire(agent_profile(stack, SUBJECT)) as agent:
        first, second, third = own(), own(), own()
        answers = [await agent.call(agent.subject.RequestOwnReport, one) for one in (first, second, third, first)]
    assert [answer.free_of_charge for answer in answers] == [True, True, False, True]
    report = answers[0].report
    assert report.records
    denied = {line.data_item for line in report.platform_results if line.status == common_pb2.PLATFORM_STATUS_DENIED}
    assert denied


async def test_another_subjects_agent_and_an_unfit_mandate_are_refused_and_recorded(stack: Stack) -> None:
    async with Wire(agent_profile(stack, STRANGER)) as stranger:
        assert await reason_of(stranger.call(stranger.subject.RequestOwnReport, own())) == "SUBJECT_MISMATCH"
    profile = agent_profile(stack, SUBJECT)
    person = replace(profile, claims={**profile.claims, "mandate": "SELF"})
    async with Wire(person) as agent:
        assert await reason_of(agent.call(agent.subject.RequestOwnReport, own())) == "SUBJECT_MISMATCH"
    async with ledger_reader(stack) as db:
        leaves = [json.loads(base64.b64decode(json.loads(line)["leaf"])) for line in (await sealed_export(db))[:-1]]
    denied = [
        leaf for leaf in leaves if leaf["type"] == "QUERY_DENIED" and "portal" in leaf["requester"]["institution"]
    ]
    assert [leaf["decision"]["reason"] for leaf in denied] == ["SUBJECT_MISMATCH"] * 2


async def test_a_worker_that_starts_destroys_erased_keys_that_a_restore_brought_back(stack: Stack) -> None:
    subject = question(ERASED, "").subject
    keys = await open_database((stack.state / "dsn" / "keys-owner").read_text().strip(), min_size=1, max_size=1)
    async with Wire(agent_profile(stack, ERASED)) as agent:
        before = {row["key_id"] for row in await keys.fetch("SELECT key_id FROM data_key")}
        await agent.call(agent.subject.FreezeFile, subject_pb2.FreezeFileRequest(subject=subject, reason="words"))
        backup = await keys.fetch("SELECT * FROM data_key WHERE key_id <> ALL($1::uuid[])", list(before))
        assert backup
        ask = subject_pb2.RequestErasureRequest(subject=subject)
        erasure = (await agent.call(agent.subject.RequestErasure, ask)).erasure
        assert erasure.state == subject_pb2.ERASURE_STATE_ERASED
    async with ledger_reader(stack) as db:
        await sealed_export(db)
    restored = [row["key_id"] for row in backup]
    await keys.execute("DELETE FROM data_key WHERE key_id = ANY($1::uuid[])", restored)
    for row in backup:
        columns = "key_id, owner, wrapping_kid, wrapped, made_at, destroyed_at"
        await keys.execute(f"INSERT INTO data_key ({columns}) VALUES ($1, $2, $3, $4, $5, $6)", *row.values())
    for pid in json.loads((stack.state / "dev.json").read_text())["pids"]["gateway"]:
        os.kill(pid, signal.SIGKILL)

    async def is_gone() -> bool:
        left = "SELECT count(*) FROM data_key WHERE key_id = ANY($1::uuid[]) AND wrapped IS NOT NULL"
        return await keys.fetchval(left, restored) == 0

    async def is_served() -> bool:
        async with Wire.of(stack, "bank-cq") as bank:
            try:
                await bank.call(bank.ledger.GetCheckpoint, ledger_pb2.GetCheckpointRequest())
            except BashuCallError:
                return False
        return True

    await until(is_gone, within_s=30, what="the erasure to be replayed")
    await until(is_served, within_s=30, what="the gateway to serve again")
    await keys.close()
