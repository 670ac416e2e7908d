"""LedgerService: checkpoint, proofs and entries. A lender reads the entries of its own institution.

What a reviewer sees or takes away is recorded before the first row leaves.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Final
from uuid import UUID

import msgspec

from bashu.v1 import ledger_pb2, ledger_pb2_grpc
from core.clock import SHANGHAI, Clock
from core.errors import BashuError, Reason, Turn
from core.permit import Subject
from database import Database
from gateway.identity.model import Caller, Role, current_caller
from gateway.interceptors import Context
from gateway.ledger_reads import LedgerReads, Wanted
from gateway.pseudonyms import Pseudonyms
from gateway.question import read_subject
from gateway.reviews import REVIEWERS, Reviews
from gateway.services.paging import page_size, read_id
from gateway.validation import validate
from ledger import proofs, store
from ledger.keys import store as key_store
from ledger.keys.model import KeyState, signing, states
from ledger.model import EntryType, leaf_hash
from ledger.witness import store as witness_store
from standards.catalogue import Standard

_LONGEST_INDEX: Final = 18
"""Digits of a leaf index that the database can hold."""


class LedgerServicer(ledger_pb2_grpc.LedgerServiceServicer):
    """Reads what the sealer committed; ``vkey`` is the log's verifier key."""

    def __init__(
        self,
        *,
        db: Database,
        vkey: str,
        reviews: Reviews,
        pseudonyms: Pseudonyms,
        standard: Standard,
        clock: Clock,
    ) -> None:
        self._db = db
        self._vkey = vkey
        self._reviews = reviews
        self._standard = standard
        self._clock = clock
        self._reads = LedgerReads(db, reviews=reviews, pseudonyms=pseudonyms)

    async def GetCheckpoint(  # noqa: N802 - the contract's name
        self, request: ledger_pb2.GetCheckpointRequest, _context: Context
    ) -> ledger_pb2.GetCheckpointResponse:
        """Return the newest signed checkpoint, or the newest that a quorum of witnesses cosigned."""
        signed = await (self._witnessed() if request.witnessed else store.latest_checkpoint(self._db))
        if signed is None:
            raise BashuError(
                Reason.EVIDENCE_STALE, "no checkpoint has been signed yet", turn=Turn.OPERATOR, retry_after_s=1.0
            )
        (vkey, *_) = signing(await key_store.steps(self._db)) or (self._vkey,)
        answer = ledger_pb2.GetCheckpointResponse(checkpoint=signed.note, tree_size=signed.size, vkey=vkey)
        answer.signed_at.FromDatetime(signed.signed_at)
        return answer

    async def GetEntry(  # noqa: N802
        self, request: ledger_pb2.GetEntryRequest, _context: Context
    ) -> ledger_pb2.GetEntryResponse:
        """Return one entry that the caller may read."""
        validate(request)
        if request.WhichOneof("key") == "leaf_index":
            entry = await store.entry_by_index(self._db, request.leaf_index)
        else:
            entry = await store.entry_by_id(self._db, UUID(request.entry_id))
        if entry is None or not _may_read(current_caller(), entry.body):
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such entry, or not yours")
        await self._reviews.record(current_caller(), "GetEntry", count=1, request=entry.entry_id)
        return ledger_pb2.GetEntryResponse(entry=_entry(entry))

    async def ListEntries(  # noqa: N802
        self, request: ledger_pb2.ListEntriesRequest, _context: Context
    ) -> ledger_pb2.ListEntriesResponse:
        """Return one page of the entries in the tree that the caller may read."""
        validate(request)
        from_index = _after(request.page.page_token) if request.page.page_token else request.from_index
        wanted = Wanted(consent_id=_consent_id(request.consent_id), types=_types(request.types))
        size = page_size(request.page)
        found = await self._reads.page(
            current_caller(), wanted, from_index=from_index, size=size, is_whole=request.whole
        )
        answer = ledger_pb2.ListEntriesResponse(entries=[_entry(entry) for entry in found])
        if len(found) == size and found[-1].leaf_index is not None:
            answer.page.next_page_token = str(found[-1].leaf_index + 1)
        return answer

    async def ExportEntries(  # noqa: N802
        self, request: ledger_pb2.ExportEntriesRequest, _context: Context
    ) -> AsyncIterator[ledger_pb2.ExportEntriesResponse]:
        """Stream entries with their proofs, and last the checkpoint that all of them lead to."""
        validate(request)
        wanted = Wanted(
            consent_id=_consent_id(request.consent_id),
            institution=request.institution,
            month=request.month,
            day=request.day,
            subject=self._subject(request),
        )
        lines = self._reads.export(
            current_caller(), wanted, from_index=request.from_index, tree_size=request.tree_size or None
        )
        async for line in lines:
            yield ledger_pb2.ExportEntriesResponse(line=line.removesuffix(b"\n"))

    async def GetInclusionProof(  # noqa: N802
        self, request: ledger_pb2.GetInclusionProofRequest, _context: Context
    ) -> ledger_pb2.GetInclusionProofResponse:
        """Return the proof that an entry is in a signed tree."""
        validate(request)
        if request.witnessed and request.tree_size:
            raise BashuError(Reason.MALFORMED, "tree_size or witnessed, not both", field="witnessed")
        leaf_index = await self._leaf_index(request)
        tree_size = (await self._witnessed()).size if request.witnessed else request.tree_size or None
        proof = await proofs.inclusion_proof(self._db, leaf_index, tree_size=tree_size)
        if proof is None:
            raise _not_proven()
        return ledger_pb2.GetInclusionProofResponse(
            leaf_index=proof.leaf_index,
            tree_size=proof.checkpoint.size,
            leaf_hash=proof.leaf_hash,
            proof=proof.hashes,
            checkpoint=proof.checkpoint.note,
            tlog_proof=proof.tlog_proof(),
        )

    async def GetConsistencyProof(  # noqa: N802
        self, request: ledger_pb2.GetConsistencyProofRequest, _context: Context
    ) -> ledger_pb2.GetConsistencyProofResponse:
        """Return the proof that a smaller tree is a prefix of a signed one."""
        validate(request)
        proof = await proofs.consistency_proof(self._db, request.from_size, tree_size=request.to_size or None)
        if proof is None:
            raise _not_proven()
        return ledger_pb2.GetConsistencyProofResponse(
            from_size=proof.size1,
            to_size=proof.checkpoint.size,
            proof=proof.hashes,
            checkpoint=proof.checkpoint.note,
        )

    async def ListLogKeys(  # noqa: N802
        self, _request: ledger_pb2.ListLogKeysRequest, _context: Context
    ) -> ledger_pb2.ListLogKeysResponse:
        """Return the log's keys with the entries that say so, as far as those are in the tree."""
        events = await key_store.events(self._db)
        keys = [
            ledger_pb2.LogKey(
                vkey=vkey,
                state=f"LOG_KEY_STATE_{state}",  # type: ignore[arg-type]
                events=[
                    ledger_pb2.LedgerEntry(
                        leaf_index=event.leaf_index, leaf=event.body, leaf_hash=leaf_hash(event.body)
                    )
                    for event in events
                    if event.vkey == vkey and event.body is not None and event.leaf_index is not None
                ],
            )
            for vkey, state in (states(events) or {self._vkey: KeyState.SIGNING}).items()
        ]
        return ledger_pb2.ListLogKeysResponse(keys=keys)

    async def _witnessed(self) -> store.SignedHead:
        signed = await witness_store.witnessed_checkpoint(self._db)
        if signed is None:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no quorum of outside witnesses has cosigned a checkpoint")
        return signed

    def _subject(self, request: ledger_pb2.ExportEntriesRequest) -> Subject | None:
        if not request.HasField("subject"):
            return None
        today = self._clock.now().astimezone(SHANGHAI).date()
        return read_subject(request.subject, standard=self._standard, today=today)

    async def _leaf_index(self, request: ledger_pb2.GetInclusionProofRequest) -> int:
        if request.WhichOneof("key") == "leaf_index":
            return request.leaf_index
        entry = await store.entry_by_id(self._db, UUID(request.entry_id))
        if entry is None:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such entry", field="entry_id")
        if entry.leaf_index is None:
            raise _not_proven()
        return entry.leaf_index


def _may_read(caller: Caller, body: bytes) -> bool:
    if caller.role in REVIEWERS:
        return True
    members = msgspec.json.decode(body)
    requester = members.get("requester") or members.get("tally") or {}
    return caller.role is Role.LENDER and requester.get("institution") == caller.institution


def _consent_id(text: str) -> UUID | None:
    return read_id(text, "consent_id") if text else None


def _types(names: Sequence[str]) -> tuple[str, ...]:
    if any(name not in EntryType.__members__ for name in names):
        raise BashuError(Reason.MALFORMED, "types: there is no entry of such a type", field="types")
    return tuple(names)


def _after(token: str) -> int:
    if not (token.isascii() and token.isdigit() and len(token) <= _LONGEST_INDEX):
        raise BashuError(Reason.MALFORMED, "page_token: no answer gave this one", field="page.page_token")
    return int(token)


def _entry(entry: store.StoredEntry) -> ledger_pb2.LedgerEntry:
    message = ledger_pb2.LedgerEntry(leaf=entry.body, leaf_hash=entry.leaf_hash)
    if entry.leaf_index is not None:
        message.leaf_index = entry.leaf_index
    return message


def _not_proven() -> BashuError:
    return BashuError(
        Reason.NOT_FOUND_OR_NOT_YOURS,
        "no signed checkpoint of that size holds it yet; a second later it does",
        retry_after_s=1.0,
    )
