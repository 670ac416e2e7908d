"""The sandbox as one process: both platforms and their control, each on a loopback socket of its own."""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web

from core.clock import Clock
from sandbox.books import Books
from sandbox.chongqing.server import build_app as build_chongqing
from sandbox.clock import open_clocks
from sandbox.control import build_control_app
from sandbox.credentials import Credentials, open_credentials, write_private
from sandbox.facts import PlatformId
from sandbox.faults import Faults
from sandbox.letters import read_authorities
from sandbox.profiles import Conduct, Profile
from sandbox.sichuan.server import build_app as build_sichuan
from sandbox.world import make_world

HOST: Final = "127.0.0.1"
READY_FILE: Final = "sandbox.json"
_STOP_S: Final = 1.0
"""Answers under way at SIGTERM get this long; the silent ones would never end by themselves."""

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Files of the server side; ``ca`` signs the client certificates that chongqing asks for."""

    ca: Path
    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What a start needs. ``tls`` None: plain HTTP. Ports 0: free ones."""

    state: Path
    tls: Tls | None
    seed: int
    enterprises: int
    persons: int
    chongqing_port: int = 0
    sichuan_port: int = 0
    control_port: int = 0
    callback_url: str | None = None
    profile: Profile = Profile.INSTANT
    authorities: Path | None = None
    """Whom the platforms trust as second checkers; None: they verify no letter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """Where the parts listen."""

    chongqing: str
    sichuan: str
    control: str


@asynccontextmanager
async def running(settings: Settings, clock: Clock) -> AsyncIterator[Running]:
    """Serve until the context ends; ``STATE/sandbox.json`` exists while everything answers."""
    settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
    ready_file = settings.state / READY_FILE
    # What an earlier run left names ports that nobody listens on.
    ready_file.unlink(missing_ok=True)
    credentials = open_credentials(settings.state)
    async with AsyncExitStack() as stack:
        addresses = await _serve(stack, settings, credentials, clock)
        write_private(ready_file, msgspec.json.encode(_description(addresses, credentials)))
        stack.callback(ready_file.unlink, missing_ok=True)
        _log.info("sandbox_ready", chongqing=addresses.chongqing, sichuan=addresses.sichuan)
        yield addresses


async def _serve(stack: AsyncExitStack, settings: Settings, credentials: Credentials, clock: Clock) -> Running:
    clocks = open_clocks(clock, settings.state)
    world = make_world(clocks.data, seed=settings.seed, enterprises=settings.enterprises, persons=settings.persons)
    books, faults = Books(), Faults()
    checker = None if settings.authorities is None else read_authorities(settings.authorities)
    chongqing_app = build_chongqing(
        world,
        books,
        faults=faults,
        clocks=clocks,
        credentials={credentials.chongqing.jgdm: credentials.chongqing.secret},
        signing_key=credentials.signing_key,
        conduct=Conduct(settings.profile, name=PlatformId.CHONGQING, clock=clocks.chongqing, seed=settings.seed),
        checker=checker,
    )
    sichuan_app = build_sichuan(
        world=world,
        books=books,
        faults=faults,
        clocks=clocks,
        credentials=credentials.sichuan,
        envelope_key=credentials.envelope_key,
        callback_url=settings.callback_url,
        conduct=Conduct(settings.profile, name=PlatformId.SICHUAN, clock=clocks.sichuan, seed=settings.seed),
        checker=checker,
    )
    control_app = build_control_app(world=world, books=books, faults=faults, clocks=clocks)
    mutual = None if settings.tls is None else _tls_context(settings.tls, asks_for_certificate=True)
    one_sided = None if settings.tls is None else _tls_context(settings.tls, asks_for_certificate=False)
    return Running(
        chongqing=await _listen(stack, chongqing_app, settings.chongqing_port, mutual),
        sichuan=await _listen(stack, sichuan_app, settings.sichuan_port, one_sided),
        control=await _listen(stack, control_app, settings.control_port, None),
    )


async def _listen(stack: AsyncExitStack, app: web.Application, port: int, tls: ssl.SSLContext | None) -> str:
    # A caller that hangs up ends its handler: else every silent call would live on until its own end.
    runner = web.AppRunner(app, handler_cancellation=True, access_log=None, shutdown_timeout=_STOP_S)
    await runner.setup()
    stack.push_async_callback(runner.cleanup)
    await web.TCPSite(runner, HOST, port, ssl_context=tls).start()
    bound = runner.addresses[0][1]
    return f"{'http' if tls is None else 'https'}://{HOST}:{bound}"


def _tls_context(tls: Tls, *, asks_for_certificate: bool) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(tls.certificate, tls.key)
    if asks_for_certificate:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(tls.ca)
    return context


def _description(addresses: Running, credentials: Credentials) -> dict[str, Any]:
    """Return ``sandbox.json``: addresses, and paths of what an adapter's settings need."""
    return {
        "pid": os.getpid(),
        "platforms": {"chongqing": addresses.chongqing, "sichuan": addresses.sichuan},
        "control": addresses.control,
        "chongqing_keys": str(credentials.chongqing_keys_file),
        "credentials": {
            "chongqing": str(credentials.chongqing_file),
            "sichuan": str(credentials.sichuan_file),
            "sichuan_private_key": str(credentials.sichuan_private_key_file),
            "sichuan_public_key": str(credentials.sichuan_public_key_file),
        },
    }
