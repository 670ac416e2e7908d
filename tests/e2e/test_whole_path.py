"""The main job from outside: consent, one question to both regions, evidence, repeat, revocation, command line."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from bashu.client import Bashu, QueryAnswer
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.saved import await_proof, check_evidence, entry_id_of, save_evidence
from bashu.v1 import common_pb2, consent_pb2, credit_pb2
from bashu.verify import Receipt, VerificationError, VerifierKey, verify_receipt
from loadtest.observation import ledger_reader, sealed_export
from loadtest.questions import question
from loadtest.stack import Stack

SUBJECT = "91500105XXTT00018M"
OPERATOR = "gateway-operator"
BOTH = {"chongqing", "sichuan"}
CONTRACT = Path(__file__).resolve().parents[2] / "proto" / "bashu" / "v1"

Consented = Callable[..., Awaitable[str]]


def platforms_of(answer: QueryAnswer) -> set[str]:
    sources = {source.source_id: source.platform_id for source in answer.report.sources}
    return {sources[source_id] for record in answer.report.records for source_id in record.source_ids}


async def test_one_question_brings_records_of_both_platforms(bank: Bashu, consented: Consented) -> None:
    answer = await bank.query_credit(question(SUBJECT, await consented()))
    assert platforms_of(answer) == BOTH
    assert {result.platform_id for result in answer.report.platform_results} == BOTH


async def test_the_stream_brings_the_same_records_and_a_refusal_does_not_end_it(
    bank: Bashu, consented: Consented
) -> None:
    consent_id = await consented()
    good, refused = question(SUBJECT, consent_id), question(SUBJECT, consent_id, purpose="GUARANTOR_REVIEW")
    unary = await bank.query_credit(question(SUBJECT, consent_id))

    async def asked() -> AsyncIterator[credit_pb2.QueryCreditRequest]:
        yield refused
        yield good

    answers = {answer.request_id: answer async for answer in bank.query_stream(asked())}
    streamed, refusal = answers[good.request_id], answers[refused.request_id]
    assert isinstance(streamed, QueryAnswer)
    assert {record.record_id for record in streamed.report.records} == {r.record_id for r in unary.report.records}
    assert isinstance(refusal, BashuCallError)
    assert refusal.reason == "PURPOSE_MISMATCH"


async def test_the_receipt_verifies_offline_and_no_longer_once_the_report_differs(
    stack: Stack, bank: Bashu, consented: Consented
) -> None:
    answer = await bank.query_credit(question(SUBJECT, await consented()))
    answer.verify(stack.ledger_vkey)
    with pytest.raises(VerificationError):
        verify_receipt(
            Receipt.from_message(answer.receipt),
            report=answer.report_bytes + b"\x00",
            vkey=VerifierKey.parse(stack.ledger_vkey),
        )


async def test_the_receipts_entry_is_proven_under_a_signed_checkpoint_within_seconds(
    stack: Stack, bank: Bashu, consented: Consented, tmp_path: Path
) -> None:
    answer = await bank.query_credit(question(SUBJECT, await consented()))
    proof = await await_proof(bank, answer, wait_s=15)
    assert proof is not None
    save_evidence(tmp_path / "kept", answer, proof=proof, vkey=stack.ledger_vkey)
    evidence = check_evidence(tmp_path / "kept", vkey=stack.ledger_vkey)
    assert evidence.leaf_index == proof.leaf_index
    assert (tmp_path / "kept" / "receipt.tlog-proof").read_text(encoding="utf-8") == proof.tlog_proof


async def test_an_entry_of_another_institution_is_not_found(stack: Stack, bank: Bashu, consented: Consented) -> None:
    answer = await bank.query_credit(question(SUBJECT, await consented()))
    entry_id = entry_id_of(answer.receipt.entry)
    assert (await bank.get_entry(entry_id)).leaf == answer.receipt.entry
    async with Bashu(Profile.of_dev_stack(stack.state, "bank-sc")) as other:
        with pytest.raises(BashuCallError) as refused:
            await other.get_entry(entry_id)
    assert refused.value.reason == "NOT_FOUND_OR_NOT_YOURS"


async def test_a_repeat_of_an_answered_request_is_attempt_two_and_asks_nobody(
    bank: Bashu, consented: Consented
) -> None:
    consent_id = await consented()
    request = question(SUBJECT, consent_id)
    assert (await bank.query_credit(request)).effective_scope.attempt == 1
    repeat = await bank.query_credit(request)
    assert repeat.effective_scope.attempt == 2
    assert {result.status for result in repeat.report.platform_results} == {common_pb2.PLATFORM_STATUS_SKIPPED}
    assert (await bank.get_consent(consent_id)).consent.used == 1


async def test_after_the_revocation_the_question_is_refused_with_its_reason(
    stack: Stack, bank: Bashu, consented: Consented
) -> None:
    consent_id = await consented()
    async with Bashu(Profile.of_dev_stack(stack.state, "authority-cq")) as authority:
        revoked = await authority.revoke_consent(consent_id, reason="SUBJECT_REQUEST")
    assert revoked.consent.state == consent_pb2.CONSENT_STATE_REVOKED
    with pytest.raises(BashuCallError) as refused:
        await bank.query_credit(question(SUBJECT, consent_id))
    assert refused.value.reason == "CONSENT_REVOKED"


async def test_a_query_of_a_role_that_may_not_ask_is_refused_and_recorded(stack: Stack) -> None:
    async with Bashu(Profile.of_dev_stack(stack.state, "auditor-1")) as auditor:
        with pytest.raises(BashuCallError) as refused:
            await auditor.query_credit(question(SUBJECT, ""))
    assert refused.value.reason == "ROLE_NOT_ALLOWED"
    async with ledger_reader(stack) as db:
        entries = [base64.b64decode(json.loads(line)["leaf"]) for line in (await sealed_export(db))[:-1]]
    denied = [entry for entry in map(json.loads, entries) if entry["type"] == "QUERY_DENIED"]
    by_auditors = [entry["decision"]["reason"] for entry in denied if entry["requester"]["institution"] == OPERATOR]
    assert by_auditors == ["ROLE_NOT_ALLOWED"]


async def test_the_command_line_asks_and_verifies(stack: Stack, consented: Consented) -> None:
    code, answer = await bashu_json(
        *("query", SUBJECT, "--consent", await consented(), "--purpose", "PRE_LOAN_REVIEW"),
        *("--application-reference", "E2E-1", "--dev", str(stack.state), "--as", "bank-cq"),
    )
    assert code == 0
    assert answer["receipt_verified"] is True
    assert {source["platform_id"] for source in answer["report"]["sources"]} == BOTH


async def test_the_command_line_names_the_reason_of_a_refusal(stack: Stack, consented: Consented) -> None:
    code, answer = await bashu_json(
        *("query", SUBJECT, "--consent", await consented(), "--purpose", "GUARANTOR_REVIEW"),
        *("--application-reference", "E2E-1", "--dev", str(stack.state), "--as", "bank-cq"),
    )
    assert (code, answer["error"]["reason"]) == (1, "PURPOSE_MISMATCH")


def test_reflection_lists_every_service_of_the_contract(stack: Stack) -> None:
    profile = Profile.of_dev_stack(stack.state, "bank-cq")
    assert profile.ca is not None
    assert profile.certificate is not None
    assert profile.certificate_key is not None
    credentials = grpc.ssl_channel_credentials(
        profile.ca.read_bytes(), profile.certificate_key.read_bytes(), profile.certificate.read_bytes()
    )
    with grpc.secure_channel(profile.endpoint, credentials) as channel:
        listed = set(ProtoReflectionDescriptorDatabase(channel).get_services())
    contract = {
        f"bashu.v1.{line.split()[1]}"
        for proto in CONTRACT.glob("*.proto")
        for line in proto.read_text(encoding="utf-8").splitlines()
        if line.startswith("service ")
    }
    assert len(contract) == 9
    assert contract | {"grpc.health.v1.Health"} <= listed


async def bashu_json(*arguments: str) -> tuple[int | None, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bashu", *arguments, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode, json.loads(out)
