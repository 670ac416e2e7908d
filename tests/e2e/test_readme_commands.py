"""The README's first query, run as it is written there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

README = Path(__file__).parents[2] / "README.md"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def first_query() -> list[str]:
    """Return the commands of the second code block under the heading, continued lines joined."""
    section = README.read_text(encoding="utf-8").split("## First query in five minutes")[1].split("\n## ")[0]
    block = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)[1]
    return [line for line in block.replace("\\\n", " ").splitlines() if line.strip()]


@pytest.mark.parametrize("binaries", [Path(sys.executable).parent])
def test_the_first_query_of_the_readme_works_as_written(stack, binaries):
    consent_id = ""
    commands = first_query()
    assert len(commands) == 4
    for command in commands:
        runnable = (
            command.replace("CONSENT_ID", consent_id)
            .replace(".venv/bin/", f"{binaries}/")
            .replace(" .dev", f" {stack.state}")
        )
        done = subprocess.run(
            ["bash", "-c", runnable], cwd=README.parent, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        if "consent register" in command:
            consent_id = UUID.search(done.stdout).group()
