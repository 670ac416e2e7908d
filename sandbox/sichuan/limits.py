"""Limits of a caller and the maintenance window (docs/platforms/sichuan.md section 8)."""

from __future__ import annotations

from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final

from core.clock import SHANGHAI
from sandbox.clock import ProtocolClock
from sandbox.limits import Buckets, DayCount
from sandbox.profiles import Conduct
from sandbox.sichuan.refusals import Refusal, forbidden

REQUESTS_A_SECOND: Final = 50
BURST: Final = 100
REQUESTS_A_DAY: Final = 100_000
REFUSED_FOR: Final = timedelta(minutes=2)
"""At the window's beginning nothing answers at all."""
_BEGINS: Final = timedelta(days=2, hours=23)
"""Wednesday 23:00, from Monday 00:00."""
_LASTS: Final = timedelta(hours=2)


class Limits:
    """What the caller has had; nothing is counted in profile ``instant``."""

    def __init__(self, conduct: Conduct, clock: ProtocolClock) -> None:
        self._conduct = conduct
        self._clock = clock
        self._requests = Buckets(REQUESTS_A_SECOND, BURST)
        self._taken = DayCount()

    def check(self, token: str) -> None:
        """Refuse a call beyond the token's rate or the appid's day; the sandbox knows one appid."""
        if self._conduct.is_instant:
            return
        if not self._requests.take(token, self._clock.monotonic()):
            raise Refusal(HTTPStatus.TOO_MANY_REQUESTS, "too many requests")
        today, quota = self._clock.today(), self._conduct.daily_quota(REQUESTS_A_DAY)
        if quota is not None and self._taken.of("", today) >= quota:
            raise forbidden("daily quota exceeded")
        self._taken.add("", today)


def in_maintenance(now: datetime) -> timedelta | None:
    """Return for how long the window of the platform's time is open already, None where it is not."""
    local = now.astimezone(SHANGHAI).replace(tzinfo=None)
    monday = datetime(local.year, local.month, local.day) - timedelta(days=local.weekday())  # noqa: DTZ001 - as above
    since = local - monday - _BEGINS
    return since if timedelta(0) <= since < _LASTS else None
