"""SQL of the search for entries: by consent, subject, institution, request, type and time."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from database import Statements
from ledger.store import StoredEntry, entries_at

_FILTERS: Final[Mapping[str, str]] = {
    "consent_id": "consent_id = $%d::uuid",
    "institution": "institution = $%d::text",
    "request_id": "request_id = $%d::uuid",
    "types": "type = ANY($%d::text[])",
}
_PERIOD: Final[Mapping[str, str]] = {"since": "ts >= $%d::timestamptz", "before": "ts < $%d::timestamptz"}
_OF_CONSENT: Final = """leaf_index IN (
    SELECT leaf_index FROM ledger_search WHERE consent_id = $%d::uuid
    UNION SELECT leaf_index FROM ledger_touched WHERE consent_id = $%d::uuid)"""
_OF_SUBJECT: Final = """leaf_index IN (
    SELECT leaf_index FROM ledger_subject WHERE pseudonym = $%d::text
    UNION SELECT q.leaf_index FROM ledger_subject AS s JOIN ledger_access AS a ON a.leaf_index = s.leaf_index
        JOIN ledger_search AS q ON q.request_id = a.request_id AND q.institution = a.institution
        WHERE s.pseudonym = $%d::text
    UNION SELECT leaf_index FROM ledger_search WHERE consent_id = ANY($%d::uuid[])
    UNION SELECT leaf_index FROM ledger_touched WHERE consent_id = ANY($%d::uuid[]))"""


async def find_entries(
    db: Statements,
    *,
    from_index: int = 0,
    limit: int,
    consent_id: uuid.UUID | None = None,
    institution: str | None = None,
    request_id: uuid.UUID | None = None,
    types: Sequence[str] = (),
    is_newest_first: bool = False,
) -> list[StoredEntry]:
    """Return up to ``limit`` entries of the tree from ``from_index`` on that have all that is asked for."""
    asked = {"consent_id": consent_id, "institution": institution, "request_id": request_id, "types": list(types)}
    given = {name: value for name, value in asked.items() if value}
    # One statement a combination: "column = $n OR $n IS NULL" would keep every index out of a generic plan.
    terms = ["leaf_index >= $1", *(_FILTERS[name] % number for number, name in enumerate(given, start=3))]
    order = "DESC" if is_newest_first else "ASC"
    sql = f"SELECT leaf_index FROM ledger_search WHERE {' AND '.join(terms)} ORDER BY leaf_index {order} LIMIT $2"  # noqa: S608
    rows = await db.fetch(sql, from_index, limit, *given.values())
    return await entries_at(db, [row["leaf_index"] for row in rows])


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectEntries:
    """Whose entries: the subject's pseudonym for its accesses, and the consents that are about it."""

    pseudonym: str
    consent_ids: tuple[uuid.UUID, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryFilter:
    """What entries must have; ``since`` and ``before`` bound their own time, half-open.

    Of ``consent_id`` also the entries that touch it by ``affects`` alone: holds and freezes on its subject, closings
    of its loan.
    """

    consent_id: uuid.UUID | None = None
    subject: SubjectEntries | None = None
    institution: str | None = None
    types: tuple[str, ...] = ()
    since: datetime | None = None
    before: datetime | None = None


async def find_indexes(db: Statements, wanted: EntryFilter, *, from_index: int, to_index: int, limit: int) -> list[int]:
    """Return the indexes of up to ``limit`` leaves with ``from_index <= index < to_index`` that have all wanted."""
    sql, values = _search(wanted)
    rows = await db.fetch(f"{sql} ORDER BY leaf_index LIMIT $3", from_index, to_index, limit, *values)
    return [row["leaf_index"] for row in rows]


async def count_entries(db: Statements, wanted: EntryFilter, *, from_index: int, to_index: int, most: int) -> int:
    """Count what :func:`find_indexes` would return; no further than ``most``, so that counting stays cheap."""
    sql, values = _search(wanted)
    rows = f"SELECT count(*) FROM ({sql} LIMIT $3) AS found"  # noqa: S608 - constants of this module
    return int(await db.fetchval(rows, from_index, to_index, most, *values))


def _search(wanted: EntryFilter) -> tuple[str, list[object]]:
    clauses = {**_FILTERS, **_PERIOD}
    asked = {name: getattr(wanted, name) for name in ("institution", "types", "since", "before")}
    given = {name: list(value) if isinstance(value, tuple) else value for name, value in asked.items() if value}
    terms = ["leaf_index >= $1", "leaf_index < $2"]
    terms += [clauses[name] % number for number, name in enumerate(given, start=4)]
    values = list(given.values())
    if wanted.consent_id is not None:
        values.append(wanted.consent_id)
        terms.append(_OF_CONSENT % ((len(values) + 3,) * 2))
    if wanted.subject is not None:
        values += [wanted.subject.pseudonym, list(wanted.subject.consent_ids)]
        terms.append(_OF_SUBJECT % (*((len(values) + 2,) * 2), *((len(values) + 3,) * 2)))
    sql = f"SELECT leaf_index FROM ledger_search WHERE {' AND '.join(terms)}"  # noqa: S608 - constants of this module
    return sql, values
