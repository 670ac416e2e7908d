"""Copying a prefix of the log into files."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from core.errors import BashuError, Reason, Turn
from database import Statements
from ledger import store
from ledger.archive.files import ALIGNED, MANIFEST, ArchiveFolder, Manifest
from ledger.merkle import TILE_WIDTH, TileHashes, consistency_nodes, root_nodes, tiles_of
from ledger.model import leaf_hash
from ledger.proofs import consistency_proof
from ledger.publish import write_path, write_whole
from ledger.tiles import TilePath, decode_bundle, tree_paths


async def write_archive(
    db: Statements,
    folder: Path,
    *,
    origin: str,
    size: int,
    aligned: int = ALIGNED,
    progress: Callable[[int, int], None] | None = None,
) -> Manifest:
    """Copy the first ``size`` leaves into ``folder`` and return what ``archive.json`` then says.

    Files that are there are kept, so a run broken off goes on where it was and an archive grows; each bundle is held
    against the tile of its leaf hashes all the same. Nothing in the database changes.

    Raises:
        BashuError: MALFORMED for a size that is no multiple of ``aligned`` or reaches past the last signed
            checkpoint, or another log's folder; LEDGER_INCONSISTENT where an entry is not the one that was sealed.
        ArchiveError: the folder's ``archive.json`` cannot be read.
    """
    signed = await store.latest_checkpoint(db)
    if size <= 0 or size % aligned:
        raise _refused(f"归档须为 {aligned} 条的整数倍 an archive reaches to a multiple of that")
    if signed is None or size > signed.size:
        reached = 0 if signed is None else signed.size
        raise _refused(f"已签署到 {reached} 条 the last signed checkpoint is of {reached} leaves")
    before = ArchiveFolder(path=folder).manifest()
    if before is not None and (before.origin != origin or before.size > size):
        raise _refused(f"目录中已有 {before.origin} 的 {before.size} 条 the folder holds that already")
    for path in tree_paths(size):
        tile = await write_path(db, folder, path)
        if path.level == 0:
            await _write_bundle(db, folder, path.index, tile)
            if progress is not None:
                progress((path.index + 1) * TILE_WIDTH, size)
    proof = await consistency_proof(db, size, tree_size=signed.size)
    hashes = TileHashes(await store.tiles(db, tiles_of([root_nodes(size), *consistency_nodes(size, signed.size)])))
    manifest = Manifest(
        origin=origin,
        size=size,
        root=hashes.root(size),
        checkpoint=signed.note,
        consistency=list(proof.hashes) if proof is not None else [],
    )
    # What the manifest vouches for is on disk before it is.
    await asyncio.to_thread(os.sync)
    write_whole(folder / MANIFEST, msgspec.json.format(msgspec.json.encode(manifest), indent=1) + b"\n")
    await asyncio.to_thread(os.sync)
    return manifest


async def _write_bundle(db: Statements, folder: Path, index: int, tile: bytes) -> None:
    content = await write_path(db, folder, TilePath(level=None, index=index))
    sealed = b"".join(leaf_hash(body) for body in decode_bundle(content))
    if sealed != tile:
        (folder / TilePath(level=None, index=index).text()).unlink()
        raise store.inconsistent(
            "条目与树不符 entries are not those sealed in the tree: run fsck", leaf_index=str(index * TILE_WIDTH)
        )


def _refused(message: str) -> BashuError:
    return BashuError(Reason.MALFORMED, message, turn=Turn.OPERATOR)
