"""The gateway's own check of answers: right subject, only granted items, inside the look-back, not too much.

Adapters check the platform; this checks adapters too, so that a third party's adapter is trusted with nothing.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum
from typing import Final

from google.protobuf.message import Message

from adapters.kit.answering import without_counterparties
from adapters.kit.free_text import mask_persons
from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditRecord
from core.permit import Permit, SubjectKind
from standards.answer import ItemAnswer, Mark, body_of
from standards.guarantees import GUARANTEE

MAX_RECORDS: Final = 2_000
"""Records of one answer; both platforms' longest lists stay far below."""
MAX_ANSWER_BYTES: Final = 2 * 1024 * 1024
SUBJECT_FIELDS: Final = ("uscc", "party_uscc")
"""Fields that name the subject; a branch's record names its head office in the first."""
_NOT_ASKED: Final = re.compile(r"NOT_ASKED (\d+)")


class FindingKind(StrEnum):
    """What an answer held that it should not have."""

    WRONG_SUBJECT = "WRONG_SUBJECT"
    NOT_ASKED = "NOT_ASKED"
    OUTSIDE_LOOKBACK = "OUTSIDE_LOOKBACK"
    OVERSIZED = "OVERSIZED"
    DUPLICATE = "DUPLICATE"
    MISSING = "MISSING"
    CLASS_3 = "CLASS_3"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One kind of excess in one answer, for the platform's operator; ``count`` values or records, never which."""

    kind: FindingKind
    platform_id: str
    item: str
    count: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """Answers fit to be merged, and what was found on the way."""

    answers: tuple[ItemAnswer, ...]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The days that a record is about: from ``first``'s field to ``last``'s; an unset last: until today.

    ``months`` names the field with the length of a period, which then ends with the month in ``first``.
    """

    first: tuple[str, ...]
    last: str | None = None
    is_lasting: bool = False
    months: str | None = None


SPANS: Final[Mapping[str, Span]] = {
    "abnormal_operation_list": Span(first=("listed_on",), last="removed_on", is_lasting=True),
    "administrative_penalty": Span(first=("decided_on",)),
    "administrative_permission": Span(first=("valid_from", "decided_on"), last="valid_until", is_lasting=True),
    "bank_credit_summary": Span(first=("as_of_month",)),
    "bankruptcy": Span(first=("accepted_on",), last="closed_on", is_lasting=True),
    "cash_flow_monthly": Span(first=("month",)),
    "court_judgment": Span(first=("effective_on", "filed_on")),
    "dishonest_judgment_debtor": Span(first=("filed_on", "published_on"), last="removed_on", is_lasting=True),
    "electricity_usage": Span(first=("period",)),
    "financial_statement": Span(first=("period_end",)),
    "financing_guarantee": Span(first=("started_on",), last="released_on", is_lasting=True),
    "gas_usage": Span(first=("period",)),
    "honours_and_awards": Span(first=("awarded_on",), last="valid_until", is_lasting=True),
    "judgment_debtor": Span(first=("filed_on",), last="closed_on", is_lasting=True),
    "major_tax_violation": Span(first=("published_on",), last="removed_on", is_lasting=True),
    "qualification_certificates": Span(first=("issued_on",), last="valid_until", is_lasting=True),
    "sales_invoice_monthly": Span(first=("month",)),
    "serious_dishonest_list": Span(first=("listed_on",), last="removed_on", is_lasting=True),
    "social_insurance_payment": Span(first=("period",)),
    "specialised_sme": Span(first=("recognised_on",), last="valid_until", is_lasting=True),
    "tax_arrears": Span(first=("arisen_period",), last="cleared_on", is_lasting=True),
    "tax_payment": Span(first=("period",), months="period_months"),
    "water_usage": Span(first=("period",)),
}
"""Items whose records are about days. What lasts (an open case, a listing, a permit) counts until it ended: its
beginning may lie before the look-back. Registration facts, rights, grades, scores and what a fund says of today are
about the day of asking and have no entry."""


def check_answers(permit: Permit, answers: Iterable[ItemAnswer]) -> Checked:
    """Return answers that hold only what the permit grants, and findings about the rest. Pure and order-keeping.

    An answer for an item that the permit does not grant at its platform is dropped; a granted item that a platform
    which answered left out becomes UNAVAILABLE, so that no gap is silent.
    """
    kept: dict[tuple[str, str], ItemAnswer] = {}
    findings: list[Finding] = []
    for answer in answers:
        key = (answer.platform_id, answer.item)
        if answer.item not in permit.targets.get(answer.platform_id, frozenset()):
            # An adapter says so itself about items that its platform does not hold.
            if answer.status == PlatformStatus.PLATFORM_STATUS_SKIPPED and not answer.records:
                kept.setdefault(key, answer)
            else:
                findings.append(_finding(FindingKind.NOT_ASKED, answer, len(answer.records) or 1))
        elif key in kept:
            findings.append(_finding(FindingKind.DUPLICATE, answer))
        else:
            kept[key], found = _checked(permit, _of_one_subject(permit, answer, findings))
            findings.extend(found)
    for answer in _missing(permit, kept):
        kept[answer.platform_id, answer.item] = answer
        findings.append(_finding(FindingKind.MISSING, answer))
    return Checked(answers=tuple(kept.values()), findings=tuple(findings))


def _checked(permit: Permit, answer: ItemAnswer) -> tuple[ItemAnswer, list[Finding]]:
    if permit.subject.kind is SubjectKind.ENTERPRISE:
        answer = _without_persons_numbers(answer)
    findings = _told(answer)
    if len(answer.records) > MAX_RECORDS or sum(record.ByteSize() for record in answer.records) > MAX_ANSWER_BYTES:
        return _malformed(answer, FindingKind.OVERSIZED), [*findings, _finding(FindingKind.OVERSIZED, answer)]
    strangers = sum(not is_about(record, permit.subject.identifier) for record in answer.records)
    if strangers:
        wrong = _finding(FindingKind.WRONG_SUBJECT, answer, strangers)
        return _malformed(answer, FindingKind.WRONG_SUBJECT), [*findings, wrong]
    inside = tuple(record for record in answer.records if _is_inside(answer.item, record, permit))
    outside = len(answer.records) - len(inside)
    if not outside:
        return answer, findings
    findings.append(_finding(FindingKind.OUTSIDE_LOOKBACK, answer, outside))
    status = answer.status if inside else PlatformStatus.PLATFORM_STATUS_NO_DATA
    note = f"{FindingKind.OUTSIDE_LOOKBACK.value} {outside}"
    return replace(answer, records=inside, status=status, detail=_noted(answer, note)), findings


def _without_persons_numbers(answer: ItemAnswer) -> ItemAnswer:
    """Mask citizens' numbers and telephones in free text; each counts as a personal value dropped (CLASS_3)."""
    masked = sum(mask_persons(body_of(record)) for record in answer.records)
    return replace(answer, dropped_class3=answer.dropped_class3 + masked) if masked else answer


def _of_one_subject(permit: Permit, answer: ItemAnswer, findings: list[Finding]) -> ItemAnswer:
    """Take out who the other party of a guarantee is, where an adapter left it in without being told to."""
    if answer.item != GUARANTEE or permit.keeps_counterparties:
        return answer
    records, others = without_counterparties(answer.records)
    if others:
        findings.append(_finding(FindingKind.NOT_ASKED, answer, others))
    return replace(answer, records=records) if others else answer


def _told(answer: ItemAnswer) -> list[Finding]:
    """Read the findings that the adapter itself made and told in the answer."""
    found = [_finding(FindingKind.CLASS_3, answer, answer.dropped_class3)] if answer.dropped_class3 else []
    match = _NOT_ASKED.search(answer.detail)
    return [*found, _finding(FindingKind.NOT_ASKED, answer, int(match[1]))] if match else found


def _malformed(answer: ItemAnswer, kind: FindingKind) -> ItemAnswer:
    status = PlatformStatus.PLATFORM_STATUS_MALFORMED
    return replace(answer, records=(), status=status, detail=_noted(answer, kind.value))


def _noted(answer: ItemAnswer, note: str) -> str:
    return f"{answer.detail}; {note}" if answer.detail else note


def _finding(kind: FindingKind, answer: ItemAnswer, count: int = 1) -> Finding:
    return Finding(kind=kind, platform_id=answer.platform_id, item=answer.item, count=count)


def _missing(permit: Permit, kept: Mapping[tuple[str, str], ItemAnswer]) -> list[ItemAnswer]:
    regions = {answer.platform_id: answer.region for answer in kept.values()}
    return [
        ItemAnswer(
            platform_id=platform_id,
            region=region,
            item=item,
            status=PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
            detail=FindingKind.MISSING.value,
        )
        for platform_id, region in regions.items()
        for item in sorted(permit.targets.get(platform_id, frozenset()))
        if (platform_id, item) not in kept
    ]


def is_about(record: CreditRecord, identifier: str) -> bool:
    """Tell whether a record is about the enterprise with this code, or about its branch and marked so."""
    body = body_of(record)
    for field in SUBJECT_FIELDS:
        # A branch's penalty names the branch as its party; it is the subject's by the mark alone.
        if field == "party_uscc" and Mark.BRANCH.value in record.marks:
            continue
        if field in body.DESCRIPTOR.fields_by_name and body.HasField(field) and getattr(body, field) != identifier:
            return False
    return True


def _is_inside(item: str, record: CreditRecord, permit: Permit) -> bool:
    span = SPANS.get(item)
    days = None if span is None else _days(body_of(record), span, permit.look_to)
    return days is None or (days[0] <= permit.look_to and days[1] >= permit.look_from)


def _days(body: Message, span: Span, today: date) -> tuple[date, date] | None:
    """Return first and last day of what a record is about, None where it does not say."""
    found = next((days for field in span.first if (days := _days_of(body, field)) is not None), None)
    if found is None:
        return None
    first, last = found
    if span.months is not None and body.HasField(span.months):
        first = _months_back(last, getattr(body, span.months))
    if not span.is_lasting:
        return first, last
    ended = _days_of(body, span.last) if span.last is not None else None
    return first, max(last, today) if ended is None else ended[1]


def _days_of(body: Message, field: str) -> tuple[date, date] | None:
    if not body.HasField(field):
        return None
    text = str(getattr(body, field))
    try:
        first = date.fromisoformat(f"{text}-01" if text.count("-") == 1 else text)
    except ValueError:
        return None
    if text.count("-") > 1:
        return first, first
    return first, first.replace(day=calendar.monthrange(first.year, first.month)[1])


def _months_back(last: date, months: int) -> date:
    """Return the first day of a period of so many months that ends with ``last``'s month."""
    year, index = divmod(last.year * 12 + last.month - max(1, months), 12)
    return date(max(1, year), index + 1, 1)
