from __future__ import annotations

import asyncio
import shutil
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from database import (
    DatabaseUnavailable,
    LockLost,
    MigrationRefused,
    RightMissing,
    StatementFailed,
    UniqueConflict,
    check_durability,
    migrate,
    open_database,
)
from database.errors import DatabaseMisconfigured

MIGRATIONS = Path(__file__).resolve().parents[2] / "migrations"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The project's migrations, to which a test adds its own."""
    target = tmp_path / "migrations"
    shutil.copytree(MIGRATIONS, target)
    return target


def add(folder: Path, words: str, text: str) -> Path:
    number = max(int(path.name[:4]) for path in folder.glob("*.sql")) + 1
    path = folder / f"{number:04d}_{words}.sql"
    path.write_text(text)
    return path


async def value(dsn: str, sql: str, *args: Any) -> Any:
    database = await open_database(dsn, max_size=1)
    try:
        return await database.fetchval(sql, *args)
    finally:
        await database.close()


async def test_a_second_run_has_nothing_to_do(fresh_database: Any) -> None:
    lines: list[str] = []
    assert await migrate(fresh_database.owner_dsn, MIGRATIONS, progress=lines.append) == []
    assert lines[-1].startswith("migrations: 0 run")


async def test_an_edited_migration_is_refused_and_nothing_runs(fresh_database: Any, folder: Path) -> None:
    first = min(folder.glob("*.sql"))
    first.write_text(first.read_text() + "\n")
    add(folder, "later", "CREATE TABLE later (id int)")
    with pytest.raises(MigrationRefused, match=f"{first.name} was edited"):
        await migrate(fresh_database.owner_dsn, folder)
    assert await value(fresh_database.owner_dsn, "SELECT to_regclass('bashu.later')") is None


async def test_two_migrators_at_once_run_each_file_once(fresh_database: Any, folder: Path) -> None:
    add(folder, "slow", "CREATE TABLE slow (id int); SELECT pg_sleep(0.3)")
    add(folder, "quick", "CREATE TABLE quick (id int)")
    runs = await asyncio.gather(*(migrate(fresh_database.owner_dsn, folder) for _ in range(3)))
    assert sorted(len(run) for run in runs) == [0, 0, 2]


async def test_a_failing_file_leaves_nothing_and_the_operator_is_told_the_line(
    fresh_database: Any, folder: Path
) -> None:
    path = add(folder, "broken", "CREATE TABLE half (id int);\nSELECT nothing_there;\n")
    lines: list[str] = []
    with pytest.raises(MigrationRefused, match=rf"{path.name} line 2 failed \(42703\)"):
        await migrate(fresh_database.owner_dsn, folder, progress=lines.append)
    assert "nothing_there" in lines[-1]
    assert await value(fresh_database.owner_dsn, "SELECT to_regclass('bashu.half')") is None
    path.write_text("CREATE TABLE half (id int)")
    assert await migrate(fresh_database.owner_dsn, folder) == [path.name]


async def test_a_file_that_ends_the_transaction_is_refused(fresh_database: Any, folder: Path) -> None:
    add(folder, "commits", "SELECT 1; COMMIT")
    with pytest.raises(MigrationRefused, match="ends the runner's transaction"):
        await migrate(fresh_database.owner_dsn, folder)


async def test_an_index_is_built_concurrently_outside_a_transaction(fresh_database: Any, folder: Path) -> None:
    statement = "CREATE INDEX CONCURRENTLY IF NOT EXISTS built ON bashu_migration (name)"
    add(folder, "index", f"-- bashu: no transaction\n{statement}\n")
    runs = await asyncio.gather(*(migrate(fresh_database.owner_dsn, folder) for _ in range(2)))
    assert sorted(len(run) for run in runs) == [0, 1]
    assert await value(fresh_database.owner_dsn, "SELECT indisvalid FROM pg_index WHERE indexrelid = 'built'::regclass")


async def test_migrations_need_no_superuser(fresh_database: Any) -> None:
    rights = "SELECT rolsuper OR rolcreaterole OR rolcreatedb FROM pg_roles WHERE rolname = current_user"
    assert await value(fresh_database.owner_dsn, rights) is False


async def test_nothing_is_granted_to_everyone(fresh_database: Any) -> None:
    functions = """
        SELECT array_agg(p.proname) FROM pg_proc p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
        WHERE p.pronamespace = 'bashu'::regnamespace AND a.grantee = 0"""
    relations = """
        SELECT array_agg(c.relname) FROM pg_class c, aclexplode(c.relacl) a
        WHERE c.relnamespace = 'bashu'::regnamespace AND a.grantee = 0"""
    in_public = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    assert await value(fresh_database.owner_dsn, functions) is None
    assert await value(fresh_database.owner_dsn, relations) is None
    assert await value(fresh_database.owner_dsn, in_public) == 0


@pytest.mark.parametrize("role", ["gateway_dsn", "sealer_dsn", "reader_dsn"])
async def test_no_running_process_may_change_the_time_or_the_schema(fresh_database: Any, role: str) -> None:
    database = await open_database(getattr(fresh_database, role), settings={"default_transaction_read_only": "off"})
    for statement in (
        "UPDATE bashu_time_shift SET shift = interval '1 day'",
        "DELETE FROM bashu_time_shift",
        "INSERT INTO bashu_time_shift (one) VALUES (true)",
        "TRUNCATE bashu_time_shift",
        "UPDATE bashu_migration SET name = ''",
        "CREATE TABLE bashu.own (id int)",
        "CREATE TABLE public.own (id int)",
        "CREATE OR REPLACE FUNCTION bashu.bashu_now() RETURNS timestamptz LANGUAGE sql AS 'SELECT now()'",
    ):
        with pytest.raises(RightMissing):
            await database.execute(statement)
    await database.close()


async def test_every_role_sees_the_shifted_clock_move_within_a_transaction(fresh_database: Any) -> None:
    fresh_database.shift_time(timedelta(days=400))
    for dsn in (fresh_database.gateway_dsn, fresh_database.sealer_dsn, fresh_database.reader_dsn):
        database = await open_database(dsn)
        async with database.transaction() as transaction:
            first = await transaction.fetchval("SELECT bashu_now()")
            assert await transaction.fetchval("SELECT bashu_now()") > first
        machine = await database.fetchval("SELECT clock_timestamp()")
        assert timedelta(days=399) < first - machine <= timedelta(days=400)
        await database.close()


async def test_the_reader_cannot_write_by_default(fresh_database: Any) -> None:
    database = await open_database(fresh_database.reader_dsn)
    with pytest.raises(StatementFailed, match="25006"):
        await database.execute("CREATE TEMPORARY TABLE own (id int)")
    await database.close()


async def test_limits_of_the_gateway_stand_on_its_role(fresh_database: Any) -> None:
    database = await open_database(fresh_database.gateway_dsn)
    for name, expected in (
        ("statement_timeout", "10s"),
        ("lock_timeout", "2s"),
        ("idle_in_transaction_session_timeout", "10s"),
        ("synchronous_commit", "on"),
        ("search_path", "bashu"),
        ("TimeZone", "UTC"),
    ):
        assert await database.fetchval(f"SHOW {name}") == expected
    await database.close()


async def test_a_connection_that_answers_before_it_has_written_is_refused(fresh_database: Any) -> None:
    durable = await open_database(fresh_database.gateway_dsn)
    await check_durability(durable)
    await durable.close()
    hasty = await open_database(fresh_database.gateway_dsn, settings={"synchronous_commit": "off"})
    with pytest.raises(DatabaseMisconfigured, match="synchronous_commit is off"):
        await check_durability(hasty)
    await hasty.close()


async def test_settings_of_hot_connections_survive_their_return_to_the_pool(fresh_database: Any) -> None:
    database = await open_database(
        fresh_database.gateway_dsn, max_size=1, settings={"plan_cache_mode": "force_generic_plan", "jit": "off"}
    )
    for _ in range(2):
        assert await database.fetchval("SHOW plan_cache_mode") == "force_generic_plan"
    await database.close()


async def test_a_transaction_commits_whole_or_not_at_all(fresh_database: Any) -> None:
    database = await open_database(fresh_database.owner_dsn, max_size=1)
    await database.execute("CREATE TABLE t (id int PRIMARY KEY, body jsonb)")
    async with database.transaction() as transaction:
        await transaction.executemany("INSERT INTO t VALUES ($1, $2)", [(1, '{"b": [1]}'), (2, "null")])

    async def insert_a_new_and_a_known_row() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO t VALUES (3, NULL)")
            await transaction.execute("INSERT INTO t VALUES (1, NULL)")

    with pytest.raises(UniqueConflict) as conflict:
        await insert_a_new_and_a_known_row()
    assert conflict.value.constraint == "t_pkey"
    assert [row["body"] for row in await database.fetch("SELECT body FROM t ORDER BY id")] == [{"b": [1]}, None]
    await database.close()


async def test_a_cancelled_transaction_is_rolled_back_and_its_connection_is_used_again(fresh_database: Any) -> None:
    database = await open_database(fresh_database.owner_dsn, max_size=1)
    await database.execute("CREATE TABLE t (id int)")
    inserted = asyncio.Event()

    async def insert_and_hang() -> None:
        async with database.transaction() as transaction:
            await transaction.execute("INSERT INTO t VALUES (1)")
            inserted.set()
            await transaction.execute("SELECT pg_sleep(60)")

    task = asyncio.create_task(insert_and_hang())
    await inserted.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert await database.fetchval("SELECT count(*) FROM t") == 0
    await database.close()


async def test_a_lock_held_elsewhere_ends_as_lock_lost(fresh_database: Any) -> None:
    database = await open_database(fresh_database.owner_dsn, max_size=2, settings={"lock_timeout": "20ms"})
    async with database.transaction() as holder:
        await holder.execute("LOCK TABLE bashu_time_shift IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(LockLost):
            await database.fetchval("SELECT shift FROM bashu_time_shift")
    await database.close()


async def test_a_closed_pool_and_a_lost_connection_are_told_as_unavailable(fresh_database: Any) -> None:
    database = await open_database(fresh_database.owner_dsn, max_size=1)
    with pytest.raises(DatabaseUnavailable):
        await database.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    assert await database.fetchval("SELECT 1") == 1
    await database.close()
    with pytest.raises(DatabaseUnavailable):
        await database.fetchval("SELECT 1")
