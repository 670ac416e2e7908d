"""`bashu-gateway adapter check` against the dev stack's platforms, as an operator calls it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.stack import Stack

FIRST = "91500105XXTT00018M=重庆示例一号机电有限公司"
OTHERS = {
    "chongqing": "91500105XXTT00034B=重庆示例三号商贸有限公司",
    "sichuan": "91510107XXTT00026H=四川示例二号（成都）软件有限公司",
}
NOBODY = "91500105XXTT99995E"


def command(stack: Stack, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = str(stack.state / "gateway.toml")
    program = [sys.executable, "-m", "gateway.cli", "adapter", "check", *arguments, "--settings", settings]
    return subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
def test_a_running_platform_is_graded(stack: Stack, tmp_path: Path, platform: str) -> None:
    authority = SigningAuthority(stack.authorities["authority-cq"])
    consents: list[str] = []
    for firm in (FIRST, OTHERS[platform], NOBODY):
        code = firm.partition("=")[0]
        file = tmp_path / f"{code}.jws"
        file.write_bytes(authority.sign(Grant(institution="bank-cq", identifier=code, items=ITEMS)))
        consents += ["--artefact", f"{code}={file}"]
    firms = ("--subject", FIRST, "--other", OTHERS[platform], "--unknown", NOBODY)
    more = ("--institution", "bank-cq", "--books", stack.sandbox_control, "--test-environment", "--json")
    result = command(stack, platform, *firms, *consents, *more)
    found = json.loads(result.stdout)
    assert [fact for fact in found["facts"] if fact["outcome"] != "HOLDS"] == []
    assert (result.returncode, found["grade"], len(found["facts"])) == (0, "A", 52)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"--subject": "12345"}, "--subject: a unified social credit code"),
        ({"--purpose": "MARKETING"}, "--purpose: a purpose of the standard, not MARKETING"),
        ({"--artefact": f"{NOBODY}=/nowhere"}, "--artefact: the file /nowhere cannot be read"),
        ({"--books": "http://platform.example"}, "--books: the loopback address"),
    ],
)
def test_a_wrong_word_is_named_and_nobody_is_asked(stack: Stack, change: dict[str, str], expected: str) -> None:
    words = {"--subject": FIRST, "--other": OTHERS["chongqing"], "--unknown": NOBODY} | change
    result = command(stack, "chongqing", *(part for pair in words.items() for part in pair), "--test-environment")
    assert result.returncode == 2
    assert expected in result.stderr


def test_a_test_firm_without_the_consent_that_items_need_is_named_and_nobody_is_asked(
    stack: Stack, tmp_path: Path
) -> None:
    file = tmp_path / "consent.jws"
    file.write_text("e30.e30.e30")
    firms = ("--subject", FIRST, "--other", OTHERS["chongqing"], "--unknown", NOBODY)
    given = ("--artefact", f"{FIRST.partition('=')[0]}={file}")
    result = command(stack, "chongqing", *firms, *given, "--test-environment")
    assert result.returncode == 2
    assert "--artefact CODE=FILE: a consent of --other, --unknown too" in result.stderr


def test_without_the_confirmation_nobody_is_asked(stack: Stack) -> None:
    result = command(stack, "chongqing", "--subject", FIRST, "--other", FIRST, "--unknown", NOBODY)
    assert (result.returncode, "test-environment" in result.stderr) == (2, True)
