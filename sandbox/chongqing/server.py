"""The platform's HTTP side (docs/platforms/chongqing.md section 1): HTTP 200 for whatever it answers itself."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

import structlog
from aiohttp import web

from sandbox.books import Books
from sandbox.chongqing.authorisations import AuthorisationBook
from sandbox.chongqing.gate import Call, Gate
from sandbox.chongqing.jobs import JobBook
from sandbox.chongqing.limits import Limits
from sandbox.chongqing.messages import compact_time
from sandbox.chongqing.platform import Platform, Silence, Written, most_bytes
from sandbox.chongqing.serials import SerialBook
from sandbox.chongqing.state import State
from sandbox.clock import Clocks
from sandbox.credentials import SigningKey
from sandbox.disputes import DisputeDesk
from sandbox.facts import PlatformId
from sandbox.faults import SLOW_S, Faults
from sandbox.letters import SecondChecker
from sandbox.profiles import POLL, SUBMIT, Conduct, instant
from sandbox.world import World

_ANSWER_TYPE: Final = "text/xml; charset=GB18030"
_STALL_LOOK_S: Final = 1.0
LONGEST_REVIEW_S: Final = 120.0
_LATENCY: Final = {"/yjzx/v3/sq/ba": SUBMIT, "/yjzx/v3/bg/tj": SUBMIT}
_RESET_ON_CLOSE: Final = struct.pack("ii", 1, 0)
"""SO_LINGER on, for 0 s: closing sends RST instead of FIN."""


def build_app(
    world: World,
    books: Books,
    *,
    faults: Faults,
    clocks: Clocks,
    credentials: Mapping[str, str],
    signing_key: SigningKey,
    review: timedelta = timedelta(0),
    conduct: Conduct | None = None,
    checker: SecondChecker | None = None,
) -> web.Application:
    """Return the platform as an application of its own, to be served over TLS that asks for client certificates.

    ``credentials`` is JGDM to shared secret, ``review`` how long an authorisation is under review in profile
    ``instant`` (``conduct`` None). State lives in the application: a new one knows no authorisation and no job.
    """
    conduct = conduct or instant(PlatformId.CHONGQING, clocks.chongqing)
    state = State(
        world=world,
        book=books.chongqing,
        clocks=clocks,
        authorisations=AuthorisationBook(review=lambda: review or conduct.review(LONGEST_REVIEW_S)),
        serials=SerialBook(),
        jobs=JobBook(),
        conduct=conduct,
        checker=checker,
        disputes=DisputeDesk("YY"),
    )
    endpoint = _Endpoint(
        Platform(
            state=state,
            gate=Gate(credentials),
            faults=faults,
            limits=Limits(conduct, clocks.chongqing),
            signing_key=signing_key,
        )
    )
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", endpoint.handle)
    app.on_shutdown.append(endpoint.stop)
    return app


class _Endpoint:
    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stopping = asyncio.Event()
        self._log = structlog.get_logger(__name__)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one request."""
        answer = self._platform.answer(_call(request, await _body(request)))
        self._log.debug("chongqing_answered", path=request.path, silence=isinstance(answer, Silence))
        await asyncio.sleep(self._platform.state.conduct.seconds(_LATENCY.get(request.path, POLL)))
        match answer:
            case Written():
                return await self._sent(request, answer)
            case Silence.STALL:
                await self._stall(request)
            case Silence.RESET:
                _reset(request)
            case Silence.HTTP_500:
                pass
        return web.Response(status=500, text="Internal Server Error")

    async def _sent(self, request: web.Request, answer: Written) -> web.StreamResponse:
        now = compact_time(self._platform.state.clocks.chongqing.now())
        headers = {"Content-Type": _ANSWER_TYPE, "X-CQ-SJC": now}
        if answer.is_slow:
            await asyncio.sleep(SLOW_S)
        if not answer.is_cut:
            return web.Response(body=answer.body, headers=headers)
        half = web.StreamResponse(headers={**headers, "Content-Length": str(len(answer.body))})
        await half.prepare(request)
        await half.write(answer.body[: len(answer.body) // 2])
        await self._stall(request)
        _reset(request)
        return half

    async def stop(self, _: web.Application) -> None:
        """Release every stalled call."""
        self._stopping.set()

    async def _stall(self, request: web.Request) -> None:
        """Say nothing until the caller hangs up or the platform stops."""
        while not self._stopping.is_set() and request.transport is not None and not request.transport.is_closing():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), _STALL_LOOK_S)


async def _body(request: web.Request) -> bytes:
    """Return the body, cut one byte after the limit so that the reader sees that it is too long."""
    body, most = bytearray(), most_bytes(request.path)
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > most:
            break
    return bytes(body[: most + 1])


def _call(request: web.Request, body: bytes) -> Call:
    headers = request.headers
    return Call(
        method=request.method,
        path=request.rel_url.raw_path,
        content_type="" if "Content-Encoding" in headers else headers.get("Content-Type", ""),
        jgdm=headers.get("X-CQ-JGDM", ""),
        sjc=headers.get("X-CQ-SJC", ""),
        nonce=headers.get("X-CQ-NONCE", ""),
        sign=headers.get("X-CQ-SIGN", ""),
        intent=headers.get("X-CQ-YT", ""),
        body=body,
        certificate_name=_certificate_name(request),
    )


def _certificate_name(request: web.Request) -> str | None:
    """Return the client certificate's subject CN; None without TLS, nothing when TLS came without one."""
    if request.transport is None or request.transport.get_extra_info("ssl_object") is None:
        return None
    certificate = request.transport.get_extra_info("peercert") or {}
    names = [value for part in certificate.get("subject", ()) for key, value in part if key == "commonName"]
    return names[0] if len(names) == 1 else ""


def _reset(request: web.Request) -> None:
    if request.transport is None:
        return
    connection = request.transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
    request.transport.abort()
