"""`bashu verify` against vectors of public projects; the folder is named by BASHU_VECTORS."""

import base64
import json
import os
from pathlib import Path

import pytest

from bashu.verify import (
    VerificationError,
    VerifierKey,
    leaf_hash,
    registrable_key,
    registrable_keys,
    tree_root,
    verify_checkpoint,
    verify_export,
    verify_inclusion,
    verify_jws,
)
from bashu.verify.lines import answers, check_consistency, check_inclusion
from tests.unit.bashu.conftest import recursive_path

_FOLDER = os.environ.get("BASHU_VECTORS")
if _FOLDER is None:
    pytest.skip("BASHU_VECTORS is not set: `bashu verify` is not run on outside vectors", allow_module_level=True)

LOG_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
LOG_SIZE = 15


def _read(name):
    return json.loads((Path(_FOLDER) / name).read_text(encoding="utf-8"))


def _verdict(line, check):
    return json.loads(next(answers([json.dumps(line)], check)))


def test_inclusion_proofs_are_judged_as_their_authors_say():
    cases = _read("merkle_inclusion.json")
    names = {
        "leafIdx": "leaf_index",
        "treeSize": "tree_size",
        "leafHash": "leaf_hash",
        "root": "root",
        "proof": "proof",
    }
    wrong = [
        case["case"]
        for case in cases
        if _verdict({new: case[old] for old, new in names.items()}, check_inclusion)["ok"] == case["wantErr"]
    ]
    assert wrong == []
    assert len(cases) > 40


def test_consistency_proofs_are_judged_as_their_authors_say_except_from_the_empty_tree():
    """From size 0 their verifier refuses all; C2SP tlog-witness needs the empty proof accepted, and only that."""
    cases = _read("merkle_consistency.json")
    wrong = []
    for case in cases:
        expected = not case["proof"] if case["size1"] == 0 else not case["wantErr"]
        line = {name: case[name] for name in ("size1", "size2", "root1", "root2", "proof")}
        if _verdict(line, check_consistency)["ok"] != expected:
            wrong.append(case["case"])
    assert wrong == []
    assert len(cases) > 30


def test_signatures_are_accepted_of_es256_and_eddsa_alone():
    groups = _read("jws_signature.json")["testGroups"]
    wrong, accepted = [], 0
    for group in groups:
        jwk = group.get("public") or group["private"]
        for case in group["tests"]:
            expected = case["result"] == "valid" and jwk.get("alg") in {"ES256", "EdDSA"}
            try:
                verify_jws(case["jws"], registrable_key(jwk))
                ok = True
            except VerificationError:
                ok = False
            accepted += ok
            if ok != expected:
                wrong.append((group["comment"], case["tcId"]))
    assert wrong == []
    assert accepted >= 2


def test_every_key_that_registration_must_refuse_is_refused():
    """All sets of the file are bad, symmetric or RSA; only the last two kinds have valid cases, of other algorithms."""
    for group in _read("jws_keys.json")["testGroups"]:
        keys = group.get("public") or group["private"]
        with pytest.raises(VerificationError):
            registrable_keys(keys) if "keys" in keys else registrable_key(keys)


@pytest.mark.parametrize("size", range(LOG_SIZE + 1))
def test_every_checkpoint_of_a_foreign_log_is_re_derived_from_its_entries(size):
    log = Path(_FOLDER) / "tlog"
    checkpoint = verify_checkpoint((log / f"checkpoint.{size}").read_text(encoding="utf-8"), VerifierKey.parse(LOG_KEY))
    entries = _bundle((log / f"tile/entries/000.p/{size}").read_bytes()) if size else []
    hashes = [leaf_hash(entry) for entry in entries]
    assert checkpoint.size == size == len(entries)
    assert checkpoint.root == tree_root(hashes)
    if size:
        assert (log / f"tile/0/000.p/{size}").read_bytes() == b"".join(hashes)


def test_a_flipped_byte_anywhere_in_a_foreign_checkpoint_is_refused():
    note = bytearray((Path(_FOLDER) / "tlog/checkpoint.15").read_bytes())
    key = VerifierKey.parse(LOG_KEY)
    for position in range(len(note)):
        note[position] ^= 1
        with pytest.raises(VerificationError):
            verify_checkpoint(note.decode("utf-8", "surrogateescape"), key)
        note[position] ^= 1


def _bundle(raw):
    entries, position = [], 0
    while position < len(raw):
        length = int.from_bytes(raw[position : position + 2])
        entries.append(raw[position + 2 : position + 2 + length])
        position += 2 + length
    return entries


def test_a_single_leaf_of_the_foreign_log_is_its_own_proof():
    root = base64.b64decode((Path(_FOLDER) / "tlog/checkpoint.1").read_text(encoding="utf-8").split("\n")[2])
    entry = _bundle((Path(_FOLDER) / "tlog/tile/entries/000.p/1").read_bytes())[0]
    verify_inclusion(leaf_hash(entry), leaf_index=0, tree_size=1, proof=[], root=root)


def test_an_export_of_the_foreign_log_leads_to_its_own_checkpoint_and_a_changed_entry_does_not():
    """Its entries are no entries of ours, which is said of each; of its tree there is nothing to say."""
    log = Path(_FOLDER) / "tlog"
    entries = _bundle((log / "tile/entries/000.p/15").read_bytes())
    hashes = [leaf_hash(entry) for entry in entries]
    lines = [
        {
            "leaf_index": index,
            "leaf": base64.b64encode(entry).decode(),
            "proof": [base64.b64encode(item).decode() for item in recursive_path(index, hashes)],
        }
        for index, entry in enumerate(entries)
    ]
    last = {"checkpoint": (log / "checkpoint.15").read_text(encoding="utf-8")}

    def found():
        export = [json.dumps(line).encode() + b"\n" for line in [*lines, last]]
        return [
            (finding.code, finding.leaf_index)
            for finding in verify_export(lambda: export, VerifierKey.parse(LOG_KEY)).findings
        ]

    assert found() == [("MALFORMED_ENTRY", index) for index in range(LOG_SIZE)]
    lines[7]["leaf"] = base64.b64encode(entries[7] + b"x").decode()
    assert found()[7] == ("PROOF_WRONG", 7)
