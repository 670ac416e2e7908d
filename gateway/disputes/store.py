"""SQL of disputes, statements and corrections."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from database import Row, Statements
from gateway.disputes.model import Channel, Dispute, Opener, State, Statement

_COLUMNS: Final = """dispute_id, pseudonym, record_id, platform_id, data_item, institution, opened_by, channel,
    seen_in_release, entry_id, received_at, due_at, state, outcome, platform_reference, explanation_entry_id,
    answer_entry_id, forwarded_at, checked_at, answered_at, tries"""
_FIND: Final = f"SELECT {_COLUMNS} FROM dispute WHERE dispute_id = $1"  # noqa: S608
_LOCK: Final = f"{_FIND} FOR UPDATE"
_STANDING: Final = f"""
SELECT {_COLUMNS} FROM dispute
WHERE pseudonym = $1 AND record_id = $2 AND platform_id = $3 AND state <> 'ANSWERED'"""  # noqa: S608
_PAGE: Final = f"""
SELECT {_COLUMNS} FROM dispute WHERE dispute_id > $1 AND (cardinality($3::text[]) = 0 OR state = ANY($3::text[]))
ORDER BY dispute_id LIMIT $2"""  # noqa: S608
_INSERT: Final = """
INSERT INTO dispute (dispute_id, pseudonym, record_id, platform_id, data_item, institution, opened_by, channel,
    seen_in_release, entry_id, received_at, due_at, next_try_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $11)"""
_STEP: Final = """
UPDATE dispute SET state = $2, outcome = $3, platform_reference = $4, explanation_entry_id = $5, answer_entry_id = $6,
    forwarded_at = $7, checked_at = $8, answered_at = $9
WHERE dispute_id = $1"""
_CLAIM: Final = f"""
UPDATE dispute SET next_try_at = bashu_now() + $2, tries = tries + 1
WHERE dispute_id IN (
    SELECT dispute_id FROM dispute
    WHERE channel = 'INTERFACE' AND state IN ('RECEIVED', 'FORWARDED') AND next_try_at <= (SELECT bashu_now())
    ORDER BY next_try_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING {_COLUMNS}"""  # noqa: S608
_TRY_AT: Final = "UPDATE dispute SET next_try_at = $2 WHERE dispute_id = $1"
_WAS_RELEASED: Final = """
SELECT EXISTS (
    SELECT 1 FROM ledger_subject AS s INNER JOIN ledger_access AS a ON a.leaf_index = s.leaf_index
    WHERE s.pseudonym = $1 AND a.type = 'RELEASE' AND $2 = ANY(a.platform_ids) AND ($3 = '' OR a.institution = $3))"""
_CONCERNED: Final = """
SELECT a.institution, array_agg(DISTINCT a.request_id) AS request_ids
FROM ledger_subject AS s INNER JOIN ledger_access AS a ON a.leaf_index = s.leaf_index
WHERE s.pseudonym = $1 AND a.type = 'RELEASE' AND $2 = ANY(a.platform_ids) AND a.at >= $4
    AND ($3 = '' OR $3 = ANY(a.data_items)) AND a.request_id IS NOT NULL
GROUP BY a.institution ORDER BY a.institution"""
_CORRECT: Final = """
INSERT INTO correction (correction_id, institution, dispute_id, request_ids) VALUES ($1, $2, $3, $4)
ON CONFLICT DO NOTHING"""
_CORRECTIONS: Final = """
SELECT c.correction_id, c.request_ids, d.record_id, d.platform_id, d.data_item, d.outcome, d.checked_at
FROM correction AS c INNER JOIN dispute AS d ON d.dispute_id = c.dispute_id
WHERE c.institution = $1 AND c.correction_id > $2 ORDER BY c.correction_id LIMIT $3"""
_ADD_STATEMENT: Final = """
INSERT INTO subject_statement (statement_id, pseudonym, record_id, entry_id, added_at) VALUES ($1, $2, $3, $4, $5)"""
_NOTED: Final = """
SELECT pseudonym, record_id, 'STATEMENT' AS state, NULL AS outcome, entry_id, NULL::uuid AS explanation_entry_id,
    added_at AS since, '' AS platform_id
FROM subject_statement WHERE pseudonym = ANY($1::text[])
UNION ALL
SELECT pseudonym, record_id, state, outcome, entry_id, explanation_entry_id, received_at, platform_id
FROM dispute WHERE pseudonym = ANY($1::text[]) AND (state <> 'ANSWERED' OR outcome = 'UNVERIFIABLE')
    AND outcome IS DISTINCT FROM '2'
ORDER BY since, entry_id"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """What reports say about one subject: ``state`` STATEMENT, or a dispute's."""

    pseudonym: str
    record_id: str
    state: str
    outcome: str | None
    entry_id: UUID
    explanation_entry_id: UUID | None
    since: datetime
    platform_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionRow:
    """A corrected record for one institution that got it."""

    correction_id: UUID
    request_ids: tuple[UUID, ...]
    record_id: str
    platform_id: str
    data_item: str
    outcome: str
    checked_at: datetime


async def insert(tx: Statements, dispute: Dispute) -> None:
    """Store a new dispute; UniqueConflict while one stands on the same record."""
    await tx.execute(
        _INSERT, dispute.dispute_id, dispute.pseudonym, dispute.record_id, dispute.platform_id, dispute.data_item,
        dispute.institution, dispute.opened_by.value, dispute.channel.value, dispute.seen_in_release, dispute.entry_id,
        dispute.received_at, dispute.due_at,
    )  # fmt: skip


async def find(db: Statements, dispute_id: UUID) -> Dispute | None:
    """Return a dispute."""
    return _dispute(await db.fetchrow(_FIND, dispute_id))


async def lock(tx: Statements, dispute_id: UUID) -> Dispute | None:
    """Return a dispute, locked."""
    return _dispute(await tx.fetchrow(_LOCK, dispute_id))


async def standing(db: Statements, pseudonym: str, record_id: str, platform_id: str) -> Dispute | None:
    """Return the dispute that stands on a record at a platform."""
    return _dispute(await db.fetchrow(_STANDING, pseudonym, record_id, platform_id))


async def page(db: Statements, *, after: UUID, limit: int, states: Sequence[State]) -> list[Dispute]:
    """Return disputes by id, the oldest first; no ``states``: in any."""
    rows = await db.fetch(_PAGE, after, limit, [state.value for state in states])
    return [dispute for row in rows if (dispute := _dispute(row)) is not None]


async def step(tx: Statements, dispute: Dispute) -> None:
    """Write a dispute's new state; its row is locked."""
    await tx.execute(
        _STEP, dispute.dispute_id, dispute.state.value, dispute.outcome, dispute.platform_reference,
        dispute.explanation_entry_id, dispute.answer_entry_id, dispute.forwarded_at, dispute.checked_at,
        dispute.answered_at,
    )  # fmt: skip


async def claim(db: Statements, *, limit: int, lease: Any) -> list[Dispute]:
    """Take disputes whose platform is to be spoken to; nobody else gets them before ``lease`` is over."""
    rows = await db.fetch(_CLAIM, limit, lease)
    return [dispute for row in rows if (dispute := _dispute(row)) is not None]


async def try_at(db: Statements, dispute_id: UUID, at: datetime) -> None:
    """Write when the platform is spoken to next."""
    await db.execute(_TRY_AT, dispute_id, at)


async def was_released(db: Statements, pseudonym: str, platform_id: str, institution: str = "") -> bool:
    """Tell whether a report with data of a platform was released about a subject (to ``institution``, if given)."""
    return bool(await db.fetchval(_WAS_RELEASED, pseudonym, platform_id, institution))


async def concerned(db: Statements, dispute: Dispute, since: datetime) -> list[tuple[str, list[UUID]]]:
    """Return the institutions that got data of the disputed kind since then, each with its requests."""
    rows = await db.fetch(_CONCERNED, dispute.pseudonym, dispute.platform_id, dispute.data_item, since)
    return [(row["institution"], list(row["request_ids"])) for row in rows]


async def correct(
    tx: Statements, correction_id: UUID, institution: str, dispute_id: UUID, requests: list[UUID]
) -> None:
    """Put a correction into an institution's feed, once."""
    await tx.execute(_CORRECT, correction_id, institution, dispute_id, requests)


async def corrections(db: Statements, institution: str, *, after: UUID, limit: int) -> list[CorrectionRow]:
    """Return an institution's corrections by id."""
    rows = await db.fetch(_CORRECTIONS, institution, after, limit)
    return [CorrectionRow(**{**dict(row.items()), "request_ids": tuple(row["request_ids"])}) for row in rows]


async def add_statement(tx: Statements, statement: Statement) -> None:
    """Store a statement."""
    await tx.execute(
        _ADD_STATEMENT,
        statement.statement_id,
        statement.pseudonym,
        statement.record_id,
        statement.entry_id,
        statement.added_at,
    )


async def noted(db: Statements, pseudonyms: Sequence[str]) -> list[Noted]:
    """Return what reports about these subjects have to say, the oldest first."""
    return [Noted(**dict(row.items())) for row in await db.fetch(_NOTED, list(pseudonyms))]


def _dispute(row: Row | None) -> Dispute | None:
    if row is None:
        return None
    kinds = {
        "state": State(row["state"]),
        "opened_by": Opener(row["opened_by"]),
        "channel": Channel(row["channel"]),
    }
    return Dispute(**{**dict(row.items()), **kinds})
