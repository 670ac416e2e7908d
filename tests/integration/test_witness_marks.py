"""A machine restored whole forgot what it signed; its witnesses did not, and what they show is its own signature."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.errors import BashuError, Reason
from database import open_database
from gateway.log_keys import change_keys
from gateway.settings import load_settings
from gateway.witness.client import WitnessClient
from gateway.witness.marks import learn_mark, recall
from gateway.witness.model import Witness
from ledger import store as ledger_store
from ledger.highwater import HighWater
from ledger.keys.model import add, compromised
from ledger.note import Checkpoint, parse_vkey, sign_note
from ledger.sealer import Sealer
from ledger.signer import FileSigner, LogKeyFiles, generate_signer
from ledger.witness.cosignature import parse_witness_vkey
from tests.integration.test_witnesses import ORIGIN, denied
from tests.witness_stage import SmallWitness


@pytest.fixture
def signing(tmp_path):
    generate_signer(tmp_path / "ledger.pem", name=ORIGIN)
    return LogKeyFiles(tmp_path / "ledger.pem", name=ORIGIN)


@pytest.fixture
def mark(tmp_path):
    return HighWater(path=tmp_path / "highwater")


@pytest.fixture
async def witnesses(signing, tmp_path):
    witnesses = [
        SmallWitness(f"w{number}.example", log_vkey=signing.vkey, state=tmp_path / f"w{number}") for number in range(2)
    ]
    for witness in witnesses:
        await witness.start()
    yield witnesses
    for witness in witnesses:
        await witness.stop()


def a_checkpoint(size):
    return Checkpoint(origin=ORIGIN, size=size, root=bytes([size]) * 32)


def note_of(size, *signers):
    return sign_note(a_checkpoint(size).text(), *signers)


async def learn(witnesses, signing, mark):
    client = WitnessClient(timeout_s=2.0)
    known = [Witness(key=parse_witness_vkey(one.vkey), url=one.url) for one in witnesses]
    keys = [parse_vkey(vkey) for vkey in signing.vkeys()]
    try:
        return await learn_mark(known, client=client, high_water=mark, keys=keys)
    finally:
        await client.close()


async def test_a_restored_machine_signs_nothing_beneath_what_a_witness_shows(fresh_database, witnesses, signing, mark):
    gateway = await open_database(fresh_database.gateway_dsn)
    sealing = await open_database(fresh_database.sealer_dsn)
    async with gateway.transaction() as tx:
        await ledger_store.append(tx, [denied(n) for n in range(5)])
    witnesses[0].shown = note_of(9, signing.signers[0])
    assert await learn(witnesses, signing, mark) == a_checkpoint(9)
    with pytest.raises(BashuError) as refused:
        await Sealer(db=sealing, signer=signing, high_water=mark).run_round()
    assert refused.value.reason is Reason.LEDGER_INCONSISTENT
    assert await ledger_store.latest_checkpoint(gateway) is None
    await gateway.close()
    await sealing.close()


async def test_the_largest_of_what_they_show_counts_and_never_lowers_the_mark(witnesses, signing, mark):
    witnesses[0].shown, witnesses[1].shown = note_of(9, signing.signers[0]), note_of(7, signing.signers[0])
    await learn(witnesses, signing, mark)
    assert mark.read() == a_checkpoint(9)
    witnesses[0].shown = note_of(8, signing.signers[0])
    assert await learn(witnesses, signing, mark) is None
    assert mark.read() == a_checkpoint(9)


async def test_no_witness_is_believed_without_the_logs_own_signature(witnesses, signing, mark):
    stranger = FileSigner(ORIGIN, Ed25519PrivateKey.generate())
    elsewhere = FileSigner("other.example", Ed25519PrivateKey.generate())
    other = sign_note(Checkpoint(origin="other.example", size=9, root=bytes(32)).text(), elsewhere)
    for shown in (note_of(9, stranger), other, "", "9\n", "x" * 100_000):
        witnesses[0].shown = shown
        assert await learn(witnesses, signing, mark) is None
    assert mark.read() is None


async def test_a_key_that_succeeded_the_settings_key_counts_too(witnesses, signing, mark):
    witnesses[0].shown = note_of(9, signing.generate())
    assert await learn(witnesses, signing, mark) == a_checkpoint(9)


async def test_witnesses_that_are_away_or_know_nothing_leave_the_mark(witnesses, signing, mark):
    await witnesses[0].stop()
    assert await learn(witnesses, signing, mark) is None
    mark.write(a_checkpoint(3))
    assert await learn(witnesses, signing, mark) is None
    assert mark.read() == a_checkpoint(3)


def settings_of(tmp_path, *witnesses):
    keys = "".join(f'{name} = "k"\n' for name in ("name_seal", "operator_commitment", "subject_commitment"))
    named = "".join(
        f'[[ledger.witnesses]]\nname = "{one.name}"\nurl = "http://127.0.0.1:9/"\nmonitoring_url = "{one.url}"\n'
        f'vkey = "{one.vkey}"\n'
        for one in witnesses
    )
    file = tmp_path / "gateway.toml"
    file.write_text(
        f'region = "CN"\nprofile = "dev"\n[database]\ndsn_file = "d"\n[keys]\n{keys}'
        f'[vault]\ndsn_file = "d"\nwrapping_key = "k"\n[ledger]\norigin = "{ORIGIN}"\nsigning_key = "ledger.pem"\n'
        f'highwater = "h"\n{"quorum = 1" if witnesses else ""}\n{named}'
    )
    return load_settings(file, environment={})


async def test_a_start_recalls_what_the_settings_witnesses_show_where_they_show_it(
    fresh_database, witnesses, signing, mark, tmp_path
):
    db = await open_database(fresh_database.gateway_dsn)
    witnesses[0].shown = note_of(9, signing.signers[0])
    await recall(settings_of(tmp_path), db, mark)
    assert mark.read() is None
    await recall(settings_of(tmp_path, witnesses[0]), db, mark)
    assert mark.read() == a_checkpoint(9)
    mark.path.write_text("spoiled")
    with pytest.raises(BashuError) as refused:
        await recall(settings_of(tmp_path, witnesses[0]), db, mark)
    assert refused.value.reason is Reason.LEDGER_INCONSISTENT
    await db.close()


async def test_what_a_compromised_key_signed_reminds_of_nothing(fresh_database, witnesses, signing, mark, tmp_path):
    owner = await open_database(fresh_database.owner_dsn)
    stolen, successor = signing.signers[0], signing.generate()
    await change_keys(owner, lambda events, _: add(events, first=stolen.vkey, fresh=successor.vkey), origin=ORIGIN)
    await change_keys(owner, lambda events, _: compromised(events, stolen.vkey), origin=ORIGIN)
    witnesses[0].shown = note_of(9, stolen)
    await recall(settings_of(tmp_path, witnesses[0]), owner, mark)
    assert mark.read() is None
    witnesses[0].shown = note_of(7, successor)
    await recall(settings_of(tmp_path, witnesses[0]), owner, mark)
    assert mark.read() == a_checkpoint(7)
    await owner.close()
