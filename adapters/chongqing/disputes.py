"""A dispute at chongqing: XY2001 (section 11 of docs/platforms/chongqing.md)."""

from __future__ import annotations

import re
from typing import Final

from adapters.chongqing import exchange, serials
from adapters.chongqing.codec import malformed
from adapters.chongqing.exchange import Exchange
from adapters.chongqing.shapes import KINDS
from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.protocol import DisputeCase, DisputeStanding

OUTCOMES: Final = {"1": "1", "2": "2", "3": "3", "4": "4", "5": "5", "9": "UNVERIFIABLE"}
"""``HCJG`` to ``dispute_check_result`` and ``dispute_outcome_extra``."""
RECEIVED, CHECKING, ANSWERED = "0", "1", "2"
MAX_EXPLANATION: Final = 4_000
_NUMBER: Final = re.compile(r"YY[0-9]{14}")
_NOT_XML: Final = re.compile(r"[\x00-\x1f\x7f\ufffe\uffff]+")


def fields_of(case: DisputeCase) -> tuple[tuple[str, str], ...]:
    """Return BODY's tags in the order of the page; line ends become blanks, as XML 1.0 has no others of them.

    Raises PlatformFailureError (SKIPPED) for an item that the platform does not hold.
    """
    kind = KINDS.get(case.item)
    if kind is None:
        raise PlatformFailureError(Failure.SKIPPED, "NOT_HELD")
    return (
        ("TYSHXYDM", case.subject.identifier),
        ("MK", kind),
        ("JLBS", _NOT_XML.sub(" ", case.locator)),
        ("YYLY", _NOT_XML.sub(" ", case.text)),
        ("SQRQ", f"{case.received_on:%Y%m%d}"),
        ("CXJG", case.institution),
    )


async def send_dispute(link: Exchange, case: DisputeCase, *, deadline: float) -> DisputeStanding:
    """Send a dispute, the first time or again, and return where it stands. Raises PlatformFailureError."""
    serial = serials.dispute_serial(dispute_id=str(case.dispute_id))
    answer = await link.send(exchange.DISPUTE, serial, fields_of(case), evidence=b"", deadline=deadline)
    number, state, code = (answer.tags.get(tag, "") for tag in ("YYBH", "YYZT", "HCJG"))
    if _NUMBER.fullmatch(number) is None:
        raise malformed("BODY/YYBH")
    if state in {RECEIVED, CHECKING}:
        return DisputeStanding(reference=number)
    if state != ANSWERED or code not in OUTCOMES:
        raise malformed("BODY/HCJG" if state == ANSWERED else "BODY/YYZT")
    words = answer.tags.get("HCSM", "")[:MAX_EXPLANATION]
    return DisputeStanding(reference=number, outcome=OUTCOMES[code], explanation=words)
