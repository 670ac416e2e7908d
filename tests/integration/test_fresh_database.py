from __future__ import annotations

from typing import Any

from database import open_database


async def test_fresh_database_is_migrated_and_every_role_can_log_in(fresh_database: Any) -> None:
    for dsn in (
        fresh_database.owner_dsn,
        fresh_database.gateway_dsn,
        fresh_database.sealer_dsn,
        fresh_database.reader_dsn,
    ):
        database = await open_database(dsn)
        assert await database.fetchval("SELECT max(number) FROM bashu_migration") >= 1
        await database.close()
