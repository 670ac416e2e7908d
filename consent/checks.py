"""May this question be asked? The admission checks, in their written order, each a small pure function.

Checks 1-3 are the door's and the request id's (interceptors, ``gateway/repeats.py``). Check 16, the durable
QUERY_INTENT, is the guarded statement itself.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from consent import budget
from consent.model import Ask, ConsentState, HoldKind, Refusal, Scope
from consent.policy_check import check_policy
from consent.scope import (
    Case,
    Rulebook,
    asked_items,
    asked_range,
    effective_scope,
    granted_items,
    granted_range,
    target_platforms,
)
from consent.state import REFUSALS, state, state_reason
from consent.witnessing import WitnessGrade
from core.commitments import same_commitment
from core.errors import Reason, Turn
from core.ids import is_external_reference
from core.permit import SubjectKind
from standards.licences import Side
from standards.purposes import Reference

OLDEST_PENDING_S: Final = 30.0
"""Age of the oldest entry not yet in the tree, and of the sealer's last sign of life, at which admissions stop."""
PERSONAL_LICENCE: Final = "PERSONAL_CREDIT_LICENCE"
_LONG_NUMBER: Final = re.compile(r"\d{6}")
_MOST_DIGITS: Final = 10
"""Fewer than a telephone or identity number has, however it is broken up; a law's year, number and article fit."""
SELF_CHECK: Final = "SELF_CHECK"
"""The one purpose of a subject's own query, and nobody else's."""
_NOT_YOURS: Final = "no such consent, or not given to this institution"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its number in the written order, its name in traces, the reasons it may give."""

    number: int
    name: str
    decide: Callable[[Case], Refusal | None]
    reasons: frozenset[Reason]


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The outcome: exactly one of ``scope`` and ``refusal``. ``trace`` names the checks passed, in order."""

    scope: Scope | None
    refusal: Refusal | None
    trace: tuple[str, ...]


def check_form(ask: Ask, rules: Rulebook) -> Refusal | None:
    """Tell what is wrong with the question itself, before anything is read."""
    if rules.purposes.get(ask.purpose) is None:
        return Refusal(reason=Reason.PURPOSE_MISSING, message="the purpose is absent or unknown", field="purpose")
    if not all(rules.items.exists(name) for name in ask.items):
        # The id came from the caller and may be anything, so it is not repeated.
        return _items(Reason.UNKNOWN_DATA_ITEM, "a data item asked for is not in the standard")
    references = {"application_reference": ask.application_reference, "loan_reference": ask.loan_reference}
    for field, reference in references.items():
        if reference and not is_external_reference(reference):
            return Refusal(reason=Reason.MALFORMED, message=f"{field} has characters it may not have", field=field)
    if _LONG_NUMBER.search(ask.legal_basis) or sum(map(str.isdecimal, ask.legal_basis)) > _MOST_DIGITS:
        message = "legal_basis names a law and its article, never a number of somebody"
        return Refusal(reason=Reason.MALFORMED, message=message, field="legal_basis")
    return _check_items_given(ask)


def _check_items_given(ask: Ask) -> Refusal | None:
    if ask.is_self:
        return None
    if not ask.items and ask.subject.kind is SubjectKind.PERSON:
        return _items(Reason.ITEMS_REQUIRED, "a query about a person names its items")
    if not ask.items and ask.consent_id is None:
        return _items(Reason.ITEMS_REQUIRED, "a query without a consent names its items")
    return None


def _items(reason: Reason, message: str) -> Refusal:
    return Refusal(reason=reason, message=message, field="data_items")


def check_role(case: Case) -> Refusal | None:
    """4: the kind of institution may ask for this purpose (purposes.csv; 征信业务管理办法 Art. 21, R22)."""
    purpose = case.rules.purposes.get(case.ask.purpose, on=case.today)
    if purpose is None:
        return Refusal(reason=Reason.PURPOSE_MISSING, message="the purpose is not valid today", field="purpose")
    is_fitting = (
        purpose.purpose_id == SELF_CHECK if case.ask.is_self else case.ask.institution_kind in purpose.institution_kinds
    )
    if not is_fitting:
        return Refusal(
            reason=Reason.ROLE_NOT_ALLOWED,
            message="this kind of institution may not ask for this purpose",
            field="purpose",
            turn=Turn.LENDER,
        )
    return None


def check_artefact(case: Case) -> Refusal | None:
    """5: the stored artefact has its registered hash, and its authority's key was not given up for compromise."""
    if case.ask.consent_id is None:
        return None
    if case.consent is None or case.consent.institution != case.ask.institution:
        return None  # Check 6 answers both alike, so that nobody can probe.
    if case.artefact is None or case.artefact.consent_id != case.ask.consent_id:
        return Refusal(
            reason=Reason.LEDGER_INCONSISTENT,
            message="the stored artefact no longer has its registered hash",
            turn=Turn.OPERATOR,
        )
    if case.is_key_compromised:
        return Refusal(
            reason=Reason.ARTEFACT_UNKNOWN_KEY,
            message="the key that signed this consent was given up for compromise",
            turn=Turn.BORROWER,
        )
    return None


def check_requester(case: Case) -> Refusal | None:
    """6: the consent was given to the institution that asks; without one only public items of enterprises.

    From oneself nobody needs a consent (征信业管理条例 Art. 17).
    """
    if case.ask.consent_id is None:
        if case.ask.is_self or case.ask.subject.kind is SubjectKind.ENTERPRISE:
            return None
        return Refusal(reason=Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, message=_NOT_YOURS, field="consent_id")
    row, artefact = case.consent, case.artefact
    if row is not None and artefact is not None and row.institution == artefact.institution == case.ask.institution:
        return None
    return Refusal(reason=Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, message=_NOT_YOURS, field="consent_id")


def check_subject(case: Case) -> Refusal | None:
    """7: the identifier asked about is the one committed to, recomputed under the authority's commitment key."""
    if case.artefact is None:
        return None
    if case.commitment is None:
        return Refusal(
            reason=Reason.INTERNAL, message="the commitment key of this consent is not at hand", turn=Turn.OPERATOR
        )
    granted = case.artefact.subject
    is_same_kind = (granted.kind, granted.id_type) == (case.ask.subject.kind, case.ask.subject.id_type)
    if is_same_kind and same_commitment(granted.commitment, case.commitment):
        return None
    return Refusal(reason=Reason.SUBJECT_MISMATCH, message="the consent is about another subject", field="subject")


def check_platforms(case: Case) -> Refusal | None:
    """8: every target platform granted, the lender admitted there, licences fit the subject (R1, R18)."""
    for decide in (_granted, _separately_consented, _admitted, _licensed):
        if refusal := decide(case):
            return refusal
    return None


def _granted(case: Case) -> Refusal | None:
    platforms = target_platforms(case)
    reached = {case.platforms[name].region for name in platforms}
    missing = sorted(set(case.ask.regions) - reached)
    if not missing and platforms:
        return None
    metadata = {"region": missing[0]} if missing else {}
    return Refusal(
        reason=Reason.PLATFORM_NOT_GRANTED,
        message="no platform of a region asked for was granted",
        field="regions",
        metadata=metadata,
        turn=Turn.BORROWER,
    )


def _separately_consented(case: Case) -> Refusal | None:
    """PIPL Art. 23: for a person, each platform outside the home region needs its own consent."""
    if case.artefact is None or case.ask.subject.kind is not SubjectKind.PERSON:
        return None
    for name in target_platforms(case):
        provider = case.artefact.provider(name)
        is_home = case.platforms[name].region == case.ask.subject.home_region
        if provider is not None and not is_home and not provider.has_separate_consent:
            return Refusal(
                reason=Reason.SEPARATE_CONSENT_MISSING,
                message="the other region's platform needs a separate consent",
                metadata={"platform_id": name},
                turn=Turn.BORROWER,
            )
    return None


def _admitted(case: Case) -> Refusal | None:
    """Each platform's operator decides which lender it admits, to which items and purposes; default deny.

    To a subject's own query law admits it (征信业管理条例 Art. 17).
    """
    if case.ask.is_self:
        return None
    wanted = asked_items(case) & granted_items(case)
    for name in target_platforms(case):
        access = case.access.get(name)
        needed = wanted & case.platforms[name].items
        if access is None or case.ask.purpose not in access.purposes or not needed <= access.items:
            return Refusal(
                reason=Reason.LENDER_NOT_ADMITTED,
                message="the platform does not admit this lender to what was asked",
                metadata={"platform_id": name},
                turn=Turn.PLATFORM,
            )
    return None


def _licensed(case: Case) -> Refusal | None:
    """条例 Art. 7, 10, 36: the platform's licence fits the subject; for a person the gateway's operator's too."""
    kind, day = case.ask.subject.kind, case.today
    for name in target_platforms(case):
        held = [licence.kind for licence in case.platforms[name].licences if licence.is_valid_on(day)]
        if not any(case.rules.licences.allows(licence, kind, Side.PROVIDER, on=day) for licence in held):
            return _unlicensed("the platform holds no licence for this kind of subject", name)
    if kind is SubjectKind.PERSON:
        own = {licence.kind for licence in case.operator_licences if licence.is_valid_on(day)}
        if PERSONAL_LICENCE not in own:
            return _unlicensed("the gateway's operator holds no licence for queries about persons", None)
    return None


def _unlicensed(message: str, platform_id: str | None) -> Refusal:
    metadata = {"platform_id": platform_id} if platform_id else {}
    return Refusal(reason=Reason.LICENCE_MISSING, message=message, metadata=metadata, turn=Turn.OPERATOR)


def check_purpose(case: Case) -> Refusal | None:
    """9: the purpose is the consent's; the reference it needs is there, and a loan is this subject's and open (R23)."""
    purpose = case.rules.purposes.get(case.ask.purpose)
    if (
        purpose is None
        or case.ask.subject.kind not in purpose.subject_kinds
        or (case.artefact is not None and case.artefact.purpose != case.ask.purpose)
    ):
        return Refusal(reason=Reason.PURPOSE_MISMATCH, message="the consent is for another purpose", field="purpose")
    if purpose.needs is Reference.APPLICATION and not case.ask.application_reference:
        return _reference_missing("application_reference")
    if purpose.needs is Reference.LOAN and not case.ask.loan_reference:
        return _reference_missing("loan_reference")
    return _check_loan(case) if case.ask.loan_reference else None


def _reference_missing(field: str) -> Refusal:
    return Refusal(reason=Reason.REFERENCE_MISSING, message=f"this purpose needs {field}", field=field)


def _check_loan(case: Case) -> Refusal | None:
    reason, message = Reason.LOAN_NOT_FOUND, "no such loan of this subject"
    if case.loan is not None and case.loan.pseudonym == case.pseudonym:
        if case.loan.closed_at is None:
            return None
        reason, message = Reason.LOAN_CLOSED, "the loan is closed"
    return Refusal(reason=reason, message=message, field="loan_reference", turn=Turn.LENDER)


def check_scope(case: Case) -> Refusal | None:
    """10: acts and items and look-back inside what was granted; over-wide is refused unless narrowing was asked for."""
    if case.artefact is None and not case.ask.legal_basis:
        return Refusal(
            reason=Reason.MALFORMED, message="public items without a consent need legal_basis", field="legal_basis"
        )
    if case.artefact is not None and not case.ask.acts <= case.artefact.acts:
        return Refusal(reason=Reason.SCOPE_EXCEEDED, message="the consent does not allow this act", turn=Turn.BORROWER)
    asked, granted = asked_items(case), granted_items(case)
    beyond = sorted(asked - granted)
    if not asked & granted or (beyond and not case.ask.allow_narrowing):
        metadata = {"data_item": beyond[0]} if beyond else {}
        return Refusal(
            reason=Reason.SCOPE_EXCEEDED,
            message="a data item asked for was not granted",
            field="data_items",
            metadata=metadata,
            turn=Turn.BORROWER,
        )
    return _check_range(case)


def _check_range(case: Case) -> Refusal | None:
    (first, last), (from_granted, to_granted) = asked_range(case), granted_range(case)
    is_empty = max(first, from_granted) > min(last, to_granted)
    is_inside = from_granted <= first and last <= to_granted
    if not is_empty and (is_inside or case.ask.allow_narrowing):
        return None
    return Refusal(
        reason=Reason.RANGE_EXCEEDED,
        message="the look-back reaches beyond what was granted",
        field="lookback",
        metadata={"granted_from": from_granted.isoformat(), "granted_to": to_granted.isoformat()},
    )


def check_state(case: Case) -> Refusal | None:
    """12: the consent is ACTIVE on the primary, at the revision the caller knows of. EXHAUSTED is check 14's."""
    if case.consent is None:
        return None
    if case.consent.revision < case.ask.min_consent_revision:
        return Refusal(
            reason=Reason.REVISION_TOO_OLD,
            message="the consent has not reached this revision",
            field="min_consent_revision",
            metadata={"revision": str(case.consent.revision)},
        )
    reached = state(case.consent, case.now)
    if reached in {ConsentState.ACTIVE, ConsentState.EXHAUSTED}:
        return None
    reason, message, turn = REFUSALS[reached]
    why = state_reason(case.consent, case.now)
    return Refusal(reason=reason, message=message, turn=turn, metadata={"state_reason": why} if why else {})


def check_holds(case: Case) -> Refusal | None:
    """13: neither compliance's hold nor the subject's own freeze stands on the subject."""
    if HoldKind.HOLD in case.holds:
        return Refusal(reason=Reason.CONSENT_HELD, message="queries about this subject are held", turn=Turn.COMPLIANCE)
    if HoldKind.FREEZE in case.holds:
        return Refusal(reason=Reason.SUBJECT_FROZEN, message="the subject froze its file", turn=Turn.BORROWER)
    return None


def check_budget(case: Case) -> Refusal | None:
    """14: one more use fits, in all, in its calendar window and in its interval; a repeat costs none."""
    if case.artefact is None or case.consent is None or case.is_free:
        return None
    return budget.refusal(case.artefact.usage, case.consent, case.now)


def check_evidence(case: Case) -> Refusal | None:
    """15: the evidence chain is fresh: no entry waits, and no sealer was silent, for longer than the settings say.

    Nor has a quorum of outside witnesses, where there are any, been away for too long (:mod:`consent.witnessing`).
    """
    if case.heartbeat_s <= case.stale_s and (case.oldest_pending_s or 0.0) <= case.stale_s:
        return _check_witnesses(case)
    return Refusal(
        reason=Reason.EVIDENCE_STALE,
        message="the ledger is not sealed as it should be",
        turn=Turn.OPERATOR,
        retry_after_s=OLDEST_PENDING_S,
    )


def _check_witnesses(case: Case) -> Refusal | None:
    grade = WitnessGrade.FRESH if case.witness_budgets is None else case.witness_budgets.grade(case.witnessed_s)
    is_person = case.ask.subject.kind is SubjectKind.PERSON
    if grade is WitnessGrade.ALL_REFUSED or (grade is WitnessGrade.PERSONS_REFUSED and is_person):
        return Refusal(
            reason=Reason.EVIDENCE_STALE,
            message="outside witnesses have not cosigned the ledger for too long",
            turn=Turn.OPERATOR,
            retry_after_s=OLDEST_PENDING_S,
            metadata={"witness_grade": grade.value},
        )
    return None


CHECKS: Final = (
    Check(
        number=4,
        name="role",
        decide=check_role,
        reasons=frozenset({Reason.ROLE_NOT_ALLOWED, Reason.PURPOSE_MISSING}),
    ),
    Check(
        number=5,
        name="artefact",
        decide=check_artefact,
        reasons=frozenset({Reason.LEDGER_INCONSISTENT, Reason.ARTEFACT_UNKNOWN_KEY}),
    ),
    Check(
        number=6,
        name="requester",
        decide=check_requester,
        reasons=frozenset({Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS}),
    ),
    Check(
        number=7,
        name="subject",
        decide=check_subject,
        reasons=frozenset({Reason.SUBJECT_MISMATCH, Reason.INTERNAL}),
    ),
    Check(
        number=8,
        name="platforms",
        decide=check_platforms,
        reasons=frozenset(
            {
                Reason.PLATFORM_NOT_GRANTED,
                Reason.SEPARATE_CONSENT_MISSING,
                Reason.LENDER_NOT_ADMITTED,
                Reason.LICENCE_MISSING,
            }
        ),
    ),
    Check(
        number=9,
        name="purpose",
        decide=check_purpose,
        reasons=frozenset(
            {Reason.PURPOSE_MISMATCH, Reason.REFERENCE_MISSING, Reason.LOAN_NOT_FOUND, Reason.LOAN_CLOSED}
        ),
    ),
    Check(
        number=10,
        name="scope",
        decide=check_scope,
        reasons=frozenset({Reason.SCOPE_EXCEEDED, Reason.RANGE_EXCEEDED, Reason.MALFORMED}),
    ),
    Check(number=11, name="policy", decide=check_policy, reasons=frozenset({Reason.POLICY_LIMIT})),
    Check(
        number=12,
        name="state",
        decide=check_state,
        reasons=frozenset({Reason.REVISION_TOO_OLD, *(reason for reason, _, _ in REFUSALS.values())})
        - {Reason.CONSENT_EXHAUSTED},
    ),
    Check(
        number=13,
        name="holds",
        decide=check_holds,
        reasons=frozenset({Reason.CONSENT_HELD, Reason.SUBJECT_FROZEN}),
    ),
    Check(
        number=14,
        name="budget",
        decide=check_budget,
        reasons=frozenset({Reason.CONSENT_EXHAUSTED, Reason.FREQUENCY_EXCEEDED}),
    ),
    Check(number=15, name="evidence", decide=check_evidence, reasons=frozenset({Reason.EVIDENCE_STALE})),
)
"""Every check that decides on facts, in the order in which they are made; the first refusal is the answer."""


def decide(case: Case) -> Decision:
    """Make the checks in order until one refuses."""
    trace: list[str] = []
    for check in CHECKS:
        if refusal := check.decide(case):
            return Decision(scope=None, refusal=replace(refusal, rule=label(check)), trace=tuple(trace))
        trace.append(label(check))
    return Decision(scope=effective_scope(case), refusal=None, trace=tuple(trace))


def label(check: Check) -> str:
    """Return how traces and ``decision.rule`` name a check."""
    return f"{check.number}-{check.name}"
