"""A policy table as JSON: read strictly, written canonically, so that its SHA-256 names it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Final, Literal

import msgspec

from consent.checks import SELF_CHECK
from consent.limits import Effect, PolicyRule
from consent.policy_check import MINOR
from core.canonical import canonical_json
from core.errors import BashuError, Reason
from core.jws import JwsMalformed, strict_json_object
from gateway.identity.model import InstitutionKind
from standards.catalogue import Standard

MOST_RULES: Final = 200
"""Each admission reads the rules of its purpose."""
_FIELD: Final = "table"
_INSTITUTION_KINDS: Final = frozenset(kind.value for kind in InstitutionKind)


class _Row(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    id: Annotated[str, msgspec.Meta(pattern=r"^[A-Z][A-Z0-9_]{0,39}\Z")]
    effect: Effect
    subject_kind: Literal["", "enterprise", "person"] = ""
    institution_kind: str = ""
    purpose: str = ""
    data_item: str = ""
    lookback_days: Annotated[int, msgspec.Meta(ge=0, le=36_600)] | None = None


class _Table(msgspec.Struct, forbid_unknown_fields=True):
    rules: Annotated[list[_Row], msgspec.Meta(max_length=MOST_RULES)]


def read_table(raw: bytes, standard: Standard) -> tuple[PolicyRule, ...]:
    """Read a table; its rules by id.

    Raises:
        BashuError: MALFORMED; the message names the rule and what is wrong with it.
    """
    try:
        rows = msgspec.convert(strict_json_object(raw), _Table).rules
    except (JwsMalformed, msgspec.ValidationError) as error:
        raise _malformed(str(error)) from error
    found = [_rule(row) for row in rows]
    for rule in found:
        _check(rule, standard)
    _refuse_twins("two rules have this id", (rule.rule_id for rule in found))
    # Which of two would decide is nothing that a reader of the table could see.
    _refuse_twins("two rules are about the same case", (rule.selectors for rule in found))
    return tuple(sorted(found, key=lambda rule: rule.rule_id))


def table_json(rules: Sequence[PolicyRule]) -> bytes:
    """Write a table: canonical JSON, rules by id, without what is left out."""
    rows = [
        _Row(
            id=rule.rule_id,
            effect=rule.effect,
            subject_kind=rule.subject_kind,  # type: ignore[arg-type]
            institution_kind=rule.institution_kind,
            purpose=rule.purpose,
            data_item=rule.data_item,
            lookback_days=rule.lookback_days,
        )
        for rule in sorted(rules, key=lambda rule: rule.rule_id)
    ]
    return canonical_json({"rules": [msgspec.to_builtins(row) for row in rows]})


def _rule(row: _Row) -> PolicyRule:
    return PolicyRule(
        rule_id=row.id,
        effect=row.effect,
        subject_kind=row.subject_kind,
        institution_kind=row.institution_kind,
        purpose=row.purpose,
        data_item=row.data_item,
        lookback_days=row.lookback_days,
    )


def _check(rule: PolicyRule, standard: Standard) -> None:
    if (rule.effect is Effect.LOOKBACK) != (rule.lookback_days is not None):
        raise _malformed(f"{rule.rule_id}: lookback_days belongs to LOOKBACK, and to it alone")
    if rule.rule_id == MINOR:
        raise _malformed(f"{MINOR} is the rule about persons under 18, which no table changes")
    if rule.purpose == SELF_CHECK:
        raise _malformed(f"{rule.rule_id}: no rule limits a subject's own query (征信业管理条例 Art. 17)")
    if rule.purpose and standard.purposes.get(rule.purpose) is None:
        raise _malformed(f"{rule.rule_id}: no such purpose")
    if rule.data_item and not standard.items.exists(rule.data_item):
        raise _malformed(f"{rule.rule_id}: no such data item")
    if rule.institution_kind not in _INSTITUTION_KINDS:
        raise _malformed(f"{rule.rule_id}: no such institution_kind")


def _refuse_twins(what: str, keys: Iterable[object]) -> None:
    twins = [key for key, count in Counter(keys).items() if count > 1]
    if twins:
        named = twins[0] if isinstance(twins[0], str) else " ".join(str(part) or "*" for part in twins[0])  # type: ignore[attr-defined]
        raise _malformed(f"{what}: {named}")


def _malformed(rule: str) -> BashuError:
    return BashuError(Reason.MALFORMED, f"{_FIELD}: {rule}", field=_FIELD)
