"""`bashu-gateway serve`: N workers behind one port, spawned, restarted when they die, drained when told to stop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from core.lifetime import stop_event
from gateway.processes import Program, keep_running
from gateway.settings import Settings, SettingsError

WORKER_MODULE: Final = "gateway.worker"


def reserve_port(host: str, port: int) -> socket.socket:
    """Return a bound, never listening socket that keeps ``port`` (0: a free one) for workers with SO_REUSEPORT.

    Raises:
        SettingsError: the port is taken, or not this user's to take.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    reserved = socket.socket(family, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        reserved.bind((host, port))
    except OSError as error:
        reserved.close()
        raise SettingsError(f"port {port} of {host}: {error.strerror}") from error
    return reserved


def worker_programs(
    settings_file: Path,
    settings: Settings,
    *,
    port: int,
    run: Path,
    http_port: int | None = None,
    workers: int | None = None,
) -> list[Program]:
    """Return the programs of the workers; each writes ``run/worker-N.ready`` once it serves."""
    http = () if http_port is None else ("--http-port", str(http_port))
    return [
        Program(
            name=f"worker-{number}",
            module=WORKER_MODULE,
            arguments=(
                *("--settings", str(settings_file), "--port", str(port)),
                *("--ready", str(run / f"worker-{number}.ready"), "--number", str(number)),
                *http,
            ),
            environment={},
        )
        for number in range(workers or settings.server.workers)
    ]


async def run_workers(settings_file: Path, settings: Settings, *, run: Path, say: Callable[[str], None]) -> None:
    """Run the workers until told to stop."""
    stop = stop_event()
    server = settings.server
    with ExitStack() as held:
        port = held.enter_context(reserve_port(server.host, server.port)).getsockname()[1]
        http_port = None
        if server.http_port is not None:
            http_port = held.enter_context(reserve_port(server.host, server.http_port)).getsockname()[1]
            say(f"tiles on {server.host}:{http_port}")
        say(f"gateway on {settings.server.host}:{port}, {settings.server.workers} workers")
        async with asyncio.TaskGroup() as group:
            for program in worker_programs(settings_file, settings, port=port, http_port=http_port, run=run):
                group.create_task(keep_running(program, stop))
