"""How sichuan shows a forced fault; every other answer is honest."""

from __future__ import annotations

import asyncio
import socket
import struct
from datetime import timedelta
from http import HTTPStatus
from typing import Any, Final, NoReturn

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.faults import SLOW_S, Fault, FaultKind
from sandbox.sichuan.envelope import DataStatus, payload_bytes, seal
from sandbox.sichuan.refusals import Refusal, failed

WRONG_CODE: Final = "91510107XXTT90033Y"
"""The subject that a lying answer names: a firm that nobody asks about."""
SILENCE_S: Final = 120.0
"""A call that is never answered is closed after it, long after any caller's deadline."""
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for 0 s: closing sends RST instead of FIN."""
_OVER_THE_LIMIT: Final = 3 * 1024 * 1024
_REFUSALS: Final = {
    FaultKind.CODE_9999: (HTTPStatus.INTERNAL_SERVER_ERROR, "internal error"),
    FaultKind.UNLISTED_CODE: (HTTPStatus.IM_A_TEAPOT, "not in the interface"),
    FaultKind.TOKEN_EXPIRED: (HTTPStatus.UNAUTHORIZED, "token expired"),
    FaultKind.REVOKED: (HTTPStatus.FORBIDDEN, "authorization revoked"),
    FaultKind.MAINTENANCE: (HTTPStatus.SERVICE_UNAVAILABLE, "system maintenance"),
    FaultKind.QUOTA: (HTTPStatus.FORBIDDEN, "daily quota exceeded"),
}
_AHEAD: Final = "ahead"
_A_DAY: Final = timedelta(days=1)
_EXTRA_MODULE: Final = {"status": 200, "dataStatus": DataStatus.NODATA.value, "asOf": "2026-01-01", "data": []}


async def before(request: web.Request, fault: Fault | None, server: str) -> None:
    """Refuse, stall or break the connection where the fault says so."""
    if fault is None:
        return
    match fault.kind:
        case FaultKind.SLOW:
            await asyncio.sleep(SLOW_S)
        case FaultKind.STALL:
            await silence(request)
        case FaultKind.RESET:
            break_off(request)
        case FaultKind.CLOCK_OFF:
            request[_AHEAD] = _A_DAY
        case FaultKind.HTTP_500:
            raise failed(server)
        case kind if kind in _REFUSALS:
            raise Refusal(*_REFUSALS[kind])
        case _:
            return


async def silence(request: web.Request) -> NoReturn:
    """Say nothing until the caller is long gone, then break off."""
    await asyncio.sleep(SILENCE_S)
    break_off(request)


async def half(request: web.Request, body: bytes) -> NoReturn:
    """Send the first half of an answer and no more."""
    answer = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(body))})
    await answer.prepare(request)
    await answer.write(body[: len(body) // 2])
    await silence(request)


def ahead(request: web.Request) -> timedelta:
    """Return how far the clock of this answer is off."""
    told: timedelta = request.get(_AHEAD, timedelta(0))
    return told


async def wait(patience_s: float) -> None:
    """Let a caller's patience pass, as a department that does not answer makes the platform do."""
    await asyncio.sleep(patience_s)


class BrokenOff(Exception):  # noqa: N818 - named after the fact
    """The connection is gone on purpose; nothing can be answered."""


def break_off(request: web.Request) -> NoReturn:
    """Reset the connection (RST) without an answer."""
    if request.transport is not None:
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        request.transport.abort()
    raise BrokenOff


def content(honest: Any, fault: Fault | None) -> Any:
    """Return the payload's content, false where the fault says so."""
    if fault is None or not isinstance(honest, dict):
        return honest
    if fault.kind is FaultKind.WRONG_SUBJECT and "subject" in honest:
        return {**honest, "subject": {**honest["subject"], "creditCode": WRONG_CODE}}
    if fault.kind is FaultKind.EXTRA_ITEMS:
        if "modules" in honest:
            return {**honest, "modules": {**honest["modules"], "finance/credit-summary": _EXTRA_MODULE}}
        return {**honest, "extraMember": "not in the interface"}
    return honest


def sealed(honest: Any, status: DataStatus, key: RSAPublicKey, *, is_zipped: bool, fault: Fault | None) -> bytes:
    """Return the body of a 200 answer, broken where the fault says so."""
    kind = None if fault is None else fault.kind
    payload = payload_bytes(content(honest, fault), is_zipped=is_zipped)
    if kind is FaultKind.WRONG_ENCODING:
        payload = b"\xd0" + payload
    envelope = seal(payload, status, key)
    if kind is FaultKind.WRONG_SIGNATURE:
        # The last base64 group holds the end of the GCM tag.
        data = envelope["data"]
        place = len(data) - 6
        envelope["data"] = data[:place] + ("B" if data[place] == "A" else "A") + data[place + 1 :]
    if kind is FaultKind.OVERSIZED:
        envelope["data"] += "A" * _OVER_THE_LIMIT
    return msgspec.json.encode(envelope)
