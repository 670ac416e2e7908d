"""The server's tree and notes against vectors of public projects, where BASHU_VECTORS names their folder."""

from __future__ import annotations

import base64
import json
import os
from pathlib import Path

import pytest

from ledger.merkle import Frontier, TileHashes, consistency_holds, edge_tiles, grow, inclusion_holds
from ledger.model import leaf_hash
from ledger.note import open_checkpoint, parse_vkey

VECTORS = Path(os.environ.get("BASHU_VECTORS", ""))
TLOG_VKEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"
pytestmark = pytest.mark.skipif("BASHU_VECTORS" not in os.environ, reason="BASHU_VECTORS names no folder")


def cases(name):
    return json.loads((VECTORS / name).read_text())


def hashes(texts):
    return [base64.b64decode(text) for text in texts or []]


def test_inclusion_proofs_are_accepted_and_refused_as_the_vectors_say():
    wrong = []
    for case in cases("merkle_inclusion.json"):
        holds = inclusion_holds(
            leaf_index=case["leafIdx"],
            size=case["treeSize"],
            leaf=base64.b64decode(case["leafHash"]),
            proof=hashes(case["proof"]),
            root=base64.b64decode(case["root"]),
        )
        if holds is case["wantErr"]:
            wrong.append(case["case"])
    assert wrong == []


def test_consistency_proofs_are_accepted_and_refused_as_the_vectors_say():
    """Cases from size 0 with an empty proof are right here, as C2SP witnesses require, if the roots are hashes."""
    wrong = []
    for case in cases("merkle_consistency.json"):
        holds = consistency_holds(
            size1=case["size1"],
            size2=case["size2"],
            root1=base64.b64decode(case["root1"]),
            root2=base64.b64decode(case["root2"]),
            proof=hashes(case["proof"]),
        )
        if holds is case["wantErr"]:
            wrong.append(case["case"])
    assert wrong == []


def test_a_complete_sample_log_has_the_roots_and_tiles_computed_here():
    key = parse_vkey(TLOG_VKEY)
    bundle = (VECTORS / "tlog/tile/entries/000.p/15").read_bytes()
    tiles, frontier = {}, Frontier()
    while bundle:
        length = int.from_bytes(bundle[:2], "big")
        leaf, bundle = leaf_hash(bundle[2 : 2 + length]), bundle[2 + length :]
        edge = {place: tiles[place] for place in edge_tiles(frontier.size)}
        tiles |= grow(frontier.size, edge, [leaf])
        frontier.append(leaf)
        checkpoint = open_checkpoint((VECTORS / f"tlog/checkpoint.{frontier.size}").read_text(), key)
        assert (checkpoint.size, checkpoint.root) == (frontier.size, frontier.root())
        assert TileHashes(tiles).root(frontier.size) == checkpoint.root
        assert tiles[0, 0] == (VECTORS / f"tlog/tile/0/000.p/{frontier.size}").read_bytes()
    assert frontier.size == 15
