"""How erasures look in the contract, to subjects and officers alike."""

from __future__ import annotations

from bashu.v1 import subject_pb2
from gateway.rights.erasures import Erasures
from gateway.rights.store import ErasureRow


async def erasure_message(erasures: Erasures, row: ErasureRow) -> subject_pb2.Erasure:
    """Return the message of an erasure, with whether preserved records stop it."""
    is_done = row.erased_at is not None
    message = subject_pb2.Erasure(
        erasure_id=str(row.erasure_id),
        state=subject_pb2.ERASURE_STATE_ERASED if is_done else subject_pb2.ERASURE_STATE_RESTRICTED,
        entry_id=str(row.entry_id),
        decided_by=row.decided_by or "",
        backups_lapse_on=row.backups_lapse_on.isoformat() if row.backups_lapse_on else "",
        preserved=await erasures.is_preserved(row),
    )
    message.requested_at.FromDatetime(row.requested_at)
    message.due_at.FromDatetime(row.due_at)
    if row.erased_at is not None:
        message.erased_at.FromDatetime(row.erased_at)
    return message
