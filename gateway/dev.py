"""`bashu-gateway dev`: everything on one machine, for a first look, tests and demos.

Embedded PostgreSQL, both sandbox platforms, sealer and workers run as child processes of this one and end with it.
``dev.json`` is written once everything answers and removed when it no longer does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from core.lifetime import stop_event
from database import Database, migrate, open_database
from database.embedded import EmbeddedPostgres
from gateway.certificates import KeyPair
from gateway.dev_registry import DevParticipant, dev_participants, seed_registry
from gateway.dev_state import (
    ORIGIN,
    SANDBOX_CALLER,
    DevState,
    describe,
    open_state,
    write_dsns,
    write_settings,
)
from gateway.identity.admin import Administration
from gateway.identity.sealing import NameSeal
from gateway.processes import Program, keep_running
from gateway.serve import reserve_port, worker_programs
from gateway.settings import load_settings, read_secret
from standards.catalogue import load_standard

START_TIMEOUT_S: Final = 60.0
"""For the sandbox, and again for the workers; both need a second or two."""
_POLL_S: Final = 0.02

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"


class DevStartFailed(Exception):  # noqa: N818 - named after the fact
    """A part did not start; the message names it and its log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DevOptions:
    """What the command line says. Port 0 picks a free one."""

    state: Path
    grpc_port: int = 0
    workers: int = 1
    profile: str = "instant"
    persons: bool = False
    plaintext: bool = False


async def run_dev(options: DevOptions, *, say: Callable[[str], None]) -> None:
    """Run the stack until SIGTERM or Ctrl-C; a second start on the same folder continues with the same data.

    Raises:
        DevStartFailed, database.binaries.EmbeddedPostgresError, database.MigrationRefused: a part did not start.
    """
    stop = stop_event()
    state = open_state(options.state.absolute())
    state.description.unlink(missing_ok=True)
    async with _postgres(state, say) as postgres:
        write_dsns(state, postgres)
        await migrate(postgres.dsn("bashu_owner"), MIGRATIONS, progress=say)
        participants = dev_participants(state.root / "keys", state.authority)
        standard = load_standard()
        async with _database(postgres.dsn("bashu_gateway")) as db:
            await seed_registry(
                db,
                administration=_administration(state),
                participants=participants,
                standard=standard,
                with_persons=options.persons,
            )
        await _run_parts(options, state, postgres, participants, stop=stop, say=say)
    say("stopped")


async def _run_parts(
    options: DevOptions,
    state: DevState,
    postgres: EmbeddedPostgres,
    participants: list[DevParticipant],
    *,
    stop: asyncio.Event,
    say: Callable[[str], None],
) -> None:
    pids: dict[str, Any] = {"gateway": [], "sandbox": [], "postgres": postgres.pid, "sealer": None, "dev": os.getpid()}
    async with asyncio.TaskGroup() as group:
        sandbox_file = state.sandbox / "sandbox.json"
        sandbox_file.unlink(missing_ok=True)
        group.create_task(
            keep_running(
                _sandbox_program(options, state),
                stop,
                output=state.root / "sandbox.log",
                on_start=lambda pid: pids.update(sandbox=[pid]),
            )
        )
        if not await _appears([sandbox_file], stop, what="the sandbox", log=state.root / "sandbox.log"):
            return
        sandbox = json.loads(sandbox_file.read_text())
        write_settings(
            state, sandbox=sandbox, plaintext=options.plaintext, persons=options.persons, workers=options.workers
        )
        settings = load_settings(state.settings_file)
        seal = Program(
            name="sealer",
            module="gateway.cli",
            arguments=("sealer", "--settings", str(state.settings_file)),
            environment={},
        )
        group.create_task(
            keep_running(seal, stop, output=state.root / "sealer.log", on_start=lambda pid: pids.update(sealer=pid))
        )
        with reserve_port("127.0.0.1", options.grpc_port) as reserved:
            port = reserved.getsockname()[1]
            programs = worker_programs(state.settings_file, settings, port=port, run=state.run, workers=options.workers)
            state.run.mkdir(mode=0o700, exist_ok=True)
            workers = dict.fromkeys(program.name for program in programs)

            def tell() -> None:
                pids["gateway"] = [pid for pid in workers.values() if pid is not None]
                if state.description.exists():
                    write()

            def write() -> None:
                describe(
                    state,
                    grpc_address=f"127.0.0.1:{port}",
                    postgres_dsn=postgres.dsn("bashu_reader"),
                    pids=pids,
                    participants=participants,
                    sandbox=sandbox,
                    plaintext=options.plaintext,
                )

            for program in programs:
                (state.run / f"{program.name}.ready").unlink(missing_ok=True)

                def started(pid: int, name: str = program.name) -> None:
                    workers[name] = pid
                    tell()

                group.create_task(keep_running(program, stop, output=state.root / "gateway.log", on_start=started))
            ready = [state.run / f"{program.name}.ready" for program in programs]
            if await _appears(ready, stop, what="the gateway", log=state.root / "gateway.log"):
                write()
                say(f"gRPC 127.0.0.1:{port}  ({state.description})")
                for name, url in sandbox["platforms"].items():
                    say(f"{name} {url}")
                say(f"sandbox control {sandbox['control']}")
                await stop.wait()
            say("stopping")
            state.description.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _postgres(state: DevState, say: Callable[[str], None]) -> AsyncIterator[EmbeddedPostgres]:
    postgres = EmbeddedPostgres(state.root / "postgres")
    began = time.monotonic()
    await asyncio.to_thread(postgres.start)
    say(f"PostgreSQL {postgres.major} on 127.0.0.1:{postgres.port} ({time.monotonic() - began:.1f} s)")
    try:
        yield postgres
    finally:
        await asyncio.to_thread(postgres.stop)


@contextlib.asynccontextmanager
async def _database(dsn: str) -> AsyncIterator[Database]:
    db = await open_database(dsn, min_size=1, max_size=2, application_name="bashu-dev")
    try:
        yield db
    finally:
        await db.close()


def _administration(state: DevState) -> Administration:
    keys = {
        name: bytes.fromhex(read_secret(state.secret(name), setting=f"keys.{name}").decode())
        for name in ("name_seal", "operator_commitment")
    }
    return Administration(origin=ORIGIN, seal=NameSeal(keys["name_seal"]), operator_key=keys["operator_commitment"])


def _sandbox_program(options: DevOptions, state: DevState) -> Program:
    server: KeyPair = state.authority.server("sandbox")
    arguments = ["--state", str(state.sandbox), "--profile", options.profile]
    arguments += ["--ca", str(state.authority.certificate), "--certificate", str(server.certificate)]
    arguments += ["--key", str(server.key)]
    state.authority.client(SANDBOX_CALLER)
    return Program(name="sandbox", module="sandbox", arguments=arguments, environment={})


async def _appears(files: list[Path], stop: asyncio.Event, *, what: str, log: Path) -> bool:
    """Wait until every file exists; False where told to stop before.

    Raises:
        DevStartFailed: it takes too long.
    """
    give_up = time.monotonic() + START_TIMEOUT_S
    while not all(file.exists() for file in files):
        if stop.is_set():
            return False
        if time.monotonic() > give_up:
            os.kill(os.getpid(), signal.SIGTERM)
            raise DevStartFailed(f"{what} did not start within {START_TIMEOUT_S:.0f} s; see {log}")
        await asyncio.sleep(_POLL_S)
    return True
