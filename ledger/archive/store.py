"""SQL about archived leaves."""

from __future__ import annotations

from datetime import datetime
from typing import Final

from core.errors import BashuError, Reason, Turn
from database import Statements

_FIRST_SINCE: Final = "SELECT min(leaf_index) FROM ledger_search WHERE ts >= $1"
_PRUNED: Final = "SELECT max(to_index) FROM ledger_pruned"


async def first_leaf_since(db: Statements, moment: datetime) -> int | None:
    """Return the index of the first leaf with a time from ``moment`` on, None where all are older."""
    found: int | None = await db.fetchval(_FIRST_SINCE, moment)
    return found


async def pruned_to(db: Statements) -> int:
    """Return how many leaves, from the first, have had their entries taken out into an archive."""
    return int(await db.fetchval(_PRUNED) or 0)


async def require_here(db: Statements, leaf_index: int) -> None:
    """Raise NOT_FOUND_OR_NOT_YOURS where the entry of ``leaf_index`` was taken out into an archive."""
    upto = await pruned_to(db)
    if leaf_index < upto:
        raise BashuError(
            Reason.NOT_FOUND_OR_NOT_YOURS,
            f"entries of leaves below {upto} are kept in the archive alone: its operator has them",
            turn=Turn.OPERATOR,
        )
