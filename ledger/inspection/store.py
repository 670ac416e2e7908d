"""SQL of fsck: leaves with their entries and projections, entries and intents that nothing leads to."""

from __future__ import annotations

from typing import Final

from database import Row, Statements

_ALL_LEAVES: Final = """
SELECT l.leaf_index, l.seq, e.entry_id, e.body, e.leaf_hash,
       s.type, s.consent_id, s.institution, s.request_id, s.attempt, s.ts
FROM ledger_leaf l LEFT JOIN ledger_entry e ON e.seq = l.seq LEFT JOIN ledger_search s ON s.leaf_index = l.leaf_index
WHERE l.leaf_index >= $1 AND l.leaf_index < $2 ORDER BY l.leaf_index"""
_LOST: Final = """
SELECT e.seq, e.entry_id FROM ledger_entry e
WHERE NOT EXISTS (SELECT 1 FROM ledger_leaf l WHERE l.seq = e.seq)
  AND NOT EXISTS (SELECT 1 FROM ledger_pending p WHERE p.seq = e.seq) ORDER BY e.seq LIMIT $1"""
_ORPHANS: Final = """
SELECT p.seq FROM ledger_pending p WHERE NOT EXISTS (SELECT 1 FROM ledger_entry e WHERE e.seq = p.seq)
UNION SELECT p.seq FROM ledger_pending p JOIN ledger_leaf l ON l.seq = p.seq ORDER BY 1 LIMIT $1"""
_ORPHAN_INTENTS: Final = """
SELECT i.request_id, i.attempt, i.institution FROM intent AS i
WHERE (NOT EXISTS (SELECT 1 FROM ledger_entry AS e WHERE e.entry_id = i.entry_id)
    OR (i.closing_entry_id IS NOT NULL
        AND NOT EXISTS (SELECT 1 FROM ledger_entry AS e WHERE e.entry_id = i.closing_entry_id)))
    AND NOT EXISTS (SELECT 1 FROM ledger_search AS s WHERE s.request_id = i.request_id
        AND s.institution = i.institution AND s.leaf_index < (SELECT max(p.to_index) FROM ledger_pruned AS p))
LIMIT $1"""
_LAST_LEAF: Final = "SELECT max(leaf_index) FROM ledger_leaf"


async def leaves_between(db: Statements, begin: int, end: int) -> list[Row]:
    """Return leaf rows with whatever entry and projection they have (columns are None where one is missing)."""
    return list(await db.fetch(_ALL_LEAVES, begin, end))


async def lost_entries(db: Statements, *, limit: int) -> list[Row]:
    """Return entries that are neither in the tree nor waiting (``seq, entry_id``)."""
    return list(await db.fetch(_LOST, limit))


async def orphan_numbers(db: Statements, *, limit: int) -> list[int]:
    """Return queued numbers without an entry, or with a leaf already."""
    return [row["seq"] for row in await db.fetch(_ORPHANS, limit)]


async def orphan_intents(db: Statements, *, limit: int) -> list[Row]:
    """Return intents whose QUERY_INTENT or closing is not in the ledger (``request_id, attempt, institution``)."""
    return list(await db.fetch(_ORPHAN_INTENTS, limit))


async def last_leaf_index(db: Statements) -> int | None:
    """Return the largest leaf index stored, or None in an empty log."""
    value: int | None = await db.fetchval(_LAST_LEAF)
    return value
