"""The commands of docs/rights.md, run as they are written there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bashu.client import Bashu
from loadtest.questions import question
from loadtest.stack import Stack
from tests.e2e.conftest import SUBJECT, Consented

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "rights.md"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
PLACEHOLDER = re.compile(r"\b(CONSENT_ID|ENTRY_ID|SAMPLE_ID|SAMPLED_ID|ERASURE_ID|PRESERVATION_ID)\b")


def commands(heading: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line for line in block.splitlines() if line.strip()]


def filled(command: str, ids: dict[str, str]) -> str:
    return PLACEHOLDER.sub(lambda match: ids[match[1]], command)


def run(stack: Stack, command: str, *extra: str) -> str:
    command = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace(".dev", str(stack.state))
    done = subprocess.run(
        ["bash", "-c", " ".join([command, *extra])], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def asked(stack: Stack, command: str) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(stack, f".venv/bin/bashu {command}", "--json"))
    return answer


@pytest.fixture
async def queried(bank: Bashu, consented: Consented) -> str:
    consent_id = await consented()
    await bank.query_credit(question(SUBJECT, consent_id))
    return consent_id


async def test_the_page_of_rights_works_as_written_for_borrower_and_officer(stack: Stack, queried: str) -> None:
    borrower = commands("## 信息主体 A borrower")
    assert len(borrower) == 9
    shown = [run(stack, command) for command in borrower]
    assert "免费（每年两次）" in shown[2]
    assert "限制处理 RESTRICTED" in shown[-1]
    kinds = [json.loads(line)["kind"] for line in (stack.state / "mine.jsonl").read_text().splitlines()]
    assert {"subject", "consent", "access", "own_report", "hold"} <= set(kinds)
    assert (stack.state / "mine.jsonl").stat().st_mode & 0o077 == 0

    found = asked(stack, f"compliance search --consent {queried} --dev .dev --as officer-1")["accesses"]
    ids = {"CONSENT_ID": queried, "ENTRY_ID": found[0]["entry_id"]}
    officer = commands("## 合规人员 An officer")
    assert len(officer) == 14
    for command in officer:
        if "SAMPLE_ID" in command:
            drawn = asked(stack, "compliance sample --size 1 --dev .dev --as officer-1")
            ids |= {"SAMPLE_ID": drawn["sample_id"], "SAMPLED_ID": drawn["accesses"][0]["entry_id"]}
        if "ERASURE_ID" in command and "ERASURE_ID" not in ids:
            listed = asked(stack, "compliance erasures --dev .dev --as auditor-1")["erasures"]
            ids["ERASURE_ID"] = listed[0]["erasure_id"]
        shown.append(run(stack, filled(command, ids)))
        if "compliance preserve" in command:
            ids["PRESERVATION_ID"] = UUID.search(shown[-1])[0]
    assert "示例员工0001" in shown[12]
    assert "SECOND_OFFICER_NEEDED" not in shown[-1]
    assert "已删除 ERASED" in shown[-1]
    assert "两名合规人员" in shown[-1]
