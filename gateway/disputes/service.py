"""Opens disputes, adds statements, moves a dispute on, tells institutions of corrections."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from adapters.kit.protocol import Adapter, TakesDisputes
from consent import store as consent_store
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from core.permit import Subject
from database import Database, Statements, Transaction, UniqueConflict
from gateway.disputes import store
from gateway.disputes.model import (
    CORRECTED,
    OUTCOMES,
    Channel,
    Dispute,
    Opener,
    State,
    Statement,
    Words,
    may_step,
)
from gateway.entries import By, Entries
from gateway.pseudonyms import Pseudonyms
from gateway.rights.details import open_detail
from gateway.vault.model import DetailKind, Sealed
from gateway.vault.service import Vault
from gateway.vault.store import add_detail, details
from ledger import store as ledger_store
from ledger.model import EntryType
from standards.items import ItemDictionary
from standards.law import dispute_due_at

RECORD_ID: Final = re.compile(r"[0-9a-f]{64}")
TOLD_MONTHS: Final = timedelta(days=366)
"""Who got the record in the last 12 months is told of its correction; a leap day cuts nobody off."""
STATEMENT: Final = "STATEMENT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Opening:
    """A dispute to open, as far as words go."""

    record_id: str
    platform_id: str
    data_item: str
    locator: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step of a dispute; ``words`` are the platform's explanation (CHECKED) or the written answer (ANSWERED)."""

    to: State
    actor: str
    outcome: str | None = None
    reference: str | None = None
    words: str = ""


class Disputes:
    """Disputes and statements of one gateway; ``adapters`` tell which platforms take disputes themselves."""

    def __init__(
        self,
        db: Database,
        *,
        vault: Vault,
        adapters: Mapping[str, Adapter],
        items: ItemDictionary,
        pseudonyms: Pseudonyms,
        entries: Entries,
    ) -> None:
        self._db = db
        self._vault = vault
        self._adapters = adapters
        self._items = items
        self._pseudonyms = pseudonyms
        self._entries = entries

    async def now(self) -> datetime:
        """Return the database's time."""
        return await consent_store.now(self._db)

    async def open(self, subject: Subject, opening: Opening, *, opener: Opener, by: By) -> Dispute:
        """Open a dispute; one that stands on the same record at the same platform is returned as it is.

        Raises:
            BashuError: MALFORMED, UNKNOWN_DATA_ITEM, NOT_FOUND_OR_NOT_YOURS (no such platform, or a lender that got no
                report about the subject from it).
        """
        self._check(opening)
        pseudonym = self._pseudonyms.subject(subject)
        seen = await store.was_released(self._db, pseudonym, opening.platform_id)
        if opener is Opener.LENDER and not (
            seen and await store.was_released(self._db, pseudonym, opening.platform_id, by.institution)
        ):
            raise _not_yours("no report about this subject with data of this platform was released to you")
        found = await store.standing(self._db, pseudonym, opening.record_id, opening.platform_id)
        if found is not None:
            return found
        try:
            return await self._insert(subject, opening, opener=opener, by=by, seen=seen)
        except UniqueConflict:
            found = await store.standing(self._db, pseudonym, opening.record_id, opening.platform_id)
            assert found is not None
            return found

    async def add_statement(self, subject: Subject, *, record_id: str, text: str, by: By) -> UUID:
        """Add a subject's statement to a record, or to the file where ``record_id`` is empty (R26, 条例 Art. 16).

        Raises:
            BashuError: MALFORMED.
        """
        if record_id:
            _check_record_id(record_id)
        pseudonym, entry_id, statement_id = self._pseudonyms.subject(subject), uuid7(), uuid7()
        sealed = await self._vault.seal(pseudonym, DetailKind.STATEMENT, text.encode(), entry_id=entry_id)
        async with self._db.transaction() as tx:
            now = await consent_store.now(tx)
            row = Statement(
                statement_id=statement_id, pseudonym=pseudonym, record_id=record_id, entry_id=entry_id, added_at=now
            )
            await store.add_statement(tx, row)
            await self._append(
                tx,
                EntryType.DISPUTE_OPENED,
                ("NONE", STATEMENT, "R26", Opener.SUBJECT.value),
                obj=statement_id,
                pseudonym=pseudonym,
                by=by,
                sealed=sealed,
                now=now,
                entry_id=entry_id,
            )
        return statement_id

    async def find(self, dispute_id: UUID) -> Dispute:
        """Return a dispute.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS.
        """
        found = await store.find(self._db, dispute_id)
        if found is None:
            raise no_such_dispute()
        return found

    async def page(self, *, after: UUID, limit: int, states: Sequence[State]) -> list[Dispute]:
        """Return disputes by id, the oldest first."""
        return await store.page(self._db, after=after, limit=limit, states=states)

    async def corrections(self, institution: str, *, after: UUID, limit: int) -> list[store.CorrectionRow]:
        """Return an institution's feed."""
        return await store.corrections(self._db, institution, after=after, limit=limit)

    async def words(self, dispute: Dispute) -> Words:
        """Return what its opener wrote.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS once it is erased or waits to be.
        """
        return msgspec.json.decode(await self._opened(dispute.entry_id), type=Words)

    async def text_of(self, entry_id: UUID | None) -> str:
        """Return what is sealed beside an entry of a step; empty where there is none, or where it was erased."""
        if entry_id is None:
            return ""
        try:
            return (await self._opened(entry_id)).decode()
        except BashuError:
            return ""

    async def opener_text(self, entry_id: UUID) -> str:
        """Return the opener's own words of a dispute; empty where they were erased."""
        text = await self.text_of(entry_id)
        return msgspec.json.decode(text, type=Words).text if text else ""

    async def step(self, dispute_id: UUID, step: Step, *, by: By | None) -> Dispute:
        """Move a dispute on by one step, with its entry; a correction goes into the feeds of who got the record.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS, MALFORMED for a step out of turn or without what it needs.
        """
        dispute = await self.find(dispute_id)
        _check_step(dispute, step)
        entry_id = uuid7()
        sealed = None
        if step.words:
            sealed = await self._vault.seal(
                dispute.pseudonym, DetailKind.DISPUTE, step.words.encode(), entry_id=entry_id
            )
        async with self._db.transaction() as tx:
            locked = await store.lock(tx, dispute_id)
            assert locked is not None
            _check_step(locked, step)
            now = await consent_store.now(tx)
            moved = _moved(locked, step, entry_id=entry_id, now=now)
            await store.step(tx, moved)
            if moved.state is State.CHECKED and moved.outcome in CORRECTED:
                await _tell(tx, moved, now)
            await self._append(
                tx,
                EntryType.DISPUTE_UPDATED,
                (locked.state.value, moved.state.value, moved.outcome or "NONE", step.actor),
                obj=dispute_id,
                pseudonym=locked.pseudonym,
                by=by,
                sealed=sealed,
                now=now,
                entry_id=entry_id,
            )
        return moved

    async def _insert(self, subject: Subject, opening: Opening, *, opener: Opener, by: By, seen: bool) -> Dispute:
        entry_id, pseudonym = uuid7(), self._pseudonyms.subject(subject)
        words = Words(
            text=opening.text,
            id_type=subject.id_type,
            identifier=subject.identifier,
            name=subject.name,
            locator=opening.locator,
        )
        sealed = await self._vault.seal(pseudonym, DetailKind.DISPUTE, msgspec.json.encode(words), entry_id=entry_id)
        is_taken = bool(opening.data_item) and isinstance(self._adapters[opening.platform_id], TakesDisputes)
        async with self._db.transaction() as tx:
            now = await consent_store.now(tx)
            dispute = Dispute(
                dispute_id=uuid7(),
                pseudonym=pseudonym,
                record_id=opening.record_id,
                platform_id=opening.platform_id,
                data_item=opening.data_item,
                institution=by.institution,
                opened_by=opener,
                channel=Channel.INTERFACE if is_taken else Channel.LETTER,
                seen_in_release=seen,
                entry_id=entry_id,
                received_at=now,
                due_at=dispute_due_at(now),
            )
            await store.insert(tx, dispute)
            await self._append(
                tx,
                EntryType.DISPUTE_OPENED,
                ("NONE", State.RECEIVED.value, "R31", opener.value),
                obj=dispute.dispute_id,
                pseudonym=pseudonym,
                by=by,
                sealed=sealed,
                now=now,
                entry_id=entry_id,
            )
        return dispute

    async def _append(
        self,
        tx: Transaction,
        kind: EntryType,
        status: tuple[str, str, str, str],
        *,
        obj: UUID,
        pseudonym: str,
        by: By | None,
        sealed: Sealed | None,
        now: datetime,
        entry_id: UUID,
    ) -> None:
        if sealed is not None:
            await add_detail(tx, sealed)
        entry = self._entries.about(
            kind,
            ts=now,
            status=status,
            obj=str(obj),
            by=by,
            pseudonym=pseudonym,
            detail_sha256=None if sealed is None else sealed.sha256,
            entry_id=entry_id,
        )
        await ledger_store.append(tx, [entry])

    async def _opened(self, entry_id: UUID) -> bytes:
        found = await details(self._db, entry_id)
        if not found:
            raise no_such_dispute()
        return await open_detail(self._db, self._vault, found[0])

    def _check(self, opening: Opening) -> None:
        _check_record_id(opening.record_id)
        adapter = self._adapters.get(opening.platform_id)
        if adapter is None:
            raise _not_yours("no such platform is connected", field="platform_id")
        if opening.data_item and opening.data_item not in adapter.platform.items:
            raise BashuError(Reason.UNKNOWN_DATA_ITEM, "this platform holds no such data item", field="data_item")


def no_such_dispute() -> BashuError:
    """Make the error of a dispute that is not there, or not the caller's."""
    return _not_yours("no such dispute, or not yours", field="dispute_id")


def _not_yours(message: str, *, field: str = "platform_id") -> BashuError:
    return BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, message, field=field)


def _check_record_id(record_id: str) -> None:
    if RECORD_ID.fullmatch(record_id) is None:
        raise BashuError(Reason.MALFORMED, "record_id is 64 lower-case hex digits, as in the report", field="record_id")


def _check_step(dispute: Dispute, step: Step) -> None:
    if not may_step(dispute.state, step.to):
        raise _malformed("state", f"a dispute in {dispute.state.value} does not go to {step.to.value} (R32)")
    if (step.to is State.CHECKED) != (step.outcome is not None) or (step.outcome or "1") not in OUTCOMES:
        raise _malformed("outcome", "an outcome goes with CHECKED alone: 1 to 5 of dispute_check_result, UNVERIFIABLE")
    if step.to is State.ANSWERED and not step.words.strip():
        raise _malformed("answer", "the answer is in writing (条例 Art. 25)")


def _moved(dispute: Dispute, step: Step, *, entry_id: UUID, now: datetime) -> Dispute:
    match step.to:
        case State.FORWARDED:
            return replace(dispute, state=step.to, platform_reference=step.reference, forwarded_at=now)
        case State.CHECKED:
            explanation = entry_id if step.words else None
            return replace(
                dispute, state=step.to, outcome=step.outcome, checked_at=now, explanation_entry_id=explanation
            )
        case _:
            return replace(dispute, state=step.to, answered_at=now, answer_entry_id=entry_id)


async def _tell(tx: Statements, dispute: Dispute, now: datetime) -> None:
    for institution, requests in await store.concerned(tx, dispute, now - TOLD_MONTHS):
        await store.correct(tx, uuid7(), institution, dispute.dispute_id, requests)


def _malformed(field: str, rule: str) -> BashuError:
    return BashuError(Reason.MALFORMED, rule, field=field, turn=Turn.COMPLIANCE)
