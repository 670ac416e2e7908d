"""Hold the projections against the entries: search columns, access list, consents touched or countable, pseudonyms.

Enquiry counts are stored nowhere: they are asked of the access list, the pseudonyms and the countable consents.
"""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias
from uuid import UUID

import msgspec

from database import Row, Statements
from ledger import store as ledger_store
from ledger.access.model import ListedLeaf, listed_leaf
from ledger.archive.files import ArchiveFolder
from ledger.archive.store import pruned_to
from ledger.inspection import store as inspection
from ledger.invariants import Finding, Severity
from ledger.merkle import HASH_BYTES, TILE_WIDTH, TileId
from ledger.model import EntryType, leaf_hash
from ledger.projection import search_row
from ledger.reproject import store

CHUNK: Final = 4 * TILE_WIDTH
PAGE: Final = 2000
"""Rows looked up in the entries at once."""

Commitment: TypeAlias = Callable[[str, UUID], str]
"""What an entry with this id calls the subject of this pseudonym (``subject_commitment``)."""

_SEARCHED: Final = ("type", "consent_id", "institution", "request_id", "attempt", "ts")


class _Named(msgspec.Struct):
    entry_id: UUID
    ts: datetime
    subject_commitment: str | None = None


@dataclass(slots=True, kw_only=True)
class Chunk:
    """Leaves of one stretch, what they come to, and what of it is missing or wrong."""

    bodies: Mapping[int, bytes]
    listed: list[ListedLeaf]
    findings: list[Finding] = field(default_factory=list)
    touched: list[tuple[UUID, int]] = field(default_factory=list)
    countable: list[UUID] = field(default_factory=list)
    named: list[tuple[str, int]] = field(default_factory=list)
    is_rewritten: bool = False
    """Whether search columns or accesses differ, which are made anew for the whole stretch."""


class Marks:
    """Leaf indexes, a bit each: a million take 125 kB."""

    def __init__(self) -> None:
        self._bits = bytearray()

    def add(self, indexes: Iterable[int]) -> None:
        """Mark ``indexes``."""
        for index in indexes:
            place, bit = divmod(index, 8)
            if place >= len(self._bits):
                self._bits.extend(bytes(place + 1 - len(self._bits) + PAGE))
            self._bits[place] |= 1 << bit

    def without(self, others: Marks) -> Iterator[int]:
        """Return those that ``others`` has not, in order."""
        for place, bits in enumerate(self._bits):
            left = bits & ~(others._bits[place] if place < len(others._bits) else 0)
            if left:
                yield from (place * 8 + bit for bit in range(8) if left >> bit & 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surplus:
    """A row that no entry comes to."""

    table: str
    name: object
    leaf_index: int
    finding: Finding


async def check_projections(
    db: Statements,
    *,
    commitment: Commitment | None = None,
    archive: ArchiveFolder | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AsyncIterator[Finding]:
    """Yield every difference as a warning that names the table; ``db`` logs in as the workers or as the owner.

    ``commitment`` (None: no key at hand) tells whether a pseudonym is that of the entry's subject. Entries that are in
    an archive alone are read from ``archive``, or passed over.
    """
    refused, seen = Marks(), Marks()
    async for chunk in chunks(db, archive=archive, progress=progress):
        refused.add(leaf.leaf_index for leaf in chunk.listed if leaf.type == EntryType.QUERY_DENIED)
        for finding in chunk.findings:
            yield finding
    async for surplus in surpluses(db, commitment=commitment, archive=archive, seen=seen):
        yield surplus.finding
    if commitment is not None:
        async for finding in _unnamed_refusals(db, refused.without(seen), commitment):
            yield finding


async def chunks(
    db: Statements, *, archive: ArchiveFolder | None, progress: Callable[[int, int], None] | None = None
) -> AsyncIterator[Chunk]:
    """Yield each stretch of the tree, as it was when this began, with what is wrong there."""
    size = (await ledger_store.head(db)).size
    start = 0 if archive is not None else min(await pruned_to(db), size) // CHUNK * CHUNK
    for begin in range(start, size, CHUNK):
        end = min(begin + CHUNK, size)
        rows = {row["leaf_index"]: row for row in await inspection.leaves_between(db, begin, end)}
        archived = archive.bodies(begin, end) if archive is not None else {}
        found = {index: body for index, row in rows.items() if (body := row["body"] or archived.get(index)) is not None}
        yield await _chunk(db, begin, end, rows, await _sealed(db, found))
        if progress is not None:
            progress(end, size)


async def _sealed(db: Statements, found: Mapping[int, bytes]) -> dict[int, bytes]:
    """Return those entries that are the tree's: nothing is judged, and nothing made anew, by a changed one."""
    tiles = await ledger_store.tiles(db, {(0, index // TILE_WIDTH) for index in found})
    return {index: body for index, body in found.items() if leaf_hash(body) == _tile_hash(tiles, index)}


def _tile_hash(tiles: Mapping[TileId, bytes], index: int) -> bytes:
    tile, place = divmod(index, TILE_WIDTH)
    return tiles.get((0, tile), b"")[place * HASH_BYTES : (place + 1) * HASH_BYTES]


async def _chunk(db: Statements, begin: int, end: int, rows: Mapping[int, Row], bodies: Mapping[int, bytes]) -> Chunk:
    found = (listed_leaf(index, body) for index, body in bodies.items())
    chunk = Chunk(bodies=bodies, listed=[leaf for leaf in found if leaf is not None])
    projected = {index: search_row(body) for index, body in bodies.items()}
    for index, leaf in projected.items():
        if any(rows[index][name] != getattr(leaf, name) for name in _SEARCHED):
            chunk.findings.append(_differs("ledger_search", "is not what its entry says", index))
    stored = await store.are_listed(db, begin, end)
    # Of an entry that is gone or changed, which fsck itself says, nothing can be told here.
    stored = {index: row for index, row in stored.items() if index in bodies}
    chunk.findings += _listing(await store.should_be_listed(db, chunk.listed), stored)
    chunk.is_rewritten = bool(chunk.findings)
    pairs = [(consent_id, index) for index, leaf in projected.items() for consent_id in leaf.touched]
    chunk.touched = await store.untouched(db, pairs)
    countable = {leaf.consent_id: index for index, leaf in projected.items() if leaf.is_countable and leaf.consent_id}
    chunk.countable = await store.uncountable(db, list(countable))
    chunk.named = await store.unnamed(db, chunk.listed)
    chunk.findings += [_differs("ledger_touched", "lacks a consent its entry touches", i) for _, i in chunk.touched]
    chunk.findings += [_differs("ledger_countable", "lacks its consent", countable[c]) for c in chunk.countable]
    chunk.findings += [_differs("ledger_subject", "lacks whose access it was", i) for _, i in chunk.named]
    return chunk


def _listing(expected: Mapping[int, Row], stored: Mapping[int, Row]) -> Iterator[Finding]:
    for index in sorted(expected.keys() | stored.keys()):
        should, row = expected.get(index), stored.get(index)
        if row is None:
            yield _differs("ledger_access", "lacks an access", index)
        elif should is None:
            yield _differs("ledger_access", "lists what is no access", index)
        elif wrong := [name for name, value in should.items() if row[name] != value]:
            yield _differs("ledger_access", f"has another {', '.join(wrong)}", index)


async def surpluses(
    db: Statements, *, commitment: Commitment | None, archive: ArchiveFolder | None, seen: Marks | None = None
) -> AsyncIterator[Surplus]:
    """Yield rows of the tables apart that no entry comes to; ``seen`` is told which leaves have a pseudonym."""
    pruned = await pruned_to(db)
    for table in store.WALKS:
        after: tuple[object, int] = (None, -1)
        while rows := await store.walk(db, table, after=after, limit=PAGE):
            after = (rows[-1]["name"], rows[-1]["leaf_index"] or 0)
            if seen is not None and table == "ledger_subject":
                seen.add(row["leaf_index"] for row in rows if row["leaf_index"] >= 0)
            for row in rows:
                index, body = row["leaf_index"], _body(row, archive)
                fault = _fault(table, row, body, commitment, is_out=(index or 0) < pruned)
                if fault and (body is None or await _sealed(db, {index: body})):
                    finding = _differs(table, fault, index)
                    yield Surplus(table=table, name=row["name"], leaf_index=index or 0, finding=finding)


async def _unnamed_refusals(db: Statements, indexes: Iterator[int], commitment: Commitment) -> AsyncIterator[Finding]:
    """Yield refusals of questions about somebody that stand in nobody's list; of an erased subject that is right."""
    erased = await store.erased(db)
    while page := list(itertools.islice(indexes, PAGE)):
        for entry in await ledger_store.entries_at(db, page):
            named = msgspec.json.decode(entry.body, type=_Named)
            told = named.subject_commitment
            if told is None or any(at >= named.ts and commitment(name, named.entry_id) == told for name, at in erased):
                continue
            yield _differs("ledger_subject", "lacks whom a refused question was about", entry.leaf_index)


def _body(row: Row, archive: ArchiveFolder | None) -> bytes | None:
    body, index = row["body"], row["leaf_index"]
    if body is None and archive is not None and index is not None:
        return archive.bodies(index, index + 1).get(index)
    return body if body is None else bytes(body)


def _fault(table: str, row: Row, body: bytes | None, commitment: Commitment | None, *, is_out: bool) -> str:
    if body is None:
        # An entry that is gone is told by fsck itself; one in an archive that is not at hand is not judged.
        return "" if row["leaf_index"] is not None or is_out else "names a consent that was never registered"
    if table == "ledger_touched":
        return "" if row["name"] in search_row(body).touched else "has a consent that its entry does not touch"
    if table == "ledger_countable":
        return "" if search_row(body).is_countable else "has a consent that does not allow counting"
    return _naming(row, body, commitment)


def _naming(row: Row, body: bytes, commitment: Commitment | None) -> str:
    if listed_leaf(row["leaf_index"], body) is None:
        return "names somebody for what is no access"
    try:
        named = msgspec.json.decode(body, type=_Named)
    except msgspec.DecodeError:
        return ""
    if commitment is None or named.subject_commitment is None:
        return ""
    is_theirs = commitment(row["name"], named.entry_id) == named.subject_commitment
    return "" if is_theirs else "names another subject than its entry"


def _differs(table: str, what: str, leaf_index: Any) -> Finding:
    return Finding(
        severity=Severity.WARNING, code="PROJECTION_DIFFERS", message=f"{table} {what}", leaf_index=leaf_index
    )
