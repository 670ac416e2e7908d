"""A third platform beside the dev stack's two: plain JSON, declared by a file, asked by a worker of its own.

The worker is a second machine's: the same database, the same settings, and one platform more.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

from bashu.profiles import Profile
from database import open_database
from gateway.dev_registry import OPERATOR_INSTITUTION, SANDBOX_LICENCE
from gateway.identity.admin import Actor, Administration
from gateway.identity.model import ExportPolicy, Platform, PlatformAccess, PlatformKind, Role
from gateway.identity.sealing import NameSeal
from gateway.serve import reserve_port
from loadtest.stack import Stack
from standards.catalogue import load_standard
from tests.platform_stage import SECRET
from tests.rest_json_stage import RestJsonStage

ITEMS = ("enterprise_registration", "administrative_penalty", "tax_arrears", "platform_score")
START_TIMEOUT_S = 60.0
_ADMIN = Actor(participant_id="admin-1", institution=OPERATOR_INSTITUTION, role=Role.GATEWAY_ADMIN)
_PLATFORM = """
[platforms.example]
adapter = "rest_json"
url = "{url}"
region = "500000"
platform_kind = "REGIONAL_CREDIT_PLATFORM"
name_zh = "模拟平台示例"
name_en = "simulated platform example"
agreement_id = "SANDBOX-AGREEMENT-example"
pia_id = "SANDBOX-PIA-example"
[platforms.example.licence]
kind = "ENTERPRISE_CREDIT_FILING"
number = "SANDBOX LICENCE 沙箱许可"
authority = "sandbox"
valid_from = "2026-01-01"
[platforms.example.secrets]
description = "{description}"
api_key = "{api_key}"
"""


@contextlib.contextmanager
def third_platform(stack: Stack, folder: Path) -> Iterator[tuple[RestJsonStage, Profile]]:
    """Yield the platform, and the lender's profile at the worker that asks it too."""
    with _serving(folder) as platform:
        asyncio.run(_register(stack))
        settings = folder / "gateway.toml"
        tables = _PLATFORM.format(url=platform.url, description=platform.file, api_key=folder / "api_key")
        settings.write_text((stack.state / "gateway.toml").read_text() + tables)
        settings.chmod(0o600)
        with reserve_port("127.0.0.1", 0) as reserved, _worker(settings, reserved.getsockname()[1]) as endpoint:
            yield platform, replace(Profile.of_dev_stack(stack.state, "bank-cq"), endpoint=endpoint)


@contextlib.contextmanager
def _serving(folder: Path) -> Iterator[RestJsonStage]:
    """Serve from a thread of its own: one platform for tests whose loops come and go."""
    (folder / "api_key").touch(mode=0o600)
    platform = RestJsonStage(folder=folder)
    platform.kinds |= {"arrears": [], "score": {"score": 83.5, "calculatedAt": 1795325400000}}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(platform.start(), loop).result(10)
        yield platform
        asyncio.run_coroutine_threadsafe(platform.stop(), loop).result(10)
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _register(stack: Stack) -> None:
    keys = {
        name: bytes.fromhex((stack.state / "keys" / f"{name}.key").read_text())
        for name in ("name_seal", "operator_commitment")
    }
    administration = Administration(
        origin="bashu.example/dev", seal=NameSeal(keys["name_seal"]), operator_key=keys["operator_commitment"]
    )
    platform = Platform(
        platform_id="example",
        region="500000",
        kind=PlatformKind.REGIONAL_CREDIT_PLATFORM,
        name_zh="模拟平台示例",
        name_en="simulated platform example",
        agreement_id="SANDBOX-AGREEMENT-example",
        pia_id="SANDBOX-PIA-example",
        licences=(SANDBOX_LICENCE,),
    )
    access = PlatformAccess(
        platform_id="example",
        institution="bank-cq",
        data_items=frozenset(ITEMS),
        purposes=frozenset(purpose.purpose_id for purpose in load_standard().purposes.all()),
        export_policy=ExportPolicy.VALUES,
        daily_quota=1_000,
        valid_to=date(2099, 12, 31),
        confirmed=True,
    )
    db = await open_database((stack.state / "dsn" / "gateway").read_text(), min_size=1, max_size=1)
    try:
        async with db.transaction() as tx:
            await administration.register_platform(tx, platform, actor=_ADMIN)
            await administration.set_access(tx, access, actor=_ADMIN)
    finally:
        await db.close()


@contextlib.contextmanager
def _worker(settings: Path, port: int) -> Iterator[str]:
    ready, log = settings.with_suffix(".ready"), settings.with_suffix(".log")
    command = [sys.executable, "-m", "gateway.worker", "--settings", str(settings), "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [*command, "--ready", str(ready), "--number", "90"], stdout=output, stderr=output, stdin=subprocess.DEVNULL
        )
        try:
            give_up = time.monotonic() + START_TIMEOUT_S
            while not ready.exists():
                if process.poll() is not None or time.monotonic() > give_up:
                    raise RuntimeError(f"the worker did not start: {log.read_text()[-2000:]}")
                time.sleep(0.05)
            yield f"127.0.0.1:{port}"
        finally:
            os.kill(process.pid, signal.SIGTERM)
            process.wait(30)


__all__ = ["ITEMS", "SECRET", "third_platform"]
