"""SQL of the steps of the log's keys. Everything here takes a connection or a transaction and opens none."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from database import Statements
from ledger import store
from ledger.keys.model import Change, KeyEvent, KeyStep

_EVENTS: Final = """
SELECT k.vkey, k.step, k.at, k.entry_id, l.leaf_index, e.body
FROM log_key_event AS k LEFT JOIN ledger_entry AS e ON e.entry_id = k.entry_id
LEFT JOIN ledger_leaf AS l ON l.seq = e.seq ORDER BY k.number"""
_STEPS: Final = "SELECT vkey, step, at, entry_id FROM log_key_event ORDER BY number"
_ADD: Final = "INSERT INTO log_key_event (number, vkey, step, at, entry_id) VALUES ($1, $2, $3, $4, $5)"
_NOW: Final = "SELECT bashu_now()"


async def steps(db: Statements) -> list[KeyEvent]:
    """Return every step in its order, without its entry: enough to know who signs."""
    return [KeyEvent(**{**dict(row.items()), "step": KeyStep(row["step"])}) for row in await db.fetch(_STEPS)]


async def events(db: Statements) -> list[KeyEvent]:
    """Return every step in its order, with the place and bytes of its entry."""
    return [KeyEvent(**{**dict(row.items()), "step": KeyStep(row["step"])}) for row in await db.fetch(_EVENTS)]


async def now(db: Statements) -> datetime:
    """Return the database's time."""
    value: datetime = await db.fetchval(_NOW)
    return value


async def record(tx: Statements, changes: Sequence[Change], *, after: int, origin: str, ts: datetime) -> None:
    """Write ``changes`` behind the ``after`` steps that were read, each with its KEY_EVENT; the last before the commit.

    Raises:
        UniqueConflict: somebody else changed the keys in between.
    """
    entries = [change.entry(origin=origin, ts=ts) for change in changes]
    for number, (change, entry) in enumerate(zip(changes, entries, strict=True), start=after + 1):
        await tx.execute(_ADD, number, change.vkey, change.step.value, ts, entry.entry_id)
    await store.append(tx, entries)
