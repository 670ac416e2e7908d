"""The data clock, which control moves, and the platforms' protocol clocks, which are real time and wrong on purpose."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from core.clock import SHANGHAI, Clock

CHONGQING_AHEAD: Final = timedelta(seconds=90)
SICHUAN_AHEAD: Final = timedelta(seconds=-40)


class _Kept(msgspec.Struct, forbid_unknown_fields=True):
    first_day: date
    advanced_days: int


class DataClock:
    """D, the day whose data the platforms show, and D0, the Beijing day of the first start (subjects.md section 1).

    D follows real days besides what it was advanced. Both are kept in ``file``, so a restart continues.
    """

    def __init__(self, clock: Clock, file: Path) -> None:
        self._clock = clock
        self._file = file
        if file.exists():
            self._kept = msgspec.json.decode(file.read_bytes(), type=_Kept)
        else:
            self._kept = _Kept(first_day=self._today(), advanced_days=0)
            self._keep()

    @property
    def first_day(self) -> date:
        """D0."""
        return self._kept.first_day

    @property
    def day(self) -> date:
        """D."""
        return self._today() + timedelta(days=self._kept.advanced_days)

    def aged_now(self) -> datetime:
        """Return the moment on the scale of job age: real time and what the data clock was advanced (UTC)."""
        return self._clock.now() + timedelta(days=self._kept.advanced_days)

    def advance(self, days: int) -> date:
        """Move D by ``days`` ≥ 0, durably, and return it."""
        if days < 0:
            raise ValueError(f"the data clock never goes back: {days}")
        self._kept = _Kept(first_day=self._kept.first_day, advanced_days=self._kept.advanced_days + days)
        self._keep()
        return self.day

    def _today(self) -> date:
        return self._clock.now().astimezone(SHANGHAI).date()

    def _keep(self) -> None:
        # A half-written file would lose D0 at the next start, so the rename is the commit.
        draft = self._file.with_suffix(".new")
        draft.write_bytes(msgspec.json.encode(self._kept))
        draft.replace(self._file)


class ProtocolClock:
    """A platform's own clock: real time, off by a fixed amount. Signatures, tokens and authorisations use it."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> datetime:
        """Return the platform's time, UTC."""
        return self._clock.now() + self._ahead

    def today(self) -> date:
        """Return the platform's Beijing day."""
        return self.now().astimezone(SHANGHAI).date()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return self._clock.monotonic()


@dataclass(frozen=True, slots=True, kw_only=True)
class Clocks:
    """The clocks a platform is given."""

    data: DataClock
    chongqing: ProtocolClock
    sichuan: ProtocolClock


def open_clocks(clock: Clock, state: Path) -> Clocks:
    """Return the clocks over ``clock``, the data clock kept in the folder ``state``."""
    return Clocks(
        data=DataClock(clock, state / "data_clock.json"),
        chongqing=ProtocolClock(clock, CHONGQING_AHEAD),
        sichuan=ProtocolClock(clock, SICHUAN_AHEAD),
    )
