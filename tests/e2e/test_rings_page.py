"""The commands of docs/standard/guarantee-rings.md and evaluation.md, and what the related firms see of them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import grpc
import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.v1 import report_pb2, subject_pb2
from loadtest.agent import agent_profile
from loadtest.observation import ledger_reader, sealed_export
from loadtest.questions import Wire, question
from loadtest.stack import Stack
from tests.e2e.conftest import Consented

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "standard" / "guarantee-rings.md"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
A, B, C = "91500105XXTT00114Y", "91510107XXTT00122T", "91500105XXTT00157C"
RELATED = {"items": ["financing_guarantee"], "purpose": "RELATED_PARTY_REVIEW"}


def run(stack: Stack, command: str) -> str:
    command = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace(".dev", str(stack.state))
    wide = {**os.environ, "COLUMNS": "200"}
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=wide
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_the_pages_commands_find_the_ring(stack: Stack) -> None:
    (block,) = re.findall(r"```sh\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    *steps, asking = block.replace("\\\n", " ").strip().splitlines()
    for step in steps:
        printed = run(stack, step)
        if named := re.search(r"prints (CONSENT_\w)", step):
            found = UUID.search(printed)
            assert found is not None
            asking = asking.replace(named[1], found.group())
    printed = run(stack, asking)
    assert "担保圈 RING" in printed
    assert f"{A} → {B} → {C}" in printed
    assert printed.count("已覆盖 COVERED") == 2


def test_the_evaluation_pages_commands_grade_the_firm_of_the_officers_page(stack: Stack) -> None:
    page = PAGE.with_name("evaluation.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"```sh\n(.*?)```", page, re.DOTALL)
    grant, register, evaluate, query = block.replace("\\\n", " ").strip().splitlines()
    run(stack, grant)
    found = UUID.search(run(stack, register))
    assert found is not None
    for asking in (evaluate, query):
        printed = run(stack, asking.replace("CONSENT_ID", found.group()))
        for fact in ("XYD-3", "691", "0.7182"):
            assert fact in printed


async def test_each_related_firm_sees_the_access_with_its_own_purpose(
    stack: Stack, bank: Bashu, consented: Consented
) -> None:
    related = [await consented(identifier=B, **RELATED), await consented(identifier=C, **RELATED)]
    asked = question(A, await consented(identifier=A), related_consent_ids=related, include_evaluation=True)
    report: report_pb2.CreditReport = (await bank.query_credit(asked)).report
    assert report.evaluation.in_ring == "yes"
    async with ledger_reader(stack) as db:
        await sealed_export(db)
    for code, one in zip((B, C), report.guarantee_network.related_consents, strict=True):
        async with Wire(agent_profile(stack, code)) as agent:
            ask = subject_pb2.ListAccessesRequest(subject=question(code, "").subject)
            accesses = (await agent.call(agent.subject.ListAccesses, ask)).accesses
        seen = [access for access in accesses if access.consent_id == one.consent_id]
        assert [(access.purpose, access.institution) for access in seen] == [("RELATED_PARTY_REVIEW", "bank-cq")]


async def test_more_than_eight_related_consents_are_an_invalid_argument(bank: Bashu, consented: Consented) -> None:
    ids = [f"00000000-0000-7000-8000-00000000000{number}" for number in range(9)]
    with pytest.raises(BashuCallError, match="related_consent_ids") as refused:
        await bank.query_credit(question(A, await consented(identifier=A), related_consent_ids=ids))
    assert (refused.value.code, refused.value.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED")
