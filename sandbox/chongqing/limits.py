"""Limits of a caller and the maintenance windows (docs/platforms/chongqing.md section 9)."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from core.clock import SHANGHAI
from sandbox.chongqing.codes import Transaction
from sandbox.clock import ProtocolClock
from sandbox.limits import Buckets, DayCount
from sandbox.profiles import Conduct

SECOND_QUOTA: Final = "1"
DAY_QUOTA: Final = "2"
"""``XZLX``: whose limit was met."""
SUBMITS_A_SECOND: Final = 20
POLLS_A_SECOND: Final = 60
SUBMITS_A_DAY: Final = 20_000
_NEW: Final = frozenset({Transaction.SUBMIT, Transaction.BATCH})
_SUBMITS: Final = _NEW | {Transaction.FILE}
_DAILY: Final = (timedelta(minutes=30), timedelta(hours=2))
_FIRST_SUNDAY_FROM_HOUR: Final = 22
_MONDAY_UNTIL_HOUR: Final = 6
_SUNDAY: Final = 6
_DAYS_A_WEEK: Final = 7


class Limits:
    """What each caller has had; nothing is counted in profile ``instant``."""

    def __init__(self, conduct: Conduct, clock: ProtocolClock) -> None:
        self._conduct = conduct
        self._clock = clock
        self._submits = Buckets(SUBMITS_A_SECOND, SUBMITS_A_SECOND)
        self._polls = Buckets(POLLS_A_SECOND, POLLS_A_SECOND)
        self._accepted = DayCount()

    def refused(self, jgdm: str, transaction: Transaction) -> str | None:
        """Return ``XZLX`` of the limit that a call meets, None where it meets none."""
        if self._conduct.is_instant:
            return None
        lane = self._submits if transaction in _SUBMITS else self._polls
        if not lane.take(jgdm, self._clock.monotonic()):
            return SECOND_QUOTA
        quota = self._conduct.daily_quota(SUBMITS_A_DAY)
        is_gone = quota is not None and self._accepted.of(jgdm, self._clock.today()) >= quota
        return DAY_QUOTA if is_gone and transaction in _NEW else None

    def accepted(self, jgdm: str, *, jobs: int) -> None:
        """Count new jobs."""
        self._accepted.add(jgdm, self._clock.today(), jobs)


def in_maintenance(now: datetime) -> bool:
    """Tell whether the platform's time lies in a published window.

    Daily 00:30-02:00, and from the month's first Sunday 22:00 until Monday 06:00.
    """
    local = now.astimezone(SHANGHAI)
    of_the_day = timedelta(hours=local.hour, minutes=local.minute, seconds=local.second)
    if _DAILY[0] <= of_the_day < _DAILY[1]:
        return True
    is_late_sunday = local.hour >= _FIRST_SUNDAY_FROM_HOUR
    sunday = local.date() if is_late_sunday else local.date() - timedelta(days=1)
    is_first_sunday = sunday.weekday() == _SUNDAY and sunday.day <= _DAYS_A_WEEK
    return is_first_sunday and (is_late_sunday or local.hour < _MONDAY_UNTIL_HOUR)
