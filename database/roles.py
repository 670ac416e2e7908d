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
KEYS_DATABASE: Final = "bashu_keys"
"""Data keys of sealed details: apart, so that a backup of the one opens nothing of the other."""
SUPERUSER: Final = "postgres"
"""Prepares the embedded server; no running process logs in with it."""
OWNER: Final = "bashu_owner"
KEEPER: Final = "bashu_keeper"
LOGINS: Final = (OWNER, "bashu_gateway", "bashu_sealer", "bashu_reader", KEEPER)
ROLES_SQL: Final = Path(__file__).with_name("roles.sql")
KEYS_ROLES_SQL: Final = Path(__file__).with_name("keys_roles.sql")


def prepare_server(*, server_dsn: str, dsns: Mapping[str, str], passwords: Mapping[str, str]) -> None:
    """Make the databases, the roles, their limits and passwords, as superuser; may be repeated.

    ``dsns`` are the superuser's, by database.

    Blocks, and works with or without an event loop in the calling thread.
    """
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, _prepare(server_dsn, dsns, passwords)).result()


async def _prepare(server_dsn: str, dsns: Mapping[str, str], passwords: Mapping[str, str]) -> None:
    server = await _connect(server_dsn)
    try:
        with driver_errors():
            if not await server.fetchval("SELECT EXISTS (SELECT FROM pg_roles WHERE rolname = $1)", OWNER):
                await server.execute(f"CREATE ROLE {OWNER} LOGIN")
            for name in dsns:
                if not await server.fetchval("SELECT EXISTS (SELECT FROM pg_database WHERE datname = $1)", name):
                    await server.execute(
                        f"CREATE DATABASE {name} OWNER {OWNER} TEMPLATE template0 ENCODING 'UTF8' LOCALE 'C.UTF-8'"
                    )
    finally:
        await server.close(timeout=5)
    await _run_in(dsns[DATABASE], ROLES_SQL.read_text())
    await _run_in(dsns[KEYS_DATABASE], KEYS_ROLES_SQL.read_text())
    # No parameters in utility statements; the passwords are made here, of letters, digits, - and _.
    set_passwords = "".join(f"ALTER ROLE {role} PASSWORD '{password}';" for role, password in passwords.items())
    await _run_in(dsns[DATABASE], set_passwords)


async def _run_in(dsn: str, sql: str) -> None:
    database = await _connect(dsn)
    try:
        with driver_errors():
            await database.execute(sql)
    finally:
        await database.close(timeout=5)


async def _connect(dsn: str) -> Any:
    with driver_errors():
        return await asyncpg.connect(dsn, **connect_arguments(dsn))
