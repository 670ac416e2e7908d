"""Forward-only migrations: numbered SQL files, each run once, in order, by ``bashu_owner``.

A file whose first line is ``-- bashu: no transaction`` holds one statement that PostgreSQL refuses inside a
transaction (``CREATE INDEX CONCURRENTLY``); it must be safe to run again, since its record is written after it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import asyncpg

from core.errors import BashuError, Reason, Turn
from database.connection import Statements, connect_arguments
from database.errors import driver_errors

Progress = Callable[[str], None]

NO_TRANSACTION: Final = "-- bashu: no transaction"
LOCK_KEY: Final = 0x6261736875
"""Advisory lock of the runner: the letters "bashu"."""
LOCK_WAIT_S: Final = 120.0
_LOCK_POLL_S: Final = 0.1
_FILE_NAME: Final = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")
_SESSION: Final = {
    "application_name": "bashu-migrate",
    "search_path": "bashu",
    # A migration that waits for a lock blocks everyone behind it: give up soon, run again later.
    "lock_timeout": "5s",
    "statement_timeout": "15min",
}
_CREATE_RECORD: Final = """
CREATE SCHEMA IF NOT EXISTS bashu;
CREATE TABLE IF NOT EXISTS bashu.bashu_migration (
    number integer PRIMARY KEY CHECK (number > 0),
    name text NOT NULL,
    sha256 bytea NOT NULL CHECK (octet_length(sha256) = 32),
    applied_at timestamptz NOT NULL DEFAULT clock_timestamp()
);
"""
_APPLIED: Final = "SELECT number, name, sha256 FROM bashu.bashu_migration ORDER BY number"
_RECORD: Final = "INSERT INTO bashu.bashu_migration (number, name, sha256) VALUES ($1, $2, $3)"


class MigrationRefused(BashuError):  # noqa: N818 - named after the fact
    """The files and the database do not fit, or a file failed; the message names the file."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.INTERNAL, message, turn=Turn.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class MigrationFile:
    """One file of the folder."""

    number: int
    name: str
    text: str
    sha256: bytes

    @property
    def in_transaction(self) -> bool:
        """Whether the file runs inside a transaction together with its record."""
        return self.text.split("\n", 1)[0].strip() != NO_TRANSACTION


async def migrate(dsn: str, folder: Path, *, progress: Progress | None = None) -> list[str]:
    """Run every file of ``folder`` that has not run yet and return their names, oldest first.

    ``dsn`` is ``bashu_owner``'s. ``progress`` gets one line a step, for an operator's terminal.

    Raises:
        MigrationRefused: gap, edited or removed file, database newer than the files, or a failing file.
        DatabaseUnavailable: no server, or the login was refused.
    """
    tell = progress or _silent
    files = read_folder(folder)
    with driver_errors():
        connection = await asyncpg.connect(dsn, server_settings=_SESSION, **connect_arguments(dsn))
    try:
        await _take_lock(connection, tell)
        with driver_errors():
            await connection.execute(_CREATE_RECORD)
            applied = {row["number"]: (row["name"], bytes(row["sha256"])) for row in await connection.fetch(_APPLIED)}
        pending = pending_files(files, applied)
        for file in pending:
            await _run(connection, file, tell)
        tell(f"migrations: {len(pending)} run, {len(files)} in all")
        return [file.name for file in pending]
    finally:
        # The advisory lock ends with the session.
        await connection.close(timeout=5)


async def unapplied(db: Statements, folder: Path) -> list[str]:
    """Return the names of the files of ``folder`` that have not run; any role may ask.

    Raises:
        MigrationRefused: the database and the files do not fit.
    """
    applied = {row["number"]: (row["name"], bytes(row["sha256"])) for row in await db.fetch(_APPLIED)}
    return [file.name for file in pending_files(read_folder(folder), applied)]


def read_folder(folder: Path) -> list[MigrationFile]:
    """Read the SQL files of ``folder`` in order; refuse names out of form, doubles and gaps."""
    files: list[MigrationFile] = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE_NAME.fullmatch(path.name)
        if match is None:
            raise MigrationRefused(f"{path.name}: a migration is named NNNN_words_in_lower_case.sql")
        raw = path.read_bytes()
        digest = hashlib.sha256(raw).digest()
        files.append(MigrationFile(number=int(match[1]), name=path.name, text=raw.decode(), sha256=digest))
    if not files:
        raise MigrationRefused(f"no migrations in {folder}")
    for expected, file in enumerate(files, start=1):
        if file.number != expected:
            raise MigrationRefused(f"{file.name}: expected number {expected:04d}; numbers have no gaps and no doubles")
    return files


def pending_files(files: Sequence[MigrationFile], applied: Mapping[int, tuple[str, bytes]]) -> list[MigrationFile]:
    """Return the files still to run; ``applied`` maps number to the name and sha256 recorded.

    Raises:
        MigrationRefused: the database holds a migration that the files lack, an edited one, or a hole.
    """
    known = {file.number: file for file in files}
    for number, (name, sha256) in sorted(applied.items()):
        if number not in known:
            raise MigrationRefused(f"{name} has run here but is not among the files: this program is older")
        if known[number].sha256 != sha256:
            raise MigrationRefused(f"{known[number].name} was edited after it had run: restore it, add a new file")
    pending = [file for file in files if file.number not in applied]
    if pending and applied and pending[0].number < max(applied):
        raise MigrationRefused(f"{pending[0].name} has not run but a later one has: migrations run in order")
    return pending


async def _take_lock(connection: Any, tell: Progress) -> None:
    """Poll: a blocking advisory lock is a snapshot that CREATE INDEX CONCURRENTLY waits for, and so a deadlock."""
    deadline = time.monotonic() + LOCK_WAIT_S
    waiting = False
    while True:
        with driver_errors():
            if await connection.fetchval("SELECT pg_try_advisory_lock($1)", LOCK_KEY):
                return
        if time.monotonic() > deadline:
            raise MigrationRefused("another migration is still running here")
        if not waiting:
            tell("waiting for another migration to finish")
            waiting = True
        await asyncio.sleep(_LOCK_POLL_S)


async def _run(connection: Any, file: MigrationFile, tell: Progress) -> None:
    started = time.monotonic()
    try:
        if file.in_transaction:
            await _run_in_transaction(connection, file)
        else:
            await connection.execute(file.text)
            await connection.execute(_RECORD, file.number, file.name, file.sha256)
    except asyncpg.PostgresError as error:
        where = _line_of(file.text, error)
        tell(f"{file.name}{where}: {error.args[0] if error.args else error.sqlstate}")
        raise MigrationRefused(f"{file.name}{where} failed ({error.sqlstate})") from error
    tell(f"{file.name} {(time.monotonic() - started) * 1000:.0f} ms")


async def _run_in_transaction(connection: Any, file: MigrationFile) -> None:
    transaction = connection.transaction()
    await transaction.start()
    try:
        await connection.execute(file.text)
        is_still_open = connection.is_in_transaction()
        if is_still_open:
            await connection.execute(_RECORD, file.number, file.name, file.sha256)
    except BaseException:
        await transaction.rollback()
        raise
    if not is_still_open:
        raise MigrationRefused(f"{file.name} ends the runner's transaction: leave BEGIN, COMMIT, ROLLBACK out")
    await transaction.commit()


def _line_of(text: str, error: asyncpg.PostgresError) -> str:
    position = getattr(error, "position", None)
    return f" line {text.count(chr(10), 0, int(position)) + 1}" if position else ""


def _silent(_line: str) -> None:
    return
