"""What the platforms' answers come to: whether anybody answered, what the ledger says of them, what was not asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

import structlog

from adapters.kit.protocol import Adapter
from bashu.v1.common_pb2 import PlatformStatus
from core.errors import BashuError, Reason, Turn
from gateway.entries import PlatformLine
from standards.answer import ItemAnswer

_LOG: Final = structlog.get_logger(__name__)

NOT_HELD: Final = "NOT_HELD"
"""Detail of an item that was granted and that the platform does not hold."""
ALREADY_ANSWERED: Final = "ALREADY_ANSWERED"
"""Detail of an item that an earlier attempt of this request id answered; the gateway keeps no data to repeat."""

_UNANSWERED: Final = frozenset(
    {
        PlatformStatus.PLATFORM_STATUS_TIMEOUT,
        PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
        PlatformStatus.PLATFORM_STATUS_MAINTENANCE,
        PlatformStatus.PLATFORM_STATUS_QUOTA_EXHAUSTED,
    }
)
"""Statuses of a platform that gave no answer of its own; PENDING, DENIED and MALFORMED are answers to report."""
_UNANSWERED_NAMES: Final = frozenset(PlatformStatus.Name(s).removeprefix("PLATFORM_STATUS_") for s in _UNANSWERED)


def nobody_answered(answers: Sequence[ItemAnswer], *, earlier: Collection[str] = ()) -> bool:
    """Tell whether platforms were asked and none gave any answer, now or in an earlier attempt.

    ``earlier``: the last statuses of earlier attempts, ``platform/item/STATUS``. What was answered then is a report
    already, and the repeat says what still is not.
    """
    answered_before = any(outcome.rsplit("/", 1)[-1] not in _UNANSWERED_NAMES for outcome in earlier)
    return bool(answers) and not answered_before and all(answer.status in _UNANSWERED for answer in answers)


def unavailable(answers: Sequence[ItemAnswer]) -> BashuError:
    """Return the failure of a query that no platform answered, with each platform's statuses."""
    seen: dict[str, set[str]] = {}
    for answer in answers:
        seen.setdefault(answer.platform_id, set()).add(status_name(answer.status))
    return BashuError(
        Reason.PLATFORMS_UNAVAILABLE,
        "no platform answered; repeat the request id later",
        turn=Turn.PLATFORM,
        metadata={platform: ",".join(sorted(statuses)) for platform, statuses in sorted(seen.items())},
    )


def outcome_lines(answers: Iterable[ItemAnswer]) -> tuple[PlatformLine, ...]:
    """Return what intent row and ledger keep of the answers: codes, counts and digests, never a value."""
    return tuple(
        PlatformLine(
            platform_id=answer.platform_id,
            item=answer.item,
            status=status_name(answer.status),
            records=len(answer.records),
            raw_digest=answer.raw_digest,
            was_sent=answer.was_sent,
        )
        for answer in answers
    )


def unanswered(
    adapter: Adapter, items: Collection[str], *, status: PlatformStatus.ValueType, detail: str
) -> list[ItemAnswer]:
    """Return the answers for items about which an adapter said nothing, so that no gap is silent."""
    return [
        ItemAnswer(
            platform_id=adapter.platform.platform_id,
            region=adapter.platform.region,
            item=item,
            status=status,
            detail=detail,
        )
        for item in sorted(items)
    ]


def not_asked(
    items: Sequence[str],
    *,
    platforms: Sequence[str],
    targets: Mapping[str, frozenset[str]],
    adapters: Mapping[str, Adapter],
) -> list[ItemAnswer]:
    """Return a SKIPPED answer for every granted item that a granted platform was not asked, saying why."""
    return [
        ItemAnswer(
            platform_id=name,
            region=adapters[name].platform.region,
            item=item,
            status=PlatformStatus.PLATFORM_STATUS_SKIPPED,
            detail=ALREADY_ANSWERED if item in adapters[name].platform.items else NOT_HELD,
        )
        for name in platforms
        for item in items
        if item not in targets.get(name, frozenset())
    ]


def status_name(status: PlatformStatus.ValueType) -> str:
    """Return a status as the ledger writes it, without the enum's prefix."""
    return PlatformStatus.Name(status).removeprefix("PLATFORM_STATUS_")
