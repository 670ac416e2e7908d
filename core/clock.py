"""Process time. Decisions about consents use the database's ``bashu_now()``; this bounds token skew and deadlines."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")
"""Calendar rules use Beijing time and say so."""


class Clock(Protocol):
    """Where a component takes its time from."""

    def now(self) -> datetime:
        """Return the time, UTC."""

    def monotonic(self) -> float:
        """Return seconds that never go back."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Return the time, UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()


def rfc3339(moment: datetime) -> str:
    """Write ``moment`` as RFC 3339 UTC with microseconds, the form of every time in a ledger leaf."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
