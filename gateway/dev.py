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
from functools import partial
from pathlib import Path
from typing import Any, Final

from core.lifetime import stop_event
from database import Database, migrate, open_database
from database.embedded import EmbeddedPostgres
from database.roles import KEYS_DATABASE
from gateway.certificates import KeyPair
from gateway.dev_issuers import write_issuers
from gateway.dev_registry import DevParticipant, dev_participants, seed_registry
from gateway.dev_state import (
    ORIGIN,
    SANDBOX_CALLER,
    DevState,
    describe,
    log_vkeys,
    open_state,
    write_dsns,
    write_settings,
)
from gateway.identity.admin import Administration
from gateway.identity.sealing import NameSeal
from gateway.processes import Program, keep_running, spawn
from gateway.serve import reserve_port, worker_programs
from gateway.settings import load_settings, read_secret
from standards.catalogue import load_standard

START_TIMEOUT_S: Final = 60.0
"""For the sandbox, and again for the workers; both need a second or two."""
_POLL_S: Final = 0.02

MIGRATIONS: Final = Path(__file__).parents[1] / "migrations"
KEYS_MIGRATIONS: Final = MIGRATIONS / "keys"


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
    witness: bool = False
    plaintext: bool = False
    second_checker: bool = False


async def run_dev(options: DevOptions, *, say: Callable[[str], None]) -> None:
    """Run the stack until SIGTERM or Ctrl-C; a second start on the same folder continues with the same data.

    Raises:
        DevStartFailed, database.binaries.EmbeddedPostgresError, database.MigrationRefused: a part did not start.
    """
    stop = stop_event()
    try:
        state = open_state(options.state.absolute())
    except OSError as error:
        raise DevStartFailed(f"cannot use the state folder {options.state}: {error.strerror}") from error
    async with _postgres(state, say) as postgres:
        # Only now is the folder ours: before, a running stack's description would go.
        state.description.unlink(missing_ok=True)
        write_dsns(state, postgres)
        await migrate(postgres.dsn("bashu_owner"), MIGRATIONS, progress=say)
        await migrate(postgres.dsn("bashu_owner", KEYS_DATABASE), KEYS_MIGRATIONS)
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
        try:
            await _Parts(options, state, postgres, participants, stop=stop, say=say).run()
        except ExceptionGroup as group:
            failed = group.subgroup(DevStartFailed)
            raise group if failed is None else failed.exceptions[0] from None
    say("stopped")


class _Parts:
    """The child processes of one start: sandbox, sealer, workers; what ``dev.json`` says of them."""

    def __init__(
        self,
        options: DevOptions,
        state: DevState,
        postgres: EmbeddedPostgres,
        participants: list[DevParticipant],
        *,
        stop: asyncio.Event,
        say: Callable[[str], None],
    ) -> None:
        self._options = options
        self._state = state
        self._postgres = postgres
        self._participants = participants
        self._stop = stop
        self._say = say
        self._group = asyncio.TaskGroup()
        self._workers: dict[str, int] = {}
        self._pids: dict[str, Any] = {"gateway": [], "postgres": postgres.pid, "dev": os.getpid()}
        self._sandbox: dict[str, Any] = {}
        self._witness: dict[str, str] | None = None
        self._address = ""
        self._tiles_port = 0

    async def run(self) -> None:
        """Start the parts in order, describe them, and keep them running until told to stop."""
        with reserve_port("127.0.0.1", self._options.grpc_port) as reserved, reserve_port("127.0.0.1", 0) as tiles:
            port = reserved.getsockname()[1]
            self._tiles_port = tiles.getsockname()[1]
            self._address = f"127.0.0.1:{port}"
            async with self._group:
                if await self._start_sandbox() and await self._start_witness() and await self._start_gateway(port):
                    await self._first_enquiries()
                    self._describe(self._state.description)
                    self._say_ready()
                    await self._stop.wait()
                self._say("stopping")
                self._state.description.unlink(missing_ok=True)

    def _tiles_url(self) -> str:
        return f"{'http' if self._options.plaintext else 'https'}://127.0.0.1:{self._tiles_port}"

    def _say_ready(self) -> None:
        self._say(f"gRPC {self._address}")
        self._say(f"日志检查点与树块 checkpoint and tiles {self._tiles_url()}")
        for name, url in self._sandbox["platforms"].items():
            self._say(f"模拟平台 sandbox platform {name} {url}")
        if self._witness is not None:
            self._say(f"模拟见证方 simulated witness {self._witness['url']}; {self._state.root / 'witness.vkey'}")
        self._say(f"模拟平台控制与页面 sandbox control, and its page {self._sandbox['control']}")
        self._say(
            f"参与方 participants: {', '.join(member.participant.participant_id for member in self._participants)}"
        )
        self._say(f"就绪 ready; {self._state.description} describes it; Ctrl-C 停止 stops it")

    async def _start_sandbox(self) -> bool:
        ready = self._state.sandbox / "sandbox.json"
        ready.unlink(missing_ok=True)
        program = _sandbox_program(self._options, self._state, self._participants)
        log = self._keep(program, log="sandbox.log", on_start=lambda pid: self._pids.update(sandbox=[pid]))
        if not await _appears([ready], self._stop, what="the sandbox", log=log):
            return False
        self._sandbox = json.loads(ready.read_text())
        return True

    async def _start_witness(self) -> bool:
        """Start the simulated witness, where one was asked for; it listens elsewhere at each start."""
        if not self._options.witness:
            return True
        ready = self._state.sandbox / "witness.ready"
        ready.unlink(missing_ok=True)
        log = self._keep(_witness_program(self._state, ready), log="witness.log", on_start=lambda _: None)
        if not await _appears([ready], self._stop, what="the witness", log=log):
            return False
        self._witness = json.loads(ready.read_text())
        (self._state.root / "witness.vkey").write_text(f"{self._witness['vkey']}\n")
        return True

    async def _start_gateway(self, port: int) -> bool:
        state, options = self._state, self._options
        write_settings(
            state,
            sandbox=self._sandbox,
            plaintext=options.plaintext,
            persons=options.persons,
            workers=options.workers,
            witness=self._witness,
            is_instant=options.profile == "instant",
        )
        settings_file = state.settings_file
        sealer = Program(
            name="sealer", module="gateway.cli", arguments=("sealer", "--settings", str(settings_file)), environment={}
        )
        self._keep(sealer, log="sealer.log", on_start=self._sealer_started)
        settings = load_settings(settings_file)
        programs = worker_programs(
            settings_file, settings, port=port, http_port=self._tiles_port, run=state.run, workers=options.workers
        )
        state.run.mkdir(mode=0o700, exist_ok=True)
        ready = [state.run / f"{program.name}.ready" for program in programs]
        for file in ready:
            file.unlink(missing_ok=True)
        for program in programs:
            log = self._keep(program, log="gateway.log", on_start=partial(self._worker_started, program.name))
        return await _appears(ready, self._stop, what="the gateway", log=log)

    async def _first_enquiries(self) -> None:
        """Let the nine extra lenders ask, once in the life of a state folder (docs/platforms/subjects.md)."""
        done = self._state.run / "first_enquiries"
        if done.exists():
            return
        if self._options.profile != "instant":
            # Letters are under review for up to two minutes there: the nine would be answered by nobody.
            self._say(f"{self._options.profile}: 不作九家机构的首次查询 the nine lenders' first enquiries are left out")
            return
        self._describe(self._state.draft)
        program = Program(
            name="enquiries", module="loadtest.enquiries", arguments=(str(self._state.draft),), environment={}
        )
        process = await spawn(program, output=self._state.root / "enquiries.log")
        if await process.wait() != 0:
            raise DevStartFailed(f"the first enquiries failed; see {self._state.root / 'enquiries.log'}")
        self._state.draft.unlink()
        done.touch()

    def _keep(self, program: Program, *, log: str, on_start: Callable[[int], None]) -> Path:
        output = self._state.root / log
        self._group.create_task(keep_running(program, self._stop, output=output, on_start=on_start))
        return output

    def _sealer_started(self, pid: int) -> None:
        self._pids["sealer"] = pid
        if self._state.description.exists():
            self._describe(self._state.description)

    def _worker_started(self, name: str, pid: int) -> None:
        self._workers[name] = pid
        self._pids["gateway"] = list(self._workers.values())
        if self._state.description.exists():
            self._describe(self._state.description)

    def _describe(self, file: Path) -> None:
        describe(
            self._state,
            file=file,
            grpc_address=self._address,
            tiles=self._tiles_url(),
            postgres_dsn=self._postgres.dsn("bashu_reader"),
            pids=self._pids,
            participants=self._participants,
            sandbox=self._sandbox,
            plaintext=self._options.plaintext,
        )


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


def _sandbox_program(options: DevOptions, state: DevState, participants: list[DevParticipant]) -> Program:
    server: KeyPair = state.authority.server("sandbox")
    arguments = ["--state", str(state.sandbox), "--profile", options.profile]
    arguments += ["--ca", str(state.authority.certificate), "--certificate", str(server.certificate)]
    arguments += ["--key", str(server.key)]
    # Fixed for the life of the stack: a sandbox that dies comes back where the gateway's settings say it is.
    for option, port in zip(("--chongqing-port", "--sichuan-port", "--control-port"), _free_ports(3), strict=True):
        arguments += [option, str(port)]
    if options.second_checker:
        arguments += ["--authorities", str(write_issuers(state, participants))]
    state.authority.client(SANDBOX_CALLER)
    return Program(name="sandbox", module="sandbox", arguments=arguments, environment={})


def _witness_program(state: DevState, ready: Path) -> Program:
    vkeys = [state.signer.vkey, *log_vkeys(state)]
    # Fixed for the life of the stack, as the platforms' ports are.
    (port,) = _free_ports(1)
    arguments = ["--state", str(state.sandbox / "witness"), "--ready", str(ready), "--port", str(port)]
    for vkey in vkeys:
        arguments += ["--log-vkey", vkey]
    return Program(name="witness", module="sandbox.witness", arguments=arguments, environment={})


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as held:
        sockets = [held.enter_context(reserve_port("127.0.0.1", 0)) for _ in range(count)]
        return [one.getsockname()[1] for one in sockets]


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
