"""How an access looks in the contract, to subjects and reviewers alike."""

from __future__ import annotations

from bashu.v1 import subject_pb2
from gateway.accesses import ShownAccess


def access_message(shown: ShownAccess) -> subject_pb2.Access:
    """Return the message of one access."""
    access = shown.access
    message = subject_pb2.Access(
        entry_id=str(access.entry_id),
        institution=access.institution,
        operator=shown.operator,
        purpose=access.purpose or "",
        data_items=access.data_items,
        platform_ids=access.platform_ids,
        outcome=access.type,
        reason=access.reason or "",
        consent_id=str(access.consent_id) if access.consent_id else "",
        request_id=str(access.request_id) if access.request_id else "",
        count=access.number,
    )
    message.at.FromDatetime(access.at)
    return message
