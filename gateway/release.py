"""Release: an intent that still stands becomes RELEASED and its answer gets a receipt, in one durable statement.

An intent that is no longer OPEN has its closing already: the data is dropped and the reason that closed it is the
answer. One still OPEN past ``stands_until`` is closed here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from core.errors import BashuError, Reason, Turn
from core.permit import Permit, Receipt
from database import Database, LockLost
from gateway import store
from gateway.batcher import AS_SERVED, Batcher, Gathering
from gateway.database_time import DatabaseTime
from gateway.entries import Entries, PlatformLine
from gateway.intents import IntentKey, OpenIntent, write_outcomes
from ledger.note import LogSigning
from ledger.store import receipts_from_rows

__all__ = ["Part", "PlatformLine", "Releases", "may_refund"]

REFUNDABLE: Final = frozenset({"SKIPPED", "QUOTA_EXHAUSTED", "MAINTENANCE"})
"""Statuses that certainly brought nothing; so did any other whose question never left (``was_sent`` False)."""
_UNREACHABLE: Final = "UNAVAILABLE"
_LOCK_TRIES: Final = 3
_RETRY_AFTER_S: Final = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One permit that a report rests on, and what the platforms asked under it said."""

    permit: Permit
    platforms: Sequence[PlatformLine]


class Releases:
    """Releases and fails admitted questions; one per worker. :meth:`run` belongs to the worker's task group."""

    def __init__(
        self,
        db: Database,
        *,
        entries: Entries,
        signer: LogSigning,
        time: DatabaseTime,
        gathering: Gathering = AS_SERVED,
    ) -> None:
        self._db = db
        self._entries = entries
        self._signer = signer
        self._time = time
        self._batcher: Batcher[store.Release, Receipt | None] = Batcher(self._release, gathering)

    async def run(self) -> None:
        """Release what gathers until cancelled."""
        await self._batcher.run()

    async def release(
        self,
        permit: Permit,
        *,
        report_digest: bytes,
        request_digest: bytes,
        platforms: Sequence[PlatformLine],
    ) -> Receipt:
        """Make the release of an answer durable and return its receipt.

        Raises:
            BashuError: the reason that took the permission away meanwhile (nothing may leave then), OUT_OF_TIME, or
                what kept the release from being recorded.
        """
        part = Part(permit=permit, platforms=platforms)
        release = self._row(part, report_digest=report_digest, request_digest=request_digest, ts=self._time.now())
        receipt = await self._batcher.submit(release)
        if receipt is None:
            raise await self._why_not(release.key)
        return receipt

    async def release_together(
        self, parts: Sequence[Part], *, report_digest: bytes, request_digest: bytes
    ) -> Receipt | Mapping[UUID, Reason]:
        """Release one report under all permits it rests on, in one statement: all of them or none.

        Returns:
            the first part's receipt; or nothing was released, and this is why other parts stand no more, by request id.

        Raises:
            BashuError: as :meth:`release`, about the first part.
        """
        for _ in range(_LOCK_TRIES):
            ts = self._time.now()
            rows = [
                self._row(part, report_digest=report_digest, request_digest=request_digest, ts=ts) for part in parts
            ]
            try:
                first = (await self._write(rows, together=True))[0]
            except LockLost:
                continue
            if first is not None:
                return first
            gone = {row.key: why for row in rows if (why := await self._gone(row.key, ts)) is not None}
            if rows[0].key in gone:
                raise gone[rows[0].key]
            if gone:
                return {key.request_id: why.reason for key, why in gone.items()}
        raise BashuError(Reason.OVERLOADED, "the permits were locked again and again", retry_after_s=_RETRY_AFTER_S)

    def _row(self, part: Part, *, report_digest: bytes, request_digest: bytes, ts: datetime) -> store.Release:
        entry = self._entries.release(
            part.permit,
            platforms=part.platforms,
            request_digest=request_digest,
            report_digest=report_digest,
            artefact_hash=_artefact_hash(part.permit),
            ts=ts,
        )
        return store.Release(key=_key(part.permit), outcomes=_outcomes(part.platforms), ts=ts, entry=entry)

    async def fail(
        self,
        permit: Permit,
        reason: Reason | BashuError,
        *,
        request_digest: bytes = b"",
        platforms: Sequence[PlatformLine] = (),
        refund: bool = True,
    ) -> None:
        """Close the intent of a query that has nothing to release; what closed it before stands.

        The use is given back where ``refund`` and every platform certainly returned nothing.
        """
        ts = self._time.now()
        cause = reason.reason if isinstance(reason, BashuError) else reason
        artefact_hash = _artefact_hash(permit)
        is_refunded = refund and permit.consent_id is not None and may_refund(platforms)
        closing = store.Closing(
            key=_key(permit),
            reason=cause.value,
            entry=self._entries.failed(
                permit,
                reason=cause,
                platforms=platforms,
                request_digest=request_digest,
                artefact_hash=artefact_hash,
                ts=ts,
            ),
            refund=self._entries.refunded(permit, artefact_hash=artefact_hash, ts=ts) if is_refunded else None,
        )
        consents = [permit.consent_id] if is_refunded and permit.consent_id is not None else []
        await self._close(closing, consents)

    async def _close(self, closing: store.Closing, refund_consents: Sequence[UUID]) -> bool:
        for _ in range(_LOCK_TRIES - 1):
            try:
                return bool(await store.close(self._db, [closing], refund_consents=refund_consents))
            except LockLost:
                continue
        return bool(await store.close(self._db, [closing], refund_consents=refund_consents))

    async def _release(self, releases: list[store.Release]) -> Sequence[Receipt | BashuError | None]:
        try:
            return await self._write(releases)
        except LockLost:
            if len(releases) == 1:
                raise
        return [await self._alone(release) for release in releases]

    async def _alone(self, release: store.Release) -> Receipt | BashuError | None:
        try:
            return (await self._write([release]))[0]
        except BashuError as error:
            return error

    async def _write(self, releases: list[store.Release], *, together: bool = False) -> list[Receipt | None]:
        rows = await store.release(self._db, releases, together=together)
        entries = {release.entry.entry_id: release.entry for release in releases}
        receipts = receipts_from_rows(rows, entries, signer=self._signer, now=self._time.now())
        return [receipts.get(release.entry.entry_id) for release in releases]

    async def _gone(self, key: IntentKey, ts: datetime) -> BashuError | None:
        """Return why an intent stands no more, None where it does."""
        found = await store.find(self._db, key)
        if found is not None and found[0].state == "OPEN":
            intent, now = found
            if intent.stands_until is None or intent.stands_until > max(now, ts):
                return None
        return await self._why_not(key)

    async def _why_not(self, key: IntentKey) -> BashuError:
        """Return the reason that closed an intent; close it where nothing but time did."""
        for _ in range(2):
            found = await store.find(self._db, key)
            if found is None:
                return BashuError(Reason.LEDGER_INCONSISTENT, "the intent is gone", turn=Turn.OPERATOR)
            intent, now = found
            self._time.observe(now)
            if intent.state != "OPEN":
                break
            reason = Reason.OUT_OF_TIME
            if intent.consent_end is not None and intent.consent_end <= now:
                reason = Reason.CONSENT_EXPIRED
            entry = self._entries.withheld(intent, reason, ts=now)
            await self._close(store.Closing(key=key, reason=reason.value, entry=entry), [])
        return _withheld(intent)


def may_refund(platforms: Sequence[PlatformLine]) -> bool:
    """Tell whether every platform certainly returned nothing: NO_DATA and TIMEOUT are answers that cost."""
    return bool(platforms) and all(
        line.status in REFUNDABLE or (line.status == _UNREACHABLE and not line.was_sent) for line in platforms
    )


def _withheld(intent: OpenIntent) -> BashuError:
    if intent.closed_reason is None:
        return BashuError(Reason.INTERNAL, "this attempt was released before")
    reason = Reason(intent.closed_reason)
    message = "permission ended while the platforms were answering: nothing was released"
    if reason is Reason.OUT_OF_TIME:
        message = "the query ran out of time: nothing was released"
    return BashuError(reason, message)


def _outcomes(platforms: Sequence[PlatformLine]) -> list[str]:
    return write_outcomes({(line.platform_id, line.item): line.status for line in platforms})


def _artefact_hash(permit: Permit) -> bytes | None:
    return None if permit.artefact is None else hashlib.sha256(permit.artefact).digest()


def _key(permit: Permit) -> IntentKey:
    return IntentKey(request_id=permit.request_id, institution=permit.institution, attempt=permit.attempt)
