"""Looking: searches, the trace of one consent, everything about one subject. Each is recorded before a row leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID

from consent import store as consent_store
from consent.model import ConsentEvent, ConsentFacts
from core.canonical import canonical_json
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from core.permit import Subject
from database import Database
from gateway.accesses import AccessLists, AccessPage, ShownAccess
from gateway.desk.two_officers import Action, seconded
from gateway.desk.unmask import officers_owner
from gateway.entries import Entries
from gateway.identity.model import Caller
from gateway.pseudonyms import Pseudonyms
from gateway.reviews import Reviews, by_caller
from gateway.vault.model import DetailKind
from gateway.vault.service import Vault
from gateway.vault.store import add_detail
from ledger import store as ledger_store
from ledger.access.model import AccessFilter
from ledger.model import EntryType

MOST_TRACED: Final = 500
"""Accesses that a trace or a report lists at once; more are found by searching."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """One consent: what happened to it, and what was asked under it, the newest first."""

    facts: ConsentFacts
    events: Sequence[ConsentEvent]
    accesses: Sequence[ShownAccess]
    is_truncated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SubjectReport:
    """Everything about one subject that reviewers may see without unmasking."""

    accesses: Sequence[ShownAccess]
    consent_ids: Sequence[UUID]
    is_truncated: bool


class Reports:
    """What reviewers read; who may call is the role table's."""

    def __init__(
        self,
        db: Database,
        *,
        lists: AccessLists,
        reviews: Reviews,
        vault: Vault,
        pseudonyms: Pseudonyms,
        entries: Entries,
    ) -> None:
        self._db = db
        self._lists = lists
        self._reviews = reviews
        self._vault = vault
        self._pseudonyms = pseudonyms
        self._entries = entries

    def pseudonym(self, subject: Subject) -> str:
        """Return the pseudonym of a subject."""
        return self._pseudonyms.subject(subject)

    async def search(
        self, caller: Caller, wanted: AccessFilter, *, operator: str = "", token: str, size: int
    ) -> AccessPage:
        """Return one page of accesses, the newest first; ``operator`` is a staff number of the institution wanted.

        Raises:
            BashuError: MALFORMED for a staff number without its institution.
        """
        if operator:
            if wanted.institution is None:
                raise BashuError(Reason.MALFORMED, "a staff number needs its institution", field="institution")
            wanted = replace(wanted, operator_commitment=self._pseudonyms.operator(wanted.institution, operator))
        page = await self._lists.page(wanted, token=token, size=size)
        known = wanted.consent_id if page.accesses else None
        await self._reviews.record(caller, "SearchAccess", count=len(page.accesses), consent_id=known)
        return page

    async def trace(self, caller: Caller, consent_id: UUID) -> Trace:
        """Return a consent's events and the accesses under it.

        Raises:
            BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS.
        """
        facts = await consent_store.find(self._db, consent_id)
        if facts is None:
            raise BashuError(Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, "no such consent", field="consent_id")
        events = await consent_store.events(self._db, consent_id)
        page = await self._lists.page(AccessFilter(consent_id=consent_id), size=MOST_TRACED)
        count = len(events) + len(page.accesses)
        await self._reviews.record(caller, "TraceConsent", count=count, consent_id=consent_id)
        return Trace(facts=facts, events=events, accesses=page.accesses, is_truncated=bool(page.next_token))

    async def subject(self, caller: Caller, subject: Subject, *, reason: str) -> SubjectReport:
        """Return everything about a subject, to the second officer who asks for it within 24 h.

        Raises:
            BashuError: SECOND_OFFICER_NEEDED to the first, whose wish is kept.
        """
        pseudonym, by = self._pseudonyms.subject(subject), by_caller(caller)
        async with self._db.transaction() as tx:
            now = await consent_store.now(tx)
            first = await seconded(tx, Action.REPORT_SUBJECT, pseudonym, by=by, now=now)
        if first is None:
            raise BashuError(
                Reason.SECOND_OFFICER_NEEDED,
                "Everything about one subject takes two officers: another one asks the same within 24 h",
                turn=Turn.COMPLIANCE,
                metadata={"rule": "ledger: Views and exports"},
            )
        page = await self._lists.page(AccessFilter(pseudonym=pseudonym), size=MOST_TRACED)
        consent_ids = await consent_store.ids_of_subject(self._db, self._pseudonyms.commitments(subject))
        number = uuid7()
        # Sealed under the officers' own key: that it was looked at, and why, outlives the subject's.
        words = canonical_json({"reason": reason, "first": first.participant})
        sealed = await self._vault.seal(officers_owner(by), DetailKind.REASON, words, entry_id=number)
        async with self._db.transaction() as tx:
            await add_detail(tx, sealed)
            entry = self._entries.about(
                EntryType.REVIEW_VIEW,
                ts=now,
                obj="ReportSubject",
                by=by,
                pseudonym=pseudonym,
                detail_sha256=sealed.sha256,
                entry_id=number,
            )
            await ledger_store.append(tx, [entry])
        return SubjectReport(accesses=page.accesses, consent_ids=consent_ids, is_truncated=bool(page.next_token))
