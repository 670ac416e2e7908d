"""The ledger's SQL: append, integrate, read. Everything here takes a connection or a transaction and opens none.

``Receipt`` values are made here alone, from the rows an append returned.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from core.errors import BashuError, Reason, Turn
from core.permit import Receipt
from database import Row, Statements
from ledger.merkle import TileId
from ledger.model import Entry
from ledger.note import LogSigning
from ledger.promise import PUBLISH_WITHIN, make_promises


def append_ctes(source: str) -> str:
    """Return the SQL of the CTEs ``ledger_e`` and ``ledger_p`` that append the rows of the CTE ``source``.

    ``source`` is the name of a CTE of the same statement with columns ``ord, entry_id, body, leaf_hash``; it must
    depend on every row lock the statement takes. ``ledger_e`` returns ``seq, entry_id`` of each entry appended.
    Counting ``source`` first makes PostgreSQL finish it, so all locks are held before the first number is taken:
    a number taken before a lock is granted could end up before the entry of the transaction waited for.
    """
    return f"""ledger_e AS (
    INSERT INTO ledger_entry (entry_id, body, leaf_hash)
    SELECT entry_id, body, leaf_hash FROM {source} WHERE (SELECT count(*) FROM {source}) > 0 ORDER BY ord
    RETURNING seq, entry_id),
ledger_p AS (INSERT INTO ledger_pending (seq) SELECT seq FROM ledger_e)"""  # noqa: S608 - a CTE's name, never input


_APPEND: Final = f"""
WITH u AS MATERIALIZED (
    SELECT * FROM unnest($1::uuid[], $2::bytea[], $3::bytea[]) WITH ORDINALITY AS t (entry_id, body, leaf_hash, ord)),
{append_ctes("u")}
SELECT seq, entry_id FROM ledger_e"""  # noqa: S608


async def append(tx: Statements, entries: Sequence[Entry]) -> list[int]:
    """Append ``entries`` in their order and return their numbers; the last statement before the commit."""
    rows = await tx.fetch(_APPEND, *entry_columns(entries))
    numbers = {row["entry_id"]: row["seq"] for row in rows}
    return [numbers[entry.entry_id] for entry in entries]


def entry_columns(entries: Sequence[Entry]) -> tuple[list[uuid.UUID], list[bytes], list[bytes]]:
    """Return the columns (entry_id, body, leaf_hash) of ``entries``, as array parameters of a statement."""
    return [e.entry_id for e in entries], [e.body for e in entries], [e.leaf_hash for e in entries]


def receipts_from_rows(
    rows: Sequence[Row], entries: Mapping[uuid.UUID, Entry], *, signer: LogSigning, now: datetime
) -> dict[uuid.UUID, Receipt]:
    """Return the receipt of every entry that ``rows`` (``seq, entry_id`` of ``ledger_e``, committed) say was appended.

    ``entries`` are those offered to the statement, by entry_id; one that is not in ``rows`` was not released and
    gets no receipt. Call it after the commit: a receipt promises what is durable.
    """
    appended = [entries[row["entry_id"]] for row in rows]
    publish_by = now + PUBLISH_WITHIN
    promises = make_promises([entry.leaf_hash for entry in appended], signer=signer, publish_by=publish_by)
    return {
        entry.entry_id: Receipt(entry=entry.body, leaf_hash=entry.leaf_hash, promise=promise, publish_by=publish_by)
        for entry, promise in zip(appended, promises, strict=True)
    }


# Integrate: what the sealer does under the head row's lock.

_LOCK_HEAD: Final = "SELECT size, root FROM ledger_head FOR UPDATE SKIP LOCKED"
_HEAD: Final = "SELECT size, root FROM ledger_head"
_IS_PENDING: Final = "SELECT EXISTS (SELECT 1 FROM ledger_pending)"
_TAKE_PENDING: Final = """
DELETE FROM ledger_pending WHERE seq = ANY (ARRAY(SELECT seq FROM ledger_pending ORDER BY seq LIMIT $1))
RETURNING seq"""
_LOAD: Final = "SELECT seq, entry_id, body, leaf_hash FROM ledger_entry WHERE seq = ANY($1::bigint[]) ORDER BY seq"
_TILES: Final = """
SELECT level, tile_index, hashes FROM ledger_tile WHERE level = ANY($1::bigint[]) AND tile_index = ANY($2::bigint[])"""
_ADD_LEAVES: Final = """
INSERT INTO ledger_leaf (leaf_index, seq) SELECT $1::bigint + ord - 1, seq
FROM unnest($2::bigint[]) WITH ORDINALITY AS t (seq, ord)"""
_PUT_TILES: Final = """
INSERT INTO ledger_tile (level, tile_index, hashes)
SELECT level, tile_index, hashes FROM unnest($1::bigint[], $2::bigint[], $3::bytea[]) AS t (level, tile_index, hashes)
ON CONFLICT (level, tile_index) DO UPDATE SET hashes = EXCLUDED.hashes"""
_ADD_SEARCH: Final = """
INSERT INTO ledger_search (leaf_index, type, consent_id, institution, request_id, attempt, ts)
SELECT $1::bigint + ord - 1, type, consent_id, institution, request_id, attempt, ts
FROM unnest($2::text[], $3::uuid[], $4::text[], $5::uuid[], $6::bigint[], $7::timestamptz[])
WITH ORDINALITY AS t (type, consent_id, institution, request_id, attempt, ts, ord)"""
_ADD_TOUCHED: Final = """
INSERT INTO ledger_touched (consent_id, leaf_index) SELECT * FROM unnest($1::uuid[], $2::bigint[])
ON CONFLICT DO NOTHING"""
_ADD_COUNTABLE: Final = """
INSERT INTO ledger_countable (consent_id) SELECT * FROM unnest($1::uuid[]) ON CONFLICT DO NOTHING"""
_MOVE_HEAD: Final = """
UPDATE ledger_head SET size = $2, root = $3, sealed_at = clock_timestamp(), heartbeat = clock_timestamp()
WHERE size = $1 RETURNING size"""
_BEAT: Final = "UPDATE ledger_head SET heartbeat = clock_timestamp()"
_ADD_CHECKPOINT: Final = "INSERT INTO ledger_checkpoint (size, root, note) VALUES ($1, $2, $3)"
_COSIGNED: Final = """
SELECT k.size, k.root, k.signed_at, k.note || coalesce((SELECT string_agg(c.line || E'\\n', '' ORDER BY c.witness)
    FROM ledger_cosignature AS c WHERE c.size = k.size), '') AS note
FROM ledger_checkpoint AS k"""
_LATEST_CHECKPOINT: Final = f"{_COSIGNED} ORDER BY k.size DESC LIMIT 1"
_CHECKPOINT: Final = f"{_COSIGNED} WHERE k.size = $1"
_CHECKPOINTS: Final = """
SELECT size, root, note, signed_at FROM ledger_checkpoint WHERE size >= $1 AND size <= $2 ORDER BY size"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The committed tree: ``size`` leaves with the RFC 6962 root ``root``."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedHead:
    """A checkpoint as signed and stored; ``note`` ends with the cosignatures of its witnesses, where it has any."""

    size: int
    root: bytes
    note: str
    signed_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEntry:
    """An entry as appended; ``leaf_index`` is None until it is in the tree."""

    seq: int
    entry_id: uuid.UUID
    body: bytes
    leaf_hash: bytes
    leaf_index: int | None = None
    appended_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchRow:
    """What reviewers find one leaf by."""

    type: str
    ts: datetime
    consent_id: uuid.UUID | None = None
    institution: str | None = None
    request_id: uuid.UUID | None = None
    attempt: int | None = None
    touched: frozenset[uuid.UUID] = frozenset()
    is_countable: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Freshness:
    """How fresh the evidence chain is (check 15); ``oldest_pending_s`` is None when nothing waits.

    ``witnessed_s``: since a quorum of outside witnesses cosigned a checkpoint; None where none was ever asked.
    """

    oldest_pending_s: float | None
    heartbeat_s: float
    witnessed_s: float | None


async def lock_head(tx: Statements) -> Head | None:
    """Lock the head row and return it, or None while another sealer holds it."""
    row = await tx.fetchrow(_LOCK_HEAD)
    return None if row is None else Head(size=row["size"], root=row["root"])


async def head(db: Statements) -> Head:
    """Return the committed tree head, signed or not."""
    row = await db.fetchrow(_HEAD)
    if row is None:
        raise inconsistent("the ledger has no head row")
    return Head(size=row["size"], root=row["root"])


async def is_pending(db: Statements) -> bool:
    """Tell whether any entry waits for integration."""
    return bool(await db.fetchval(_IS_PENDING))


async def take_pending(tx: Statements, *, limit: int) -> list[StoredEntry]:
    """Take up to ``limit`` waiting entries out of the queue, the smallest numbers first, in their order.

    Raises:
        BashuError: LEDGER_INCONSISTENT where a queued number has no entry.
    """
    numbers = [row["seq"] for row in await tx.fetch(_TAKE_PENDING, limit)]
    rows = await tx.fetch(_LOAD, numbers) if numbers else []
    if len(rows) != len(numbers):
        raise inconsistent("a queued entry is missing from the ledger")
    return [_stored(row) for row in rows]


async def tiles(db: Statements, wanted: Collection[TileId]) -> dict[TileId, bytes]:
    """Return those of the ``wanted`` tiles that exist."""
    levels, indexes = sorted({level for level, _ in wanted}), sorted({index for _, index in wanted})
    rows = await db.fetch(_TILES, levels, indexes) if wanted else []
    found = {(row["level"], row["tile_index"]): row["hashes"] for row in rows}
    return {place: hashes for place, hashes in found.items() if place in wanted}


async def add_leaves(
    tx: Statements,
    *,
    old: Head,
    new: Head,
    numbers: Sequence[int],
    changed: Mapping[TileId, bytes],
    search: Sequence[SearchRow],
) -> None:
    """Write one round: leaves, tiles, projections, and the head moved from ``old`` to ``new``.

    Raises:
        BashuError: LEDGER_INCONSISTENT where the head is no longer ``old``.
    """
    await tx.execute(_ADD_LEAVES, old.size, numbers)
    places = sorted(changed)
    await tx.execute(_PUT_TILES, [p[0] for p in places], [p[1] for p in places], [changed[p] for p in places])
    await add_search(tx, old.size, search)
    await _add_links(tx, old.size, search)
    if await tx.fetchval(_MOVE_HEAD, old.size, new.size, new.root) != new.size:
        raise inconsistent("the tree head moved under its lock")


async def add_search(tx: Statements, begin: int, search: Sequence[SearchRow]) -> None:
    """Write the search columns of the leaves from ``begin`` on."""
    await tx.execute(_ADD_SEARCH, begin, *([getattr(row, name) for row in search] for name in _SEARCH_COLUMNS))


async def add_touched(tx: Statements, touched: Sequence[tuple[uuid.UUID, int]]) -> None:
    """Write (consent, leaf) of holds, freezes and closings."""
    if touched:
        await tx.execute(_ADD_TOUCHED, [consent_id for consent_id, _ in touched], [index for _, index in touched])


async def add_countable(tx: Statements, consent_ids: Sequence[uuid.UUID]) -> None:
    """Write consents whose accesses may be counted."""
    if consent_ids:
        await tx.execute(_ADD_COUNTABLE, list(consent_ids))


async def _add_links(tx: Statements, begin: int, search: Sequence[SearchRow]) -> None:
    """Write what most rounds have none of: consents touched by holds and closings, consents that may be counted."""
    touched = [(consent_id, index) for index, row in enumerate(search, start=begin) for consent_id in row.touched]
    await add_touched(tx, touched)
    await add_countable(tx, [row.consent_id for row in search if row.is_countable and row.consent_id is not None])


_SEARCH_COLUMNS: Final = ("type", "consent_id", "institution", "request_id", "attempt", "ts")


async def beat(tx: Statements) -> None:
    """Show that a sealer is alive."""
    await tx.execute(_BEAT)


async def add_checkpoint(tx: Statements, *, size: int, root: bytes, note: str) -> None:
    """Store a signed checkpoint."""
    await tx.execute(_ADD_CHECKPOINT, size, root, note)


async def latest_checkpoint(db: Statements) -> SignedHead | None:
    """Return the newest signed checkpoint, or None before the first."""
    return _signed(await db.fetchrow(_LATEST_CHECKPOINT))


async def checkpoint_at(db: Statements, size: int) -> SignedHead | None:
    """Return the checkpoint signed at exactly ``size`` leaves, or None."""
    return _signed(await db.fetchrow(_CHECKPOINT, size))


async def checkpoints_between(db: Statements, low: int, high: int) -> list[SignedHead]:
    """Return the checkpoints with ``low <= size <= high``, smallest first."""
    return [signed for row in await db.fetch(_CHECKPOINTS, low, high) if (signed := _signed(row))]


# Read.

FRESHNESS_COLUMNS: Final = """
(SELECT extract(epoch FROM clock_timestamp() - e.appended_at)::float8 FROM ledger_entry e
  WHERE e.seq = (SELECT p.seq FROM ledger_pending p ORDER BY p.seq LIMIT 1)) AS ledger_oldest_pending_s,
(SELECT extract(epoch FROM clock_timestamp() - h.heartbeat)::float8 FROM ledger_head h) AS ledger_heartbeat_s,
(SELECT extract(epoch FROM clock_timestamp() - w.quorum_at)::float8 FROM ledger_witnessed w) AS ledger_witnessed_s"""
"""Three columns for the admission's own read: seconds, by the machine's clock, since no test may age evidence by
shifting ``bashu_now()``."""

_MACHINE_TIME: Final = "SELECT clock_timestamp()"
_FRESHNESS: Final = f"SELECT {FRESHNESS_COLUMNS}"
_ENTRY_COLUMNS: Final = "e.seq, e.entry_id, e.body, e.leaf_hash, e.appended_at, l.leaf_index"
_ENTRY_BY_INDEX: Final = f"""
SELECT {_ENTRY_COLUMNS} FROM ledger_leaf l JOIN ledger_entry e ON e.seq = l.seq WHERE l.leaf_index = $1"""  # noqa: S608
_ENTRY_BY_ID: Final = f"""
SELECT {_ENTRY_COLUMNS} FROM ledger_entry e LEFT JOIN ledger_leaf l ON l.seq = e.seq WHERE e.entry_id = $1"""  # noqa: S608
_ENTRIES: Final = f"""
SELECT {_ENTRY_COLUMNS} FROM ledger_leaf l JOIN ledger_entry e ON e.seq = l.seq
WHERE l.leaf_index >= $1 AND l.leaf_index < $2 ORDER BY l.leaf_index"""  # noqa: S608
_ENTRIES_AT: Final = f"""
SELECT {_ENTRY_COLUMNS} FROM ledger_leaf l JOIN ledger_entry e ON e.seq = l.seq
WHERE l.leaf_index = ANY($1::bigint[]) ORDER BY l.leaf_index"""  # noqa: S608


async def machine_time(db: Statements) -> datetime:
    """Return the clock of the database's machine, which no test shifts."""
    now: datetime = await db.fetchval(_MACHINE_TIME)
    return now


async def freshness(db: Statements) -> Freshness:
    """Return the facts of check 15."""
    (row,) = await db.fetch(_FRESHNESS)
    return freshness_from_row(row)


def freshness_from_row(row: Row) -> Freshness:
    """Read the columns of :data:`FRESHNESS_COLUMNS` out of ``row``."""
    return Freshness(
        oldest_pending_s=row["ledger_oldest_pending_s"],
        heartbeat_s=row["ledger_heartbeat_s"],
        witnessed_s=row["ledger_witnessed_s"],
    )


async def entry_by_index(db: Statements, leaf_index: int) -> StoredEntry | None:
    """Return the entry at ``leaf_index`` of the tree, or None."""
    row = await db.fetchrow(_ENTRY_BY_INDEX, leaf_index)
    return None if row is None else _stored(row)


async def entry_by_id(db: Statements, entry_id: uuid.UUID) -> StoredEntry | None:
    """Return the entry ``entry_id``, in the tree or waiting, or None."""
    row = await db.fetchrow(_ENTRY_BY_ID, entry_id)
    return None if row is None else _stored(row)


async def entries_between(db: Statements, begin: int, end: int) -> list[StoredEntry]:
    """Return the entries with ``begin <= leaf_index < end`` in ledger order."""
    return [_stored(row) for row in await db.fetch(_ENTRIES, begin, end)]


async def entries_at(db: Statements, indexes: Sequence[int]) -> list[StoredEntry]:
    """Return the entries at ``indexes`` in ledger order."""
    return [_stored(row) for row in await db.fetch(_ENTRIES_AT, list(indexes))]


def inconsistent(message: str, **metadata: str) -> BashuError:
    """Make the error of a ledger that contradicts itself."""
    return BashuError(Reason.LEDGER_INCONSISTENT, message, turn=Turn.OPERATOR, metadata=metadata)


def _stored(row: Row) -> StoredEntry:
    return StoredEntry(
        seq=row["seq"],
        entry_id=row["entry_id"],
        body=row["body"],
        leaf_hash=row["leaf_hash"],
        leaf_index=row.get("leaf_index"),
        appended_at=row.get("appended_at"),
    )


def _signed(row: Row | None) -> SignedHead | None:
    if row is None:
        return None
    return SignedHead(size=row["size"], root=row["root"], note=row["note"], signed_at=row["signed_at"])
