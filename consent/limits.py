"""The operator's table of policy limits, and which of its rules decides about a question. Pure (admission check 11)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Effect(StrEnum):
    """What a rule says about an item: never, no further back than so many days, or no limit (an exception)."""

    DENY = "DENY"
    LOOKBACK = "LOOKBACK"
    ALLOW = "ALLOW"


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyRule:
    """One rule of the table; an empty selector stands for every value.

    ``lookback_days``: days before today (Asia/Shanghai) that may be asked for; of LOOKBACK alone.
    """

    rule_id: str
    effect: Effect
    subject_kind: str = ""
    institution_kind: str = ""
    purpose: str = ""
    data_item: str = ""
    lookback_days: int | None = None

    @property
    def selectors(self) -> tuple[str, str, str, str]:
        """What the rule is about; no two rules of a table have the same."""
        return self.subject_kind, self.institution_kind, self.purpose, self.data_item

    @property
    def specificity(self) -> int:
        """How many selectors name something."""
        return sum(map(bool, self.selectors))

    @property
    def severity(self) -> tuple[int, int]:
        """The strictest is the greatest: DENY, then LOOKBACK by fewer days, then ALLOW."""
        match self.effect:
            case Effect.DENY:
                return 2, 0
            case Effect.LOOKBACK:
                return 1, -(self.lookback_days or 0)
            case Effect.ALLOW:
                return 0, 0


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyTable:
    """A version of the table, as far as it may concern a question; version 0 is the empty one nobody set."""

    version: int = 0
    rules: tuple[PolicyRule, ...] = ()


NO_TABLE: Final = PolicyTable()


def strictest(
    rules: Iterable[PolicyRule], *, subject_kind: str, institution_kind: str, purpose: str, items: Iterable[str]
) -> tuple[str, PolicyRule] | None:
    """Return the item and the rule that limit a question most, or None where no rule is about it.

    For each item the most specific rule decides, of equally specific ones the strictest; over several items the
    strictest of those. Neither the order of the rules nor that of the items matters.
    """
    asked = subject_kind, institution_kind, purpose
    fitting = [
        rule
        for rule in rules
        if all(wanted in {"", given} for wanted, given in zip(rule.selectors[:3], asked, strict=True))
    ]
    deciding = []
    for item in sorted(items):
        about = [rule for rule in fitting if rule.data_item in {"", item}]
        if about:
            deciding.append((item, max(about, key=lambda rule: (rule.specificity, rule.severity, rule.rule_id))))
    return max(deciding, key=lambda found: found[1].severity, default=None)
