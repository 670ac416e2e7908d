"""Pauses, holds, freezes, listings and explanations as their parties call them, over real PostgreSQL."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import date

import pytest

from bashu.v1 import common_pb2, compliance_pb2, consent_pb2, loan_pb2, subject_pb2
from consent.model import Actor
from core.clock import SystemClock
from core.commitments import subject_commitment
from core.errors import BashuError, Reason
from database import open_database
from gateway.identity.model import CALLER, Caller, InstitutionKind, Mandate, Role
from gateway.identity.roles import require_role
from gateway.officers import Holds
from gateway.reviews import Reviews
from gateway.services.compliance import ComplianceServicer
from gateway.services.consent import ConsentServicer
from gateway.services.loan import LoanServicer
from gateway.services.subject import SubjectServicer
from gateway.vault.service import Vault
from ledger.export import check_export, export_lines
from ledger.note import parse_vkey
from tests.admission_stage import (
    COMMITMENT_KEYS,
    FIRM,
    OTHER_FIRM,
    PERSON,
    SIGNER,
    STANDARD,
    open_stage,
)
from tests.asking_stage import asking_of

STATES = consent_pb2.ConsentState


def caller(participant, role, institution=None, **facts):
    return Caller(
        participant_id=participant,
        role=role,
        institution=institution or participant,
        institution_kind=InstitutionKind.NONE,
        kid="k",
        **facts,
    )


def agent_of(subject, *, act="ab" * 32, kid="commitment-1"):
    commitment = subject_commitment(COMMITMENT_KEYS[kid], subject.id_type, subject.identifier)
    return caller(
        "subject-portal",
        Role.SUBJECT_AGENT,
        subject_commitment=commitment,
        actor_commitment=act,
        mandate=Mandate.LEGAL_REPRESENTATIVE,
        acr="high",
    )


BANK = caller("bank-cq", Role.LENDER, operator="0001")
OTHER_BANK = caller("bank-sc", Role.LENDER, operator="0001")
AUTHORITY = caller("authority-cq", Role.CONSENT_AUTHORITY)
ONE = caller("officer-1", Role.COMPLIANCE, "gw", operator="0001")
TWO = caller("officer-2", Role.COMPLIANCE, "gw", operator="0002")
AUDITOR = caller("auditor-1", Role.AUDITOR, "gw")
SUBJECT = agent_of(FIRM)
STRANGER = agent_of(OTHER_FIRM)


def named(subject):
    enterprise = common_pb2.EnterpriseSubject(unified_social_credit_code=subject.identifier, name=subject.name)
    return common_pb2.Subject(enterprise=enterprise)


@dataclass
class Services:
    stage: object
    servicers: dict

    async def call(self, service, rpc, who, **fields):
        """Call as the edge would: role first, then the servicer."""
        module = {"Consent": consent_pb2, "Compliance": compliance_pb2, "Subject": subject_pb2, "Loan": loan_pb2}
        require_role(f"/bashu.v1.{service}Service/{rpc}", who.role)
        CALLER.set(who)
        return await getattr(self.servicers[service], rpc)(getattr(module[service], f"{rpc}Request")(**fields), None)

    async def consent(self, rpc, who, **fields):
        return await self.call("Consent", rpc, who, **fields)

    async def compliance(self, rpc, who, **fields):
        return await self.call("Compliance", rpc, who, **fields)

    async def subject(self, rpc, who, **fields):
        return await self.call("Subject", rpc, who, **fields)

    async def audited(self):
        """Seal everything and return what the export's own check finds beyond remarks."""
        while await self.stage.sealer.run_round():
            pass
        lines = [line async for line in export_lines(self.stage.owner)]
        findings = check_export(lines, key=parse_vkey(SIGNER.vkey))
        return [finding.line() for finding in findings if finding.severity != "INFO"]


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


@pytest.fixture
async def services(stage, fresh_keys):
    keys = await open_database(fresh_keys.dsn("bashu_keeper"), max_size=4)
    vault = Vault(keys, wrapping_key=bytes(range(32)), owner_key=b"owner-key-not-real")
    yield _services(stage, vault)
    await keys.close()


def _services(stage, vault):
    clock = SystemClock()
    holds = Holds(stage.db, subjects=stage.holds, vault=vault, pseudonyms=stage.pseudonyms, entries=stage.entries)
    reviews = Reviews(stage.db, entries=stage.entries)
    return Services(
        stage,
        {
            "Consent": ConsentServicer(consents=stage.consents, asking=asking_of(stage), reviews=reviews),
            "Compliance": ComplianceServicer(
                db=stage.db,
                holds=holds,
                reviews=reviews,
                erasures=None,
                unmasking=None,
                desk=None,
                vkey=SIGNER.vkey,
                commitment=stage.pseudonyms.in_entry,
                disputes=None,
                standard=STANDARD,
                clock=clock,
            ),
            "Subject": SubjectServicer(
                db=stage.db,
                lists=None,
                mine=None,
                own_reports=None,
                disputes=None,
                holds=holds,
                erasures=None,
                pseudonyms=stage.pseudonyms,
                standard=STANDARD,
                clock=clock,
            ),
            "Loan": LoanServicer(loans=stage.loans, standard=STANDARD, clock=clock),
        },
    )


async def refused(awaitable):
    with pytest.raises(BashuError) as caught:
        await awaitable
    return caught.value.reason


# Pause and resume


async def test_a_pause_withholds_what_is_under_way_and_stops_queries_until_resumed(stage, services):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    paused = await services.consent("PauseConsent", SUBJECT, consent_id=str(consent.consent_id))
    assert (paused.consent.state, paused.consent.revision) == (STATES.CONSENT_STATE_PAUSED, 2)
    assert await refused(stage.release(admitted)) is Reason.CONSENT_PAUSED
    assert await refused(stage.ask(consent)) is Reason.CONSENT_PAUSED
    assert (await stage.types())[-4:-1] == ["QUERY_INTENT", "RELEASE_WITHHELD", "CONSENT_STATUS"]
    resumed = await services.consent("ResumeConsent", SUBJECT, consent_id=str(consent.consent_id))
    assert (resumed.consent.state, resumed.consent.revision) == (STATES.CONSENT_STATE_ACTIVE, 3)
    await stage.release(await stage.ask(consent))
    history = await services.consent("GetConsent", BANK, consent_id=str(consent.consent_id), with_history=True)
    assert [(event.reason, event.actor) for event in history.events] == [
        ("REGISTERED", "AUTHORITY"),
        ("PAUSED", "SUBJECT"),
        ("RESUMED", "SUBJECT"),
    ]
    assert await services.audited() == []


@pytest.mark.parametrize("rpc", ["PauseConsent", "ResumeConsent"])
async def test_doing_it_twice_adds_no_event(stage, services, rpc):
    consent_id = str((await stage.grant()).consent_id)
    if rpc == "PauseConsent":
        await services.consent(rpc, SUBJECT, consent_id=consent_id)
    before = len(await stage.types())
    await services.consent(rpc, SUBJECT, consent_id=consent_id)
    assert len(await stage.types()) == before


@pytest.mark.parametrize("rpc", ["PauseConsent", "ResumeConsent"])
@pytest.mark.parametrize("who", [BANK, AUTHORITY, ONE, AUDITOR], ids=lambda who: who.role)
async def test_only_the_subjects_agent_pauses_and_resumes(stage, services, rpc, who):
    consent_id = str((await stage.grant()).consent_id)
    assert await refused(services.consent(rpc, who, consent_id=consent_id)) is Reason.ROLE_NOT_ALLOWED


@pytest.mark.parametrize("rpc", ["PauseConsent", "ResumeConsent"])
async def test_another_subjects_consent_cannot_be_told_from_none(stage, services, rpc):
    consent_id = str((await stage.grant()).consent_id)
    for other in (consent_id, str(uuid.uuid4())):
        reason = await refused(services.consent(rpc, STRANGER, consent_id=other))
        assert reason is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS
    assert (await stage.types()) == ["CONSENT_REGISTERED"]


async def test_a_pause_on_another_revision_or_after_the_end_is_refused(stage, services):
    consent = await stage.grant()
    consent_id = str(consent.consent_id)
    pause = services.consent("PauseConsent", SUBJECT, consent_id=consent_id, expected_revision=7)
    assert await refused(pause) is Reason.REVISION_CHANGED
    await stage.consents.revoke(consent.consent_id, reason="X", actor=Actor.SUBJECT)
    assert await refused(services.consent("PauseConsent", SUBJECT, consent_id=consent_id)) is Reason.CONSENT_REVOKED


async def test_a_pause_outlasts_a_hold(stage, services):
    consent_id = str((await stage.grant()).consent_id)
    hold = (await services.compliance("PlaceHold", ONE, consent_id=consent_id, reason="x")).hold
    paused = await services.consent("PauseConsent", SUBJECT, consent_id=consent_id)
    assert paused.consent.state == STATES.CONSENT_STATE_HELD
    for officer in (ONE, TWO):
        await services.compliance("LiftHold", officer, hold_id=hold.hold_id, reason="x")
    shown = await services.consent("GetConsent", SUBJECT, consent_id=consent_id)
    assert shown.consent.state == STATES.CONSENT_STATE_PAUSED


# Listing


async def listed(services, who, **fields):
    found, token = [], ""
    for _ in range(20):
        page = common_pb2.PageRequest(page_size=2, page_token=token)
        answer = await services.consent("ListConsents", who, page=page, **fields)
        assert len(answer.consents) <= 2
        found += [consent.consent_id for consent in answer.consents]
        token = answer.page.next_page_token
        if not token:
            return found
    raise AssertionError("the listing does not end")


async def test_each_party_lists_its_own_page_by_page(stage, services):
    mine = [str((await stage.grant()).consent_id) for _ in range(5)]
    other_firm = str((await stage.grant(subject=OTHER_FIRM)).consent_id)
    other_bank = str((await stage.grant(requester={"institution": "bank-sc"})).consent_id)
    every = sorted([*mine, other_firm, other_bank])
    assert await listed(services, BANK) == sorted([*mine, other_firm])
    assert await listed(services, OTHER_BANK) == [other_bank]
    assert await listed(services, SUBJECT) == sorted([*mine, other_bank])
    assert await listed(services, STRANGER) == [other_firm]
    assert await listed(services, AUTHORITY) == every
    assert await listed(services, caller("authority-sc", Role.CONSENT_AUTHORITY)) == []
    assert "REVIEW_VIEW" not in await stage.types()
    assert await listed(services, AUDITOR) == every
    assert (await stage.count())["REVIEW_VIEW"] == 4


async def test_a_listing_by_state_finds_them_on_whatever_page(stage, services):
    consents = [await stage.grant() for _ in range(7)]
    paused = [str(consent.consent_id) for consent in (consents[0], consents[3], consents[6])]
    for consent_id in paused:
        await services.consent("PauseConsent", SUBJECT, consent_id=consent_id)
    assert await listed(services, BANK, states=[STATES.CONSENT_STATE_PAUSED]) == sorted(paused)
    assert await listed(services, BANK, states=[STATES.CONSENT_STATE_REVOKED]) == []


@pytest.mark.parametrize("fields", [{"states": [99]}, {"page": common_pb2.PageRequest(page_token="nonsense")}])
async def test_a_wrong_listing_is_malformed(services, fields):
    assert await refused(services.consent("ListConsents", BANK, **fields)) is Reason.MALFORMED


async def test_what_a_reviewer_reads_is_recorded_before(stage, services):
    consent = await stage.grant()
    await services.consent("GetConsent", AUDITOR, consent_id=str(consent.consent_id))
    entry = (await stage.entries_written())[-1]
    assert (entry["type"], entry["object"], entry["count"]) == ("REVIEW_VIEW", "GetConsent", 1)
    assert entry["consent"] == {"id": str(consent.consent_id)}
    assert entry["requester"]["institution"] == "gw"
    assert await services.audited() == []


async def test_loans_are_listed_page_by_page_and_only_ones_own(stage, services):
    for bank, names in (("bank-cq", ("a", "b", "c")), ("bank-sc", ("z",))):
        for name in names:
            await stage.loans.register(
                bank, name, subject=FIRM, application_reference="", opened_on=date(2026, 1, 1), due_on=date(2027, 1, 1)
            )
    first = await services.call("Loan", "ListLoans", BANK, page=common_pb2.PageRequest(page_size=2))
    assert [loan.loan_reference for loan in first.loans] == ["a", "b"]
    page = common_pb2.PageRequest(page_size=2, page_token=first.page.next_page_token)
    second = await services.call("Loan", "ListLoans", BANK, page=page)
    assert ([loan.loan_reference for loan in second.loans], second.page.next_page_token) == (["c"], "")


# Compliance's holds


@pytest.mark.parametrize("on", ["consent", "subject"])
async def test_a_hold_withholds_and_takes_two_officers_to_lift(stage, services, on):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    what = {"consent_id": str(consent.consent_id)} if on == "consent" else {"subject": named(FIRM)}
    placed = await services.compliance("PlaceHold", ONE, reason="可疑 in words", **what)
    assert placed.withheld_queries == 1
    assert await refused(stage.release(admitted)) is Reason.CONSENT_HELD
    assert await refused(stage.ask(consent)) is Reason.CONSENT_HELD
    lift = {"hold_id": placed.hold.hold_id, "reason": "cleared"}
    assert not (await services.compliance("LiftHold", ONE, **lift)).lifted
    assert await refused(stage.ask(consent)) is Reason.CONSENT_HELD
    [hold] = (await services.compliance("ListHolds", AUDITOR)).holds
    assert (hold.kind, hold.placed_by.participant, hold.reason) == ("HOLD", "officer-1", "可疑 in words")
    assert (hold.lift_proposed_by.participant, hold.consent_id) == ("officer-1", what.get("consent_id", ""))
    assert (await services.compliance("LiftHold", TWO, **lift)).lifted
    await stage.release(await stage.ask(consent))
    assert await refused(services.compliance("LiftHold", TWO, **lift)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert not (await services.compliance("ListHolds", AUDITOR)).holds
    written = str(await stage.entries_written())
    for secret in ("可疑", "cleared", FIRM.identifier, "'0001'", "'0002'"):
        assert secret not in written
    assert await services.audited() == []


SECONDS = {
    "the same officer": ONE,
    "the same officer under another number": replace(ONE, operator="0002"),
    "the same number under another participant": replace(TWO, operator="0001"),
}


@pytest.mark.parametrize("who", SECONDS)
async def test_the_second_officer_is_another_participant_and_another_person(stage, services, who):
    consent = await stage.grant()
    hold = (await services.compliance("PlaceHold", ONE, consent_id=str(consent.consent_id), reason="x")).hold
    await services.compliance("LiftHold", ONE, hold_id=hold.hold_id, reason="x")
    assert not (await services.compliance("LiftHold", SECONDS[who], hold_id=hold.hold_id, reason="x")).lifted
    assert await refused(stage.ask(consent)) is Reason.CONSENT_HELD


async def test_a_first_officers_wish_lasts_a_day(stage, services):
    consent = await stage.grant()
    hold = (await services.compliance("PlaceHold", ONE, consent_id=str(consent.consent_id), reason="x")).hold
    lift = {"hold_id": hold.hold_id, "reason": "x"}
    await services.compliance("LiftHold", ONE, **lift)
    stage.shift(hours=24, seconds=5)
    assert not (await services.compliance("LiftHold", TWO, **lift)).lifted
    stage.shift(hours=47)
    assert (await services.compliance("LiftHold", ONE, **lift)).lifted


@pytest.mark.parametrize("on", ["consent", "subject"])
async def test_of_two_who_second_at_once_one_lifts(stage, services, on):
    consent = await stage.grant()
    what = {"consent_id": str(consent.consent_id)} if on == "consent" else {"subject": named(FIRM)}
    hold = (await services.compliance("PlaceHold", ONE, reason="x", **what)).hold
    await services.compliance("LiftHold", ONE, hold_id=hold.hold_id, reason="x")
    third = caller("officer-3", Role.COMPLIANCE, "gw", operator="0003")
    answers = await asyncio.gather(
        *(services.compliance("LiftHold", who, hold_id=hold.hold_id, reason="x") for who in (TWO, third)),
        return_exceptions=True,
    )
    reasons = [answer.reason for answer in answers if isinstance(answer, BashuError)]
    assert reasons == [Reason.NOT_FOUND_OR_NOT_YOURS]
    await stage.release(await stage.ask(consent))
    assert await services.audited() == []


async def test_freezes_and_thaws_at_once_end_as_one_after_the_other(stage, services):
    consent = await stage.grant()
    await asyncio.gather(*(services.subject("FreezeFile", SUBJECT, subject=named(FIRM)) for _ in range(4)))
    assert (await stage.count())["FILE_FROZEN"] == 1
    thaws = [services.subject("ThawFile", SUBJECT, subject=named(FIRM)) for _ in range(3)]
    answers = await asyncio.gather(*thaws, return_exceptions=True)
    assert sum(isinstance(answer, BashuError) for answer in answers) == 2
    await stage.release(await stage.ask(consent))
    assert await services.audited() == []


async def test_the_database_refuses_a_lifting_by_one_officer(stage, services):
    consent = await stage.grant()
    hold = (await services.compliance("PlaceHold", ONE, consent_id=str(consent.consent_id), reason="x")).hold
    await services.compliance("LiftHold", ONE, hold_id=hold.hold_id, reason="x")
    alone = """UPDATE hold_record SET lifted_by = 'officer-1', lifted_operator = '0001', lifted_reason = '',
        lifted_at = bashu_now()"""
    with pytest.raises(BashuError):
        await stage.db.execute(alone)


async def test_two_holds_stand_until_both_are_lifted(stage, services):
    consent = await stage.grant()
    holds = [
        (await services.compliance("PlaceHold", ONE, consent_id=str(consent.consent_id), reason="x")).hold
        for _ in range(2)
    ]
    for number, hold in enumerate(holds):
        for officer in (ONE, TWO):
            await services.compliance("LiftHold", officer, hold_id=hold.hold_id, reason="x")
        if number == 0:
            assert await refused(stage.ask(consent)) is Reason.CONSENT_HELD
    await stage.release(await stage.ask(consent))
    assert await services.audited() == []


async def test_a_hold_names_one_consent_or_one_subject_that_exists(services):
    both = {"consent_id": str(uuid.uuid4()), "subject": named(FIRM)}
    for what, reason in (({}, Reason.MALFORMED), (both, Reason.MALFORMED)):
        assert await refused(services.compliance("PlaceHold", ONE, reason="x", **what)) is reason
    nobody = services.compliance("PlaceHold", ONE, reason="x", consent_id=str(uuid.uuid4()))
    assert await refused(nobody) is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS


@pytest.mark.parametrize("rpc", ["PlaceHold", "LiftHold"])
@pytest.mark.parametrize("who", [BANK, SUBJECT, AUTHORITY, AUDITOR], ids=lambda who: who.role)
async def test_only_compliance_holds_and_lifts(services, rpc, who):
    fields = {"consent_id" if rpc == "PlaceHold" else "hold_id": str(uuid.uuid4()), "reason": "x"}
    assert await refused(services.compliance(rpc, who, **fields)) is Reason.ROLE_NOT_ALLOWED


# Freezes


async def test_a_freeze_stops_every_query_until_the_subject_thaws(stage, services):
    consent = await stage.grant()
    admitted = await stage.ask(consent)
    frozen = await services.subject("FreezeFile", SUBJECT, subject=named(FIRM), reason="我的话")
    assert frozen.withheld_queries == 1
    assert await refused(stage.release(admitted)) is Reason.SUBJECT_FROZEN
    assert await refused(stage.ask(consent)) is Reason.SUBJECT_FROZEN
    again = await services.subject("FreezeFile", agent_of(FIRM, kid="commitment-2"), subject=named(FIRM))
    assert again.frozen_at == frozen.frozen_at
    [hold] = (await services.compliance("ListHolds", ONE)).holds
    assert (hold.kind, hold.subject_display) == ("FREEZE", "91500105******018M")
    lift = services.compliance("LiftHold", ONE, hold_id=hold.hold_id, reason="x")
    assert await refused(lift) is Reason.NOT_FOUND_OR_NOT_YOURS
    await services.subject("ThawFile", SUBJECT, subject=named(FIRM))
    await stage.release(await stage.ask(consent))
    assert await refused(services.subject("ThawFile", SUBJECT, subject=named(FIRM))) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert (await stage.count())["FILE_FROZEN"] == 1
    assert "我的话" not in str(await stage.entries_written())
    assert await services.audited() == []


@pytest.mark.parametrize("rpc", ["FreezeFile", "ThawFile"])
async def test_nobody_freezes_or_thaws_another_subjects_file(stage, services, rpc):
    assert await refused(services.subject(rpc, STRANGER, subject=named(FIRM))) is Reason.SUBJECT_MISMATCH
    for who in (BANK, ONE, AUTHORITY):
        assert await refused(services.subject(rpc, who, subject=named(FIRM))) is Reason.ROLE_NOT_ALLOWED
    assert await stage.types() == []


async def test_a_thaw_leaves_compliances_hold(stage, services):
    consent = await stage.grant()
    await services.compliance("PlaceHold", ONE, subject=named(FIRM), reason="x")
    await services.subject("FreezeFile", SUBJECT, subject=named(FIRM))
    await services.subject("ThawFile", SUBJECT, subject=named(FIRM))
    assert await refused(stage.ask(consent)) is Reason.CONSENT_HELD


async def test_a_persons_hold_shows_no_identifier(services):
    person = common_pb2.PersonSubject(id_type="citizen_id", id_number=PERSON.identifier, name=PERSON.name)
    held = await services.compliance("PlaceHold", ONE, subject=common_pb2.Subject(person=person), reason="x")
    assert held.hold.subject_display == "1****************X"


# Explanations


async def explained(services, who, request_id, **fields):
    return await services.compliance("ExplainDecision", who, request_id=str(request_id), **fields)


async def test_an_admission_is_explained_by_the_checks_it_passed(stage, services):
    consent, request_id = await stage.grant(), uuid.uuid4()
    await stage.ask(consent, request_id=request_id)
    answer = await explained(services, BANK, request_id)
    assert answer.outcome == "PERMIT"
    assert all(step.passed for step in answer.steps)
    numbers = [step.number for step in answer.steps]
    assert numbers == [*range(1, 17)]
    assert [step.name for step in answer.steps][-5:] == ["state", "holds", "budget", "evidence", "intent"]


async def test_a_refusal_is_explained_by_the_check_that_gave_it(stage, services):
    consent, request_id = await stage.grant(), uuid.uuid4()
    await services.consent("PauseConsent", SUBJECT, consent_id=str(consent.consent_id))
    await refused(stage.ask(consent, request_id=request_id))
    assert await refused(explained(services, BANK, request_id)) is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await services.audited() == []
    answer = await explained(services, BANK, request_id)
    assert answer.outcome == "CONSENT_PAUSED"
    assert [step.passed for step in answer.steps] == [True] * (len(answer.steps) - 1) + [False]
    last = answer.steps[-1]
    assert (last.number, last.name, last.reason, last.rule) == (12, "state", "CONSENT_PAUSED", "R15")


async def test_the_latest_decision_on_a_request_is_the_one_explained(stage, services):
    consent, request_id = await stage.grant(), uuid.uuid4()
    await refused(stage.ask(consent, request_id=request_id, items=("no_such_item",)))
    await services.audited()
    assert (await explained(services, BANK, request_id)).outcome == "UNKNOWN_DATA_ITEM"
    await stage.ask(consent, request_id=request_id)
    assert (await explained(services, BANK, request_id)).outcome == "PERMIT"
    await refused(stage.ask(consent, request_id=request_id))
    await services.audited()
    assert (await explained(services, BANK, request_id)).outcome == "IN_PROGRESS"


async def test_a_lender_is_told_of_no_other_lenders_request(stage, services):
    consent, request_id = await stage.grant(), uuid.uuid4()
    await stage.ask(consent, request_id=request_id)
    for fields in ({}, {"institution": "bank-cq"}):
        reason = await refused(explained(services, OTHER_BANK, request_id, **fields))
        assert reason is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await refused(explained(services, SUBJECT, request_id)) is Reason.ROLE_NOT_ALLOWED
    assert (await explained(services, AUDITOR, request_id, institution="bank-cq")).outcome == "PERMIT"
    assert (await stage.entries_written())[-1]["object"] == f"ExplainDecision/{request_id}"


# All of it


async def test_the_log_holds_after_a_mix_of_everything(stage, services):
    consents = [await stage.grant() for _ in range(4)]
    admitted = [await stage.ask(consent) for consent in consents]
    ids = [str(consent.consent_id) for consent in consents]
    await services.consent("PauseConsent", SUBJECT, consent_id=ids[0])
    hold = (await services.compliance("PlaceHold", ONE, consent_id=ids[1], reason="x")).hold
    await stage.release(admitted[2])
    await services.subject("FreezeFile", SUBJECT, subject=named(FIRM))
    late = await stage.grant()
    await services.consent("ResumeConsent", SUBJECT, consent_id=ids[0])
    for officer in (ONE, TWO):
        await services.compliance("LiftHold", officer, hold_id=hold.hold_id, reason="x")
    await stage.consents.revoke(consents[3].consent_id, reason="X", actor=Actor.SUBJECT)
    await services.subject("ThawFile", SUBJECT, subject=named(FIRM))
    await services.compliance("ListHolds", AUDITOR)
    for consent in (*consents[:3], late):
        await stage.release(await stage.ask(consent))
    counted = await stage.count()
    assert (counted["RELEASE"], counted["RELEASE_WITHHELD"]) == (5, 3)
    assert await services.audited() == []
    assert await stage.check_log() == []
