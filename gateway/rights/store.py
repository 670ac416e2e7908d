"""SQL of the subject's rights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final
from uuid import UUID

from database import Row, Statements
from gateway.vault.model import Sealed

_COLUMNS: Final = """erasure_id, pseudonym, key_ids, entry_id, requested_at, due_at, erased_at, decided_by,
    backups_lapse_on, keys_destroyed_at, commitments"""
_LATEST: Final = f"SELECT {_COLUMNS} FROM erasure WHERE pseudonym = $1 ORDER BY requested_at DESC LIMIT 1"  # noqa: S608
_LOCK: Final = f"SELECT {_COLUMNS} FROM erasure WHERE erasure_id = $1 FOR UPDATE"  # noqa: S608
_PAGE: Final = f"""
SELECT {_COLUMNS} FROM erasure WHERE erasure_id > $1 AND (erased_at IS NULL OR $3) ORDER BY erasure_id LIMIT $2"""  # noqa: S608
_DUE: Final = f"""
SELECT {_COLUMNS} FROM erasure WHERE erased_at IS NULL AND due_at <= (SELECT bashu_now()) AND erasure_id > $1
ORDER BY erasure_id LIMIT $2"""  # noqa: S608
_UNDESTROYED: Final = f"""
SELECT {_COLUMNS} FROM erasure WHERE erased_at IS NOT NULL AND keys_destroyed_at IS NULL
ORDER BY erasure_id LIMIT $1"""  # noqa: S608
_INSERT: Final = """
INSERT INTO erasure (erasure_id, pseudonym, key_ids, entry_id, requested_at, due_at, commitments)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
_PUT_OFF: Final = "UPDATE erasure SET due_at = $2 WHERE erasure_id = $1 AND erased_at IS NULL"
_DONE: Final = """
UPDATE erasure SET erased_at = $2, decided_by = $3, backups_lapse_on = $4 WHERE erasure_id = $1 AND erased_at IS NULL"""
_DESTROYED: Final = """
UPDATE erasure SET keys_destroyed_at = bashu_now() WHERE erasure_id = $1 AND keys_destroyed_at IS NULL"""
_RESTRICTED: Final = """
SELECT EXISTS (
    SELECT 1 FROM sealed_detail AS d
    JOIN erasure AS e ON e.key_ids @> ARRAY[d.key_id] AND e.erased_at IS NULL
    WHERE d.entry_id = $1 AND d.kind = $2 AND (d.sealed_at <= e.requested_at OR d.entry_id = e.entry_id))"""
_LAST_DEALING: Final = """
SELECT greatest(
    (SELECT a.at FROM ledger_access AS a WHERE a.leaf_index = (
        SELECT max(s.leaf_index) FROM ledger_subject AS s WHERE s.pseudonym = $1)),
    (SELECT max(i.admitted_at) FROM intent AS i WHERE i.pseudonym = $1 AND i.state = 'OPEN'),
    (SELECT max(coalesce(l.closed_at, greatest((SELECT bashu_now()), l.due_on::timestamptz)))
        FROM loan AS l WHERE l.pseudonym = $1),
    (SELECT max(coalesce(d.answered_at, greatest((SELECT bashu_now()), d.due_at)))
        FROM dispute AS d WHERE d.pseudonym = $1),
    (SELECT max(least(c.exp, coalesce(c.revoked_at, c.exp), coalesce(c.ended_by_loan, c.exp)))
        FROM consent AS c WHERE c.commitment = ANY($2::text[])))"""
_OWN_REPORT: Final = "SELECT ordinal FROM own_report WHERE pseudonym = $1 AND request_id = $2"
_NUMBER_OWN_REPORT: Final = """
INSERT INTO own_report (pseudonym, year, ordinal, request_id, released_at)
SELECT $1, $2, coalesce(max(ordinal), 0) + 1, $3, $4 FROM own_report WHERE pseudonym = $1 AND year = $2
RETURNING ordinal"""
_KEPT: Final = {
    "loan": """
SELECT institution, loan_reference, application_reference, opened_on, due_on, registered_at, closed_at, close_reason
FROM loan WHERE pseudonym = $1 ORDER BY registered_at, institution, loan_reference""",
    # The ids as text: rows are given out as JSON.
    "consent_request": """
SELECT bundle_id, institution, drafts, encode(notice_sha256, 'hex') AS notice_sha256, requested_at, expires_at, granted,
    decided_at, consent_ids::text[] AS consent_ids
FROM consent_bundle WHERE pseudonym = $1 ORDER BY requested_at, bundle_id""",
    "hold": """
SELECT hold_id, kind AS hold_kind, placed_at, lifted_at FROM hold_record WHERE pseudonym = $1 ORDER BY hold_id""",
    "own_report": """
SELECT request_id, year, ordinal, released_at FROM own_report WHERE pseudonym = $1 ORDER BY year, ordinal""",
    "dispute": """
SELECT dispute_id, record_id, platform_id, data_item, opened_by, state, outcome, received_at, due_at, checked_at,
    answered_at, entry_id FROM dispute WHERE pseudonym = $1 ORDER BY dispute_id""",
    "statement": """
SELECT statement_id, record_id, added_at, entry_id FROM subject_statement WHERE pseudonym = $1 ORDER BY statement_id""",
    "erasure": """
SELECT erasure_id, requested_at, due_at, erased_at, decided_by, backups_lapse_on FROM erasure
WHERE pseudonym = $1 ORDER BY requested_at""",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasureRow:
    """One row of ``erasure``; RESTRICTED while ``erased_at`` is None."""

    erasure_id: UUID
    pseudonym: str
    commitments: tuple[str, ...]
    key_ids: tuple[UUID, ...]
    entry_id: UUID
    requested_at: datetime
    due_at: datetime
    erased_at: datetime | None = None
    decided_by: str | None = None
    backups_lapse_on: date | None = None
    keys_destroyed_at: datetime | None = None


async def latest_erasure(db: Statements, pseudonym: str) -> ErasureRow | None:
    """Return a subject's latest erasure."""
    row = await db.fetchrow(_LATEST, pseudonym)
    return None if row is None else _erasure(row)


async def lock_erasure(tx: Statements, erasure_id: UUID) -> ErasureRow | None:
    """Lock one erasure."""
    row = await tx.fetchrow(_LOCK, erasure_id)
    return None if row is None else _erasure(row)


async def erasures(db: Statements, *, after: UUID, limit: int, with_erased: bool) -> list[ErasureRow]:
    """Return erasures with larger ids than ``after``, in order."""
    return [_erasure(row) for row in await db.fetch(_PAGE, after, limit, with_erased)]


async def due_erasures(db: Statements, *, after: UUID, limit: int) -> list[ErasureRow]:
    """Return erasures whose retention period is over, with larger ids than ``after``, in order."""
    return [_erasure(row) for row in await db.fetch(_DUE, after, limit)]


async def undestroyed(db: Statements, *, limit: int) -> list[ErasureRow]:
    """Return erasures whose entry stands and whose keys may still be there."""
    return [_erasure(row) for row in await db.fetch(_UNDESTROYED, limit)]


async def insert_erasure(tx: Statements, row: ErasureRow) -> None:
    """Store a new erasure; UniqueConflict while one stands on the subject."""
    await tx.execute(
        _INSERT,
        row.erasure_id,
        row.pseudonym,
        list(row.key_ids),
        row.entry_id,
        row.requested_at,
        row.due_at,
        list(row.commitments),
    )


async def put_off(tx: Statements, erasure_id: UUID, *, due_at: datetime) -> None:
    """Write a later day for an erasure that is not decided; its row is locked."""
    await tx.execute(_PUT_OFF, erasure_id, due_at)


async def erased(tx: Statements, erasure_id: UUID, *, at: datetime, decided_by: str, lapse_on: date) -> None:
    """Write that an erasure is decided; its row is locked."""
    await tx.execute(_DONE, erasure_id, at, decided_by, lapse_on)


async def keys_destroyed(db: Statements, erasure_id: UUID) -> None:
    """Write that the keys of a decided erasure are gone."""
    await db.execute(_DESTROYED, erasure_id)


async def is_restricted(db: Statements, sealed: Sealed) -> bool:
    """Tell whether a detail waits to be erased; what its subject wrote since it asked does not."""
    return bool(await db.fetchval(_RESTRICTED, sealed.entry_id, sealed.kind.value))


async def last_dealing(db: Statements, pseudonym: str, commitments: Sequence[str]) -> datetime | None:
    """Return when the last query about a subject was, its last loan, dispute or consent ended; None: never.

    An open loan or dispute ends when it is due, or now where that has passed.
    """
    moment: datetime | None = await db.fetchval(_LAST_DEALING, pseudonym, list(commitments))
    return moment


def _erasure(row: Row) -> ErasureRow:
    lists = {name: tuple(row[name]) for name in ("key_ids", "commitments")}
    return ErasureRow(**{**dict(row.items()), **lists})


async def number_own_report(db: Statements, pseudonym: str, *, year: int, request_id: UUID, at: datetime) -> int:
    """Number a subject's own report within its year, and return the number; a repeat keeps its own.

    Raises:
        UniqueConflict: another took the number at the same moment.
    """
    number: int | None = await db.fetchval(_OWN_REPORT, pseudonym, request_id)
    if number is None:
        number = await db.fetchval(_NUMBER_OWN_REPORT, pseudonym, year, request_id, at)
    assert number is not None
    return number


async def kept_about(db: Statements, pseudonym: str) -> list[tuple[str, Sequence[Row]]]:
    """Return the rows kept under a subject's pseudonym, by what they are; officers and staff are not among them."""
    return [(kind, await db.fetch(sql, pseudonym)) for kind, sql in _KEPT.items()]
