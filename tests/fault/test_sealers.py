"""Sealers that freeze, lose their connection, or race, and clocks that jump: one tree, no fork, nothing lost."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime

import pytest

from bashu.verify import VerifierKey
from bashu.watch import LogWatch
from core.errors import BashuError
from database import open_database
from ledger import store
from ledger.fsck import fsck
from ledger.highwater import HighWater
from ledger.model import EntryType, build_entry
from ledger.note import parse_vkey
from ledger.sealer import Pace, Sealer
from ledger.signer import generate_signer
from tests.admission_stage import SIGNER, open_stage
from tests.fault import freezing_sealer
from tests.log_stage import LedgerClient

ORIGIN = "log.example/frozen"


class Log:
    """A log, its watch from outside, and a hand on every connection."""

    def __init__(self, cluster, folder, db, sealing, owner):
        self.cluster, self.folder, self.db, self.sealing, self.owner = cluster, folder, db, sealing, owner
        self.key = folder / "log.pem"
        self.signer = generate_signer(self.key, name=ORIGIN)
        self.watch = LogWatch(folder / "watched", VerifierKey.parse(self.signer.vkey))

    def sealer(self, kind=Sealer, name="mark", **options):
        return kind(
            db=self.sealing,
            signer=options.pop("signer", self.signer),
            high_water=HighWater(path=self.folder / name),
            **options,
        )

    async def append(self, n=10):
        fields = {"requester": {"institution": "bank"}, "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"}}
        kind, now = EntryType.QUERY_DENIED, datetime.now(UTC)
        async with self.db.transaction() as tx:
            await store.append(tx, [build_entry(kind, origin=ORIGIN, ts=now, fields=fields) for _ in range(n)])

    async def look(self):
        """Look as `bashu ledger watch` does; an alarm ends the test."""
        return (await self.watch.look(LedgerClient(self.db, self.signer.vkey))).size

    def cut(self, where="application_name = $1", value=freezing_sealer.NAME):
        """Cut connections as a network or an administrator does."""
        sql = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {where}"
        assert self.cluster.loop.run(self.cluster.superuser.fetchval(sql, value)) > 0

    async def notes(self):
        return await store.checkpoints_between(self.db, 0, 1 << 40)

    async def findings(self, mark="mark"):
        found = fsck(self.owner, key=parse_vkey(self.signer.vkey), mark=HighWater(path=self.folder / mark).read())
        return [finding.line() async for finding in found]


@pytest.fixture
async def log(postgres_cluster, fresh_database, tmp_path):
    dsns = (fresh_database.gateway_dsn, fresh_database.sealer_dsn, fresh_database.owner_dsn)
    dbs = [await open_database(dsn, max_size=6) for dsn in dsns]
    yield Log(postgres_cluster, tmp_path, *dbs)
    for db in dbs:
        await db.close()


@pytest.mark.parametrize("where", freezing_sealer.WHERE)
async def test_a_sealer_frozen_with_the_heads_lock_is_replaced_and_thawed_it_signs_nothing_old(
    log, fresh_database, where
):
    await log.append()
    other = log.sealer()
    await other.run_round()
    await log.append()
    arguments = (where, fresh_database.sealer_dsn, log.key, log.folder / "frozen-mark")
    frozen = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.fault.freezing_sealer", *arguments, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert await frozen.stdout.readline() == b"freezing\n"
        await asyncio.to_thread(os.waitid, os.P_PID, frozen.pid, os.WSTOPPED)
        assert await other.run_round() == 0
        assert await log.look() == 10

        log.cut()
        await log.append()
        async with asyncio.timeout(30):
            while (await store.latest_checkpoint(log.db)).size < 30:
                await other.run_round()
        assert await log.look() == 30
        await log.append()
        before = await log.notes()

        frozen.send_signal(signal.SIGCONT)
        said = (await asyncio.wait_for(frozen.stdout.read(), 30)).decode()
    finally:
        if frozen.returncode is None:
            frozen.kill()
        await frozen.wait()
    assert "its round failed" in said
    assert "its next round sealed 10" in said
    after = await log.notes()
    assert after[: len(before)] == before
    assert [note.size for note in after[len(before) :]] == [40]
    assert await log.look() == 40
    assert await log.findings() == await log.findings("frozen-mark") == []


class CutWhileIntegrating(Sealer):
    cut = None

    async def _integrate(self, tx, old):
        new = await super()._integrate(tx, old)
        self.cut("pid = $1", await tx.fetchval("SELECT pg_backend_pid()"))
        return new


class CutWhileSigning:
    def __init__(self, log):
        self._log = log
        self.name, self.vkey, self.signers = log.signer.name, log.signer.vkey, (self,)

    def follow(self, vkeys):
        pass

    def sign(self, text):
        self._log.cut("usename = $1 AND state = 'idle in transaction'", "bashu_sealer")
        return self._log.signer.sign(text)


@pytest.mark.parametrize("moment", ["integrating", "signing"])
async def test_a_connection_lost_in_the_middle_of_a_round_leaves_the_tree_whole_and_the_next_round_goes_on(log, moment):
    await log.append()
    await log.sealer().run_round()
    await log.append()
    if moment == "integrating":
        losing = log.sealer(CutWhileIntegrating)
        losing.cut = log.cut
    else:
        losing = log.sealer(signer=CutWhileSigning(log))
    with pytest.raises(BashuError) as lost:
        await losing.run_round()
    assert lost.value.reason.value == "EVIDENCE_UNAVAILABLE"
    assert await log.look() == 10
    assert await log.sealer().run_round() == (10 if moment == "integrating" else 0)
    assert await log.look() == 20
    assert await log.findings() == []


async def test_three_sealers_racing_under_writers_make_one_tree_and_the_watch_stays_silent(log):
    stop = asyncio.Event()
    pace = Pace(poll_s=0.001, round_s=0.001, beat_s=0.01, batch=16)
    racing = [asyncio.create_task(log.sealer(name=f"mark-{n}", pace=pace).run(stop)) for n in range(3)]
    await log.append()
    seen = []

    async def watching():
        while not stop.is_set():
            if await store.latest_checkpoint(log.db) is not None:
                seen.append(await log.look())
            await asyncio.sleep(0)

    looking = asyncio.create_task(watching())
    async with asyncio.timeout(60):
        for done in range(60, 411, 50):
            await asyncio.gather(*(log.append() for _ in range(5)))
            while not seen or seen[-1] < done:
                await asyncio.sleep(0)
    stop.set()
    await asyncio.gather(*racing, looking)
    assert await log.look() == 410
    assert await log.findings() == await log.findings("mark-0") == await log.findings("mark-2") == []


@pytest.mark.parametrize("jump", [{"hours": -1}, {"days": 1}])
async def test_a_clock_that_jumps_and_comes_back_makes_no_fork_and_breaks_no_rule(fresh_database, tmp_path, jump):
    async with open_stage(fresh_database, tmp_path) as stage:
        watch, client = (
            LogWatch(tmp_path / "watched", VerifierKey.parse(SIGNER.vkey)),
            LedgerClient(stage.db, SIGNER.vkey),
        )
        await stage.clock_watch.look()
        consent = await stage.grant()
        await stage.release(await stage.ask(consent))
        for off in (jump, {}, jump, {}):
            await stage.jump(**off)
            await stage.clock_watch.look()
            if off:
                # The refusal is an entry, dated by the wrong clock.
                with pytest.raises(BashuError):
                    await stage.ask(consent)
            else:
                await stage.release(await stage.ask(await stage.grant()))
            await stage.sealer.run_round()
            await watch.look(client)
        assert await stage.check_log() == []
        await watch.look(client)
        assert (await stage.count())["CLOCK_ANOMALY"] == 4
