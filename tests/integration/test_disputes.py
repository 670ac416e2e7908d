"""Disputes and statements: opened, annotated from receipt on, forwarded, checked, answered, told; words stay sealed."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import timedelta

import pytest

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.protocol import DisputeStanding
from bashu.v1 import subject_pb2
from bashu.v1.report_pb2 import CreditRecord, CreditReport
from core.errors import Reason
from gateway.disputes.annotations import Annotations
from gateway.disputes.forwarding import Forwarding
from tests.admission_stage import FIRM, OTHER_FIRM
from tests.rights_stage import AUDITOR, BANK, ONE, STRANGER, SUBJECT, agent_of, caller, named, open_rights, refused

RECORD, OTHER_RECORD = "ab" * 32, "cd" * 32
WORDS = "该处罚不是我公司的 this penalty is not ours"
RECEIVED, FORWARDED, CHECKED, ANSWERED = (
    subject_pb2.DISPUTE_STATE_RECEIVED,
    subject_pb2.DISPUTE_STATE_FORWARDED,
    subject_pb2.DISPUTE_STATE_CHECKED,
    subject_pb2.DISPUTE_STATE_ANSWERED,
)
OTHER_BANK = caller("bank-sc", BANK.role, operator="op-9")


@pytest.fixture
async def rights(fresh_database, fresh_keys, tmp_path):
    async with open_rights(fresh_database, fresh_keys, tmp_path) as rights:
        yield rights


async def opened(rights, who=SUBJECT, platform="chongqing", **fields):
    given = {"record_id": RECORD, "text": WORDS, "data_item": "administrative_penalty", "record_locator": "1号"}
    answer = await rights.subject("OpenDispute", who, subject=named(FIRM), platform_id=platform, **given | fields)
    return answer.dispute


async def annotations_of(rights, subject=FIRM, record=RECORD):
    annotations = Annotations(rights.stage.db, disputes=rights.disputes, pseudonyms=rights.stage.pseudonyms)
    report = CreditReport(records=[CreditRecord(record_id=record)])
    task = asyncio.create_task(annotations.run())
    try:
        await annotations.annotate(report, subject)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    return [(one.kind, one.record_id) for one in report.annotations], report


async def forward(rights):
    return await Forwarding(rights.stage.db, disputes=rights.disputes, adapters=rights.adapters).once()


async def release(rights):
    consent = await rights.stage.grant()
    await rights.stage.release(await rights.stage.ask(consent))
    await rights.sealed()


async def test_a_dispute_marks_the_record_from_receipt_on_and_is_due_in_twenty_days(rights):
    dispute = await opened(rights)
    assert (dispute.state, dispute.channel, dispute.opened_by, dispute.task) == (RECEIVED, "INTERFACE", "SUBJECT", "")
    assert dispute.due_at.ToDatetime() - dispute.received_at.ToDatetime() == timedelta(days=20)
    assert (await annotations_of(rights))[0] == [("DISPUTED", RECORD)]
    assert (await annotations_of(rights, record=OTHER_RECORD))[0] == []
    assert (await annotations_of(rights, subject=OTHER_FIRM))[0] == []
    [entry] = await rights.of_type("DISPUTE_OPENED")
    assert entry["status"] == {"from": "NONE", "to": "RECEIVED", "reason": "R31", "actor": "SUBJECT"}
    assert entry["object"] == dispute.dispute_id
    assert await rights.stage.check_log() == []


async def test_a_second_dispute_on_the_same_record_is_the_first(rights):
    first, second = await opened(rights), await opened(rights, text="again")
    assert first.dispute_id == second.dispute_id
    assert (await opened(rights, platform="sichuan")).dispute_id != first.dispute_id


async def test_words_are_sealed_and_shown_to_its_subject_its_opener_and_compliance_alone(rights):
    await release(rights)
    dispute = await opened(rights, who=BANK)
    assert dispute.seen_in_release
    named_by = {"dispute_id": dispute.dispute_id}
    for who in (SUBJECT, BANK, ONE):
        assert (await rights.subject("GetDispute", who, **named_by)).dispute.text == WORDS
    for who in (STRANGER, OTHER_BANK):
        assert await refused(rights.subject("GetDispute", who, **named_by)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert [entry["object"] for entry in await rights.of_type("REVIEW_VIEW")] == [f"GetDispute/{dispute.dispute_id}"]
    rows = await rights.stage.db.fetch("SELECT row_to_json(d)::text AS t FROM dispute AS d")
    leaves = [str(entry) for entry in await rights.stage.entries_written()]
    for text in [*(row["t"] for row in rows), *leaves]:
        assert WORDS not in text
        assert FIRM.identifier not in text


async def test_a_lender_that_got_no_report_from_the_platform_cannot_dispute(rights):
    assert await refused(opened(rights, who=BANK)) is Reason.NOT_FOUND_OR_NOT_YOURS
    await release(rights)
    assert (await opened(rights, who=BANK)).opened_by == "LENDER"
    assert await refused(opened(rights, who=OTHER_BANK)) is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_what_cannot_be_a_record_a_platform_or_its_item_is_refused(rights):
    assert await refused(opened(rights, record_id="AB" * 32)) is Reason.MALFORMED
    assert await refused(opened(rights, platform="elsewhere")) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await refused(opened(rights, data_item="cash_flow_monthly")) is Reason.UNKNOWN_DATA_ITEM
    assert await refused(opened(rights, who=STRANGER)) is Reason.SUBJECT_MISMATCH
    assert await refused(rights.desk("UpdateDispute", AUDITOR, dispute_id="x")) is Reason.ROLE_NOT_ALLOWED


async def test_a_platform_with_an_interface_is_told_asked_again_and_its_check_taken_over(rights):
    dispute, platform = await opened(rights), rights.adapters["chongqing"]
    assert await forward(rights) == 1
    assert await forward(rights) == 0
    [(case, reference)] = platform.told
    assert (case.subject.identifier, case.text, case.locator, reference) == (FIRM.identifier, WORDS, "1号", "")
    platform.standing = DisputeStanding(reference="YY1", outcome="1", explanation="录入有误")
    rights.stage.shift(hours=2)
    assert await forward(rights) == 1
    assert platform.told[1][1] == "YY1"
    shown = (await rights.subject("GetDispute", dispute_id=dispute.dispute_id)).dispute
    assert (shown.state, shown.outcome, shown.explanation, shown.task) == (CHECKED, "1", "录入有误", "WRITE_ANSWER")
    steps = [
        (e["status"]["from"], e["status"]["to"], e["status"]["actor"]) for e in await rights.of_type("DISPUTE_UPDATED")
    ]
    assert steps == [("RECEIVED", "FORWARDED", "SYSTEM"), ("FORWARDED", "CHECKED", "PLATFORM")]


@pytest.mark.parametrize("failure", [PlatformFailureError(Failure.UNREACHABLE), KeyError("a bug"), TimeoutError()])
async def test_a_platform_that_is_away_or_whose_program_is_wrong_is_tried_again_later(rights, failure):
    dispute, platform = await opened(rights), rights.adapters["chongqing"]
    platform.failure = failure
    assert await forward(rights) == 1
    assert await forward(rights) == 0
    platform.failure = None
    rights.stage.shift(minutes=5)
    assert await forward(rights) == 1
    shown = (await rights.subject("GetDispute", dispute_id=dispute.dispute_id)).dispute
    assert (shown.state, shown.platform_reference) == (FORWARDED, "YY1")


async def test_without_an_interface_an_officer_gets_a_letter_and_does_the_steps(rights):
    dispute = await opened(rights, platform="sichuan")
    assert (dispute.channel, dispute.task) == ("LETTER", "SEND_LETTER")
    assert await forward(rights) == 0
    answer = await rights.subject("GetDispute", ONE, dispute_id=dispute.dispute_id)
    for part in (WORDS, FIRM.identifier, dispute.dispute_id, RECORD, "示例网关"):
        assert part in answer.letter
    assert not (await rights.subject("GetDispute", dispute_id=dispute.dispute_id)).letter

    async def step(**fields):
        return (await rights.desk("UpdateDispute", dispute_id=dispute.dispute_id, **fields)).dispute

    assert await refused(step(state=CHECKED, outcome="1")) is Reason.MALFORMED
    assert (await step(state=FORWARDED)).state == FORWARDED
    assert await refused(step(state=CHECKED)) is Reason.MALFORMED
    assert await refused(step(state=CHECKED, outcome="7")) is Reason.MALFORMED
    await step(state=CHECKED, outcome="2", answer="登记无误")
    assert (await annotations_of(rights))[0] == []
    assert await refused(step(state=ANSWERED)) is Reason.MALFORMED
    done = await step(state=ANSWERED, answer="经核查，数据无误。")
    assert (done.state, done.answer, done.task) == (ANSWERED, "经核查，数据无误。", "")
    assert await refused(step(state=RECEIVED)) is Reason.MALFORMED
    listed = await rights.desk("ListDisputes", AUDITOR, states=[ANSWERED])
    assert [(one.dispute_id, one.text) for one in listed.disputes] == [(dispute.dispute_id, "")]


async def test_what_cannot_be_verified_stays_recorded_with_check_and_words(rights):
    await opened(rights)
    rights.adapters["chongqing"].standing = DisputeStanding(
        reference="YY1", outcome="UNVERIFIABLE", explanation="原始文书已灭失"
    )
    await forward(rights)
    kinds, report = await annotations_of(rights)
    assert kinds == [("UNVERIFIABLE", RECORD)]
    assert "原始文书已灭失" in report.annotations[0].text
    assert WORDS in report.annotations[0].text


async def test_who_got_the_record_is_told_once_it_is_corrected(rights):
    await release(rights)
    await opened(rights, data_item="tax_credit_grade")
    assert not (await rights.subject("ListCorrections", BANK)).corrections
    rights.adapters["chongqing"].standing = DisputeStanding(reference="YY1", outcome="4", explanation="已删除")
    await forward(rights)
    [correction] = (await rights.subject("ListCorrections", BANK)).corrections
    assert (correction.record_id, correction.platform_id, correction.outcome) == (RECORD, "chongqing", "4")
    assert len(correction.request_ids) == 1
    assert not (await rights.subject("ListCorrections", OTHER_BANK)).corrections


async def test_a_statement_stands_beside_its_record_until_its_subject_has_it_erased(rights):
    for record in (RECORD, ""):
        await rights.subject("AddStatement", subject=named(FIRM), record_id=record, text="我方已整改")
    kinds, report = await annotations_of(rights)
    assert kinds == [("STATEMENT", RECORD), ("STATEMENT", "")]
    assert {one.text for one in report.annotations} == {"我方已整改"}
    assert (
        await refused(rights.subject("AddStatement", agent_of(OTHER_FIRM), subject=named(FIRM), text="x"))
        is Reason.SUBJECT_MISMATCH
    )
    await opened(rights)
    await rights.subject("RequestErasure", subject=named(FIRM), reason="")
    assert (await annotations_of(rights))[0] == [("DISPUTED", RECORD)]


async def test_twenty_days_without_an_answer_are_an_officers_task(rights):
    await opened(rights)
    await forward(rights)
    rights.stage.shift(days=19, hours=23)
    [dispute] = (await rights.desk("ListDisputes")).disputes
    assert (dispute.overdue, dispute.task) == (False, "")
    rights.stage.shift(days=20, hours=1)
    [dispute] = (await rights.desk("ListDisputes")).disputes
    assert (dispute.overdue, dispute.task) == (True, "CHASE_PLATFORM")
