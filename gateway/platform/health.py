"""How each platform did lately, as one worker saw it: latency percentiles, and healthy, degraded or open.

Kept in memory for the last five minutes: health informs people, no query is decided on it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from adapters.kit.failures import Failure
from bashu.v1.common_pb2 import PlatformStatus
from gateway.identity.model import PlatformState
from standards.answer import ItemAnswer

WINDOW_S: Final = 300.0
MOST_KEPT: Final = 1_000
"""Answers kept a platform; the older are forgotten first."""
DEGRADED_FROM: Final = 0.1
"""Share of the window's enquiries without an answer from which a platform is called degraded; a working value."""
HEALTHY, DEGRADED, OPEN = "healthy", "degraded", "open"
_FAILED: Final = frozenset(
    {
        PlatformStatus.PLATFORM_STATUS_TIMEOUT,
        PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
        PlatformStatus.PLATFORM_STATUS_MALFORMED,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """One enquiry: when (monotonic, seconds), how long, whether an item failed, whether the breaker was open."""

    at: float
    latency_ms: int
    has_failed: bool
    is_open: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """A platform's last five minutes; percentiles in milliseconds, None without an enquiry that was sent."""

    state: str
    enquiries: int
    p50_ms: int | None = None
    p95_ms: int | None = None
    p99_ms: int | None = None


class PlatformHealth:
    """Notes every enquiry's answers; one per worker."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._seen: dict[str, deque[_Seen]] = {}

    def note(self, answers: Iterable[ItemAnswer]) -> None:
        """Note one query's answers: an enquiry a platform. What was not sent counts only where the breaker kept it."""
        by_platform: dict[str, list[ItemAnswer]] = {}
        for answer in answers:
            by_platform.setdefault(answer.platform_id, []).append(answer)
        now = self._monotonic()
        for platform_id, told in by_platform.items():
            is_open = any(answer.detail.startswith(Failure.CIRCUIT_OPEN.value) for answer in told)
            if not is_open and not any(answer.was_sent for answer in told):
                continue
            seen = self._seen.setdefault(platform_id, deque(maxlen=MOST_KEPT))
            failed = any(answer.status in _FAILED for answer in told)
            latency = max(answer.latency_ms for answer in told)
            seen.append(_Seen(at=now, latency_ms=latency, has_failed=failed, is_open=is_open))

    def of(self, platform_id: str, decided: PlatformState = PlatformState.RUNNING) -> Health:
        """Return a platform's health; a state that its operator set stands before what was seen."""
        since = self._monotonic() - WINDOW_S
        seen = [one for one in self._seen.get(platform_id, ()) if one.at >= since]
        sent = sorted(one.latency_ms for one in seen if not one.is_open)
        return Health(
            state=_state(seen) if decided is PlatformState.RUNNING else decided.value.lower(),
            enquiries=len(seen),
            p50_ms=_percentile(sent, 0.50),
            p95_ms=_percentile(sent, 0.95),
            p99_ms=_percentile(sent, 0.99),
        )


def _state(seen: Sequence[_Seen]) -> str:
    if seen and seen[-1].is_open:
        return OPEN
    failed = sum(one.has_failed for one in seen)
    return DEGRADED if seen and failed / len(seen) >= DEGRADED_FROM else HEALTHY


def _percentile(ordered: Sequence[int], share: float) -> int | None:
    """Return the smallest value that at least ``share`` of the values do not exceed (nearest rank)."""
    return ordered[math.ceil(share * len(ordered)) - 1] if ordered else None
