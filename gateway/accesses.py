"""Pages of the access list, with staff as everybody but an unmasking officer sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final, TypedDict

from core.clock import SHANGHAI
from core.errors import BashuError, Reason
from database import Database
from gateway.admission import RegistrySource
from gateway.masking import masked_staff
from gateway.pseudonyms import Pseudonyms
from ledger.access import store
from ledger.access.model import Access, AccessFilter

_LONGEST_INDEX: Final = 18
"""Digits of a leaf index that the database can hold."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownAccess:
    """An access and its staff number, masked; empty where none stands behind it."""

    access: Access
    operator: str


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessPage:
    """One page, newest first; ``next_token`` is empty on the last."""

    accesses: list[ShownAccess]
    next_token: str


class Period(TypedDict):
    """Bounds of a time, half-open; None: open."""

    since: datetime | None
    before: datetime | None


class AccessLists:
    """Reads the list; who may read which part is the caller's check."""

    def __init__(self, db: Database, *, registry: RegistrySource, pseudonyms: Pseudonyms) -> None:
        self._db = db
        self._registry = registry
        self._pseudonyms = pseudonyms

    async def page(self, wanted: AccessFilter, *, token: str = "", size: int) -> AccessPage:
        """Return one page; ``token`` is what the page before gave.

        Raises:
            BashuError: MALFORMED for a token that no answer gave.
        """
        below = _below(token) if token else None
        found = await store.accesses(self._db, wanted, below=below, limit=size + 1)
        shown = await self.shown(found[:size])
        return AccessPage(accesses=shown, next_token=str(found[size - 1].leaf_index) if len(found) > size else "")

    async def shown(self, accesses: list[Access]) -> list[ShownAccess]:
        """Return accesses with their staff numbers, masked."""
        names = await self.operators({access.institution for access in accesses})
        return [
            ShownAccess(access=access, operator=names.get((access.institution, access.operator_commitment or ""), ""))
            for access in accesses
        ]

    async def operators(self, institutions: set[str]) -> dict[tuple[str, str], str]:
        """Return the masked staff numbers of institutions, by institution and commitment."""
        staff = (await self._registry.snapshot()).staff
        return {
            (institution, self._pseudonyms.operator(institution, number) or ""): masked_staff(number)
            for institution, number in staff
            if institution in institutions
        }


def days(first: str, last: str) -> Period:
    """Return the period of ``YYYY-MM-DD`` days by Beijing time, both inside; an empty one is open.

    Raises:
        BashuError: MALFORMED for a day that does not exist, or a last before the first.
    """
    since, until = _day(first, "from_day"), _day(last, "to_day")
    if since is not None and until is not None and until < since:
        raise BashuError(Reason.MALFORMED, "to_day is before from_day", field="to_day")
    return {"since": _midnight(since), "before": _midnight(until + timedelta(days=1)) if until else None}


def _day(text: str, field: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, f"{field}: no such day", field=field) from error


def _midnight(day: date | None) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), tzinfo=SHANGHAI)


def _below(token: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) <= _LONGEST_INDEX):
        raise BashuError(Reason.MALFORMED, "page_token: no answer gave this one", field="page.page_token")
    return int(token)
