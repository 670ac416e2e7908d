"""Whether the database's clock went on as time did: pure comparisons, no clock read here."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

BACK_S: Final = 5.0
"""Further back than this, in seconds, and entries are dated before what they follow. A working value."""

AHEAD_S: Final = 60.0
"""Further ahead than this, in seconds, and consents expire that have not. A working value."""


class ClockState(StrEnum):
    """What the database's clock is taken for."""

    SOUND = "SOUND"
    BACK = "BACK"
    AHEAD = "AHEAD"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """The database's clock as read between two moments of this machine's own, in seconds since its start."""

    at: datetime
    since: float
    until: float

    def expected(self, later: Sight) -> datetime:
        """Return where the clock should be at ``later``."""
        return self.at + timedelta(seconds=later.until - self.since)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What all gateways know: the clock when it was last sound, what it is taken for, how often that changed."""

    at: datetime
    state: ClockState
    number: int


def compared(before: Sight, now: Sight) -> ClockState:
    """Compare what went by on the database's clock with what went by here, as kindly as the two readings allow."""
    gone = (now.at - before.at).total_seconds()
    if gone < (now.since - before.until) - BACK_S:
        return ClockState.BACK
    if gone > (now.until - before.since) + AHEAD_S:
        return ClockState.AHEAD
    return ClockState.SOUND


def judge(anchor: Sight | None, now: Sight, mark: Mark) -> ClockState:
    """Judge the clock; ``anchor`` is the last sound sight of this process, None where it has none.

    A clock that went back is sound again once it passed what it showed before: nothing is dated twice. One that went
    ahead is sound again where it agrees with an anchor from before, or when an operator says so.
    """
    last = mark.at if anchor is None else max(mark.at, anchor.at)
    if anchor is not None:
        found = compared(anchor, now)
    elif mark.state is ClockState.AHEAD:
        return ClockState.AHEAD
    else:
        found = ClockState.BACK if now.at < last - timedelta(seconds=BACK_S) else ClockState.SOUND
    if mark.state is ClockState.BACK:
        return ClockState.SOUND if now.at >= last else ClockState.BACK
    return found
