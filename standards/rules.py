"""Rules of law (``rules.csv``) as code: one named, pure function a rule, compiled per data item.

What a rule removes appears in ``withheld[]`` with the rule's id and reason. Days are Beijing days.
"""

from __future__ import annotations

import calendar
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Final

from google.protobuf.message import Message

from core.permit import SubjectKind
from standards.answer import Mark
from standards.items import ItemDictionary

ENDED_ON: Final[Mapping[str, str]] = {
    "administrative_penalty": "decided_on",
    "court_judgment": "effective_on",
    "dishonest_judgment_debtor": "removed_on",
    "financing_guarantee": "released_on",
    "judgment_debtor": "closed_on",
    "tax_arrears": "cleared_on",
}
"""R24: the field that tells when the act or event ended; an unset one means that it has not."""
REPAIRABLE: Final = frozenset({"administrative_penalty", "serious_dishonest_list", "major_tax_violation"})
LISTED_ON: Final[Mapping[str, str]] = {"serious_dishonest_list": "listed_on", "major_tax_violation": "published_on"}
PUBLICATION_MONTHS: Final[Mapping[str, int]] = {"minor": 3, "general": 12, "serious": 36}
"""R28: longest publication by severity (``dishonesty_severity_2026``)."""
NEGATIVE_YEARS: Final = 5


class Boundary(StrEnum):
    """R24: the day on which five years are over. The text strictly bites the day after; the house is cautious."""

    ANNIVERSARY = "anniversary"
    DAY_AFTER = "day_after"


BOUNDARY: Final = Boundary.ANNIVERSARY
_MONTHS_A_YEAR: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFacts:
    """What a rule may look at. ``marks`` are those of every source of the record."""

    item: str
    body: Message
    marks: frozenset[str]
    subject_kind: SubjectKind
    today: date

    def day(self, field: str) -> date | None:
        """Return a day of the body, None where it is unset or no day: an unknown day ends nothing."""
        try:
            return date.fromisoformat(getattr(self.body, field)) if self.body.HasField(field) else None
        except ValueError:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A rule that withholds records: its id in ``rules.csv``, the reason shown, and the items it bites on."""

    rule_id: str
    reason: str
    withholds: Callable[[RecordFacts], bool]
    items: frozenset[str]


def is_repaired(facts: RecordFacts) -> bool:
    """R27, 信用修复管理办法 (NDRC Order 36) Art. 3: repaired information is no longer published, shared or used.

    One source that says so is enough: who has not heard of the repair yet must not keep the record alive.
    """
    return Mark.REPAIRED in facts.marks


def is_publication_over(facts: RecordFacts) -> bool:
    """R28, 信用修复管理办法 (NDRC Order 36) ch. 2: publication ends; its last day is included.

    A penalty says its last day (公示截止期); where it does not, the longest period of its severity counts from the
    decision. A list entry ends with the longest period once it was removed: one still on the list is uncorrected, and
    its department's own rule governs it. An unknown severity ends nothing.
    """
    if facts.item not in LISTED_ON:
        last = facts.day("publish_until") or _last_day(facts, "decided_on")
        return last is not None and last < facts.today
    last = _last_day(facts, LISTED_ON[facts.item])
    is_removed = (removed := facts.day("removed_on")) is not None and removed <= facts.today
    return is_removed and last is not None and last < facts.today


def is_older_than_five_years(facts: RecordFacts) -> bool:
    """R24, 征信业管理条例 Art. 16: a person's negative information is deleted five years after the act ended.

    Cautious reading: gone on the anniversary itself. Ended on 29 February: gone on 28 February.
    """
    ended = facts.day(ENDED_ON[facts.item]) if facts.subject_kind is SubjectKind.PERSON else None
    return ended is not None and deleted_from(ended) <= facts.today


def deleted_from(ended_on: date, boundary: Boundary = BOUNDARY) -> date:
    """Return the first day on which what ended on ``ended_on`` is no longer shown (R24)."""
    anniversary = months_later(ended_on, NEGATIVE_YEARS * _MONTHS_A_YEAR)
    return anniversary if boundary is Boundary.ANNIVERSARY else anniversary + timedelta(days=1)


RULES: Final = (
    Rule(rule_id="R27", reason="REPAIRED", withholds=is_repaired, items=REPAIRABLE),
    Rule(rule_id="R28", reason="PUBLICATION_OVER", withholds=is_publication_over, items=REPAIRABLE),
    Rule(rule_id="R24", reason="OLDER_THAN_FIVE_YEARS", withholds=is_older_than_five_years, items=frozenset(ENDED_ON)),
)
"""Rules that withhold, in the order in which they are tried."""


def compile_rules(items: ItemDictionary) -> Mapping[str, tuple[Rule, ...]]:
    """Give each item its own rules, so that a report pays only for those its items have."""
    return {item.item_id: tuple(rule for rule in RULES if item.item_id in rule.items) for item in items.all()}


def months_later(day: date, months: int) -> date:
    """Return the same day so many months later, the month's last day where it has no such day."""
    month = day.year * _MONTHS_A_YEAR + day.month - 1 + months
    year, index = divmod(month, _MONTHS_A_YEAR)
    return date(year, index + 1, min(day.day, calendar.monthrange(year, index + 1)[1]))


def _last_day(facts: RecordFacts, from_field: str) -> date | None:
    first = facts.day(from_field)
    months = PUBLICATION_MONTHS.get(getattr(facts.body, "severity", ""))
    return None if first is None or months is None else months_later(first, months)
