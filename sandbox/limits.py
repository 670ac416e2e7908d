"""What a platform takes of one caller: so many calls a second, so many a day."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date

CALLERS_KEPT = 1_000


@dataclass(slots=True)
class Bucket:
    """A token bucket: ``rate`` calls a second, ``burst`` at once; times are monotonic seconds."""

    rate: float
    burst: float
    left: float = -1.0
    at: float = 0.0

    def take(self, now: float) -> bool:
        """Take one; False where none is left."""
        self.left = self.burst if self.left < 0 else min(self.burst, self.left + (now - self.at) * self.rate)
        self.at = now
        if self.left < 1:
            return False
        self.left -= 1
        return True


@dataclass(slots=True)
class Buckets:
    """A bucket for each caller, the oldest forgotten first."""

    rate: float
    burst: float
    callers: dict[str, Bucket] = field(default_factory=dict)

    def take(self, caller: str, now: float) -> bool:
        """Take one of a caller's."""
        if caller not in self.callers and len(self.callers) >= CALLERS_KEPT:
            del self.callers[next(iter(self.callers))]
        return self.callers.setdefault(caller, Bucket(self.rate, self.burst)).take(now)


@dataclass(slots=True)
class DayCount:
    """Counts by caller, of one day."""

    day: date | None = None
    counts: Counter[str] = field(default_factory=Counter)

    def of(self, caller: str, today: date) -> int:
        """Return a caller's count of today."""
        if self.day != today:
            self.day, self.counts = today, Counter()
        return self.counts[caller]

    def add(self, caller: str, today: date, count: int = 1) -> None:
        """Count some."""
        self.of(caller, today)
        self.counts[caller] += count
