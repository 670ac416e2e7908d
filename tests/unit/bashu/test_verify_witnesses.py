"""Who else saw this checkpoint: cosignatures checked by the lender's own code, offline, in commands and by a watch."""

from __future__ import annotations

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from bashu.alarms import Alarm, LogAlarm
from bashu.cli.verify import app
from bashu.errors import BashuCallError
from bashu.saved import check_evidence, save_evidence
from bashu.v1 import ledger_pb2
from bashu.verify import VerificationError, VerifierKey, WitnessKey, WitnessPolicy, verify_export
from bashu.verify.lines import check_checkpoint, check_tlog_proof
from bashu.watch import LogWatch, Witnessing
from tests.unit.bashu.conftest import recursive_path, recursive_root, tlog_proof
from tests.unit.bashu.test_ledger_follow import Gateway
from tests.unit.bashu.test_verify_export import export, sound
from tests.unit.ledger.test_cosignatures import PUBLIC_LINES, PUBLIC_TEXT, PUBLIC_TIME, PUBLIC_VKEY

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
LEAVES = [bytes([number]) * 32 for number in range(5)]


class Witness:
    def __init__(self, name):
        self.name = name
        self.key = Ed25519PrivateKey.generate()
        self.encoded = b"\x04" + self.key.public_key().public_bytes_raw()
        self.key_id = hashlib.sha256(name.encode() + b"\n" + self.encoded).digest()[:4]

    @property
    def vkey(self):
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(self.encoded).decode()}"

    def cosign(self, note, *, at=NOW, text=None, cut=None):
        text = note.partition("\n\n")[0] + "\n" if text is None else text
        time = int(at.timestamp()) if isinstance(at, datetime) else at
        signature = self.key.sign(f"cosignature/v1\ntime {time}\n{text}".encode())
        raw = (self.key_id + time.to_bytes(8) + signature)[:cut]
        return f"{note}— {self.name} {base64.b64encode(raw).decode()}\n"


@pytest.fixture
def three():
    return [Witness(f"w{number}.example") for number in range(3)]


def policy(witnesses, quorum=None):
    return WitnessPolicy.parse([one.vkey for one in witnesses], quorum)


def cosigned(note, witnesses, **how):
    for one in witnesses:
        note = one.cosign(note, **how)
    return note


def test_what_a_public_witness_signed_counts():
    found = WitnessPolicy.parse([PUBLIC_VKEY]).check(f"{PUBLIC_TEXT}\n{PUBLIC_LINES}")
    assert [(one.witness, one.at.timestamp()) for one in found] == [("remora.n621.de", PUBLIC_TIME)]
    with pytest.raises(VerificationError, match="does not hold"):
        WitnessPolicy.parse([PUBLIC_VKEY]).check(f"{PUBLIC_TEXT}x\n\n{PUBLIC_LINES}")


@pytest.mark.parametrize(("signing", "holds"), [(3, True), (2, True), (1, False), (0, False)])
def test_two_of_three_have_to_have_cosigned_where_the_quorum_is_two(log, three, signing, holds):
    note = cosigned(log.checkpoint(LEAVES), three[:signing])
    if holds:
        assert [one.witness for one in policy(three, 2).check(note)] == [one.name for one in three[:signing]]
    else:
        with pytest.raises(VerificationError, match=f"{signing} of 2 cosignatures"):
            policy(three, 2).check(note)


def test_strangers_and_the_log_itself_are_no_witnesses(log, three):
    note = cosigned(log.checkpoint(LEAVES), [Witness("w0.example"), *three[1:]])
    with pytest.raises(VerificationError, match="2 of 3"):
        policy(three).check(note)
    with pytest.raises(VerificationError):
        WitnessKey.parse(log.vkey)


@pytest.mark.parametrize("how", [{"text": "another\n"}, {"at": 0}, {"at": 2**62}, {"cut": -1}])
def test_a_cosignature_of_a_known_key_that_does_not_hold_spoils_the_note(log, three, how):
    note = three[0].cosign(cosigned(log.checkpoint(LEAVES), three[1:]), **how)
    with pytest.raises(VerificationError):
        policy(three, 2).check(note)


def test_one_witness_never_counts_twice(log, three):
    with pytest.raises(VerificationError, match="two cosignatures"):
        policy(three[:1]).check(cosigned(log.checkpoint(LEAVES), [three[0], three[0]]))
    with pytest.raises(VerificationError, match="twice"):
        policy([three[0], three[0]])
    for quorum in (0, 4):
        with pytest.raises(VerificationError, match="quorum"):
            policy(three, quorum)


@pytest.mark.parametrize("vkey", [None, "x", "w.example+00000000+BAAA", PUBLIC_VKEY.replace("da77", "da78")])
def test_a_key_that_is_no_witness_key_is_refused(vkey):
    with pytest.raises(VerificationError):
        WitnessKey.parse(vkey)


def test_the_quorum_th_newest_time_says_how_old_it_is(log, three):
    note = log.checkpoint(LEAVES)
    for hours, one in enumerate(three):
        note = one.cosign(note, at=NOW - timedelta(hours=hours))
    asked = policy(three, 2)
    assert asked.seen_at(asked.check(note)) == NOW - timedelta(hours=1)


def test_a_line_may_name_witnesses_and_a_quorum(log, three):
    note = cosigned(log.checkpoint(LEAVES), three[:2])
    line = {"note": note, "vkey": log.vkey, "witnesses": [one.vkey for one in three]}
    check_checkpoint(line | {"quorum": 2})
    proof = {"tlog_proof": tlog_proof(3, LEAVES, note), "vkey": log.vkey, "witnesses": line["witnesses"]}
    proof["leaf_hash"] = base64.b64encode(LEAVES[3]).decode()
    check_tlog_proof(proof | {"quorum": 2})
    for check, given in ((check_checkpoint, line), (check_tlog_proof, proof)):
        for wrong in (
            {},
            {"quorum": 3},
            {"quorum": 0},
            {"quorum": "two"},
            {"witnesses": "x"},
            {"witnesses": None, "quorum": 1},
        ):
            with pytest.raises(VerificationError):
                check(given | wrong)


def run(*arguments):
    result = CliRunner().invoke(app, [*map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout) if result.stdout.strip() else None


def test_the_command_shows_who_cosigned_and_refuses_below_the_quorum(log, three, tmp_path):
    file, key = tmp_path / "checkpoint", tmp_path / "w0.vkey"
    file.write_text(cosigned(log.checkpoint(LEAVES), three[:2]))
    key.write_text(three[0].vkey + "\n")
    asked = ("--vkey", log.vkey, "--witness", key, "--witness", three[1].vkey, "--witness", three[2].vkey)
    code, found = run("checkpoint", file, *asked, "--quorum", 2)
    assert (code, found["cosigned"]) == (0, [f"w{number}.example 2026-11-27T12:00:00Z" for number in (0, 1)])
    code, found = run("checkpoint", file, *asked)
    assert (code, found["error"]) == (4, "checkpoint: 2 of 3 cosignatures asked for")
    assert run("checkpoint", file, "--vkey", log.vkey, "--quorum", 2)[0] == 2
    assert run("checkpoint", file, "--vkey", log.vkey, "--witness", log.vkey)[0] == 2
    assert "cosigned" not in run("checkpoint", file, "--vkey", log.vkey)[1]


def test_an_export_under_a_cosigned_checkpoint_holds_and_another_does_not(log, three, tmp_path):
    lines = list(export(sound().leaves, log))
    note = json.loads(lines[-1])["checkpoint"]
    file = tmp_path / "export"
    file.write_bytes(b"".join([*lines[:-1], json.dumps({"checkpoint": cosigned(note, three)}).encode() + b"\n"]))
    code, found = run("export", file, "--vkey", log.vkey, *(x for one in three for x in ("--witness", one.vkey)))
    assert (code, found["ok"], len(found["cosigned"])) == (0, True, 3)
    verdict = verify_export(lambda: lines, VerifierKey.parse(log.vkey), witnesses=policy(three))
    assert [finding.code for finding in verdict.findings] == ["CHECKPOINT_MISSING"]


class Answer:
    def __init__(self, log):
        self.report_bytes = b"report"
        self.receipt = log.release(self.report_bytes)


@pytest.fixture
def kept(log, three, tmp_path):
    """A folder whose checkpoint nobody cosigned yet, and the leaves of the log its entry stands in."""
    answer = Answer(log)
    hashes = [*LEAVES, answer.receipt.leaf_hash]
    note = log.checkpoint(hashes)
    proof = ledger_pb2.GetInclusionProofResponse(
        leaf_index=5, tree_size=6, leaf_hash=hashes[5], proof=recursive_path(5, hashes), checkpoint=note
    )
    save_evidence(tmp_path / "kept", answer, proof=proof, vkey=log.vkey)
    return tmp_path / "kept", hashes


def test_a_receipt_is_witnessed_by_a_proof_that_was_fetched_later(log, three, kept):
    folder, hashes = kept
    asked = policy(three, 2)
    assert check_evidence(folder, vkey=log.vkey).cosigned == ()
    with pytest.raises(VerificationError, match="0 of 2"):
        check_evidence(folder, vkey=log.vkey, witnesses=asked)
    later = [*hashes, bytes(32)]
    note = cosigned(log.checkpoint(later), three)
    (folder / "receipt.tlog-proof").write_text(tlog_proof(5, later, note))
    evidence = check_evidence(folder, vkey=log.vkey, witnesses=asked)
    assert (evidence.checkpoint.size, len(evidence.cosigned)) == (7, 3)
    code, found = run("receipt", folder, *(x for one in three for x in ("--witness", one.vkey)), "--quorum", 2)
    assert (code, len(found["cosigned"])) == (0, 3)


def test_a_receipt_without_a_checkpoint_is_not_witnessed(log, three, kept):
    folder, _ = kept
    for name in ("inclusion.json", "checkpoint"):
        (folder / name).unlink()
    with pytest.raises(VerificationError, match="no checkpoint was kept"):
        check_evidence(folder, vkey=log.vkey, witnesses=policy(three))
    report = ("--report", folder / "report.bin", "--vkey", log.vkey, "--witness", three[0].vkey)
    assert run("receipt", "--receipt", folder / "receipt.json", *report)[0] == 2


def test_two_kept_trees_of_one_size_that_differ_are_refused(log, kept):
    folder, hashes = kept
    other = [b"\xff" * 32, *hashes[1:]]
    (folder / "receipt.tlog-proof").write_text(tlog_proof(5, other, log.checkpoint(other)))
    with pytest.raises(VerificationError, match="another place"):
        check_evidence(folder, vkey=log.vkey)


class WitnessedGateway(Gateway):
    """Its witnesses cosigned the first ``seen`` leaves (of ``theirs``, where that is another log) at ``at``."""

    def __init__(self, log, leaves, witnesses):
        super().__init__(log, leaves)
        self.witnesses, self.seen, self.at, self.theirs = witnesses, 10, NOW, None

    def cosigned(self):
        if "witnessed" in self.refuses:
            return super().cosigned()
        hashes = (self.theirs or self.hashes)[: self.seen]
        note = cosigned(self.log.checkpoint(hashes), self.witnesses, at=self.at)
        return ledger_pb2.GetCheckpointResponse(checkpoint=note, tree_size=len(hashes))


@pytest.fixture
def gateway(log, three):
    return WitnessedGateway(log, sound().leaves, three[:2])


@pytest.fixture
def watching(gateway, three, tmp_path):
    witnessing = Witnessing(policy=policy(three, 2), oldest=timedelta(hours=1), now=lambda: NOW)
    return LogWatch(tmp_path / "state" / "checkpoint", VerifierKey.parse(gateway.log.vkey), witnessing=witnessing)


async def alarm_of(watching, gateway):
    with pytest.raises(LogAlarm) as raised:
        await watching.look(gateway)
    return raised.value.alarm


async def test_a_watch_sees_who_cosigned_whether_less_the_same_or_more_than_it_is_shown(gateway, watching):
    for seen in (10, 14):
        gateway.seen = seen
        look = await watching.look(gateway)
        assert (look.size, [one.witness for one in look.cosigned]) == (14, ["w0.example", "w1.example"])


async def test_a_log_that_no_quorum_cosigned_lately_raises_an_alarm(gateway, watching):
    gateway.at = NOW - timedelta(hours=1)
    await watching.look(gateway)
    gateway.at = NOW - timedelta(hours=1, seconds=1)
    assert await alarm_of(watching, gateway) is Alarm.UNWITNESSED
    gateway.at, gateway.witnesses = NOW, gateway.witnesses[:1]
    assert await alarm_of(watching, gateway) is Alarm.UNWITNESSED
    gateway.refuses = {"witnessed": "NOT_FOUND_OR_NOT_YOURS"}
    assert await alarm_of(watching, gateway) is Alarm.UNWITNESSED


async def test_witnesses_that_saw_another_log_than_the_one_shown_here_are_a_fork(gateway, watching, tmp_path):
    await watching.look(gateway)
    gateway.theirs = [recursive_root([]), *gateway.hashes[1:]]
    assert await alarm_of(watching, gateway) is Alarm.FORKED
    assert (tmp_path / "state" / "checkpoint.alarm").exists()


async def test_a_gateway_that_does_not_answer_for_its_witnesses_is_no_alarm(gateway, watching, monkeypatch):
    def away():
        raise BashuCallError(reason="UNREACHABLE", message="", code=None, turn="OPERATOR")

    monkeypatch.setattr(gateway, "cosigned", away)
    with pytest.raises(BashuCallError):
        await watching.look(gateway)
