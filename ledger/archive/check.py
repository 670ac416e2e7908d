"""Check an archive with the log's key alone: its tree, its signature, its entries and their rules."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from core.canonical import canonical_json
from ledger.archive.files import ArchiveFolder, Manifest
from ledger.invariants import Finding, InvariantChecker, LogEntry, Severity
from ledger.merkle import HASH_BYTES, TILE_WIDTH, Frontier, batch_tree, consistency_holds, split_hashes
from ledger.model import leaf_hash
from ledger.note import NoteError, VerifierKey, open_checkpoint


def check_archive(
    folder: ArchiveFolder, *, keys: Sequence[VerifierKey], progress: Callable[[int, int], None] | None = None
) -> Iterator[Finding]:
    """Yield every finding about an archive of a log; one of its ``keys`` has to have signed the checkpoint in it.

    Raises:
        ArchiveError: its ``archive.json`` cannot be read.
    """
    manifest = folder.manifest()
    if manifest is None:
        yield _error("ARCHIVE_UNFINISHED", "there is no archive.json: the archive was never finished")
        return
    origin = keys[0].name
    if manifest.origin != origin:
        yield _error("ARCHIVE_FOREIGN", f"it is an archive of {manifest.origin}")
        return
    yield from _signature(manifest, keys)
    invariants = InvariantChecker(origin=origin, whole=True)
    tree, roots = Frontier(), []
    for number in range(manifest.size // TILE_WIDTH):
        sealed = split_hashes(folder.tile((0, number), manifest.size))
        bodies = folder.bundle(number)
        first = number * TILE_WIDTH
        if len(sealed) != TILE_WIDTH:
            yield _error("TILE_MISSING", f"tile 0/{number} is missing or short", first)
        if bodies is None or len(bodies) != TILE_WIDTH:
            yield _error("BUNDLE_MISSING", f"bundle {number} is missing or cannot be read", first)
            bodies = []
        hashes = [leaf_hash(body) for body in bodies]
        for index, (body, hashed) in enumerate(zip(bodies, hashes, strict=True), start=first):
            if index - first < len(sealed) and hashed != sealed[index - first]:
                yield _error("ENTRY_CHANGED", "the entry does not have the hash sealed in the tree", index)
            yield from _entry(body, index, hashed, invariants)
        # The tree is that of the tiles, which the root below vouches for: a changed entry is named once, above.
        leaves = sealed if len(sealed) == TILE_WIDTH else (hashes or [bytes(HASH_BYTES)] * TILE_WIDTH)
        roots.append(batch_tree(leaves)[0])
        tree.append(roots[-1])
        if progress is not None:
            progress(first + TILE_WIDTH, manifest.size)
    if tree.root() != manifest.root:
        yield _error("ROOT_DIFFERS", "the tiles of level 0 do not have the root that archive.json says")
    yield from _upper_tiles(folder, manifest, roots)
    yield from invariants.finish(now=None)


def _signature(manifest: Manifest, keys: Sequence[VerifierKey]) -> Iterator[Finding]:
    checkpoint, fault = None, ""
    for key in keys:
        try:
            checkpoint = checkpoint or open_checkpoint(manifest.checkpoint, key)
        except NoteError as error:
            fault = str(error)
    if checkpoint is None:
        yield _error("CHECKPOINT_UNSIGNED", f"the checkpoint of archive.json: {fault}")
        return
    if not consistency_holds(
        size1=manifest.size,
        size2=checkpoint.size,
        root1=manifest.root,
        root2=checkpoint.root,
        proof=manifest.consistency,
    ):
        yield _error("ROOT_UNSIGNED", f"its root is not shown to begin the tree of checkpoint {checkpoint.size}")


def _entry(body: bytes, index: int, hashed: bytes, invariants: InvariantChecker) -> Iterator[Finding]:
    try:
        members = msgspec.json.decode(body)
        is_canonical = canonical_json(members) == body
    except (msgspec.DecodeError, TypeError):
        is_canonical = False
    if not is_canonical or not isinstance(members, dict):
        yield _error("ENTRY_UNREADABLE", "the entry is not canonical JSON", index)
        return
    yield from invariants.feed(LogEntry(leaf_index=index, leaf_hash=hashed, members=members))


def _upper_tiles(folder: ArchiveFolder, manifest: Manifest, roots: list[bytes]) -> Iterator[Finding]:
    level, row = 1, roots
    while row:
        above = []
        for index in range(-(-len(row) // TILE_WIDTH)):
            hashes = row[index * TILE_WIDTH : (index + 1) * TILE_WIDTH]
            if folder.tile((level, index), manifest.size) != b"".join(hashes):
                first = index * TILE_WIDTH ** (level + 1)
                yield _error("TILE_CHANGED", f"tile {level}/{index} is not that of the leaves below it", first)
            if len(hashes) == TILE_WIDTH:
                above.append(batch_tree(hashes)[0])
        level, row = level + 1, above


def _error(code: str, message: str, leaf_index: int | None = None) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, message=message, leaf_index=leaf_index)
