"""SQL of the texts that people were shown, of the bundles they decided, and of the paper behind letters."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from consent.bundle import Bundle, BundleState, Draft
from database import Row, Statements

_COLUMNS: Final = "institution, notice_id, version, lang, sha256, body, registered_at, entry_id"
_INSERT_TEXT: Final = f"""
INSERT INTO consent_text ({_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
RETURNING entry_id"""  # noqa: S608
_TEXT_OF: Final = f"""
SELECT {_COLUMNS} FROM consent_text
WHERE institution = $1 AND notice_id = $2 AND version = $3 AND lang = $4"""  # noqa: S608
_TEXTS: Final = f"""
SELECT DISTINCT ON (sha256) {_COLUMNS} FROM consent_text WHERE sha256 = ANY($1::bytea[])
ORDER BY sha256, registered_at, entry_id"""  # noqa: S608

_BUNDLE: Final = """bundle_id, institution, pseudonym, commitments, drafts, notice_sha256, requested_at, expires_at,
    granted, consent_ids, decided_by, decided_at"""
_INSERT_BUNDLE: Final = """
INSERT INTO consent_bundle (bundle_id, institution, pseudonym, commitments, drafts, notice_sha256, requested_at,
    expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING bundle_id"""
_FIND_BUNDLE: Final = f"SELECT {_BUNDLE} FROM consent_bundle WHERE bundle_id = $1"  # noqa: S608
_LOCK_BUNDLE: Final = f"{_FIND_BUNDLE} FOR NO KEY UPDATE"
_DECIDE: Final = """
UPDATE consent_bundle SET granted = $2, consent_ids = $3, decided_by = $4, decided_at = $5 WHERE bundle_id = $1"""

# The states of :meth:`consent.bundle.Bundle.state`, for a page that holds what was asked for.
_BUNDLES: Final = f"""
SELECT {_BUNDLE}, n.now FROM consent_bundle, (SELECT bashu_now() AS now) AS n
WHERE institution = $1
    AND ($2::uuid IS NULL OR (requested_at, bundle_id) < (
        SELECT b.requested_at, b.bundle_id FROM consent_bundle AS b WHERE b.bundle_id = $2 AND b.institution = $1))
    AND CASE WHEN granted THEN 'GRANTED' WHEN NOT granted THEN 'DENIED' WHEN expires_at <= n.now THEN 'LAPSED'
        ELSE 'REQUESTED' END = ANY($3::text[])
ORDER BY requested_at DESC, bundle_id DESC LIMIT $4"""  # noqa: S608

_EVIDENCE: Final = """consent_id, institution, requested_by, requested_operator, requested_at, due_at, entry_id,
    received_at, received_entry_id"""
_INSERT_EVIDENCE: Final = """
INSERT INTO evidence_request (consent_id, institution, requested_by, requested_operator, requested_at, due_at, entry_id)
VALUES ($1, $2, $3, $4, $5, $6, $7)"""
_FIND_EVIDENCE: Final = f"SELECT {_EVIDENCE} FROM evidence_request WHERE consent_id = $1"  # noqa: S608
_EVIDENCE_PAGE: Final = f"""
SELECT {_EVIDENCE}, bashu_now() AS now FROM evidence_request
WHERE ($1::text IS NULL OR institution = $1) AND ($2 OR received_at IS NULL)
    AND ($3::uuid IS NULL OR (due_at, consent_id) > (
        SELECT e.due_at, e.consent_id FROM evidence_request AS e
        WHERE e.consent_id = $3 AND ($1::text IS NULL OR e.institution = $1)))
ORDER BY due_at, consent_id LIMIT $4"""  # noqa: S608
_RECEIVE: Final = "UPDATE evidence_request SET received_at = $2, received_entry_id = $3 WHERE consent_id = $1"
_LATE: Final = """
SELECT institution FROM evidence_request WHERE received_at IS NULL AND due_at <= (SELECT bashu_now())"""
# Letters are what a lender's own participant signed; it may sign for its own institution alone.
_LATE_SIGNERS: Final = f"""
SELECT participant_id FROM participant WHERE role = 'LENDER' AND institution IN ({_LATE})"""  # noqa: S608
_NOT_HELD: Final = """c.revoked_at IS NULL AND c.superseded_by IS NULL AND c.exp > (SELECT bashu_now())
    AND NOT EXISTS (SELECT 1 FROM evidence_hold AS h WHERE h.consent_id = c.consent_id AND h.lifted_at IS NULL)"""
# Without an order: by the primary key's the planner would look at every consent there is.
_TO_HOLD: Final = f"""
SELECT c.consent_id FROM consent AS c WHERE c.authority = ANY($1::text[]) AND {_NOT_HELD} LIMIT $2"""  # noqa: S608
_IS_TO_HOLD: Final = f"""
SELECT 1 FROM consent AS c WHERE c.consent_id = $1 AND c.authority IN ({_LATE_SIGNERS}) AND {_NOT_HELD}"""  # noqa: S608
_NO_LONGER: Final = f"h.lifted_at IS NULL AND h.institution NOT IN ({_LATE})"
_TO_LIFT: Final = f"SELECT h.consent_id FROM evidence_hold AS h WHERE {_NO_LONGER} LIMIT $1"  # noqa: S608
_IS_TO_LIFT: Final = f"SELECT 1 FROM evidence_hold AS h WHERE h.consent_id = $1 AND {_NO_LONGER}"  # noqa: S608
_STANDING: Final = """
SELECT h.consent_id, h.placed_at, c.subject_display AS display FROM evidence_hold AS h
JOIN consent AS c ON c.consent_id = h.consent_id
WHERE h.lifted_at IS NULL AND h.consent_id > $1 ORDER BY h.consent_id LIMIT $2"""
_PLACE: Final = "INSERT INTO evidence_hold (consent_id, institution, placed_at) VALUES ($1, $2, $3)"
_LIFT: Final = "UPDATE evidence_hold SET lifted_at = $2 WHERE consent_id = $1 AND lifted_at IS NULL"


_BUNDLE_FIELDS: Final = tuple(_BUNDLE.replace("\n", " ").replace(",", " ").split())
_EVIDENCE_FIELDS: Final = tuple(_EVIDENCE.replace("\n", " ").replace(",", " ").split())


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentText:
    """One row of ``consent_text``; ``institution`` registered it, ``entry_id`` is its NOTICE_REGISTERED."""

    institution: str
    notice_id: str
    version: str
    lang: str
    sha256: bytes
    body: str
    registered_at: datetime
    entry_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRequest:
    """One row of ``evidence_request``; ``entry_id`` is the event's that asked, ``received_entry_id`` the upload's."""

    consent_id: UUID
    institution: str
    requested_by: str
    requested_operator: str
    requested_at: datetime
    due_at: datetime
    entry_id: UUID
    received_at: datetime | None = None
    received_entry_id: UUID | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockHold:
    """A hold that no officer placed: the paper of the letter's lender is late. One a consent stands at most."""

    consent_id: UUID
    display: str
    placed_at: datetime


async def insert_text(tx: Statements, text: ConsentText) -> bool:
    """Store a text; False where the institution registered this id, version and language before."""
    row = await tx.fetchrow(
        _INSERT_TEXT,
        text.institution,
        text.notice_id,
        text.version,
        text.lang,
        text.sha256,
        text.body,
        text.registered_at,
        text.entry_id,
    )
    return row is not None


async def text_of(db: Statements, text: ConsentText) -> ConsentText | None:
    """Return what stands under the same institution, id, version and language."""
    row = await db.fetchrow(_TEXT_OF, text.institution, text.notice_id, text.version, text.lang)
    return None if row is None else ConsentText(**dict(row.items()))


async def texts(db: Statements, hashes: Sequence[bytes]) -> list[ConsentText]:
    """Return the registered texts with these hashes, by hash, each as it was registered first."""
    return [ConsentText(**dict(row.items())) for row in await db.fetch(_TEXTS, list(hashes))]


async def insert_bundle(db: Statements, bundle: Bundle) -> bool:
    """Store what a lender asks for; False where the id is taken."""
    row = await db.fetchrow(
        _INSERT_BUNDLE,
        bundle.bundle_id,
        bundle.institution,
        bundle.pseudonym,
        list(bundle.commitments),
        msgspec.json.encode(bundle.drafts).decode(),
        bundle.notice_sha256,
        bundle.requested_at,
        bundle.expires_at,
    )
    return row is not None


async def find_bundle(db: Statements, bundle_id: UUID) -> Bundle | None:
    """Return a bundle."""
    return _bundle(await db.fetchrow(_FIND_BUNDLE, bundle_id))


async def bundle_page(
    db: Statements, institution: str, *, after: UUID | None, states: Collection[BundleState], limit: int
) -> list[tuple[Bundle, datetime]]:
    """Return a lender's bundles in these states, the newest first, behind ``after``, each with the time."""
    rows = await db.fetch(_BUNDLES, institution, after, [state.value for state in states], limit)
    return [(bundle, row["now"]) for row in rows if (bundle := _bundle(row)) is not None]


async def evidence_page(
    db: Statements, institution: str | None, *, after: UUID | None, with_received: bool, limit: int
) -> list[tuple[EvidenceRequest, datetime]]:
    """Return papers asked for (of one institution or of all), the soonest due first, behind ``after``, and the time."""
    rows = await db.fetch(_EVIDENCE_PAGE, institution, with_received, after, limit)
    return [(_evidence(row), row["now"]) for row in rows]


async def lock_bundle(tx: Statements, bundle_id: UUID) -> Bundle | None:
    """Return a bundle, locked."""
    return _bundle(await tx.fetchrow(_LOCK_BUNDLE, bundle_id))


async def decide(tx: Statements, bundle: Bundle) -> None:
    """Write the decision on a locked bundle."""
    await tx.execute(
        _DECIDE, bundle.bundle_id, bundle.granted, list(bundle.consent_ids), bundle.decided_by, bundle.decided_at
    )


async def insert_evidence(tx: Statements, asked: EvidenceRequest) -> None:
    """Store that the paper behind a locked consent was asked for."""
    await tx.execute(
        _INSERT_EVIDENCE,
        asked.consent_id,
        asked.institution,
        asked.requested_by,
        asked.requested_operator,
        asked.requested_at,
        asked.due_at,
        asked.entry_id,
    )


async def find_evidence(db: Statements, consent_id: UUID) -> EvidenceRequest | None:
    """Return what was asked for behind a consent."""
    row = await db.fetchrow(_FIND_EVIDENCE, consent_id)
    return None if row is None else _evidence(row)


async def receive_evidence(tx: Statements, consent_id: UUID, *, at: datetime, entry_id: UUID) -> None:
    """Write that the paper came, on a locked consent."""
    await tx.execute(_RECEIVE, consent_id, at, entry_id)


async def letters_to_hold(db: Statements, *, limit: int) -> list[UUID]:
    """Return letters of institutions whose paper is late that the clock does not hold yet, in any order."""
    signers = [row["participant_id"] for row in await db.fetch(_LATE_SIGNERS)]
    return [row["consent_id"] for row in await db.fetch(_TO_HOLD, signers, limit)] if signers else []


async def is_to_hold(tx: Statements, consent_id: UUID) -> bool:
    """Tell whether a locked consent is one of :func:`letters_to_hold`."""
    return await tx.fetchval(_IS_TO_HOLD, consent_id) is not None


async def letters_to_lift(db: Statements, *, limit: int) -> list[UUID]:
    """Return letters that the clock holds though no paper of their institution is late any more, in any order."""
    return [row["consent_id"] for row in await db.fetch(_TO_LIFT, limit)]


async def is_to_lift(tx: Statements, consent_id: UUID) -> bool:
    """Tell whether a locked consent is one of :func:`letters_to_lift`."""
    return await tx.fetchval(_IS_TO_LIFT, consent_id) is not None


async def standing_evidence_holds(db: Statements, *, after: UUID, limit: int) -> list[ClockHold]:
    """Return the clock's holds that stand on consents with larger ids than ``after``, in order."""
    return [ClockHold(**dict(row.items())) for row in await db.fetch(_STANDING, after, limit)]


async def place_evidence_hold(tx: Statements, consent_id: UUID, institution: str, *, at: datetime) -> None:
    """Write the clock's hold on a locked consent."""
    await tx.execute(_PLACE, consent_id, institution, at)


async def lift_evidence_hold(tx: Statements, consent_id: UUID, *, at: datetime) -> None:
    """Write that the clock's hold on a locked consent ended."""
    await tx.execute(_LIFT, consent_id, at)


def _evidence(row: Row) -> EvidenceRequest:
    return EvidenceRequest(**{name: row[name] for name in _EVIDENCE_FIELDS})


def _bundle(row: Row | None) -> Bundle | None:
    if row is None:
        return None
    values = {
        "commitments": tuple(row["commitments"]),
        "drafts": msgspec.json.decode(row["drafts"], type=tuple[Draft, ...]),
        "consent_ids": tuple(row["consent_ids"] or ()),
    }
    return Bundle(**{name: row[name] for name in _BUNDLE_FIELDS} | values)
