"""A stage of both simulated platforms in the test's process, on free ports, with an adapter for each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import SimpleNamespace

from aiohttp import web

from adapters.registry import load_one
from core.clock import SystemClock
from sandbox.books import Books
from sandbox.chongqing import server as chongqing
from sandbox.clock import open_clocks
from sandbox.credentials import open_credentials
from sandbox.faults import Faults
from sandbox.letters import SecondChecker
from sandbox.sichuan import server as sichuan
from sandbox.world import make_world
from standards.catalogue import load_standard
from tests.platform_stage import a_config


@asynccontextmanager
async def open_platforms(folder: Path, *, checker: SecondChecker | None = None) -> AsyncIterator[SimpleNamespace]:
    """Serve both platforms; yields ``adapters`` by platform, their one data clock in ``clocks``, and ``books``."""
    clocks, books, faults = open_clocks(SystemClock(), folder), Books(), Faults()
    world = make_world(clocks.data, enterprises=100)
    credentials = open_credentials(folder)
    (folder / "hmac").write_text(credentials.chongqing.secret)
    apps = {
        "chongqing": chongqing.build_app(
            world,
            books,
            faults=faults,
            clocks=clocks,
            credentials={credentials.chongqing.jgdm: credentials.chongqing.secret},
            signing_key=credentials.signing_key,
            checker=checker,
        ),
        "sichuan": sichuan.build_app(
            world=world,
            books=books,
            faults=faults,
            clocks=clocks,
            credentials=credentials.sichuan,
            envelope_key=credentials.envelope_key,
            checker=checker,
        ),
    }
    secrets = {
        "chongqing": {"hmac_key": folder / "hmac", "qm_keys": credentials.chongqing_keys_file},
        "sichuan": {
            "credentials": credentials.sichuan_file,
            "private_key": credentials.sichuan_private_key_file,
        },
    }
    options = {
        "chongqing": {"caller_code": credentials.chongqing.jgdm},
        "sichuan": {"key_id": credentials.envelope_key.kid},
    }
    async with AsyncExitStack() as held:
        adapters, configs = {}, {}
        for name, app in apps.items():
            runner = web.AppRunner(app, shutdown_timeout=0.1)
            await runner.setup()
            held.push_async_callback(runner.cleanup)
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            stage = SimpleNamespace(platform_id=name, url=f"http://127.0.0.1:{runner.addresses[0][1]}")
            configs[name] = config = a_config(stage, secrets=secrets[name], options=options[name])
            adapters[name] = load_one(config, standard=load_standard(), clock=SystemClock())
            held.push_async_callback(adapters[name].close)
        yield SimpleNamespace(adapters=adapters, clocks=clocks, books=books, configs=configs, faults=faults)
