"""Preserved records (封存, 征信业管理条例 Art. 33, R72): nothing in their scope is erased until that is lifted.

A regulator places and releases alone; two officers place together, and two release. What a regulator placed only a
regulator releases.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from consent import store as consent_store
from core.canonical import canonical_json
from core.clock import rfc3339
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from database import Database, Statements
from gateway.desk import store
from gateway.desk.two_officers import Action, seconded
from gateway.desk.unmask import officers_owner
from gateway.entries import By, Entries
from gateway.vault.model import DetailKind, Sealed
from gateway.vault.service import Vault
from gateway.vault.store import add_detail
from ledger import store as ledger_store
from ledger.model import EntryType

PRESERVED: Final = "PRESERVED"
RELEASED: Final = "RELEASED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What is preserved: a subject, or an institution's queries (empty: everybody's) in a period, half-open."""

    pseudonym: str | None
    institution: str
    since: datetime | None
    before: datetime | None

    @property
    def is_empty(self) -> bool:
        """Whether it names nothing."""
        return self.pseudonym is None and not self.institution and self.since is None and self.before is None

    def digest(self) -> str:
        """Return what two officers agree on."""
        days = [None if moment is None else rfc3339(moment) for moment in (self.since, self.before)]
        return hashlib.sha256(canonical_json([self.pseudonym, self.institution, *days])).hexdigest()


class Preservations:
    """Places and releases them; who may call is the role table's."""

    def __init__(self, db: Database, *, vault: Vault, entries: Entries) -> None:
        self._db = db
        self._vault = vault
        self._entries = entries

    async def place(self, scope: Scope, *, reason: str, by: By, is_regulator: bool) -> UUID:
        """Preserve what is in scope; return the preservation's id.

        Raises:
            BashuError: MALFORMED for no scope; SECOND_OFFICER_NEEDED to a first officer, whose wish is kept 24 h.
        """
        if scope.is_empty:
            raise BashuError(Reason.MALFORMED, "name a subject, an institution or days", field="subject")
        sealed = await self._sealed(reason, by)
        preservation_id = uuid7()
        async with self._db.transaction() as tx:
            now = await consent_store.now(tx)
            agreed = is_regulator or await seconded(tx, Action.PRESERVE, scope.digest(), by=by, now=now) is not None
            if agreed:
                # No erasure may be half-way: what it read before this commits must not be the last word.
                await store.keep_erasures_out(tx)
                await store.insert_preservation(
                    tx,
                    store.Preservation(
                        preservation_id=preservation_id,
                        pseudonym=scope.pseudonym,
                        institution=scope.institution,
                        since=scope.since,
                        before=scope.before,
                        by_regulator=is_regulator,
                        placed_by=by.participant,
                        placed_at=now,
                        entry_id=sealed.entry_id,
                    ),
                )
                await self._append(tx, sealed, preservation_id, scope.pseudonym, by=by, to=PRESERVED, now=now)
        if not agreed:
            raise _second_officer()
        return preservation_id

    async def standing(self, *, after: UUID, limit: int) -> list[store.Preservation]:
        """Return the preservations that stand with larger ids than ``after``, the oldest first."""
        return await store.standing_preservations(self._db, after=after, limit=limit)

    async def release(self, preservation_id: UUID, *, by: By, is_regulator: bool) -> bool:
        """Release, or keep the wish: officers need two within 24 h. Return whether it was released.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where none stands, or a regulator placed it and an officer asks.
        """
        sealed = await self._sealed("", by)
        async with self._db.transaction() as tx:
            standing = await store.lock_preservation(tx, preservation_id)
            if standing is None or (standing.by_regulator and not is_regulator):
                raise BashuError(
                    Reason.NOT_FOUND_OR_NOT_YOURS, "no such preservation stands, or not yours", field="preservation_id"
                )
            now = await consent_store.now(tx)
            alone = standing.by_regulator and is_regulator
            wish = Action.RELEASE_PRESERVATION
            if not alone and await seconded(tx, wish, str(preservation_id), by=by, now=now) is None:
                return False
            await store.release_preservation(tx, preservation_id, at=now, entry_id=sealed.entry_id)
            await self._append(tx, sealed, preservation_id, standing.pseudonym, by=by, to=RELEASED, now=now)
        return True

    async def _sealed(self, reason: str, by: By) -> Sealed:
        return await self._vault.seal(
            officers_owner(by), DetailKind.REASON, canonical_json({"reason": reason}), entry_id=uuid7()
        )

    async def _append(
        self,
        tx: Statements,
        sealed: Sealed,
        preservation_id: UUID,
        pseudonym: str | None,
        *,
        by: By,
        to: str,
        now: datetime,
    ) -> None:
        await add_detail(tx, sealed)
        entry = self._entries.about(
            EntryType.PRESERVATION,
            ts=now,
            status=("NONE" if to == PRESERVED else PRESERVED, to, "INSPECTION", "COMPLIANCE"),
            obj=str(preservation_id),
            by=by,
            pseudonym=pseudonym,
            detail_sha256=sealed.sha256,
            entry_id=sealed.entry_id,
        )
        await ledger_store.append(tx, [entry])


async def preserved(tx: Statements, pseudonym: str) -> bool:
    """Tell whether records of a subject are preserved, by its name or by a query, loan or dispute in a scope.

    In a transaction it holds back whoever wants to preserve until this transaction is over.
    """
    return await store.is_preserved(tx, pseudonym)


def _second_officer() -> BashuError:
    return BashuError(
        Reason.SECOND_OFFICER_NEEDED,
        "Preserving takes two officers, or a regulator: another officer asks the same within 24 h",
        turn=Turn.COMPLIANCE,
        metadata={"rule": "征信业管理条例 Art. 33"},
    )
