"""SQL that reads, compares and makes projections anew. Writing takes the owner's login: running roles may only add."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from database import Row, Statements
from ledger.access.model import ListedLeaf
from ledger.access.store import ADD_ROWS, ROWS, columns

_SHOULD_BE_LISTED: Final = f"WITH {ROWS} SELECT * FROM r"  # noqa: S608 - constants
_LIST: Final = f"WITH {ROWS} {ADD_ROWS}"
_ARE_LISTED: Final = "SELECT * FROM ledger_access WHERE leaf_index >= $1 AND leaf_index < $2"
_UNTOUCHED: Final = """
SELECT t.consent_id, t.leaf_index FROM unnest($1::uuid[], $2::bigint[]) AS t (consent_id, leaf_index)
WHERE NOT EXISTS (
    SELECT 1 FROM ledger_touched AS x WHERE x.consent_id = t.consent_id AND x.leaf_index = t.leaf_index)"""
_UNCOUNTABLE: Final = """
SELECT t.consent_id FROM unnest($1::uuid[]) AS t (consent_id)
WHERE NOT EXISTS (SELECT 1 FROM ledger_countable AS x WHERE x.consent_id = t.consent_id)"""
# Whom an erasure is about stays out where it was taken out: only what came after is missed.
_UNNAMED: Final = f"""
WITH {ROWS}
SELECT i.pseudonym, u.leaf_index FROM u JOIN i USING (request_id, institution, attempt)
WHERE NOT EXISTS (
        SELECT 1 FROM ledger_subject AS s WHERE s.pseudonym = i.pseudonym AND s.leaf_index = u.leaf_index)
    AND NOT EXISTS (SELECT 1 FROM erasure AS e WHERE e.pseudonym = i.pseudonym AND e.erased_at >= u.at)"""  # noqa: S608

_ERASED: Final = "SELECT pseudonym, erased_at FROM erasure WHERE erased_at IS NOT NULL"

_TOUCHED: Final = """
SELECT t.consent_id AS name, t.leaf_index, e.body
FROM (SELECT consent_id, leaf_index FROM ledger_touched
    WHERE (consent_id, leaf_index) > (coalesce($1::uuid, '00000000-0000-0000-0000-000000000000'), $2::bigint)
    ORDER BY consent_id, leaf_index LIMIT $3) AS t
LEFT JOIN ledger_leaf AS l ON l.leaf_index = t.leaf_index LEFT JOIN ledger_entry AS e ON e.seq = l.seq
ORDER BY t.consent_id, t.leaf_index"""
_NAMED: Final = """
SELECT t.pseudonym AS name, t.leaf_index, e.body
FROM (SELECT pseudonym, leaf_index FROM ledger_subject
    WHERE (pseudonym, leaf_index) > (coalesce($1::text, ''), $2::bigint)
    ORDER BY pseudonym, leaf_index LIMIT $3) AS t
LEFT JOIN ledger_leaf AS l ON l.leaf_index = t.leaf_index LEFT JOIN ledger_entry AS e ON e.seq = l.seq
ORDER BY t.pseudonym, t.leaf_index"""
_COUNTABLE: Final = """
SELECT c.consent_id AS name, s.leaf_index, e.body
FROM (SELECT consent_id FROM ledger_countable
    WHERE consent_id > coalesce($1::uuid, '00000000-0000-0000-0000-000000000000') AND $2::bigint IS NOT NULL
    ORDER BY consent_id LIMIT $3) AS c
LEFT JOIN ledger_search AS s ON s.consent_id = c.consent_id AND s.type = 'CONSENT_REGISTERED'
LEFT JOIN ledger_leaf AS l ON l.leaf_index = s.leaf_index LEFT JOIN ledger_entry AS e ON e.seq = l.seq
ORDER BY c.consent_id"""
WALKS: Final = {"ledger_touched": _TOUCHED, "ledger_subject": _NAMED, "ledger_countable": _COUNTABLE}
"""Tables whose every row is looked up in the entries: columns ``name, leaf_index, body`` in the order of their keys."""

_DROP: Final = {
    "ledger_touched": "DELETE FROM ledger_touched WHERE consent_id = $1 AND leaf_index = $2",
    "ledger_subject": "DELETE FROM ledger_subject WHERE pseudonym = $1 AND leaf_index = $2",
    "ledger_countable": "DELETE FROM ledger_countable WHERE consent_id = $1 AND $2::bigint IS NOT NULL",
}
_CLEAR: Final = (
    "DELETE FROM ledger_search WHERE leaf_index = ANY($1::bigint[])",
    "DELETE FROM ledger_access WHERE leaf_index = ANY($1::bigint[])",
)
_NAME: Final = "INSERT INTO ledger_subject (pseudonym, leaf_index) SELECT * FROM unnest($1::text[], $2::bigint[])"


async def should_be_listed(db: Statements, leaves: Sequence[ListedLeaf]) -> dict[int, Row]:
    """Return the rows of the access list that ``leaves`` and their intents come to, by leaf index."""
    rows = await db.fetch(_SHOULD_BE_LISTED, *columns(leaves)) if leaves else []
    return {row["leaf_index"]: row for row in rows}


async def are_listed(db: Statements, begin: int, end: int) -> dict[int, Row]:
    """Return the rows of the access list with ``begin <= leaf_index < end``."""
    return {row["leaf_index"]: row for row in await db.fetch(_ARE_LISTED, begin, end)}


async def untouched(db: Statements, pairs: Sequence[tuple[UUID, int]]) -> list[tuple[UUID, int]]:
    """Return those (consent, leaf) of ``pairs`` that ``ledger_touched`` lacks."""
    rows = await db.fetch(_UNTOUCHED, [pair[0] for pair in pairs], [pair[1] for pair in pairs]) if pairs else []
    return [(row["consent_id"], row["leaf_index"]) for row in rows]


async def uncountable(db: Statements, consent_ids: Sequence[UUID]) -> list[UUID]:
    """Return those of ``consent_ids`` that ``ledger_countable`` lacks."""
    rows = await db.fetch(_UNCOUNTABLE, list(consent_ids)) if consent_ids else []
    return [row["consent_id"] for row in rows]


async def unnamed(db: Statements, leaves: Sequence[ListedLeaf]) -> list[tuple[str, int]]:
    """Return (pseudonym, leaf) of accesses whose intent says whose they are and ``ledger_subject`` does not."""
    rows = await db.fetch(_UNNAMED, *columns(leaves)) if leaves else []
    return [(row["pseudonym"], row["leaf_index"]) for row in rows]


async def erased(db: Statements) -> list[tuple[str, datetime]]:
    """Return the pseudonyms of erased subjects, and when each was."""
    return [(row["pseudonym"], row["erased_at"]) for row in await db.fetch(_ERASED)]


async def walk(db: Statements, table: str, *, after: tuple[object, int], limit: int) -> list[Row]:
    """Return the next rows of one of :data:`WALKS`; ``after`` is (name, leaf index) of the last one, or (None, -1)."""
    return list(await db.fetch(WALKS[table], *after, limit))


async def drop(tx: Statements, table: str, name: object, leaf_index: int) -> None:
    """Take one row out of one of :data:`WALKS`."""
    await tx.execute(_DROP[table], name, leaf_index)


async def clear(tx: Statements, indexes: Sequence[int]) -> None:
    """Take out the search columns and accesses of leaves."""
    for statement in _CLEAR:
        await tx.execute(statement, list(indexes))


async def list_anew(tx: Statements, leaves: Sequence[ListedLeaf]) -> None:
    """Add the rows of the access list that ``leaves`` come to; whose they are is left alone."""
    if leaves:
        await tx.execute(_LIST, *columns(leaves))


async def name(tx: Statements, pairs: Sequence[tuple[str, int]]) -> None:
    """Add (pseudonym, leaf) of accesses."""
    if pairs:
        await tx.execute(_NAME, [pair[0] for pair in pairs], [pair[1] for pair in pairs])
