"""Holds and freezes on everything about a subject.

They live in another row than admissions lock, so their writer keeps admissions out of the table altogether while it
closes what is open: without that lock an admission that read "no hold" commits after the hold did.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from consent import store as consent_store
from consent.model import HoldKind
from core.errors import BashuError, Reason
from core.ids import uuid7
from core.permit import Subject
from database import Database, Transaction
from gateway import store
from gateway.consents import close_open, retrying
from gateway.entries import By, Entries, affected
from gateway.intents import OpenIntent
from gateway.pseudonyms import Pseudonyms
from gateway.vault.model import Sealed
from ledger import store as ledger_store
from ledger.model import Entry, EntryType

_PLACED: Final = {HoldKind.HOLD: EntryType.HOLD_PLACED, HoldKind.FREEZE: EntryType.FILE_FROZEN}
_LIFTED: Final = {HoldKind.HOLD: EntryType.HOLD_LIFTED, HoldKind.FREEZE: EntryType.FILE_THAWED}
_REASON: Final = {HoldKind.HOLD: Reason.CONSENT_HELD, HoldKind.FREEZE: Reason.SUBJECT_FROZEN}


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A hold or freeze that stands since ``at``; ``withheld`` counts the queries under way that it stopped."""

    hold_id: UUID
    at: datetime
    withheld: int


class SubjectHolds:
    """Places and lifts them; who may, and with which second officer, is the caller's check."""

    def __init__(self, db: Database, *, pseudonyms: Pseudonyms, entries: Entries) -> None:
        self._db = db
        self._pseudonyms = pseudonyms
        self._entries = entries

    async def place(self, subject: Subject, kind: HoldKind, *, reason: str) -> UUID:
        """Stop every query about a subject; return the hold's id. What is under way is withheld."""

        async def once() -> UUID:
            async with self._db.transaction() as tx:
                await consent_store.lock_holds(tx)
                placed, entries = await self.place_in(tx, subject, kind, reason=reason)
                await ledger_store.append(tx, entries)
            return placed.hold_id

        return await retrying(once)

    async def lift(self, hold_id: UUID) -> None:
        """End a hold or freeze.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where it does not stand.
        """

        async def once() -> None:
            async with self._db.transaction() as tx:
                await consent_store.lock_holds(tx)
                _, entry = await self.lift_in(tx, hold_id)
                await ledger_store.append(tx, [entry])

        await retrying(once)

    async def place_in(
        self,
        tx: Transaction,
        subject: Subject,
        kind: HoldKind,
        *,
        reason: str,
        by: By | None = None,
        sealed: Sealed | None = None,
    ) -> tuple[Placed, list[Entry]]:
        """Do the same in a transaction that has locked the table; return what to append, last and in this order."""
        hold_id, pseudonym = uuid7(), self._pseudonyms.subject(subject)
        commitments = self._pseudonyms.commitments(subject)
        now = await consent_store.now(tx)
        intents = await store.lock_open_of_subject(tx, pseudonym)
        closings = await close_open(tx, self._entries, intents, reason=_REASON[kind], now=now)
        entry = self._entries.subject_held(
            _PLACED[kind],
            hold_id=hold_id,
            pseudonym=pseudonym,
            reason=reason,
            affects=await _touched(tx, commitments, intents),
            ts=now,
            by=by,
            sealed=sealed,
        )
        await consent_store.insert_hold(
            tx,
            hold_id=hold_id,
            pseudonym=pseudonym,
            kind=kind.value,
            reason=reason,
            commitments=commitments,
            entry_id=entry.entry_id,
            at=now,
        )
        return Placed(hold_id=hold_id, at=now, withheld=len(closings)), [*closings, entry]

    async def lift_in(
        self, tx: Transaction, hold_id: UUID, *, by: By | None = None, sealed: Sealed | None = None
    ) -> tuple[datetime, Entry]:
        """Lift in a transaction that has locked the table; return when, and the entry to append last.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where it does not stand.
        """
        row = await consent_store.find_hold(tx, hold_id)
        if row is None or row["lifted_at"] is not None:
            raise no_such_hold()
        now: datetime = await consent_store.now(tx)
        entry = self._entries.subject_lifted(
            _LIFTED[HoldKind(row["kind"])],
            hold_id=hold_id,
            lifts=row["entry_id"],
            pseudonym=row["pseudonym"],
            affects=await _touched(tx, row["commitments"], []),
            ts=now,
            by=by,
            sealed=sealed,
        )
        await consent_store.lift_hold(tx, hold_id, at=now, entry_id=entry.entry_id)
        return now, entry


def no_such_hold() -> BashuError:
    """Return the answer where a hold or freeze does not stand, or is not the caller's to lift."""
    return BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such hold stands, or not yours to lift")


async def _touched(tx: Transaction, commitments: Sequence[str], intents: Sequence[OpenIntent]) -> dict[str, object]:
    return affected(await consent_store.ids_of_subject(tx, commitments), intents)
