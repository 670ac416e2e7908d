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


async def test_a_text_is_registered_and_read_back_as_written(stack: Stack) -> None:
    write, register, read = commands("## The texts")
    run(stack, write)
    digest = SHA256.search(run(stack, register))
    assert digest is not None
    assert "保存期限" in run(stack, read.replace("SHA256", digest.group()))
