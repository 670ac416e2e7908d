"""The log over plain HTTP GET, as C2SP tlog-tiles lays it out: checkpoint and tiles for everybody, entries for few.

An auditor, a witness or a mirror needs nothing but a web client to follow the log. Entry bundles ask for the same
bearer token and client certificate as gRPC, and are recorded as views before they leave.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable
from typing import Final

import structlog
from aiohttp import web

from core.errors import BashuError, Reason
from database import Database, DatabaseUnavailable
from gateway.identity.model import Caller, Role
from gateway.identity.tokens import Authenticator
from gateway.reviews import Reviews
from gateway.settings import ServerSettings
from ledger import publish, store
from ledger.merkle import TILE_WIDTH
from ledger.tiles import CHECKPOINT_TYPE, TILE_TYPE, LayoutError, TilePath, parse_path

FOR_EVER: Final = "public, max-age=31536000, immutable"
"""What a tile's name says is in it never changes, partial tiles included (tlog-tiles, section Partial Tiles)."""
NOT_KEPT: Final = "no-store"
CHECKPOINT_AGE: Final = "public, max-age=1, must-revalidate"
_READERS: Final = frozenset({Role.COMPLIANCE, Role.AUDITOR})
_MOST_REQUEST_BYTES: Final = 1024
_MOST_HEADER_BYTES: Final = 8190
_KEEPALIVE_S: Final = 30.0
_STOP_S: Final = 5.0
_UNAUTHENTICATED: Final = frozenset(
    {Reason.TOKEN_INVALID, Reason.TOKEN_EXPIRED, Reason.TOKEN_BINDING_MISMATCH, Reason.CLOCK_SKEW}
)
_LOG: Final = structlog.get_logger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class TileServer:
    """One worker's HTTP port; workers share it."""

    def __init__(
        self, db: Database, *, authenticator: Authenticator, reviews: Reviews, settings: ServerSettings
    ) -> None:
        self._db = db
        self._authenticator = authenticator
        self._reviews = reviews
        self._settings = settings
        self._runner: web.AppRunner | None = None
        self.port: int | None = None
        """Where it listens once started; None where ``http_port`` is not set."""

    async def start(self) -> None:
        """Accept requests, if the settings name a port."""
        if self._settings.http_port is None:
            return
        self._runner = web.AppRunner(
            self.application(),
            access_log=None,
            keepalive_timeout=_KEEPALIVE_S,
            max_line_size=_MOST_REQUEST_BYTES,
            max_field_size=_MOST_HEADER_BYTES,
        )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self._settings.host,
            self._settings.http_port,
            ssl_context=_tls(self._settings),
            reuse_port=True,
            shutdown_timeout=_STOP_S,
        )
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Finish what is under way and close."""
        if self._runner is not None:
            await self._runner.cleanup()

    def application(self) -> web.Application:
        """Return the routes."""
        application = web.Application(middlewares=[_answer_errors], client_max_size=_MOST_REQUEST_BYTES)
        application.add_routes([web.get("/checkpoint", self._checkpoint), web.get("/tile/{rest:.+}", self._tile)])
        return application

    async def _checkpoint(self, _request: web.Request) -> web.Response:
        signed = await store.latest_checkpoint(self._db)
        if signed is None:
            raise web.HTTPNotFound(text="no checkpoint has been signed yet\n")
        return _answer(signed.note.encode(), content_type=CHECKPOINT_TYPE, cache=CHECKPOINT_AGE)

    async def _tile(self, request: web.Request) -> web.Response:
        try:
            path = parse_path(request.path.removeprefix("/"))
        except LayoutError as error:
            raise web.HTTPNotFound(text=f"{error}\n") from error
        if path.level is None:
            return await self._bundle(request, path)
        hashes = await publish.read_tile(self._db, path)
        if hashes is None:
            raise web.HTTPNotFound(text="the signed tree does not reach this tile\n")
        return _answer(hashes, content_type=TILE_TYPE, cache=FOR_EVER)

    async def _bundle(self, request: web.Request, path: TilePath) -> web.Response:
        caller = await self._reader(request)
        bundle = await publish.read_bundle(self._db, path)
        if bundle is None:
            raise web.HTTPNotFound(text="the signed tree does not reach this bundle\n")
        begin = path.index * TILE_WIDTH
        reviewed = {"from_index": begin, "to_index": begin + path.width}
        await self._reviews.record(caller, "EntryBundle", count=path.width, reviewed=reviewed)
        return _answer(bundle, content_type=TILE_TYPE, cache=NOT_KEPT)

    async def _reader(self, request: web.Request) -> Caller:
        tls = request.transport.get_extra_info("ssl_object") if request.transport else None
        der = tls.getpeercert(binary_form=True) if tls is not None else None
        pem = ssl.DER_cert_to_PEM_cert(der).encode() if der else None
        caller = await self._authenticator.authenticate(request.headers.get("authorization"), pem)
        if caller.role not in _READERS:
            raise BashuError(Reason.ROLE_NOT_ALLOWED, "entry bundles are for COMPLIANCE and AUDITOR")
        return caller


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turn our errors into a status and one line; an error is never kept by a cache."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        refused.headers["cache-control"] = NOT_KEPT
        raise
    except DatabaseUnavailable as error:
        _LOG.warning("tile_request_failed", reason=error.reason)
        return _refused(503, error.reason)
    except BashuError as error:
        if error.reason in _UNAUTHENTICATED:
            return _refused(401, error.reason)
        status = {Reason.LEDGER_INCONSISTENT: 500, Reason.EVIDENCE_UNAVAILABLE: 503}.get(error.reason, 403)
        _LOG.info("tile_request_refused", reason=error.reason, status=status)
        return _refused(status, error.reason)


def _refused(status: int, reason: str) -> web.Response:
    headers = {"cache-control": NOT_KEPT}
    if status == 401:  # noqa: PLR2004 - RFC 9110 section 15.5.2
        headers["www-authenticate"] = "Bearer"
    return web.Response(status=status, text=f"{reason}\n", headers=headers)


def _answer(body: bytes, *, content_type: str, cache: str) -> web.Response:
    headers = {"content-type": content_type, "cache-control": cache, "x-content-type-options": "nosniff"}
    return web.Response(body=body, headers=headers)


def _tls(settings: ServerSettings) -> ssl.SSLContext | None:
    """Return the server's TLS; a client certificate is asked for and only entry bundles need one."""
    if settings.certificate is None or settings.certificate_key is None or settings.client_ca is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(settings.client_ca))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    context.load_cert_chain(settings.certificate, settings.certificate_key)
    return context
