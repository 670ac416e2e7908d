"""What every test may ask for: a real PostgreSQL, and a migrated database of its own in a few milliseconds."""

from __future__ import annotations

import asyncio
import itertools
import os
import shutil
import tempfile
import threading
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from database import Database, migrate, open_database
from database.embedded import EmbeddedPostgres
from database.postmaster import stop_postmaster
from database.roles import OWNER, SUPERUSER

MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations"
TEMPLATE = "bashu_template"
_FOLDER_PREFIX = "bashu-test-"
_ROOM_IN_MEMORY = 2 << 30

T = TypeVar("T")


class LoopThread:
    """An event loop of its own, so that fixtures can wait for the database whatever loop the test runs in."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=120)

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class FreshDatabase:
    """A migrated, empty database that nobody else uses."""

    name: str
    cluster: EmbeddedPostgres
    loop: LoopThread

    @property
    def owner_dsn(self) -> str:
        return self.dsn("bashu_owner")

    @property
    def gateway_dsn(self) -> str:
        return self.dsn("bashu_gateway")

    @property
    def sealer_dsn(self) -> str:
        return self.dsn("bashu_sealer")

    @property
    def reader_dsn(self) -> str:
        return self.dsn("bashu_reader")

    def dsn(self, role: str) -> str:
        return self.cluster.dsn(role, self.name)

    def shift_time(self, shift: timedelta) -> None:
        """Set how far ``bashu_now()`` stands from the machine's clock (not: move it further)."""
        self.loop.run(self._shift_time(shift))

    async def _shift_time(self, shift: timedelta) -> None:
        owner = await open_database(self.owner_dsn, max_size=1)
        try:
            await owner.execute("UPDATE bashu_time_shift SET shift = $1", shift)
        finally:
            await owner.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresCluster:
    """The session's server, with a migrated template; use ``fresh_database`` unless the server itself is the matter."""

    server: EmbeddedPostgres
    loop: LoopThread
    superuser: Database
    numbers: Iterator[int]

    def create(self) -> FreshDatabase:
        name = f"bashu_t{next(self.numbers)}"
        self.loop.run(self.superuser.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE} OWNER {OWNER}"))
        return FreshDatabase(name=name, cluster=self.server, loop=self.loop)

    def create_keys(self) -> FreshDatabase:
        name = f"bashu_k{next(self.numbers)}"
        self.loop.run(self.superuser.execute(f"CREATE DATABASE {name} TEMPLATE template0 OWNER {OWNER}"))
        self.loop.run(migrate(self.server.dsn(OWNER, name), MIGRATIONS / "keys"))
        return FreshDatabase(name=name, cluster=self.server, loop=self.loop)

    def drop(self, database: FreshDatabase) -> None:
        self.loop.run(self.superuser.execute(f"DROP DATABASE {database.name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def postgres_cluster() -> Iterator[PostgresCluster]:
    """Start PostgreSQL (PG_BIN says which) and migrate the template, once."""
    parent = _fast_folder()
    _clear_after_killed_runs(parent)
    folder = parent / f"{_FOLDER_PREFIX}{os.getpid()}"
    folder.mkdir(mode=0o711)
    loop = LoopThread()
    server = EmbeddedPostgres(folder / "postgres")
    try:
        server.start()
        superuser = loop.run(open_database(server.dsn(SUPERUSER, "postgres"), max_size=2))
        loop.run(_make_template(server, superuser))
        yield PostgresCluster(server=server, loop=loop, superuser=superuser, numbers=itertools.count(1))
        loop.run(superuser.close())
    finally:
        server.stop()
        loop.close()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def fresh_database(postgres_cluster: PostgresCluster) -> Iterator[FreshDatabase]:
    """A database of one's own: ``.owner_dsn .gateway_dsn .sealer_dsn .reader_dsn``, dropped after the test."""
    database = postgres_cluster.create()
    yield database
    postgres_cluster.drop(database)


@pytest.fixture
def fresh_keys(postgres_cluster: PostgresCluster) -> Iterator[FreshDatabase]:
    """A key database of one's own: ``.dsn("bashu_keeper")`` is the login of the gateway's workers."""
    database = postgres_cluster.create_keys()
    yield database
    postgres_cluster.drop(database)


async def _make_template(server: EmbeddedPostgres, superuser: Database) -> None:
    await superuser.execute(f"CREATE DATABASE {TEMPLATE} OWNER {OWNER} TEMPLATE template0")
    await migrate(server.dsn(OWNER, TEMPLATE), MIGRATIONS)
    # Nobody connects any more, not even autovacuum: a template in use cannot be copied.
    await superuser.execute(f"ALTER DATABASE {TEMPLATE} ALLOW_CONNECTIONS false")


def _fast_folder() -> Path:
    """Memory where there is room: the settings stay the durable ones, and cost nothing there."""
    memory = Path("/dev/shm")
    if os.access(memory, os.W_OK) and shutil.disk_usage(memory).free > _ROOM_IN_MEMORY:
        return memory
    return Path(tempfile.gettempdir())


def _clear_after_killed_runs(parent: Path) -> None:
    """Stop and remove what a run that was killed left behind."""
    for folder in parent.glob(f"{_FOLDER_PREFIX}*"):
        pid = int(folder.name.removeprefix(_FOLDER_PREFIX))
        if folder.stat().st_uid == os.geteuid() and not _is_alive(pid):
            stop_postmaster(folder / "postgres" / "data")
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
