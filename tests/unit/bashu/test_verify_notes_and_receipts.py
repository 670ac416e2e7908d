import base64
import json
from datetime import UTC, datetime

import pytest

from bashu.verify import (
    Receipt,
    VerificationError,
    VerifierKey,
    receipt_json,
    verify_checkpoint,
    verify_promise,
    verify_receipt,
)
from bashu.verify.lines import answers, check_checkpoint, check_receipt
from tests.unit.bashu.conftest import Log, recursive_root

REPORT = b"\x0a\x24report bytes as sent"
LEAVES = [bytes([number]) * 32 for number in range(5)]


def _refused(receipt, log, report=REPORT):
    with pytest.raises(VerificationError) as refusal:
        verify_receipt(Receipt.from_message(receipt), report=report, vkey=VerifierKey.parse(log.vkey))
    return str(refusal.value)


def test_a_checkpoint_says_size_and_root_once_its_signature_holds(log):
    checkpoint = verify_checkpoint(log.checkpoint(LEAVES), VerifierKey.parse(log.vkey))
    assert (checkpoint.origin, checkpoint.size, checkpoint.root) == (log.origin, 5, recursive_root(LEAVES))


def test_signatures_of_witnesses_beside_the_log_are_ignored(log):
    witness = Log(origin="witness.example")
    note = log.checkpoint(LEAVES)
    text = note.split("\n\n")[0] + "\n"
    note += witness.sign(text).split("\n\n")[1]
    assert verify_checkpoint(note, VerifierKey.parse(log.vkey)).size == 5


@pytest.mark.parametrize(
    "spoil",
    [
        lambda note: note.replace("\n5\n", "\n6\n"),
        lambda note: note.replace("\n5\n", "\n05\n"),
        lambda note: note.removesuffix("\n"),
        lambda note: note.replace("— ", "- "),
        lambda note: note.split("\n\n")[0] + "\n",
        lambda note: note + note.split("\n\n")[1],
        lambda note: note + "— someone\n",
        lambda note: note.replace("\n5\n", "\n5\r\n"),
        lambda note: None,
    ],
)
def test_a_spoilt_checkpoint_is_refused(log, spoil):
    with pytest.raises(VerificationError):
        verify_checkpoint(spoil(log.checkpoint(LEAVES)), VerifierKey.parse(log.vkey))


def test_a_promise_is_no_checkpoint_and_a_checkpoint_no_promise(log):
    key = VerifierKey.parse(log.vkey)
    note = log.release(REPORT).promise.note
    assert verify_promise(note, key).publish_by == datetime(2026, 3, 1, 8, 0, 1, 250000, tzinfo=UTC)
    with pytest.raises(VerificationError):
        verify_checkpoint(note, key)
    with pytest.raises(VerificationError):
        verify_promise(log.checkpoint(LEAVES), key)


def test_a_key_with_another_hash_type_or_small_order_is_refused(log):
    name, digest, key = log.vkey.split("+", 2)
    for wrong in (
        f"{name}+00000000+{key}",
        f"other+{digest}+{key}",
        f"{name}+{digest}",
        f"{name}+{digest}+{key}=",
        "example.com/log/testdata+33d7b496+AgHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx",
    ):
        with pytest.raises(VerificationError):
            VerifierKey.parse(wrong)


@pytest.mark.parametrize(("others", "position"), [(0, 0), (1, 0), (1, 1), (6, 3), (63, 63)])
def test_a_receipt_holds_wherever_its_leaf_stands_in_the_batch(log, others, position):
    receipt = Receipt.from_message(log.release(REPORT, others=others, position=position))
    verified = verify_receipt(receipt, report=REPORT, vkey=VerifierKey.parse(log.vkey))
    assert verified.entry["type"] == "RELEASE"
    assert verified.publish_by == datetime(2026, 3, 1, 8, 0, 1, 250000, tzinfo=UTC)


def test_another_report_is_refused(log):
    assert "report_digest" in _refused(log.release(REPORT), log, REPORT + b" ")


def test_another_logs_receipt_is_refused(log):
    assert "no signature by" in _refused(log.release(REPORT), Log())


def test_an_entry_of_another_kind_or_origin_is_no_receipt(log):
    assert "RELEASE" in _refused(log.release(REPORT, type="RELEASE_WITHHELD"), log)
    assert "origin" in _refused(log.release(REPORT, origin="elsewhere.example"), log)


def test_a_flipped_byte_anywhere_in_entry_hash_root_or_path_is_refused(log):
    receipt = log.release(REPORT)
    for name, value in (("entry", receipt.entry), ("leaf_hash", receipt.leaf_hash), ("root", receipt.promise.root)):
        holder = receipt.promise if name == "root" else receipt
        for position in range(len(value)):
            setattr(holder, name, value[:position] + bytes([value[position] ^ 1]) + value[position + 1 :])
            _refused(receipt, log)
        setattr(holder, name, value)
    for number, value in enumerate(list(receipt.promise.path)):
        receipt.promise.path[number] = bytes([value[0] ^ 1]) + value[1:]
        _refused(receipt, log)
        receipt.promise.path[number] = value


def test_fields_beside_the_signed_promise_may_not_say_otherwise(log):
    receipt = log.release(REPORT)
    receipt.publish_by.seconds += 3600
    assert "publish_by" in _refused(receipt, log)
    receipt = log.release(REPORT)
    receipt.promise.batch_size += 1
    assert "batch" in _refused(receipt, log)


def test_a_line_takes_the_receipt_as_json_in_either_spelling_or_as_bytes(log):
    message = log.release(REPORT, position=0)
    plain = receipt_json(message)
    camel = {"leafHash": plain["leaf_hash"], "publishBy": plain["publish_by"], "entry": plain["entry"]}
    camel["promise"] = {
        "note": message.promise.note,
        "root": plain["promise"]["root"],
        "batchSize": "4",
        "path": plain["promise"]["path"],
    }
    encoded = base64.b64encode(message.SerializeToString()).decode()
    lines = [
        json.dumps({"receipt": form, "report_bytes": base64.b64encode(report).decode(), "vkey": log.vkey})
        for form in (plain, camel, encoded)
        for report in (REPORT, b"another")
    ]
    verdicts = [json.loads(answer)["ok"] for answer in answers(lines, check_receipt)]
    assert verdicts == [True, False] * 3


def test_a_line_that_is_no_check_is_answered_and_ends_nothing(log):
    lines = [
        "",
        "{",
        "[]",
        "[" * 100_000,
        "{}",
        json.dumps({"note": log.checkpoint(LEAVES), "vkey": log.vkey}),
        b"\xff\n",
    ]
    verdicts = [json.loads(answer) for answer in answers(lines, check_checkpoint)]
    assert [verdict["ok"] for verdict in verdicts] == [False, False, False, False, True, False]
    assert all((verdict["error"] is None) == verdict["ok"] for verdict in verdicts)
