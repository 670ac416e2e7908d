"""XYD-REF-1 over one merged report: points, coverage, grade or why there is none, reasons. Pure.

Three kinds of missing: NOT_HELD and NOT_ANSWERED earn half of the maximum and lower the coverage, so that a firm is not
punished for being unseen; NOT_GRANTED of a required item gives no grade. No probability of default is computed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from bashu.v1.report_pb2 import CreditReport, Evaluation, EvaluationReason, Indicator
from standards.guarantees import UNKNOWN, Judged
from standards.scorecard.card import Card, IndicatorRule, Words
from standards.scorecard.evidence import Evidence, Missing, read_evidence
from standards.scorecard.measures import MEASURES
from standards.scorecard.stops import Stops, find_stops
from standards.scorecard.written import written_reasons

HARD_STOP: Final = "XYD-S"
NOT_GRADED: Final = "XYD-N"
_RATIO_STEP: Final = Decimal("0.0001")
GUARANTEE_NETWORK: Final = "guarantee_network"
_IN_RING: Final = {"RING": "yes", "NEITHER": "no", "CHAIN": "no"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """One indicator with its points; ``missing`` None where it has data."""

    rule: IndicatorRule
    points: Decimal
    value: str = ""
    missing: Missing | None = None
    record_ids: tuple[str, ...] = ()

    @property
    def lost(self) -> Decimal:
        """Points lost against the maximum; nothing is lost by being unseen."""
        return Decimal(0) if self.missing else self.rule.most - self.points


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Grade, or why there is none, with the reasons that belong to it."""

    grade: str
    score: int | None
    no_grade: str
    reasons: tuple[EvaluationReason, ...]


def evaluate(
    card: Card,
    report: CreditReport,
    *,
    granted: Collection[str],
    effects: Mapping[str, str],
    network: Judged | None = None,
) -> Evaluation:
    """Evaluate a merged report of an enterprise.

    ``granted``: items asked for, under the consent or as public by law. ``effects``: what each canonical registration
    status means (``policy_registration_status.csv``). ``network``: what the guarantees come to over the edges that
    consents of this query cover, None where no related consent was named.
    """
    evidence = read_evidence(report, granted=granted, severity_weights=card.severity_weights, network=network)
    scored = [_score(card, evidence, rule) for rule in card.indicators]
    with_data = sum(one.rule.most for one in scored if one.missing is None)
    coverage = Decimal(with_data) / card.most
    outcome = _outcome(card, evidence, scored, coverage, find_stops(card, evidence, effects))
    as_of = _as_of(report)
    evaluation = Evaluation(
        model_version=card.version,
        grade=outcome.grade,
        coverage=str(coverage.quantize(_RATIO_STEP, rounding=ROUND_HALF_UP)),
        indicators=[_indicator(one, as_of) for one in scored],
        reasons=outcome.reasons,
        human_review_available=True,
        no_grade_reason=outcome.no_grade,
        disclaimer=f"{card.disclaimer_zh} {card.disclaimer_en}",
        in_ring=_in_ring(scored, network),
        missing_items=sorted({item for one in scored if one.missing for item in one.rule.items}),
    )
    if outcome.score is not None:
        evaluation.score = outcome.score
    evaluation.written_reasons_zh = written_reasons(card, evaluation, report)
    return evaluation


def _score(card: Card, evidence: Evidence, rule: IndicatorRule) -> Scored:
    """Measure and bin one indicator. What was found counts even where another platform is silent, if it is adverse."""
    half = rule.most * card.missing_share
    missing = evidence.missing(rule.items[:1])
    measured = None if missing in {Missing.NOT_GRANTED, Missing.NOT_HELD} else MEASURES[rule.measure](evidence, rule)
    points = None if measured is None else rule.points(measured.value)
    if measured is None or points is None:
        return Scored(rule=rule, points=half, missing=missing or _why(evidence, rule))
    if missing is not None and not (measured.rows and points < half):
        return Scored(rule=rule, points=half, missing=missing)
    value = measured.value if isinstance(measured.value, str) else _plain(measured.value)
    ids = tuple(dict.fromkeys(row.record_id for row in measured.rows))
    return Scored(rule=rule, points=Decimal(points), value=value, record_ids=ids)


def _why(evidence: Evidence, rule: IndicatorRule) -> Missing:
    """Say why an indicator cannot be measured although its first item was answered."""
    if rule.measure == GUARANTEE_NETWORK:
        is_silent = evidence.network is not None and not evidence.network.uncovered
        return Missing.NOT_ANSWERED if is_silent else Missing.NOT_GRANTED
    return next((why for item in rule.items[1:] if (why := evidence.missing([item]))), Missing.NOT_HELD)


def _outcome(card: Card, evidence: Evidence, scored: Sequence[Scored], coverage: Decimal, stops: Stops) -> Outcome:
    if stops.hit:
        reasons = tuple(_reason(words, ids) for words, ids in stops.hit)
        return Outcome(grade=HARD_STOP, score=None, no_grade="", reasons=reasons[: card.most_reasons])
    ungranted = sorted(
        {
            item
            for one in scored
            if one.rule.is_required and one.missing is Missing.NOT_GRANTED
            for item in one.rule.items
            if item not in evidence.granted
        }
    )
    for reason, is_so, ids, items in (
        ("CONFLICT", bool(stops.conflicts), stops.conflicts, ()),
        ("NOT_GRANTED", bool(ungranted), (), tuple(ungranted)),
        ("NOT_ANSWERED", bool(stops.unanswered), (), stops.unanswered),
        ("HUMAN_REVIEW", bool(stops.reviewed), stops.reviewed, ()),
        ("LOW_COVERAGE", coverage < card.least_coverage, (), ()),
    ):
        if is_so:
            first = _reason(card.no_grade[reason], ids, items)
            rest = _reasons(scored)[: card.most_reasons - 1]
            return Outcome(grade=NOT_GRADED, score=None, no_grade=reason, reasons=(first, *rest))
    total = card.base + sum((one.points for one in scored), Decimal(0))
    score = int(total.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    reasons = tuple(_reasons(scored)[: card.most_reasons])
    return Outcome(grade=card.grade_of(score), score=score, no_grade="", reasons=reasons)


def _reasons(scored: Sequence[Scored]) -> list[EvaluationReason]:
    """Return why points were lost, most first; the sort is stable, so ties keep the card's order."""
    lost = [one for one in scored if one.lost > 0 and one.rule.gives_reason]
    return [
        EvaluationReason(
            code=one.rule.code,
            text_zh=one.rule.reason_zh,
            text_en=one.rule.reason_en,
            record_ids=one.record_ids,
            points_lost=_plain(one.lost),
        )
        for one in sorted(lost, key=lambda one: -one.lost)
    ]


def _reason(words: Words, ids: Sequence[str], items: Sequence[str] = ()) -> EvaluationReason:
    named = "、".join(items)
    zh = f"{words.zh}：{named}" if named else words.zh
    en = f"{words.en}: {', '.join(items)}" if named else words.en
    return EvaluationReason(code=words.code, text_zh=zh, text_en=en, record_ids=ids)


def _in_ring(scored: Sequence[Scored], network: Judged | None) -> str:
    one = next((one for one in scored if one.rule.measure == GUARANTEE_NETWORK), None)
    if one is None or (one.missing and network is None):
        return UNKNOWN
    return _IN_RING.get(one.value, UNKNOWN) if network is None else network.said


def _as_of(report: CreditReport) -> Mapping[str, tuple[int, int]]:
    """Return the as-of of each record's chosen source, its first, as seconds and nanoseconds."""
    sources = {
        source.source_id: (source.as_of.seconds, source.as_of.nanos)
        for source in report.sources
        if source.HasField("as_of")
    }
    found = {}
    for record in report.records:
        named = record.source_ids
        if named and named[0] in sources:
            found[record.record_id] = sources[named[0]]
    return found


def _indicator(one: Scored, as_of: Mapping[str, tuple[int, int]]) -> Indicator:
    indicator = Indicator(
        code=one.rule.code,
        points=_plain(one.points),
        max_points=str(one.rule.most),
        value=one.value,
        missing=one.missing.value if one.missing else "",
        record_ids=one.record_ids,
        name_zh=one.rule.zh,
        name_en=one.rule.en,
        group=one.rule.group,
        data_items=one.rule.items,
    )
    if known := [as_of[record_id] for record_id in one.record_ids if record_id in as_of]:
        indicator.as_of.seconds, indicator.as_of.nanos = min(known)
    return indicator


def _plain(value: Decimal) -> str:
    """Write a number without an exponent, at most four places; a ratio over nothing is ``beyond``."""
    if not value.is_finite():
        return "beyond"
    text = f"{value.quantize(_RATIO_STEP, rounding=ROUND_HALF_UP):f}"
    return text.rstrip("0").rstrip(".") or "0"
