"""What a subject sees of who asked about it, and what it takes away: its own, staff masked, recorded first."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import pytest

from consent.bundle import Bundle
from core.errors import BashuError, Reason
from core.ids import uuid7
from gateway.asking import store as asking_store
from gateway.identity.store import read_snapshot
from gateway.vault import store as vault_store
from gateway.vault.model import DetailKind
from tests.admission_stage import FIRM, OTHER_FIRM, a_snapshot, an_ask
from tests.rights_stage import BANK, ONE, STRANGER, SUBJECT, agent_of, named, open_rights, refused, register_staff


@pytest.fixture
async def rights(fresh_database, fresh_keys, tmp_path):
    async with open_rights(fresh_database, fresh_keys, tmp_path) as rights:
        await register_staff(rights.stage)
        rights.stage.registry.current = a_snapshot(staff=(await read_snapshot(rights.stage.db)).staff)
        yield rights


async def asked_once(rights, **ask):
    """One release about FIRM, one refusal, sealed."""
    stage = rights.stage
    consent = await stage.grant()
    await stage.release(await stage.ask(consent, items=("tax_payment",), **ask))
    with pytest.raises(BashuError):
        await stage.admissions.admit(an_ask(consent_id=None, items=("tax_payment",), legal_basis="x"))
    await rights.sealed()
    return consent


async def test_a_subject_sees_institution_time_purpose_items_and_outcome_with_staff_masked(rights):
    consent = await asked_once(rights)
    answer = await rights.subject("ListAccesses", subject=named(FIRM))
    assert not answer.under_consents_only
    denied, released = answer.accesses
    assert (denied.outcome, denied.reason) == ("QUERY_DENIED", "SCOPE_EXCEEDED")
    assert (released.outcome, released.institution, released.operator) == ("RELEASE", "bank-cq", "***1")
    assert (released.purpose, list(released.data_items)) == ("PRE_LOAN_REVIEW", ["tax_payment"])
    assert released.consent_id == str(consent.consent_id)
    assert released.at.seconds
    assert "op-1" not in str(answer)


async def test_without_naming_itself_a_subject_finds_what_stands_under_its_consents(rights):
    await asked_once(rights)
    answer = await rights.subject("ListAccesses")
    assert answer.under_consents_only
    assert [access.outcome for access in answer.accesses] == ["RELEASE"]
    assert (await rights.subject("ListAccesses", STRANGER)).accesses == []


async def test_a_subject_reaches_nothing_of_another(rights):
    await asked_once(rights)
    for rpc in ("ListAccesses", "GetErasure"):
        assert await refused(rights.subject(rpc, STRANGER, subject=named(FIRM))) is Reason.SUBJECT_MISMATCH
    assert await refused(rights.rows("ExportMine", STRANGER, subject=named(FIRM))) is Reason.SUBJECT_MISMATCH
    assert (await rights.subject("ListAccesses", STRANGER, subject=named(OTHER_FIRM))).accesses == []
    for who in (ONE, BANK):
        assert await refused(rights.subject("ListAccesses", who)) is Reason.ROLE_NOT_ALLOWED


async def test_pages_follow_on_and_days_bound_them(rights):
    await asked_once(rights)
    first = await rights.subject("ListAccesses", subject=named(FIRM), page={"page_size": 1})
    rest = await rights.subject(
        "ListAccesses", subject=named(FIRM), page={"page_size": 1, "page_token": first.page.next_page_token}
    )
    assert [a.outcome for a in (*first.accesses, *rest.accesses)] == ["QUERY_DENIED", "RELEASE"]
    assert rest.page.next_page_token == ""
    nothing = await rights.subject("ListAccesses", subject=named(FIRM), from_day="2020-01-01", to_day="2020-12-31")
    assert nothing.accesses == []
    for days in ({"from_day": "2020-02-30"}, {"from_day": "2020-02-02", "to_day": "2020-02-01"}):
        assert await refused(rights.subject("ListAccesses", subject=named(FIRM), **days)) is Reason.MALFORMED
    bad = rights.subject("ListAccesses", subject=named(FIRM), page={"page_token": "x"})
    assert await refused(bad) is Reason.MALFORMED


async def test_an_export_has_everything_kept_and_its_entry_is_durable_before_the_first_line(rights):
    consent = await asked_once(rights)
    owner = rights.stage.pseudonyms.subject(FIRM)
    sealed = await rights.vault.seal(owner, DetailKind.STATEMENT, "我方声明".encode(), entry_id=uuid7())
    await vault_store.add_detail(rights.stage.db, sealed)
    lines = [json.loads(line) for line in await rights.rows("ExportMine", SUBJECT, subject=named(FIRM))]
    head, *rest = lines
    (entry,) = await rights.of_type("EXPORT")
    assert (head["kind"], head["entry_id"]) == ("subject", entry["entry_id"])
    kinds = [line["kind"] for line in rest]
    assert kinds == ["consent", "consent_event", "access", "access", "detail"]
    assert rest[0]["artefact"].count(".") == 2
    assert rest[-1]["text"] == "我方声明"
    assert rest[0]["consent_id"] == str(consent.consent_id)
    assert "op-1" not in json.dumps(lines)
    await rights.subject("RequestErasure", subject=named(FIRM), reason="r")
    closed = [json.loads(line) for line in await rights.rows("ExportMine", SUBJECT, subject=named(FIRM))]
    details = [line for line in closed if line["kind"] == "detail"]
    assert len(details) == 2
    assert all("closed" in line for line in details)
    assert "erasure" in {line["kind"] for line in closed}


async def test_an_export_has_what_its_subject_was_asked_to_consent_to_and_nothing_of_others(rights):
    now = datetime.now(UTC)
    for subject in (FIRM, OTHER_FIRM):
        bundle = Bundle(
            bundle_id=uuid7(),
            institution="bank-cq",
            pseudonym=rights.stage.pseudonyms.subject(subject),
            commitments=tuple(rights.stage.pseudonyms.commitments(subject)),
            drafts=(),
            notice_sha256=bytes(32),
            requested_at=now,
            expires_at=now + timedelta(hours=1),
        )
        assert await asking_store.insert_bundle(rights.stage.db, bundle)
    lines = [json.loads(line) for line in await rights.rows("ExportMine", STRANGER, subject=named(OTHER_FIRM))]
    (asked,) = [line for line in lines if line["kind"] == "consent_request"]
    assert (asked["bundle_id"], asked["institution"]) == (str(bundle.bundle_id), "bank-cq")


async def test_another_authoritys_agent_of_the_same_subject_sees_the_same(rights):
    await asked_once(rights)
    other = agent_of(FIRM, kid="commitment-2")
    assert len((await rights.subject("ListAccesses", other, subject=named(FIRM))).accesses) == 2
    assert uuid.UUID((await rights.subject("ListAccesses", other, subject=named(FIRM))).accesses[0].entry_id)
