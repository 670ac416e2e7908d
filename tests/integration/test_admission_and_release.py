"""Admission and release over real PostgreSQL: what is granted, withheld, repeated, refunded, and what the log says."""

from __future__ import annotations

import asyncio
import json
import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from consent.model import Actor, HoldKind, LoanEnd
from core.errors import BashuError, Reason
from gateway.admission import OperatorLicence
from tests.admission_stage import (
    FIRM,
    GRANTED,
    OTHER_FIRM,
    PERSON,
    POST_LOAN,
    a_payload,
    a_snapshot,
    an_ask,
    licence,
    lines,
    open_stage,
    signed,
)


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


async def refused(awaitable):
    with pytest.raises(BashuError) as caught:
        await awaitable
    return caught.value


async def test_a_granted_question_is_admitted_released_and_recorded(stage):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    permit = admitted.permit
    assert permit.targets == {
        "chongqing": frozenset(GRANTED),
        "sichuan": frozenset(GRANTED),
    }
    assert (admitted.attempt, permit.consent_id, permit.consent_revision) == (1, consent.consent_id, 1)
    receipt = await stage.release(admitted)
    members = json.loads(receipt.entry)
    assert members["type"] == "RELEASE"
    assert members["intent"] == {"request": str(permit.request_id), "attempt": 1}
    assert members["consent"]["id"] == str(consent.consent_id)
    assert [line["id"] for line in members["platforms"]] == ["chongqing", "sichuan"]
    assert (await stage.types()) == ["CONSENT_REGISTERED", "QUERY_INTENT", "RELEASE"]
    assert (await stage.facts(consent)).used == 1
    assert await stage.check_log() == []


async def test_intent_leaf_names_consent_use_scope_and_no_identifier(stage):
    consent = await stage.grant()
    admitted = await stage.ask(consent, items=("tax_payment",), regions=("510000",), lookback=30)
    bodies = await stage.entries_written()
    intent = bodies[-1]
    assert intent["consent"]["use"] == 1
    assert intent["intent"]["uses"] == 1
    assert intent["scope"]["items"] == ["tax_payment"]
    assert intent["scope"]["platforms"] == ["sichuan"]
    assert admitted.permit.look_from == admitted.permit.look_to - timedelta(days=30)
    assert FIRM.identifier not in json.dumps(bodies)
    assert "op-1" not in json.dumps(bodies)


async def test_entries_name_a_question_alike_and_by_no_digest_that_its_reader_could_make(stage):
    consent = await stage.grant()
    digest = bytes(range(32))
    first = await stage.ask(consent, request_digest=digest)
    await stage.releases.release(first.permit, report_digest=bytes(32), request_digest=digest, platforms=[])
    await stage.ask(consent, request_digest=b"\x01" * 32)
    intent, release, other = [entry["request_digest"] for entry in (await stage.entries_written())[-3:]]
    assert intent == release != other
    assert digest.hex() not in json.dumps(await stage.entries_written())


REFUSALS = {
    "unknown consent": ({"consent_id": uuid.uuid4()}, Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS),
    "another lender's consent": (
        {"institution": "bank-sc", "participant": "bank-sc"},
        Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
    ),
    "another subject": ({"subject": OTHER_FIRM}, Reason.SUBJECT_MISMATCH),
    "another purpose": ({"purpose": "GUARANTOR_REVIEW"}, Reason.PURPOSE_MISMATCH),
    "a purpose of other institutions": ({"purpose": "GUARANTEE_UNDERWRITING"}, Reason.ROLE_NOT_ALLOWED),
    "no purpose": ({"purpose": ""}, Reason.PURPOSE_MISSING),
    "no reference": ({"application_reference": ""}, Reason.REFERENCE_MISSING),
    "an item not granted": ({"items": ("financial_statement",)}, Reason.SCOPE_EXCEEDED),
    "an unknown item": ({"items": ("horoscope",)}, Reason.UNKNOWN_DATA_ITEM),
    "a longer look-back": ({"lookback": 731}, Reason.RANGE_EXCEEDED),
    "a region not granted": ({"regions": ("110000",)}, Reason.PLATFORM_NOT_GRANTED),
    "an act not granted": ({"acts": frozenset({"QUERY", "REPORT_BACK"})}, Reason.SCOPE_EXCEEDED),
    "a revision not reached": ({"min_consent_revision": 2}, Reason.REVISION_TOO_OLD),
    "a loan nobody registered": ({"loan_reference": "loan-9"}, Reason.LOAN_NOT_FOUND),
}


@pytest.mark.parametrize("case", REFUSALS)
async def test_a_wrong_question_gets_its_reason_an_entry_and_no_intent(stage, case):
    changes, reason = REFUSALS[case]
    consent = await stage.grant()
    ask = an_ask(**({"consent_id": consent.consent_id} | changes))
    error = await refused(stage.admissions.admit(ask))
    assert error.reason is reason
    denied = (await stage.entries_written())[-1]
    assert (denied["type"], denied["decision"]["reason"]) == ("QUERY_DENIED", reason.value)
    assert denied["intent"]["request"] == str(ask.request_id)
    assert await stage.intents() == []
    assert (await stage.facts(consent)).used == 0
    assert await stage.check_log() == []


async def test_not_found_and_not_yours_cannot_be_told_apart(stage):
    consent = await stage.grant()
    theirs = await refused(stage.ask(consent, institution="bank-sc"))
    nobodys = await refused(stage.admissions.admit(an_ask(consent_id=uuid.uuid4(), institution="bank-sc")))
    assert (theirs.reason, theirs.message, theirs.metadata, theirs.field) == (
        nobodys.reason,
        nobodys.message,
        nobodys.metadata,
        nobodys.field,
    )
    one, other = (await stage.entries_written())[-2:]
    assert one.keys() == other.keys()
    assert one["consent"].keys() == other["consent"].keys() == {"id"}


async def test_lender_not_admitted_at_a_platform_is_refused(stage):
    consent = await stage.grant()
    snapshot = a_snapshot()
    stage.registry.current = a_snapshot(access={k: v for k, v in snapshot.access.items() if k[0] != "sichuan"})
    error = await refused(stage.ask(consent))
    assert (error.reason, error.metadata["platform_id"]) == (Reason.LENDER_NOT_ADMITTED, "sichuan")
    assert (await stage.ask(consent, regions=("500000",))).scope.platforms == ("chongqing",)


async def test_persons_need_licences_of_platform_and_operator(fresh_database, tmp_path):
    person = {"subject": PERSON, "data": {"items": [{"id": "tax_payment", "necessity": "required"}]}}
    items = ("social_insurance_payment",)
    payload = a_payload(subject=PERSON, data={"items": [{"id": items[0], "necessity": "required"}]})
    assert person["subject"] is PERSON
    async with open_stage(fresh_database, tmp_path) as stage:
        consent = (await stage.consents.register(signed(payload))).facts
        error = await refused(stage.ask(consent, subject=PERSON, items=items))
        assert error.reason is Reason.LICENCE_MISSING
        platforms = {
            name: replace(platform, licences=(licence("PERSONAL_CREDIT_LICENCE"),))
            for name, platform in a_snapshot().platforms.items()
        }
        stage.registry.current = a_snapshot(platforms=platforms)
        error = await refused(stage.ask(consent, subject=PERSON, items=items))
        assert (error.reason, "platform_id" in error.metadata) == (Reason.LICENCE_MISSING, False)
        error = await refused(stage.ask(consent, subject=PERSON))
        assert error.reason is Reason.ITEMS_REQUIRED
        snapshot = stage.registry.current
    operator = OperatorLicence(licences=(licence("PERSONAL_CREDIT_LICENCE"),))
    async with open_stage(fresh_database, tmp_path, operator=operator) as stage:
        stage.registry.current = snapshot
        assert (await stage.ask(consent, subject=PERSON, items=items)).scope.items == items


async def test_public_items_of_an_enterprise_need_a_legal_basis_and_no_consent(stage):
    items = ("enterprise_registration", "dishonest_judgment_debtor")
    admitted = await stage.admissions.admit(an_ask(items=items, legal_basis="条例 Art. 13"))
    await stage.release(admitted)
    assert admitted.permit.consent_id is None
    assert (await refused(stage.admissions.admit(an_ask(items=items)))).reason is Reason.MALFORMED
    more = (*items, "tax_payment")
    assert (await refused(stage.admissions.admit(an_ask(items=more, legal_basis="x")))).reason is Reason.SCOPE_EXCEEDED
    error = await refused(stage.admissions.admit(an_ask(legal_basis="x")))
    assert error.reason is Reason.ITEMS_REQUIRED
    assert await stage.check_log() == []


async def test_narrowing_takes_what_is_granted_and_records_both(stage):
    consent = await stage.grant()
    items = ("tax_payment", "financial_statement")
    admitted = await stage.ask(consent, items=items, lookback=1000, allow_narrowing=True)
    assert admitted.scope.items == ("tax_payment",)
    assert admitted.scope.dropped_items == ("financial_statement",)
    assert admitted.scope.narrowed
    assert admitted.permit.look_from == admitted.permit.look_to - timedelta(days=730)
    assert (await stage.entries_written())[-1]["scope"]["asked"]["items"] == sorted(items)


async def test_revocation_withholds_what_is_under_way_before_its_own_entry(stage):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    changed = await stage.consents.revoke(consent.consent_id, reason="SUBJECT_REQUEST", actor=Actor.SUBJECT)
    assert (changed.withheld, changed.facts.revision) == (1, 2)
    error = await refused(stage.release(admitted))
    assert error.reason is Reason.CONSENT_REVOKED
    assert (await refused(stage.ask(consent))).reason is Reason.CONSENT_REVOKED
    assert (await stage.types())[2:] == ["RELEASE_WITHHELD", "CONSENT_STATUS", "QUERY_DENIED"]
    again = await stage.consents.revoke(consent.consent_id, reason="SUBJECT_REQUEST", actor=Actor.SUBJECT)
    assert (again.withheld, again.entry_id) == (0, changed.entry_id)
    assert await stage.check_log() == []


async def test_events_are_chained_by_the_leaves_that_record_them(stage):
    consent = await stage.grant()
    await stage.consents.hold(consent.consent_id, reason="SUSPICION")
    await stage.consents.lift(consent.consent_id, reason="CLEARED")
    await stage.consents.revoke(consent.consent_id, reason="", actor=Actor.LENDER)
    shown = await stage.consents.show(consent.consent_id, institution="bank-cq")
    assert [(e.revision, e.from_state, e.to_state) for e in shown.events] == [
        (1, "REQUESTED", "ACTIVE"),
        (2, "ACTIVE", "HELD"),
        (3, "HELD", "ACTIVE"),
        (4, "ACTIVE", "REVOKED"),
    ]
    rows = await stage.owner.fetch("SELECT previous, leaf_hash FROM consent_event ORDER BY revision")
    assert [row["previous"] for row in rows[1:]] == [row["leaf_hash"] for row in rows[:-1]]
    assert await stage.check_log() == []
    error = await refused(stage.consents.show(consent.consent_id, institution="bank-sc"))
    assert error.reason is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS


async def test_a_revision_the_caller_did_not_see_stops_a_revocation(stage):
    consent = await stage.grant()
    await stage.consents.hold(consent.consent_id, reason="X")
    error = await refused(
        stage.consents.revoke(consent.consent_id, reason="", actor=Actor.SUBJECT, expected_revision=1)
    )
    assert error.reason is Reason.REVISION_CHANGED


async def test_a_hold_on_one_consent_stops_it_and_no_other(stage):
    held, free = await stage.grant(), await stage.grant()
    admitted, other = await stage.ask(held), await stage.ask(free)
    assert (await stage.consents.hold(held.consent_id, reason="X")).withheld == 1
    assert (await refused(stage.release(admitted))).reason is Reason.CONSENT_HELD
    await stage.release(other)
    assert (await refused(stage.ask(held))).reason is Reason.CONSENT_HELD
    assert await stage.check_log() == []


@pytest.mark.parametrize(
    ("kind", "reason"), [(HoldKind.HOLD, Reason.CONSENT_HELD), (HoldKind.FREEZE, Reason.SUBJECT_FROZEN)]
)
async def test_a_hold_on_a_subject_stops_all_its_consents_until_lifted(stage, kind, reason):
    one = await stage.grant()
    admitted = await stage.ask(one)
    hold_id = await stage.holds.place(FIRM, kind, reason="X")
    late = await stage.grant()
    assert (await refused(stage.release(admitted))).reason is reason
    for consent in (one, late):
        assert (await refused(stage.ask(consent))).reason is reason
    public = an_ask(items=("enterprise_registration",), legal_basis="x")
    assert (await refused(stage.admissions.admit(public))).reason is reason
    written = await stage.entries_written()
    placed = next(entry for entry in written if entry["type"] in {"HOLD_PLACED", "FILE_FROZEN"})
    assert placed["affects"]["consents"] == [str(one.consent_id)]
    assert placed["affects"]["intents"][0]["request"] == str(admitted.permit.request_id)
    registered = [entry for entry in written if entry["type"] == "CONSENT_REGISTERED"][-1]
    assert registered["standing"] == [placed["entry_id"]]
    await stage.holds.lift(hold_id)
    await stage.release(await stage.ask(late))
    assert await stage.check_log() == []
    assert (await refused(stage.holds.lift(hold_id))).reason is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_parallel_questions_never_overspend(stage):
    consent = await stage.grant(**POST_LOAN, usage={"max_uses": 10, "frequency": {"n": 100, "per": "DAY"}})
    await stage.loans.register(
        "bank-cq",
        "loan-1",
        subject=FIRM,
        application_reference="",
        opened_on=date(2026, 1, 1),
        due_on=date(2027, 1, 1),
    )
    outcomes = await asyncio.gather(
        *(
            stage.ask(consent, purpose="POST_LOAN_MANAGEMENT", loan_reference="loan-1", application_reference="")
            for _ in range(50)
        ),
        return_exceptions=True,
    )
    reasons = [o.reason for o in outcomes if isinstance(o, BashuError)]
    assert reasons == [Reason.CONSENT_EXHAUSTED] * 40
    assert (await stage.facts(consent)).used == 10
    uses = sorted(row["use_ordinal"] for row in await stage.intents())
    assert uses == list(range(1, 11))
    assert await stage.check_log() == []


async def test_parallel_questions_of_several_workers_never_overspend(fresh_database, tmp_path):
    (tmp_path / "b").mkdir()
    async with (
        open_stage(fresh_database, tmp_path) as one,
        open_stage(fresh_database, tmp_path / "b") as two,
    ):
        consents = [await one.grant() for _ in range(4)]
        tasks = [worker.ask(consents[n % 4], request_id=uuid.uuid4()) for n in range(24) for worker in (one, two)]
        outcomes = await asyncio.gather(*tasks, return_exceptions=True)
        reasons = {o.reason for o in outcomes if isinstance(o, BashuError)}
        assert reasons <= {Reason.CONSENT_EXHAUSTED, Reason.FREQUENCY_EXCEEDED}
        assert [(await one.facts(consent)).used for consent in consents] == [3, 3, 3, 3]
        assert await one.check_log() == []


async def test_the_window_of_the_artefacts_zone_limits_uses(stage):
    stage.shift(hours=(24 + 4 - datetime.now(UTC).hour) % 24)
    now = await stage.owner.fetchval("SELECT bashu_now()")
    consent = await stage.grant(now=now, usage={"frequency": {"n": 1, "per": "DAY"}})
    await stage.release(await stage.ask(consent))
    error = await refused(stage.ask(consent))
    assert error.reason is Reason.FREQUENCY_EXCEEDED
    assert 0 < error.retry_after_s <= 24 * 3600
    stage.shift(hours=(24 + 4 - datetime.now(UTC).hour) % 24 + 24)
    await stage.release(await stage.ask(consent))
    assert await stage.check_log() == []


async def test_a_consent_that_ends_while_platforms_answer_withholds(stage):
    now = datetime.now(UTC)
    start = int(now.timestamp()) - 100
    consent = await stage.grant(iat=start, nbf=start, exp=int(now.timestamp()) + 20)
    admitted = await stage.ask(consent)
    stage.shift(seconds=21)
    assert (await refused(stage.release(admitted))).reason is Reason.CONSENT_EXPIRED
    assert (await refused(stage.ask(consent))).reason is Reason.CONSENT_EXPIRED
    assert (await stage.types())[-2:] == ["RELEASE_WITHHELD", "QUERY_DENIED"]
    assert await stage.check_log() == []


async def test_a_consent_before_its_window_has_not_started(stage):
    start = int(datetime.now(UTC).timestamp()) + 3600
    consent = await stage.grant(nbf=start)
    assert (await refused(stage.ask(consent))).reason is Reason.CONSENT_NOT_STARTED


async def test_a_late_answer_is_out_of_time_whether_swept_or_not(stage):
    consent = await stage.grant()
    swept, unswept = await stage.ask(consent, deadline_s=1), await stage.ask(consent, deadline_s=5)
    stage.shift(seconds=7)
    assert await stage.sweeper.sweep() == 1
    assert await stage.sweeper.sweep() == 0
    assert (await refused(stage.release(swept))).reason is Reason.OUT_OF_TIME
    stage.shift(seconds=11)
    assert (await refused(stage.release(unswept))).reason is Reason.OUT_OF_TIME
    assert (await stage.types())[-2:] == ["ABANDONED", "RELEASE_WITHHELD"]
    assert (await stage.facts(consent)).used == 2
    assert await stage.check_log() == []


async def test_the_sweeper_waits_for_nobody(stage):
    consent = await stage.grant()
    locked, free = await stage.ask(consent, deadline_s=0), await stage.ask(consent, deadline_s=0)
    stage.shift(seconds=6)
    async with stage.owner.transaction() as tx:
        await tx.fetch("SELECT 1 FROM intent WHERE request_id = $1 FOR UPDATE", locked.permit.request_id)
        assert await stage.sweeper.sweep() == 1
    states = {row["request_id"]: row["state"] for row in await stage.intents()}
    assert states == {locked.permit.request_id: "OPEN", free.permit.request_id: "CLOSED"}
    assert await stage.sweeper.sweep() == 1


async def test_a_repeat_costs_no_use_and_asks_only_what_is_outstanding(stage):
    consent = await stage.grant()
    ask = an_ask(consent_id=consent.consent_id, items=("tax_payment", "tax_credit_grade"))
    first = await stage.admissions.admit(ask)
    assert (await refused(stage.admissions.admit(ask))).reason is Reason.IN_PROGRESS
    answers = [
        replace(line, status="TIMEOUT") if (line.platform_id, line.item) == ("sichuan", "tax_payment") else line
        for line in lines(first.permit)
    ]
    await stage.releases.release(first.permit, report_digest=bytes(32), request_digest=bytes(32), platforms=answers)
    second = await stage.admissions.admit(ask)
    assert (second.attempt, second.permit.targets) == (2, {"sichuan": frozenset({"tax_payment"})})
    await stage.release(second)
    third = await stage.admissions.admit(ask)
    assert (third.attempt, third.permit.targets) == (3, {})
    await stage.release(third)
    for _ in range(3):
        whole = await stage.admissions.admit(replace(ask, resend_all=True))
        assert whole.permit.targets == first.permit.targets
        await stage.release(whole)
    error = await refused(stage.admissions.admit(replace(ask, resend_all=True)))
    assert error.reason is Reason.RATE_LIMITED
    conflict = replace(ask, request_digest=b"\x01" * 32)
    assert (await refused(stage.admissions.admit(conflict))).reason is Reason.IDEMPOTENCY_CONFLICT
    stage.shift(hours=24)
    assert (await refused(stage.admissions.admit(ask))).reason is Reason.IDEMPOTENCY_CONFLICT
    assert (await stage.facts(consent)).used == 1
    intents = [entry for entry in await stage.entries_written() if entry["type"] == "QUERY_INTENT"]
    assert {entry["intent"].get("first") for entry in intents[1:]} == {intents[0]["entry_id"]}
    assert [entry["intent"]["uses"] for entry in intents] == [1, 0, 0, 0, 0, 0]
    assert await stage.check_log() == []


async def test_a_refused_request_leaves_its_id_free(stage):
    consent = await stage.grant()
    ask = an_ask(consent_id=consent.consent_id, items=("financial_statement",))
    await refused(stage.admissions.admit(ask))
    admitted = await stage.admissions.admit(replace(ask, items=("tax_payment",), request_digest=b"\x02" * 32))
    assert admitted.attempt == 1


async def test_the_same_id_of_another_institution_is_another_request(stage):
    mine, theirs = await stage.grant(), await stage.grant(requester={"institution": "bank-sc"})
    request_id = uuid.uuid4()
    await stage.ask(mine, request_id=request_id)
    assert (await stage.ask(theirs, request_id=request_id, institution="bank-sc")).attempt == 1


async def test_two_workers_that_meet_on_one_request_id_admit_it_once(fresh_database, tmp_path):
    (tmp_path / "b").mkdir()
    async with (
        open_stage(fresh_database, tmp_path) as one,
        open_stage(fresh_database, tmp_path / "b") as two,
    ):
        asks = [an_ask(items=("enterprise_registration",), legal_basis="x") for _ in range(10)]
        outcomes = await asyncio.gather(
            *(worker.admissions.admit(ask) for ask in asks for worker in (one, two)), return_exceptions=True
        )
        reasons = [o.reason for o in outcomes if isinstance(o, BashuError)]
        assert reasons == [Reason.IN_PROGRESS] * 10
        assert len(await one.intents()) == 10


async def test_an_empty_request_id_is_made_by_the_server(stage):
    consent = await stage.grant()
    first, second = await stage.ask(consent, request_id=None), await stage.ask(consent, request_id=None)
    assert first.permit.request_id != second.permit.request_id


async def test_a_use_is_given_back_only_when_nothing_can_have_come(stage):
    consent = await stage.grant()
    asked = await stage.ask(consent)
    await stage.releases.fail(
        asked.permit,
        Reason.PLATFORMS_UNAVAILABLE,
        platforms=lines(asked.permit, "UNAVAILABLE", was_sent=False),
    )
    facts = await stage.facts(consent)
    assert (facts.used, facts.last_use, facts.window_used) == (0, 1, 0)
    assert (await stage.types())[-2:] == ["FAILED", "USE_REFUNDED"]
    timed_out = await stage.ask(consent)
    await stage.releases.fail(
        timed_out.permit, Reason.PLATFORMS_UNAVAILABLE, platforms=lines(timed_out.permit, "TIMEOUT")
    )
    assert (await stage.facts(consent)).used == 1
    assert (await stage.types())[-1] == "FAILED"
    assert await stage.check_log() == []


async def test_a_repeat_of_a_refunded_attempt_takes_a_use_again(stage):
    consent = await stage.grant()
    ask = an_ask(consent_id=consent.consent_id)
    first = await stage.admissions.admit(ask)
    await stage.releases.fail(first.permit, Reason.PLATFORMS_UNAVAILABLE, platforms=lines(first.permit, "MAINTENANCE"))
    second = await stage.admissions.admit(ask)
    await stage.release(second)
    facts = await stage.facts(consent)
    assert (second.attempt, facts.used, facts.last_use) == (2, 1, 2)
    assert await stage.check_log() == []


async def test_a_free_repeat_gives_back_nothing_that_it_never_took(stage):
    consent = await stage.grant()
    ask = an_ask(consent_id=consent.consent_id)
    await stage.release(await stage.admissions.admit(ask), "TIMEOUT")
    repeat = await stage.admissions.admit(ask)
    await stage.releases.fail(
        repeat.permit, Reason.PLATFORMS_UNAVAILABLE, platforms=lines(repeat.permit, "MAINTENANCE")
    )
    assert (await stage.facts(consent)).used == 1
    assert (await stage.count())["USE_REFUNDED"] == 0
    assert await stage.check_log() == []


async def test_what_was_closed_stays_closed(stage):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    await stage.consents.revoke(consent.consent_id, reason="", actor=Actor.SUBJECT)
    await stage.releases.fail(
        admitted.permit, Reason.PLATFORMS_UNAVAILABLE, platforms=lines(admitted.permit, "MAINTENANCE")
    )
    assert (await stage.count())["FAILED"] == 0
    assert (await stage.facts(consent)).used == 1
    assert await stage.check_log() == []


async def test_a_cancelled_caller_leaves_an_intent_that_is_swept(stage):
    consent = await stage.grant()
    task = asyncio.create_task(stage.ask(consent))
    async with stage.owner.transaction() as tx:
        await tx.fetch("SELECT 1 FROM consent WHERE consent_id = $1 FOR NO KEY UPDATE", consent.consent_id)
        await stage.waiting_for_a_lock()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled()
    await stage.ask(consent)
    assert [row["state"] for row in await stage.intents()] == ["OPEN", "OPEN"]
    stage.shift(seconds=37)
    assert await stage.sweeper.sweep() == 2
    assert (await stage.count())["ABANDONED"] == 2
    assert await stage.check_log() == []


async def test_closing_a_loan_ends_its_consents_and_withholds(stage):
    for reference in ("loan-1", "loan-2"):
        await stage.loans.register(
            "bank-cq",
            reference,
            subject=FIRM,
            application_reference="",
            opened_on=date(2026, 1, 1),
            due_on=date(2027, 1, 1),
        )
    consent = await stage.grant(**POST_LOAN, term={"until": "LOAN_CLOSED", "plus_days": 0})
    post = {"purpose": "POST_LOAN_MANAGEMENT", "application_reference": ""}
    assert (await refused(stage.ask(consent, **post))).reason is Reason.REFERENCE_MISSING
    one = await stage.ask(consent, **post, loan_reference="loan-1")
    two = await stage.ask(consent, **post, loan_reference="loan-2")
    assert (await stage.loans.close("bank-cq", "loan-1", reason=LoanEnd.SETTLED)).ended_consents == 0
    assert (await refused(stage.release(one))).reason is Reason.LOAN_CLOSED
    assert (await refused(stage.ask(consent, **post, loan_reference="loan-1"))).reason is Reason.LOAN_CLOSED
    await stage.release(two)
    assert (await stage.loans.close("bank-cq", "loan-2", reason=LoanEnd.TRANSFERRED)).ended_consents == 1
    assert (await stage.loans.close("bank-cq", "loan-2", reason=LoanEnd.TRANSFERRED)).ended_consents == 0
    shown = await stage.consents.show(consent.consent_id, institution=None)
    assert (shown.events[-1].to_state, shown.events[-1].reason) == ("EXPIRED", "LOAN_CLOSED")
    assert (await refused(stage.loans.close("bank-cq", "x", reason=LoanEnd.SETTLED))).reason is Reason.LOAN_NOT_FOUND
    assert [loan.loan_reference for loan in await stage.loans.of_institution("bank-cq")] == ["loan-1", "loan-2"]
    assert await stage.check_log() == []


async def test_an_altered_artefact_is_a_loss_of_data(stage):
    consent = await stage.grant()
    await stage.owner.execute("UPDATE consent_artefact SET artefact = artefact || 'A'::bytea")
    assert (await refused(stage.ask(consent))).reason is Reason.LEDGER_INCONSISTENT


async def test_a_compromised_authority_key_stops_its_consents(stage):
    consent = await stage.grant()
    snapshot = a_snapshot()
    key = replace(snapshot.keys["authority-1"], revoked_at=datetime.now(UTC), compromised_at=datetime.now(UTC))
    stage.registry.current = a_snapshot(keys={"authority-1": key})
    assert (await refused(stage.ask(consent))).reason is Reason.ARTEFACT_UNKNOWN_KEY


async def test_stale_evidence_stops_admissions_but_no_release(stage):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    await stage.owner.execute("ALTER TABLE ledger_head DISABLE TRIGGER ALL")
    await stage.owner.execute("UPDATE ledger_head SET heartbeat = clock_timestamp() - interval '31 s'")
    assert (await refused(stage.ask(consent))).reason is Reason.EVIDENCE_STALE
    await stage.release(admitted)


async def test_too_many_refusals_become_one_counted_entry(stage):
    for _ in range(105):
        await refused(stage.admissions.admit(an_ask(purpose="")))
    assert (await stage.count())["QUERY_DENIED"] == 100
    await stage.admissions._denials.flush(everything=True)
    assert (await stage.entries_written())[-1]["count"] == 5
    assert await stage.check_log() == []


async def test_a_callers_own_words_reach_no_leaf(stage):
    words = "11010519491231002X"
    await refused(stage.admissions.admit(an_ask(purpose=words)))
    await refused(stage.admissions.admit(an_ask(items=(words,))))
    await stage.loans.register(
        "bank-cq",
        words,
        subject=FIRM,
        application_reference=words,
        opened_on=date(2026, 1, 1),
        due_on=date(2026, 1, 1),
    )
    assert words not in json.dumps(await stage.entries_written())


async def test_a_stuck_consent_is_answered_as_overloaded_and_holds_up_no_other(stage):
    stuck, free = await stage.grant(), await stage.grant()
    async with stage.owner.transaction() as tx:
        await tx.fetch("SELECT 1 FROM consent WHERE consent_id = $1 FOR NO KEY UPDATE", stuck.consent_id)
        outcomes = await asyncio.gather(stage.ask(stuck), stage.ask(free), return_exceptions=True)
    assert outcomes[0].reason is Reason.OVERLOADED
    assert outcomes[1].attempt == 1
    assert await stage.check_log() == []


async def test_refusals_before_a_question_are_recorded_too(stage):
    error = BashuError(Reason.IDENTIFIER_INVALID, "wrong check digit")
    await stage.admissions.deny(an_ask(), bytes(32), error)
    assert (await stage.entries_written())[-1]["decision"]["reason"] == "IDENTIFIER_INVALID"


async def test_registering_twice_answers_alike_and_other_bytes_are_refused(stage):
    payload = a_payload()
    first, again = await stage.consents.register(signed(payload)), await stage.consents.register(signed(payload))
    assert (first.entry_id, first.is_new) == (again.entry_id, True)
    assert not again.is_new
    error = await refused(stage.consents.register(signed(payload | {"acts": ["QUERY"]})))
    assert error.reason is Reason.CONSENT_ID_TAKEN
    error = await refused(stage.consents.register(signed(a_payload()), only_for="bank-sc"))
    assert error.reason is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS
    assert await stage.count() == {"CONSENT_REGISTERED": 1}


async def test_an_unsigned_artefact_does_not_tell_which_ids_exist(stage):
    taken = a_payload()
    await stage.consents.register(signed(taken))
    for same in ({"consent_id": taken["consent_id"]}, {}):
        raw = signed(a_payload() | same | {"acts": ["QUERY"]})
        unsigned = raw.rpartition(b".")[0] + b"." + b"A" * 86
        assert (await refused(stage.consents.register(unsigned))).reason is Reason.ARTEFACT_SIGNATURE


async def test_two_workers_that_register_one_artefact_answer_alike(fresh_database, tmp_path):
    (tmp_path / "b").mkdir()
    async with (
        open_stage(fresh_database, tmp_path) as one,
        open_stage(fresh_database, tmp_path / "b") as two,
    ):
        for _ in range(5):
            raw = signed(a_payload())
            registered = await asyncio.gather(*(worker.consents.register(raw) for worker in (one, two) * 3))
            assert len({consent.entry_id for consent in registered}) == 1
            assert [consent.is_new for consent in registered].count(True) == 1
        assert await one.count() == {"CONSENT_REGISTERED": 5}
