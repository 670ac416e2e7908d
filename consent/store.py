"""The consents' SQL. Everything takes a transaction or a database and opens none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime
from enum import StrEnum
from typing import Any, Final
from uuid import UUID

from consent.model import (
    Actor,
    ConsentEvent,
    ConsentFacts,
    ConsentState,
    HoldKind,
    HoldRecord,
    LiftProposal,
    Loan,
    LoanEnd,
    Transition,
)
from database import Statements


class Party(StrEnum):
    """By whom consents are listed: the column that names each party."""

    LENDER = "institution"
    AUTHORITY = "authority"
    SUBJECT = "commitment"


FACTS: Final = tuple(field.name for field in fields(ConsentFacts))
_COLUMNS: Final = ", ".join(FACTS)
_REGISTERED: Final = (
    "consent_id", "version", "institution", "authority", "authority_kid", "artefact_hash", "subject_kind", "id_type",
    "commitment", "commitment_kid", "subject_display", "purpose", "ends_with_loan", "plus_days", "nbf", "exp",
    "max_uses", "used", "window_key", "window_used", "last_use_at", "carried", "revision", "last_event",
    "registered_at",
)  # fmt: skip

_NOW: Final = "SELECT bashu_now()"
_FIND: Final = f"SELECT {_COLUMNS} FROM consent WHERE consent_id = $1"  # noqa: S608 - column names of a dataclass
_LOCK: Final = f"""
SELECT {_COLUMNS} FROM consent WHERE consent_id = ANY($1::uuid[]) ORDER BY consent_id FOR NO KEY UPDATE"""  # noqa: S608
_PAGES: Final = {
    party: f"""
SELECT {_COLUMNS} FROM consent WHERE {party.value} = $1 AND consent_id > $2 ORDER BY consent_id LIMIT $3"""  # noqa: S608
    for party in Party
}
_PAGE_OF_ALL: Final = f"""
SELECT {_COLUMNS} FROM consent WHERE consent_id > $1 ORDER BY consent_id LIMIT $2"""  # noqa: S608
_IDS_OF_SUBJECT: Final = "SELECT consent_id FROM consent WHERE commitment = ANY($1::text[]) ORDER BY consent_id"
_IDS_OF_BORROWER: Final = """
SELECT consent_id FROM consent WHERE commitment = ANY($2::text[]) AND institution = $1 ORDER BY consent_id"""
_INSERT: Final = f"""
INSERT INTO consent ({", ".join(_REGISTERED)}) VALUES ({", ".join(f"${n + 1}" for n in range(len(_REGISTERED)))})
ON CONFLICT (consent_id) DO NOTHING RETURNING consent_id"""  # noqa: S608
_INSERT_ARTEFACT: Final = "INSERT INTO consent_artefact (consent_id, artefact) VALUES ($1, $2)"
_ARTEFACTS: Final = "SELECT consent_id, artefact FROM consent_artefact WHERE consent_id = ANY($1::uuid[])"
_UPDATE: Final = """
UPDATE consent SET version = version + 1, revision = $2, last_event = $3, revoked_at = $4, held_count = $5,
    superseded_by = $6, ended_by_loan = $7, paused_at = $8
WHERE consent_id = $1"""
ENDED_UNRECORDED: Final = """
WITH page AS MATERIALIZED (
    SELECT consent_id, revision, revoked_at, held_count, superseded_by, paused_at, nbf, used, max_uses,
        least(exp, ended_by_loan) AS ends, bashu_now() AS now
    FROM consent WHERE consent_id > $1 ORDER BY consent_id LIMIT $2
)
SELECT p.consent_id,
    p.revoked_at IS NULL AND p.held_count = 0 AND p.superseded_by IS NULL AND (
        (p.now >= p.ends AND e.to_state <> 'EXPIRED')
        OR (p.now < p.ends AND p.now >= p.nbf AND p.paused_at IS NULL AND p.used >= p.max_uses
            AND e.to_state <> 'EXHAUSTED')
    ) AS is_ended
FROM page AS p JOIN consent_event AS e ON e.consent_id = p.consent_id AND e.revision = p.revision
ORDER BY p.consent_id"""
_TOUCH: Final = "UPDATE consent SET version = version + 1 WHERE consent_id = ANY($1::uuid[])"
_INSERT_EVENT: Final = """
INSERT INTO consent_event
    (consent_id, revision, from_state, to_state, reason, actor, at, entry_id, leaf_hash, previous)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
_EVENTS: Final = """
SELECT revision, from_state, to_state, reason, actor, at, entry_id FROM consent_event
WHERE consent_id = $1 ORDER BY revision"""
_LAST_STATE: Final = "SELECT to_state FROM consent_event WHERE consent_id = $1 AND revision = $2"
_STANDING: Final = """
SELECT entry_id FROM subject_hold WHERE commitments @> ARRAY[$1::text] AND lifted_at IS NULL
ORDER BY placed_at, entry_id"""
_LOAN_COLUMNS: Final = (
    "institution, loan_reference, application_reference, pseudonym, commitments, opened_on, due_on, registered_at,"
    " closed_at, close_reason"
)
_INSERT_LOAN: Final = """
INSERT INTO loan (institution, loan_reference, application_reference, pseudonym, commitments, opened_on, due_on,
    registered_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (institution, loan_reference) DO NOTHING RETURNING loan_reference"""
_FIND_LOAN: Final = f"""
SELECT {_LOAN_COLUMNS} FROM loan WHERE institution = $1 AND loan_reference = $2"""  # noqa: S608
_LOCK_LOANS: Final = f"""
SELECT {_LOAN_COLUMNS} FROM loan WHERE institution = $1 AND pseudonym = $2 ORDER BY loan_reference
FOR NO KEY UPDATE"""  # noqa: S608
_LOANS: Final = f"""
SELECT {_LOAN_COLUMNS} FROM loan WHERE institution = $1 AND loan_reference > $2
ORDER BY loan_reference LIMIT $3"""  # noqa: S608
_CLOSE_LOAN: Final = """
UPDATE loan SET closed_at = $3, close_reason = $4 WHERE institution = $1 AND loan_reference = $2"""
_LOCK_HOLDS: Final = "LOCK TABLE subject_hold IN ACCESS EXCLUSIVE MODE"
_SHORT_WAIT: Final = "SET LOCAL lock_timeout = '250ms'"
_INSERT_HOLD: Final = """
INSERT INTO subject_hold (hold_id, pseudonym, kind, reason, commitments, entry_id, placed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
_LIFT_HOLD: Final = """
UPDATE subject_hold SET lifted_at = $2, lifted_entry_id = $3 WHERE hold_id = $1 AND lifted_at IS NULL
RETURNING hold_id"""
_FIND_HOLD: Final = """
SELECT hold_id, pseudonym, kind, reason, commitments, entry_id, lifted_at FROM subject_hold WHERE hold_id = $1"""

_STANDING_FREEZES: Final = """
SELECT hold_id, placed_at FROM subject_hold WHERE pseudonym = $1 AND kind = 'FREEZE' AND lifted_at IS NULL
ORDER BY hold_id"""
_RECORD: Final = (
    "hold_id, kind, consent_id, pseudonym, display, reason, placed_by, placed_operator, placed_at, detail_id,"
    " lift_detail_id, lift_proposed_by, lift_proposed_operator, lift_proposed_at, lifted_at"
)
_INSERT_RECORD: Final = """
INSERT INTO hold_record
    (hold_id, kind, consent_id, pseudonym, display, reason, placed_by, placed_operator, placed_at, detail_id)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
_LOCK_RECORD: Final = f"SELECT {_RECORD} FROM hold_record WHERE hold_id = $1 FOR NO KEY UPDATE"  # noqa: S608
_STANDING_RECORDS: Final = f"""
SELECT {_RECORD} FROM hold_record WHERE lifted_at IS NULL AND hold_id > $1 ORDER BY hold_id LIMIT $2"""  # noqa: S608
_PROPOSE_LIFT: Final = """
UPDATE hold_record SET lift_reason = '', lift_detail_id = $2, lift_proposed_by = $3, lift_proposed_operator = $4,
    lift_proposed_at = $5
WHERE hold_id = $1"""
_CLOSE_RECORD: Final = """
UPDATE hold_record SET lifted_by = $2, lifted_operator = $3, lifted_reason = '', lifted_at = $4 WHERE hold_id = $1"""


async def now(db: Statements) -> datetime:
    """Return the database's time, the one decisions are made by."""
    moment: datetime = await db.fetchval(_NOW)
    return moment


async def find(db: Statements, consent_id: UUID) -> ConsentFacts | None:
    """Return one consent's facts, not locked."""
    row = await db.fetchrow(_FIND, consent_id)
    return None if row is None else facts_from_row(row)


async def lock(tx: Statements, consent_ids: Sequence[UUID]) -> list[ConsentFacts]:
    """Lock consents in the order of their ids and return their facts as of then."""
    return [facts_from_row(row) for row in await tx.fetch(_LOCK, list(consent_ids))]


async def page_of(db: Statements, party: Party, name: str, *, after: UUID, limit: int) -> list[ConsentFacts]:
    """Return a party's consents with larger ids than ``after``, in order of id (so of time)."""
    return [facts_from_row(row) for row in await db.fetch(_PAGES[party], name, after, limit)]


async def page_of_all(db: Statements, *, after: UUID, limit: int) -> list[ConsentFacts]:
    """Return everybody's consents with larger ids than ``after``, in order of id."""
    return [facts_from_row(row) for row in await db.fetch(_PAGE_OF_ALL, after, limit)]


async def ids_of_subject(db: Statements, commitments: Sequence[str]) -> list[UUID]:
    """Return the ids of all consents of a subject, given its commitment under every authority's key."""
    return [row["consent_id"] for row in await db.fetch(_IDS_OF_SUBJECT, list(commitments))]


async def ids_of_borrower(db: Statements, institution: str, commitments: Sequence[str]) -> list[UUID]:
    """Return the ids of all consents that a subject gave to one institution."""
    return [row["consent_id"] for row in await db.fetch(_IDS_OF_BORROWER, institution, list(commitments))]


async def insert(tx: Statements, facts: ConsentFacts, artefact: bytes) -> bool:
    """Store a new consent and its bytes; False where the id is taken."""
    values = [getattr(facts, name) for name in _REGISTERED]
    if await tx.fetchval(_INSERT, *values) is None:
        return False
    await tx.execute(_INSERT_ARTEFACT, facts.consent_id, artefact)
    return True


async def artefacts(db: Statements, consent_ids: Sequence[UUID]) -> dict[UUID, bytes]:
    """Return the stored bytes of consents."""
    return {row["consent_id"]: row["artefact"] for row in await db.fetch(_ARTEFACTS, list(consent_ids))}


async def last_state(db: Statements, facts: ConsentFacts) -> ConsentState:
    """Return the state that a consent's last event led to."""
    return ConsentState(await db.fetchval(_LAST_STATE, facts.consent_id, facts.revision))


async def ended_unrecorded(db: Statements, *, after: UUID, limit: int) -> tuple[UUID | None, list[UUID]]:
    """Look at ``limit`` consents after an id: return the last id seen, None at the end, and those that time ended.

    Of the latter, none whose last event says so. Not locked: whoever records one looks again.
    """
    rows = await db.fetch(ENDED_UNRECORDED, after, limit)
    last = rows[-1]["consent_id"] if len(rows) == limit else None
    return last, [row["consent_id"] for row in rows if row["is_ended"]]


async def update(tx: Statements, facts: ConsentFacts) -> None:
    """Write what an event changed; ``version`` rises by one."""
    await tx.execute(
        _UPDATE,
        facts.consent_id,
        facts.revision,
        facts.last_event,
        facts.revoked_at,
        facts.held_count,
        facts.superseded_by,
        facts.ended_by_loan,
        facts.paused_at,
    )


async def touch(tx: Statements, consent_ids: Sequence[UUID]) -> None:
    """Raise the version of locked consents, so that an admission which decided before decides again."""
    await tx.execute(_TOUCH, list(consent_ids))


async def insert_event(tx: Statements, event: Transition, *, entry_id: UUID, leaf_hash: bytes) -> None:
    """Store one event with the ledger entry that records it."""
    await tx.execute(
        _INSERT_EVENT,
        event.consent_id,
        event.revision,
        event.from_state.value,
        event.to_state.value,
        event.reason,
        event.actor.value,
        event.at,
        entry_id,
        leaf_hash,
        event.previous,
    )


async def events(db: Statements, consent_id: UUID) -> list[ConsentEvent]:
    """Return a consent's events in order."""
    return [
        ConsentEvent(
            revision=row["revision"],
            from_state=ConsentState(row["from_state"]),
            to_state=ConsentState(row["to_state"]),
            reason=row["reason"],
            actor=Actor(row["actor"]),
            at=row["at"],
            entry_id=row["entry_id"],
        )
        for row in await db.fetch(_EVENTS, consent_id)
    ]


async def standing_holds(tx: Statements, commitment: str) -> list[UUID]:
    """Return the entries of the holds and freezes standing on a subject.

    The read keeps its table lock until the transaction ends, so no hold can be placed past a registration.
    """
    return [row["entry_id"] for row in await tx.fetch(_STANDING, commitment)]


async def insert_loan(tx: Statements, loan: Loan) -> bool:
    """Store a loan; False where the reference is taken."""
    stored = await tx.fetchval(
        _INSERT_LOAN,
        loan.institution,
        loan.loan_reference,
        loan.application_reference,
        loan.pseudonym,
        list(loan.commitments),
        loan.opened_on,
        loan.due_on,
        loan.registered_at,
    )
    return stored is not None


async def find_loan(db: Statements, institution: str, loan_reference: str) -> Loan | None:
    """Return one loan, not locked."""
    row = await db.fetchrow(_FIND_LOAN, institution, loan_reference)
    return None if row is None else loan_from_row(row)


async def lock_loans_of(tx: Statements, institution: str, pseudonym: str) -> list[Loan]:
    """Lock every loan of one subject at one institution."""
    return [loan_from_row(row) for row in await tx.fetch(_LOCK_LOANS, institution, pseudonym)]


async def loans(db: Statements, institution: str, *, after: str, limit: int) -> list[Loan]:
    """Return an institution's loans with references behind ``after``, in order."""
    return [loan_from_row(row) for row in await db.fetch(_LOANS, institution, after, limit)]


async def close_loan(tx: Statements, loan: Loan) -> None:
    """Write the closing of a locked loan."""
    assert loan.close_reason is not None
    await tx.execute(_CLOSE_LOAN, loan.institution, loan.loan_reference, loan.closed_at, loan.close_reason.value)


async def lock_holds(tx: Statements) -> None:
    """Keep every admission and registration out until the transaction ends; LockLost after 250 ms of waiting."""
    await tx.execute(_SHORT_WAIT)
    await tx.execute(_LOCK_HOLDS)


async def insert_hold(
    tx: Statements,
    *,
    hold_id: UUID,
    pseudonym: str,
    kind: str,
    reason: str,
    commitments: Sequence[str],
    entry_id: UUID,
    at: datetime,
) -> None:
    """Store a hold or freeze; the table is locked."""
    await tx.execute(_INSERT_HOLD, hold_id, pseudonym, kind, reason, list(commitments), entry_id, at)


async def find_hold(db: Statements, hold_id: UUID) -> Any:
    """Return the row of a hold or freeze, or None."""
    return await db.fetchrow(_FIND_HOLD, hold_id)


async def lift_hold(tx: Statements, hold_id: UUID, *, at: datetime, entry_id: UUID) -> bool:
    """End a hold or freeze; False where it does not stand."""
    return await tx.fetchval(_LIFT_HOLD, hold_id, at, entry_id) is not None


async def standing_freezes(tx: Statements, pseudonym: str) -> list[tuple[UUID, datetime]]:
    """Return ids and times of the freezes standing on a subject; the table is locked."""
    return [(row["hold_id"], row["placed_at"]) for row in await tx.fetch(_STANDING_FREEZES, pseudonym)]


async def insert_record(tx: Statements, record: HoldRecord) -> None:
    """Store who placed a hold or freeze."""
    await tx.execute(
        _INSERT_RECORD,
        record.hold_id,
        record.kind.value,
        record.consent_id,
        record.pseudonym,
        record.display,
        record.reason,
        record.placed_by,
        record.placed_operator,
        record.placed_at,
        record.detail_id,
    )


async def lock_record(tx: Statements, hold_id: UUID) -> HoldRecord | None:
    """Lock a hold's record; taken before the hold table and consents, by whoever lifts."""
    row = await tx.fetchrow(_LOCK_RECORD, hold_id)
    return None if row is None else _record_from_row(row)


async def standing_records(db: Statements, *, after: UUID, limit: int) -> list[HoldRecord]:
    """Return the records of holds and freezes that stand, with larger ids than ``after``, in order."""
    return [_record_from_row(row) for row in await db.fetch(_STANDING_RECORDS, after, limit)]


async def propose_lift(tx: Statements, hold_id: UUID, proposal: LiftProposal) -> None:
    """Keep a first officer's wish; it replaces an older one. The record is locked."""
    await tx.execute(_PROPOSE_LIFT, hold_id, proposal.detail_id, proposal.participant, proposal.operator, proposal.at)


async def close_record(tx: Statements, hold_id: UUID, *, participant: str, operator: str, at: datetime) -> None:
    """Write who lifted a hold or freeze."""
    await tx.execute(_CLOSE_RECORD, hold_id, participant, operator, at)


def facts_from_row(row: Any) -> ConsentFacts:
    """Turn a row with the columns :data:`FACTS` into values."""
    return ConsentFacts(**{name: row[name] for name in FACTS})


def loan_from_row(row: Any) -> Loan:
    """Turn a row of ``loan`` into values."""
    return Loan(
        institution=row["institution"],
        loan_reference=row["loan_reference"],
        application_reference=row["application_reference"],
        pseudonym=row["pseudonym"],
        commitments=tuple(row["commitments"]),
        opened_on=row["opened_on"],
        due_on=row["due_on"],
        registered_at=row["registered_at"],
        closed_at=row["closed_at"],
        close_reason=LoanEnd(row["close_reason"]) if row["close_reason"] else None,
    )


def _record_from_row(row: Any) -> HoldRecord:
    proposal = None
    if row["lift_proposed_at"] is not None:
        proposal = LiftProposal(
            detail_id=row["lift_detail_id"],
            participant=row["lift_proposed_by"],
            operator=row["lift_proposed_operator"],
            at=row["lift_proposed_at"],
        )
    return HoldRecord(
        hold_id=row["hold_id"],
        kind=HoldKind(row["kind"]),
        consent_id=row["consent_id"],
        pseudonym=row["pseudonym"],
        display=row["display"],
        reason=row["reason"],
        placed_by=row["placed_by"],
        placed_operator=row["placed_operator"],
        placed_at=row["placed_at"],
        detail_id=row["detail_id"],
        proposal=proposal,
        lifted_at=row["lifted_at"],
    )
