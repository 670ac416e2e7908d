"""The paper behind letters that lenders signed themselves: asked for, due in 5 working days, else letters are held.

Lock order as everywhere: the consent, then what stands about its paper, then ledger numbers.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

import structlog

from consent import service
from consent import store as consent_store
from consent.artefact import Assurance
from consent.evidence import WorkingDays
from consent.model import Actor, ConsentFacts
from consent.service import Change
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from database import Database
from gateway.asking import store
from gateway.asking.store import EvidenceRequest
from gateway.consents import Shown, give_back, retrying, take_away
from gateway.entries import By, Entries
from gateway.vault.model import DetailKind
from gateway.vault.service import Vault
from gateway.vault.store import add_detail
from ledger import store as ledger_store

REQUESTED: Final = "EVIDENCE_REQUESTED"
RECEIVED: Final = "EVIDENCE_RECEIVED"
LATE: Final = "EVIDENCE_LATE"
NO_LONGER_LATE: Final = "EVIDENCE_NO_LONGER_LATE"
"""Codes of the events in a consent's history, in which its lender reads them."""
EVERY_S: Final = 5.0
AT_ONCE: Final = 100

_log = structlog.get_logger(__name__)


class Evidence:
    """Asks for paper, takes it, and watches the clock. Any number may run: whoever locks a consent looks again."""

    def __init__(self, db: Database, *, vault: Vault, entries: Entries, days: WorkingDays) -> None:
        self._db = db
        self._vault = vault
        self._entries = entries
        self._days = days

    async def request(self, letter: Shown, *, by: By) -> datetime:
        """Ask for the paper behind a letter; return when it is due. Asked again, the first time stands.

        Raises:
            BashuError: MALFORMED where no lender attested the consent, so that there is no paper at the lender.
        """
        if letter.parsed.artefact.assurance is not Assurance.LENDER_ATTESTED:
            raise BashuError(Reason.MALFORMED, "no letter that its lender signed itself", field="consent_id")
        return (await retrying(lambda: self._request(letter.facts.consent_id, by))).due_at

    async def submit(self, letter: Shown, document: bytes) -> datetime:
        """Take the paper, sealed under the subject's key; return when. The first that came stays.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where nobody asked for it; MALFORMED where its SHA-256 is not
                ``capture.evidence_sha256``.
        """
        facts = letter.facts
        if await store.find_evidence(self._db, facts.consent_id) is None:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "nobody asked for this paper", field="consent_id")
        # Of 3 MiB: too long for the loop.
        digest = (await asyncio.to_thread(hashlib.sha256, document)).digest()
        if digest != letter.parsed.artefact.evidence_sha256:
            raise BashuError(
                Reason.MALFORMED,
                "its SHA-256 is not the artefact's evidence_sha256",
                field="document",
                turn=Turn.LENDER,
            )
        owner = f"{facts.commitment_kid}:{facts.commitment}"
        sealed = await self._vault.seal(owner, DetailKind.EVIDENCE, document, entry_id=uuid7())

        def receive(facts: ConsentFacts, now: datetime) -> Change:
            return service.noted(facts, reason=RECEIVED, actor=Actor.LENDER, now=now)

        async def once() -> datetime:
            async with self._db.transaction() as tx:
                await service.lock_one(tx, facts.consent_id)
                asked = await store.find_evidence(tx, facts.consent_id)
                assert asked is not None
                if asked.received_at is not None:
                    return asked.received_at
                now = await consent_store.now(tx)
                _, entries = await give_back(tx, self._entries, facts.consent_id, receive, sealed=sealed)
                await add_detail(tx, sealed)
                await store.receive_evidence(tx, facts.consent_id, at=now, entry_id=sealed.entry_id)
                await ledger_store.append(tx, entries)
            return now

        return await retrying(once)

    async def page(
        self, institution: str | None, *, after: UUID | None, with_received: bool, limit: int
    ) -> Sequence[tuple[EvidenceRequest, datetime]]:
        """Return papers asked for, of one institution or of all, the soonest due first, and the time."""
        return await store.evidence_page(self._db, institution, after=after, with_received=with_received, limit=limit)

    async def run(self) -> None:
        """Watch the clock until cancelled; a full batch is followed by the next at once."""
        while True:
            changed = 0
            try:
                changed = await self.sweep()
            except BashuError as error:
                _log.warning("evidence_sweep_failed", reason=error.reason.value)
            if changed < AT_ONCE:
                await asyncio.sleep(EVERY_S)

    async def sweep(self) -> int:
        """Hold the letters of institutions whose paper is late, lift where it is no more; return how many changed."""
        to_hold = await store.letters_to_hold(self._db, limit=AT_ONCE)
        to_lift = await store.letters_to_lift(self._db, limit=AT_ONCE)
        changes = [partial(self.hold_if_late, consent_id) for consent_id in to_hold]
        changes += [partial(self._lift, consent_id) for consent_id in to_lift]
        changed = 0
        for consent_id, change in zip([*to_hold, *to_lift], changes, strict=True):
            try:
                changed += await change()
            except BashuError as error:
                # The others must not wait for this one; the next look finds it again.
                _log.warning("letter_not_changed", consent_id=str(consent_id), reason=error.reason.value)
        return changed

    async def hold_if_late(self, consent_id: UUID) -> bool:
        """Hold a letter whose institution has paper that is late; what is under way is withheld, as by any hold."""

        def place(facts: ConsentFacts, now: datetime) -> Change:
            return service.held(facts, reason=LATE, now=now, actor=Actor.SYSTEM)

        async def once() -> bool:
            async with self._db.transaction() as tx:
                facts = await service.lock_one(tx, consent_id)
                if not await store.is_to_hold(tx, consent_id):
                    return False
                _, entries = await take_away(tx, self._entries, consent_id, place, Reason.CONSENT_HELD)
                await store.place_evidence_hold(tx, consent_id, facts.institution, at=await consent_store.now(tx))
                await ledger_store.append(tx, entries)
            return True

        return await retrying(once)

    async def _lift(self, consent_id: UUID) -> bool:
        def lift(facts: ConsentFacts, now: datetime) -> Change:
            return service.unheld(facts, reason=NO_LONGER_LATE, now=now, actor=Actor.SYSTEM)

        async def once() -> bool:
            async with self._db.transaction() as tx:
                await service.lock_one(tx, consent_id)
                if not await store.is_to_lift(tx, consent_id):
                    return False
                _, entries = await give_back(tx, self._entries, consent_id, lift)
                await store.lift_evidence_hold(tx, consent_id, at=await consent_store.now(tx))
                await ledger_store.append(tx, entries)
            return True

        return await retrying(once)

    async def _request(self, consent_id: UUID, by: By) -> EvidenceRequest:
        def note(facts: ConsentFacts, now: datetime) -> Change:
            return service.noted(facts, reason=REQUESTED, actor=Actor.COMPLIANCE, now=now)

        async with self._db.transaction() as tx:
            facts = await service.lock_one(tx, consent_id)
            if (known := await store.find_evidence(tx, consent_id)) is not None:
                return known
            changed, entries = await give_back(tx, self._entries, consent_id, note)
            now = await consent_store.now(tx)
            asked = EvidenceRequest(
                consent_id=consent_id,
                institution=facts.institution,
                requested_by=by.participant,
                requested_operator=by.operator,
                requested_at=now,
                due_at=self._days.due(now),
                entry_id=changed.entry_id,
            )
            await store.insert_evidence(tx, asked)
            await ledger_store.append(tx, entries)
        return asked
