"""Pools and transactions over PostgreSQL: the one place where a driver is spoken to."""

from __future__ import annotations

from collections.abc import AsyncIterator, ItemsView, Iterable, Iterator, KeysView, Mapping, Sequence, ValuesView
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, Literal, Protocol
from urllib.parse import parse_qs, urlsplit

import asyncpg
import msgspec

from database.errors import DatabaseMisconfigured, driver_errors

Isolation = Literal["read_committed", "repeatable_read", "serializable"]

ACQUIRE_TIMEOUT_S: Final = 10.0
"""Longest wait for a free connection; a request's own deadline is shorter."""
_LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})


class Row(Protocol):
    """One row, by column name or position."""

    def __getitem__(self, key: str | int, /) -> Any: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def get(self, key: str, default: Any = None, /) -> Any:
        """Return the column's value, or ``default`` when there is no such column."""

    def keys(self) -> KeysView[str]:
        """Return the column names in order."""

    def values(self) -> ValuesView[Any]:
        """Return the values in order."""

    def items(self) -> ItemsView[str, Any]:
        """Return (name, value) pairs in order."""


class Statements(Protocol):
    """What a store needs; a :class:`Database` runs each statement by itself, a :class:`Transaction` all together.

    Arguments are ``$1 …``. ``jsonb`` goes in as JSON text and comes out decoded.
    """

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        """Return all rows."""

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        """Return the first row, None when there is none."""

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, None when there is none."""

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement and return its command tag, such as ``UPDATE 1``."""


class Transaction:
    """Statements that commit together; made by :meth:`Database.transaction` alone."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        """Return all rows."""
        with driver_errors():
            rows: Sequence[Row] = await self._connection.fetch(sql, *args)
        return rows

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        """Return the first row, None when there is none."""
        with driver_errors():
            row: Row | None = await self._connection.fetchrow(sql, *args)
        return row

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, None when there is none."""
        with driver_errors():
            return await self._connection.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement and return its command tag."""
        with driver_errors():
            return str(await self._connection.execute(sql, *args))

    async def executemany(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run one statement for each row of arguments."""
        with driver_errors():
            await self._connection.executemany(sql, rows)


class Database:
    """A pool of connections of one role. Every method raises the errors of :mod:`database.errors`."""

    __slots__ = ("_pool",)

    def __init__(self, pool: Any) -> None:
        self._pool = pool

    async def fetch(self, sql: str, *args: Any) -> Sequence[Row]:
        """Return all rows; commits by itself."""
        async with self._transactionless() as statements:
            return await statements.fetch(sql, *args)

    async def fetchrow(self, sql: str, *args: Any) -> Row | None:
        """Return the first row, None when there is none; commits by itself."""
        async with self._transactionless() as statements:
            return await statements.fetchrow(sql, *args)

    async def fetchval(self, sql: str, *args: Any) -> Any:
        """Return the first column of the first row, None when there is none; commits by itself."""
        async with self._transactionless() as statements:
            return await statements.fetchval(sql, *args)

    async def execute(self, sql: str, *args: Any) -> str:
        """Run a statement (or, without arguments, several) and return the last command tag; commits by itself."""
        async with self._transactionless() as statements:
            return await statements.execute(sql, *args)

    @asynccontextmanager
    async def transaction(
        self, *, isolation: Isolation = "read_committed", read_only: bool = False
    ) -> AsyncIterator[Transaction]:
        """Open a transaction: committed when the block ends, rolled back when it raises or is cancelled."""
        async with self._connection() as connection:
            transaction = connection.transaction(isolation=isolation, readonly=read_only)
            with driver_errors():
                await transaction.start()
            try:
                yield Transaction(connection)
            except BaseException:
                # A lost connection has rolled back already; the block's own error is the one to show.
                with suppress(asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    await transaction.rollback()
                raise
            with driver_errors():
                await transaction.commit()

    async def close(self) -> None:
        """Wait for running statements, then close every connection."""
        with driver_errors():
            await self._pool.close()

    def terminate(self) -> None:
        """Close every connection at once; running statements fail."""
        self._pool.terminate()

    @asynccontextmanager
    async def _transactionless(self) -> AsyncIterator[Transaction]:
        async with self._connection() as connection:
            yield Transaction(connection)

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[Any]:
        with driver_errors():
            connection = await self._pool.acquire(timeout=ACQUIRE_TIMEOUT_S)
        try:
            yield connection
        finally:
            with driver_errors():
                await self._pool.release(connection)


async def open_database(
    dsn: str,
    *,
    min_size: int = 1,
    max_size: int = 8,
    application_name: str = "bashu",
    settings: Mapping[str, str] | None = None,
) -> Database:
    """Open a pool of ``min_size`` to ``max_size`` connections; ``settings`` are server settings of each of them.

    Raises:
        DatabaseMisconfigured: the DSN cannot be read.
        DatabaseUnavailable: no server there, or :class:`~database.errors.LoginRefused`.
    """
    extra = connect_arguments(dsn)
    with driver_errors():
        pool = await asyncpg.create_pool(
            dsn,
            min_size=min_size,
            max_size=max_size,
            init=_set_codecs,
            reset=_roll_back_leftovers,
            server_settings={"application_name": application_name, **(settings or {})},
            **extra,
        )
    return Database(pool)


def connect_arguments(dsn: str) -> dict[str, Any]:
    """Return what the driver needs beside ``dsn``; refuses a DSN whose parts cannot be read.

    Over loopback TLS is left out (unless the DSN asks for it), or the driver looks for files in ``~/.postgresql``.
    """
    try:
        parts = urlsplit(dsn)
        usable = parts.scheme in {"postgres", "postgresql"} and (parts.port or 1) > 0
        local = parts.hostname in _LOOPBACK and "sslmode" not in parse_qs(parts.query)
    except ValueError:
        usable = local = False
    if not usable:
        # The cause would repeat parts of the DSN, and with them a password.
        raise DatabaseMisconfigured("the database DSN must read postgresql://role:password@host:port/database")
    return {"ssl": False} if local else {}


async def _set_codecs(connection: Any) -> None:
    for name in ("jsonb", "json"):
        await connection.set_type_codec(
            name, schema="pg_catalog", encoder=_json_text, decoder=msgspec.json.decode, format="text"
        )


def _json_text(value: str | bytes) -> str:
    return value if isinstance(value, str) else value.decode()


async def _roll_back_leftovers(connection: Any) -> None:
    """Reset a connection without the driver's extra round trip: nothing here sets session state."""
    if connection.is_in_transaction():
        await connection.execute("ROLLBACK")
