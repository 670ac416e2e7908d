"""Holds with their paper trail: compliance's, which take two officers to lift, and the subject's own freeze.

Lock order: the hold's record, then hold table, consents by id, intents by key, ledger numbers. A record is locked by
whoever lifts; whoever places a hold writes a new one, which nobody can be waiting for.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec

from consent import service
from consent import store as consent_store
from consent.model import ConsentFacts, HoldKind, HoldRecord, LiftProposal
from consent.service import Change
from core.canonical import canonical_json
from core.errors import BashuError, Reason
from core.ids import uuid7
from core.permit import Subject
from database import Database, Transaction
from gateway.asking import store as asking_store
from gateway.asking.store import ClockHold
from gateway.consents import give_back, retrying, take_away
from gateway.entries import By, Entries
from gateway.holds import Placed, SubjectHolds, no_such_hold
from gateway.masking import hint
from gateway.pseudonyms import Pseudonyms
from gateway.rights.details import open_detail
from gateway.vault.model import DetailKind, Sealed
from gateway.vault.service import Vault
from gateway.vault.store import add_detail, details
from ledger import store as ledger_store
from ledger.model import Entry

PROPOSAL_LASTS: Final = timedelta(hours=24)
"""How long a first officer's wish to lift a hold waits for the second."""
HELD_BY_OFFICER: Final = "COMPLIANCE_HOLD"
LIFTED_BY_OFFICERS: Final = "COMPLIANCE_LIFT"
FROZEN_BY_SUBJECT: Final = "SUBJECT_FREEZE"
"""Codes that stand in leaves; what was written stands in the record, its digest in the leaf."""


class Holds:
    """Places holds and freezes, lifts and lists them. Who may call is the role table's."""

    def __init__(
        self, db: Database, *, subjects: SubjectHolds, vault: Vault, pseudonyms: Pseudonyms, entries: Entries
    ) -> None:
        self._db = db
        self._vault = vault
        self._subjects = subjects
        self._pseudonyms = pseudonyms
        self._entries = entries

    async def hold_consent(self, consent_id: UUID, *, reason: str, by: By) -> tuple[HoldRecord, int]:
        """Place compliance's hold on one consent; return its record and how many queries under way it stopped.

        Raises:
            BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS.
        """

        def place(facts: ConsentFacts, now: datetime) -> Change:
            return service.held(facts, reason=HELD_BY_OFFICER, now=now)

        hold_id = uuid7()
        sealed = await self._sealed(await self._owner_of_consent(consent_id), self._detail(hold_id, reason, by))

        async def once() -> tuple[HoldRecord, int]:
            async with self._db.transaction() as tx:
                changed, entries = await take_away(
                    tx, self._entries, consent_id, place, Reason.CONSENT_HELD, sealed=sealed
                )
                record = HoldRecord(
                    hold_id=hold_id,
                    kind=HoldKind.HOLD,
                    consent_id=consent_id,
                    pseudonym=None,
                    display=changed.facts.subject_display,
                    reason="",
                    placed_by=by.participant,
                    placed_operator=by.operator,
                    placed_at=await consent_store.now(tx),
                    detail_id=sealed.entry_id,
                )
                await consent_store.insert_record(tx, record)
                await add_detail(tx, sealed)
                await ledger_store.append(tx, entries)
            return replace(record, reason=reason), changed.withheld

        return await retrying(once)

    async def hold_subject(self, subject: Subject, *, reason: str, by: By) -> tuple[HoldRecord, int]:
        """Place compliance's hold on everything about a subject."""
        sealed = await self._sealed_of_subject(subject, reason, by)

        async def once() -> tuple[HoldRecord, int]:
            async with self._db.transaction() as tx:
                await consent_store.lock_holds(tx)
                record, placed = await self._place(tx, subject, HoldKind.HOLD, sealed=sealed, by=by)
            return replace(record, reason=reason), placed.withheld

        return await retrying(once)

    async def freeze(self, subject: Subject, *, reason: str, by: By) -> Placed:
        """Freeze a subject's file for itself; while a freeze stands another changes nothing."""
        pseudonym = self._pseudonyms.subject(subject)
        # Before the table is locked: while it is, no query is admitted.
        sealed = await self._sealed_of_subject(subject, reason, by)

        async def once() -> Placed:
            async with self._db.transaction() as tx:
                await consent_store.lock_holds(tx)
                if standing := await consent_store.standing_freezes(tx, pseudonym):
                    hold_id, at = standing[0]
                    return Placed(hold_id=hold_id, at=at, withheld=0)
                _, placed = await self._place(tx, subject, HoldKind.FREEZE, sealed=sealed, by=by)
            return placed

        return await retrying(once)

    async def thaw(self, subject: Subject, *, by: By) -> datetime:
        """End a subject's freeze; compliance's holds stay.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where no freeze stands.
        """
        pseudonym = self._pseudonyms.subject(subject)

        async def once() -> datetime:
            async with self._db.transaction() as tx:
                await consent_store.lock_holds(tx)
                standing = await consent_store.standing_freezes(tx, pseudonym)
                if not standing:
                    raise no_such_hold()
                entries: list[Entry] = []
                at = standing[0][1]
                for hold_id, _ in standing:
                    at, entry = await self._subjects.lift_in(tx, hold_id, by=by)
                    await _close(tx, hold_id, by=by, at=at)
                    entries.append(entry)
                await ledger_store.append(tx, entries)
            return at

        return await retrying(once)

    async def lift(self, hold_id: UUID, *, reason: str, by: By) -> bool:
        """Lift compliance's hold, or keep the wish: it takes two officers within 24 h. Return whether it was lifted.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where no hold of compliance stands under this id.
        """
        return await retrying(lambda: self._lift(hold_id, reason, by))

    async def standing(self, *, after: UUID, limit: int) -> Sequence[HoldRecord | ClockHold]:
        """Return what stands, by id (of the clock's holds the consent's), with what was written where it may be opened.

        Officers' holds, freezes of subjects, and the clock's holds on letters whose lender's paper is late.
        """
        records = await consent_store.standing_records(self._db, after=after, limit=limit)
        clock = await asking_store.standing_evidence_holds(self._db, after=after, limit=limit)
        both: list[HoldRecord | ClockHold] = [*records, *clock]
        found = sorted(both, key=hold_key)[:limit]
        return [
            replace(each, reason=await self._written(each)) if isinstance(each, HoldRecord) else each for each in found
        ]

    async def _lift(self, hold_id: UUID, reason: str, by: By) -> bool:
        async with self._db.transaction() as tx:
            record = await consent_store.lock_record(tx, hold_id)
            if record is None or record.lifted_at is not None or record.kind is not HoldKind.HOLD:
                raise no_such_hold()
            now = await consent_store.now(tx)
            first = record.proposal
            owner = record.pseudonym or await self._owner_of_consent(record.consent_id)
            detail = self._detail(hold_id, reason, by)
            if first is None or not is_second(first, by, now):
                sealed = await self._sealed(owner, detail)
                await add_detail(tx, sealed)
                wish = LiftProposal(participant=by.participant, operator=by.operator, at=now, detail_id=sealed.entry_id)
                await consent_store.propose_lift(tx, hold_id, wish)
                return False
            sealed = await self._sealed(
                owner,
                detail
                | {
                    "first": first.participant,
                    "first_operator": self._pseudonyms.operator(by.institution, first.operator),
                    "first_reason": str(first.detail_id),
                },
            )
            entries = await self._lifted(tx, record, by=by, sealed=sealed)
            await add_detail(tx, sealed)
            await _close(tx, hold_id, by=by, at=now)
            await ledger_store.append(tx, entries)
        return True

    async def _lifted(self, tx: Transaction, record: HoldRecord, *, by: By, sealed: Sealed) -> Sequence[Entry]:
        if record.consent_id is None:
            await consent_store.lock_holds(tx)
            _, entry = await self._subjects.lift_in(tx, record.hold_id, by=by, sealed=sealed)
            return [entry]

        def lift(facts: ConsentFacts, now: datetime) -> Change:
            return service.unheld(facts, reason=LIFTED_BY_OFFICERS, now=now)

        _, entries = await give_back(tx, self._entries, record.consent_id, lift, sealed=sealed)
        return entries

    async def _place(
        self, tx: Transaction, subject: Subject, kind: HoldKind, *, sealed: Sealed | None, by: By
    ) -> tuple[HoldRecord, Placed]:
        code = FROZEN_BY_SUBJECT if kind is HoldKind.FREEZE else HELD_BY_OFFICER
        placed, entries = await self._subjects.place_in(tx, subject, kind, reason=code, by=by, sealed=sealed)
        record = HoldRecord(
            hold_id=placed.hold_id,
            kind=kind,
            consent_id=None,
            pseudonym=self._pseudonyms.subject(subject),
            display=hint(subject),
            reason="",
            placed_by=by.participant,
            placed_operator=by.operator,
            placed_at=placed.at,
            detail_id=None if sealed is None else sealed.entry_id,
        )
        await consent_store.insert_record(tx, record)
        if sealed is not None:
            await add_detail(tx, sealed)
        await ledger_store.append(tx, entries)
        return record, placed

    async def _sealed_of_subject(self, subject: Subject, reason: str, by: By) -> Sealed | None:
        """Seal what was written; nothing where nothing was, so that a freeze needs no key database."""
        if not reason:
            return None
        return await self._sealed(self._pseudonyms.subject(subject), {"reason": reason, "by": by.participant})

    async def _sealed(self, owner: str, detail: dict[str, object]) -> Sealed:
        """Seal what was written, under a key of whom it is about, for an entry whose id is chosen here."""
        return await self._vault.seal(owner, DetailKind.REASON, canonical_json(detail), entry_id=uuid7())

    async def _owner_of_consent(self, consent_id: UUID | None) -> str:
        facts = None if consent_id is None else await consent_store.find(self._db, consent_id)
        if facts is None:
            raise service.not_yours()
        return f"{facts.commitment_kid}:{facts.commitment}"

    async def _written(self, record: HoldRecord) -> str:
        if record.detail_id is None:
            return record.reason
        try:
            for sealed in await details(self._db, record.detail_id):
                written = msgspec.json.decode(await open_detail(self._db, self._vault, sealed))
                return str(written["reason"])
        except BashuError as closed:
            if closed.reason is not Reason.NOT_FOUND_OR_NOT_YOURS:
                raise
        # Erased, or waiting for it: the hold stands all the same.
        return ""

    def _detail(self, hold_id: UUID, reason: str, by: By) -> dict[str, object]:
        return {
            "hold": str(hold_id),
            "reason": reason,
            "by": by.participant,
            "operator": self._pseudonyms.operator(by.institution, by.operator),
        }


def hold_key(hold: HoldRecord | ClockHold) -> UUID:
    """Return the id under which a hold is listed."""
    return hold.hold_id if isinstance(hold, HoldRecord) else hold.consent_id


def is_second(first: LiftProposal, by: By, now: datetime) -> bool:
    """Tell whether ``by`` seconds a wish: another participant, another staff number, within 24 h."""
    is_other = first.participant != by.participant and first.operator != by.operator
    return is_other and now - first.at <= PROPOSAL_LASTS


async def _close(tx: Transaction, hold_id: UUID, *, by: By, at: datetime) -> None:
    await consent_store.close_record(tx, hold_id, participant=by.participant, operator=by.operator, at=at)
