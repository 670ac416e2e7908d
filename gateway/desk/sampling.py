"""Samples for review, drawn so that anybody can draw them again; verdicts, each with an entry.

The order of a draw is that of SHA-256(seed, colon, entry id): whoever has the seed and the frame gets the same sample.
In the frame are the accesses of a period, and the letters that lenders signed themselves (LENDER_ATTESTED).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from consent import store as consent_store
from core.canonical import canonical_json
from core.errors import BashuError, Reason
from core.ids import uuid7
from database import Database
from gateway.accesses import AccessLists, Period, ShownAccess
from gateway.desk import store
from gateway.desk.store import Letter, Sample
from gateway.desk.unmask import officers_owner
from gateway.entries import By, Entries
from gateway.vault.model import DetailKind
from gateway.vault.service import Vault
from gateway.vault.store import add_detail
from ledger import store as ledger_store
from ledger.model import EntryType

_VERDICT: Final = re.compile(r"[A-Z_]{1,32}")
_SEED: Final = re.compile(r"[\w.@-]{1,64}")
_SEED_BYTES: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A sample as drawn."""

    sample: Sample
    accesses: Sequence[ShownAccess]
    letters: Sequence[Letter]


class Sampling:
    """Draws samples and takes verdicts."""

    def __init__(self, db: Database, *, lists: AccessLists, vault: Vault, entries: Entries) -> None:
        self._db = db
        self._lists = lists
        self._vault = vault
        self._entries = entries

    async def draw(self, *, institution: str, period: Period, size: int, seed: str, by: By) -> Drawn:
        """Draw up to ``size`` accesses and letters; an empty seed is made here. The view is recorded first.

        Raises:
            BashuError: MALFORMED for a seed of other characters than letters, digits, ``_.@-``.
        """
        seed = seed or secrets.token_hex(_SEED_BYTES)
        if not _SEED.fullmatch(seed):
            raise BashuError(Reason.MALFORMED, "seed: letters, digits, _ . @ - alone", field="seed")
        head = await ledger_store.head(self._db)
        sample = Sample(
            sample_id=uuid7(),
            seed=seed,
            size=size,
            institution=institution,
            since=period["since"],
            before=period["before"],
            to_index=head.size,
        )
        frame_size, chosen = await store.draw(self._db, sample)
        now = await consent_store.now(self._db)
        async with self._db.transaction() as tx:
            await store.keep_sample(tx, sample, frame_size=frame_size, chosen=chosen, by=by.participant, at=now)
            entry = self._entries.review_view(f"DrawSample/{sample.sample_id}", by=by, count=len(chosen), ts=now)
            await ledger_store.append(tx, [entry])
        accesses = await self._lists.shown(await store.accesses_of(self._db, sample.sample_id))
        letters = await store.letters_of(self._db, sample.sample_id)
        return Drawn(sample=sample.counted(frame_size), accesses=accesses, letters=letters)

    async def decide(self, sample_id: UUID, entry_id: UUID, *, verdict: str, note: str, by: By) -> UUID:
        """Record the verdict on one drawn access or letter; return its entry. The note is sealed.

        Raises:
            BashuError: MALFORMED for a verdict that is no code; NOT_FOUND_OR_NOT_YOURS for what was not drawn, or has
                its verdict.
        """
        if not _VERDICT.fullmatch(verdict):
            raise BashuError(Reason.MALFORMED, "verdict is a code of capital letters and _", field="verdict")
        number = uuid7()
        sealed = await self._vault.seal(
            officers_owner(by), DetailKind.REASON, canonical_json({"note": note}), entry_id=number
        )
        async with self._db.transaction() as tx:
            now: datetime = await consent_store.now(tx)
            if not await store.give_verdict(tx, sample_id, entry_id, verdict=verdict, number=number, at=now):
                raise BashuError(
                    Reason.NOT_FOUND_OR_NOT_YOURS, "not drawn in this sample, or its verdict stands", field="entry_id"
                )
            await add_detail(tx, sealed)
            entry = self._entries.about(
                EntryType.REVIEW_VIEW,
                ts=now,
                status=("DRAWN", verdict, "VERDICT", "COMPLIANCE"),
                obj=f"RecordVerdict/{sample_id}/{entry_id}",
                by=by,
                detail_sha256=sealed.sha256,
                entry_id=number,
            )
            await ledger_store.append(tx, [entry])
        return number
