"""The commands of docs/keys.md and docs/clock.md, run as they are written there, the keys' on a stack of their own."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bashu.client import Bashu
from bashu.profiles import Profile
from bashu.verify import VerificationError
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.questions import question
from loadtest.stack import Stack, dev_stack
from tests.e2e.conftest import LENDER, SUBJECT
from tests.e2e.test_rights_page import ROOT, run

PAGE = ROOT / "docs" / "keys.md"


@pytest.fixture
def own_stack() -> Iterator[Stack]:
    with dev_stack() as running:
        yield running


def commands(heading: str, page: Path = PAGE) -> list[str]:
    section = page.read_text(encoding="utf-8").split(heading)[1].split("\n## ")[0]
    (block,) = re.findall(r"```sh\n(.*?)```", section, re.DOTALL)
    return [line for line in block.splitlines() if line.strip()]


def keys(stack: Stack) -> list[dict[str, str]]:
    listed = run(stack, ".venv/bin/bashu-gateway keys list --json --settings .dev/gateway.toml")
    return [json.loads(line) for line in listed.splitlines()]


async def test_receipts_and_the_watch_follow_the_page_through_a_succession(own_stack: Stack) -> None:
    first = own_stack.ledger_vkey
    listing, adding, overlapping, retiring = commands("## 运营方 The operator")
    showing, watching = commands("## 使用方 Whoever checks")
    async with Bashu(Profile.of_dev_stack(own_stack.state, LENDER)) as bank:
        authority = SigningAuthority(own_stack.authorities["authority-cq"])

        async def signed_by(*vkeys: str) -> bool:
            """Ask until a receipt is signed by exactly ``vkeys``: workers follow within a second."""
            known = {first, *(key["vkey"] for key in keys(own_stack))}
            for _ in range(20):
                grant = Grant(institution=LENDER, identifier=SUBJECT, items=ITEMS)
                await bank.register_consent(authority.sign(grant))
                answer = await bank.query_credit(question(SUBJECT, str(grant.consent_id)))
                if {vkey for vkey in known if _verifies(answer, vkey)} == set(vkeys):
                    return True
            return False

        assert "签署中 SIGNING" in run(own_stack, listing)
        run(own_stack, watching)
        run(own_stack, adding)
        fresh = keys(own_stack)[1]
        run(own_stack, overlapping.replace("KEY_ID", fresh["key"]))
        assert await signed_by(first, fresh["vkey"])
        run(own_stack, watching)
        shown = run(own_stack, showing)
        assert json.loads(shown.splitlines()[-1].removeprefix("vkey = ")) == [first, fresh["vkey"]]
        run(own_stack, retiring.replace("OLD_KEY_ID", keys(own_stack)[0]["key"]))
        assert await signed_by(fresh["vkey"])
        run(own_stack, watching)
    # dev.json was written before the succession: it pins the old key alone.
    bashu = Path(sys.executable).parent / "bashu"
    old_only = [str(bashu), "ledger", "checkpoint", "--dev", str(own_stack.state), "--as", LENDER]
    refused = subprocess.run(old_only, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 4
    assert "日志可能已更换密钥 the log may have a new key, which its operator publishes" in refused.stderr
    run(own_stack, ".venv/bin/bashu-gateway fsck --settings .dev/gateway.toml")
    assert Path(own_stack.state / "keys" / f"ledger-{fresh['key']}.pem").stat().st_mode & 0o777 == 0o600


def test_the_commands_of_the_clocks_page_work_as_written(stack: Stack) -> None:
    showing, accepting = commands("# 数据库时钟", ROOT / "docs" / "clock.md")
    assert run(stack, showing).startswith("正常 SOUND")
    assert run(stack, accepting) == "正常 SOUND → 正常 SOUND\n"


def _verifies(answer: object, vkey: str) -> bool:
    try:
        answer.verify(vkey)  # type: ignore[attr-defined]
    except VerificationError:
        return False
    return True
