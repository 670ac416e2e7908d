"""The tiled tree against RFC 6962 written out as recursion, and against pymerkle."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymerkle import InmemoryTree

from ledger.merkle import (
    EMPTY_ROOT,
    Frontier,
    TileHashes,
    TreeError,
    batch_tree,
    consistency_holds,
    consistency_nodes,
    edge_tiles,
    grow,
    inclusion_holds,
    inclusion_nodes,
)
from ledger.model import leaf_hash

LEAVES = [leaf_hash(b"leaf %d" % n) for n in range(1200)]
SIZES = st.integers(min_value=1, max_value=len(LEAVES))


def mth(leaves):
    """RFC 6962 section 2.1, word for word."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = largest_power_below(len(leaves))
    return hashlib.sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m, leaves):
    if len(leaves) == 1:
        return []
    k = largest_power_below(len(leaves))
    return [*path(m, leaves[:k]), mth(leaves[k:])] if m < k else [*path(m - k, leaves[k:]), mth(leaves[:k])]


def subproof(m, leaves, complete):
    if m == len(leaves):
        return [] if complete else [mth(leaves)]
    k = largest_power_below(len(leaves))
    if m <= k:
        return [*subproof(m, leaves[:k], complete), mth(leaves[k:])]
    return [*subproof(m - k, leaves[k:], False), mth(leaves[:k])]


def largest_power_below(n):
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def tiles_of_size(size, step):
    tiles, at = {}, 0
    while at < size:
        edge = {place: tiles[place] for place in edge_tiles(at)}
        new = LEAVES[at : min(at + step, size)]
        tiles |= grow(at, edge, new)
        at += len(new)
    return tiles


def test_empty_tree_has_the_root_of_nothing():
    assert TileHashes({}).root(0) == EMPTY_ROOT == Frontier().root() == batch_tree([])[0]


@settings(max_examples=40, deadline=None)
@given(size=SIZES, step=st.integers(min_value=1, max_value=700), data=st.data())
def test_tiles_grown_in_any_steps_give_the_roots_and_proofs_of_the_rfc(size, step, data):
    hashes = TileHashes(tiles_of_size(size, step))
    leaf = data.draw(st.integers(min_value=0, max_value=size - 1))
    first = data.draw(st.integers(min_value=1, max_value=size))
    assert hashes.root(size) == mth(LEAVES[:size])
    assert hashes.root(first) == mth(LEAVES[:first])
    assert hashes.proof(inclusion_nodes(leaf, size)) == path(leaf, LEAVES[:size])
    assert hashes.proof(consistency_nodes(first, size)) == subproof(first, LEAVES[:size], True)


@settings(max_examples=20, deadline=None)
@given(size=SIZES, small=SIZES)
def test_a_tile_grown_further_still_serves_the_smaller_tree(size, small):
    hashes = TileHashes(tiles_of_size(max(size, small), 97))
    assert hashes.root(min(size, small)) == mth(LEAVES[: min(size, small)])


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 255, 256, 257, 513])
def test_inclusion_proofs_equal_those_of_pymerkle(size):
    oracle = InmemoryTree(algorithm="sha256")
    for n in range(size):
        oracle.append_entry(b"leaf %d" % n)
    hashes = TileHashes(tiles_of_size(size, 64))
    assert hashes.root(size) == oracle.get_root(size)
    for leaf in {0, size // 2, size - 1}:
        theirs = [bytes.fromhex(text) for text in oracle.prove_inclusion(leaf + 1, size).serialize()["path"]]
        assert [LEAVES[leaf], *hashes.proof(inclusion_nodes(leaf, size))] == theirs


@settings(max_examples=40, deadline=None)
@given(size=SIZES, data=st.data())
def test_right_proofs_hold_and_any_flipped_bit_breaks_them(size, data):
    hashes = TileHashes(tiles_of_size(size, 256))
    index = data.draw(st.integers(min_value=0, max_value=size - 1))
    proof = hashes.proof(inclusion_nodes(index, size))
    facts = {"leaf_index": index, "size": size, "leaf": LEAVES[index], "root": hashes.root(size)}
    assert inclusion_holds(**facts, proof=proof)
    assert not inclusion_holds(**facts, proof=[*proof, LEAVES[0]])
    if proof:
        assert not inclusion_holds(**facts, proof=flipped(proof, data))
        assert not inclusion_holds(**facts, proof=proof[:-1])


@settings(max_examples=40, deadline=None)
@given(size=SIZES, data=st.data())
def test_right_consistency_proofs_hold_and_any_flipped_bit_breaks_them(size, data):
    hashes = TileHashes(tiles_of_size(size, 256))
    first = data.draw(st.integers(min_value=1, max_value=size))
    proof = hashes.proof(consistency_nodes(first, size))
    facts = {"size1": first, "size2": size, "root1": hashes.root(first), "root2": hashes.root(size)}
    assert consistency_holds(**facts, proof=proof)
    assert not consistency_holds(**facts, proof=[*proof, LEAVES[0]])
    if proof:
        assert not consistency_holds(**facts, proof=flipped(proof, data))


def flipped(proof, data):
    place = data.draw(st.integers(min_value=0, max_value=len(proof) - 1))
    bit = data.draw(st.integers(min_value=0, max_value=255))
    changed = bytearray(proof[place])
    changed[bit // 8] ^= 1 << bit % 8
    return [*proof[:place], bytes(changed), *proof[place + 1 :]]


def test_from_the_empty_tree_only_the_empty_proof_is_consistent():
    facts = {"size1": 0, "size2": 1, "root1": EMPTY_ROOT, "root2": LEAVES[0]}
    assert consistency_holds(**facts, proof=[])
    assert not consistency_holds(**facts, proof=[LEAVES[0]])
    assert consistency_nodes(0, 5) == []


def test_growing_from_tiles_of_another_size_is_refused():
    with pytest.raises(TreeError, match="holds 2 hashes, not 3"):
        grow(3, {(0, 0): b"".join(LEAVES[:2])}, [LEAVES[3]])


def test_a_node_beyond_the_tiles_at_hand_is_refused():
    with pytest.raises(TreeError, match="does not reach"):
        TileHashes({(0, 0): LEAVES[0]}).root(2)


def test_leaf_outside_the_tree_has_no_proof():
    with pytest.raises(TreeError):
        inclusion_nodes(5, 5)
    with pytest.raises(TreeError):
        consistency_nodes(6, 5)


@settings(max_examples=20, deadline=None)
@given(size=st.integers(min_value=1, max_value=70))
def test_batch_paths_are_inclusion_paths_of_the_batch(size):
    root, paths = batch_tree(LEAVES[:size])
    assert root == mth(LEAVES[:size])
    assert paths == [path(n, LEAVES[:size]) for n in range(size)]


def test_frontier_has_the_root_at_every_size():
    frontier = Frontier()
    for n in range(300):
        frontier.append(LEAVES[n])
        assert frontier.root() == mth(LEAVES[: n + 1])
