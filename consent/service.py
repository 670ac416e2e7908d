"""What may happen to a consent, as values: facts in, facts and a transition out. The caller records and commits."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from consent import store
from consent.artefact import ParsedArtefact
from consent.model import Actor, ConsentFacts, ConsentState, Loan, LoanEnd, Transition
from consent.state import REFUSALS, state, state_reason
from core.errors import BashuError, Reason
from database import Statements

GENESIS: Final = bytes(32)
"""Stands for the last event's hash until the registration's own entry is made."""
_ENDED: Final = frozenset({ConsentState.REVOKED, ConsentState.SUPERSEDED, ConsentState.EXPIRED})
"""States that nothing leads out of."""
_PARENT: Final = "supersedes.consent_id"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A consent after an event, and the event."""

    facts: ConsentFacts
    transition: Transition


def registered(parsed: ParsedArtefact, *, now: datetime) -> Change:
    """Return a new consent as of its registration."""
    artefact = parsed.artefact
    facts = ConsentFacts(
        consent_id=artefact.consent_id,
        version=1,
        institution=artefact.institution,
        authority=artefact.issuer,
        authority_kid=parsed.jws.header["kid"],
        artefact_hash=parsed.sha256,
        subject_kind=artefact.subject.kind.value,
        id_type=artefact.subject.id_type,
        commitment=artefact.subject.commitment,
        commitment_kid=artefact.subject.commitment_kid,
        subject_display=artefact.subject.display,
        purpose=artefact.purpose,
        ends_with_loan=artefact.ends_with_loan,
        plus_days=artefact.plus_days,
        nbf=artefact.nbf,
        exp=artefact.exp,
        max_uses=artefact.usage.max_uses,
        used=0,
        last_use=0,
        window_key="",
        window_used=0,
        last_use_at=None,
        revision=1,
        last_event=GENESIS,
        registered_at=now,
    )
    transition = _transition(
        facts, before=ConsentState.REQUESTED, reason="REGISTERED", actor=Actor.AUTHORITY, at=now, previous=None
    )
    return Change(facts=facts, transition=transition)


def revoked(
    facts: ConsentFacts, *, reason: str, actor: Actor, now: datetime, expected_revision: int = 0
) -> Change | None:
    """Return the consent withdrawn, or None where it was before (PIPL Art. 15).

    Raises:
        BashuError: REVISION_CHANGED where the caller saw another revision.
    """
    if facts.revoked_at is not None:
        return None
    _expect(facts, expected_revision)
    return _change(facts, replace(facts, revoked_at=now), reason=reason, actor=actor, now=now)


def paused(facts: ConsentFacts, *, now: datetime, expected_revision: int = 0) -> Change | None:
    """Return the consent paused by its subject, or None where it was before.

    Raises:
        BashuError: REVISION_CHANGED; the reason of its state where it has ended for good.
    """
    if facts.paused_at is not None:
        return None
    _expect(facts, expected_revision)
    _refuse_ended(facts, now)
    return _change(facts, replace(facts, paused_at=now), reason="PAUSED", actor=Actor.SUBJECT, now=now)


def resumed(facts: ConsentFacts, *, now: datetime, expected_revision: int = 0) -> Change | None:
    """Return the consent with its pause over, or None where there was none.

    Raises:
        BashuError: REVISION_CHANGED; the reason of its state where it has ended for good.
    """
    if facts.paused_at is None:
        return None
    _expect(facts, expected_revision)
    _refuse_ended(facts, now)
    return _change(facts, replace(facts, paused_at=None), reason="RESUMED", actor=Actor.SUBJECT, now=now)


def noted(facts: ConsentFacts, *, reason: str, actor: Actor, now: datetime) -> Change:
    """Return the consent as it was, with an event that its parties read in its history."""
    return _change(facts, facts, reason=reason, actor=actor, now=now)


def held(facts: ConsentFacts, *, reason: str, now: datetime, actor: Actor = Actor.COMPLIANCE) -> Change:
    """Return the consent with one more hold on it; SYSTEM places that of a late paper."""
    after = replace(facts, held_count=facts.held_count + 1)
    return _change(facts, after, reason=reason, actor=actor, now=now)


def unheld(facts: ConsentFacts, *, reason: str, now: datetime, actor: Actor = Actor.COMPLIANCE) -> Change:
    """Return the consent with one hold less.

    Raises:
        BashuError: NOT_FOUND_OR_NOT_YOURS where no hold stands.
    """
    if not facts.held_count:
        raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no hold stands on this consent")
    after = replace(facts, held_count=facts.held_count - 1)
    return _change(facts, after, reason=reason, actor=actor, now=now)


def superseded(facts: ConsentFacts, *, by: ConsentFacts, artefact_hash: bytes, now: datetime) -> Change:
    """Return the consent replaced by ``by``, whose artefact names ``artefact_hash`` as what it supersedes.

    Raises:
        BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS of another requester or authority, SUBJECT_MISMATCH,
            ARTEFACT_MALFORMED for another hash, CONSENT_HELD, or the reason of its state where it has ended for good.
    """
    if (facts.institution, facts.authority) != (by.institution, by.authority):
        raise _no_parent()
    if (facts.commitment_kid, facts.commitment) != (by.commitment_kid, by.commitment):
        raise BashuError(Reason.SUBJECT_MISMATCH, "the superseded consent is about another subject", field=_PARENT)
    if facts.artefact_hash != artefact_hash:
        message = "artefact: supersedes.artefact_hash is not the hash of that consent's artefact"
        raise BashuError(Reason.ARTEFACT_MALFORMED, message, field="supersedes.artefact_hash")
    reached = state(facts, now)
    if reached in _ENDED or reached is ConsentState.HELD:
        reason, message, turn = REFUSALS[reached]
        raise BashuError(reason, message, turn=turn, field=_PARENT)
    after = replace(facts, superseded_by=by.consent_id)
    return _change(facts, after, reason="SUPERSEDED", actor=Actor.AUTHORITY, now=now)


def carried_over(change: Change, parent: ConsentFacts, *, same_windows: bool) -> Change:
    """Return a registration with the uses of the consent it supersedes; the window's too where windows are alike.

    Raises:
        BashuError: ARTEFACT_MALFORMED where more was spent than the new consent allows in all.
    """
    if parent.used > change.facts.max_uses:
        message = f"artefact: usage.max_uses must be at least the {parent.used} uses already spent, which carry over"
        raise BashuError(Reason.ARTEFACT_MALFORMED, message, field="usage.max_uses")
    facts = replace(change.facts, used=parent.used, carried=parent.used, last_use_at=parent.last_use_at)
    if same_windows:
        facts = replace(facts, window_key=parent.window_key, window_used=parent.window_used)
    return replace(change, facts=facts)


def ended_by_loan(facts: ConsentFacts, *, at: datetime, now: datetime) -> Change | None:
    """Return the consent with its end at ``at``, or None where it ends no later by itself."""
    if not facts.ends_with_loan or facts.revoked_at is not None or facts.end <= at:
        return None
    after = replace(facts, ended_by_loan=at)
    return _change(facts, after, reason=Reason.LOAN_CLOSED.value, actor=Actor.LENDER, now=now)


def ended_by_time(facts: ConsentFacts, *, recorded: ConsentState, now: datetime) -> Change | None:
    """Return the event of what time or the last use brought, None where the last event (``recorded``) says it."""
    reached = state(facts, now)
    if reached not in {ConsentState.EXPIRED, ConsentState.EXHAUSTED} or reached is recorded:
        return None
    reason = state_reason(facts, now) or reached.value
    change = _change(facts, facts, reason=reason, actor=Actor.SYSTEM, now=now)
    return replace(change, transition=replace(change.transition, from_state=recorded))


def closed_loan(loan: Loan, *, reason: LoanEnd, now: datetime) -> Loan:
    """Return the loan closed; closing it again changes nothing."""
    return loan if loan.closed_at is not None else replace(loan, closed_at=now, close_reason=reason)


async def get(db: Statements, consent_id: UUID, *, institution: str | None) -> ConsentFacts:
    """Return a consent's facts; ``institution`` None for those who may read all.

    Raises:
        BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS.
    """
    facts = await store.find(db, consent_id)
    return _mine(facts, institution)


async def lock_one(tx: Statements, consent_id: UUID) -> ConsentFacts:
    """Lock one consent and return its facts as of then.

    Raises:
        BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS.
    """
    locked = await store.lock(tx, [consent_id])
    return _mine(locked[0] if locked else None, None)


async def record(tx: Statements, change: Change, *, entry_id: UUID, leaf_hash: bytes) -> ConsentFacts:
    """Write an event of a locked consent with the ledger entry that records it; return the facts as stored."""
    facts = replace(change.facts, last_event=leaf_hash, version=change.facts.version + 1)
    await store.update(tx, facts)
    await store.insert_event(tx, change.transition, entry_id=entry_id, leaf_hash=leaf_hash)
    return facts


async def record_registration(
    tx: Statements, change: Change, artefact: bytes, *, entry_id: UUID, leaf_hash: bytes
) -> ConsentFacts | None:
    """Write a new consent with its bytes and first event; None where another took the id meanwhile."""
    facts = replace(change.facts, last_event=leaf_hash)
    if not await store.insert(tx, facts, artefact):
        return None
    await store.insert_event(tx, change.transition, entry_id=entry_id, leaf_hash=leaf_hash)
    return facts


def _mine(facts: ConsentFacts | None, institution: str | None) -> ConsentFacts:
    if facts is None or (institution is not None and facts.institution != institution):
        raise not_yours()
    return facts


def _no_parent() -> BashuError:
    message = "the superseded consent is not there, or of another authority or requester"
    return BashuError(Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, message, field=_PARENT)


async def lock_parent(tx: Statements, consent_id: UUID) -> ConsentFacts:
    """Lock the consent that another is to supersede.

    Raises:
        BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS.
    """
    locked = await store.lock(tx, [consent_id])
    if not locked:
        raise _no_parent()
    return locked[0]


def not_yours() -> BashuError:
    """Return the one answer for a consent that is not there and for one that is not the caller's."""
    return BashuError(Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, "no such consent, or not yours", field="consent_id")


def _expect(facts: ConsentFacts, revision: int) -> None:
    if revision and revision != facts.revision:
        raise BashuError(
            Reason.REVISION_CHANGED,
            "the consent changed since you read it",
            metadata={"revision": str(facts.revision)},
        )


def _refuse_ended(facts: ConsentFacts, now: datetime) -> None:
    reached = state(facts, now)
    if reached in _ENDED:
        reason, message, turn = REFUSALS[reached]
        raise BashuError(reason, message, turn=turn)


def _change(before: ConsentFacts, after: ConsentFacts, *, reason: str, actor: Actor, now: datetime) -> Change:
    after = replace(after, revision=before.revision + 1)
    transition = _transition(
        after, before=state(before, now), reason=reason, actor=actor, at=now, previous=before.last_event
    )
    return Change(facts=after, transition=transition)


def _transition(
    facts: ConsentFacts, *, before: ConsentState, reason: str, actor: Actor, at: datetime, previous: bytes | None
) -> Transition:
    return Transition(
        consent_id=facts.consent_id,
        artefact_hash=facts.artefact_hash,
        institution=facts.institution,
        commitment=facts.commitment,
        commitment_kid=facts.commitment_kid,
        revision=facts.revision,
        previous=previous,
        from_state=before,
        to_state=state(facts, at),
        reason=reason,
        actor=actor,
        at=at,
    )
