"""Erasure (PIPL Art. 47): destroys the keys of what is sealed about a subject. Entries, and their proofs, stay.

RESTRICTED until the retention period ends or two officers decide otherwise; preserved records stop both. The entry is
durable before a key is touched, so a key that outlives its ERASURE, after a crash or in a restored key database, is
found by the entry and destroyed again (:meth:`Erasures.replay`, before a worker serves).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import msgspec
import structlog

from consent import store as consent_store
from core.canonical import canonical_json
from core.clock import SHANGHAI
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from core.permit import Subject
from database import Database, Statements, Transaction, UniqueConflict
from gateway.desk.two_officers import Action, seconded
from gateway.desk.unmask import officers_owner
from gateway.entries import By, Entries
from gateway.pseudonyms import Pseudonyms
from gateway.rights import store
from gateway.rights.store import ErasureRow
from gateway.vault.model import DetailKind
from gateway.vault.service import Vault
from gateway.vault.store import add_detail
from ledger import store as ledger_store
from ledger.model import Entry, EntryType
from ledger.search import store as search

EVERY_S: Final = 60.0
AT_ONCE: Final = 100
RESTRICTED: Final = "RESTRICTED"
ERASED: Final = "ERASED"
RETENTION_OVER: Final = "RETENTION_OVER"
TWO_OFFICERS: Final = "TWO_OFFICERS"
DAYS_OF_A_YEAR: Final = 366
"""So that no year of the retention period is cut short."""

Preserved = Callable[[Statements, str], Awaitable[bool]]
"""Tells whether records of the subject with this pseudonym are preserved (封存)."""

_log = structlog.get_logger(__name__)


class Erasures:
    """Takes requests, decides them, carries them out. :meth:`run` belongs to the worker's task group."""

    def __init__(
        self,
        db: Database,
        *,
        vault: Vault,
        pseudonyms: Pseudonyms,
        entries: Entries,
        preserved: Preserved,
        retention: timedelta,
        backups: timedelta,
    ) -> None:
        self._db = db
        self._vault = vault
        self._pseudonyms = pseudonyms
        self._entries = entries
        self._preserved = preserved
        self._retention = retention
        self._backups = backups

    async def request(self, subject: Subject, *, reason: str, by: By) -> ErasureRow:
        """Restrict what is sealed about a subject from now on, and erase it where no retention period runs.

        While an erasure stands, asking again returns it.

        Raises:
            BashuError: PRESERVED.
        """
        standing = await self.latest(subject)
        if standing is None or standing.erased_at is not None:
            try:
                standing = await self._restrict(subject, reason=reason, by=by)
            except UniqueConflict:
                standing = await self.latest(subject)
        assert standing is not None
        if standing.erased_at is None and standing.due_at <= await consent_store.now(self._db):
            return await self._erase(standing.erasure_id)
        return standing

    async def latest(self, subject: Subject) -> ErasureRow | None:
        """Return where a subject's latest erasure stands."""
        return await store.latest_erasure(self._db, self._pseudonyms.subject(subject))

    async def is_preserved(self, row: ErasureRow) -> bool:
        """Tell whether preserved records stop an erasure."""
        return row.erased_at is None and await self._preserved(self._db, row.pseudonym)

    async def page(self, *, after: UUID, limit: int, with_erased: bool) -> list[ErasureRow]:
        """Return erasures by id, the oldest first."""
        return await store.erasures(self._db, after=after, limit=limit, with_erased=with_erased)

    async def decide(self, erasure_id: UUID, *, reason: str, by: By) -> ErasureRow:
        """Erase before the retention period ends, as the second officer; a first one's wish is kept for 24 h.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS, PRESERVED.
        """
        async with self._db.transaction() as tx:
            row = await self._locked(tx, erasure_id)
            now = await consent_store.now(tx)
            if await seconded(tx, Action.ERASE, str(erasure_id), by=by, now=now) is None:
                return row
            pseudonym, entry_id = row.pseudonym, uuid7()
            # Under the officers' own key: why they decided outlives what they decided about.
            sealed = await self._vault.seal(
                officers_owner(by), DetailKind.REASON, canonical_json({"reason": reason}), entry_id=entry_id
            )
            await add_detail(tx, sealed)
            order = self._entries.about(
                EntryType.ERASURE,
                ts=now,
                status=(RESTRICTED, "ORDERED", TWO_OFFICERS, "COMPLIANCE"),
                obj=str(erasure_id),
                by=by,
                pseudonym=pseudonym,
                detail_sha256=sealed.sha256,
                entry_id=entry_id,
            )
            await self._write(tx, row, decided_by=TWO_OFFICERS, now=now, first=[order])
        return await self._destroy(erasure_id, row.key_ids)

    async def run(self) -> None:
        """Carry out what is due every minute until cancelled."""
        while True:
            try:
                await self.carry_out()
            except BashuError as error:
                _log.warning("erasures_failed", reason=error.reason.value)
            await asyncio.sleep(EVERY_S)

    async def carry_out(self) -> int:
        """Erase what is due, and destroy keys that should be gone; return how many erasures were finished."""
        done, after = 0, UUID(int=0)
        # Preserved ones stay due for long and must not stand in the way of the others.
        while due := await store.due_erasures(self._db, after=after, limit=AT_ONCE):
            done += sum([await self._erased_now(row.erasure_id) for row in due])
            after = due[-1].erasure_id
        for row in await store.undestroyed(self._db, limit=AT_ONCE):
            await self._destroy(row.erasure_id, row.key_ids)
            done += 1
        return done

    async def replay(self) -> list[UUID]:
        """Destroy every key that an ERASURE entry names and that is still, or again, there; return those.

        Called before a worker serves: a key database restored from a backup must not open what was erased since.
        """
        head = await ledger_store.head(self._db)
        wanted = search.EntryFilter(types=(EntryType.ERASURE.value,))
        again: list[UUID] = []
        index = 0
        while found := await search.find_indexes(self._db, wanted, from_index=index, to_index=head.size, limit=AT_ONCE):
            entries = await ledger_store.entries_at(self._db, found)
            again += await self._vault.destroy([key for entry in entries if (key := _erased_key(entry.body))])
            index = found[-1] + 1
        if again:
            _log.warning("erasures_replayed", keys=len(again))
        # What is not in the tree yet has its row.
        await self.carry_out()
        return again

    async def _restrict(self, subject: Subject, *, reason: str, by: By) -> ErasureRow:
        pseudonym, entry_id = self._pseudonyms.subject(subject), uuid7()
        key_ids = await self._vault.ensure(self._pseudonyms.handles(subject))
        sealed = await self._vault.seal(
            pseudonym, DetailKind.REASON, canonical_json({"reason": reason}), entry_id=entry_id
        )
        async with self._db.transaction() as tx:
            await self._refuse_preserved(tx, pseudonym)
            now = await consent_store.now(tx)
            commitments = self._pseudonyms.commitments(subject)
            last = await store.last_dealing(tx, pseudonym, commitments)
            row = ErasureRow(
                erasure_id=uuid7(),
                pseudonym=pseudonym,
                commitments=tuple(commitments),
                key_ids=tuple(key_ids),
                entry_id=entry_id,
                requested_at=now,
                due_at=now if last is None else max(now, last + self._retention),
            )
            await store.insert_erasure(tx, row)
            await add_detail(tx, sealed)
            entry = self._entries.about(
                EntryType.ERASURE,
                ts=now,
                status=("NONE", RESTRICTED, "SUBJECT_REQUEST", "SUBJECT"),
                obj=str(row.erasure_id),
                by=by,
                pseudonym=pseudonym,
                detail_sha256=sealed.sha256,
                entry_id=entry_id,
            )
            await ledger_store.append(tx, [entry])
        return row

    async def _erased_now(self, erasure_id: UUID) -> bool:
        try:
            return (await self._erase(erasure_id)).erased_at is not None
        except BashuError as stopped:
            # Preserved, or another worker was first.
            if stopped.reason not in {Reason.PRESERVED, Reason.NOT_FOUND_OR_NOT_YOURS}:
                raise
            return False

    async def _erase(self, erasure_id: UUID) -> ErasureRow:
        async with self._db.transaction() as tx:
            row = await self._locked(tx, erasure_id)
            now = await consent_store.now(tx)
            last = await store.last_dealing(tx, row.pseudonym, row.commitments)
            if last is not None and last + self._retention > now:
                # Asked about, lent to or disputed with since: its retention period began anew.
                due_at = max(row.due_at, last + self._retention)
                await store.put_off(tx, erasure_id, due_at=due_at)
                return replace(row, due_at=due_at)
            await self._write(tx, row, decided_by=RETENTION_OVER, now=now, first=[])
        return await self._destroy(erasure_id, row.key_ids)

    async def _locked(self, tx: Transaction, erasure_id: UUID) -> ErasureRow:
        row = await store.lock_erasure(tx, erasure_id)
        if row is None or row.erased_at is not None:
            raise no_such_erasure()
        await self._refuse_preserved(tx, row.pseudonym)
        return row

    async def _write(
        self, tx: Transaction, row: ErasureRow, *, decided_by: str, now: datetime, first: Sequence[Entry]
    ) -> None:
        lapse_on = (now + self._backups).astimezone(SHANGHAI).date()
        await store.erased(tx, row.erasure_id, at=now, decided_by=decided_by, lapse_on=lapse_on)
        actor = "COMPLIANCE" if decided_by == TWO_OFFICERS else "SYSTEM"
        erased = [
            self._entries.about(
                EntryType.ERASURE,
                ts=now,
                status=(RESTRICTED, ERASED, decided_by, actor),
                obj=str(key_id),
                pseudonym=row.pseudonym,
            )
            for key_id in row.key_ids
        ]
        await ledger_store.append(tx, [*first, *erased])

    async def _destroy(self, erasure_id: UUID, key_ids: Sequence[UUID]) -> ErasureRow:
        """Destroy the keys of an erasure whose entries are durable; what fails here is carried on with later."""
        await self._vault.destroy(key_ids)
        await store.keys_destroyed(self._db, erasure_id)
        async with self._db.transaction() as tx:
            row = await store.lock_erasure(tx, erasure_id)
        assert row is not None
        return row

    async def _refuse_preserved(self, tx: Transaction, pseudonym: str) -> None:
        if await self._preserved(tx, pseudonym):
            raise BashuError(
                Reason.PRESERVED,
                "records of this subject are preserved and cannot be erased until that is lifted",
                turn=Turn.COMPLIANCE,
                metadata={"rule": "征信业管理条例 Art. 33"},
            )


def no_such_erasure() -> BashuError:
    """Make the error of an erasure that is not there to be decided."""
    return BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such erasure stands, or not yours", field="erasure_id")


def _erased_key(body: bytes) -> UUID | None:
    leaf = msgspec.json.decode(body)
    is_done = (leaf.get("status") or {}).get("to") == ERASED
    return UUID(leaf["object"]) if is_done else None
