"""A running stack whose log a witness cosigns: what a lender keeps and an auditor watches holds by the witness's key."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.saved import await_proof, entry_id_of, save_evidence
from bashu.v1 import ledger_pb2
from core.clock import SystemClock
from database import open_database
from gateway.doctor.local import ledger_findings
from gateway.doctor.model import State
from gateway.settings import load_settings
from gateway.witness.asking import Asking
from gateway.witness.client import WitnessClient
from gateway.witness.model import Witness
from ledger import store as ledger_store
from ledger.witness.cosignature import parse_witness_vkey
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.questions import question
from loadtest.stack import Stack, dev_stack
from tests.e2e.test_ledger_exports import SUBJECT, Consented, bashu
from tests.witness_stage import SmallWitness


@pytest.fixture
async def witness(stack: Stack, tmp_path: Path) -> AsyncIterator[SmallWitness]:
    witness = SmallWitness("w.example/1", log_vkey=stack.ledger_vkey, state=tmp_path / "witness")
    await witness.start()
    yield witness
    await witness.stop()


async def cosign_newest(stack: Stack, witness: SmallWitness) -> None:
    """Do once what the sealer's process does where the settings name witnesses."""
    db, client = await open_database((stack.state / "dsn" / "sealer").read_text(), max_size=2), WitnessClient()
    known = Witness(key=parse_witness_vkey(witness.vkey), url=witness.url)
    asking = Asking(db, witnesses=[known], quorum=1, client=client, clock=SystemClock())
    try:
        assert await asking.look()
        assert await ledger_store.latest_checkpoint(db) is not None
    finally:
        await client.close()
        await db.close()


async def test_a_lenders_receipt_and_an_auditors_watch_and_export_rest_on_the_witness_too(
    stack: Stack, bank: Bashu, consented: Consented, witness: SmallWitness, tmp_path: Path
) -> None:
    answer = await bank.query_credit(question(SUBJECT, await consented()))
    entry_id, kept = entry_id_of(answer.receipt.entry), tmp_path / "kept"
    save_evidence(kept, answer, proof=await await_proof(bank, answer, wait_s=15), vkey=stack.ledger_vkey)
    with pytest.raises(BashuCallError, match="no quorum"):
        await bank.get_checkpoint(witnessed=True)
    asked = ("--witness", witness.vkey)
    code, found = await bashu("verify", "receipt", kept, *asked)
    assert (code, found["error"]) == (4, "checkpoint: 0 of 1 cosignatures asked for")

    await cosign_newest(stack, witness)
    lender, auditor = (("--dev", stack.state, "--as", name) for name in ("bank-cq", "auditor-1"))
    code, _ = await bashu("ledger", "proof", entry_id, "--witnessed", "--save", kept / "receipt.tlog-proof", *lender)
    assert code == 0
    code, found = await bashu("verify", "receipt", kept, *asked)
    assert (code, len(found["cosigned"])) == (0, 1)
    code, found = await bashu(
        "verify",
        "tlog-proof",
        kept / "receipt.tlog-proof",
        *asked,
        "--receipt",
        kept / "receipt.json",
        "--vkey",
        stack.ledger_vkey,
    )
    assert (code, len(found["cosigned"])) == (0, 1)

    code, found = await bashu("ledger", "checkpoint", "--witnessed", *auditor)
    assert (code, found["verified"]) == (0, True)
    watching = ("ledger", "watch", "--once", "--state", tmp_path / "watched", *auditor)
    code, found = await bashu(*watching, *asked)
    assert (code, found["cosigned"][0].split()[0]) == (0, "w.example/1")
    stranger = SmallWitness("other.example/1", log_vkey=stack.ledger_vkey, state=tmp_path / "other")
    code, found = await bashu(*watching, "--witness", stranger.vkey)
    assert (code, found["alarm"]) == (4, "UNWITNESSED")

    export = tmp_path / "export.jsonl"
    assert (await bashu("ledger", "export", export, "--witnessed", *auditor))[0] == 0
    code, found = await bashu("verify", "export", export, "--vkey", stack.ledger_vkey, *asked)
    assert (code, found["is_whole"], len(found["cosigned"])) == (0, True, 1)


async def test_a_proof_names_a_size_or_the_witnessed_tree_not_both(bank: Bashu) -> None:
    with pytest.raises(BashuCallError, match="not both"):
        await bank.get_inclusion_proof(0, tree_size=1, witnessed=True)


async def test_the_dev_stacks_own_witness_cosigns_what_the_sealer_signs_and_the_doctor_says_so() -> None:
    with dev_stack(arguments=("--witness",)) as stack:
        async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
            authority = SigningAuthority(stack.authorities["authority-cq"])
            grant = Grant(institution="bank-cq", identifier=SUBJECT, items=ITEMS)
            await bank.register_consent(authority.sign(grant))
            answer = await bank.query_credit(question(SUBJECT, str(grant.consent_id)))
            entry_id = entry_id_of(answer.receipt.entry)
            proof = await witnessed_proof(bank, entry_id)
            save_evidence(stack.state / "kept", answer, proof=proof, vkey=stack.ledger_vkey)
        code, found = await bashu("verify", "receipt", stack.state / "kept", "--witness", stack.state / "witness.vkey")
        assert (code, len(found["cosigned"])) == (0, 1)
        settings = load_settings(stack.state / "gateway.toml")
        checks = {finding.check: finding async for finding in ledger_findings(settings)}
        assert checks["ledger.witnesses"].state is State.OK
        assert checks[f"ledger.witness.{settings.ledger.witnesses[0].name}"].state is State.OK


async def witnessed_proof(bank: Bashu, entry_id: str) -> ledger_pb2.GetInclusionProofResponse:
    """Ask until the witness has cosigned a tree with the entry in it, which takes the sealer 5 s and a little."""
    async with asyncio.timeout(60):
        while True:
            try:
                return await bank.get_inclusion_proof(entry_id, witnessed=True)
            except BashuCallError as error:
                if error.reason != "NOT_FOUND_OR_NOT_YOURS":
                    raise
            await asyncio.sleep(0.25)
