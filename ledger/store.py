"""The ledger's SQL: append, integrate, read. Everything here takes a connection or a transaction and opens none.

``Receipt`` values are made here alone, from the rows an append returned.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any, Final, Protocol

from ledger.model import Entry


class Statements(Protocol):
    """The part of ``database.Statements`` the ledger uses; a pool and a transaction both have it."""

    async def fetch(self, sql: str, *args: Any) -> list[Any]:
        """Return every row."""

    async def fetchrow(self, sql: str, *args: Any) -> Any:
        """Return the first row or None."""

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first value of the first row, or None."""

    async def execute(self, sql: str, *args: Any) -> Any:
        """Run a statement for its effect."""


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
