"""Admission check 11: what no consent allows. Pure."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from consent.limits import Effect, strictest
from consent.model import Refusal
from consent.scope import Case, effective_scope
from core.errors import Reason, Turn
from core.permit import SubjectKind

FULL_AGE: Final = 18
MINOR: Final = "MINOR"
"""The one rule that stands in no table, so that nobody can take it out."""


def check_policy(case: Case) -> Refusal | None:
    """11: what no consent allows: queries about persons under :data:`FULL_AGE`, and what the operator's table limits.

    R80, project policy, unverified; the table is no law either (``SetPolicy``). It binds no subject's own query.
    """
    if case.ask.subject.kind is SubjectKind.PERSON and _is_minor(case.ask.subject.identifier, case.today):
        # Not the age, which is the person's own.
        return _limited(MINOR, "queries about persons under 18 are not served", "subject")
    if case.ask.is_self or not case.policy.rules:
        return None
    return _check_table(case)


def _check_table(case: Case) -> Refusal | None:
    """Hold the question, as it would be granted, against the strictest rule; too wide is refused, never clamped."""
    ask, scope = case.ask, effective_scope(case)
    found = strictest(
        case.policy.rules,
        subject_kind=ask.subject.kind.value,
        institution_kind=ask.institution_kind,
        purpose=ask.purpose,
        items=scope.items,
    )
    if found is None:
        return None
    item, rule = found
    metadata = {"policy_version": str(case.policy.version), "data_item": item}
    match rule.effect:
        case Effect.ALLOW:
            return None
        case Effect.DENY:
            return _limited(rule.rule_id, "the operator's policy does not serve this", "data_items", **metadata)
        case Effect.LOOKBACK:
            assert rule.lookback_days is not None
            if scope.look_from >= case.today - timedelta(days=rule.lookback_days):
                return None
            metadata["lookback_days"] = str(rule.lookback_days)
            message = "the look-back reaches further than the operator's policy allows"
            return _limited(rule.rule_id, message, "lookback", **metadata)


def _limited(rule_id: str, message: str, field: str, **metadata: str) -> Refusal:
    return Refusal(
        reason=Reason.POLICY_LIMIT,
        message=message,
        field=field,
        metadata={"policy_rule": rule_id} | metadata,
        turn=Turn.LENDER,
    )


def _is_minor(citizen_id: str, today: date) -> bool:
    """Tell whether digits 7 to 14 (GB 11643-1999) name a birth less than 18 years ago; one of 29 Feb ages on 1 Mar."""
    born = citizen_id[6:14]
    return f"{today.year - FULL_AGE:04}{today:%m%d}" < born
