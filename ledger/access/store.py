"""SQL of the access list. The sealer writes it in its round, the gateway reads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import UUID

from database import Row, Statements
from ledger.access.model import Access, AccessFilter, ListedLeaf

_LISTED: Final = (
    "leaf_index", "entry_id", "type", "institution", "operator_commitment", "at", "purpose", "reason", "rule",
    "consent_id", "request_id", "attempt", "number",
)  # fmt: skip
ROWS: Final = """
u AS MATERIALIZED (
    SELECT * FROM unnest($1::bigint[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::text[],
        $8::text[], $9::text[], $10::uuid[], $11::uuid[], $12::bigint[], $13::bigint[])
    AS t (leaf_index, entry_id, type, institution, operator_commitment, at, purpose, reason, rule, consent_id,
        request_id, attempt, number)),
i AS MATERIALIZED (
    SELECT request_id, institution, attempt, pseudonym, operator_commitment, purpose, targets FROM intent
    WHERE request_id = ANY($11::uuid[])),
r AS (
    SELECT u.leaf_index, u.entry_id, u.type, u.institution,
        coalesce(nullif(i.operator_commitment, ''), u.operator_commitment) AS operator_commitment, u.at,
        coalesce(i.purpose, u.purpose) AS purpose,
        ARRAY(SELECT DISTINCT split_part(t, '/', 2) FROM unnest(i.targets) AS t ORDER BY 1) AS data_items,
        ARRAY(SELECT DISTINCT split_part(t, '/', 1) FROM unnest(i.targets) AS t ORDER BY 1) AS platform_ids,
        u.reason, u.rule, u.consent_id, u.request_id, u.attempt, u.number
    FROM u LEFT JOIN i USING (request_id, institution, attempt))"""
"""CTEs: ``r`` are the rows of ``ledger_access`` that the leaves ``u`` (parameters of :func:`columns`) come to."""

ADD_ROWS: Final = """
INSERT INTO ledger_access (leaf_index, entry_id, type, institution, operator_commitment, at, purpose, data_items,
    platform_ids, reason, rule, consent_id, request_id, attempt, number)
SELECT leaf_index, entry_id, type, institution, operator_commitment, at, purpose, data_items, platform_ids, reason,
    rule, consent_id, request_id, attempt, number FROM r
ON CONFLICT DO NOTHING"""
"""No evidence, so nothing here may stop a sealer: a row that is there already stays."""

_PROJECT: Final = f"""
WITH {ROWS},
d AS (DELETE FROM denied_subject WHERE entry_id = ANY($2::uuid[]) RETURNING entry_id, pseudonym),
s AS (
    INSERT INTO ledger_subject (pseudonym, leaf_index)
    SELECT i.pseudonym, u.leaf_index FROM u JOIN i USING (request_id, institution, attempt)
    UNION ALL
    SELECT d.pseudonym, u.leaf_index FROM u JOIN d USING (entry_id)
    ON CONFLICT DO NOTHING)
{ADD_ROWS}"""  # noqa: S608 - constants of this module

COLUMNS: Final = """a.leaf_index, a.entry_id, a.type, a.institution, a.operator_commitment, a.at, a.purpose,
    a.data_items, a.platform_ids, a.reason, a.consent_id, a.request_id, a.number"""
_FILTERS: Final[Mapping[str, str]] = {
    "pseudonym": "s.pseudonym = $%d::text",
    "consent_ids": "a.consent_id = ANY($%d::uuid[])",
    "types": "a.type = ANY($%d::text[])",
    "institution": "a.institution = $%d::text",
    "operator_commitment": "a.operator_commitment = $%d::text",
    "consent_id": "a.consent_id = $%d::uuid",
    "request_id": "a.request_id = $%d::uuid",
    "since": "a.at >= $%d::timestamptz",
    "before": "a.at < $%d::timestamptz",
}
_OF_ENTRY: Final = f"SELECT {COLUMNS} FROM ledger_access AS a WHERE a.entry_id = $1"  # noqa: S608
_DENIED: Final = """
INSERT INTO denied_subject (entry_id, pseudonym) SELECT * FROM unnest($1::uuid[], $2::text[])"""


async def project(tx: Statements, leaves: Sequence[ListedLeaf]) -> None:
    """List the accesses among the leaves of one round of the sealer."""
    if leaves:
        await tx.execute(_PROJECT, *columns(leaves))


def columns(leaves: Sequence[ListedLeaf]) -> list[list[object]]:
    """Return leaves as the thirteen array parameters of :data:`ROWS`."""
    return [[getattr(leaf, name) for leaf in leaves] for name in _LISTED]


async def name_denied(tx: Statements, subjects: Mapping[UUID, str]) -> None:
    """Keep whom refusals are about (entry id to pseudonym), in the transaction that appends them."""
    if subjects:
        await tx.execute(_DENIED, list(subjects), list(subjects.values()))


async def accesses(db: Statements, wanted: AccessFilter, *, below: int | None, limit: int) -> list[Access]:
    """Return up to ``limit`` accesses, newest first; ``below``: leaf indexes smaller than this one only."""
    sql, values = page_statement(wanted, below=below, limit=limit)
    return [access_from_row(row) for row in await db.fetch(sql, *values)]


def page_statement(wanted: AccessFilter, *, below: int | None, limit: int) -> tuple[str, list[object]]:
    """Return the statement of :func:`accesses` and its parameters."""
    sql, values = _search(wanted, start=2)
    if below is not None:
        values.append(below)
        sql += f" AND a.leaf_index < ${len(values) + 1}"
    return f"SELECT {COLUMNS} {sql} ORDER BY a.leaf_index DESC LIMIT $1", [limit, *values]


async def access_of_entry(db: Statements, entry_id: UUID) -> Access | None:
    """Return the access that an entry closed, or None."""
    row = await db.fetchrow(_OF_ENTRY, entry_id)
    return None if row is None else access_from_row(row)


async def count_accesses(db: Statements, wanted: AccessFilter) -> int:
    """Count the accesses that have all that is wanted."""
    sql, values = _search(wanted, start=1)
    return int(await db.fetchval(f"SELECT count(*) {sql}", *values))


def _search(wanted: AccessFilter, *, start: int) -> tuple[str, list[object]]:
    """Return FROM and WHERE, and their parameters from ``$start`` on.

    One statement a combination: "column = $n OR $n IS NULL" would keep every index out of a generic plan.
    """
    given = {name: value for name in _FILTERS if (value := getattr(wanted, name)) is not None}
    terms = ["true", *(_FILTERS[name] % number for number, name in enumerate(given, start=start))]
    subject = " JOIN ledger_subject AS s USING (leaf_index)" if wanted.pseudonym is not None else ""
    values = [list(value) if isinstance(value, tuple) else value for value in given.values()]
    return f"FROM ledger_access AS a{subject} WHERE {' AND '.join(terms)}", values


def access_from_row(row: Row) -> Access:
    """Turn a row with the columns :data:`COLUMNS` into a value."""
    named = dict(row.items())
    return Access(**named | {name: tuple(named[name]) for name in ("data_items", "platform_ids")})
