"""The database's time between two reads of it, never ahead: what entries written without a read are dated with."""

from __future__ import annotations

from datetime import datetime, timedelta

from core.clock import Clock


class DatabaseTime:
    """Carries the last ``bashu_now()`` seen on by this process's clock.

    The value was true before the answer arrived, so the estimate lags by at most one round trip.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: datetime | None = None
        self._at = 0.0

    def observe(self, now: datetime) -> None:
        """Take over a time just read."""
        self._seen, self._at = now, self._clock.monotonic()

    def now(self) -> datetime:
        """Return the estimate, the process's own time before the first read."""
        if self._seen is None:
            return self._clock.now()
        return self._seen + timedelta(seconds=self._clock.monotonic() - self._at)
