"""The desk's SQL."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from database import Statements

_LOCK_WISH: Final = """
SELECT participant, operator, wished_at FROM officer_wish WHERE action = $1 AND object = $2 FOR UPDATE"""
_DROP_WISH: Final = "DELETE FROM officer_wish WHERE action = $1 AND object = $2"
_PUT_WISH: Final = """
INSERT INTO officer_wish (action, object, participant, operator, wished_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (action, object) DO UPDATE
SET participant = EXCLUDED.participant, operator = EXCLUDED.operator, wished_at = EXCLUDED.wished_at"""
_STAFF_NAMES: Final = "SELECT staff_number, sealed_name FROM staff WHERE institution = $1 ORDER BY staff_number"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A first officer's wish, waiting for a second."""

    participant: str
    operator: str
    at: datetime


async def lock_wish(tx: Statements, action: str, obj: str) -> Wish | None:
    """Lock and return the wish that waits for a second officer, or None."""
    row = await tx.fetchrow(_LOCK_WISH, action, obj)
    return None if row is None else Wish(participant=row["participant"], operator=row["operator"], at=row["wished_at"])


async def drop_wish(tx: Statements, action: str, obj: str) -> None:
    """Forget a wish."""
    await tx.execute(_DROP_WISH, action, obj)


async def put_wish(tx: Statements, action: str, obj: str, wish: Wish) -> None:
    """Keep a wish; it replaces an older one."""
    await tx.execute(_PUT_WISH, action, obj, wish.participant, wish.operator, wish.at)


async def staff_names(db: Statements, institution: str) -> list[tuple[str, bytes]]:
    """Return the staff numbers of an institution with their sealed names."""
    return [(row["staff_number"], row["sealed_name"]) for row in await db.fetch(_STAFF_NAMES, institution)]
