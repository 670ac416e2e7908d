"""An older database under a younger log: nothing is sealed, nothing is served, until it has caught up."""

from __future__ import annotations

import asyncio
import uuid
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from structlog.testing import capture_logs

from core.errors import BashuError, Reason
from database import DatabaseUnavailable, open_database
from gateway.tree_guard import TreeGuard
from ledger import store
from ledger.highwater import HighWater
from ledger.model import EntryType, build_entry
from ledger.sealer import Sealer
from ledger.signer import FileSigner

ORIGIN = "log.example/bashu"
SIGNER = FileSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
NOW = datetime(2026, 3, 1, tzinfo=UTC)


def denied(n):
    fields = {
        "requester": {"institution": "bank-1"},
        "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"},
        "intent": {"request": str(uuid.UUID(int=n))},
    }
    return build_entry(EntryType.QUERY_DENIED, origin=ORIGIN, ts=NOW + timedelta(milliseconds=n), fields=fields)


async def grow(database, mark, begin, end):
    """Append and seal, with no connection left behind."""
    gateway, sealing = await open_database(database.gateway_dsn), await open_database(database.sealer_dsn)
    async with gateway.transaction() as tx:
        await store.append(tx, [denied(n) for n in range(begin, end)])
    await Sealer(db=sealing, signer=SIGNER, high_water=mark).run_round()
    await gateway.close()
    await sealing.close()


@dataclass
class Restored:
    """A log of 700 entries, its backup of 300, and the sealer's mark: what is here, and who reads it."""

    now: Any
    older: Any
    mark: HighWater
    cleanup: AsyncExitStack

    async def gateway(self, database):
        db = await open_database(database.gateway_dsn)
        self.cleanup.push_async_callback(db.close)
        return db

    async def sealer(self, database, mark=None):
        db = await open_database(database.sealer_dsn)
        self.cleanup.push_async_callback(db.close)
        return Sealer(db=db, signer=SIGNER, high_water=mark or self.mark)

    def guard(self, db, own, **options):
        return TreeGuard(db, origin=ORIGIN, sealers=self.mark, own=HighWater(path=own), look_s=0.01, **options)


@pytest.fixture
async def restored(postgres_cluster, fresh_database, tmp_path):
    mark = HighWater(path=tmp_path / "sealers")
    await grow(fresh_database, mark, 0, 300)
    older = postgres_cluster.create()
    copy = f"CREATE DATABASE {older.name} TEMPLATE {fresh_database.name} OWNER bashu_owner"
    await asyncio.to_thread(postgres_cluster.drop, older)
    await asyncio.to_thread(postgres_cluster.loop.run, postgres_cluster.superuser.execute(copy))
    await grow(fresh_database, mark, 300, 700)
    async with AsyncExitStack() as cleanup:
        yield Restored(now=fresh_database, older=older, mark=mark, cleanup=cleanup)
    await asyncio.to_thread(postgres_cluster.drop, older)


class Switched:
    """The database that connections reach: replaced under whoever uses it, as by a restore."""

    def __init__(self, db):
        self.db = db

    async def fetch(self, sql, *args):
        return await self.db.fetch(sql, *args)

    async def fetchrow(self, sql, *args):
        return await self.db.fetchrow(sql, *args)


async def test_a_sealer_adds_nothing_to_an_older_tree_and_shows_no_life(restored):
    older = await restored.gateway(restored.older)
    async with older.transaction() as tx:
        await store.append(tx, [denied(900)])
    sealer = await restored.sealer(restored.older)
    before = await older.fetchrow("SELECT size, root, heartbeat FROM ledger_head")
    with pytest.raises(BashuError) as refused:
        await sealer.run_round()
    assert refused.value.reason is Reason.LEDGER_INCONSISTENT
    assert "旧备份" in refused.value.message
    assert refused.value.metadata == {"tree_size": "300", "signed_size": "700"}
    assert tuple(await older.fetchrow("SELECT size, root, heartbeat FROM ledger_head")) == tuple(before)
    assert await store.is_pending(older)


async def test_a_sealer_adds_nothing_to_another_tree_of_the_same_size(restored, tmp_path):
    await grow(restored.older, HighWater(path=tmp_path / "another"), 1300, 1750)
    sealer = await restored.sealer(restored.older)
    with pytest.raises(BashuError, match="not the one already signed"):
        await sealer.run_round()


async def test_a_worker_refuses_an_older_database_by_the_sealers_mark_and_serves_once_it_caught_up(restored, tmp_path):
    reached = Switched(await restored.gateway(restored.older))
    guard = restored.guard(reached, tmp_path / "own")
    with pytest.raises(BashuError) as refused:
        await guard.check()
    assert refused.value.metadata == {"tree_size": "300", "signed_size": "700"}
    stop = asyncio.Event()
    waiting = asyncio.create_task(guard.wait_until_whole(stop))
    done, _ = await asyncio.wait({waiting}, timeout=0.05)
    assert not done
    reached.db = await restored.gateway(restored.now)
    assert await waiting
    assert HighWater(path=tmp_path / "own").read().size == 700


async def test_a_worker_without_the_sealers_file_refuses_by_its_own_mark_after_a_restart_too(restored, tmp_path):
    restored.mark.path.unlink()
    reached = Switched(await restored.gateway(restored.now))
    guard = restored.guard(reached, tmp_path / "own")
    stop = asyncio.Event()
    watching = asyncio.create_task(guard.watch(stop))
    while not (tmp_path / "own").exists():
        await asyncio.sleep(0.01)
    reached.db = await restored.gateway(restored.older)
    assert await watching
    successor = restored.guard(reached, tmp_path / "own")
    with pytest.raises(BashuError, match="旧备份"):
        await successor.check()
    stop.set()
    assert not await successor.wait_until_whole(stop)


async def test_a_worker_refuses_another_tree_of_the_same_size_and_a_mark_that_cannot_be_read(restored, tmp_path):
    await grow(restored.older, HighWater(path=tmp_path / "another"), 1300, 1750)
    guard = restored.guard(await restored.gateway(restored.older), tmp_path / "own")
    with pytest.raises(BashuError, match="not the one already signed"):
        await guard.check()
    (tmp_path / "own").write_text("nonsense")
    with pytest.raises(BashuError, match="do not delete it"):
        await restored.guard(await restored.gateway(restored.now), tmp_path / "own").check()


async def test_a_worker_that_serves_says_and_does_not_hide_that_the_tree_is_another_one(restored, tmp_path):
    await grow(restored.older, HighWater(path=tmp_path / "another"), 1300, 1750)
    reached = Switched(await restored.gateway(restored.now))
    guard = restored.guard(reached, tmp_path / "own")
    await guard.check()
    reached.db = await restored.gateway(restored.older)
    stop = asyncio.Event()
    with capture_logs() as said:
        watching = asyncio.create_task(guard.watch(stop))
        while not said:
            await asyncio.sleep(0.01)
        stop.set()
        assert not await watching
    assert [line["event"] for line in said] == ["log_is_not_the_signed_one"]


async def test_a_worker_goes_on_while_its_database_is_away_and_stops_looking_when_told(restored, tmp_path):
    class Away:
        def __init__(self, db):
            self.db, self.asked = db, 0

        async def fetchrow(self, sql, *args):
            self.asked += 1
            if self.asked < 3:
                raise DatabaseUnavailable("away")
            if self.asked == 3:
                stop.set()
            return await self.db.fetchrow(sql, *args)

        async def fetch(self, sql, *args):
            return await self.db.fetch(sql, *args)

    stop = asyncio.Event()
    away = Away(await restored.gateway(restored.now))
    assert not await restored.guard(away, tmp_path / "own").watch(stop)
    assert away.asked == 3
