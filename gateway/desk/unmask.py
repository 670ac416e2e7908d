"""Unmask: one masked value for an officer of compliance, once the UNMASK entry that says so is durable."""

from __future__ import annotations

import base64
from typing import Any, Final
from uuid import UUID

import msgspec

from consent import store as consent_store
from core.canonical import canonical_json
from core.errors import BashuError, Reason
from core.ids import uuid7
from database import Database
from gateway.desk import store
from gateway.entries import By, Entries
from gateway.identity.sealing import NameSeal
from gateway.pseudonyms import Pseudonyms
from gateway.vault.model import DetailKind
from gateway.vault.service import Vault
from gateway.vault.store import add_detail, details
from ledger import store as ledger_store
from ledger.access import store as access_store
from ledger.model import EntryType

OPERATOR: Final = "operator"
FIELDS: Final = {
    "reason": DetailKind.REASON,
    "statement": DetailKind.STATEMENT,
    "dispute": DetailKind.DISPUTE,
    "evidence": DetailKind.EVIDENCE,
}
"""What can be unmasked beside :data:`OPERATOR`: the details sealed beside an entry."""


class Unmasking:
    """Opens staff numbers, names and sealed details, RESTRICTED ones too."""

    def __init__(
        self, db: Database, *, vault: Vault, names: NameSeal, pseudonyms: Pseudonyms, entries: Entries
    ) -> None:
        self._db = db
        self._vault = vault
        self._names = names
        self._pseudonyms = pseudonyms
        self._entries = entries

    async def unmask(self, entry_id: UUID, field: str, *, reason: str, by: By) -> str:
        """Return the value of ``field`` of an entry; its UNMASK entry is durable by then.

        ``operator`` is the staff number and name behind the entry's ``operator_commitment``. Details that are no text
        come as base64.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS, also for what was erased; MALFORMED for a field that no entry has.
        """
        entry = await ledger_store.entry_by_id(self._db, entry_id)
        if entry is None:
            raise _nothing("no such entry", "entry_id")
        leaf = msgspec.json.decode(entry.body)
        value = await self._operator(entry_id, leaf) if field == OPERATOR else await self._detail(entry_id, field)
        await self._record(entry_id, field, reason=reason, by=by)
        return value

    async def _operator(self, entry_id: UUID, leaf: dict[str, Any]) -> str:
        requester = leaf.get("requester") or {}
        institution, wanted = requester.get("institution", ""), requester.get("operator_commitment")
        if not wanted:
            # Closings leave it to the intent they close; the access list knows both.
            access = await access_store.access_of_entry(self._db, entry_id)
            wanted = access.operator_commitment if access else None
        if not wanted:
            raise _nothing("no staff number stands behind this entry", "field")
        for number, sealed in await store.staff_names(self._db, institution):
            if self._pseudonyms.operator(institution, number) == wanted:
                return f"{number} {self._names.open(sealed, institution=institution, staff_number=number)}"
        raise _nothing("the staff number behind this entry is not registered", "field")

    async def _detail(self, entry_id: UUID, field: str) -> str:
        if field not in FIELDS:
            known = ", ".join([OPERATOR, *FIELDS])
            raise BashuError(Reason.MALFORMED, f"field is one of {known}", field="field")
        for sealed in await details(self._db, entry_id):
            if sealed.kind is FIELDS[field]:
                content = await self._vault.open(sealed)
                try:
                    return content.decode()
                except UnicodeDecodeError:
                    return base64.b64encode(content).decode()
        raise _nothing("nothing of this kind is sealed beside this entry", "field")

    async def _record(self, entry_id: UUID, field: str, *, reason: str, by: By) -> None:
        number = uuid7()
        sealed = await self._vault.seal(
            officers_owner(by), DetailKind.REASON, canonical_json({"reason": reason}), entry_id=number
        )
        async with self._db.transaction() as tx:
            await add_detail(tx, sealed)
            entry = self._entries.about(
                EntryType.UNMASK,
                ts=await consent_store.now(tx),
                obj=f"{entry_id}/{field}",
                by=by,
                detail_sha256=sealed.sha256,
                entry_id=number,
            )
            await ledger_store.append(tx, [entry])


def officers_owner(by: By) -> str:
    """Return the owner of what officers write about their own doings: it outlives the subject's key."""
    return f"institution:{by.institution}"


def _nothing(message: str, field: str) -> BashuError:
    return BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, message, field=field)
