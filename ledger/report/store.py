"""SQL of the monthly and annual report. Everything is counted from entries of the tree and their projections."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from database import Statements
from ledger.archive.store import require_here

_LEAVES: Final = """
SELECT s.ts, convert_from(e.body, 'UTF8')::jsonb AS leaf FROM ledger_search AS s
JOIN ledger_leaf AS l ON l.leaf_index = s.leaf_index JOIN ledger_entry AS e ON e.seq = l.seq"""
_FIRST: Final = "SELECT min(leaf_index) FROM ledger_search WHERE ts >= $1 AND ts < $2"
SECTIONS: Final[Mapping[str, str]] = {
    "queries": """
SELECT ARRAY[institution, coalesce(purpose, '-'), type] AS names, sum(number)::bigint AS count, NULL::float8 AS days
FROM ledger_access WHERE at >= $1 AND at < $2 GROUP BY institution, purpose, type ORDER BY 1""",
    "refusals": """
SELECT ARRAY[coalesce(reason, '-')] AS names, sum(number)::bigint AS count, NULL::float8 AS days
FROM ledger_access WHERE at >= $1 AND at < $2 AND type = 'QUERY_DENIED' GROUP BY reason ORDER BY 2 DESC, 1""",
    "platforms": """
SELECT ARRAY[platform] AS names, count(*)::bigint AS count, NULL::float8 AS days
FROM ledger_access CROSS JOIN LATERAL unnest(platform_ids) AS platform
WHERE at >= $1 AND at < $2 AND type = 'RELEASE' GROUP BY platform ORDER BY 1""",
    "holds": """
SELECT ARRAY[type] AS names, count(*)::bigint AS count, NULL::float8 AS days FROM ledger_search
WHERE ts >= $1 AND ts < $2 AND type IN ('HOLD_PLACED', 'HOLD_LIFTED', 'FILE_FROZEN', 'FILE_THAWED')
GROUP BY type ORDER BY 1""",
    # A dispute counts in the period it was opened in, by its state at the end; days from its opening to its last step.
    "disputes": f"""
WITH step AS (
    {_LEAVES} WHERE s.type IN ('DISPUTE_OPENED', 'DISPUTE_UPDATED') AND s.ts < $2),
dispute AS (
    SELECT leaf ->> 'object' AS id, min(ts) AS opened, max(ts) AS stepped,
        (array_agg(leaf #>> '{{status,to}}' ORDER BY ts DESC))[1] AS state
    FROM step GROUP BY 1)
SELECT ARRAY[coalesce(state, '-')] AS names, count(*)::bigint AS count,
    avg(extract(epoch FROM stepped - opened) / 86400)::float8 AS days
FROM dispute WHERE opened >= $1 GROUP BY state ORDER BY 1""",  # noqa: S608 - a constant
    "suspensions": f"""
WITH event AS ({_LEAVES} WHERE s.type IN ('PARTICIPANT_EVENT', 'PLATFORM_EVENT') AND s.ts >= $1 AND s.ts < $2)
SELECT ARRAY[coalesce(leaf ->> 'object', '-'), leaf #>> '{{status,to}}'] AS names, count(*)::bigint AS count,
    NULL::float8 AS days
FROM event WHERE leaf #>> '{{status,to}}' IN ('SUSPENDED', 'RESTORED', 'STOPPED', 'PAUSED') GROUP BY 1 ORDER BY 1""",  # noqa: S608
}
"""Section to its statement over ``[$1, $2)``; the rows are names, a count, and days where days are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRow:
    """One line of a section; ``days`` is the mean where the section counts days."""

    section: str
    names: tuple[str, ...]
    count: int
    days: float | None


async def report_rows(db: Statements, *, since: datetime, before: datetime) -> list[ReportRow]:
    """Return every section's rows for entries whose own time lies in ``[since, before)``.

    Raises:
        BashuError: NOT_FOUND_OR_NOT_YOURS where entries of that time are in an archive alone: fewer would be counted.
    """
    first = await db.fetchval(_FIRST, since, before)
    if first is not None:
        await require_here(db, first)
    return [
        ReportRow(section=section, names=tuple(row["names"]), count=row["count"], days=row["days"])
        for section, sql in SECTIONS.items()
        for row in await db.fetch(sql, since, before)
    ]
