"""SQL of the clock's mark. Everything here takes a connection or a transaction and opens none."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from database import Statements
from gateway.clock.model import ClockState, Mark

# Without the shift that tests of other things give: this watches the machine's clock.
_READ: Final = """
SELECT t.ts - s.shift AS now, t.ts, m.at, m.state, m.number
FROM clock_mark AS m, bashu.bashu_time_shift AS s, (SELECT bashu_now() AS ts) AS t"""
_LOCK: Final = "SELECT number FROM clock_mark FOR UPDATE"
_ADVANCE: Final = "UPDATE clock_mark SET at = $1 WHERE number = $2 AND at < $1"
_CHANGE: Final = "UPDATE clock_mark SET at = $1, state = $2, number = number + 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """The database's clock (``now``), the time decisions go by (``ts``), and the mark."""

    now: datetime
    ts: datetime
    mark: Mark


async def read(db: Statements) -> Reading:
    """Read clock and mark."""
    (row,) = await db.fetch(_READ)
    mark = Mark(at=row["at"], state=ClockState(row["state"]), number=row["number"])
    return Reading(now=row["now"], ts=row["ts"], mark=mark)


async def advance(db: Statements, mark: Mark, at: datetime) -> None:
    """Note how far a sound clock is, unless somebody else judged it otherwise meanwhile."""
    await db.execute(_ADVANCE, at, mark.number)


async def lock(tx: Statements, mark: Mark) -> bool:
    """Lock the mark; False where it is no longer ``mark``."""
    return bool(await tx.fetchval(_LOCK) == mark.number)


async def change(tx: Statements, *, at: datetime, state: ClockState) -> None:
    """Note what the clock is taken for from here on."""
    await tx.execute(_CHANGE, at, state.value)
