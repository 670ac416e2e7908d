"""The access list: one row for each closing and each refusal, found by subject, written by the sealer alone."""

from __future__ import annotations

import uuid

import pytest

from core.errors import BashuError, Reason
from database import RightMissing, open_database
from ledger.access import store
from ledger.access.model import AccessFilter, listed_leaf
from tests.admission_stage import FIRM, OTHER_FIRM, an_ask, open_stage
from tests.conftest import MIGRATIONS


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


async def listed(stage, **wanted):
    while await stage.sealer.run_round():
        pass
    return await store.accesses(stage.db, AccessFilter(**wanted), below=None, limit=100)


async def refuse(stage, **ask):
    with pytest.raises(BashuError):
        await stage.admissions.admit(an_ask(**ask))


async def test_a_release_a_failure_and_a_refusal_are_listed_for_their_subject_newest_first(stage):
    consent = await stage.grant()
    await stage.release(await stage.ask(consent, items=("tax_payment",)))
    failed = await stage.ask(consent)
    await stage.releases.fail(failed.permit, Reason.PLATFORMS_UNAVAILABLE, request_digest=bytes(32), platforms=[])
    await refuse(stage, consent_id=uuid.uuid4())
    await refuse(stage, consent_id=None, subject=OTHER_FIRM, items=("tax_payment",), legal_basis="x")
    mine = await listed(stage, pseudonym=stage.pseudonyms.subject(FIRM))
    assert [access.type for access in mine] == ["QUERY_DENIED", "FAILED", "RELEASE"]
    release = mine[-1]
    assert (release.institution, release.purpose, release.data_items) == (
        "bank-cq",
        "PRE_LOAN_REVIEW",
        ("tax_payment",),
    )
    assert set(release.platform_ids) <= {"chongqing", "sichuan"}
    assert release.consent_id == consent.consent_id
    assert release.operator_commitment == stage.pseudonyms.operator("bank-cq", "op-1")
    assert mine[0].reason == "CONSENT_NOT_FOUND_OR_NOT_YOURS"
    assert mine[1].reason == "PLATFORMS_UNAVAILABLE"
    assert [a.type for a in await listed(stage, pseudonym=stage.pseudonyms.subject(OTHER_FIRM))] == ["QUERY_DENIED"]
    assert await stage.owner.fetchval("SELECT count(*) FROM denied_subject") == 0
    assert [a.type for a in await listed(stage, consent_id=consent.consent_id)] == ["FAILED", "RELEASE"]
    assert await store.count_accesses(stage.db, AccessFilter(institution="bank-cq")) == 4
    page = await store.accesses(stage.db, AccessFilter(institution="bank-cq"), below=mine[0].leaf_index, limit=1)
    assert page == [mine[1]]


async def test_an_intent_under_way_is_no_access_yet_and_a_withheld_one_is(stage):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    assert await listed(stage, pseudonym=stage.pseudonyms.subject(FIRM)) == []
    await stage.consents.pause(consent.consent_id)
    with pytest.raises(BashuError):
        await stage.release(admitted)
    (access,) = await listed(stage, pseudonym=stage.pseudonyms.subject(FIRM))
    assert (access.type, access.reason) == ("RELEASE_WITHHELD", "CONSENT_PAUSED")


async def test_the_list_is_the_sealers_to_write_and_pseudonyms_are_not_for_reports(fresh_database):
    gateway, reader = await open_database(fresh_database.gateway_dsn), await open_database(fresh_database.reader_dsn)
    for db, statement in (
        (gateway, "INSERT INTO ledger_subject (pseudonym, leaf_index) VALUES ('x', 1)"),
        (gateway, "DELETE FROM ledger_access"),
        (gateway, "SELECT * FROM denied_subject"),
        (reader, "SELECT * FROM ledger_subject"),
    ):
        with pytest.raises(RightMissing):
            await db.execute(statement)
    await gateway.close()
    await reader.close()


@pytest.mark.parametrize(
    "body",
    [
        b"not json",
        b'{"type": "RELEASE"}',
        b'{"type":"QUERY_INTENT","entry_id":"018f0000-0000-7000-8000-000000000000","ts":"2026-01-01T00:00:00Z"}',
        b'{"type":"RELEASE","entry_id":"018f0000-0000-7000-8000-000000000000","ts":"2026-01-01T00:00:00Z","requester":{}}',
    ],
)
def test_a_leaf_that_is_no_access_is_passed_over(body):
    assert listed_leaf(0, body) is None


async def test_the_migration_lists_what_was_sealed_before_it(stage):
    consent = await stage.grant()
    await stage.release(await stage.ask(consent))
    await refuse(stage, consent_id=uuid.uuid4())
    before = await listed(stage)
    assert len(before) == 2
    text = next(MIGRATIONS.glob("*_access_list.sql")).read_text()
    backfill = text[text.index("WITH closed") : text.index("GRANT SELECT")]
    await stage.owner.execute("DELETE FROM ledger_access; DELETE FROM ledger_subject")
    await stage.owner.execute(backfill)
    assert await listed(stage) == before
    # Whom a refusal was about, nothing kept tells.
    assert [a.type for a in await listed(stage, pseudonym=stage.pseudonyms.subject(FIRM))] == ["RELEASE"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [
        (AccessFilter(pseudonym="p7"), "ledger_subject_pkey"),
        (AccessFilter(institution="bank-7"), "ledger_access_institution"),
        (AccessFilter(consent_id=uuid.UUID(int=7)), "ledger_access_consent"),
        (AccessFilter(request_id=uuid.UUID(int=7)), "ledger_access_request"),
    ],
    ids=["subject", "institution", "consent", "request"],
)
async def test_a_page_of_a_long_list_is_read_by_its_index(stage, wanted, index):
    await stage.owner.execute("""
        INSERT INTO ledger_access (leaf_index, entry_id, type, institution, at, data_items, platform_ids, consent_id,
            request_id, number)
        SELECT n, gen_random_uuid(), 'RELEASE', 'bank-' || n % 500, now(), '{}', '{}',
            lpad(to_hex(n % 500), 32, '0')::uuid, lpad(to_hex(n % 5000), 32, '0')::uuid, 1
        FROM generate_series(1, 20000) AS n;
        INSERT INTO ledger_subject (pseudonym, leaf_index) SELECT 'p' || n % 500, n FROM generate_series(1, 20000) AS n;
        ANALYZE ledger_access; ANALYZE ledger_subject""")
    sql, values = store.page_statement(wanted, below=None, limit=50)
    plan = "\n".join(row[0] for row in await stage.owner.fetch(f"EXPLAIN {sql}", *values))
    assert index in plan, plan
    assert "Seq Scan" not in plan, plan
