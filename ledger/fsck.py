"""Re-derive the ledger's evidence from the entries' bytes, and say what does not hold.

What is projected beside the evidence is :mod:`ledger.reproject`'s.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import AsyncIterator, Callable, Container, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, TypeAlias

import msgspec

from core.canonical import canonical_json
from database import Statements
from ledger import store
from ledger.archive.files import ArchiveFolder, row_of
from ledger.archive.store import pruned_to
from ledger.inspection import store as inspection
from ledger.invariants import Finding, InvariantChecker, LogEntry, Severity
from ledger.keys import store as key_store
from ledger.keys.model import Succession
from ledger.merkle import HASH_BYTES, TILE_WIDTH, Frontier, TileId, batch_tree
from ledger.model import leaf_hash
from ledger.note import Checkpoint, NoteError, VerifierKey, open_checkpoint

Rows: TypeAlias = dict[int, Mapping[str, Any]]
"""Leaf rows by index, with whatever entry and projection each has."""

CHUNK: Final = 4 * TILE_WIDTH
_SHOWN: Final = 1000
"""Lost entries and orphans listed at most."""


async def fsck(
    db: Statements,
    *,
    key: VerifierKey,
    mark: Checkpoint | None = None,
    now: datetime | None = None,
    progress: Callable[[int, int], None] | None = None,
    from_index: int = 0,
    archive: ArchiveFolder | None = None,
) -> AsyncIterator[Finding]:
    """Yield every finding about the log of ``key``; ``mark`` is the high-water mark, where one is at hand.

    ``now`` decides which open intents are overdue (None: the time of the last entry). It may run beside a live
    sealer: it looks at the tree as it was when it began. ``progress`` hears how many leaves of how many are checked.
    A run broken off goes on ``from_index`` (rounded down to 1,024): the leaves before are taken as their tiles have
    them, and what rests on their content is not judged. Entries that were taken out into an archive are read from
    ``archive``, and every entry that it holds is compared; without one, the run begins after those that are out.
    """
    newest = await store.latest_checkpoint(db)
    head = await store.head(db)
    pruned = await pruned_to(db)
    begins = from_index if archive is not None else max(from_index, pruned)
    start = min(begins, head.size) // CHUNK * CHUNK
    for finding in _left_out(pruned if archive is None else 0):
        yield finding
    succession = Succession(key, await key_store.events(db), start=start, is_pruned=pruned > 0)
    check = _Fsck(succession, mark, origin=key.name, start=start)
    for finding in check.key_steps():
        yield finding
    if start:
        check.skip(await _tile_roots(db, start))
    else:
        for finding in check.notes(await store.checkpoints_between(db, 0, 0)):
            yield finding
    for begin in range(start, head.size, CHUNK):
        end = min(begin + CHUNK, head.size)
        tiles = await store.tiles(db, {(0, index) for index in range(begin // TILE_WIDTH, -(-end // TILE_WIDTH))})
        rows, compared = await _rows(db, archive, begin, end)
        notes = await store.checkpoints_between(db, begin + 1, end)
        leaves = check.leaves(range(begin, end), rows, tiles, signed={note.size for note in notes})
        for finding in itertools.chain(compared, leaves, check.notes(notes)):
            yield finding
        if progress is not None:
            progress(end, head.size)
    for finding in check.upper_tiles(await store.tiles(db, check.upper_tile_ids())):
        yield finding
    for finding in (*check.heads(head, newest), *await _queue(db), *check.invariants.finish(now=now)):
        yield finding


async def _rows(db: Statements, archive: ArchiveFolder | None, begin: int, end: int) -> tuple[Rows, list[Finding]]:
    """Return leaf rows; what the database has no entry of comes from the archive, the rest is compared with it."""
    rows: Rows = {row["leaf_index"]: dict(row.items()) for row in await inspection.leaves_between(db, begin, end)}
    differing = []
    for index, body in (archive.bodies(begin, end) if archive is not None else {}).items():
        row = rows.get(index)
        if row is None:
            continue
        if row["body"] is None:
            rows[index] = {**row, **row_of(body, leaf_hash(body)), "seq": row["seq"]}
        elif row["body"] != body:
            differing.append(_error("ARCHIVE_DIFFERS", f"entry {row['entry_id']} is not the one in the archive", index))
    return rows, differing


def _left_out(pruned: int) -> Iterator[Finding]:
    if pruned:
        yield Finding(
            severity=Severity.WARNING,
            code="ENTRIES_ARCHIVED",
            message=f"the entries of leaves below {pruned} are in an archive, not looked at: give --archive",
        )


class _Fsck:
    """One run: the tree as derived from the entries, and, once they differ, the tree as sealed in the tiles."""

    def __init__(self, succession: Succession, mark: Checkpoint | None, *, origin: str, start: int = 0) -> None:
        self.invariants = InvariantChecker(origin=origin, whole=start == 0)
        self._start = start
        self._succession = succession
        self._mark = mark
        self._derived = Frontier()
        self._sealed: Frontier | None = None
        self._roots: dict[int, set[bytes]] = {0: {Frontier().root()}}
        self._tile: list[bytes] = []
        self._upper: list[list[bytes]] = [[]]
        self._good_size = start
        self._bad_notes = 0

    def skip(self, roots: Sequence[bytes]) -> None:
        """Begin after the full tiles of level 0 with these ``roots``."""
        for root in roots:
            self._derived.append(root)
            self._push(root)
        self._derived.size *= TILE_WIDTH

    def key_steps(self) -> Iterator[Finding]:
        """Check the steps of the log's keys against their entries."""
        for fault in self._succession.faults():
            yield _error("KEY_DIFFERS", fault, None)

    # Leaves

    def leaves(
        self,
        indexes: range,
        rows: Mapping[int, Mapping[str, Any]],
        tiles: Mapping[TileId, bytes],
        *,
        signed: Container[int],
    ) -> Iterator[Finding]:
        """Check each leaf against its entry and its place in the tile, and grow the derived tree.

        The roots at the ``signed`` sizes are kept until the next call.
        """
        self._roots = {size: roots for size, roots in self._roots.items() if size == 0 or self._is_marked(size)}
        for index in indexes:
            row, sealed = rows.get(index), _tile_hash(tiles, index)
            yield from self._leaf(index, row, sealed)
            body = row["body"] if row else None
            self._grow(leaf_hash(body) if body is not None else None, sealed)
            if index + 1 in signed or self._is_marked(index + 1):
                self._roots[index + 1] = self._current_roots()

    def _leaf(self, index: int, row: Mapping[str, Any] | None, sealed: bytes | None) -> Iterator[Finding]:
        if sealed is None:
            yield _error("TILE_MISSING", "the tile of level 0 does not reach this leaf", index)
        if row is None or row["body"] is None:
            what = "leaf row" if row is None else f"entry {row['seq']}"
            yield _error("ENTRY_MISSING", f"the {what} is gone", index)
            return
        derived = leaf_hash(row["body"])
        if sealed is not None and derived != sealed:
            yield _error("ENTRY_CHANGED", f"entry {row['entry_id']} does not have the hash sealed in the tree", index)
        if derived != row["leaf_hash"]:
            yield _error("HASH_CHANGED", f"entry {row['entry_id']} does not have the hash stored beside it", index)
        yield from self._content(index, row, derived)

    def _content(self, index: int, row: Mapping[str, Any], derived: bytes) -> Iterator[Finding]:
        try:
            members = msgspec.json.decode(row["body"])
            canonical = canonical_json(members)
        except (msgspec.DecodeError, TypeError):
            yield _error("ENTRY_UNREADABLE", f"entry {row['entry_id']} is not a canonical entry", index)
            return
        if canonical != row["body"]:
            yield _error("NOT_CANONICAL", f"entry {row['entry_id']} is not canonical JSON", index)
        if members.get("entry_id") != str(row["entry_id"]):
            yield _error("ENTRY_ID_DIFFERS", f"entry {row['entry_id']} has another id inside", index)
        if not self._succession.meet(index, row["entry_id"], members):
            yield _error("KEY_DIFFERS", f"entry {row['entry_id']} is not what is kept of a key's step", index)
        yield from self.invariants.feed(LogEntry(leaf_index=index, leaf_hash=derived, members=members))

    def _grow(self, derived: bytes | None, sealed: bytes | None) -> None:
        if derived != sealed and self._sealed is None:
            self._sealed = copy.deepcopy(self._derived)
        known = sealed or derived or bytes(HASH_BYTES)
        self._derived.append(derived or known)
        if self._sealed is not None:
            self._sealed.append(known)
        self._keep_tile(known)

    def _current_roots(self) -> set[bytes]:
        return {self._derived.root()} | ({self._sealed.root()} if self._sealed else set())

    def _is_marked(self, size: int) -> bool:
        return self._mark is not None and self._mark.size == size

    # Tiles

    def _keep_tile(self, leaf: bytes) -> None:
        self._tile.append(leaf)
        if len(self._tile) < TILE_WIDTH:
            return
        root = batch_tree(self._tile)[0]
        self._tile = []
        self._push(root)

    def _push(self, root: bytes) -> None:
        level = 0
        while True:
            if level == len(self._upper):
                self._upper.append([])
            row = self._upper[level]
            row.append(root)
            if len(row) % TILE_WIDTH:
                return
            root = batch_tree(row[-TILE_WIDTH:])[0]
            level += 1

    def upper_tile_ids(self) -> set[TileId]:
        """Name the tiles above level 0 that the derived tree has."""
        return {
            (level, index)
            for level, row in enumerate(self._upper, start=1)
            for index in range(-(-len(row) // TILE_WIDTH))
        }

    def upper_tiles(self, tiles: Mapping[TileId, bytes]) -> Iterator[Finding]:
        """Check stored tiles above level 0; a live sealer may have made them longer by now."""
        for level, index in sorted(self.upper_tile_ids()):
            expected = b"".join(self._upper[level - 1][index * TILE_WIDTH : (index + 1) * TILE_WIDTH])
            if not tiles.get((level, index), b"").startswith(expected):
                first = index * TILE_WIDTH ** (level + 1)
                yield _error("TILE_CHANGED", f"tile {level}/{index} is not that of the leaves below it", first)

    # Heads

    def notes(self, notes: Sequence[store.SignedHead]) -> Iterator[Finding]:
        """Check the checkpoints signed at sizes of the chunk just read."""
        for stored in notes:
            yield from self._note(stored)

    def _note(self, stored: store.SignedHead) -> Iterator[Finding]:
        try:
            checkpoint = self._opened(stored)
        except NoteError as error:
            yield _error("CHECKPOINT_UNSIGNED", f"checkpoint {stored.size}: {error}", None)
            return
        if (checkpoint.size, checkpoint.root) != (stored.size, stored.root):
            yield _error("CHECKPOINT_CHANGED", f"checkpoint {stored.size} is not what its note says", None)
        if checkpoint.root in self._roots.get(stored.size, ()):
            self._good_size = max(self._good_size, stored.size)
            return
        self._bad_notes += 1
        if self._bad_notes == 1:
            yield _error(
                "CHECKPOINT_DIFFERS",
                f"checkpoint {stored.size} signs another tree; leaves {self._good_size} to {stored.size - 1} hold the"
                " difference",
                self._good_size,
            )

    def _opened(self, stored: store.SignedHead) -> Checkpoint:
        """Return what a note says once every key that signs a tree of its size has signed it."""
        opened = [open_checkpoint(stored.note, key) for key in self._succession.at(stored.size)]
        if not opened:
            raise NoteError("no key of the log signs a tree of this size")
        return opened[0]

    def heads(self, head: store.Head, newest: store.SignedHead | None) -> Iterator[Finding]:
        """Check the head row, the newest checkpoint and the high-water mark against the derived tree."""
        if self._bad_notes > 1:
            yield _error("CHECKPOINT_DIFFERS", f"{self._bad_notes - 1} later checkpoints sign another tree too", None)
        if head.size != self._derived.size or head.root not in self._current_roots():
            yield _error("HEAD_DIFFERS", f"the head of size {head.size} does not have the root of the leaves", None)
        if newest is not None and newest.size > head.size:
            yield _error("REWOUND", f"the tree has {head.size} leaves, {newest.size} were signed", None)
        if self._mark is not None and self._mark.size > head.size:
            yield _error("REWOUND", f"the tree has {head.size} leaves, the high-water mark {self._mark.size}", None)
        elif (
            self._mark is not None
            and self._mark.size >= self._start
            and self._mark.root not in self._roots[self._mark.size]
        ):
            yield _error("FORKED", f"the tree is not the one of the high-water mark {self._mark.size}", None)


async def _tile_roots(db: Statements, start: int) -> list[bytes]:
    """Return the roots of the full level-0 tiles below ``start``, as the tiles of level 1 have them."""
    count = start // TILE_WIDTH
    tiles = await store.tiles(db, {(1, index) for index in range(-(-count // TILE_WIDTH))})
    joined = b"".join(tiles[place] for place in sorted(tiles))[: count * HASH_BYTES]
    if len(joined) != count * HASH_BYTES:
        raise store.inconsistent("tiles of level 1 are missing: check from the beginning")
    return [joined[place : place + HASH_BYTES] for place in range(0, len(joined), HASH_BYTES)]


async def _queue(db: Statements) -> list[Finding]:
    """Find entries and leaves that no tree and no queue knows."""
    found = [
        _error("ENTRY_LOST", f"entry {row['entry_id']} is neither in the tree nor waiting", None)
        for row in await inspection.lost_entries(db, limit=_SHOWN)
    ]
    found += [
        _error("QUEUE_ORPHAN", f"queued number {seq} has no entry or is in the tree already", None)
        for seq in await inspection.orphan_numbers(db, limit=_SHOWN)
    ]
    found += [
        _error(
            "INTENT_ORPHAN", f"intent {row['request_id']}/{row['attempt']} of {row['institution']} lacks an entry", None
        )
        for row in await inspection.orphan_intents(db, limit=_SHOWN)
    ]
    last = await inspection.last_leaf_index(db)
    if last is not None and last >= (await store.head(db)).size:
        found.append(_error("LEAF_BEYOND_HEAD", "there is a leaf beyond the head", last))
    return found


def _tile_hash(tiles: Mapping[TileId, bytes], index: int) -> bytes | None:
    tile, place = divmod(index, TILE_WIDTH)
    value = tiles.get((0, tile), b"")[place * HASH_BYTES : (place + 1) * HASH_BYTES]
    return value if len(value) == HASH_BYTES else None


def _error(code: str, message: str, leaf_index: int | None) -> Finding:
    return Finding(severity=Severity.ERROR, code=code, message=message, leaf_index=leaf_index)
