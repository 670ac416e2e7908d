"""The logins of a Bashu database and how an embedded server gets them (a real one: deploy/roles.sql)."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import asyncpg

from database.connection import connect_arguments
from database.errors import driver_errors

DATABASE: Final = "bashu"
SUPERUSER: Final = "postgres"
"""Prepares the embedded server; no running process logs in with it."""
OWNER: Final = "bashu_owner"
LOGINS: Final = (OWNER, "bashu_gateway", "bashu_sealer", "bashu_reader")
ROLES_SQL: Final = Path(__file__).with_name("roles.sql")
_CREATE_DATABASE: Final = (
    f"CREATE DATABASE {DATABASE} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
)


def prepare_server(*, server_dsn: str, database_dsn: str, passwords: Mapping[str, str]) -> None:
    """Make the database, the roles, their limits and passwords, as superuser; may be repeated.

    Blocks, and works with or without an event loop in the calling thread.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, _prepare(server_dsn, database_dsn, passwords)).result()


async def _prepare(server_dsn: str, database_dsn: str, passwords: Mapping[str, str]) -> None:
    server = await _connect(server_dsn)
    try:
        with driver_errors():
            if not await server.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", OWNER):
                await server.execute(f"CREATE ROLE {OWNER} LOGIN")
            if not await server.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", DATABASE):
                await server.execute(_CREATE_DATABASE)
    finally:
        await server.close(timeout=5)
    database = await _connect(database_dsn)
    try:
        with driver_errors():
            await database.execute(ROLES_SQL.read_text())
            for role, password in passwords.items():
                # No parameters in utility statements; the passwords are made here, of letters, digits, - and _.
                await database.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
    finally:
        await database.close(timeout=5)


async def _connect(dsn: str) -> Any:
    with driver_errors():
        return await asyncpg.connect(dsn, **connect_arguments(dsn))
