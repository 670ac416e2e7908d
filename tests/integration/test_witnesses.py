"""Witnesses over real HTTP: cosignatures are asked for, checked, kept and shown; each way to fail costs one voice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from database import RightMissing, open_database
from gateway.http import TileServer
from gateway.settings import ServerSettings
from gateway.witness.asking import GROWN_EVERY_S, QUIET_EVERY_S, Asking
from gateway.witness.client import WitnessClient
from gateway.witness.model import Witness
from ledger import store as ledger_store
from ledger.export import check_export, export_lines
from ledger.highwater import HighWater
from ledger.merkle import EMPTY_ROOT
from ledger.model import EntryType, build_entry
from ledger.note import Checkpoint, open_checkpoint, parse_vkey, sign_note
from ledger.proofs import inclusion_proof
from ledger.sealer import Sealer
from ledger.signer import FileSigner
from ledger.witness import store
from ledger.witness.cosignature import find_cosignature, parse_witness_vkey
from tests.witness_stage import SmallWitness

ORIGIN = "log.example/bashu"
SIGNER = FileSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = parse_vkey(SIGNER.vkey)
NAMES = ("one.example/w", "two.example/w", "three.example/w")


def denied(n):
    fields = {"requester": {"institution": "bank-1"}, "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"}}
    ts = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(milliseconds=n)
    return build_entry(EntryType.QUERY_DENIED, origin=ORIGIN, ts=ts, fields=fields)


class SteppedClock:
    def __init__(self):
        self.elapsed_s = 0.0

    def now(self):
        return datetime.now(UTC) + timedelta(seconds=self.elapsed_s)

    def monotonic(self):
        return self.elapsed_s


class Stage:
    """A log in a real database, three witnesses, and the one that asks them."""

    def __init__(self, gateway, sealing, sealer, witnesses, client):
        self.gateway, self.sealing, self.sealer, self.witnesses = gateway, sealing, sealer, witnesses
        self.client = client
        self.clock = SteppedClock()
        self.asking = self.asks()
        self.appended = 0

    def asks(self, *, quorum=2, client=None):
        known = [Witness(key=parse_witness_vkey(one.vkey), url=one.url) for one in self.witnesses]
        return Asking(self.sealing, witnesses=known, quorum=quorum, client=client or self.client, clock=self.clock)

    async def grow(self, count):
        async with self.gateway.transaction() as tx:
            await ledger_store.append(tx, [denied(self.appended + n) for n in range(count)])
        self.appended += count
        await self.sealer.run_round()

    async def ask(self):
        self.clock.elapsed_s += GROWN_EVERY_S
        return await self.asking.look()

    async def states(self):
        return {one.witness: one.state for one in await store.standings(self.gateway, NAMES)}

    async def cosigners(self):
        """Names under the newest checkpoint, each found by its own key."""
        signed = await ledger_store.latest_checkpoint(self.gateway)
        text, _, lines = signed.note.rpartition("\n\n")
        keys = [parse_witness_vkey(one.vkey) for one in self.witnesses]
        return [key.name for key in keys if find_cosignature(lines, key, text=text + "\n")]

    async def quorum_size(self):
        signed = await store.witnessed_checkpoint(self.gateway)
        return None if signed is None else signed.size


@pytest.fixture
async def stage(fresh_database, tmp_path):
    gateway = await open_database(fresh_database.gateway_dsn)
    sealing = await open_database(fresh_database.sealer_dsn, max_size=4)
    sealer = Sealer(db=sealing, signer=SIGNER, high_water=HighWater(path=tmp_path / "mark"))
    witnesses = [
        SmallWitness(name, log_vkey=SIGNER.vkey, state=tmp_path / f"witness-{number}")
        for number, name in enumerate(NAMES)
    ]
    for witness in witnesses:
        await witness.start()
    client = WitnessClient()
    yield Stage(gateway, sealing, sealer, witnesses, client)
    await client.close()
    for witness in witnesses:
        await witness.stop()
    await gateway.close()
    await sealing.close()


async def test_each_checkpoint_gets_the_cosignatures_of_all_and_shows_them_wherever_it_is_shown(stage):
    await stage.grow(300)
    assert await stage.ask()
    assert await stage.cosigners() == list(NAMES)
    assert await stage.quorum_size() == 300
    await stage.grow(400)
    assert await stage.cosigners() == []
    assert await stage.ask()
    assert await stage.cosigners() == list(NAMES)
    assert set((await stage.states()).values()) == {"COSIGNED"}
    assert [one.requests for one in stage.witnesses] == [["old 0", "old 300"]] * 3
    signed = await ledger_store.latest_checkpoint(stage.gateway)
    assert open_checkpoint(signed.note, KEY).size == 700
    proof = await inclusion_proof(stage.gateway, 0)
    assert proof.tlog_proof().endswith("\n\n" + signed.note)
    lines = [line async for line in export_lines(stage.gateway)]
    assert NAMES[2] in lines[-1].decode()
    assert list(check_export(lines, key=KEY)) == []
    tiles = TileServer(stage.gateway, authenticator=None, reviews=None, settings=ServerSettings())
    async with TestClient(TestServer(tiles.application())) as client:
        assert await (await client.get("/checkpoint")).text() == signed.note


async def test_an_unchanged_checkpoint_is_cosigned_again_so_that_its_age_says_the_log_stands(stage):
    await stage.grow(5)
    assert await stage.ask()
    assert not await stage.ask()
    first = (await stage.states(), (await ledger_store.latest_checkpoint(stage.gateway)).note)
    stage.clock.elapsed_s += QUIET_EVERY_S
    assert await stage.asking.look()
    assert stage.witnesses[0].requests == ["old 0", "old 5"]
    again = await ledger_store.latest_checkpoint(stage.gateway)
    assert first[0] == await stage.states()
    assert again.note.count("\n") == first[1].count("\n")


async def test_a_checkpoint_without_a_quorum_is_asked_for_again_as_soon_as_one_that_grew(stage):
    for witness in stage.witnesses[:2]:
        witness.conduct = "overloaded"
    await stage.grow(5)
    assert await stage.ask()
    assert await stage.ask()
    for witness in stage.witnesses[:2]:
        witness.conduct = None
    assert await stage.ask()
    assert await stage.quorum_size() == 5
    assert not await stage.ask()


async def test_a_witness_that_is_further_than_known_here_says_409_and_is_asked_from_there(stage):
    await stage.grow(10)
    await stage.ask()
    await stage.grow(20)
    signed = await ledger_store.latest_checkpoint(stage.gateway)
    stage.witnesses[1].remember(signed.size, signed.root)
    await stage.ask()
    assert stage.witnesses[1].requests == ["old 0", "old 10", "old 30"]
    assert await stage.cosigners() == list(NAMES)


async def test_who_joins_late_is_asked_from_nothing_without_a_proof(stage):
    await stage.grow(10)
    stage.witnesses[2].remember(0, EMPTY_ROOT)
    await stage.ask()
    assert stage.witnesses[2].requests == ["old 0"]
    assert (await stage.states())[NAMES[2]] == "COSIGNED"


async def test_a_witness_that_is_down_costs_its_own_voice_alone(stage):
    await stage.witnesses[0].stop()
    await stage.grow(10)
    await stage.ask()
    assert await stage.cosigners() == list(NAMES[1:])
    assert await stage.quorum_size() == 10
    assert (await stage.states())[NAMES[0]] == "UNREACHABLE"


async def test_below_the_quorum_nothing_counts_as_witnessed(stage):
    await stage.grow(10)
    for witness in stage.witnesses[:2]:
        witness.conduct = "overloaded"
    await stage.ask()
    assert await stage.cosigners() == [NAMES[2]]
    assert await stage.quorum_size() is None
    stage.witnesses[0].conduct = None
    await stage.grow(1)
    await stage.ask()
    assert await stage.quorum_size() == 11


async def test_cosignatures_of_two_sizes_never_make_one_quorum(stage):
    stage.asking = stage.asks(quorum=3)
    await stage.grow(10)
    await stage.ask()
    await stage.grow(10)
    old = await ledger_store.latest_checkpoint(stage.gateway)
    await stage.grow(10)
    newer = await ledger_store.latest_checkpoint(stage.gateway)
    stage.witnesses[1].remember(newer.size, newer.root)
    await stage.asking.ask_all(old)
    assert set((await stage.states()).values()) == {"COSIGNED"}
    assert await stage.quorum_size() == 10


@pytest.mark.parametrize(
    ("conduct", "state"),
    [
        ("bad signature", "UNSIGNED"),
        ("other key", "UNSIGNED"),
        ("no time", "UNSIGNED"),
        ("html", "UNSIGNED"),
        ("yesterday", "WRONG_TIME"),
        ("oversized", "MALFORMED"),
        ("overloaded", "UNREACHABLE"),
        ("redirects", "UNREACHABLE"),
    ],
)
async def test_what_a_witness_may_not_answer_is_never_stored(stage, conduct, state):
    stage.witnesses[1].conduct = conduct
    await stage.grow(10)
    await stage.ask()
    assert await stage.cosigners() == [NAMES[0], NAMES[2]]
    assert (await stage.states())[NAMES[1]] == state
    assert await stage.gateway.fetchval("SELECT count(*) FROM ledger_cosignature") == 2
    assert stage.witnesses[1].requests == ["old 0"]


async def test_a_slow_witness_is_given_up_and_the_others_are_kept(stage):
    impatient = WitnessClient(timeout_s=0.2)
    stage.asking = stage.asks(client=impatient)
    stage.witnesses[1].conduct = "never answers"
    await stage.grow(10)
    await stage.ask()
    await impatient.close()
    assert await stage.cosigners() == [NAMES[0], NAMES[2]]
    assert (await stage.states())[NAMES[1]] == "UNREACHABLE"


async def test_a_witness_that_saw_another_tree_of_this_key_refuses_and_that_is_a_fork(stage):
    await stage.grow(10)
    await stage.ask()
    stage.witnesses[1].remember(10, b"\x07" * 32)
    await stage.grow(10)
    await stage.ask()
    assert await stage.states() == {NAMES[0]: "COSIGNED", NAMES[1]: "FORKED", NAMES[2]: "COSIGNED"}


async def test_another_tree_of_the_same_size_is_a_fork_too(stage):
    await stage.grow(10)
    stage.witnesses[1].remember(10, b"\x07" * 32)
    await stage.ask()
    assert (await stage.states())[NAMES[1]] == "FORKED"


async def test_a_witness_that_refuses_the_size_it_names_itself_says_the_tree_is_another(stage):
    stage.witnesses[1].conflict = "0\n"
    await stage.grow(10)
    await stage.ask()
    assert (await stage.states())[NAMES[1]] == "FORKED"
    assert stage.witnesses[1].requests == ["old 0"]


async def test_a_witness_that_cosigned_more_than_was_ever_signed_here_means_a_rewind(stage):
    await stage.grow(10)
    stage.witnesses[1].remember(12, b"\x07" * 32)
    await stage.ask()
    standing = {one.witness: one for one in await store.standings(stage.gateway, NAMES)}[NAMES[1]]
    assert (standing.state, standing.size) == ("AHEAD", 12)
    stage.clock.elapsed_s += QUIET_EVERY_S
    await stage.asking.look()
    assert (await stage.states())[NAMES[1]] == "AHEAD"
    await stage.grow(10)
    await stage.ask()
    assert (await stage.states())[NAMES[1]] == "FORKED"


async def test_a_size_that_another_sealer_had_cosigned_meanwhile_is_no_alarm(stage):
    await stage.grow(10)
    old = await ledger_store.latest_checkpoint(stage.gateway)
    await stage.grow(10)
    newer = await ledger_store.latest_checkpoint(stage.gateway)
    stage.witnesses[1].remember(newer.size, newer.root)
    await stage.asking.ask_all(old)
    standings = {one.witness: (one.state, one.size) for one in await store.standings(stage.gateway, NAMES)}
    assert standings == {NAMES[0]: ("COSIGNED", 10), NAMES[1]: ("COSIGNED", 20), NAMES[2]: ("COSIGNED", 10)}


@pytest.mark.parametrize("size", ["0020\n", "20", "-1\n", "9999999999999999999\n", "20\n20\n"])
async def test_a_409_without_a_size_is_malformed(stage, size):
    stage.witnesses[1].conflict = size
    await stage.grow(10)
    await stage.ask()
    assert (await stage.states())[NAMES[1]] == "MALFORMED"


async def test_a_witness_of_another_key_of_this_log_refuses_and_is_no_alarm(stage, tmp_path):
    stranger = FileSigner(ORIGIN, Ed25519PrivateKey.generate())
    witness = SmallWitness(NAMES[0], log_vkey=stranger.vkey, state=tmp_path / "stranger")
    await witness.start()
    stage.witnesses[0], before = witness, stage.witnesses[0]
    stage.asking = stage.asks()
    await stage.grow(10)
    await stage.ask()
    assert (await stage.states())[NAMES[0]] == "REFUSED"
    await before.stop()


async def test_a_witness_started_again_goes_on_where_it_was(stage, tmp_path):
    await stage.grow(10)
    await stage.ask()
    before = stage.witnesses[0]
    await before.stop()
    again = SmallWitness(NAMES[0], log_vkey=SIGNER.vkey, state=before.state, key=before.key)
    await again.start()
    stage.witnesses[0] = again
    stage.asking = stage.asks()
    await stage.grow(10)
    await stage.asking.ask_all(await ledger_store.latest_checkpoint(stage.gateway))
    assert again.requests == ["old 10"]
    assert await stage.cosigners() == list(NAMES)


async def test_one_sealer_asks_at_a_time(stage):
    await stage.grow(10)
    other = stage.asks()
    assert await stage.ask()
    assert not await other.look()
    assert [one.requests for one in stage.witnesses] == [["old 0"]] * 3


async def test_cosignatures_are_the_sealers_to_write_and_nobodys_to_take_away(stage, fresh_database):
    await stage.grow(10)
    await stage.ask()
    row = "INSERT INTO ledger_cosignature VALUES (10, 'x', 'y', now())"
    for statement in (row, "UPDATE ledger_witnessed SET quorum_at = now()"):
        with pytest.raises(RightMissing):
            await stage.gateway.execute(statement)
    owner = await open_database(fresh_database.owner_dsn)
    for statement in (
        "DELETE FROM ledger_cosignature",
        "UPDATE ledger_cosignature SET cosigned_at = cosigned_at - interval '1 s'",
        "UPDATE ledger_witnessed SET quorum_at = quorum_at - interval '1 s'",
        "DELETE FROM ledger_witnessed",
    ):
        with pytest.raises(RightMissing):
            await owner.execute(statement)
    await owner.close()


async def test_a_checkpoint_with_extension_lines_is_cosigned_whole(stage):
    await stage.grow(10)
    signed = await ledger_store.latest_checkpoint(stage.gateway)
    text = Checkpoint(origin=ORIGIN, size=10, root=signed.root).text() + "an extension\n"
    extended = ledger_store.SignedHead(
        size=10, root=signed.root, note=sign_note(text, SIGNER), signed_at=signed.signed_at
    )
    await stage.asking.ask_all(extended)
    line = await stage.gateway.fetchval("SELECT line FROM ledger_cosignature WHERE witness = $1", NAMES[0])
    key = parse_witness_vkey(stage.witnesses[0].vkey)
    assert find_cosignature(line + "\n", key, text=text) is not None
