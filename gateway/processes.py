"""Child processes of the supervisor and of the dev stack: spawned, restarted, stopped; never forked after grpc."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from core.lifetime import PARENT_VARIABLE

STOP_S: Final = 20.0
"""A worker drains for 10 s at most; twice that before it is killed."""

RESTART_PAUSE_S: Final = 0.2
"""Between a worker's death and its successor, so that one that cannot start does not spin."""

_LOG: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of this distribution: ``python -m module arguments``."""

    name: str
    module: str
    arguments: Sequence[str]
    environment: Mapping[str, str]


async def spawn(program: Program, *, output: Path | None = None) -> asyncio.subprocess.Process:
    """Start ``program``; it ends with this process. Its output is appended to ``output``, or shown where None."""
    environment = {**os.environ, **program.environment, PARENT_VARIABLE: str(os.getpid())}
    with contextlib.ExitStack() as files:
        stream = files.enter_context(output.open("ab")) if output else None
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            program.module,
            *program.arguments,
            env=environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
        )


async def keep_running(
    program: Program,
    stop: asyncio.Event,
    *,
    output: Path | None = None,
    on_start: Callable[[int], None] | None = None,
) -> None:
    """Run ``program`` until ``stop``, again whenever it dies; ``on_start`` is told each process id."""
    while not stop.is_set():
        process = await spawn(program, output=output)
        if on_start is not None:
            on_start(process.pid)
        ended = asyncio.create_task(process.wait())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({ended, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not ended.done():
                await end(process)
            await ended
        if not stop.is_set():
            _LOG.error("child_died", program=program.name, exit_code=process.returncode)
            await asyncio.sleep(RESTART_PAUSE_S)


async def end(process: asyncio.subprocess.Process) -> None:
    """Ask ``process`` to stop, wait for it, and kill it where it does not."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
