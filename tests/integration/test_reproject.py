"""Projections are held against the entries, and made anew from them: what was changed there hides nothing for long."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from core.errors import BashuError
from ledger import store
from ledger.access.enquiries import enquiry_count
from ledger.fsck import fsck
from ledger.model import EntryType, build_entry
from ledger.note import parse_vkey
from ledger.reproject.check import check_projections
from ledger.reproject.repair import reproject
from tests.admission_stage import FIRM, ORIGIN, OTHER_FIRM, SIGNER, an_ask, open_stage

COUNTED = ["PRE_LOAN_REVIEW"]
TOUCHED = uuid.UUID(int=7)
CHANGED = """
WITH b AS (SELECT seq, convert_to(replace(replace(replace(convert_from(body, 'UTF8'), 'bank-cq', 'bank-xx'),
    '00000007', '00000008'), 'COUNT_ENQUIRIES', 'COUNT_ENQUIRIE5'), 'UTF8') AS body FROM ledger_entry WHERE seq = $1)
UPDATE ledger_entry AS e SET body = b.body, leaf_hash = sha256('\\x00'::bytea || b.body) FROM b WHERE e.seq = b.seq"""
LISTED = """
INSERT INTO ledger_access (leaf_index, entry_id, type, institution, at, data_items, platform_ids, number)
VALUES ($1, gen_random_uuid(), 'RELEASE', 'bank-x', now(), '{}', '{}', 1)"""


@pytest.fixture
async def stage(fresh_database, tmp_path):
    """A sealed log with a counted release, a refusal, and a hold that touches a consent."""
    async with open_stage(fresh_database, tmp_path) as stage:
        consent = await stage.grant(acts=["QUERY", "COUNT_ENQUIRIES"])
        await stage.release(await stage.ask(consent, items=("tax_payment",)))
        with pytest.raises(BashuError):
            await stage.admissions.admit(an_ask(consent_id=uuid.uuid4()))
        held = build_entry(
            EntryType.HOLD_PLACED,
            origin=ORIGIN,
            ts=datetime.now(UTC),
            fields={"affects": {"consents": [str(TOUCHED)], "intents": []}},
        )
        async with stage.db.transaction() as tx:
            await store.append(tx, [held])
        while await stage.sealer.run_round():
            pass
        yield stage


async def named(stage, db=None):
    """Return "table what@leaf" of each difference."""
    commitment = stage.pseudonyms.in_entry
    return [f"{f.message}@{f.leaf_index}" async for f in check_projections(db or stage.db, commitment=commitment)]


async def mended(stage):
    return [f"{f.message}@{f.leaf_index}" async for f in reproject(stage.owner, commitment=stage.pseudonyms.in_entry)]


async def leaf_of(stage, kind):
    return await stage.owner.fetchval("SELECT leaf_index FROM ledger_search WHERE type = $1", kind)


async def counted(stage):
    now = datetime.now(UTC)
    found = await enquiry_count(
        stage.db,
        stage.pseudonyms.subject(FIRM),
        purposes=COUNTED,
        since=now - timedelta(days=90),
        before=now + timedelta(minutes=1),
    )
    return found.enquiries


async def test_what_the_sealer_projected_is_what_the_entries_say(stage):
    assert await named(stage) == []
    assert await counted(stage) == 1


@pytest.mark.parametrize(
    ("tamper", "kind", "found"),
    [
        ("UPDATE ledger_search SET institution = 'bank-x' WHERE leaf_index = $1", "RELEASE",
         "ledger_search is not what its entry says"),
        ("DELETE FROM ledger_search WHERE leaf_index = $1", "HOLD_PLACED", "ledger_search is not what its entry says"),
        ("DELETE FROM ledger_access WHERE leaf_index = $1", "RELEASE", "ledger_access lacks an access"),
        ("UPDATE ledger_access SET purpose = 'POST_LOAN_MONITORING', number = 2 WHERE leaf_index = $1", "RELEASE",
         "ledger_access has another purpose, number"),
        (LISTED, "HOLD_PLACED", "ledger_access lists what is no access"),
        ("DELETE FROM ledger_touched WHERE leaf_index = $1", "HOLD_PLACED",
         "ledger_touched lacks a consent its entry touches"),
        ("INSERT INTO ledger_touched VALUES (gen_random_uuid(), $1)", "HOLD_PLACED",
         "ledger_touched has a consent that its entry does not touch"),
        ("DELETE FROM ledger_countable WHERE $1::bigint >= 0", "CONSENT_REGISTERED", "ledger_countable lacks its consent"),
        ("DELETE FROM ledger_subject WHERE leaf_index = $1", "RELEASE", "ledger_subject lacks whose access it was"),
        ("INSERT INTO ledger_subject VALUES (repeat('ab', 32), $1)", "QUERY_DENIED",
         "ledger_subject names another subject than its entry"),
        ("INSERT INTO ledger_subject VALUES (repeat('ab', 32), $1)", "HOLD_PLACED",
         "ledger_subject names somebody for what is no access"),
    ],
)  # fmt: skip
async def test_a_changed_projection_is_named_and_made_anew(stage, tamper, kind, found):
    before = {table: await rows_of(stage, table) for table in TABLES}
    leaf = await leaf_of(stage, kind)
    await stage.owner.execute(tamper, leaf)
    assert await named(stage) == [f"{found}@{leaf}"]
    assert await mended(stage) == [f"{found}@{leaf}"]
    assert await named(stage) == []
    assert {table: await rows_of(stage, table) for table in TABLES} == before
    assert await counted(stage) == 1


TABLES = ("ledger_search", "ledger_access", "ledger_touched", "ledger_countable", "ledger_subject")


async def rows_of(stage, table):
    return sorted(str(dict(row.items())) for row in await stage.owner.fetch(f"SELECT * FROM {table}"))


async def test_a_consent_that_does_not_allow_counting_is_taken_out(stage):
    silent = await stage.grant(subject=OTHER_FIRM)
    while await stage.sealer.run_round():
        pass
    await stage.owner.execute("INSERT INTO ledger_countable VALUES ($1), ($2)", silent.consent_id, uuid.UUID(int=1))
    leaf = await stage.owner.fetchval(
        "SELECT leaf_index FROM ledger_search WHERE type = 'CONSENT_REGISTERED' AND consent_id = $1", silent.consent_id
    )
    expected = {
        "ledger_countable names a consent that was never registered@None",
        f"ledger_countable has a consent that does not allow counting@{leaf}",
    }
    assert set(await named(stage)) == set(await mended(stage)) == expected
    assert await named(stage) == []


async def test_all_projections_emptied_come_back_but_whom_a_refusal_was_about(stage):
    before = {table: await rows_of(stage, table) for table in TABLES}
    refused = await leaf_of(stage, "QUERY_DENIED")
    for table in TABLES:
        await stage.owner.execute(f"TRUNCATE {table}")
    assert await mended(stage)
    assert await named(stage) == [f"ledger_subject lacks whom a refused question was about@{refused}"]
    after = {table: await rows_of(stage, table) for table in TABLES}
    lost = [row for row in before.pop("ledger_subject") if row not in after["ledger_subject"]]
    assert [f"'leaf_index': {refused}" in row for row in lost] == [True]
    assert {table: after[table] for table in before} == before


async def test_a_pseudonym_taken_out_for_an_erased_subject_stays_out(stage):
    pseudonym = stage.pseudonyms.subject(FIRM)
    await stage.owner.execute(
        "INSERT INTO erasure (erasure_id, pseudonym, key_ids, entry_id, requested_at, due_at, erased_at,"
        " decided_by, backups_lapse_on)"
        " VALUES (gen_random_uuid(), $1, ARRAY[gen_random_uuid()], gen_random_uuid(), now(), now(), now(), 'TWO_OFFICERS', now())",
        pseudonym,
    )
    await stage.owner.execute("DELETE FROM ledger_subject WHERE pseudonym = $1", pseudonym)
    assert await named(stage) == []
    assert await mended(stage) == []
    assert await stage.owner.fetchval("SELECT count(*) FROM ledger_subject WHERE pseudonym = $1", pseudonym) == 0


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ("DELETE FROM ledger_entry WHERE seq = $1", "ENTRY_MISSING"),
        (CHANGED, "ENTRY_CHANGED"),
    ],
)
async def test_by_an_entry_that_is_gone_or_changed_nothing_is_made_anew(stage, change, code):
    before = {table: await rows_of(stage, table) for table in TABLES}
    await stage.owner.execute("ALTER TABLE ledger_entry DISABLE TRIGGER USER")
    for kind in ("RELEASE", "HOLD_PLACED", "CONSENT_REGISTERED"):
        leaf = await leaf_of(stage, kind)
        seq = await stage.owner.fetchval("SELECT seq FROM ledger_leaf WHERE leaf_index = $1", leaf)
        await stage.owner.execute(change, seq)
        assert await named(stage) == []
        assert f"{code}@{leaf}" in [
            f"{f.code}@{f.leaf_index}" async for f in fsck(stage.db, key=parse_vkey(SIGNER.vkey))
        ]
    assert await mended(stage) == []
    assert {table: await rows_of(stage, table) for table in TABLES} == before
