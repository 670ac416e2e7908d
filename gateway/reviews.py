"""What reviewers look at is recorded before they see it (consent-and-ledger: Views and exports)."""

from __future__ import annotations

from uuid import UUID

from consent import store as consent_store
from database import Database
from gateway.entries import By, Entries, Members
from gateway.identity.model import Caller, Role
from ledger import store as ledger_store
from ledger.model import EntryType

REVIEWERS = frozenset({Role.COMPLIANCE, Role.AUDITOR, Role.REGULATOR})


class Reviews:
    """Writes REVIEW_VIEW and EXPORT entries."""

    def __init__(self, db: Database, *, entries: Entries) -> None:
        self._db = db
        self._entries = entries

    async def record(
        self,
        caller: Caller,
        what: str,
        *,
        count: int,
        consent_id: UUID | None = None,
        request: UUID | None = None,
        reviewed: Members | None = None,
        pseudonym: str | None = None,
        kind: EntryType = EntryType.REVIEW_VIEW,
    ) -> None:
        """Record that a reviewer is about to see ``count`` rows of ``what``; others' own views are not recorded.

        It is durable once this returns. ``kind`` EXPORT: the rows are taken away; ``reviewed`` is the part asked for.
        """
        if caller.role not in REVIEWERS:
            return
        entry = self._entries.review_view(
            what,
            by=by_caller(caller),
            count=count,
            consent_id=consent_id,
            request=request,
            reviewed=reviewed,
            pseudonym=pseudonym,
            kind=kind,
            ts=await consent_store.now(self._db),
        )
        await ledger_store.append(self._db, [entry])


def by_caller(caller: Caller) -> By:
    """Return who acts: of a subject's agent the natural person's commitment, of others the staff number."""
    return By(
        participant=caller.participant_id,
        institution=caller.institution,
        operator=caller.actor_commitment or caller.operator,
    )
