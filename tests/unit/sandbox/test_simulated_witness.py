"""The sandbox's witness cosigns what continues the log it saw, and answers all else as C2SP tlog-witness says."""

from __future__ import annotations

import base64
import hashlib

import pytest

from bashu.verify import WitnessPolicy
from sandbox.witness import NAME, NotCosigned, Witness, consistent
from tests.unit.bashu.conftest import Log, recursive_consistency, recursive_root

NOW = 1_800_000_000
LEAVES = [hashlib.sha256(bytes([number])).digest() for number in range(40)]
EMPTY = hashlib.sha256(b"").digest()


def root(size):
    return recursive_root(LEAVES[:size])


def proof(size1, size2):
    return [] if size1 in {0, size2} else recursive_consistency(size1, LEAVES[:size2])


@pytest.fixture
def log():
    return Log(origin="log.example/bashu")


@pytest.fixture
def witness(log, tmp_path):
    return Witness(tmp_path / "witness", vkeys=[log.vkey])


def body(old, path, note):
    return "\n".join([f"old {old}", *(base64.b64encode(one).decode() for one in path), "", note])


def ask(witness, log, old, size, *, path=None, note=None):
    note = log.checkpoint(LEAVES[:size]) if note is None else note
    return witness.add_checkpoint(body(old, proof(old, size) if path is None else path, note), now=NOW)


def refused(*arguments, **changes):
    with pytest.raises(NotCosigned) as caught:
        ask(*arguments, **changes)
    return caught.value.status


def test_every_proof_of_a_tree_holds_and_none_that_was_changed():
    for size2 in range(1, 24):
        for size1 in range(size2 + 1):
            path, old = proof(size1, size2), root(size1) if size1 else EMPTY
            assert consistent(size1, size2, old, root(size2), path)
            assert not consistent(size1, size2, old, root(size2), [*path, bytes(32)])
            if 0 < size1 < size2:
                assert not consistent(size1, size2, bytes(32), root(size2), path)
                assert not consistent(size1, size2, old, bytes(32), path)
                assert not consistent(size1, size2, old, root(size2), path[:-1])
    assert not consistent(3, 3, bytes(32), root(3), [])
    assert not consistent(0, 0, EMPTY, bytes(32), [])


def test_a_log_that_grows_is_cosigned_and_what_is_signed_holds_by_the_verifiers_own_code(witness, log):
    for old, size in ((0, 7), (7, 7), (7, 40)):
        note = log.checkpoint(LEAVES[:size])
        line = ask(witness, log, old, size)
        (found,) = WitnessPolicy.parse([witness.vkey]).check(note + line)
        assert (found.witness, found.at.timestamp()) == (NAME, NOW)
    assert witness.seen.size == 40


def test_what_it_saw_and_its_key_outlive_it(witness, log, tmp_path):
    ask(witness, log, 0, 7)
    again = Witness(tmp_path / "witness", vkeys=[log.vkey])
    assert (again.vkey, again.seen) == (witness.vkey, witness.seen)
    assert refused(again, log, 0, 9) == 409
    ask(again, log, 7, 9)


def test_another_size_than_the_last_is_told_the_last(witness, log):
    ask(witness, log, 0, 7)
    for old in (0, 6, 8):
        with pytest.raises(NotCosigned) as caught:
            ask(witness, log, old, 9, path=[])
        assert (caught.value.status, caught.value.size) == (409, 7)
    assert refused(witness, log, 9, 7, path=[]) == 400


def test_a_fork_is_never_cosigned(witness, log):
    ask(witness, log, 0, 7)
    other = [bytes(32), *LEAVES[1:9]]
    assert refused(witness, log, 7, 9, note=log.checkpoint(other), path=recursive_consistency(7, other)) == 422
    assert refused(witness, log, 7, 7, note=log.checkpoint(other[:7]), path=[]) == 422
    assert refused(witness, log, 7, 9, path=[]) == 422
    assert witness.seen.root == root(7)


def test_strangers_are_refused(witness, log):
    assert refused(witness, Log(origin="other.example"), 0, 7) == 404
    assert refused(witness, Log(origin=log.origin), 0, 7) == 403
    spoiled = log.checkpoint(LEAVES[:7]).replace("\n7\n", "\n8\n")
    assert refused(witness, log, 0, 7, note=spoiled) == 403


@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text.replace("old 0", "old 00"),
        lambda text: text.replace("old 0", "new 0"),
        lambda text: text.replace("old 0", "old 0\n????"),
        lambda text: text.replace("old 0", "old 0" + "\nAAAA" * 64),
        lambda text: text.replace("— ", "- "),
        lambda text: text.partition("\n\n— ")[0],
        lambda text: "",
    ],
)
def test_a_malformed_request_is_refused(witness, log, spoil):
    with pytest.raises(NotCosigned) as caught:
        witness.add_checkpoint(spoil(body(0, [], log.checkpoint(LEAVES[:7]))), now=NOW)
    assert caught.value.status in {400, 404}


def test_a_log_whose_key_was_succeeded_is_known_by_either(log, tmp_path):
    successor = Log(origin=log.origin)
    witness = Witness(tmp_path / "witness", vkeys=[log.vkey, successor.vkey])
    ask(witness, log, 0, 7)
    ask(witness, successor, 7, 9)
