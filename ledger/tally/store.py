"""SQL of tallies: the clock that one writer holds at a time, the hours that are over, counts and marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from database import Statements

# A minute after the hour all that was dated in it is in the tree, unless the sealer stands still.
_TALLY_UNTIL: Final = "date_trunc('hour', bashu_now() - interval '1 minute')"
_TALLY_DUE: Final = f"SELECT {_TALLY_UNTIL} > hour FROM tally_clock"  # noqa: S608
_LOCK_TALLY_CLOCK: Final = f"""
SELECT {_TALLY_UNTIL} AS until, to_index, bashu_now() AS now FROM tally_clock FOR UPDATE SKIP LOCKED"""  # noqa: S608
_TALLY_HOURS: Final = """
SELECT hour, max(last) OVER (ORDER BY hour) + 1 AS to_index FROM (
    SELECT date_trunc('hour', ts) AS hour, max(leaf_index) AS last FROM ledger_search
    WHERE leaf_index >= $1 AND leaf_index < (SELECT size FROM ledger_head) GROUP BY 1) AS h
WHERE hour < $2 ORDER BY hour"""
_TALLY_COUNTS: Final = """
SELECT institution, count(*) AS count FROM ledger_search
WHERE leaf_index >= $1 AND leaf_index < $2 AND institution IS NOT NULL AND type <> 'TALLY'
GROUP BY institution ORDER BY institution"""
_TALLY_MARKS: Final = "SELECT institution, to_index FROM tally_mark"
_MOVE_TALLY_CLOCK: Final = "UPDATE tally_clock SET hour = $1, to_index = $2"
_MOVE_TALLY_MARKS: Final = """
INSERT INTO tally_mark (institution, to_index) SELECT * FROM unnest($1::text[], $2::bigint[])
ON CONFLICT (institution) DO UPDATE SET to_index = EXCLUDED.to_index"""


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyClock:
    """How far tallies have counted: leaves below ``to_index``; hours before ``until`` are over."""

    now: datetime
    until: datetime
    to_index: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TallyHour:
    """An hour of which something is in the tree: the leaves after the hour before, below ``to_index``."""

    hour: datetime
    to_index: int


async def is_tally_due(db: Statements) -> bool:
    """Tell whether an hour is over that has no tallies yet."""
    return bool(await db.fetchval(_TALLY_DUE))


async def lock_tally_clock(tx: Statements) -> TallyClock | None:
    """Lock the clock, or return None while another writes this hour's tallies or has written them."""
    row = await tx.fetchrow(_LOCK_TALLY_CLOCK)
    # Read again after the lock: who waited at the same moment finds the hour done.
    if row is None or not await is_tally_due(tx):
        return None
    return TallyClock(**dict(row.items()))


async def tally_hours(tx: Statements, clock: TallyClock) -> list[TallyHour]:
    """Return the hours to tally in order; an entry that stands after a later hour's counts in that one."""
    rows = await tx.fetch(_TALLY_HOURS, clock.to_index, clock.until)
    hours = [TallyHour(**dict(row.items())) for row in rows]
    # Of hours whose last leaf stands before that of an earlier one nothing is left to count.
    return [one for place, one in enumerate(hours) if place == 0 or one.to_index > hours[place - 1].to_index]


async def tally_counts(tx: Statements, *, begin: int, end: int) -> dict[str, int]:
    """Count the leaves ``begin <= index < end`` by institution; those that have none there are left out."""
    return {row["institution"]: row["count"] for row in await tx.fetch(_TALLY_COUNTS, begin, end)}


async def tally_marks(tx: Statements) -> dict[str, int]:
    """Return where each institution's last tally ended."""
    return {row["institution"]: row["to_index"] for row in await tx.fetch(_TALLY_MARKS)}


async def move_tallies(tx: Statements, clock: TallyClock, *, marks: Mapping[str, int], to_index: int) -> None:
    """Note that the hours before ``clock.until`` are done, how far, and where institutions' tallies ended."""
    await tx.execute(_MOVE_TALLY_CLOCK, clock.until, to_index)
    await tx.execute(_MOVE_TALLY_MARKS, list(marks), list(marks.values()))
