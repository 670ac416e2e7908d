"""How the platforms conduct themselves (``--profile``): delays, faults by chance, limits, windows; all seeded."""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from random import Random
from typing import Final

from core.clock import SHANGHAI
from sandbox.clock import ProtocolClock
from sandbox.faults import FaultKind

_Z95: Final = 1.6449
"""Standard normal quantile of 95 %."""
_BAD_DAY_TIMES: Final = 10
HALF_OPEN_LASTS: Final = timedelta(minutes=10)
QUOTA_SHARE: Final = 0.8
"""On a bad day the quota is gone at this part of the published number."""


class Profile(StrEnum):
    """Latency and faults."""

    INSTANT = "instant"
    REALISTIC = "realistic"
    BAD_DAY = "bad-day"


@dataclass(frozen=True, slots=True, kw_only=True)
class Latency:
    """A lognormal delay, by its median and 95th percentile in seconds."""

    p50: float
    p95: float

    def draw(self, random: Random) -> float:
        """Return one delay, seconds."""
        return self.p50 * math.exp(random.gauss(0.0, 1.0) * math.log(self.p95 / self.p50) / _Z95)


SUBMIT: Final = Latency(p50=0.12, p95=0.37)
POLL: Final = Latency(p50=0.06, p95=0.19)
JOB: Final = Latency(p50=4.0, p95=27.0)
TOKEN: Final = Latency(p50=0.15, p95=0.49)
MODULE: Final = Latency(p50=0.22, p95=1.56)
TAX_MODULE: Final = Latency(p50=1.2, p95=7.2)

BAD_DAY: Final[Mapping[FaultKind, float]] = {
    FaultKind.STALL: 0.002,
    FaultKind.HTTP_500: 0.0025,
    FaultKind.CODE_9999: 0.0025,
    FaultKind.RESET: 0.001,
    FaultKind.STALE: 0.005,
    FaultKind.WRONG_ENCODING: 0.001,
    FaultKind.EXTRA_ITEMS: 0.005,
    FaultKind.PARTIAL: 0.03,
}
"""Chance of each fault, a call; ``realistic`` has a tenth of each."""
REPEATED_CALLBACK: Final = 0.01


class Conduct:
    """One platform under one profile. Chance comes from ``seed`` and the platform's name, so a run can be repeated."""

    def __init__(self, profile: Profile, *, name: str, clock: ProtocolClock, seed: int) -> None:
        self._profile = profile
        self._name = name
        self._clock = clock
        self._seed = seed
        self._random = Random(f"{seed}/{name}")
        times = _BAD_DAY_TIMES if profile is Profile.BAD_DAY else 1
        self._faults = {kind: chance * times / _BAD_DAY_TIMES for kind, chance in BAD_DAY.items()}
        self._repeated = REPEATED_CALLBACK * times / _BAD_DAY_TIMES

    @property
    def is_instant(self) -> bool:
        """Tell whether nothing waits, nothing fails by chance, and no limit or window bites."""
        return self._profile is Profile.INSTANT

    def seconds(self, latency: Latency) -> float:
        """Return how long this takes now."""
        return 0.0 if self.is_instant else latency.draw(self._random)

    def review(self, longest_s: float) -> timedelta:
        """Return how long the review of a letter takes."""
        return timedelta(0) if self.is_instant else timedelta(seconds=self._random.uniform(0.0, longest_s))

    def fault(self, shown: Container[FaultKind]) -> FaultKind | None:
        """Return what goes wrong by chance in a call that can show ``shown``, mostly nothing."""
        if self.is_instant:
            return None
        chance = self._random.random()
        for kind, share in self._faults.items():
            if chance < share:
                return kind if kind in shown else None
            chance -= share
        return None

    def repeats_callback(self) -> bool:
        """Tell whether this callback is sent twice."""
        return not self.is_instant and self._random.random() < self._repeated

    def daily_quota(self, published: int) -> int | None:
        """Return how many calls a day are taken; None: nobody counts."""
        if self.is_instant:
            return None
        return int(published * QUOTA_SHARE) if self._profile is Profile.BAD_DAY else published

    def is_half_open(self) -> bool:
        """Tell whether this is one of a bad day's ten minutes in which calls are taken and never answered."""
        if self._profile is not Profile.BAD_DAY:
            return False
        now = self._clock.now()
        begin = self._half_open_from(now.astimezone(SHANGHAI).date())
        return begin <= now < begin + HALF_OPEN_LASTS

    def _half_open_from(self, day: date) -> datetime:
        minute = Random(f"{self._seed}/{self._name}/{day}").randrange(24 * 60 - 10)
        return datetime.combine(day, time.min, SHANGHAI) + timedelta(minutes=minute)


def instant(name: str, clock: ProtocolClock) -> Conduct:
    """Return the conduct of tests: no delay, no fault that was not forced."""
    return Conduct(Profile.INSTANT, name=name, clock=clock, seed=0)
