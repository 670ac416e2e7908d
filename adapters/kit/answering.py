"""From what happened to an item to its answer: one for each item asked, whatever happened."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import structlog

from adapters.kit.failures import STATUS_OF, Failure, PlatformFailureError
from adapters.kit.protocol import PlatformInfo
from adapters.kit.sent import watched
from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditRecord
from core.clock import Clock
from core.permit import Permit, SubjectKind
from standards.answer import ItemAnswer

COUNTERPARTY_FIELDS: Final = ("counterparty_uscc", "counterparty_name")
"""data_elements.csv: another subject's data, shown only under a related consent of that subject."""
_ANSWERED: Final = frozenset({PlatformStatus.PLATFORM_STATUS_OK, PlatformStatus.PLATFORM_STATUS_NO_DATA})
SHAVED_SHARE: Final = 0.05
SHAVED_AT_MOST_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of one item. ``failure`` None: it was answered, with records or with nothing found.

    ``dropped_class3`` counts values of natural persons that were dropped; ``notes`` are codes for an operator.
    """

    failure: Failure | None = None
    records: tuple[CreditRecord, ...] = ()
    as_of: datetime | None = None
    raw_digest: bytes = b""
    dropped_class3: int = 0
    notes: tuple[str, ...] = ()
    resume_after: datetime | None = None
    source_department: str = ""

    @property
    def status(self) -> PlatformStatus.ValueType:
        """Return the unified status."""
        if self.failure is not None:
            return STATUS_OF[self.failure]
        return PlatformStatus.PLATFORM_STATUS_OK if self.records else PlatformStatus.PLATFORM_STATUS_NO_DATA


AskHeld = Callable[[Permit, frozenset[str], float], Awaitable[Mapping[str, Outcome]]]
"""Ask the platform for items that it holds and the permit grants, before a deadline."""


def failed(failure: PlatformFailureError) -> Outcome:
    """Return the outcome of an item whose call failed."""
    return Outcome(failure=failure.failure, notes=(failure.detail,), resume_after=failure.resume_after)


def refused(failure: Failure, note: str) -> Outcome:
    """Return the outcome of an item that was not asked, or not answered, for a reason known here."""
    return Outcome(failure=failure, notes=(note,))


def shaved(deadline: float, now: float) -> float:
    """Return an earlier deadline, so that what arrived can still be mapped and handed on."""
    return deadline - min(SHAVED_AT_MOST_S, max(0.0, deadline - now) * SHAVED_SHARE)


async def answer_items(
    platform: PlatformInfo,
    permit: Permit,
    items: frozenset[str],
    *,
    deadline: float,
    clock: Clock,
    mapping_version: str,
    ask: AskHeld,
) -> list[ItemAnswer]:
    """Ask what may be asked and return one answer for each of ``items``. Raises nothing but CancelledError."""
    began = clock.monotonic()
    outcomes = {item: _not_asked(platform, permit, item, clock.now()) for item in items}
    wanted = frozenset(item for item, outcome in outcomes.items() if outcome is None)
    with watched() as sending:
        if wanted:
            found = await _asked(platform, permit, wanted, deadline=deadline, clock=clock, ask=ask)
            for item in wanted:
                outcomes[item] = found.get(item) or refused(Failure.MALFORMED, "NO_OUTCOME")
    latency_ms = int((clock.monotonic() - began) * 1000)
    fetched_at = clock.now()
    return [
        _answer(
            platform,
            item,
            outcome,
            fetched_at=fetched_at,
            latency_ms=latency_ms,
            mapping_version=mapping_version,
            was_sent=item in wanted and sending.was_sent,
        )
        for item, outcome in sorted(outcomes.items())
        if outcome is not None
    ]


def without_counterparties(
    records: Iterable[CreditRecord], *, related: frozenset[str] = frozenset()
) -> tuple[tuple[CreditRecord, ...], int]:
    """Clear who the other party of a guarantee is, unless its code is among ``related``; return how many were."""
    kept, withheld = [], 0
    for record in records:
        guarantee = record.financing_guarantee
        if guarantee.HasField("counterparty_uscc") and guarantee.counterparty_uscc in related:
            kept.append(record)
            continue
        withheld += any(guarantee.HasField(field) for field in COUNTERPARTY_FIELDS)
        for field in COUNTERPARTY_FIELDS:
            guarantee.ClearField(field)
        kept.append(record)
    return tuple(kept), withheld


def with_privacy(outcome: Outcome, permit: Permit) -> Outcome:
    """Return an outcome without other subjects' data, and a note of how many values that were.

    Where the permit keeps them, the gateway takes them out: it alone knows whose consents cover which.
    """
    if permit.keeps_counterparties or not any(record.HasField("financing_guarantee") for record in outcome.records):
        return outcome
    records, withheld = without_counterparties(outcome.records)
    notes = (*outcome.notes, f"COUNTERPARTY_WITHHELD {withheld}") if withheld else outcome.notes
    return replace(outcome, records=records, notes=notes)


def _not_asked(platform: PlatformInfo, permit: Permit, item: str, now: datetime) -> Outcome | None:
    """Return why an item is not asked here, None where it is."""
    if item not in platform.items:
        return refused(Failure.SKIPPED, "NOT_HELD")
    if item not in permit.targets.get(platform.platform_id, frozenset()):
        return refused(Failure.SKIPPED, "NOT_GRANTED")
    if permit.expires_at <= now:
        return refused(Failure.SKIPPED, "PERMIT_EXPIRED")
    if permit.subject.kind is SubjectKind.PERSON and item not in platform.personal_items:
        return refused(Failure.SKIPPED, "PERSONS_NOT_SERVED")
    if permit.purpose not in platform.purposes:
        return refused(Failure.DENIED, "PURPOSE_NOT_OFFERED")
    return None


async def _asked(
    platform: PlatformInfo, permit: Permit, items: frozenset[str], *, deadline: float, clock: Clock, ask: AskHeld
) -> Mapping[str, Outcome]:
    try:
        now = clock.monotonic()
        # The calls' own deadlines come first: cut off from here they could not tell the breaker that nobody answered.
        async with asyncio.timeout(deadline - now):
            return await ask(permit, items, shaved(deadline, now))
    except PlatformFailureError as failure:
        return dict.fromkeys(items, failed(failure))
    except TimeoutError:
        return dict.fromkeys(items, refused(Failure.TIMED_OUT, Failure.TIMED_OUT.value))
    except Exception as error:  # noqa: BLE001  # the edge of an adapter: one platform's bug must not fail the query
        # The type alone: an error's text may quote what the platform sent.
        structlog.get_logger().error("adapter_failed", platform=platform.platform_id, error=type(error).__name__)
        return dict.fromkeys(items, refused(Failure.INTERNAL, "ADAPTER_FAILED"))


def _answer(
    platform: PlatformInfo,
    item: str,
    outcome: Outcome,
    *,
    fetched_at: datetime,
    latency_ms: int,
    mapping_version: str,
    was_sent: bool,
) -> ItemAnswer:
    return ItemAnswer(
        platform_id=platform.platform_id,
        region=platform.region,
        item=item,
        status=outcome.status,
        records=outcome.records,
        as_of=outcome.as_of,
        fetched_at=fetched_at if outcome.status in _ANSWERED else None,
        latency_ms=latency_ms,
        raw_digest=outcome.raw_digest,
        source_department=outcome.source_department,
        dropped_class3=outcome.dropped_class3,
        detail="; ".join(outcome.notes),
        mapping_version=mapping_version,
        resume_after=outcome.resume_after,
        was_sent=was_sent,
    )
