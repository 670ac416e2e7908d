"""Ways of ordering entries that look right and are not, run against the same race as the sealer's.

The race is held in place by open transactions, not left to luck:

1. a revocation begins (it has a transaction id) and does not hold its consent's lock yet;
2. a slow transaction appends and stays open: it has taken the smallest number;
3. a release locks the consent, appends, commits; a round of integration is held;
4. the revocation gets the lock and appends;
5. the slow transaction commits, then the revocation; a second round is held.

The law: an entry whose commit was over before another's transaction took its number has the smaller index. So the
release must stand before the revocation, and no entry may be missing.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from database import open_database
from ledger import store
from ledger.fsck import fsck
from ledger.highwater import HighWater
from ledger.model import EntryType, build_entry
from ledger.note import parse_vkey
from ledger.sealer import Sealer
from ledger.signer import FileSigner

SIGNER = FileSigner("log.example/race", Ed25519PrivateKey.from_private_bytes(bytes(32)))
LOCK = "SELECT id FROM race_consent WHERE id = $1 FOR NO KEY UPDATE"


def entry(name):
    fields = {"object": name}
    return build_entry(
        EntryType.NOTICE_REGISTERED, origin=SIGNER.name, ts=datetime(2026, 3, 1, tzinfo=UTC), fields=fields
    )


class ReadBeyondTheLastNumber:
    """Wrong: take every committed entry with ``seq > last``."""

    def __init__(self, db):
        self.db = db
        self.last = 0
        self.ids = []

    async def run_round(self):
        rows = await self.db.fetch("SELECT seq, entry_id FROM ledger_entry WHERE seq > $1 ORDER BY seq", self.last)
        self.ids += [row["entry_id"] for row in rows]
        self.last = rows[-1]["seq"] if rows else self.last

    async def order(self):
        return self.ids


class GateByTransactionId:
    """Wrong: take what was written by transactions older than every running one, in the order of their ids."""

    def __init__(self, db):
        self.db = db
        self.ids = []

    async def run_round(self):
        rows = await self.db.fetch(
            "SELECT entry_id FROM ledger_entry WHERE xmin::text::bigint < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"
            " AND NOT entry_id = ANY($1) ORDER BY xmin::text::bigint, seq",
            self.ids,
        )
        self.ids += [row["entry_id"] for row in rows]

    async def order(self):
        return self.ids


class TakeFromTheQueue:
    """Right: the sealer."""

    def __init__(self, db, folder):
        self.db = db
        self.sealer = Sealer(db=db, signer=SIGNER, high_water=HighWater(path=folder / "highwater"))

    async def run_round(self):
        await self.sealer.run_round()

    async def order(self):
        head = await store.head(self.db)
        return [stored.entry_id for stored in await store.entries_between(self.db, 0, head.size)]


@pytest.fixture
async def writers(fresh_database):
    owner = await open_database(fresh_database.owner_dsn)
    await owner.execute(
        "CREATE TABLE race_consent (id int PRIMARY KEY, n int NOT NULL DEFAULT 0);"
        "INSERT INTO race_consent SELECT generate_series(1, 4);"
        "GRANT SELECT, UPDATE ON race_consent TO bashu_gateway"
    )
    await owner.close()
    db = await open_database(fresh_database.gateway_dsn, max_size=12)
    yield db
    await db.close()


@pytest.fixture
async def sealing(fresh_database):
    db = await open_database(fresh_database.sealer_dsn, max_size=4)
    yield db
    await db.close()


@pytest.fixture
async def reading(fresh_database):
    db = await open_database(fresh_database.reader_dsn, max_size=1)
    yield db
    await db.close()


async def race(writers, integrator):
    """Run the race and return the names of the entries in the order the integrator gave them."""
    slow, release, revocation = entry("slow"), entry("release"), entry("revocation")
    names = {slow.entry_id: "slow", release.entry_id: "release", revocation.entry_id: "revocation"}
    async with writers.transaction() as revoking:
        await revoking.fetchval("SELECT pg_current_xact_id()::text")
        async with writers.transaction() as slowly:
            await slowly.execute(LOCK, 1)
            await store.append(slowly, [slow])
            async with writers.transaction() as releasing:
                await releasing.execute(LOCK, 2)
                await store.append(releasing, [release])
            await integrator.run_round()
            await revoking.execute(LOCK, 2)
            await store.append(revoking, [revocation])
            # Leaving the inner block commits the slow transaction; the outer one, the revocation, follows it.
    await integrator.run_round()
    return [names[number] for number in await integrator.order()]


async def test_reading_beyond_the_last_number_loses_the_entry_that_committed_late(writers, sealing):
    assert "slow" not in await race(writers, ReadBeyondTheLastNumber(sealing))


async def test_gating_by_transaction_id_puts_the_revocation_before_the_release_it_followed(writers, sealing):
    order = await race(writers, GateByTransactionId(sealing))
    assert order.index("revocation") < order.index("release")


async def test_taking_from_the_queue_loses_nothing_and_keeps_the_order(writers, sealing, tmp_path):
    order = await race(writers, TakeFromTheQueue(sealing, tmp_path))
    assert sorted(order) == ["release", "revocation", "slow"]
    assert order.index("release") < order.index("revocation")


async def test_many_writers_and_two_sealers_keep_every_consents_order(writers, sealing, reading, tmp_path):
    right = [TakeFromTheQueue(sealing, tmp_path) for _ in range(2)]
    written = {}
    done = asyncio.Event()

    async def write(worker):
        for step in range(25):
            consent = (worker + step) % 4 + 1
            async with writers.transaction() as tx:
                await tx.execute(LOCK, consent)
                n = await tx.fetchval("UPDATE race_consent SET n = n + 1 WHERE id = $1 RETURNING n", consent)
                made = entry(f"{consent}/{n}")
                written[made.entry_id] = (consent, n)
                await store.append(tx, [made])

    async def seal(integrator):
        while not done.is_set():
            await integrator.run_round()

    async with asyncio.TaskGroup() as group:
        for integrator in right:
            group.create_task(seal(integrator))
        async with asyncio.TaskGroup() as writing:
            for worker in range(8):
                writing.create_task(write(worker))
        done.set()
    await right[0].run_round()
    order = [written[number] for number in await right[0].order()]
    assert len(order) == 200
    for consent in range(1, 5):
        assert [n for c, n in order if c == consent] == list(range(1, 51))
    assert [f.line() async for f in fsck(reading, key=parse_vkey(SIGNER.vkey))] == []


GUARDED = """
WITH u AS (SELECT * FROM unnest($1::int[], $2::uuid[], $3::bytea[], $4::bytea[])
             WITH ORDINALITY AS t (consent, entry_id, body, leaf_hash, ord)),
l AS MATERIALIZED (SELECT id FROM race_consent WHERE id = ANY($1) ORDER BY id FOR NO KEY UPDATE),
s AS (SELECT u.ord, u.entry_id, u.body, u.leaf_hash FROM u JOIN l ON l.id = u.consent),
{append}
SELECT seq, entry_id FROM ledger_e ORDER BY seq"""


@pytest.mark.parametrize("joins", [{}, {"enable_hashjoin": "off", "enable_mergejoin": "off", "enable_sort": "off"}])
async def test_a_guarded_statement_takes_no_number_before_it_holds_every_lock(fresh_database, writers, joins):
    db = await open_database(fresh_database.gateway_dsn, settings=joins, application_name="guarded")
    mine, other = [entry("1"), entry("2")], entry("other")
    sql = GUARDED.format(append=store.append_ctes("s"))
    async with asyncio.TaskGroup() as group, writers.transaction() as tx:
        await tx.execute(LOCK, 2)
        waiting = group.create_task(db.fetch(sql, [1, 2], *store.entry_columns(mine)))
        await until_blocked(writers)
        (number,) = await store.append(tx, [other])
    assert [row["entry_id"] for row in waiting.result()] == [e.entry_id for e in mine]
    assert all(row["seq"] > number for row in waiting.result())
    await db.close()


async def until_blocked(db):
    blocked = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE application_name = 'guarded'"
    async with asyncio.timeout(20):
        while not await db.fetchval(blocked):
            await asyncio.sleep(0.01)
