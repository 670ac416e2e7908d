"""Loans: what post-loan purposes refer to. Closing one ends the consents that run until then.

An artefact names no loan, so a consent ``until LOAN_CLOSED`` ends when the last open loan of its subject at its
institution closes; a query that names a closed loan is refused before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from consent import service
from consent import store as consent_store
from consent.model import ConsentFacts, Loan, LoanEnd
from consent.service import Change
from core.errors import BashuError, Reason
from core.ids import is_external_reference
from core.permit import Subject
from database import Database, Transaction
from gateway import store
from gateway.consents import close_open, retrying
from gateway.entries import Entries, affected
from gateway.pseudonyms import Pseudonyms
from ledger import store as ledger_store
from ledger.model import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosedLoan:
    """A closed loan, and how many consents ended (or end soon) with it."""

    loan: Loan
    ended_consents: int


class Loans:
    """Registers and closes loans of one institution at a time."""

    def __init__(self, db: Database, *, pseudonyms: Pseudonyms, entries: Entries) -> None:
        self._db = db
        self._pseudonyms = pseudonyms
        self._entries = entries

    async def register(
        self,
        institution: str,
        loan_reference: str,
        *,
        subject: Subject,
        application_reference: str,
        opened_on: date,
        due_on: date,
    ) -> Loan:
        """Register a loan; the same again answers alike.

        Raises:
            BashuError: MALFORMED (dates, characters), IDEMPOTENCY_CONFLICT for a reference used for another loan.
        """
        _check_form(loan_reference, application_reference, opened_on, due_on)
        async with self._db.transaction() as tx:
            loan = Loan(
                institution=institution,
                loan_reference=loan_reference,
                application_reference=application_reference,
                pseudonym=self._pseudonyms.subject(subject),
                commitments=tuple(self._pseudonyms.commitments(subject)),
                opened_on=opened_on,
                due_on=due_on,
                registered_at=await consent_store.now(tx),
            )
            if not await consent_store.insert_loan(tx, loan):
                return await _same(tx, loan)
            step = ("NONE", "OPEN")
            entry = self._entries.loan_event(loan, step=step, reason="REGISTERED", affects=None, ts=loan.registered_at)
            await ledger_store.append(tx, [entry])
        return loan

    async def close(self, institution: str, loan_reference: str, *, reason: LoanEnd) -> ClosedLoan:
        """Close a loan, end the consents that run until then, and withhold what is under way for it.

        Raises:
            BashuError: LOAN_NOT_FOUND.
        """
        return await retrying(lambda: self._close(institution, loan_reference, reason))

    async def of_institution(self, institution: str, *, after: str = "", limit: int = 100) -> Sequence[Loan]:
        """Return an institution's loans behind the reference ``after``, in order."""
        return await consent_store.loans(self._db, institution, after=after, limit=limit)

    async def _close(self, institution: str, loan_reference: str, reason: LoanEnd) -> ClosedLoan:
        async with self._db.transaction() as tx:
            known = await consent_store.find_loan(tx, institution, loan_reference)
            if known is None:
                raise BashuError(Reason.LOAN_NOT_FOUND, "no such loan", field="loan_reference")
            ids = await consent_store.ids_of_borrower(tx, institution, known.commitments)
            consents = await consent_store.lock(tx, ids)
            loans = await consent_store.lock_loans_of(tx, institution, known.pseudonym)
            now = await consent_store.now(tx)
            loan = next(loan for loan in loans if loan.loan_reference == loan_reference)
            if loan.closed_at is not None:
                return ClosedLoan(loan=loan, ended_consents=0)
            loan = service.closed_loan(loan, reason=reason, now=now)
            await consent_store.close_loan(tx, loan)
            # An admission that read the loan open is decided again, even where its consent goes on.
            await consent_store.touch(tx, ids)
            is_last = not any(other.closed_at is None for other in loans if other.loan_reference != loan_reference)
            changes = _ended(consents, now) if is_last else []
            over = [change.facts.consent_id for change in changes if change.facts.end <= now]
            intents = await store.lock_open_of_loan(tx, institution, loan_reference, over)
            entries = await close_open(tx, self._entries, intents, reason=Reason.LOAN_CLOSED, now=now)
            entries += [await _record(tx, self._entries, change) for change in changes]
            entries.append(
                self._entries.loan_event(
                    loan,
                    step=("OPEN", "CLOSED"),
                    reason=reason.value,
                    affects=affected([change.facts.consent_id for change in changes], intents),
                    ts=now,
                )
            )
            await ledger_store.append(tx, entries)
        return ClosedLoan(loan=loan, ended_consents=len(changes))


def _ended(consents: Sequence[ConsentFacts], now: datetime) -> list[Change]:
    changes = (service.ended_by_loan(facts, at=now + timedelta(days=facts.plus_days), now=now) for facts in consents)
    return [change for change in changes if change is not None]


async def _record(tx: Transaction, entries: Entries, change: Change) -> Entry:
    entry = entries.status(change.transition)
    await service.record(tx, change, entry_id=entry.entry_id, leaf_hash=entry.leaf_hash)
    return entry


async def _same(tx: Transaction, loan: Loan) -> Loan:
    known = await consent_store.find_loan(tx, loan.institution, loan.loan_reference)
    assert known is not None
    told = (loan.pseudonym, loan.application_reference, loan.opened_on, loan.due_on)
    if (known.pseudonym, known.application_reference, known.opened_on, known.due_on) == told:
        return known
    raise BashuError(
        Reason.IDEMPOTENCY_CONFLICT, "this loan reference was used for another loan", field="loan_reference"
    )


def _check_form(loan_reference: str, application_reference: str, opened_on: date, due_on: date) -> None:
    if not is_external_reference(loan_reference):
        raise BashuError(Reason.MALFORMED, "loan_reference has characters it may not have", field="loan_reference")
    if application_reference and not is_external_reference(application_reference):
        raise BashuError(
            Reason.MALFORMED, "application_reference has characters it may not have", field="application_reference"
        )
    if due_on < opened_on:
        raise BashuError(Reason.MALFORMED, "due_on is before opened_on", field="due_on")
