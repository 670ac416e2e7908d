"""Details sealed under a key of their owner: they open for nobody else, and for nobody once the key is destroyed."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from core.errors import BashuError, Reason
from core.ids import uuid7
from database import RightMissing, open_database
from database.roles import DATABASE, KEYS_DATABASE
from gateway.vault import store
from gateway.vault.model import MOST_BYTES, DetailKind
from gateway.vault.service import Vault

WRAPPING_KEY = bytes(range(32))
REASON = "因家庭住址更正申请 my words".encode()


@asynccontextmanager
async def a_vault(fresh_keys, wrapping_key=WRAPPING_KEY, previous=()):
    keys = await open_database(fresh_keys.dsn("bashu_keeper"), max_size=4)
    try:
        yield Vault(keys, wrapping_key=wrapping_key, owner_key=b"owner-key-not-real", previous=previous)
    finally:
        await keys.close()


async def sealed_by(vault, owner="subject-a", kind=DetailKind.REASON):
    return await vault.seal(owner, kind, REASON, entry_id=uuid7())


async def refused(work) -> Reason:
    with pytest.raises(BashuError) as caught:
        await work
    return caught.value.reason


async def test_a_detail_opens_as_it_was_sealed_and_is_stored_beside_its_entry(fresh_keys, fresh_database):
    db = await open_database(fresh_database.gateway_dsn)
    async with a_vault(fresh_keys) as vault:
        sealed = await sealed_by(vault)
        async with db.transaction() as tx:
            await store.add_detail(tx, sealed)
        (found,) = await store.details(db, sealed.entry_id)
        assert found == sealed
        assert found.sha256 == sealed.sha256
        assert REASON not in found.content
        assert await vault.open(found) == REASON
        with pytest.raises(RightMissing):
            await db.execute("DELETE FROM sealed_detail")
    await db.close()


async def test_a_detail_moved_to_another_entry_kind_or_key_does_not_open(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        sealed, other = await sealed_by(vault), await sealed_by(vault, owner="subject-b")
        for moved in (
            replace(sealed, entry_id=uuid7()),
            replace(sealed, kind=DetailKind.DISPUTE),
            replace(sealed, key_id=other.key_id),
            replace(sealed, content=sealed.content[:-1] + bytes([sealed.content[-1] ^ 1])),
        ):
            assert await refused(vault.open(moved)) is Reason.LEDGER_INCONSISTENT


async def test_the_same_words_sealed_twice_have_two_digests(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        entry_id = uuid7()
        first, second = [await vault.seal("a", DetailKind.REASON, REASON, entry_id=entry_id) for _ in range(2)]
        assert first.key_id == second.key_id
        assert first.sha256 != second.sha256


async def test_workers_that_seal_at_once_for_a_new_owner_agree_on_one_key(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        sealed = await asyncio.gather(*(sealed_by(vault) for _ in range(8)))
        assert len({one.key_id for one in sealed}) == 1
        assert [await vault.open(one) for one in sealed] == [REASON] * 8


async def test_a_destroyed_key_opens_nothing_of_its_owner_and_never_returns(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        sealed, others = await sealed_by(vault), await sealed_by(vault, owner="subject-b")
        keys = await vault.keys_of(["subject-a", "nobody"])
        assert keys == [sealed.key_id]
        assert await vault.destroy(keys) == keys
        assert await vault.destroy(keys) == []
        assert await refused(vault.open(sealed)) is Reason.NOT_FOUND_OR_NOT_YOURS
        assert await vault.open(others) == REASON
        later = await sealed_by(vault)
        assert later.key_id != sealed.key_id
        keeper = await open_database(fresh_keys.dsn("bashu_keeper"))
        for statement in (
            "UPDATE data_key SET destroyed_at = NULL, wrapped = decode(repeat('00', 61), 'hex') WHERE destroyed_at IS NOT NULL",
            "DELETE FROM data_key",
            "TRUNCATE data_key",
        ):
            with pytest.raises(RightMissing):
                await keeper.execute(statement)
        await keeper.close()


async def test_another_wrapping_key_opens_nothing_and_says_so(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        sealed = await sealed_by(vault)
    async with a_vault(fresh_keys, wrapping_key=bytes(32)) as vault:
        assert await refused(vault.open(sealed)) is Reason.INTERNAL
    with pytest.raises(ValueError, match="32 bytes"):
        Vault(None, wrapping_key=b"short", owner_key=b"owner-key-not-real")


async def test_a_rotated_wrapping_key_opens_everything_and_the_old_one_nothing_once_all_is_wrapped_anew(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        sealed, erased = await sealed_by(vault), await sealed_by(vault, owner="erased")
        await vault.destroy([erased.key_id])
    new = bytes(reversed(range(32)))
    async with a_vault(fresh_keys, wrapping_key=new, previous=[WRAPPING_KEY]) as vault:
        assert await vault.open(sealed) == REASON
        assert (await sealed_by(vault)).key_id == sealed.key_id
        assert await vault.rewrap() == 1
        assert await vault.rewrap() == 0
    async with a_vault(fresh_keys, wrapping_key=new) as vault:
        assert await vault.open(sealed) == REASON
        assert await refused(vault.open(erased)) is Reason.NOT_FOUND_OR_NOT_YOURS
    async with a_vault(fresh_keys) as vault:
        assert await refused(vault.open(sealed)) is Reason.INTERNAL
        # A key that is not at hand stops the rewrapping, and is left as it is.
        assert await refused(vault.rewrap()) is Reason.INTERNAL
    keeper = await open_database(fresh_keys.dsn("bashu_keeper"))
    with pytest.raises(RightMissing):
        await keeper.execute("UPDATE data_key SET wrapped = decode(repeat('00', 61), 'hex') WHERE destroyed_at IS NULL")
    await keeper.close()


async def test_what_is_too_large_is_refused(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        large = vault.seal("a", DetailKind.EVIDENCE, bytes(MOST_BYTES + 1), entry_id=uuid7())
        assert await refused(large) is Reason.MALFORMED


async def test_no_owner_stands_in_the_key_database_as_it_is_named_elsewhere(fresh_keys):
    async with a_vault(fresh_keys) as vault:
        await sealed_by(vault, owner="ab" * 32)
    owner = await open_database(fresh_keys.owner_dsn)
    assert "ab" * 32 not in {row["owner"] for row in await owner.fetch("SELECT owner FROM data_key")}
    await owner.close()


@pytest.mark.parametrize(
    ("role", "database"),
    [
        ("bashu_gateway", KEYS_DATABASE),
        ("bashu_sealer", KEYS_DATABASE),
        ("bashu_reader", KEYS_DATABASE),
        ("bashu_keeper", DATABASE),
    ],
)
async def test_no_login_reaches_both_databases(postgres_cluster, role, database):
    with pytest.raises(RightMissing):
        await open_database(postgres_cluster.server.dsn(role, database))


async def test_ciphertext_is_for_the_gateway_alone(fresh_database):
    for dsn in (fresh_database.sealer_dsn, fresh_database.reader_dsn):
        db = await open_database(dsn)
        with pytest.raises(RightMissing):
            await db.fetch("SELECT sealed FROM sealed_detail")
        await db.close()
