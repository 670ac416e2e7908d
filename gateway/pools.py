"""A worker's connections to PostgreSQL: those of the hot statements, the plain ones, those to the keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from database import Database, check_durability, open_database
from gateway.settings import Settings, read_secret
from gateway.store import HOT_SETTINGS

HOT_CONNECTIONS: Final = 4
"""Admissions, releases, refusals and the sweeper each run one statement at a time."""

KEY_CONNECTIONS: Final = 2
"""Keys are read one at a time, off the path of a query."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pools:
    """Connections of one worker. ``hot`` ones run the guarded statements alone; both are of the gateway's role.

    ``keys`` are the keeper's, in the database of data keys.
    """

    hot: Database
    plain: Database
    keys: Database


async def open_pools(settings: Settings) -> Pools:
    """Connect; both databases must be durable.

    Raises:
        DatabaseUnavailable, DatabaseMisconfigured: see :func:`database.check_durability`.
    """
    dsn = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
    plain = await open_database(
        dsn,
        min_size=settings.database.min_connections,
        max_size=settings.database.max_connections,
        application_name="bashu-gateway",
    )
    await check_durability(plain)
    hot = await open_database(
        dsn,
        min_size=HOT_CONNECTIONS,
        max_size=HOT_CONNECTIONS,
        application_name="bashu-gateway-hot",
        settings=HOT_SETTINGS,
    )
    keys = await open_database(
        read_secret(settings.vault.dsn_file, setting="vault.dsn_file").decode(),
        min_size=1,
        max_size=KEY_CONNECTIONS,
        application_name="bashu-gateway-keys",
    )
    await check_durability(keys)
    return Pools(hot=hot, plain=plain, keys=keys)
