"""The doctor, from the command line and over gRPC: every link of the dev stack, and each fault named with its turn."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from bashu.errors import BashuCallError
from bashu.v1 import admin_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.questions import Wire
from loadtest.stack import Stack

SUBJECT = "91500105XXTT00018M"


def doctor(settings: Path, *arguments: str) -> tuple[int, dict[str, dict[str, str]]]:
    program = [sys.executable, "-m", "gateway.cli", "doctor", "--settings", str(settings), "--json", *arguments]
    result = subprocess.run(program, capture_output=True, text=True, timeout=120, check=False)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    return result.returncode, {line["check"]: line for line in lines}


def test_every_link_of_the_dev_stack_is_sound(stack: Stack, tmp_path: Path) -> None:
    authority = SigningAuthority(stack.authorities["authority-cq"])
    consent = tmp_path / "consent.jws"
    consent.write_bytes(authority.sign(Grant(institution="bank-cq", identifier=SUBJECT, items=ITEMS)))
    sample = ("--sample", SUBJECT, "--artefact", f"{SUBJECT}={consent}", "--institution", "bank-cq")
    code, found = doctor(stack.state / "gateway.toml", *sample, "--test-environment")
    assert [line for line in found.values() if line["state"] == "FAIL"] == []
    assert code == 0
    for platform in ("chongqing", "sichuan"):
        for step in ("adapter", "dns", "tls", "clock", "latency", "credentials", "sample.enterprise_registration"):
            assert f"platforms.{platform}.{step}" in found
    assert {"operator.licence", "database.gateway.schema", "ledger.sealer", "ledger.key", "vault"} <= set(found)
    assert not any(SUBJECT in json.dumps(line) for line in found.values())


def another_port(text: str) -> str:
    place = text.index("[platforms.sichuan]")
    start = text.index("https://127.0.0.1:", place)
    return text[:start] + "https://127.0.0.1:9" + text[text.index('"', start) :]


FAULTS: dict[str, tuple[Callable[[str], str], str, str, str]] = {
    "nobody listens": (another_port, "platforms.sichuan.port", "no connection", "PLATFORM"),
    "a name that is none": (
        lambda text: another_port(text).replace("https://127.0.0.1:9", "https://nowhere.invalid"),
        "platforms.sichuan.dns",
        "nowhere.invalid has no address",
        "OPERATOR",
    ),
    "no agreement": (
        lambda text: text.replace("SANDBOX-AGREEMENT-sichuan", " "),
        "platforms.sichuan.adapter",
        "agreement_id is missing (rule R44)",
        "OPERATOR",
    ),
    "a licence that ended": (
        lambda text: text.replace("valid_from = ", 'valid_to = "2021-01-01"\nvalid_from = ', 1),
        "operator.licence",
        "not valid today",
        "OPERATOR",
    ),
    "another log's key": (
        lambda text: text.replace('origin = "', 'origin = "other.'),
        "ledger.key",
        "not signed by the key of these settings",
        "OPERATOR",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named_with_whose_turn_it_is(stack: Stack, fault: str) -> None:
    change, check, expected, turn = FAULTS[fault]
    text = (stack.state / "gateway.toml").read_text()
    settings = stack.state / f"{fault.replace(' ', '-')}.toml"
    settings.write_text(change(text))
    assert settings.read_text() != text
    code, found = doctor(settings)
    settings.unlink()
    assert (code, found[check]["state"], found[check]["turn"]) == (1, "FAIL", turn)
    assert expected in found[check]["en"]


def test_a_sample_wants_the_confirmation(stack: Stack) -> None:
    assert doctor(stack.state / "gateway.toml", "--sample", SUBJECT) == (2, {})


async def test_the_administrator_runs_it_from_afar_and_sees_no_secret(stack: Stack) -> None:
    async with Wire.of(stack, "admin-1") as wire:
        findings = (await wire.call(wire.admin.RunDoctor, admin_pb2.RunDoctorRequest())).findings
        shown = (await wire.call(wire.admin.GetSettings, admin_pb2.GetSettingsRequest())).settings
    assert {finding.check for finding in findings} >= {"ledger.sealer", "platforms.chongqing.tls"}
    assert all(finding.ok for finding in findings)
    assert shown["keys.name_seal"] == shown["ledger.signing_key"] == "(file)"
    assert shown["region"] == "CN"
    assert not any("/" in value for name, value in shown.items() if name.startswith(("keys.", "vault.", "database.")))


async def test_nobody_else_runs_it(stack: Stack) -> None:
    async with Wire.of(stack, "officer-1") as wire:
        with pytest.raises(BashuCallError) as refused:
            await wire.call(wire.admin.RunDoctor, admin_pb2.RunDoctorRequest())
    assert refused.value.reason == "ROLE_NOT_ALLOWED"
