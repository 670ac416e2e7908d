"""Counts of one worker, kept in plain integers until something exports them."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping
from typing import Final

BOUNDS_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the latency buckets, seconds; the last bucket has none."""


class Histogram:
    """How often a duration fell into each bucket of :data:`BOUNDS_S`."""

    __slots__ = ("counts", "sum_s")

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def observe(self, seconds: float) -> None:
        """Count one duration."""
        self.counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds


class CallMetrics:
    """RPCs by method and gRPC code, refusals by reason, their durations by method, and how many are under way."""

    def __init__(self) -> None:
        self._finished: Counter[tuple[str, str]] = Counter()
        self._reasons: Counter[str] = Counter()
        self._durations: dict[str, Histogram] = {}
        self.under_way = 0

    def start(self) -> None:
        """Count a call that began."""
        self.under_way += 1

    def finish(self, method: str, *, code: str, reason: str, seconds: float) -> None:
        """Count a call that ended; ``reason`` is empty where it succeeded."""
        self.under_way -= 1
        self._finished[method, code] += 1
        if reason:
            self._reasons[reason] += 1
        durations = self._durations.get(method)
        if durations is None:
            durations = self._durations[method] = Histogram()
        durations.observe(seconds)

    @property
    def finished(self) -> Mapping[tuple[str, str], int]:
        """Calls by (full method name, gRPC code)."""
        return self._finished

    @property
    def reasons(self) -> Mapping[str, int]:
        """Refusals by reason."""
        return self._reasons

    @property
    def durations(self) -> Mapping[str, Histogram]:
        """Durations by full method name."""
        return self._durations
