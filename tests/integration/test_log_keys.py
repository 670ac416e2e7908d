"""One key of the log succeeds another in a real database: the operator's commands, the sealer, fsck, the client."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from typer.testing import CliRunner

from bashu.verify import LogKeys, VerificationError, VerifierKey, verify_checkpoint, verify_export, verify_promise
from bashu.watch import LogWatch
from database import RightMissing, open_database
from gateway.cli import app
from gateway.log_keys import FollowedKeys
from gateway.witness.asking import Asking
from gateway.witness.client import WitnessClient
from gateway.witness.model import Witness
from ledger import store
from ledger.export import export_lines
from ledger.fsck import fsck
from ledger.highwater import HighWater
from ledger.model import EntryType, build_entry
from ledger.note import Checkpoint, NoteError, parse_vkey, sign_note
from ledger.promise import make_promises
from ledger.sealer import Sealer
from ledger.search import store as search
from ledger.signer import FileSigner, LogKeyFiles, generate_signer
from ledger.witness.cosignature import find_cosignature, parse_witness_vkey
from tests.integration.test_witnesses import SteppedClock
from tests.log_stage import LedgerClient
from tests.witness_stage import SmallWitness

ORIGIN = "log.example/bashu"
SETTINGS = """
region = "CN"
profile = "dev"
[database]
dsn_file = "dsn"
[ledger]
origin = "log.example/bashu"
signing_key = "log.pem"
highwater = "highwater"
[keys]
name_seal = "none"
operator_commitment = "none"
subject_commitment = "none"
[vault]
dsn_file = "none"
wrapping_key = "none"
"""


class Log:
    """A log with its sealer, its operator's command line and a reader of its own."""

    def __init__(self, fresh, folder, db, sealing, owner):
        self.fresh, self.folder, self.db, self.sealing, self.owner = fresh, folder, db, sealing, owner
        self.settings = folder / "gateway.toml"
        self.settings.write_text(SETTINGS)
        dsn = folder / "dsn"
        dsn.touch(mode=0o600)
        dsn.write_text(fresh.gateway_dsn)
        self.first = generate_signer(folder / "log.pem", name=ORIGIN).vkey
        self.keys = LogKeyFiles(folder / "log.pem", name=ORIGIN)
        self.sealer = self.sealer_with(self.keys)

    def sealer_with(self, signer):
        return Sealer(db=self.sealing, signer=signer, high_water=HighWater(path=self.folder / "highwater"))

    async def command(self, *words, code=0):
        arguments = ["keys", *words, "--settings", str(self.settings)]
        done = await asyncio.to_thread(CliRunner().invoke, app, arguments, env={"BASHU_PARENT_PID": None})
        assert done.exit_code == code, done.output
        return done.output

    async def listed(self):
        lines = (await self.command("list", "--json")).splitlines()
        return {row["vkey"]: row for row in map(json.loads, lines)}

    async def add(self):
        """Add a successor and return its vkey and key id."""
        before = set(await self.listed())
        await self.command("add")
        (vkey,) = set(await self.listed()) - before - {self.first}
        return vkey, parse_vkey(vkey).key_id.hex()

    async def grow(self, n=3):
        fields = {"requester": {"institution": "bank"}, "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"}}
        kind, now = EntryType.QUERY_DENIED, datetime.now(UTC)
        entries = [build_entry(kind, origin=ORIGIN, ts=now, fields=fields) for _ in range(n)]
        async with self.db.transaction() as tx:
            await store.append(tx, entries)
        return await self.seal()

    async def seal(self):
        """Seal and return the newest note."""
        await self.sealer.run_round()
        return (await store.latest_checkpoint(self.db)).note

    async def events(self):
        found = await search.find_entries(self.db, limit=99, types=["KEY_EVENT"])
        members = [json.loads(entry.body) for entry in found]
        return [(entry["object"], entry["status"]) for entry in members]

    async def findings(self, key=None):
        found = fsck(self.owner, key=parse_vkey(key or self.first))
        return [finding.line() async for finding in found]

    async def whole(self):
        return [line async for line in export_lines(self.db)]


@pytest.fixture
async def log(fresh_database, tmp_path):
    dbs = [
        await open_database(dsn, max_size=4)
        for dsn in (fresh_database.gateway_dsn, fresh_database.sealer_dsn, fresh_database.owner_dsn)
    ]
    yield Log(fresh_database, tmp_path, *dbs)
    for db in dbs:
        await db.close()


def opens(note, *vkeys):
    return verify_checkpoint(note, LogKeys.parse(list(vkeys)))


def only_by(note, vkey):
    """Tell whether the log signed ``note`` with ``vkey`` and nothing else."""
    return opens(note, vkey).size > 0 and note.split("\n\n")[1].count("\n") == 1


async def test_a_key_succeeds_another_with_an_overlap_in_which_each_alone_opens_every_checkpoint(log, tmp_path):
    watch = LogWatch(tmp_path / "watched" / "checkpoint", VerifierKey.parse(log.first))
    client = LedgerClient(log.db, log.first)
    assert only_by(await log.grow(), log.first)
    await watch.look(client)

    fresh, key = await log.add()
    file = tmp_path / f"ledger-{key}.pem"
    assert file.stat().st_mode & 0o777 == 0o600
    assert only_by(await log.seal(), log.first)
    assert [row["state"] for row in (await log.listed()).values()] == ["SIGNING", "ADDED"]
    await watch.look(client)

    await log.command("overlap", key)
    both = await log.seal()
    assert opens(both, log.first).size == opens(both, fresh).size == 6
    assert both.split("\n\n")[1].count("\n") == 2
    assert opens(await log.grow(), log.first, fresh).size == 9
    await watch.look(client)

    old = parse_vkey(log.first).key_id.hex()
    assert "0 days of the 30" in await log.command("retire", old, code=1)
    log.fresh.shift_time(timedelta(days=31))
    await log.command("retire", old)
    assert (await client.get_checkpoint()).vkey == fresh
    after = await log.seal()
    assert only_by(after, fresh)
    with pytest.raises(VerificationError, match="the log may have a new key"):
        opens(after, log.first)
    await watch.look(client)
    assert only_by(await log.grow(), fresh)
    await watch.look(client)

    assert await log.events() == [
        (log.first, {"to": "FIRST", "reason": "LOG_KEY", "actor": "GATEWAY_OPERATOR"}),
        (fresh, {"to": "ADDED", "reason": "LOG_KEY", "actor": "GATEWAY_OPERATOR"}),
        (fresh, {"from": "ADDED", "to": "OVERLAP", "reason": "LOG_KEY", "actor": "GATEWAY_OPERATOR"}),
        (log.first, {"from": "SIGNING", "to": "RETIRED", "reason": "LOG_KEY", "actor": "GATEWAY_OPERATOR"}),
    ]
    assert await log.findings() == await log.findings(fresh) == []
    lines = await log.whole()
    assert verify_export(lambda: lines, LogKeys.parse([log.first, fresh])).is_whole
    assert not verify_export(lambda: lines, LogKeys.parse(log.first)).holds


async def test_promises_follow_the_keys_that_sign_checkpoints(log):
    follows = FollowedKeys(log.db, signer=log.keys)
    by = datetime(2026, 3, 1, tzinfo=UTC)

    def promised():
        return make_promises([bytes(32)], signer=log.keys, publish_by=by)[0].note

    fresh, key = await log.add()
    await follows.follow()
    with pytest.raises(VerificationError):
        verify_promise(promised(), VerifierKey.parse(fresh))
    await log.command("overlap", key)
    await follows.follow()
    for vkey in (log.first, fresh):
        assert verify_promise(promised(), VerifierKey.parse(vkey)).size == 1
    await log.command("retire", parse_vkey(log.first).key_id.hex(), "--early")
    await follows.follow()
    with pytest.raises(VerificationError):
        verify_promise(promised(), VerifierKey.parse(log.first))


async def test_of_a_compromised_key_the_added_successor_takes_over_in_the_same_step(log):
    await log.grow()
    old = parse_vkey(log.first).key_id.hex()
    assert "there is no key" in await log.command("compromised", old, code=2)
    fresh, key = await log.add()
    await log.seal()
    await log.command("compromised", old)
    assert only_by(await log.seal(), fresh)
    assert [status["to"] for _, status in await log.events()] == ["FIRST", "ADDED", "OVERLAP", "COMPROMISED"]
    assert await log.findings(fresh) == []
    assert "no other key could sign" in await log.command("compromised", key, code=1)


async def test_steps_out_of_order_are_refused_and_leave_no_entry_and_no_file(log, tmp_path):
    _, key = await log.add()
    old = parse_vkey(log.first).key_id.hex()
    files = set(tmp_path.iterdir())
    assert "under way" in await log.command("add", code=1)
    assert set(tmp_path.iterdir()) == files
    await log.command("retire", old, "--early", code=1)
    await log.command("overlap", old, code=1)
    await log.command("overlap", "00000000", code=2)
    (tmp_path / f"ledger-{key}.pem").rename(tmp_path / "away")
    assert "copy the log's new key" in await log.command("overlap", key, code=2)
    (tmp_path / "away").rename(tmp_path / f"ledger-{key}.pem")
    await log.command("overlap", key)
    await log.command("retire", key, "--early", code=1)
    await log.command("overlap", key, code=1)
    await log.seal()
    assert [status["to"] for _, status in await log.events()] == ["FIRST", "ADDED", "OVERLAP"]


async def test_a_sealer_without_the_file_of_a_key_that_signs_does_not_sign_and_another_does(log, tmp_path):
    _, key = await log.add()
    await log.command("overlap", key)
    size = await store.latest_checkpoint(log.db)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "log.pem").write_bytes((tmp_path / "log.pem").read_bytes())
    (bare / "log.pem").chmod(0o600)
    with pytest.raises(NoteError, match="copy the log's new key"):
        await log.sealer_with(LogKeyFiles(bare / "log.pem", name=ORIGIN)).run_round()
    assert await store.latest_checkpoint(log.db) == size
    assert (await log.seal()).split("\n\n")[1].count("\n") == 2


async def test_fsck_names_a_tree_not_signed_by_every_key_of_its_time_and_a_step_that_was_taken_away(log):
    _, key = await log.add()
    await log.command("overlap", key)
    await log.seal()
    head = await store.head(log.db)
    text = Checkpoint(origin=ORIGIN, size=head.size, root=head.root).text()
    await log.owner.execute("ALTER TABLE ledger_checkpoint DISABLE TRIGGER append_only")
    await log.owner.execute(
        "UPDATE ledger_checkpoint SET note = $1 WHERE size = $2", sign_note(text, *log.keys.signers[:1]), head.size
    )
    assert [line.split(": ")[0] for line in await log.findings()] == ["ERROR leaf - CHECKPOINT_UNSIGNED"]
    await log.owner.execute("ALTER TABLE log_key_event DISABLE TRIGGER append_only")
    await log.owner.execute("DELETE FROM log_key_event WHERE step = 'OVERLAP'")
    assert [line.split(": ")[0] for line in await log.findings()] == ["ERROR leaf 2 KEY_DIFFERS"]
    await log.owner.execute("UPDATE log_key_event SET step = 'RETIRED' WHERE step = 'ADDED'")
    assert "ERROR leaf 1 KEY_DIFFERS" in [line.split(": ")[0] for line in await log.findings()]
    stranger = FileSigner(ORIGIN, Ed25519PrivateKey.generate()).vkey
    assert any("is none of the log's" in line for line in await log.findings(stranger))


async def test_a_witness_that_knows_one_of_the_keys_cosigns_as_long_as_that_one_signs(log, tmp_path):
    await log.grow()
    fresh, key = await log.add()
    await log.seal()
    client, clock = WitnessClient(), SteppedClock()
    witnesses = [
        SmallWitness(f"{name}.example/w", log_vkey=vkey, state=tmp_path / name, now=lambda: clock.now().timestamp())
        for name, vkey in (("old", log.first), ("new", fresh))
    ]
    known = []
    for witness in witnesses:
        await witness.start()
        known.append(Witness(key=parse_witness_vkey(witness.vkey), url=witness.url))
    asking = Asking(log.sealing, witnesses=known, quorum=1, client=client, clock=clock)

    async def cosigners():
        await log.grow()
        clock.elapsed_s += 600
        await asking.look()
        signed = (await store.latest_checkpoint(log.db)).note
        text, _, lines = signed.rpartition("\n\n")
        return [one.key.name for one in known if find_cosignature(lines, one.key, text=f"{text}\n")]

    try:
        assert await cosigners() == ["old.example/w"]
        await log.command("overlap", key)
        assert await cosigners() == ["old.example/w", "new.example/w"]
        await log.command("retire", parse_vkey(log.first).key_id.hex(), "--early")
        assert await cosigners() == ["new.example/w"]
        assert await log.findings() == []
    finally:
        await client.close()
        for witness in witnesses:
            await witness.stop()


async def test_steps_are_only_ever_added(log):
    await log.add()
    for statement in ("UPDATE log_key_event SET step = 'FIRST'", "DELETE FROM log_key_event"):
        with pytest.raises(RightMissing):
            await log.db.execute(statement)
        with pytest.raises(RightMissing):
            await log.owner.execute(statement)
