"""Everything the gateway keeps about one subject, as JSON Lines for that subject (PIPL Art. 45, 条例 Art. 17).

Each line is an object with ``kind``. No credit data: the gateway keeps none.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from typing import Any, Final
from uuid import UUID

import msgspec

from consent import store as consent_store
from consent.state import state
from core.clock import rfc3339
from core.errors import BashuError
from core.permit import Subject
from database import Database, Row
from gateway.accesses import AccessLists, ShownAccess
from gateway.entries import By, Entries
from gateway.masking import masked
from gateway.pseudonyms import Pseudonyms
from gateway.rights import store
from gateway.rights.details import open_detail
from gateway.vault.service import Vault
from gateway.vault.store import details_of_keys
from ledger import store as ledger_store
from ledger.access.model import AccessFilter
from ledger.model import EntryType

AT_ONCE: Final = 200
Line = dict[str, Any]


class Mine:
    """Exports what is kept about a subject; that the caller speaks for it is the caller's check."""

    def __init__(
        self, db: Database, *, lists: AccessLists, vault: Vault, pseudonyms: Pseudonyms, entries: Entries
    ) -> None:
        self._db = db
        self._lists = lists
        self._vault = vault
        self._pseudonyms = pseudonyms
        self._entries = entries

    async def lines(self, subject: Subject, *, by: By) -> AsyncIterator[bytes]:
        """Yield the lines; an EXPORT entry is durable before the first, and named in it."""
        pseudonym = self._pseudonyms.subject(subject)
        now = await consent_store.now(self._db)
        entry = self._entries.about(EntryType.EXPORT, ts=now, obj="ExportMine", by=by, pseudonym=pseudonym)
        await ledger_store.append(self._db, [entry])
        head = {"kind": "subject", "display": masked(subject), "id_type": subject.id_type}
        yield _json(head | {"exported_at": rfc3339(now), "entry_id": str(entry.entry_id)})
        commitments = self._pseudonyms.commitments(subject)
        for part in (
            self._consents(commitments),
            self._accesses(pseudonym),
            self._rows(pseudonym),
            self._details(subject),
        ):
            async for line in part:
                yield _json(line)

    async def _consents(self, commitments: list[str]) -> AsyncIterator[Line]:
        now = await consent_store.now(self._db)
        for consent_id in await consent_store.ids_of_subject(self._db, commitments):
            facts = await consent_store.find(self._db, consent_id)
            raw = (await consent_store.artefacts(self._db, [consent_id])).get(consent_id, b"")
            assert facts is not None
            yield {
                "kind": "consent",
                "consent_id": str(consent_id),
                "institution": facts.institution,
                "authority": facts.authority,
                "purpose": facts.purpose,
                "state": state(facts, now).value,
                "not_before": rfc3339(facts.nbf),
                "expires": rfc3339(facts.exp),
                "uses": facts.used,
                "max_uses": facts.max_uses,
                "artefact": raw.decode("ascii"),
            }
            for event in await consent_store.events(self._db, consent_id):
                yield {
                    "kind": "consent_event",
                    "consent_id": str(consent_id),
                    "revision": event.revision,
                    "from": event.from_state.value,
                    "to": event.to_state.value,
                    "reason": event.reason,
                    "actor": event.actor.value,
                    "at": rfc3339(event.at),
                    "entry_id": str(event.entry_id),
                }

    async def _accesses(self, pseudonym: str) -> AsyncIterator[Line]:
        token = ""
        while True:
            page = await self._lists.page(AccessFilter(pseudonym=pseudonym), token=token, size=AT_ONCE)
            for shown in page.accesses:
                yield _access(shown)
            token = page.next_token
            if not token:
                return

    async def _rows(self, pseudonym: str) -> AsyncIterator[Line]:
        """Loans, requests for consents, freezes and holds, own reports, erasures."""
        for kind, rows in await store.kept_about(self._db, pseudonym):
            for row in rows:
                yield {"kind": kind, **_plain(row)}

    async def _details(self, subject: Subject) -> AsyncIterator[Line]:
        """Yield what is sealed about the subject; where it may not be opened, that it is there."""
        key_ids = await self._vault.keys_of(self._pseudonyms.handles(subject))
        async for sealed in details_of_keys(self._db, key_ids):
            line: Line = {"kind": "detail", "entry_id": str(sealed.entry_id), "about": sealed.kind.value}
            try:
                content = await open_detail(self._db, self._vault, sealed)
            except BashuError as closed:
                yield line | {"closed": closed.message}
                continue
            yield line | _content(content)


def _access(shown: ShownAccess) -> Line:
    access = shown.access
    return {
        "kind": "access",
        "entry_id": str(access.entry_id),
        "institution": access.institution,
        "operator": shown.operator,
        "at": rfc3339(access.at),
        "purpose": access.purpose or "",
        "data_items": list(access.data_items),
        "platform_ids": list(access.platform_ids),
        "outcome": access.type,
        "reason": access.reason or "",
        "consent_id": str(access.consent_id) if access.consent_id else "",
    }


def _content(content: bytes) -> Line:
    try:
        return {"text": content.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(content).decode()}


def _plain(row: Row) -> Line:
    return {name: str(value) if isinstance(value, UUID) else value for name, value in row.items() if value is not None}


def _json(line: Line) -> bytes:
    return msgspec.json.encode(line)
