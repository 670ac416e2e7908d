"""The commands of docs/consent.md on how a lender comes by a consent, run as they are written there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from loadtest.stack import Stack

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "consent.md"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SHA256 = re.compile(r"\b[0-9a-f]{64}\b")


def commands(heading: str) -> list[str]:
    section = PAGE.read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


def run(stack: Stack, command: str) -> str:
    command = command.replace(".venv/bin/", f"{Path(sys.executable).parent}/").replace(".dev", str(stack.state))
    done = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False, env=_wide()
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def _wide() -> dict[str, str]:
    return {**os.environ, "COLUMNS": "200"}


def registered(stack: Stack) -> str:
    write, register, read = commands("## The texts")
    run(stack, write)
    digest = SHA256.search(run(stack, register))
    assert digest is not None
    assert "保存期限" in run(stack, read.replace("SHA256", digest.group()))
    return digest.group()


def test_a_lender_asks_and_the_borrower_grants_less_as_written(stack: Stack) -> None:
    request, agent, read, sign, decide, listing = commands("## Asking a borrower")
    asked = run(stack, request.replace("SHA256", registered(stack)))
    found = UUID.search(asked)
    assert found is not None
    assert f"https://portal.invalid/consents/{found.group()}" in asked
    run(stack, agent)
    assert "REQUESTED" in run(stack, read.replace("BUNDLE_ID", found.group()))
    run(stack, sign)
    decided = run(stack, decide.replace("BUNDLE_ID", found.group()))
    assert "ACTIVE" in decided
    assert "纳税信用" not in decided
    assert "GRANTED" in run(stack, read.replace("BUNDLE_ID", found.group()))
    assert found.group() in run(stack, listing)


def test_a_lender_registers_a_letter_and_uploads_its_paper_as_written(stack: Stack) -> None:
    scan, sign, register, ask, listing, submit = commands("## Letters on paper")
    run(stack, scan)
    run(stack, sign)
    found = UUID.search(run(stack, register))
    assert found is not None
    assert "截止" in run(stack, ask.replace("CONSENT_ID", found.group()))
    assert found.group() in run(stack, listing)
    assert "收到" in run(stack, submit.replace("CONSENT_ID", found.group()))


def test_two_officers_hold_and_lift_as_written(stack: Stack) -> None:
    hold, listing, first, second = commands("## An officer")
    sign = "python -m loadtest.grant --dev .dev --institution bank-cq --code 91500105XXTT00018M > .dev/held.jws"
    run(stack, f".venv/bin/{sign}")
    consent = UUID.search(run(stack, ".venv/bin/bashu consent register .dev/held.jws --dev .dev --as bank-cq"))
    assert consent is not None
    placed = UUID.search(run(stack, hold.replace("CONSENT_ID", consent.group())))
    assert placed is not None
    assert placed.group() in run(stack, listing)
    assert "待第二人" in run(stack, first.replace("HOLD_ID", placed.group()))
    assert "已解除" in run(stack, second.replace("HOLD_ID", placed.group()))
    assert placed.group() not in run(stack, listing)
