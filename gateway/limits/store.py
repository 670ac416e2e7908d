"""SQL of an institution's queries a second. Nothing here opens a transaction."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from database import Statements
from gateway.clock.model import BACK_S

_LEASE: Final = """
WITH clock AS (SELECT bashu_now() AS now, $2::float8 / $3::float8 * interval '1 second' AS step),
leased AS (
    INSERT INTO query_rate AS q (institution, taken_until)
    SELECT $1, now + step FROM clock
    ON CONFLICT (institution) DO UPDATE
    SET taken_until = CASE WHEN q.taken_until > (SELECT now FROM clock) + $4::interval THEN EXCLUDED.taken_until
        ELSE greatest(q.taken_until + (SELECT step FROM clock), EXCLUDED.taken_until) END
    WHERE q.taken_until + (SELECT step FROM clock) <= (SELECT now FROM clock) + interval '1 second'
        OR q.taken_until > (SELECT now FROM clock) + $4::interval
    RETURNING 1)
SELECT EXISTS (SELECT FROM leased)"""
"""A block of $2 queries at $3 a second, if it ends no more than a second from now (leaky bucket); $4: further ahead
than this nothing is taken but by a clock that was wrong, and then it counts no more."""
_WRONG_AHEAD: Final = timedelta(seconds=1 + BACK_S)


async def lease_rate(db: Statements, institution: str, *, block: int, per_second: int) -> bool:
    """Take ``block`` queries of this second for one worker, or tell that they are not there, in one statement."""
    return bool(await db.fetchval(_LEASE, institution, block, per_second, _WRONG_AHEAD))
