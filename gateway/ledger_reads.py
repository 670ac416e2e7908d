"""Reading many entries of the ledger: pages and exports, each recorded where a reviewer asks, before a row leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Final
from uuid import UUID

from consent import store as consent_store
from core.canonical import canonical_json
from core.clock import SHANGHAI
from core.errors import BashuError, Reason, Turn
from core.permit import Subject
from database import Database
from gateway.desk.two_officers import Action, is_remembered, remember, seconded
from gateway.entries import Members
from gateway.identity.model import Caller
from gateway.pseudonyms import Pseudonyms
from gateway.reviews import REVIEWERS, Reviews, by_caller
from ledger import store
from ledger.archive.store import require_here
from ledger.export import export_lines
from ledger.model import EntryType
from ledger.search import store as search

MOST_ROWS_ALONE: Final = 10_000
"""Rows that a reviewer may take away without a second officer (ledger page: Views and exports)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which entries are asked for; empty means any. ``month`` is YYYY-MM, ``day`` YYYY-MM-DD by Beijing time."""

    consent_id: UUID | None = None
    institution: str = ""
    month: str = ""
    day: str = ""
    subject: Subject | None = None
    types: tuple[str, ...] = ()

    def narrowed_to(self, institution: str | None, subject: search.SubjectEntries | None = None) -> search.EntryFilter:
        """Return the filter; ``institution`` is a lender's own, None for those who read everything."""
        since, before = _period(self.month, self.day)
        return search.EntryFilter(
            consent_id=self.consent_id,
            subject=subject,
            institution=institution or self.institution or None,
            types=self.types,
            since=since,
            before=before,
        )

    def reviewed(self, from_index: int, to_index: int, *, rows: int) -> Members:
        """Return what an entry says of it."""
        # An institution that no entry names is the caller's own word, and those never enter a leaf.
        institution = self.institution if rows else ""
        named = {"institution": institution, "month": self.month, "day": self.day, "types": list(self.types)}
        given = {name: value for name, value in named.items() if value}
        return {"from_index": from_index, "to_index": to_index, **given}


class LedgerReads:
    """Pages and exports of the entries in the tree."""

    def __init__(self, db: Database, *, reviews: Reviews, pseudonyms: Pseudonyms) -> None:
        self._db = db
        self._reviews = reviews
        self._pseudonyms = pseudonyms

    async def page(
        self, caller: Caller, wanted: Wanted, *, from_index: int, size: int, is_whole: bool = False
    ) -> list[store.StoredEntry]:
        """Return up to ``size`` entries from ``from_index`` on; a reviewer's view is durable first.

        Raises:
            BashuError: ROLE_NOT_ALLOWED where the caller may read only its own and asks for the whole log;
                NOT_FOUND_OR_NOT_YOURS where the page begins with entries that are in an archive alone.
        """
        own = _own(caller, wanted)
        if is_whole and own is not None:
            raise BashuError(Reason.ROLE_NOT_ALLOWED, "the whole log is read by COMPLIANCE, AUDITOR and REGULATOR")
        head = await store.head(self._db)
        indexes = await search.find_indexes(
            self._db,
            wanted.narrowed_to(own),
            from_index=from_index,
            to_index=head.size,
            limit=size,
        )
        if indexes:
            await require_here(self._db, indexes[0])
        entries = await store.entries_at(self._db, indexes)
        await self._reviews.record(
            caller,
            "ListEntries",
            count=len(entries),
            consent_id=wanted.consent_id,
            reviewed=wanted.reviewed(from_index, head.size, rows=len(entries)),
        )
        return entries

    async def export(
        self, caller: Caller, wanted: Wanted, *, from_index: int, tree_size: int | None
    ) -> AsyncIterator[bytes]:
        """Yield the lines of an export under the checkpoint of ``tree_size`` leaves (None: the newest).

        Raises:
            BashuError: SECOND_OFFICER_NEEDED to the first of two officers, for more than 10,000 rows or everything
                about one subject; NOT_FOUND_OR_NOT_YOURS for a checkpoint that was never signed or another's
                institution; ROLE_NOT_ALLOWED for a lender that asks by subject; EVIDENCE_STALE before the first
                checkpoint.
        """
        chosen = wanted.narrowed_to(_own(caller, wanted), await self._subject(caller, wanted))
        checkpoint = await self._checkpoint(tree_size)
        if caller.role in REVIEWERS:
            await self._record(caller, wanted, chosen, from_index=from_index, size=checkpoint.size)
        everything = chosen == search.EntryFilter()
        lines = export_lines(
            self._db, from_index=from_index, wanted=None if everything else chosen, checkpoint=checkpoint
        )
        async for line in lines:
            yield line

    async def _record(
        self, caller: Caller, wanted: Wanted, chosen: search.EntryFilter, *, from_index: int, size: int
    ) -> None:
        rows = await search.count_entries(
            self._db, chosen, from_index=from_index, to_index=size, most=MOST_ROWS_ALONE + 1
        )
        pseudonym = chosen.subject.pseudonym if chosen.subject else None
        if rows > MOST_ROWS_ALONE or pseudonym is not None:
            await self._need_second(caller, _named(wanted, pseudonym), size=size, is_resumed=from_index > 0)
        await self._reviews.record(
            caller,
            "ExportEntries",
            count=rows,
            consent_id=wanted.consent_id,
            reviewed=wanted.reviewed(from_index, size, rows=rows),
            pseudonym=pseudonym,
            kind=EntryType.EXPORT,
        )

    async def _need_second(self, caller: Caller, named: str, *, size: int, is_resumed: bool) -> None:
        """Let the second officer through, who may then continue the same export for 24 h; keep the first one's wish."""
        by, under_way = by_caller(caller), f"{named}/{size}"
        async with self._db.transaction() as tx:
            now = await consent_store.now(tx)
            if is_resumed and await is_remembered(tx, Action.EXPORT_GOES_ON, under_way, by=by, now=now):
                return
            first = await seconded(tx, Action.EXPORT, named, by=by, now=now)
            if first is not None:
                await remember(tx, Action.EXPORT_GOES_ON, under_way, by=by, now=now)
        if first is None:
            raise BashuError(
                Reason.SECOND_OFFICER_NEEDED,
                f"More than {MOST_ROWS_ALONE} rows, or one subject's, take two officers: another asks within 24 h",
                turn=Turn.COMPLIANCE,
                metadata={"rule": "ledger: Views and exports"},
            )

    async def _subject(self, caller: Caller, wanted: Wanted) -> search.SubjectEntries | None:
        if wanted.subject is None:
            return None
        if caller.role not in REVIEWERS:
            raise BashuError(Reason.ROLE_NOT_ALLOWED, "only reviewers take away entries by subject", field="subject")
        commitments = self._pseudonyms.commitments(wanted.subject)
        consents = await consent_store.ids_of_subject(self._db, commitments)
        return search.SubjectEntries(
            pseudonym=self._pseudonyms.subject(wanted.subject), consent_ids=tuple(sorted(consents))
        )

    async def _checkpoint(self, tree_size: int | None) -> store.SignedHead:
        if tree_size is not None:
            signed = await store.checkpoint_at(self._db, tree_size)
            if signed is None:
                raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no checkpoint of that size was signed")
            return signed
        newest = await store.latest_checkpoint(self._db)
        if newest is None:
            raise BashuError(
                Reason.EVIDENCE_STALE, "no checkpoint has been signed yet", turn=Turn.OPERATOR, retry_after_s=1.0
            )
        return newest


def _own(caller: Caller, wanted: Wanted) -> str | None:
    """Return the institution a lender is bound to, None for those who read everything."""
    if "\x00" in wanted.institution:
        raise BashuError(Reason.MALFORMED, "institution: no such name", field="institution")
    if caller.role in REVIEWERS:
        return None
    if wanted.institution not in {"", caller.institution}:
        raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "a lender reads its own institution's entries")
    return caller.institution


def _named(wanted: Wanted, pseudonym: str | None) -> str:
    """Name what two officers agree on: the same filters; where the first stopped reading does not matter."""
    asked = {
        "consent": str(wanted.consent_id or ""),
        "institution": wanted.institution,
        "month": wanted.month,
        "day": wanted.day,
        "subject": pseudonym or "",
    }
    return sha256(canonical_json(asked)).hexdigest()


def _period(month: str, day: str) -> tuple[datetime | None, datetime | None]:
    """Return the half-open period of a month or a day by Beijing time, both None for any time."""
    if month and day:
        raise BashuError(Reason.MALFORMED, "month or day, not both", field="day")
    if month:
        return _month(month)
    if not day:
        return None, None
    try:
        since = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=SHANGHAI)
        return since, since + timedelta(days=1)
    except (ValueError, OverflowError) as error:
        raise BashuError(Reason.MALFORMED, "day: no such day", field="day") from error


def _month(text: str) -> tuple[datetime, datetime]:
    try:
        first = datetime.strptime(text, "%Y-%m").replace(tzinfo=SHANGHAI)
        following = first.replace(year=first.year + first.month // 12, month=first.month % 12 + 1)
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, "month: no such month", field="month") from error
    return first, following
