"""SQL of the texts that people were shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from database import Statements

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
