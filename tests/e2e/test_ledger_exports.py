"""What outsiders do with the ledger, with the commands as installed: take it away, check it offline, watch it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from bashu.client import Bashu
from bashu.saved import await_proof
from loadtest.questions import question
from loadtest.stack import Stack

SUBJECT = "91500105XXTT00018M"

Consented = Callable[..., Awaitable[str]]


async def bashu(*arguments: object) -> tuple[int | None, Any]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "bashu", *map(str, arguments), "--json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode, json.loads(out)


async def sealed_query(bank: Bashu, consent_id: str) -> None:
    answer = await bank.query_credit(question(SUBJECT, consent_id))
    assert await await_proof(bank, answer, wait_s=15) is not None


async def test_an_auditors_export_holds_offline_and_one_changed_byte_is_found(
    stack: Stack, bank: Bashu, consented: Consented, tmp_path: Path
) -> None:
    consent_id = await consented()
    await sealed_query(bank, consent_id)
    auditor = ("--dev", stack.state, "--as", "auditor-1")
    whole, of_consent = tmp_path / "whole.jsonl", tmp_path / "consent.jsonl"
    assert (await bashu("ledger", "export", whole, *auditor))[0] == 0
    code, verdict = await bashu("verify", "export", whole, "--vkey", stack.ledger_vkey)
    assert (code, verdict["is_whole"], verdict["error"]) == (0, True, None)

    code, done = await bashu("ledger", "export", of_consent, "--consent", consent_id, *auditor)
    assert (code, done["added"] >= 3) == (0, True)
    code, verdict = await bashu("verify", "export", of_consent, "--vkey", stack.ledger_vkey)
    assert (code, verdict["is_whole"], verdict["consent"]) == (0, False, consent_id)

    content = bytearray(whole.read_bytes())
    content[len(content) // 2] ^= 1
    whole.write_bytes(content)
    code, verdict = await bashu("verify", "export", whole, "--vkey", stack.ledger_vkey)
    assert code == 4
    assert verdict["findings"][0]["line"] is not None


async def test_a_reviewers_look_is_in_the_log_and_a_lender_sees_its_own_alone(
    stack: Stack, bank: Bashu, consented: Consented
) -> None:
    consent_id = await consented()
    await sealed_query(bank, consent_id)
    code, seen = await bashu("ledger", "list", "--consent", consent_id, "--dev", stack.state, "--as", "officer-1")
    assert code == 0
    assert [row["entry"]["type"] for row in seen["entries"]][:3] == ["CONSENT_REGISTERED", "QUERY_INTENT", "RELEASE"]
    await sealed_query(bank, await consented())
    code, seen = await bashu("ledger", "list", "--type", "REVIEW_VIEW", "--dev", stack.state, "--as", "auditor-1")
    assert any(row["entry"].get("consent", {}).get("id") == consent_id for row in seen["entries"])
    code, seen = await bashu("ledger", "list", "--consent", consent_id, "--dev", stack.state, "--as", "bank-sc")
    assert (code, seen["entries"]) == (0, [])


async def test_the_watch_follows_the_log_and_keeps_what_it_saw(
    stack: Stack, bank: Bashu, consented: Consented, tmp_path: Path
) -> None:
    watch = ("ledger", "watch", "--once", "--state", tmp_path / "seen", "--dev", stack.state, "--as", "bank-sc")
    code, first = await bashu(*watch)
    assert (code, first["ok"], first["before"]) == (0, True, None)
    await sealed_query(bank, await consented())
    code, later = await bashu(*watch)
    assert (code, later["before"]) == (0, first["size"])
    assert later["size"] > first["size"]
    code, _ = await bashu(*watch, "--entries", "new")
    assert code == 1, "a lender reads its own entries alone, and must not take others' for missing"
    code, read = await bashu(*watch[:-1], "auditor-1", "--entries", "all")
    assert (code, read["entries"]) == (0, read["size"])


async def test_a_lender_follows_every_change_of_its_consents_in_order(
    stack: Stack, bank: Bashu, consented: Consented
) -> None:
    feed = ("ledger", "list", "--type", "CONSENT_REGISTERED", "--type", "CONSENT_STATUS", "--limit", "500")
    mine = ("--dev", stack.state, "--as", "bank-cq")
    _, before = await bashu(*feed, *mine)
    seen = max((row["leaf_index"] for row in before["entries"]), default=-1)
    consent_id = await consented()
    await sealed_query(bank, consent_id)
    await bank.revoke_consent(consent_id, reason="NO_LONGER_NEEDED")
    async with asyncio.timeout(20):
        rows: list[Any] = []
        while len(rows) < 2:
            _, after = await bashu(*feed, "--from-index", str(seen + 1), *mine)
            rows = [row["entry"] for row in after["entries"] if row["entry"]["consent"]["id"] == consent_id]
    assert [row["type"] for row in rows] == ["CONSENT_REGISTERED", "CONSENT_STATUS"]
    assert (rows[1]["status"]["to"], rows[1]["consent"]["revision"]) == ("REVOKED", 2)
    _, others = await bashu(*feed, "--dev", stack.state, "--as", "bank-sc")
    assert consent_id not in {row["entry"]["consent"]["id"] for row in others["entries"]}
