"""What takes two officers: the first one's wish waits 24 h for another participant with another staff number."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from database import Transaction
from gateway.desk import store
from gateway.desk.store import Wish
from gateway.entries import By
from gateway.officers import PROPOSAL_LASTS


class Action(StrEnum):
    """What two officers decide together, beside holds, which keep their own record."""

    ERASE = "ERASE"
    REPORT_SUBJECT = "REPORT_SUBJECT"
    EXPORT = "EXPORT"
    """Rows beyond what one officer may take away, or everything about one subject."""
    EXPORT_GOES_ON = "EXPORT_GOES_ON"
    """Kept for the second officer of an export under way, who alone may continue it for 24 h."""
    PRESERVE = "PRESERVE"
    RELEASE_PRESERVATION = "RELEASE_PRESERVATION"


async def seconded(tx: Transaction, action: Action, obj: str, *, by: By, now: datetime) -> Wish | None:
    """Return the wish that ``by`` seconds, used up by this; or keep ``by``'s own wish and return None.

    ``obj`` is an id or a pseudonym: two officers agree on one and the same thing.
    """
    first = await store.lock_wish(tx, action.value, obj)
    if first is not None and _is_second(first, by, now):
        await store.drop_wish(tx, action.value, obj)
        return first
    await store.put_wish(tx, action.value, obj, Wish(participant=by.participant, operator=by.operator, at=now))
    return None


async def remember(tx: Transaction, action: Action, obj: str, *, by: By, now: datetime) -> None:
    """Keep that ``by`` may do this again within 24 h."""
    await store.put_wish(tx, action.value, obj, Wish(participant=by.participant, operator=by.operator, at=now))


async def is_remembered(tx: Transaction, action: Action, obj: str, *, by: By, now: datetime) -> bool:
    """Tell whether :func:`remember` was called for the same officer and thing within 24 h."""
    kept = await store.lock_wish(tx, action.value, obj)
    same = kept is not None and (kept.participant, kept.operator) == (by.participant, by.operator)
    return same and kept is not None and now - kept.at <= PROPOSAL_LASTS


def _is_second(first: Wish, by: By, now: datetime) -> bool:
    is_other = first.participant != by.participant and first.operator != by.operator
    return is_other and now - first.at <= PROPOSAL_LASTS
