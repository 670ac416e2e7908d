"""A merged report as an evaluation reads it: records by item, what was answered, what was asked."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date
from decimal import Decimal
from enum import StrEnum
from typing import Any, Final, NamedTuple

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditRecord, CreditReport
from standards.answer import Mark
from standards.days import YEAR_MONTHS, beijing_day
from standards.guarantees import Judged

_ANSWERED: Final = frozenset({PlatformStatus.PLATFORM_STATUS_OK, PlatformStatus.PLATFORM_STATUS_NO_DATA})
_NOT_HELD: Final = "NOT_HELD"


class Missing(StrEnum):
    """Why an indicator has no data; never because a firm is bad."""

    NOT_HELD = "NOT_HELD"
    NOT_ANSWERED = "NOT_ANSWERED"
    NOT_GRANTED = "NOT_GRANTED"


class Row(NamedTuple):
    """One record of one item: its typed body and its id. A tuple, because a report has a hundred of them."""

    record_id: str
    body: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What one evaluation rests on.

    ``today``: the report's Beijing day; ``network``: what the guarantees come to over the edges that consents of this
    query cover, None where none was named; ``severity_weights``: the card's.
    """

    report: CreditReport
    granted: frozenset[str]
    today: date
    rows: Mapping[str, tuple[Row, ...]]
    answered: frozenset[str]
    unanswered: frozenset[str]
    severity_weights: Mapping[str, int]
    network: Judged | None = None
    months: dict[tuple[str, str, int], tuple[Row, ...]] = field(default_factory=dict)
    """What :meth:`newest_months` has picked: eight indicators read the same months of sales."""

    def of(self, item: str) -> tuple[Row, ...]:
        """Return the subject's own records of an item; a branch's are not its own."""
        return self.rows.get(item, ())

    def newest_months(self, item: str, name: str, count: int) -> tuple[Row, ...]:
        """Return the rows of the newest ``count`` months that an item tells of in its month field ``name``."""
        key = (item, name, count)
        if key not in self.months:
            dated = [(getattr(row.body, name), row) for row in self.of(item) if row.body.HasField(name)]
            # Months are texts of one form, so their order is that of time and only the newest is counted with.
            newest = max((month for month, _ in dated), default=None)
            after = "" if newest is None else month_text(month_number(newest) - count)
            self.months[key] = tuple(row for month, row in dated if month > after)
        return self.months[key]

    def missing(self, items: Iterable[str]) -> Missing | None:
        """Return why nothing can be said of ``items``, None where every platform that was asked answered for one."""
        wanted = tuple(items)
        if not self.granted.intersection(wanted):
            return Missing.NOT_GRANTED
        if self.unanswered.intersection(wanted):
            return Missing.NOT_ANSWERED
        return None if self.answered.intersection(wanted) else Missing.NOT_HELD


def read_evidence(
    report: CreditReport,
    *,
    granted: Collection[str],
    severity_weights: Mapping[str, int],
    network: Judged | None = None,
) -> Evidence:
    """Index a report. ``granted`` are the items that were asked for under the consent or by law."""
    rows: dict[str, list[Row]] = defaultdict(list)
    for record in report.records:
        if Mark.BRANCH not in record.marks:
            rows[record.data_item].append(_row(record))
    answered, unanswered = set(), set()
    for result in report.platform_results:
        if result.held_back_records:
            # The platform holds something and does not show it: reading that as "nothing found" would clear a debtor.
            unanswered.add(result.data_item)
        elif result.status in _ANSWERED:
            answered.add(result.data_item)
        elif not (result.status == PlatformStatus.PLATFORM_STATUS_SKIPPED and result.detail.startswith(_NOT_HELD)):
            unanswered.add(result.data_item)
    return Evidence(
        report=report,
        granted=frozenset(granted),
        today=beijing_day(report.generated_at.ToDatetime(tzinfo=UTC)),
        rows={item: tuple(found) for item, found in rows.items()},
        answered=frozenset(answered),
        unanswered=frozenset(unanswered),
        severity_weights=severity_weights,
        network=network,
    )


def number(body: Any, field: str) -> Decimal | None:
    """Return a decimal field, None where it is unset: unknown is never zero."""
    return Decimal(getattr(body, field)) if body.HasField(field) else None


def day_of(body: Any, *fields: str) -> date | None:
    """Return the first of ``fields`` that is set, as a day."""
    return next((date.fromisoformat(getattr(body, name)) for name in fields if body.HasField(name)), None)


def month_number(text: str) -> int:
    """Count months from year 0, so that differences are months: ``2026-10`` and ``2026-11`` differ by 1."""
    return int(text[:4]) * YEAR_MONTHS + int(text[5:7])


def month_text(number: int) -> str:
    """Write a month counted by :func:`month_number`."""
    year, month = divmod(number - 1, YEAR_MONTHS)
    return f"{year:04d}-{month + 1:02d}"


def _row(record: CreditRecord) -> Row:
    return Row(record_id=record.record_id, body=getattr(record, record.data_item))
