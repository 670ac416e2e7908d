"""A dispute at sichuan: ``/v2/disputes`` (section 10 of docs/platforms/sichuan.md)."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.protocol import DisputeCase, DisputeStanding
from adapters.sichuan.exchange import Exchange, Query
from adapters.sichuan.modules import modules_of

OUTCOMES: Final = {
    "数据有误": "1",
    "数据无误": "2",
    "数据遗漏": "3",
    "数据删除": "4",
    "数据删除（欺诈）": "5",
    "无法核实": "UNVERIFIABLE",
}


class Standing(msgspec.Struct, rename="camel"):
    """What the platform answers about a dispute."""

    dispute_id: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,64}\Z")]
    state: str
    outcome: str | None = None
    explanation: Annotated[str, msgspec.Meta(max_length=4000)] = ""


def body_of(case: DisputeCase) -> bytes:
    """Return the body of ``POST /v2/disputes``. Raises PlatformFailureError (SKIPPED) for an item not held."""
    modules = modules_of(frozenset({case.item}))
    if not modules:
        raise PlatformFailureError(Failure.SKIPPED, "NOT_HELD")
    return msgspec.json.encode(
        {
            "creditCode": case.subject.identifier,
            "module": modules[0].name,
            "recordKey": case.locator,
            "reason": case.text,
            "requestedOn": case.received_on.isoformat(),
            "institution": case.institution,
            "requestId": str(case.dispute_id),
        }
    )


async def send_dispute(link: Exchange, case: DisputeCase, reference: str, *, deadline: float) -> DisputeStanding:
    """Hand a dispute over, or ask where the one numbered ``reference`` stands. Raises PlatformFailureError."""
    query = Query(
        request_id=str(case.dispute_id),
        institution=case.institution,
        subject=case.subject.identifier,
        reason="",
        evidence=b"",
        deadline=deadline,
    )
    if reference:
        path = f"/v2/disputes/{reference}"
        answer = await link.plain("GET", path, query=query, body=None, shape=Standing)
    else:
        answer = await link.plain("POST", "/v2/disputes", query=query, body=body_of(case), shape=Standing)
    if reference and answer.dispute_id != reference:
        raise PlatformFailureError(Failure.MALFORMED, "disputeId")
    if answer.state in {"RECEIVED", "CHECKING"}:
        return DisputeStanding(reference=answer.dispute_id)
    if answer.state != "ANSWERED" or answer.outcome not in OUTCOMES:
        raise PlatformFailureError(Failure.MALFORMED, "outcome" if answer.state == "ANSWERED" else "state")
    return DisputeStanding(
        reference=answer.dispute_id, outcome=OUTCOMES[answer.outcome], explanation=answer.explanation
    )
