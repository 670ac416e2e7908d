"""A proxy between an adapter and its platform, on loopback: it hands calls on, watches them, and breaks them on demand.

It knows nothing of any platform's protocol, so the same faults fit them all.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from adapters.kit.config import PlatformConfig

HOST: Final = "127.0.0.1"
MAX_BODY: Final = 8 * 1024 * 1024
MIB: Final = 1024 * 1024
_HOP_BY_HOP: Final = frozenset(
    {"connection", "keep-alive", "transfer-encoding", "te", "trailer", "upgrade", "host", "content-length", "date"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """One answer of the platform as it came."""

    path: str
    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """A fault: what is answered instead. ``asks_first`` False: the platform is not asked, so its books stay clean."""

    answer: Callable[[web.Request, Passed], Awaitable[web.StreamResponse]]
    asks_first: bool = False


@dataclass(slots=True)
class Watched:
    """What went through: calls by path as begun, answers as passed, how many were under way at once."""

    calls: list[str] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    headers: list[Mapping[str, str]] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0


class Between:
    """Listens on loopback while entered; ``url`` is what the adapter is told instead of the platform's address."""

    def __init__(self, config: PlatformConfig) -> None:
        parts = urlsplit(config.url)
        self._base = f"{parts.scheme}://{parts.netloc}"
        self._prefix = parts.path.rstrip("/")
        self._config = config
        self.watched = Watched()
        self.url = ""
        self._break: Break | None = None
        self._only: str | None = None
        self._left: int | None = None

    async def __aenter__(self) -> Self:
        """Listen."""
        connector = aiohttp.TCPConnector(ssl=_upstream(self._config) if self._base.startswith("https") else False)
        self._http = aiohttp.ClientSession(
            connector=connector, auto_decompress=False, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False
        )
        app = web.Application(client_max_size=MAX_BODY)
        app.router.add_route("*", "/{tail:.*}", self._handle)
        self._runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop listening and close every connection."""
        await self._runner.cleanup()
        await self._http.close()

    def breaks(self, fault: Break, *, path: str | None = None, times: int | None = None) -> None:
        """Put ``fault`` in the place of answers: of calls to ``path`` alone, so many ``times``; None means all."""
        self._break, self._only, self._left = fault, path, times

    def mends(self) -> None:
        """Hand everything on again, and forget what was watched."""
        self._break, self._only, self._left = None, None, None
        self.watched = Watched()

    async def vanish(self) -> None:
        """Stop listening, so that connections are refused."""
        for site in list(self._runner.sites):
            await site.stop()

    async def _listen(self) -> None:
        await web.TCPSite(self._runner, HOST, 0).start()
        self.url = f"http://{HOST}:{self._runner.addresses[0][1]}{self._prefix}"

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        watched = self.watched
        watched.calls.append(request.path)
        watched.headers.append(dict(request.headers))
        watched.under_way += 1
        watched.most_under_way = max(watched.most_under_way, watched.under_way)
        try:
            fault = self._fault(request.path)
            if fault is not None and not fault.asks_first:
                await request.read()
                return await fault.answer(request, Passed(path=request.path, status=0, headers={}, body=b""))
            passed = await self._ask(request)
            watched.passed.append(passed)
            return with_body(passed, passed.body) if fault is None else await fault.answer(request, passed)
        finally:
            watched.under_way -= 1

    def _fault(self, path: str) -> Break | None:
        if self._break is None or (self._only is not None and path != self._only) or self._left == 0:
            return None
        self._left = None if self._left is None else self._left - 1
        return self._break

    async def _ask(self, request: web.Request) -> Passed:
        headers = {name: value for name, value in request.headers.items() if name.lower() not in _HOP_BY_HOP}
        async with self._http.request(
            request.method,
            self._base + request.raw_path,
            data=await request.read() or None,
            headers=headers,
            allow_redirects=False,
        ) as answer:
            body = await answer.read()
            return Passed(path=request.path, status=answer.status, headers=dict(answer.headers), body=body)


def _upstream(config: PlatformConfig) -> ssl.SSLContext:
    ca, certificate, key = (config.secrets.get(name) for name in ("ca", "certificate", "certificate_key"))
    context = ssl.create_default_context(cafile=None if ca is None else str(ca))
    if certificate is not None and key is not None:
        context.load_cert_chain(certificate, key)
    return context


def with_body(passed: Passed, body: bytes) -> web.Response:
    """Return the platform's answer with another body."""
    headers = {name: value for name, value in passed.headers.items() if name.lower() not in _HOP_BY_HOP}
    return web.Response(status=passed.status or 200, headers=headers, body=body)


async def _stalls(_request: web.Request, _: Passed) -> web.StreamResponse:
    """Never answer."""
    await asyncio.Event().wait()
    return web.Response()


async def _resets(request: web.Request, _: Passed) -> web.StreamResponse:
    """Cut the connection before a byte of the answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response()


async def _breaks_off(request: web.Request, passed: Passed) -> web.StreamResponse:
    """Promise the whole answer and send half of it."""
    response = web.StreamResponse(status=passed.status, headers={"Content-Length": str(len(passed.body) + 1)})
    await response.prepare(request)
    await response.write(passed.body[: len(passed.body) // 2])
    if request.transport is not None:
        request.transport.close()
    return response


async def _drips(request: web.Request, _: Passed) -> web.StreamResponse:
    """Send a byte now and then: something always comes, nothing ever ends."""
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b" ")
        await asyncio.sleep(0.02)


async def _oversized(request: web.Request, _: Passed) -> web.StreamResponse:
    """Send more than any answer may have, without saying how much."""
    response = web.StreamResponse()
    response.enable_chunked_encoding()
    await response.prepare(request)
    for _part in range(5):
        await response.write(b"x" * (MIB // 2))
    await response.write_eof()
    return response


async def _oversized_as_said(_request: web.Request, _: Passed) -> web.StreamResponse:
    """Say that more will come than any answer may have."""
    return web.Response(body=b"x" * (3 * MIB))


def status_of(status: int, body: bytes = b"", **headers: str) -> Break:
    """Answer with a status, as something in between does; the platform is not asked."""

    async def says(_request: web.Request, _: Passed) -> web.StreamResponse:
        return web.Response(status=status, body=body, headers=headers)

    return Break(answer=says)


def body_of(change: Callable[[Passed], bytes]) -> Break:
    """Answer with another body than the platform's."""

    async def changes(_request: web.Request, passed: Passed) -> web.StreamResponse:
        return with_body(passed, change(passed))

    return Break(answer=changes, asks_first=True)


stalls: Final = Break(answer=_stalls)
resets: Final = Break(answer=_resets)
breaks_off: Final = Break(answer=_breaks_off, asks_first=True)
drips: Final = Break(answer=_drips)
oversized: Final = Break(answer=_oversized)
oversized_as_said: Final = Break(answer=_oversized_as_said)


def secret_texts(files: Mapping[str, Path]) -> tuple[str, ...]:
    """Return what of the secrets could show in a log: short texts; keys and certificates in PEM by their lines."""
    found: list[str] = []
    for name, file in files.items():
        if name == "description" or not file.is_file():
            continue
        text = file.read_bytes().decode("utf-8", "ignore")
        found.extend(line.strip() for line in text.splitlines() if len(line.strip()) >= 8 and "-----" not in line)  # noqa: PLR2004
    return tuple(found)
