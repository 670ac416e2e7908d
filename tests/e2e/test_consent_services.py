"""Borrower, officer and bank over real sockets: pause, hold, freeze, listing, explanation, each with its own token."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import admin_pb2, compliance_pb2, consent_pb2, loan_pb2, subject_pb2
from core.jws import public_jwk
from gateway.certificates import signing_key
from ledger.invariants import LogEntry, Severity, check_invariants
from ledger.model import leaf_hash
from loadtest.agent import agent_profile, main
from loadtest.authority import Grant, SigningAuthority
from loadtest.observation import ledger_reader, sealed_export, until
from loadtest.questions import Wire, question
from loadtest.stack import Stack
from tests.e2e.conftest import LENDER, Consented

# Of its own, so that a freeze stops no other test's query.
SUBJECT = "91500105XXTT00157C"
STRANGER = "91510107XXTT00122T"


async def reason_of(call: Any) -> str:
    with pytest.raises(BashuCallError) as refused:
        await call
    return refused.value.reason


def officer(stack: Stack, number: int) -> Wire:
    return Wire(Profile.of_dev_stack(stack.state, f"officer-{number}", operator=f"000{number}"))


async def test_a_borrower_pauses_lists_and_resumes_and_nobody_else_does(
    stack: Stack, bank: Bashu, consented: Consented
) -> None:
    consent_id = await consented(identifier=SUBJECT)
    assert await reason_of(bank.pause_consent(consent_id)) == "ROLE_NOT_ALLOWED"
    async with Bashu(agent_profile(stack, STRANGER)) as stranger:
        assert await reason_of(stranger.pause_consent(consent_id)) == "CONSENT_NOT_FOUND_OR_NOT_YOURS"
        assert consent_id not in {consent.consent_id for consent in (await stranger.list_consents()).consents}
    async with Bashu(agent_profile(stack, SUBJECT)) as agent:
        await agent.pause_consent(consent_id)
        listed = await agent.list_consents(states=[consent_pb2.CONSENT_STATE_PAUSED])
        assert [consent.consent_id for consent in listed.consents] == [consent_id]
        assert await reason_of(bank.query_credit(question(SUBJECT, consent_id))) == "CONSENT_PAUSED"
        await agent.resume_consent(consent_id)
    await bank.query_credit(question(SUBJECT, consent_id))


async def test_a_hold_stands_until_a_second_officer_lifts_it(stack: Stack, bank: Bashu, consented: Consented) -> None:
    consent_id = await consented(identifier=SUBJECT)
    async with officer(stack, 1) as one, officer(stack, 2) as two, Wire.of(stack, "auditor-1") as auditor:
        place = compliance_pb2.PlaceHoldRequest(consent_id=consent_id, reason="e2e")
        assert await reason_of(auditor.call(auditor.compliance.PlaceHold, place)) == "ROLE_NOT_ALLOWED"
        hold = (await one.call(one.compliance.PlaceHold, place)).hold
        assert await reason_of(bank.query_credit(question(SUBJECT, consent_id))) == "CONSENT_HELD"
        lift = compliance_pb2.LiftHoldRequest(hold_id=hold.hold_id, reason="e2e")
        assert not (await one.call(one.compliance.LiftHold, lift)).lifted
        assert not (await one.call(one.compliance.LiftHold, lift)).lifted
        standing = await auditor.call(auditor.compliance.ListHolds, compliance_pb2.ListHoldsRequest())
        assert hold.hold_id in {found.hold_id for found in standing.holds}
        assert (await two.call(two.compliance.LiftHold, lift)).lifted
    await bank.query_credit(question(SUBJECT, consent_id))


async def test_a_frozen_file_is_asked_about_by_nobody(stack: Stack, bank: Bashu, consented: Consented) -> None:
    consent_id, subject = await consented(identifier=SUBJECT), question(SUBJECT, "").subject
    freeze, thaw = subject_pb2.FreezeFileRequest(subject=subject), subject_pb2.ThawFileRequest(subject=subject)
    async with Wire(agent_profile(stack, SUBJECT)) as agent, Wire(agent_profile(stack, STRANGER)) as stranger:
        assert await reason_of(stranger.call(stranger.subject.FreezeFile, freeze)) == "SUBJECT_MISMATCH"
        await agent.call(agent.subject.FreezeFile, freeze)
        assert await reason_of(bank.query_credit(question(SUBJECT, consent_id))) == "SUBJECT_FROZEN"
        await agent.call(agent.subject.ThawFile, thaw)
    await bank.query_credit(question(SUBJECT, consent_id))


async def test_the_command_line_lists_and_explains(
    stack: Stack, bank: Bashu, consented: Consented, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    consent_id = await consented(identifier=SUBJECT)
    assert main(["--dev", str(stack.state), "--code", SUBJECT]) == 0
    profile = tmp_path / "agent.toml"
    profile.write_text(capsys.readouterr().out)
    code, paused = await bashu_json("consent", "pause", consent_id, "--profile", str(profile))
    assert (code, paused["consent"]["state"]) == (0, "CONSENT_STATE_PAUSED")
    request = question(SUBJECT, consent_id)
    assert await reason_of(bank.query_credit(request)) == "CONSENT_PAUSED"

    async def is_explained() -> bool:
        explained.append(await bashu_json("consent", "explain", request.request_id, *_as(stack, LENDER)))
        return explained[-1][0] == 0

    explained: list[tuple[int | None, Any]] = []
    await until(is_explained, within_s=20, what="the refusal to be sealed")
    assert explained[-1][1]["outcome"] == "CONSENT_PAUSED"
    assert explained[-1][1]["steps"][-1]["name"] == "state"
    code, listed = await bashu_json("consent", "list", "--state", "PAUSED", *_as(stack, "authority-cq"))
    assert (code, consent_id in {consent["consent_id"] for consent in listed["consents"]}) == (0, True)
    await bashu_json("consent", "resume", consent_id, "--profile", str(profile))


async def test_a_lenders_consents_stand_after_its_key_was_replaced(stack: Stack) -> None:
    lender, file = "bank-06", stack.state / "keys" / "bank-06-next.pem"
    successor = admin_pb2.PublicKey(kid="bank-06-next", jwk=json.dumps(public_jwk(signing_key(file))), alg="ES256")
    old = Profile.of_dev_stack(stack.state, lender)
    grant = Grant(institution=lender, identifier=SUBJECT, items=("enterprise_registration",))
    async with Bashu(old) as bank, Wire.of(stack, "admin-1") as admin:
        await bank.register_consent(SigningAuthority(stack.authorities["authority-cq"]).sign(grant))
        await bank.query_credit(question(SUBJECT, str(grant.consent_id)))
        await admin.call(admin.admin.RotateKey, admin_pb2.RotateKeyRequest(participant_id=lender, key=successor))
    async with Bashu(old) as bank, Bashu(replace(old, kid=successor.kid, private_key=file)) as after:

        async def is_ended() -> bool:
            try:
                await bank.list_consents()
            except BashuCallError as error:
                return error.reason == "TOKEN_INVALID"
            return False

        await until(is_ended, within_s=20, what="the end of the key before")
        await after.query_credit(question(SUBJECT, str(grant.consent_id)))


async def test_the_export_keeps_every_rule_after_all_of_it(stack: Stack) -> None:
    async with Wire.of(stack, LENDER) as wire:
        assert await wire.call(wire.loan.ListLoans, loan_pb2.ListLoansRequest())
    async with ledger_reader(stack) as db:
        leaves = [base64.b64decode(json.loads(line)["leaf"]) for line in (await sealed_export(db))[:-1]]
    entries = (
        LogEntry(leaf_index=index, leaf_hash=leaf_hash(leaf), members=json.loads(leaf))
        for index, leaf in enumerate(leaves)
    )
    assert [found.line() for found in check_invariants(entries) if found.severity is not Severity.INFO] == []


def _as(stack: Stack, participant: str) -> tuple[str, ...]:
    return "--dev", str(stack.state), "--as", participant


async def bashu_json(*arguments: str) -> tuple[int | None, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bashu", *arguments, "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode, json.loads(out)
