"""The officers' desk: what it shows is recorded first, staff are masked, samples can be drawn again, roles hold."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import replace

import pytest

from core.errors import BashuError, Reason
from core.ids import uuid7
from database import RightMissing
from gateway.desk.anomalies import load_rules
from gateway.identity.store import read_snapshot
from tests.admission_stage import FIRM, OTHER_FIRM, a_snapshot, an_ask
from tests.rights_stage import (
    ADMIN,
    AUDITOR,
    BANK,
    ONE,
    REGULATOR,
    STAFF_NAME,
    SUBJECT,
    TWO,
    named,
    open_rights,
    refused,
    register_staff,
)

RULES = tuple(replace(rule, threshold=2) for rule in load_rules())


@pytest.fixture
async def rights(fresh_database, fresh_keys, tmp_path):
    async with open_rights(fresh_database, fresh_keys, tmp_path, rules=RULES) as rights:
        await register_staff(rights.stage)
        rights.stage.registry.current = a_snapshot(staff=(await read_snapshot(rights.stage.db)).staff)
        yield rights


async def asked(rights, times=1, **ask):
    """Release answers about FIRM under one consent; return it."""
    consent = await rights.stage.grant()
    for _ in range(times):
        await rights.stage.release(await rights.stage.ask(consent, **ask))
    await rights.sealed()
    return consent


async def refuse(rights, times, **ask):
    for _ in range(times):
        with pytest.raises(BashuError):
            await rights.stage.admissions.admit(an_ask(**ask))
    await rights.sealed()


async def views(rights):
    return [entry["object"].split("/")[0] for entry in await rights.of_type("REVIEW_VIEW")]


READS = {
    "SearchAccess": {},
    "TraceConsent": {"consent_id": "CONSENT"},
    "ListAnomalies": {},
    "ListErasures": {},
    "ListHolds": {},
}


@pytest.mark.parametrize("rpc", READS)
async def test_reviewers_read_it_with_an_entry_each_time_and_nobody_else_does(rights, rpc):
    consent = await asked(rights)
    fields = {name: str(consent.consent_id) for name in READS[rpc]}
    for who in (ONE, AUDITOR, REGULATOR):
        await rights.desk(rpc, who, **fields)
    assert await views(rights) == [rpc] * 3
    for who in (BANK, SUBJECT, ADMIN):
        assert await refused(rights.desk(rpc, who, **fields)) is Reason.ROLE_NOT_ALLOWED
    assert await views(rights) == [rpc] * 3


@pytest.mark.parametrize(
    ("rpc", "fields"),
    [
        ("Unmask", {"entry_id": str(uuid7()), "field": "operator", "reason": "r"}),
        ("DrawSample", {"size": 1}),
        ("RecordVerdict", {"sample_id": str(uuid7()), "entry_id": str(uuid7()), "verdict": "OK"}),
        ("DecideErasure", {"erasure_id": str(uuid7()), "reason": "r"}),
    ],
)
async def test_auditors_and_regulators_change_and_unmask_nothing(rights, rpc, fields):
    for who in (AUDITOR, REGULATOR, BANK, SUBJECT, ADMIN):
        assert await refused(rights.desk(rpc, who, **fields)) is Reason.ROLE_NOT_ALLOWED


async def test_a_search_finds_by_institution_consent_request_and_day_and_masks_staff(rights):
    consent = await asked(rights, 2)
    await refuse(rights, 1, consent_id=uuid.uuid4())
    everything = (await rights.desk("SearchAccess")).accesses
    assert [access.outcome for access in everything] == ["QUERY_DENIED", "RELEASE", "RELEASE"]
    assert {access.operator for access in everything} == {"***1"}
    under = (await rights.desk("SearchAccess", consent_id=str(consent.consent_id))).accesses
    assert len(under) == 2
    (one,) = (await rights.desk("SearchAccess", request_id=under[0].request_id)).accesses
    assert one.entry_id == under[0].entry_id
    assert (await rights.desk("SearchAccess", institution="bank-sc")).accesses == []
    assert (await rights.desk("SearchAccess", to_day="2020-01-01")).accesses == []
    for number, count in (("op-1", 3), ("op-2", 0)):
        log = await rights.desk("SearchAccess", institution="bank-cq", operator=number)
        assert len(log.accesses) == count
    assert await refused(rights.desk("SearchAccess", operator="op-1")) is Reason.MALFORMED
    page = await rights.desk("SearchAccess", page={"page_size": 2})
    rest = await rights.desk("SearchAccess", page={"page_size": 2, "page_token": page.page.next_page_token})
    assert [a.entry_id for a in (*page.accesses, *rest.accesses)] == [a.entry_id for a in everything]
    assert await refused(rights.desk("SearchAccess", institution="a\x00b")) is Reason.MALFORMED


async def test_a_trace_leads_from_registration_to_every_access(rights):
    consent = await asked(rights, 2)
    await rights.stage.consents.pause(consent.consent_id)
    await rights.sealed()
    trace = await rights.desk("TraceConsent", consent_id=str(consent.consent_id))
    assert trace.institution == "bank-cq"
    assert [event.to_state for event in trace.events] == ["ACTIVE", "PAUSED"]
    assert [access.outcome for access in trace.accesses] == ["RELEASE", "RELEASE"]
    registered, *_, paused = trace.entry_ids
    assert (registered, paused) == (trace.events[0].entry_id, trace.events[1].entry_id)
    assert len(trace.entry_ids) == 4
    unknown = rights.desk("TraceConsent", consent_id=str(uuid.uuid4()))
    assert await refused(unknown) is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS


async def test_everything_about_a_subject_takes_two_officers_within_a_day(rights):
    consent = await asked(rights)
    report = {"subject": named(FIRM), "reason": "案件 12 inspection"}
    for _ in range(2):
        assert await refused(rights.desk("ReportSubject", ONE, **report)) is Reason.SECOND_OFFICER_NEEDED
    other = {**report, "subject": named(OTHER_FIRM)}
    assert await refused(rights.desk("ReportSubject", TWO, **other)) is Reason.SECOND_OFFICER_NEEDED
    rights.stage.shift(hours=25)
    assert await refused(rights.desk("ReportSubject", TWO, **report)) is Reason.SECOND_OFFICER_NEEDED
    answer = await rights.desk("ReportSubject", ONE, **report)
    assert list(answer.consent_ids) == [str(consent.consent_id)]
    assert [access.outcome for access in answer.accesses] == ["RELEASE"]
    (view,) = await rights.of_type("REVIEW_VIEW")
    shown = json.loads((await rights.desk("Unmask", entry_id=view["entry_id"], field="reason", reason="audit")).value)
    assert shown == {"reason": report["reason"], "first": "officer-2"}
    assert await refused(rights.desk("ReportSubject", TWO, **report)) is Reason.SECOND_OFFICER_NEEDED


async def test_a_sample_is_drawn_by_its_seed_alone_and_can_be_drawn_again(rights):
    await asked(rights, 3)
    await refuse(rights, 3, consent_id=uuid.uuid4())
    ids = {access.entry_id for access in (await rights.desk("SearchAccess")).accesses}
    first = await rights.desk("DrawSample", size=3, seed="audit-2026")
    again = await rights.desk("DrawSample", size=3, seed="audit-2026")
    expected = sorted(ids, key=lambda entry_id: hashlib.sha256(f"audit-2026:{entry_id}".encode()).digest())[:3]
    assert {access.entry_id for access in first.accesses} == set(expected)
    assert list(first.accesses) == list(again.accesses)
    assert (first.frame_size, first.seed) == (6, "audit-2026")
    assert first.sample_id != again.sample_id
    made = await rights.desk("DrawSample", size=1)
    assert len(made.seed) == 32
    assert await refused(rights.desk("DrawSample", size=1, seed="a b")) is Reason.MALFORMED
    assert await views(rights) == ["SearchAccess", "DrawSample", "DrawSample", "DrawSample"]


async def test_letters_that_a_lender_signed_itself_are_in_the_frame(rights):
    consent = await rights.stage.grant()
    # As a letter is registered: the lender's own participant is its authority.
    await rights.stage.owner.execute("UPDATE consent SET authority = 'bank-cq', version = version + 1")
    await rights.stage.owner.execute(
        "INSERT INTO participant (participant_id, institution, role, name) VALUES ('bank-cq', 'bank-cq', 'LENDER', 'b')"
    )
    await rights.sealed()
    drawn = await rights.desk("DrawSample", size=10)
    (letter,) = drawn.letters
    assert (letter.consent_id, letter.institution) == (str(consent.consent_id), "bank-cq")
    (registered,) = await rights.of_type("CONSENT_REGISTERED")
    assert letter.entry_id == registered["entry_id"]


async def test_a_verdict_is_recorded_once_with_its_note_sealed(rights):
    await asked(rights)
    drawn = await rights.desk("DrawSample", size=1)
    verdict = {"sample_id": drawn.sample_id, "entry_id": drawn.accesses[0].entry_id, "verdict": "QUESTIONABLE"}
    answer = await rights.desk("RecordVerdict", **verdict, note="客户称未申请贷款")
    (entry,) = [entry for entry in await rights.of_type("REVIEW_VIEW") if entry["entry_id"] == answer.entry_id]
    assert entry["status"]["to"] == "QUESTIONABLE"
    assert "未申请" not in json.dumps(entry, ensure_ascii=False)
    shown = await rights.desk("Unmask", entry_id=answer.entry_id, field="reason", reason="r")
    assert json.loads(shown.value) == {"note": "客户称未申请贷款"}
    assert await refused(rights.desk("RecordVerdict", **verdict, note="")) is Reason.NOT_FOUND_OR_NOT_YOURS
    undrawn = {**verdict, "entry_id": str(uuid.uuid4())}
    assert await refused(rights.desk("RecordVerdict", **undrawn)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await refused(rights.desk("RecordVerdict", **{**verdict, "verdict": "bad!"})) is Reason.MALFORMED
    with pytest.raises(RightMissing):
        await rights.stage.db.execute("UPDATE review_sample_item SET verdict = 'OK'")


async def anomalies(rights, **page):
    await rights.sealed()
    return (await rights.desk("ListAnomalies", AUDITOR, page=page)).anomalies


async def test_bursts_of_refusals_probing_and_over_wide_requests_are_shown_with_their_rule(rights):
    assert await anomalies(rights) == []
    await refuse(rights, 1, consent_id=uuid.uuid4())
    assert await anomalies(rights) == []
    await refuse(rights, 1, consent_id=uuid.uuid4())
    shown = {found.rule: found for found in await anomalies(rights)}
    assert set(shown) == {"A1", "A5"}
    assert (shown["A1"].kind, shown["A1"].count, shown["A1"].threshold) == ("REFUSALS_BURST", 2, 2)
    assert shown["A5"].institution == "bank-cq"
    assert len(shown["A5"].entry_ids) == 2
    await refuse(rights, 2, consent_id=None, items=("tax_payment",), legal_basis="x")
    assert {found.rule for found in await anomalies(rights)} == {"A1", "A4", "A5"}


async def test_one_staff_number_at_night_or_with_many_subjects_is_shown_masked(rights):
    now = (await rights.stage.owner.fetchval("SELECT bashu_now() AT TIME ZONE 'Asia/Shanghai'")).hour
    rights.stage.shift(hours=(22 - now) % 24)
    await asked(rights, 2)
    night = [found for found in await anomalies(rights) if found.rule == "A2"]
    assert [(found.count, found.operator) for found in night] == [(2, "***1")]
    await rights.stage.admissions.admit(
        an_ask(subject=OTHER_FIRM, consent_id=None, items=("enterprise_registration",), legal_basis="条例 Art. 13")
    )
    rights.stage.shift(hours=(22 - now) % 24, minutes=2)
    await rights.stage.sweeper.sweep()
    many = [found for found in await anomalies(rights) if found.rule == "A3"]
    assert [(found.count, found.operator) for found in many] == [(2, "***1")]
    assert STAFF_NAME not in str(many)


async def test_by_day_a_staff_number_is_no_anomaly(rights):
    now = (await rights.stage.owner.fetchval("SELECT bashu_now() AT TIME ZONE 'Asia/Shanghai'")).hour
    rights.stage.shift(hours=(10 - now) % 24)
    await asked(rights, 3)
    assert [found.rule for found in await anomalies(rights)] == []


async def test_anomalies_come_in_pages_the_latest_first(rights):
    await refuse(rights, 2, consent_id=uuid.uuid4())
    first = await rights.desk("ListAnomalies", AUDITOR, page={"page_size": 1})
    rest = await rights.desk("ListAnomalies", AUDITOR, page={"page_size": 1, "page_token": first.page.next_page_token})
    assert [found.rule for found in (*first.anomalies, *rest.anomalies)] == ["A5", "A1"]
    assert rest.page.next_page_token == ""


def test_every_rule_has_its_number_and_a_working_threshold():
    assert [rule.rule_id for rule in load_rules()] == ["A1", "A2", "A3", "A4", "A5"]
    assert all(rule.threshold > 1 for rule in load_rules())
