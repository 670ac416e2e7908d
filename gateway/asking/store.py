"""SQL of the texts that people were shown and of the bundles they decided."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

import msgspec

from consent.bundle import Bundle, Draft
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


async def lock_bundle(tx: Statements, bundle_id: UUID) -> Bundle | None:
    """Return a bundle, locked."""
    return _bundle(await tx.fetchrow(_LOCK_BUNDLE, bundle_id))


async def decide(tx: Statements, bundle: Bundle) -> None:
    """Write the decision on a locked bundle."""
    await tx.execute(
        _DECIDE, bundle.bundle_id, bundle.granted, list(bundle.consent_ids), bundle.decided_by, bundle.decided_at
    )


def _bundle(row: Row | None) -> Bundle | None:
    if row is None:
        return None
    values = {
        "commitments": tuple(row["commitments"]),
        "drafts": msgspec.json.decode(row["drafts"], type=tuple[Draft, ...]),
        "consent_ids": tuple(row["consent_ids"] or ()),
    }
    return Bundle(**{**dict(row.items()), **values})
