"""The export: JSON Lines of leaves with their inclusion proofs, ended by the checkpoint they lead to."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec

from database import Statements
from ledger import store
from ledger.merkle import TileHashes, inclusion_nodes, tiles_of

CHUNK: Final = 512
"""Leaves read at once: two tiles of level 0."""


async def export_lines(db: Statements, *, from_index: int = 0) -> AsyncIterator[bytes]:
    """Yield one line an entry from ``from_index`` on, then the newest checkpoint; each ends with a line feed.

    An export broken off is resumed with the index after the last line; its proofs then lead to the newer checkpoint.
    Without any checkpoint nothing is yielded.
    """
    checkpoint = await store.latest_checkpoint(db)
    if checkpoint is None:
        return
    for begin in range(from_index, checkpoint.size, CHUNK):
        entries = await store.entries_between(db, begin, min(begin + CHUNK, checkpoint.size))
        for line in await _chunk(db, entries, checkpoint.size):
            yield line
    yield msgspec.json.encode({"checkpoint": checkpoint.note}) + b"\n"


async def _chunk(db: Statements, entries: Sequence[store.StoredEntry], size: int) -> list[bytes]:
    groups = [inclusion_nodes(entry.leaf_index or 0, size) for entry in entries]
    hashes = TileHashes(await store.tiles(db, tiles_of(group for proof in groups for group in proof)))
    return [
        msgspec.json.encode(
            {
                "leaf_index": entry.leaf_index,
                "leaf": base64.b64encode(entry.body).decode(),
                "proof": [base64.b64encode(value).decode() for value in hashes.proof(proof)],
            }
        )
        + b"\n"
        for entry, proof in zip(entries, groups, strict=True)
    ]
