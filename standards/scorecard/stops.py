"""Hard stops and what keeps a grade from being given. They rest on items public by law, always asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from bashu.v1.report_pb2 import CreditReport
from standards.items import ENQUIRY_COUNT
from standards.scorecard.card import Card, Words
from standards.scorecard.evidence import Evidence, Row, read_evidence

NAME_MISMATCH: Final = "NAME_MISMATCH"
"""Detail with which both platforms say that name and code do not belong together."""
_DECIDING: Final[Mapping[str, frozenset[str]]] = {
    "dishonest_judgment_debtor": frozenset({"is_listed", "removed_on"}),
    "serious_dishonest_list": frozenset({"removed_on"}),
    "bankruptcy": frozenset({"stage", "closed_on", "declared_on"}),
    "major_tax_violation": frozenset({"removed_on"}),
}
"""Fields whose disagreement leaves a hard stop undecided."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stops:
    """What the hard stops come to: ``hit`` with rows, ``conflicts`` with record ids, items without an answer."""

    hit: tuple[tuple[Words, tuple[str, ...]], ...]
    conflicts: tuple[str, ...]
    unanswered: tuple[str, ...]
    reviewed: tuple[str, ...]


def find_stops(card: Card, evidence: Evidence, effects: Mapping[str, str]) -> Stops:
    """Look at every hard stop; ``effects`` gives each canonical registration status NONE, HARD_STOP or HUMAN_REVIEW."""
    statuses = evidence.of("enterprise_registration")
    hits = {
        "XH01": _rows(evidence, "dishonest_judgment_debtor", _is_dishonest),
        "XH02": _rows(evidence, "serious_dishonest_list", lambda row: not row.body.HasField("removed_on")),
        "XH03": _rows(evidence, "enterprise_registration", lambda row: _effect(row, effects) == "HARD_STOP"),
        "XH04": _rows(evidence, "bankruptcy", _is_bankrupt),
        "XH05": _rows(evidence, "major_tax_violation", lambda row: not row.body.HasField("removed_on")),
        "XH06": (),
    }
    mismatched = any(result.detail.startswith(NAME_MISMATCH) for result in evidence.report.platform_results)
    conflicts = _conflicts(evidence, effects)
    hit = tuple(
        (stop, hits[stop.code])
        for stop in card.hard_stops
        if (hits[stop.code] and not conflicts.intersection(hits[stop.code])) or (stop.code == "XH06" and mismatched)
    )
    unanswered = [item for item in card.hard_stop_items if evidence.missing([item]) is not None]
    # A firm of which platforms tell anything is registered somewhere; the gateway's own count says nothing of that.
    is_known = any(item != ENQUIRY_COUNT for item in evidence.rows)
    if not statuses and "enterprise_registration" not in unanswered and is_known:
        unanswered.append("enterprise_registration")
    reviewed = tuple(row.record_id for row in statuses if _effect(row, effects) == "HUMAN_REVIEW")
    return Stops(hit=hit, conflicts=tuple(sorted(conflicts)), unanswered=tuple(sorted(unanswered)), reviewed=reviewed)


def hard_stops_of(card: Card, report: CreditReport, effects: Mapping[str, str]) -> tuple[str, ...]:
    """Return the codes of the hard stops that records of a report tell of; what nobody answered stops nobody."""
    evidence = read_evidence(report, granted=card.hard_stop_items, severity_weights=card.severity_weights)
    return tuple(words.code for words, rows in find_stops(card, evidence, effects).hit if rows)


def _rows(evidence: Evidence, item: str, is_hit: Callable[[Row], bool]) -> tuple[str, ...]:
    return tuple(row.record_id for row in evidence.of(item) if is_hit(row))


def _is_dishonest(row: Row) -> bool:
    return bool(row.body.is_listed) and not row.body.HasField("removed_on")


def _is_bankrupt(row: Row) -> bool:
    is_open = not row.body.HasField("closed_on") and row.body.stage not in {"CLOSED", "REJECTED"}
    return is_open or row.body.HasField("declared_on")


def _effect(row: Row, effects: Mapping[str, str]) -> str:
    # An unknown status is not read as a good one.
    return effects.get(row.body.operating_status, "HUMAN_REVIEW")


def _conflicts(evidence: Evidence, effects: Mapping[str, str]) -> set[str]:
    """Return the records on which sources disagree so that a hard stop stands or falls with who is right."""
    found = set()
    for conflict in evidence.report.conflicts:
        if conflict.field in _DECIDING.get(conflict.data_item, ()):
            found.add(conflict.record_id)
        if conflict.data_item == "enterprise_registration" and conflict.field == "operating_status":
            told = {effects.get(one.value, "HUMAN_REVIEW") for one in conflict.values if one.value}
            if len(told) > 1:
                found.add(conflict.record_id)
    rows = evidence.of("dishonest_judgment_debtor")
    listed = [row for row in rows if _is_dishonest(row)]
    if listed and any(row.body.HasField("is_listed") and not row.body.is_listed for row in rows):
        found.update(row.record_id for row in listed)
    return found
