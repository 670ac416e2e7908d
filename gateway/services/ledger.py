"""LedgerService: checkpoint, proofs and entries. A lender reads the entries of its own institution."""

from __future__ import annotations

from uuid import UUID

import msgspec

from bashu.v1 import ledger_pb2, ledger_pb2_grpc
from core.errors import BashuError, Reason, Turn
from database import Database
from gateway.identity.model import Caller, Role, current_caller
from gateway.interceptors import Context
from gateway.validation import validate
from ledger import proofs, store

READS_EVERYTHING = frozenset({Role.COMPLIANCE, Role.AUDITOR, Role.REGULATOR})


class LedgerServicer(ledger_pb2_grpc.LedgerServiceServicer):
    """Reads what the sealer committed; ``vkey`` is the log's verifier key."""

    def __init__(self, *, db: Database, vkey: str) -> None:
        self._db = db
        self._vkey = vkey

    async def GetCheckpoint(  # noqa: N802 - the contract's name
        self, _request: ledger_pb2.GetCheckpointRequest, _context: Context
    ) -> ledger_pb2.GetCheckpointResponse:
        """Return the newest signed checkpoint."""
        signed = await store.latest_checkpoint(self._db)
        if signed is None:
            raise BashuError(
                Reason.EVIDENCE_STALE, "no checkpoint has been signed yet", turn=Turn.OPERATOR, retry_after_s=1.0
            )
        answer = ledger_pb2.GetCheckpointResponse(checkpoint=signed.note, tree_size=signed.size, vkey=self._vkey)
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
        return ledger_pb2.GetEntryResponse(entry=_entry(entry))

    async def GetInclusionProof(  # noqa: N802
        self, request: ledger_pb2.GetInclusionProofRequest, _context: Context
    ) -> ledger_pb2.GetInclusionProofResponse:
        """Return the proof that an entry is in a signed tree."""
        validate(request)
        leaf_index = await self._leaf_index(request)
        proof = await proofs.inclusion_proof(self._db, leaf_index, tree_size=request.tree_size or None)
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
    if caller.role in READS_EVERYTHING:
        return True
    requester = msgspec.json.decode(body).get("requester") or {}
    return caller.role is Role.LENDER and requester.get("institution") == caller.institution


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
