"""The log over HTTP: an outsider with nothing but GET rebuilds the signed root; entries need a reviewer's token."""

from datetime import UTC, datetime, timedelta

import pytest
from aiohttp.test_utils import TestClient, TestServer
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bashu.verify import VerifierKey, leaf_hash, tree_root, verify_checkpoint
from core.errors import BashuError, Reason
from database import open_database
from gateway.http import TileServer
from gateway.identity.model import Role
from gateway.settings import ServerSettings
from ledger import store
from ledger.highwater import HighWater
from ledger.model import EntryType, build_entry
from ledger.publish import write_static
from ledger.sealer import Sealer
from ledger.signer import FileSigner

ORIGIN = "log.example/bashu"
SIGNER = FileSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))


def denied(n):
    fields = {"requester": {"institution": "bank-1"}, "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"}}
    ts = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(milliseconds=n)
    return build_entry(EntryType.QUERY_DENIED, origin=ORIGIN, ts=ts, fields=fields)


class Tokens:
    async def authenticate(self, authorization, _pem):
        if authorization is None:
            raise BashuError(Reason.TOKEN_INVALID, "no token")
        return type("Caller", (), {"role": Role[authorization]})


class Recorded:
    def __init__(self):
        self.views = []

    async def record(self, caller, what, *, count, reviewed):
        self.views.append((caller.role, what, count, reviewed))


@pytest.fixture
async def log(fresh_database, tmp_path):
    gateway = await open_database(fresh_database.gateway_dsn)
    sealing = await open_database(fresh_database.sealer_dsn)
    async with gateway.transaction() as tx:
        await store.append(tx, [denied(n) for n in range(300)])
    sealer = Sealer(db=sealing, signer=SIGNER, high_water=HighWater(path=tmp_path / "mark"))
    await sealer.run_round()
    yield gateway
    await gateway.close()
    await sealing.close()


@pytest.fixture
async def served(log):
    reviews = Recorded()
    tiles = TileServer(log, authenticator=Tokens(), reviews=reviews, settings=ServerSettings())
    async with TestClient(TestServer(tiles.application())) as client:
        yield client, reviews


async def test_tiles_alone_give_the_root_that_the_checkpoint_signs(served):
    client, _ = served
    answer = await client.get("/checkpoint")
    signed = verify_checkpoint(await answer.text(), VerifierKey.parse(SIGNER.vkey))
    assert (answer.content_type, signed.size) == ("text/plain", 300)
    hashes = b""
    for path in ("/tile/0/000", "/tile/0/001.p/44"):
        tile = await client.get(path)
        assert tile.headers["cache-control"] == "public, max-age=31536000, immutable"
        hashes += await tile.read()
    leaves = [hashes[place : place + 32] for place in range(0, len(hashes), 32)]
    assert tree_root(leaves) == signed.root
    assert await (await client.get("/tile/1/000.p/1")).read() == tree_root(leaves[:256])


@pytest.mark.parametrize(
    "path", ["/tile/0/001", "/tile/0/001.p/45", "/tile/0/002.p/1", "/tile/1/000", "/tile/9/000.p/1", "/tile/0/1", "/x"]
)
async def test_what_the_signed_tree_does_not_reach_is_not_found_and_not_kept(served, path):
    client, _ = served
    answer = await client.get(path)
    assert (answer.status, answer.headers.get("cache-control", "no-store")) == (404, "no-store")


async def test_entries_are_for_compliance_and_auditors_and_each_view_is_recorded(served):
    client, reviews = served
    path = "/tile/entries/001.p/44"
    refused = [
        await client.get(path, headers=headers)
        for headers in ({}, {"authorization": "LENDER"}, {"authorization": "REGULATOR"})
    ]
    assert [answer.status for answer in refused] == [401, 403, 403]
    assert reviews.views == []
    answer = await client.get(path, headers={"authorization": "AUDITOR"})
    bundle = await answer.read()
    assert answer.headers["cache-control"] == "no-store"
    assert reviews.views == [(Role.AUDITOR, "EntryBundle", 44, {"from_index": 256, "to_index": 300})]
    first = bundle[2 : 2 + int.from_bytes(bundle[:2], "big")]
    tile = await (await client.get("/tile/0/001.p/44")).read()
    assert leaf_hash(first) == tile[:32]


async def test_static_files_are_what_the_port_answers(served, log, tmp_path):
    client, _ = served
    assert await write_static(log, tmp_path / "out", entries=True) == 300
    written = sorted(
        str(file.relative_to(tmp_path / "out")) for file in (tmp_path / "out").rglob("*") if file.is_file()
    )
    assert written == [
        "checkpoint",
        "tile/0/000",
        "tile/0/001.p/44",
        "tile/1/000.p/1",
        "tile/entries/000",
        "tile/entries/001.p/44",
    ]
    for name in written:
        answer = await client.get(f"/{name}", headers={"authorization": "AUDITOR"})
        assert await answer.read() == (tmp_path / "out" / name).read_bytes()
