"""The export: JSON Lines of leaves with their inclusion proofs, ended by the checkpoint they lead to; and its check."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import datetime
from typing import Final

import msgspec

from database import Statements
from ledger import store
from ledger.archive.store import require_here
from ledger.invariants import Finding, InvariantChecker, LogEntry, Severity
from ledger.merkle import TileHashes, inclusion_holds, inclusion_nodes, tiles_of
from ledger.model import leaf_hash
from ledger.note import Checkpoint, NoteError, VerifierKey, open_checkpoint
from ledger.search import store as search

CHUNK: Final = 512
"""Leaves read at once: two tiles of level 0."""


class _LeafLine(msgspec.Struct):
    leaf_index: int
    leaf: bytes
    proof: list[bytes]


class _LastLine(msgspec.Struct):
    checkpoint: str


async def export_lines(
    db: Statements,
    *,
    from_index: int = 0,
    wanted: search.EntryFilter | None = None,
    checkpoint: store.SignedHead | None = None,
) -> AsyncIterator[bytes]:
    """Yield one line an entry from ``from_index`` on, then the checkpoint; each ends with a line feed.

    Every proof leads to ``checkpoint`` (None: the newest). An export broken off is resumed with the index after the
    last line and the same checkpoint, and is then the same to the byte. Without any checkpoint nothing is yielded.

    Raises:
        BashuError: NOT_FOUND_OR_NOT_YOURS where an entry wanted is in an archive alone.
    """
    checkpoint = checkpoint or await store.latest_checkpoint(db)
    if checkpoint is None:
        return
    begin = from_index
    while begin < checkpoint.size:
        entries, begin = await _next_entries(db, wanted, begin, checkpoint.size)
        for line in await _chunk(db, entries, checkpoint.size):
            yield line
    yield msgspec.json.encode(_LastLine(checkpoint=checkpoint.note)) + b"\n"


async def _next_entries(
    db: Statements, wanted: search.EntryFilter | None, begin: int, size: int
) -> tuple[list[store.StoredEntry], int]:
    """Return the next entries wanted, and where to go on."""
    if wanted is None:
        await require_here(db, begin)
        end = min(begin + CHUNK, size)
        return await store.entries_between(db, begin, end), end
    indexes = await search.find_indexes(db, wanted, from_index=begin, to_index=size, limit=CHUNK)
    if indexes:
        await require_here(db, indexes[0])
    return await store.entries_at(db, indexes), indexes[-1] + 1 if len(indexes) == CHUNK else size


async def _chunk(db: Statements, entries: Sequence[store.StoredEntry], size: int) -> list[bytes]:
    groups = [inclusion_nodes(entry.leaf_index or 0, size) for entry in entries]
    hashes = TileHashes(await store.tiles(db, tiles_of(group for proof in groups for group in proof)))
    return [
        msgspec.json.encode(_LeafLine(leaf_index=entry.leaf_index or 0, leaf=entry.body, proof=hashes.proof(proof)))
        + b"\n"
        for entry, proof in zip(entries, groups, strict=True)
    ]


def check_export(lines: Sequence[bytes], *, key: VerifierKey, now: datetime | None = None) -> Iterator[Finding]:
    """Check an export with nothing but the log's key: checkpoint, every proof, and the log's rules.

    ``now`` decides which open intents are overdue (None: the time of the last entry). A checkpoint that does not open
    is the only finding then, since nothing else could be believed.
    """
    try:
        checkpoint = open_checkpoint(msgspec.json.decode(lines[-1], type=_LastLine).checkpoint, key)
    except (IndexError, msgspec.DecodeError, NoteError):
        yield _error("CHECKPOINT_MISSING", "the last line is not a checkpoint of this log", None)
        return
    checker: InvariantChecker | None = None
    due: int | None = None
    for place, line in enumerate(lines[:-1], start=1):
        try:
            leaf = msgspec.json.decode(line, type=_LeafLine)
            members = msgspec.json.decode(leaf.leaf)
        except msgspec.DecodeError:
            yield _error("LINE_UNREADABLE", f"line {place} is not a leaf", due)
            due = None if due is None else due + 1
            continue
        if due not in {None, leaf.leaf_index}:
            yield _error("LEAF_SKIPPED", f"line {place} should be leaf {due}", leaf.leaf_index)
        due = leaf.leaf_index + 1
        if not _is_included(leaf, checkpoint):
            yield _error("PROOF_WRONG", f"the proof does not lead to checkpoint {checkpoint.size}", leaf.leaf_index)
        checker = checker or InvariantChecker(origin=key.name, whole=leaf.leaf_index == 0)
        yield from checker.feed(LogEntry(leaf_index=leaf.leaf_index, leaf_hash=leaf_hash(leaf.leaf), members=members))
    if due is not None and due != checkpoint.size:
        yield _error("EXPORT_SHORT", f"the export ends at leaf {due} of {checkpoint.size}", None)
    if checker is not None:
        yield from checker.finish(now=now)


def _is_included(leaf: _LeafLine, checkpoint: Checkpoint) -> bool:
    return inclusion_holds(
        leaf_index=leaf.leaf_index,
        size=checkpoint.size,
        leaf=leaf_hash(leaf.leaf),
        proof=leaf.proof,
        root=checkpoint.root,
    )


def _error(code: str, message: str, leaf_index: int | None) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, message=message, leaf_index=leaf_index)
