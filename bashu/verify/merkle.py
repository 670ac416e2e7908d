"""Merkle proofs of RFC 6962, checked with the iterative algorithms of RFC 9162 sections 2.1.3.2 and 2.1.4.2."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from bashu.verify.strict import VerificationError, sized_hash

EMPTY_ROOT: Final = hashlib.sha256(b"").digest()


def leaf_hash(leaf: bytes) -> bytes:
    """Hash one leaf: SHA-256 of 0x00 and the exact bytes (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x00" + leaf).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash one inner node: SHA-256 of 0x01 and both children (RFC 6962 section 2.1)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


class Frontier:
    """The right edge of a tree that grows leaf by leaf: its complete subtrees as (leaves, hash), the largest first."""

    def __init__(self, peaks: Iterable[tuple[int, bytes]] = ()) -> None:
        self.peaks = list(peaks)

    @property
    def size(self) -> int:
        """Leaves in the tree."""
        return sum(size for size, _ in self.peaks)

    def add(self, value: bytes) -> None:
        """Append one leaf hash."""
        size, node = 1, value
        while self.peaks and self.peaks[-1][0] == size:
            node = node_hash(self.peaks.pop()[1], node)
            size *= 2
        self.peaks.append((size, node))

    def root(self) -> bytes:
        """Return the root; of the empty tree, SHA-256 of the empty string."""
        if not self.peaks:
            return EMPTY_ROOT
        *others, (_, root) = self.peaks
        for _, peak in reversed(others):
            root = node_hash(peak, root)
        return root


def tree_root(leaf_hashes: Iterable[bytes]) -> bytes:
    """Root over ordered leaf hashes; of none, SHA-256 of the empty string."""
    frontier = Frontier()
    for value in leaf_hashes:
        frontier.add(value)
    return frontier.root()


def verify_inclusion(leaf: bytes, *, leaf_index: int, tree_size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that the leaf hash ``leaf`` stands at ``leaf_index`` in the tree of ``tree_size`` leaves under ``root``.

    Raises:
        VerificationError: the proof has the wrong length or leads to another root.
    """
    _require_hashes({"leaf hash": leaf, "root": root}, proof)
    if not 0 <= leaf_index < tree_size:
        raise VerificationError(f"leaf index {leaf_index} is outside a tree of {tree_size}")
    position, last, node = leaf_index, tree_size - 1, leaf
    for sibling in proof:
        if last == 0:
            raise VerificationError("inclusion proof is too long")
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            position, last = _climb_left(position, last)
        else:
            node = node_hash(node, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise VerificationError("inclusion proof is too short")
    if node != root:
        raise VerificationError("inclusion proof leads to another root")


def verify_consistency(*, size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> None:
    """Check that the tree (``size1``, ``root1``) is a prefix of the tree (``size2``, ``root2``).

    From ``size1 = 0`` everything is consistent and nothing can be proved: an empty proof is accepted, as C2SP
    tlog-witness requires, whatever the roots say, and any other is refused.

    Raises:
        VerificationError: the sizes, the proof's length or one of the roots is wrong.
    """
    if not 0 <= size1 <= size2:
        raise VerificationError(f"sizes {size1} and {size2} are not an older and a newer tree")
    if size1 == 0:
        if proof:
            raise VerificationError("a proof from the empty tree must be empty")
        return
    _require_hashes({"root1": root1, "root2": root2}, proof)
    if size1 == size2:
        if proof:
            raise VerificationError("a proof between equal sizes must be empty")
        if root1 != root2:
            raise VerificationError("two roots for one size: the log has forked")
        return
    old, new = _consistency_roots(size1, size2, root1, proof)
    if old != root1:
        raise VerificationError("consistency proof leads to another old root")
    if new != root2:
        raise VerificationError("consistency proof leads to another new root")


def _consistency_roots(size1: int, size2: int, root1: bytes, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    if not proof:
        raise VerificationError("consistency proof is empty")
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            raise VerificationError("consistency proof is too long")
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            position, last = _climb_left(position, last)
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    if last != 0:
        raise VerificationError("consistency proof is too short")
    return old, new


def _climb_left(position: int, last: int) -> tuple[int, int]:
    """Skip the levels at which the node is its parent's only child."""
    while position and not position & 1:
        position, last = position >> 1, last >> 1
    return position, last


def _require_hashes(named: dict[str, bytes], proof: Sequence[bytes]) -> None:
    for name, value in named.items():
        sized_hash(value, name)
    for number, value in enumerate(proof):
        sized_hash(value, f"proof[{number}]")
