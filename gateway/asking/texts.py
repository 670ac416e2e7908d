"""Texts of notices and purposes (告知书、用途说明; PIPL Art. 17): registered once, found by hash, shown with it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import Final

from consent import store as consent_store
from consent.artefact import Artefact
from core.errors import BashuError, Reason
from core.ids import uuid7
from database import Database
from gateway.asking import store
from gateway.asking.store import ConsentText
from gateway.entries import By, Entries
from ledger import store as ledger_store
from ledger.model import EntryType

_HASH: Final = re.compile(r"[0-9a-f]{64}")


class Texts:
    """Registers and finds them. A text is public to every party: it names no subject."""

    def __init__(self, db: Database, *, entries: Entries) -> None:
        self._db = db
        self._entries = entries

    async def register(self, body: str, *, notice_id: str, version: str, lang: str, by: By, actor: str) -> ConsentText:
        """Register a text under its institution's id, version and language; the same again answers alike.

        The leaf holds the text's hash, never the id that somebody chose.

        Raises:
            BashuError: IDEMPOTENCY_CONFLICT where another text stands there: a new wording is a new version.
        """
        digest, entry_id = hashlib.sha256(body.encode()).digest(), uuid7()
        async with self._db.transaction() as tx:
            text = ConsentText(
                institution=by.institution,
                notice_id=notice_id,
                version=version,
                lang=lang,
                sha256=digest,
                body=body,
                registered_at=await consent_store.now(tx),
                entry_id=entry_id,
            )
            if await store.insert_text(tx, text):
                entry = self._entries.about(
                    EntryType.NOTICE_REGISTERED,
                    ts=text.registered_at,
                    status=("NONE", "REGISTERED", "TEXT", actor),
                    obj=digest.hex(),
                    by=by,
                    entry_id=entry_id,
                )
                await ledger_store.append(tx, [entry])
                return text
        known = await store.text_of(self._db, text)
        if known is None or known.sha256 != digest:
            raise BashuError(
                Reason.IDEMPOTENCY_CONFLICT,
                "another text stands under this id, version and language: register a new version",
                field="version",
            )
        return known

    async def get(self, sha256: bytes) -> ConsentText:
        """Return the text with this hash.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS.
        """
        found = await store.texts(self._db, [sha256])
        if not found:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no text with this hash was registered", field="sha256")
        return found[0]

    async def of_artefact(self, artefact: Artefact) -> Sequence[ConsentText]:
        """Return the registered texts among those an artefact names: notice, purpose, notices for platforms."""
        named = {artefact.notice_sha256, artefact.purpose_text_sha256}
        named |= {bytes.fromhex(p.notice) for p in artefact.providers if _HASH.fullmatch(p.notice)}
        return await store.texts(self._db, sorted(named))
