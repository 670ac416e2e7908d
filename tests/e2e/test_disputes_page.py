"""The commands of docs/standard/disputes.md, run as they are written there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from loadtest.stack import Stack

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "standard" / "disputes.md"
PLACEHOLDER = re.compile(r"\b(RECORD_ID|DISPUTE_ID|LETTER_ID)\b")


def commands(heading: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line for line in block.splitlines() if line.strip()]


def run(stack: Stack, command: str, ids: dict[str, str], *extra: str) -> str:
    command = PLACEHOLDER.sub(lambda match: ids[match[1]], command)
    command = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace(".dev", str(stack.state))
    done = subprocess.run(
        ["bash", "-c", " ".join([command, *extra])], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def read(stack: Stack, command: str, ids: dict[str, str]) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(stack, command, ids, "--json"))
    return answer


def test_the_page_of_disputes_works_as_written_for_subject_and_officer(stack: Stack) -> None:
    ids: dict[str, str] = {}
    profile, report, opened, show, statement, again, second = commands("## 例：主体 Example: the subject")
    run(stack, profile, ids)
    [record] = read(stack, report, ids)["report"]["records"]
    ids["RECORD_ID"] = record["record_id"]
    dispute = read(stack, opened, ids)["dispute"]
    assert (dispute["channel"], dispute["opened_by"]) == ("INTERFACE", "SUBJECT")
    ids["DISPUTE_ID"] = dispute["dispute_id"]
    ends = time.monotonic() + 20
    while (found := read(stack, show, ids)["dispute"])["state"] != "DISPUTE_STATE_FORWARDED":
        assert time.monotonic() < ends, found["state"]
    assert found["platform_reference"].startswith("SCD")
    run(stack, statement, ids)
    notes = read(stack, again, ids)["report"]["annotations"]
    assert {(note["kind"], note["record_id"]) for note in notes} == {
        ("DISPUTED", ids["RECORD_ID"]),
        ("STATEMENT", ids["RECORD_ID"]),
    }
    ids["LETTER_ID"] = read(stack, second, ids)["dispute"]["dispute_id"]

    listed, letter, *steps, everything, corrections = commands("## 例：合规 Example: an officer")
    tasks = {one["dispute_id"]: one.get("task", "") for one in read(stack, listed, ids)["disputes"]}
    assert (tasks[ids["LETTER_ID"]], tasks[ids["DISPUTE_ID"]]) == ("SEND_LETTER", "")
    assert "no branch there" in run(stack, letter, ids)
    for step in steps:
        run(stack, step, ids)
    states = {one["dispute_id"]: one["state"] for one in read(stack, everything, ids)["disputes"]}
    assert states[ids["LETTER_ID"]] == "DISPUTE_STATE_ANSWERED"
    assert "更正 corrections" in run(stack, corrections, ids)
