"""Append, integrate, sign, prove, export and check a log in a real database."""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.errors import BashuError, Reason
from database import RightMissing, StatementFailed, UniqueConflict, open_database
from ledger import store
from ledger.export import check_export, export_lines
from ledger.fsck import fsck
from ledger.highwater import HighWater
from ledger.inspection import store as inspection
from ledger.merkle import TileHashes, consistency_holds, inclusion_holds, root_nodes, tiles_of
from ledger.model import Entry, EntryType, build_entry, leaf_hash
from ledger.note import open_checkpoint, parse_vkey, sign_note
from ledger.proofs import consistency_proof, inclusion_proof
from ledger.sealer import Pace, Sealer
from ledger.search import store as search
from ledger.signer import FileSigner

ORIGIN = "log.example/bashu"
NOW = datetime(2026, 3, 1, tzinfo=UTC)
SIGNER = FileSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = parse_vkey(SIGNER.vkey)


def denied(n, **extra):
    fields = {
        "requester": {"institution": f"bank-{n % 3}"},
        "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"},
        "intent": {"request": str(uuid.UUID(int=n))},
    }
    ts = NOW + timedelta(milliseconds=n)
    return build_entry(EntryType.QUERY_DENIED, origin=ORIGIN, ts=ts, fields=fields | extra)


@pytest.fixture
async def gateway(fresh_database):
    db = await open_database(fresh_database.gateway_dsn)
    yield db
    await db.close()


@pytest.fixture
async def sealing(fresh_database):
    db = await open_database(fresh_database.sealer_dsn, max_size=4)
    yield db
    await db.close()


@pytest.fixture
async def owner(fresh_database):
    db = await open_database(fresh_database.owner_dsn)
    yield db
    await db.close()


@pytest.fixture
def mark(tmp_path):
    return HighWater(path=tmp_path / "highwater")


@pytest.fixture
def sealer(sealing, mark):
    return Sealer(db=sealing, signer=SIGNER, high_water=mark)


async def append(db, entries):
    async with db.transaction() as tx:
        return await store.append(tx, entries)


async def findings(db, **options):
    return [f"{f.code}@{f.leaf_index}" async for f in fsck(db, key=KEY, **options)]


async def test_entries_are_numbered_in_the_order_given(gateway):
    entries = [denied(n) for n in range(50)]
    numbers = await append(gateway, entries)
    assert numbers == sorted(numbers)
    stored = await store.entry_by_id(gateway, entries[7].entry_id)
    assert (stored.seq, stored.body, stored.leaf_hash, stored.leaf_index) == (
        numbers[7],
        entries[7].body,
        entries[7].leaf_hash,
        None,
    )


async def test_sealed_entries_have_proofs_to_a_signed_checkpoint(gateway, sealer, mark):
    first, second = [denied(n) for n in range(300)], [denied(n) for n in range(300, 700)]
    await append(gateway, first)
    assert await sealer.run_round() == 300
    await append(gateway, second)
    assert await sealer.run_round() == 400
    assert await sealer.run_round() == 0
    newest = await store.latest_checkpoint(gateway)
    checkpoint = open_checkpoint(newest.note, KEY)
    assert (checkpoint.size, checkpoint.root) == (700, newest.root)
    assert mark.read() == checkpoint
    for index in (0, 255, 256, 299, 300, 699):
        proof = await inclusion_proof(gateway, index)
        leaf = (first + second)[index].leaf_hash
        assert proof.leaf_hash == leaf
        assert inclusion_holds(
            leaf_index=index,
            size=700,
            leaf=leaf,
            proof=proof.hashes,
            root=open_checkpoint(proof.checkpoint.note, KEY).root,
        )
        assert proof.tlog_proof().startswith(f"c2sp.org/tlog-proof@v1\nindex {index}\n")
        assert proof.tlog_proof().endswith("\n\n" + newest.note)
    consistency = await consistency_proof(gateway, 300)
    old = await store.checkpoint_at(gateway, 300)
    assert consistency_holds(size1=300, size2=700, root1=old.root, root2=newest.root, proof=consistency.hashes)
    assert await findings(gateway, mark=mark.read()) == []


async def test_proofs_nobody_signed_for_are_not_given(gateway, sealer):
    assert await inclusion_proof(gateway, 0) is None
    await append(gateway, [denied(0)])
    await sealer.run_round()
    assert await inclusion_proof(gateway, 1) is None
    assert await inclusion_proof(gateway, 0, tree_size=5) is None
    assert await consistency_proof(gateway, 2) is None


async def test_an_export_verifies_line_by_line_and_keeps_the_invariants(gateway, sealer):
    entries = [denied(n) for n in range(600)]
    await append(gateway, entries)
    await sealer.run_round()
    lines = [json.loads(line) async for line in export_lines(gateway)]
    checkpoint = open_checkpoint(lines[-1]["checkpoint"], KEY)
    leaves = [base64.b64decode(line["leaf"]) for line in lines[:-1]]
    assert leaves == [entry.body for entry in entries]
    for line, leaf in zip(lines, leaves, strict=False):
        assert inclusion_holds(
            leaf_index=line["leaf_index"],
            size=checkpoint.size,
            leaf=leaf_hash(leaf),
            proof=[base64.b64decode(text) for text in line["proof"]],
            root=checkpoint.root,
        )
    resumed = [json.loads(line) async for line in export_lines(gateway, from_index=590)]
    assert [line.get("leaf_index") for line in resumed] == [*range(590, 600), None]


async def test_an_export_is_checked_with_the_logs_key_alone(gateway, sealer):
    await append(gateway, [denied(n) for n in range(40)])
    await sealer.run_round()
    lines = [line async for line in export_lines(gateway)]
    assert codes(lines) == []
    assert codes(lines[7:]) == []
    assert codes(lines[:-1]) == ["CHECKPOINT_MISSING@None"]
    assert codes([*lines[:9], *lines[10:]]) == ["LEAF_SKIPPED@10"]
    assert codes([*lines[:9], lines[-1]]) == ["EXPORT_SHORT@None"]
    assert codes([*lines[:5], lines[6], lines[5], *lines[7:]]) == ["LEAF_SKIPPED@6", "LEAF_SKIPPED@5", "LEAF_SKIPPED@7"]
    assert codes([*lines[:5], b"{}", *lines[6:]]) == ["LINE_UNREADABLE@5"]
    forged = json.loads(lines[3])
    forged["leaf"] = base64.b64encode(base64.b64decode(forged["leaf"]).replace(b"SCOPE", b"RANGE")).decode()
    assert codes([*lines[:3], json.dumps(forged).encode(), *lines[4:]]) == ["PROOF_WRONG@3"]


def codes(lines):
    return [f"{f.code}@{f.leaf_index}" for f in check_export(lines, key=KEY)]


async def test_search_columns_are_projected_and_found(gateway, sealer):
    await append(gateway, [denied(n) for n in range(9)])
    await sealer.run_round()
    found = await search.find_entries(gateway, institution="bank-1", limit=2)
    assert [entry.leaf_index for entry in found] == [1, 4]
    found = await search.find_entries(gateway, institution="bank-1", from_index=5, limit=9, types=["QUERY_DENIED"])
    assert [entry.leaf_index for entry in found] == [7]
    assert [e.leaf_index for e in await search.find_entries(gateway, request_id=uuid.UUID(int=8), limit=9)] == [8]
    assert await search.find_entries(gateway, consent_id=uuid.UUID(int=8), limit=9) == []


async def test_an_id_a_refused_caller_made_up_does_not_stop_the_sealer(gateway, sealer):
    await append(gateway, [denied(0, intent={"request": "not a uuid\x00"}, requester={"institution": "a\x00b"})])
    assert await sealer.run_round() == 1
    assert await findings(gateway) == []


async def test_freshness_tells_the_age_of_the_queue_and_of_the_heartbeat(gateway, sealer, owner):
    assert (await store.freshness(gateway)).oldest_pending_s is None
    await append(gateway, [denied(0), denied(1)])
    await owner.execute("UPDATE ledger_head SET heartbeat = clock_timestamp() - interval '31 s'")
    facts = await store.freshness(gateway)
    assert facts.oldest_pending_s >= 0
    assert facts.heartbeat_s >= 31
    await sealer.run_round()
    facts = await store.freshness(gateway)
    assert facts.oldest_pending_s is None
    assert facts.heartbeat_s < 31


async def test_the_sealer_beats_when_nothing_is_to_do(sealer, owner):
    await owner.execute("UPDATE ledger_head SET heartbeat = clock_timestamp() - interval '1 day'")
    assert await sealer.run_round() == 0
    assert (await store.freshness(owner)).heartbeat_s < 3600


async def test_the_running_sealer_seals_what_comes_and_stops_when_told(gateway, sealer):
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(sealer.run(stop))
        entry = denied(0)
        await append(gateway, [entry])
        async with asyncio.timeout(20):
            while not (newest := await store.latest_checkpoint(gateway)) or newest.size == 0:
                await asyncio.sleep(0.01)
        last = denied(1)
        await append(gateway, [last])
        stop.set()
    assert (await store.latest_checkpoint(gateway)).size == 2


async def test_a_queue_longer_than_a_round_is_caught_up(gateway, sealing, mark):
    sealer = Sealer(db=sealing, signer=SIGNER, high_water=mark, pace=Pace(batch=100))
    entries = [denied(n) for n in range(250)]
    await append(gateway, entries)
    assert [await sealer.run_round() for _ in range(4)] == [100, 100, 50, 0]
    sealed = await store.entries_between(gateway, 0, 250)
    assert [entry.entry_id for entry in sealed] == [entry.entry_id for entry in entries]
    assert await findings(gateway) == []


async def test_two_sealers_at_once_make_one_tree(gateway, sealing, mark):
    sealers = [Sealer(db=sealing, signer=SIGNER, high_water=mark, pace=Pace(batch=17)) for _ in range(2)]
    sealed = 0
    for n in range(20):
        await append(gateway, [denied(n * 30 + m) for m in range(30)])
        sealed += sum(await asyncio.gather(*(s.run_round() for s in sealers)))
    while (more := sum(await asyncio.gather(*(s.run_round() for s in sealers)))) or sealed < 600:
        sealed += more
    assert sealed == 600
    assert await findings(gateway, mark=mark.read()) == []
    assert (await store.latest_checkpoint(gateway)).size == 600


COLUMN = {
    "ledger_entry": "body",
    "ledger_leaf": "seq",
    "ledger_tile": "hashes",
    "ledger_head": "root",
    "ledger_checkpoint": "note",
    "ledger_search": "type",
}


@pytest.mark.parametrize("table", COLUMN)
async def test_no_running_role_can_change_or_empty_the_ledger(fresh_database, gateway, sealer, table):
    await append(gateway, [denied(0)])
    await sealer.run_round()
    for dsn in (fresh_database.gateway_dsn, fresh_database.sealer_dsn, fresh_database.reader_dsn):
        # The reader could not write anyway; without that, its rights are what refuses.
        db = await open_database(dsn, settings={"default_transaction_read_only": "off"})
        statements = [f"DELETE FROM {table}", f"TRUNCATE {table}"]
        # The sealer lengthens tiles and moves the head; triggers see to it that they only grow.
        if dsn != fresh_database.sealer_dsn or table not in {"ledger_tile", "ledger_head"}:
            statements.append(f"UPDATE {table} SET {COLUMN[table]} = {COLUMN[table]}")
        for statement in statements:
            with pytest.raises(RightMissing):
                await db.execute(statement)
        await db.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_entry SET body = body",
        "DELETE FROM ledger_entry",
        "TRUNCATE ledger_entry CASCADE",
        "DELETE FROM ledger_leaf",
        "UPDATE ledger_leaf SET seq = seq",
        "UPDATE ledger_checkpoint SET note = note",
        "DELETE FROM ledger_checkpoint",
        "DELETE FROM ledger_tile",
        "TRUNCATE ledger_tile",
        "UPDATE ledger_tile SET hashes = sha256(hashes)",
        "UPDATE ledger_head SET size = 0",
        "UPDATE ledger_head SET root = sha256(root)",
        "DELETE FROM ledger_head",
        "TRUNCATE ledger_pending",
        "UPDATE ledger_pending SET seq = seq + 1",
    ],
)
async def test_triggers_refuse_the_owner_too(gateway, sealer, owner, statement):
    await append(gateway, [denied(0)])
    await sealer.run_round()
    with pytest.raises(RightMissing):
        await owner.execute(statement)


async def test_the_database_refuses_a_hash_that_is_not_the_bodys_and_a_second_entry_of_one_id(gateway):
    right = denied(0)
    wrong = Entry(entry_id=right.entry_id, type=right.type, body=right.body, leaf_hash=bytes(32))
    with pytest.raises(StatementFailed):
        await append(gateway, [wrong])
    await append(gateway, [right])
    with pytest.raises(UniqueConflict):
        await append(gateway, [right])


async def tamper(owner, table, *statements):
    """Change rows as the owner who switched the triggers off."""
    await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
    for statement, *args in statements:
        await owner.execute(statement, *args)


async def sealed_log(gateway, sealer, count=700):
    entries = [denied(n) for n in range(count)]
    for begin in range(0, count, 300):
        await append(gateway, entries[begin : begin + 300])
        await sealer.run_round()
    return entries


async def test_fsck_says_how_far_it_is(gateway, sealer):
    await append(gateway, [denied(n) for n in range(1100)])
    await sealer.run_round()
    heard = []
    assert await findings(gateway, progress=lambda done, size: heard.append((done, size))) == []
    assert heard == [(1024, 1100), (1100, 1100)]


async def test_fsck_goes_on_from_an_index_and_finds_what_stands_after_it(gateway, sealer, owner):
    entries = [denied(n) for n in range(2600)]
    await append(gateway, entries)
    await sealer.run_round()
    heard = []
    assert await findings(gateway, from_index=2500, progress=lambda done, size: heard.append((done, size))) == []
    assert heard == [(2600, 2600)]
    await tamper(owner, "ledger_entry", ("DELETE FROM ledger_entry WHERE entry_id = $1", entries[2550].entry_id))
    assert await findings(gateway, from_index=1100) == ["ENTRY_MISSING@2550"]
    assert await findings(gateway) == ["ENTRY_MISSING@2550"]


async def test_fsck_names_a_changed_entry(gateway, sealer, owner):
    entries = await sealed_log(gateway, sealer)
    forged = denied(301)
    body = forged.body.replace(str(forged.entry_id).encode(), str(entries[301].entry_id).encode())
    body = body.replace(b"SCOPE_EXCEEDED", b"RANGE_EXCEEDED")
    change = "UPDATE ledger_entry SET body = $1, leaf_hash = $2 WHERE entry_id = $3"
    await tamper(owner, "ledger_entry", (change, body, leaf_hash(body), entries[301].entry_id))
    assert await findings(gateway) == ["ENTRY_CHANGED@301"]


async def test_fsck_names_a_removed_entry_and_two_swapped_ones(gateway, sealer, owner):
    entries = await sealed_log(gateway, sealer)
    await tamper(owner, "ledger_entry", ("DELETE FROM ledger_entry WHERE entry_id = $1", entries[5].entry_id))
    swap = "UPDATE ledger_leaf SET seq = CASE leaf_index WHEN 10 THEN $1::bigint ELSE $2::bigint END WHERE leaf_index IN (10, 11)"
    ten, eleven = [(await store.entry_by_index(gateway, n)).seq for n in (10, 11)]
    await owner.execute("ALTER TABLE ledger_leaf DROP CONSTRAINT ledger_leaf_seq_unique")
    await tamper(owner, "ledger_leaf", (swap, eleven, ten))
    found = await findings(gateway)
    assert [f for f in found if "PROJECTION" not in f] == ["ENTRY_MISSING@5", "ENTRY_CHANGED@10", "ENTRY_CHANGED@11"]


async def test_fsck_finds_a_forged_tree_by_the_signed_checkpoints(gateway, sealer, owner, sealing, tmp_path):
    """Entry, tiles and head rewritten to agree: only what was signed before still tells."""
    await sealed_log(gateway, sealer)
    notes = [await store.checkpoint_at(gateway, size) for size in (300, 600, 700)]
    rows = await inspection.leaves_between(owner, 0, 700)
    forged = [{"entry_id": r["entry_id"], "body": r["body"]} for r in rows]
    forged[400]["body"] = forged[400]["body"].replace(b"SCOPE_EXCEEDED", b"RANGE_EXCEEDED")
    for table in ("ledger_entry", "ledger_leaf", "ledger_tile", "ledger_head", "ledger_checkpoint", "ledger_search"):
        await owner.execute(f"ALTER TABLE {table} DISABLE TRIGGER USER")
        if table != "ledger_head":
            await owner.execute(f"DELETE FROM {table}")
    await owner.execute("UPDATE ledger_head SET size = 0, root = sha256(''::bytea)")
    remade = [
        Entry(entry_id=f["entry_id"], type=EntryType.QUERY_DENIED, body=f["body"], leaf_hash=leaf_hash(f["body"]))
        for f in forged
    ]
    await append(gateway, remade)
    await Sealer(db=sealing, signer=SIGNER, high_water=HighWater(path=tmp_path / "other")).run_round()
    await owner.execute("DELETE FROM ledger_checkpoint")
    for note in notes:
        await store.add_checkpoint(owner, size=note.size, root=note.root, note=note.note)
    assert await findings(gateway) == ["CHECKPOINT_DIFFERS@300", "CHECKPOINT_DIFFERS@None"]
    newest = open_checkpoint(notes[-1].note, KEY)
    assert "FORKED@None" in await findings(gateway, mark=newest)


async def test_fsck_finds_a_rewritten_checkpoint_tile_head_and_queue(gateway, sealer, owner):
    await sealed_log(gateway, sealer)
    other = sign_note("log.example/bashu\n600\n" + base64.b64encode(bytes(32)).decode() + "\n", SIGNER)
    await tamper(
        owner,
        "ledger_checkpoint",
        ("UPDATE ledger_checkpoint SET note = $1 WHERE size = 600", other),
        ("UPDATE ledger_checkpoint SET note = replace(note, '300', '301') WHERE size = 300",),
    )
    await tamper(
        owner, "ledger_tile", ("UPDATE ledger_tile SET hashes = sha256(hashes) WHERE level = 1 AND tile_index = 0",)
    )
    await tamper(owner, "ledger_head", ("UPDATE ledger_head SET root = sha256(root)",))
    await tamper(owner, "ledger_entry")
    await append(gateway, [denied(900)])
    await owner.execute("DELETE FROM ledger_pending")
    await owner.execute("INSERT INTO ledger_pending VALUES (999999)")
    assert await findings(gateway) == [
        "CHECKPOINT_UNSIGNED@None",
        "CHECKPOINT_CHANGED@None",
        "CHECKPOINT_DIFFERS@0",
        "TILE_CHANGED@0",
        "HEAD_DIFFERS@None",
        "ENTRY_LOST@None",
        "QUEUE_ORPHAN@None",
    ]


async def test_a_smaller_or_other_tree_than_the_marked_one_is_never_signed(gateway, sealing, sealer, mark):
    await sealed_log(gateway, sealer, 40)
    right = mark.read()
    for size, root, complaint in (
        (41, right.root, "smaller"),
        (40, bytes(32), "not the one"),
        (20, bytes(32), "not the one"),
    ):
        wrong = type(right)(origin=right.origin, size=size, root=root)
        mark.write(wrong)
        with pytest.raises(BashuError, match=complaint) as caught:
            await Sealer(db=sealing, signer=SIGNER, high_water=mark).run_round()
        assert caught.value.reason is Reason.LEDGER_INCONSISTENT
        assert mark.read() == wrong
    assert (await store.latest_checkpoint(gateway)).size == 40
    mark.write(type(right)(origin=right.origin, size=30, root=(await root_at(gateway, 30))))
    await Sealer(db=sealing, signer=SIGNER, high_water=mark).run_round()
    assert mark.read() == right


async def root_at(db, size):
    return TileHashes(await store.tiles(db, tiles_of([root_nodes(size)]))).root(size)


async def test_what_a_killed_sealer_integrated_but_did_not_sign_is_signed_by_the_next(gateway, sealing, mark):
    class Dies(FileSigner):
        def sign(self, text):
            raise KeyboardInterrupt

    await append(gateway, [denied(n) for n in range(5)])
    dying = Dies(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
    with pytest.raises(KeyboardInterrupt):
        await Sealer(db=sealing, signer=dying, high_water=mark).run_round()
    assert (await store.head(gateway)).size == 5
    assert await store.latest_checkpoint(gateway) is None
    await Sealer(db=sealing, signer=SIGNER, high_water=mark).run_round()
    assert (await store.latest_checkpoint(gateway)).size == 5
    assert await findings(gateway, mark=mark.read()) == []


async def test_an_entry_whose_stored_hash_was_changed_is_never_sealed(gateway, sealer, owner):
    await append(gateway, [denied(0)])
    await owner.execute("ALTER TABLE ledger_entry DROP CONSTRAINT ledger_entry_leaf_hash")
    await tamper(owner, "ledger_entry", ("UPDATE ledger_entry SET leaf_hash = sha256(leaf_hash)",))
    with pytest.raises(BashuError) as caught:
        await sealer.run_round()
    assert caught.value.reason is Reason.LEDGER_INCONSISTENT
    assert (await store.head(gateway)).size == 0
