"""Proofs from stored tiles, always towards a signed checkpoint, and the C2SP tlog-proof text."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass

from database import Statements
from ledger import store
from ledger.merkle import Node, TileHashes, TreeError, consistency_nodes, inclusion_nodes, tiles_of


@dataclass(frozen=True, slots=True, kw_only=True)
class InclusionProof:
    """That ``leaf_hash`` is leaf ``leaf_index`` of the tree that ``checkpoint`` signs (RFC 6962 section 2.1.1)."""

    leaf_index: int
    leaf_hash: bytes
    hashes: tuple[bytes, ...]
    checkpoint: store.SignedHead

    def tlog_proof(self) -> str:
        """Return the C2SP tlog-proof text."""
        lines = ["c2sp.org/tlog-proof@v1", f"index {self.leaf_index}"]
        lines += [base64.b64encode(value).decode() for value in self.hashes]
        return "\n".join(lines) + "\n\n" + self.checkpoint.note


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsistencyProof:
    """That the tree of ``size1`` leaves begins the tree that ``checkpoint`` signs (RFC 6962 section 2.1.2)."""

    size1: int
    hashes: tuple[bytes, ...]
    checkpoint: store.SignedHead


async def inclusion_proof(db: Statements, leaf_index: int, *, tree_size: int | None = None) -> InclusionProof | None:
    """Prove ``leaf_index`` in the checkpoint of exactly ``tree_size`` leaves (None: the newest).

    None means: no such checkpoint was signed, or it does not reach this leaf (yet).
    """
    checkpoint = await _checkpoint(db, tree_size)
    if checkpoint is None or not 0 <= leaf_index < checkpoint.size:
        return None
    groups = inclusion_nodes(leaf_index, checkpoint.size)
    hashes = await _hashes(db, [[(0, leaf_index)], *groups])
    return InclusionProof(leaf_index=leaf_index, leaf_hash=hashes[0], hashes=tuple(hashes[1:]), checkpoint=checkpoint)


async def consistency_proof(db: Statements, size1: int, *, tree_size: int | None = None) -> ConsistencyProof | None:
    """Prove that the tree of ``size1`` leaves is a prefix of the checkpoint of ``tree_size`` (None: the newest).

    None means: no such checkpoint was signed, or it is smaller than ``size1``.
    """
    checkpoint = await _checkpoint(db, tree_size)
    if checkpoint is None or not 0 <= size1 <= checkpoint.size:
        return None
    hashes = await _hashes(db, consistency_nodes(size1, checkpoint.size))
    return ConsistencyProof(size1=size1, hashes=tuple(hashes), checkpoint=checkpoint)


async def _checkpoint(db: Statements, tree_size: int | None) -> store.SignedHead | None:
    return await (store.latest_checkpoint(db) if tree_size is None else store.checkpoint_at(db, tree_size))


async def _hashes(db: Statements, groups: Sequence[Sequence[Node]]) -> list[bytes]:
    tiles = await store.tiles(db, tiles_of(groups))
    try:
        return TileHashes(tiles).proof(groups)
    except TreeError as error:
        raise store.inconsistent("tiles of a signed tree are missing") from error
