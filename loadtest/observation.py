"""What a scenario observes from outside: the ledger through the reader's role, the platforms' books, processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

from database import Database, open_database
from ledger import store
from ledger.export import export_lines
from loadtest.stack import Stack

SEALED_WITHIN_S: Final = 15.0
"""The log integrates within a second; a machine shared with others gets more."""
_LOOK_AGAIN_S: Final = 0.1


@contextlib.asynccontextmanager
async def ledger_reader(stack: Stack) -> AsyncIterator[Database]:
    """Open the database as the reader does, who may only look."""
    db = await open_database(stack.postgres, min_size=1, max_size=1, application_name="bashu-loadtest")
    try:
        yield db
    finally:
        await db.close()


async def sealed_export(db: Database) -> list[bytes]:
    """Wait until everything appended by now is under a signed checkpoint, and export the whole log.

    Raises:
        TimeoutError: the sealer did not get there.
    """

    async def is_integrated() -> bool:
        return not await store.is_pending(db)

    async def is_signed() -> bool:
        signed = await store.latest_checkpoint(db)
        return signed is not None and signed.size >= grown

    await until(is_integrated, within_s=SEALED_WITHIN_S, what="the integration of every entry")
    grown = (await store.head(db)).size
    await until(is_signed, within_s=SEALED_WITHIN_S, what="a signed checkpoint")
    return [line async for line in export_lines(db)]


async def until(happened: Callable[[], Awaitable[bool]], *, within_s: float, what: str) -> None:
    """Look until it happened.

    Raises:
        TimeoutError: it did not within ``within_s``.
    """
    give_up = time.monotonic() + within_s
    while not await happened():
        if time.monotonic() > give_up:
            raise TimeoutError(f"waited {within_s:g} s for {what}")
        await asyncio.sleep(_LOOK_AGAIN_S)


async def books(stack: Stack) -> dict[str, Any]:
    """Read both platforms' books: what they were asked, filed and given."""
    return await asyncio.to_thread(control, stack, "books", None)


def control(stack: Stack, path: str, body: dict[str, Any] | None) -> Any:
    """Call the sandbox's control: GET without a body, POST with one."""
    request = urllib.request.Request(  # noqa: S310 - the sandbox's own loopback address
        f"{stack.sandbox_control}/control/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.loads(answer.read())


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in {"Z", "X"}


def cpu_seconds(pids: Sequence[int]) -> float:
    """Return user and system time that the processes have used so far; one that is gone counts nothing."""
    ticks = 0
    for pid in pids:
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def wait_until_gone(pids: Sequence[int], *, within_s: float) -> list[int]:
    """Wait until none of the processes runs; return those that still do."""
    give_up = time.monotonic() + within_s
    while (left := [pid for pid in pids if is_alive(pid)]) and time.monotonic() < give_up:
        time.sleep(0.05)
    return left


def all_pids(stack: Stack) -> list[int]:
    """Return every process id that ``dev.json`` names."""
    found: list[int] = []
    for named in stack.pids.values():
        found.extend(named if isinstance(named, list) else [named])
    return [pid for pid in found if isinstance(pid, int)]
