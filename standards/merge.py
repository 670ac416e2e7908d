"""Merge what platforms answered into one report: deterministic, and independent of the order of answers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from google.protobuf.message import Message

from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.report_pb2 import (
    COMPLETENESS_EMPTY,
    COMPLETENESS_FULL,
    COMPLETENESS_PARTIAL,
    COMPLETENESS_THIN,
    Completeness,
    CreditReport,
    PlatformResult,
    Provenance,
    Withheld,
)
from core.permit import SubjectKind
from standards.answer import GATEWAY, ItemAnswer, body_of
from standards.catalogue import STANDARD_VERSION, Standard
from standards.choosing import Chosen, choose
from standards.days import beijing_day
from standards.guarantees import Judged
from standards.matching import Claim, Fact, facts_of
from standards.rules import RecordFacts, Rule
from standards.scorecard.evaluation import evaluate

AHEAD_AT_MOST: Final = timedelta(minutes=10)
"""A source's as-of may be so far ahead of the gateway's clock (platforms' clocks may differ by 300 s); what is further
ahead is in the future: shown and marked, but it does not make its source the latest."""
THIN_BELOW: Final = Decimal("0.40")
"""Evaluation coverage under which a report is THIN."""
DISCLAIMER: Final = (
    "本报告仅供参考，不构成授信决定；数据以来源单位为准。"
    " For reference only; it is no credit decision, and the source departments' data prevail."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportFrame:
    """What a report says beside the answers. ``subject_key`` is the code of an enterprise, a person's commitment.

    ``generated_at`` is aware; its Beijing day is the day on which rules of law are applied.
    """

    report_id: str
    generated_at: datetime
    operator: GatewayOperator
    subject_key: str
    subject_kind: SubjectKind
    home_region: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Told:
    """An answer with what the report says of it; ``source`` and ``contents`` are bytes of provenance and records."""

    answer: ItemAnswer
    result: PlatformResult
    provenance: Provenance
    source: bytes
    contents: tuple[bytes, ...]


def merge(
    answers: Iterable[ItemAnswer], *, frame: ReportFrame, standard: Standard, coverage: Decimal | None = None
) -> CreditReport:
    """Merge answers into a report without evaluation; ``coverage`` is the evaluation's, None when none was made.

    The same set of answers gives the same bytes (``SerializeToString(deterministic=True)``) in any order and however
    often one is repeated. Raises KeyError for an item that the standard does not have.
    """
    told = _distinct(answers)
    sources = _sources(told)
    given = [one.answer for one in told]
    report = CreditReport(
        report_id=frame.report_id,
        standard_version=STANDARD_VERSION,
        gateway_operator=frame.operator,
        completeness=completeness(given, coverage),
        sources=[provenance for _, provenance in sources.values()],
        platform_results=sorted((one.result for one in told), key=_result_order),
        disclaimer=DISCLAIMER,
    )
    report.generated_at.FromDatetime(frame.generated_at)
    withheld: Counter[tuple[str, str, str, str]] = Counter()
    claims = _claims(told, sources, latest=frame.generated_at + AHEAD_AT_MOST)
    positions = {item.item_id: position for position, item in enumerate(standard.items.all())}
    for item in sorted(map(standard.items.get, claims), key=lambda item: positions[item.item_id]):
        for fact in facts_of(item, claims[item.item_id], subject_key=frame.subject_key):
            chosen = choose(item, fact, home_region=frame.home_region)
            rule = _rule_against(chosen, standard.rules[item.item_id], frame)
            if rule is None:
                report.records.append(chosen.record)
                report.conflicts.extend(chosen.conflicts)
            else:
                withheld.update(_withheld_keys(item.item_id, rule, fact))
    report.withheld.extend(_withheld(withheld))
    return report


def evaluate_into(
    report: CreditReport, *, standard: Standard, granted: Collection[str], network: Judged | None = None
) -> None:
    """Put the reference evaluation into a merged report; a FULL one of too little coverage becomes THIN.

    ``network``: what the subject's guarantees come to under related consents, None where none was named.
    """
    evaluation = evaluate(standard.card, report, granted=granted, effects=standard.status_effects, network=network)
    report.evaluation.CopyFrom(evaluation)
    if report.completeness == COMPLETENESS_FULL and Decimal(evaluation.coverage) < THIN_BELOW:
        report.completeness = COMPLETENESS_THIN


def completeness(answers: Sequence[ItemAnswer], coverage: Decimal | None) -> Completeness.ValueType:
    """Return the first that fits of PARTIAL, EMPTY, THIN, FULL. What was SKIPPED was not asked.

    The gateway's own count of enquiries is always there, so by itself it makes no report other than EMPTY.
    """
    asked = [answer for answer in answers if answer.status != PlatformStatus.PLATFORM_STATUS_SKIPPED]
    if not all(answer.has_answered for answer in asked):
        return COMPLETENESS_PARTIAL
    if not any((answer.records or answer.held_back) and answer.platform_id != GATEWAY for answer in asked):
        return COMPLETENESS_EMPTY
    return COMPLETENESS_THIN if coverage is not None and coverage < THIN_BELOW else COMPLETENESS_FULL


def _distinct(answers: Iterable[ItemAnswer]) -> list[_Told]:
    """Drop repeated answers. Whatever follows orders what it takes from them, so their order is left alone."""
    told: dict[tuple[bytes, ...], _Told] = {}
    for answer in answers:
        result, provenance = _result(answer), _provenance(answer)
        source = _bytes(provenance)
        contents = tuple(_bytes(record) for record in answer.records)
        told[_bytes(result), source, *sorted(contents)] = _Told(
            answer=answer, result=result, provenance=provenance, source=source, contents=contents
        )
    return list(told.values())


def _sources(told: Sequence[_Told]) -> Mapping[bytes, tuple[str, Provenance]]:
    """Give every source its id; answers for several items out of one document share it."""
    found = {one.source: one.provenance for one in told if one.answer.has_answered}
    ordered = sorted(found, key=lambda key: (found[key].platform_id, found[key].source_department, key))
    named: dict[bytes, tuple[str, Provenance]] = {}
    for number, key in enumerate(ordered, start=1):
        found[key].source_id = f"s{number}"
        named[key] = (f"s{number}", found[key])
    return named


def _claims(
    told: Sequence[_Told], sources: Mapping[bytes, tuple[str, Provenance]], *, latest: datetime
) -> Mapping[str, Sequence[Claim]]:
    claims: dict[str, list[Claim]] = defaultdict(list)
    for number, one in enumerate(told):
        answer = one.answer
        source_id = sources[one.source][0] if answer.records else ""
        fresh = answer.as_of if answer.as_of is None or answer.as_of <= latest else None
        for record, content in zip(answer.records, one.contents, strict=True):
            claim = Claim(
                source_id=source_id,
                platform_id=answer.platform_id,
                region=answer.region,
                as_of=answer.as_of,
                fresh_as_of=fresh,
                fetched_at=answer.fetched_at,
                quality=answer.quality,
                answer=number,
                record=record,
                body=body_of(record),
                content=content,
            )
            claims[answer.item].append(claim)
    return claims


def _rule_against(chosen: Chosen, rules: Sequence[Rule], frame: ReportFrame) -> Rule | None:
    if not rules:
        return None
    facts = RecordFacts(
        item=chosen.record.data_item,
        body=body_of(chosen.record),
        marks=chosen.marks,
        subject_kind=frame.subject_kind,
        today=beijing_day(frame.generated_at),
    )
    return next((rule for rule in rules if rule.withholds(facts)), None)


def _withheld_keys(item: str, rule: Rule, fact: Fact) -> list[tuple[str, str, str, str]]:
    platforms = {claim.platform_id for claim in fact.claims}
    return [(item, rule.rule_id, rule.reason, platform) for platform in platforms]


def _withheld(counts: Counter[tuple[str, str, str, str]]) -> list[Withheld]:
    return [
        Withheld(data_item=item, rule=rule, reason=reason, platform_id=platform, count=count)
        for (item, rule, reason, platform), count in sorted(counts.items())
    ]


def _provenance(answer: ItemAnswer) -> Provenance:
    provenance = Provenance(
        platform_id=answer.platform_id,
        region=answer.region,
        source_department=answer.source_department,
        raw_digest=answer.raw_digest,
        quality=answer.quality,
        mapping_version=answer.mapping_version,
    )
    if answer.as_of is not None:
        provenance.as_of.FromDatetime(answer.as_of)
    if answer.fetched_at is not None:
        provenance.fetched_at.FromDatetime(answer.fetched_at)
    return provenance


def _result(answer: ItemAnswer) -> PlatformResult:
    result = PlatformResult(
        platform_id=answer.platform_id,
        region=answer.region,
        data_item=answer.item,
        status=answer.status,
        record_count=len(answer.records),
        detail=answer.detail,
        dropped_personal_values=answer.dropped_class3,
        held_back_records=answer.held_back,
    )
    result.latency.FromMilliseconds(answer.latency_ms)
    if answer.as_of is not None:
        result.as_of.FromDatetime(answer.as_of)
    if answer.fetched_at is not None:
        result.fetched_at.FromDatetime(answer.fetched_at)
    if answer.resume_after is not None:
        result.resume_after.FromDatetime(answer.resume_after)
    return result


def _result_order(result: PlatformResult) -> tuple[str, str, bytes]:
    return result.platform_id, result.data_item, _bytes(result)


def _bytes(message: Message) -> bytes:
    return message.SerializeToString(deterministic=True)
