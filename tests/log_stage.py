"""Reading a log in process, as an authenticated caller's client reads it over a socket."""

from __future__ import annotations

from bashu.v1 import ledger_pb2
from core.clock import SystemClock
from gateway.services.ledger import LedgerServicer


class LedgerClient:
    """What `bashu ledger watch` asks, answered by the servicer over ``db``."""

    def __init__(self, db, vkey):
        self._service = LedgerServicer(
            db=db, vkey=vkey, reviews=None, pseudonyms=None, standard=None, clock=SystemClock()
        )

    async def get_checkpoint(self):
        return await self._service.GetCheckpoint(ledger_pb2.GetCheckpointRequest(), None)

    async def get_consistency_proof(self, from_size, to_size):
        request = ledger_pb2.GetConsistencyProofRequest(from_size=from_size, to_size=to_size)
        return await self._service.GetConsistencyProof(request, None)

    async def get_inclusion_proof(self, index, *, tree_size):
        request = ledger_pb2.GetInclusionProofRequest(leaf_index=index, tree_size=tree_size)
        return await self._service.GetInclusionProof(request, None)

    async def list_log_keys(self):
        return await self._service.ListLogKeys(ledger_pb2.ListLogKeysRequest(), None)
