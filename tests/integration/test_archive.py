"""A prefix of the log in files: copied, checked without the database, compared with it, and only then taken out of it."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.errors import BashuError, Reason
from database import RightMissing, StatementFailed, open_database
from gateway.commands.archive import Wish, archive
from ledger import store
from ledger.archive.check import check_archive
from ledger.archive.files import ArchiveFolder
from ledger.archive.write import write_archive
from ledger.export import export_lines
from ledger.fsck import fsck
from ledger.highwater import HighWater
from ledger.model import EntryType, build_entry
from ledger.note import parse_vkey
from ledger.proofs import inclusion_proof
from ledger.report.store import report_rows
from ledger.sealer import Sealer
from ledger.signer import FileSigner

ORIGIN = "log.example/bashu"
OLD = datetime(2020, 3, 1, tzinfo=UTC)
SIGNER = FileSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
KEY = parse_vkey(SIGNER.vkey)
PAGE = Path(__file__).parents[2] / "docs" / "archive.md"
ALIGNED = 1024
SIZE = 2700
"""Leaves: the first 2,048 are of 2020, the rest of today."""


def denied(n):
    fields = {
        "requester": {"institution": f"bank-{n % 3}"},
        "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"},
        "intent": {"request": str(uuid.UUID(int=n))},
    }
    ts = (OLD if n < 2 * ALIGNED else datetime.now(UTC)) + timedelta(milliseconds=n)
    return build_entry(EntryType.QUERY_DENIED, origin=ORIGIN, ts=ts, fields=fields)


@pytest.fixture
async def log(fresh_database, tmp_path):
    """The worker's login of a sealed log."""
    worker = await open_database(fresh_database.gateway_dsn)
    sealing = await open_database(fresh_database.sealer_dsn)
    for begin in range(0, SIZE, 900):
        async with worker.transaction() as tx:
            await store.append(tx, [denied(n) for n in range(begin, begin + 900)])
    await Sealer(db=sealing, signer=SIGNER, high_water=HighWater(path=tmp_path / "mark")).run_round()
    yield worker
    await worker.close()
    await sealing.close()


@pytest.fixture
async def reader(fresh_database, log):
    db = await open_database(fresh_database.reader_dsn)
    yield db
    await db.close()


@pytest.fixture
async def owner(fresh_database, log):
    db = await open_database(fresh_database.owner_dsn)
    yield db
    await db.close()


@pytest.fixture
async def archived(reader, tmp_path):
    folder = ArchiveFolder(path=tmp_path / "archive")
    await write_archive(reader, folder.path, origin=ORIGIN, size=2 * ALIGNED, aligned=ALIGNED)
    return folder


def codes(findings):
    return [f"{f.code}@{f.leaf_index}" for f in findings]


async def of_log(db, **options):
    return codes([finding async for finding in fsck(db, key=KEY, **options)])


async def preserve(owner, **scope):
    columns = {"pseudonym": None, "institution": "", "since": None, "before": None} | scope
    await owner.execute(
        "INSERT INTO preservation (preservation_id, pseudonym, institution, since, before, by_regulator, placed_by,"
        " placed_at, entry_id) VALUES (gen_random_uuid(), $1, $2, $3, $4, true, 'regulator-1', now(),"
        " gen_random_uuid())",
        *columns.values(),
    )


async def test_an_archive_is_checked_with_the_logs_key_alone_and_against_the_database(reader, archived):
    manifest = archived.manifest()
    assert (manifest.size, manifest.origin) == (2048, ORIGIN)
    assert (archived.path / "tile/entries/007").is_file()
    assert (archived.path / "tile/1/000.p/8").is_file()
    assert codes(check_archive(archived, keys=[KEY])) == []
    assert await of_log(reader, archive=archived) == []


def fsck_command(*arguments):
    program = [sys.executable, "-m", "gateway.cli", "fsck", *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, check=False, timeout=60)


async def test_the_command_checks_an_archive_with_no_settings_and_no_database(archived, tmp_path):
    (tmp_path / "vkey").write_text(SIGNER.vkey)
    arguments = ("--archive", archived.path, "--vkey", tmp_path / "vkey")
    whole = await asyncio.to_thread(fsck_command, *arguments)
    assert (whole.returncode, whole.stdout) == (0, "0 项发现 findings\n")
    (archived.path / "tile/entries/002").unlink()
    short = await asyncio.to_thread(fsck_command, *arguments)
    assert short.returncode == 5
    assert "leaf 512 BUNDLE_MISSING" in short.stdout
    assert (await asyncio.to_thread(fsck_command, "--archive", archived.path)).returncode == 2


async def test_a_changed_byte_in_any_file_of_an_archive_is_found_and_located(archived):
    for file in sorted(path for path in archived.path.rglob("*") if path.is_file()):
        content = file.read_bytes()
        middle = len(content) // 2
        file.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        try:
            found = codes(check_archive(archived, keys=[KEY]))
        except Exception as error:  # noqa: BLE001 - a manifest that is no JSON any more says so
            found = [str(error)]
        assert found, file
        if "entries" in file.parts:
            first = int(file.name) * 256
            assert any(first <= int(line.split("@")[1]) < first + 256 for line in found), file
        file.unlink()
        assert codes(check_archive(archived, keys=[KEY])), file
        file.write_bytes(content)
    assert codes(check_archive(archived, keys=[KEY])) == []
    another = parse_vkey(FileSigner(ORIGIN, Ed25519PrivateKey.generate()).vkey)
    assert codes(check_archive(archived, keys=[another])) == ["CHECKPOINT_UNSIGNED@None"]
    # Of several keys of a log, as after a succession, the one that signed then is enough.
    assert codes(check_archive(archived, keys=[another, KEY])) == []


async def test_an_archive_broken_off_goes_on_where_it_was_and_grows(reader, tmp_path):
    folder = ArchiveFolder(path=tmp_path / "archive")
    heard = []

    def stop(done, size):
        heard.append((done, size))
        if done == 512:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await write_archive(reader, folder.path, origin=ORIGIN, size=1024, aligned=ALIGNED, progress=stop)
    assert heard == [(256, 1024), (512, 1024)]
    assert codes(check_archive(folder, keys=[KEY])) == ["ARCHIVE_UNFINISHED@None"]
    kept = folder.path / "tile/entries/000"
    before = kept.stat().st_mtime_ns
    await write_archive(reader, folder.path, origin=ORIGIN, size=1024, aligned=ALIGNED)
    assert kept.stat().st_mtime_ns == before
    await write_archive(reader, folder.path, origin=ORIGIN, size=2048, aligned=ALIGNED)
    assert folder.manifest().size == 2048
    assert codes(check_archive(folder, keys=[KEY])) == []


@pytest.mark.parametrize("size", [0, 1000, 3072])
async def test_no_archive_is_off_its_tiles_or_past_the_last_signed_checkpoint(reader, tmp_path, size):
    with pytest.raises(BashuError) as refused:
        await write_archive(reader, tmp_path / "archive", origin=ORIGIN, size=size, aligned=ALIGNED)
    assert refused.value.reason is Reason.MALFORMED
    assert not (tmp_path / "archive").exists()


async def test_an_entry_that_is_not_the_sealed_one_is_not_archived(reader, owner, tmp_path):
    await owner.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
    body = (await store.entry_by_index(reader, 700)).body.replace(b"SCOPE_EXCEEDED", b"RANGE_EXCEEDED")
    await owner.execute(
        "UPDATE ledger_entry SET body = $1, leaf_hash = sha256('\\x00'::bytea || $1)"
        " WHERE seq = (SELECT seq FROM ledger_leaf WHERE leaf_index = 700)",
        body,
    )
    with pytest.raises(BashuError, match="run fsck"):
        await write_archive(reader, tmp_path, origin=ORIGIN, size=1024, aligned=ALIGNED)


async def test_an_entry_changed_after_its_archiving_is_named_by_both(reader, owner, archived):
    await owner.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
    body = (await store.entry_by_index(reader, 700)).body.replace(b"SCOPE_EXCEEDED", b"RANGE_EXCEEDED")
    await owner.execute(
        "UPDATE ledger_entry SET body = $1, leaf_hash = sha256('\\x00'::bytea || $1)"
        " WHERE seq = (SELECT seq FROM ledger_leaf WHERE leaf_index = 700)",
        body,
    )
    assert await of_log(reader, archive=archived) == ["ARCHIVE_DIFFERS@700", "ENTRY_CHANGED@700"]


async def test_by_age_an_archive_ends_before_the_first_leaf_that_is_too_young(reader, log, tmp_path):
    wish = Wish(to_index=None, before=datetime(2021, 1, 1, tzinfo=UTC))
    done = await archive(reader, log, tmp_path, wish, origin=ORIGIN, aligned=ALIGNED)
    assert done.size == 2048
    assert "leaf 2048 is not old enough" in done.stopped
    again = await archive(reader, log, tmp_path, wish, origin=ORIGIN, aligned=ALIGNED)
    assert again == done
    nothing = await archive(
        reader, log, tmp_path / "other", Wish(to_index=None, before=OLD), origin=ORIGIN, aligned=ALIGNED
    )
    assert (nothing.size, nothing.root) == (0, "")


async def test_what_is_preserved_is_not_archived_until_it_is_released(reader, log, owner, tmp_path):
    await preserve(owner, institution="bank-1", since=OLD + timedelta(milliseconds=1100))
    wish = Wish(to_index=None, before=datetime(2021, 1, 1, tzinfo=UTC))
    done = await archive(reader, log, tmp_path, wish, origin=ORIGIN, aligned=ALIGNED)
    assert done.size == 1024
    assert "leaf 1102 is preserved" in done.stopped
    with pytest.raises(BashuError) as refused:
        await archive(reader, log, tmp_path, Wish(to_index=2048, before=None), origin=ORIGIN, aligned=ALIGNED)
    assert refused.value.reason is Reason.PRESERVED
    await owner.execute("UPDATE preservation SET released_at = now(), release_entry_id = gen_random_uuid()")
    assert (await archive(reader, log, tmp_path, wish, origin=ORIGIN, aligned=ALIGNED)).size == 2048


async def test_a_preserved_subject_keeps_its_queries_and_their_consents(log, owner):
    consent, pseudonym = uuid.uuid4(), "ab" * 32
    await owner.execute("UPDATE ledger_search SET consent_id = $1 WHERE leaf_index IN (300, 900)", consent)
    await owner.execute(
        "INSERT INTO ledger_access (leaf_index, entry_id, type, institution, at, data_items, platform_ids, consent_id,"
        " request_id, number) SELECT 900, gen_random_uuid(), 'RELEASE', 'bank-0', now(), '{}', '{}', $1, $2, 1"
        " ON CONFLICT (leaf_index) DO UPDATE SET consent_id = $1",
        consent,
        uuid.UUID(int=900),
    )
    await owner.execute("INSERT INTO ledger_subject VALUES ($1, 900)", pseudonym)
    await preserve(owner, pseudonym=pseudonym)
    first = "SELECT leaf_index FROM ledger_first_preserved($1, 2048)"
    assert await log.fetchval(first, 0) == 300
    assert await log.fetchval(first, 301) == 900
    assert await log.fetchval(first, 901) is None


def owners_step(root: str) -> str:
    """Return the statement of the page, with the root of an archive and this test's size in it."""
    statement = re.search(r"```sql\n(SELECT ledger_prune.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[1]
    return statement.replace("65536", "2048").replace("ROOT", root)


async def refused(owner, statement):
    """Return what the server said, which a person at psql reads; our errors never quote it."""
    with pytest.raises(StatementFailed) as raised:
        await owner.execute(statement)
    return str(raised.value.__cause__)


async def test_rows_leave_by_the_owners_step_alone_and_the_archive_stands_for_them(
    fresh_database, reader, log, owner, archived
):
    step = owners_step(archived.manifest().root.hex())
    sealing = await open_database(fresh_database.sealer_dsn)
    for db in (log, sealing):
        with pytest.raises(RightMissing):
            await db.execute(step)
    await sealing.close()
    await owner.execute(step)
    assert await owner.fetchval("SELECT count(*) FROM ledger_entry") == SIZE - 2048
    with pytest.raises(RightMissing):
        await owner.execute("DELETE FROM ledger_entry")
    # Without the archive it is said that something was not looked at; with it, everything is.
    assert await of_log(reader) == ["ENTRIES_ARCHIVED@None"]
    assert await of_log(reader, archive=archived) == []
    assert (await inclusion_proof(reader, 5)).leaf_index == 5
    with pytest.raises(BashuError, match="archive alone"):
        _ = [line async for line in export_lines(reader)]
    assert len([line async for line in export_lines(reader, from_index=2048)]) == SIZE - 2048 + 1
    with pytest.raises(BashuError, match="archive alone"):
        await report_rows(reader, since=OLD, before=OLD + timedelta(days=1))
    assert await report_rows(reader, since=OLD + timedelta(days=1), before=datetime.now(UTC) + timedelta(days=1))
    (archived.path / "tile/entries/003").unlink()
    assert "ENTRY_MISSING@768" in await of_log(reader, archive=archived)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda step: step.replace("5 years", "2 years"), "3 years at least"),
        (lambda step: step.replace("2048", "2560"), "younger"),
        (lambda step: step.replace("2048", "3072"), "last signed checkpoint"),
    ],
)
async def test_the_owners_step_refuses_what_is_young_unsigned_or_short_kept(owner, change, message):
    assert message in await refused(owner, change(owners_step("00" * 32)))


async def test_the_owners_step_refuses_what_is_preserved_and_what_is_not_whole(owner):
    await preserve(owner, institution="bank-2")
    assert "is preserved by" in await refused(owner, owners_step("00" * 32))
    await owner.execute("UPDATE preservation SET released_at = now(), release_entry_id = gen_random_uuid()")
    await owner.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
    await owner.execute("DELETE FROM ledger_entry WHERE seq = (SELECT min(seq) FROM ledger_entry)")
    assert "run fsck first" in await refused(owner, owners_step("00" * 32))
