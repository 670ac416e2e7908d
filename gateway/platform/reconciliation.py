"""Reconcile a day (对账): a platform's own book against the ledger, line by line; the result is an entry itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from uuid import UUID

from adapters.kit.failures import PlatformFailureError
from adapters.kit.protocol import Adapter, Book, OnPage, ShowsBooks
from core.canonical import canonical_json
from core.clock import Clock
from core.errors import BashuError, Reason, Turn
from core.permit import Subject
from database import Database
from gateway.entries import By, Entries
from gateway.identity import store as registry_store
from gateway.platform import store
from gateway.platform.comparison import Compared, Enquiry, compare, enquiries
from gateway.pseudonyms import Pseudonyms
from ledger import store as ledger_store
from ledger.note import LogSigning, sign_note
from standards.days import beijing_day, start_of_day

MARGIN: Final = timedelta(minutes=10)
"""How far a line of the book may stand from its intent: the platforms' clocks are off, and both allow 5 minutes."""
LISTED: Final = 1_000
"""Lines that an answer lists of each kind; the digest covers all of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciled:
    """What came of it; ``signature`` is a signed note of the ledger's key, ``entry_id`` the ledger's entry."""

    compared: Compared
    book_digest: bytes
    signature: bytes
    entry_id: UUID


class Reconciliation:
    """Reads a platform's book through its adapter and the ledger through the database."""

    def __init__(
        self,
        db: Database,
        *,
        adapters: Mapping[str, Adapter],
        entries: Entries,
        pseudonyms: Pseudonyms,
        signer: LogSigning,
        clock: Clock,
    ) -> None:
        self._db = db
        self._adapters = adapters
        self._entries = entries
        self._pseudonyms = pseudonyms
        self._signer = signer
        self._clock = clock

    async def of_day(
        self,
        platform_id: str,
        day: date,
        *,
        by: By,
        deadline: float,
        actor: str = "PLATFORM_OPERATOR",
        on_page: OnPage = lambda _, __: None,
    ) -> Reconciled:
        """Compare a Beijing day and append the result; ``deadline`` is on the monotonic clock, ``actor`` is a role.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS for an unknown platform, MALFORMED for a day to come or a platform that
                shows no book, PLATFORMS_UNAVAILABLE where the book could not be read.
        """
        adapter = self._adapters.get(platform_id)
        if adapter is None:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such platform, or not yours", field="platform_id")
        if not isinstance(adapter, ShowsBooks):
            raise BashuError(Reason.MALFORMED, "this platform shows no books", field="platform_id")
        if day > beijing_day(self._clock.now()):
            raise BashuError(Reason.MALFORMED, "date is today or earlier", field="date")
        book = await self._book(adapter, day, deadline, on_page)
        here = await self._here(adapter, day)
        due = await self._due(adapter, day, here, book, deadline)
        compared = compare(
            here,
            book.lines,
            due=due,
            platform_id=platform_id,
            purposes=adapter.platform.purposes,
            committed=self._committed,
        )
        digest = hashlib.sha256(_whole(compared, book)).hexdigest()
        text = _note_text(self._entries.origin, platform_id, day, compared, digest)
        entry_id = await self._append(platform_id, day, compared, digest, by=by, actor=actor)
        return Reconciled(
            compared=compared,
            book_digest=book.digest,
            signature=sign_note(text, *self._signer.signers).encode(),
            entry_id=entry_id,
        )

    async def _book(self, adapter: ShowsBooks, day: date, deadline: float, on_page: OnPage) -> Book:
        try:
            return await adapter.book(day, deadline=deadline, on_page=on_page)
        except PlatformFailureError as failure:
            what = f"the platform's book of {day} could not be read: {failure.detail}"
            raise BashuError(Reason.PLATFORMS_UNAVAILABLE, what, turn=Turn.PLATFORM) from failure

    async def _here(self, adapter: Adapter, day: date) -> dict[str, Enquiry]:
        """Return the ledger's enquiries of the day and a margin around it, by the key of the platform's book."""
        assert isinstance(adapter, ShowsBooks)
        begin = start_of_day(day.isoformat())
        rows = await store.entries_between(self._db, begin - MARGIN, begin + timedelta(days=1) + MARGIN)
        found = enquiries(rows, adapter.platform.platform_id)
        return {adapter.enquiry_key(one.institution, one.request_id): one for one in found}

    async def _due(
        self, adapter: ShowsBooks, day: date, here: Mapping[str, Enquiry], book: Book, deadline: float
    ) -> list[str]:
        """Return what the platform's book must have: answered on this day, and in no neighbouring day's book.

        A mark stands on the day of its first call, by the platform's clock: a repeat's, or one near midnight, on the
        day before or after.
        """
        begin = start_of_day(day.isoformat())
        end = begin + timedelta(days=1)
        held = {line.key for line in book.lines}
        due = {
            key: one
            for key, one in here.items()
            if key not in held and any(begin <= at < end for at in one.answered_at())
        }
        if any(_may_stand_before(one, begin) for one in due.values()):
            before = await self._book(adapter, day - timedelta(days=1), deadline, lambda _, __: None)
            held |= {line.key for line in before.lines}
        if day < beijing_day(self._clock.now()) and any(max(one.answered_at()) >= end - MARGIN for one in due.values()):
            after = await self._book(adapter, day + timedelta(days=1), deadline, lambda _, __: None)
            held |= {line.key for line in after.lines}
        return [key for key in due if key not in held]

    def _committed(self, subject: Subject, entry_id: UUID) -> str:
        return self._pseudonyms.in_entry(self._pseudonyms.subject(subject), entry_id)

    async def _append(
        self, platform_id: str, day: date, compared: Compared, digest: str, *, by: By, actor: str
    ) -> UUID:
        async with self._db.transaction() as tx:
            entry = self._entries.reconciled(
                platform_id,
                day,
                by=by,
                actor=actor,
                unequal=compared.unequal,
                detail_sha256=digest,
                ts=await registry_store.read_now(tx),
            )
            await ledger_store.append(tx, [entry])
        return entry.entry_id


def _may_stand_before(enquiry: Enquiry, begin: datetime) -> bool:
    return min(enquiry.attempts) > 1 or min(enquiry.answered_at()) < begin + MARGIN


def _whole(compared: Compared, book: Book) -> bytes:
    lists: dict[str, Sequence[str]] = {
        "only_here": list(compared.only_here),
        "only_there": list(compared.only_there),
        "different": list(compared.different),
    }
    return canonical_json({"both": compared.both, "book": book.digest.hex(), **lists})


def _note_text(origin: str, platform_id: str, day: date, compared: Compared, digest: str) -> str:
    """Return what is signed; its first line keeps it from being read as a checkpoint or a promise."""
    counts = f"{compared.both} {len(compared.only_here)} {len(compared.only_there)} {len(compared.different)}"
    return f"{origin}/reconciliation\n{platform_id}\n{day.isoformat()}\n{counts}\n{digest}\n"
