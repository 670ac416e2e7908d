"""Bundles: a lender asks, the borrower's agent grants what it wants to with one step, refuses, or lets it lapse."""

from __future__ import annotations

import asyncio
import hashlib
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bashu.v1 import common_pb2, consent_pb2
from core.errors import BashuError, Reason
from gateway.asking import store
from gateway.identity.model import InstitutionKind, Role
from tests.admission_stage import FIRM, GRANTED, OTHER_FIRM, a_key, a_payload, a_snapshot, signed
from tests.asking_stage import AUTHORITY, OTHER_BANK, open_asking
from tests.rights_stage import STRANGER, SUBJECT, caller, named, refused

BANK = caller("bank-cq", Role.LENDER, operator="op-1", kind=InstitutionKind.BANK)
DIGEST = hashlib.sha256(b"text").digest()
REQUIRED, OPTIONAL = GRANTED[:2], GRANTED[2:]
STATES = consent_pb2.BundleState


def a_draft(**changes):
    values = {
        "purpose": "PRE_LOAN_REVIEW",
        "platform_ids": ["chongqing", "sichuan"],
        "required_items": REQUIRED,
        "optional_items": OPTIONAL,
        "days": 30,
        "max_uses": 3,
        "lookback": common_pb2.Lookback(days=730),
    }
    return consent_pb2.ConsentDraft(**(values | changes))


def items_of(*, required=REQUIRED, optional=OPTIONAL):
    needs = [(item, "required") for item in required] + [(item, "optional") for item in optional]
    return {"items": [{"id": item, "necessity": necessity} for item, necessity in needs]}


def artefact(**changes):
    """What the authority signs for the stage's draft; changes as in ``a_payload``."""
    return signed(a_payload(**({"data": items_of()} | changes)))


@pytest.fixture
async def asking(fresh_database, fresh_keys, tmp_path):
    async with open_asking(fresh_database, fresh_keys, tmp_path) as asking:
        await asking.call("RegisterNotice", AUTHORITY, notice_id="n", version="1", lang="zh-CN", text="text")
        yield asking


async def ask(asking, *drafts, who=BANK, **changes):
    fields = {"subject": named(FIRM), "drafts": drafts or [a_draft()], "notice_sha256": DIGEST}
    return await asking.call("RequestConsent", who, **(fields | changes))


async def decide(asking, bundle_id, *artefacts, who=SUBJECT):
    return await asking.call("DecideConsent", who, bundle_id=bundle_id, grant=bool(artefacts), artefacts=artefacts)


async def state(asking, bundle_id):
    return (await asking.call("GetConsentBundle", BANK, bundle_id=bundle_id)).state


async def test_the_portal_reads_what_is_asked_with_notice_and_consequences_before_the_borrower_decides(asking):
    asked = await ask(asking)
    assert asked.decision_url == f"https://portal.invalid/consents/{asked.bundle_id}"
    shown = await asking.call("GetConsentBundle", SUBJECT, bundle_id=asked.bundle_id)
    assert (shown.institution, shown.state, shown.notice.text) == ("bank-cq", STATES.BUNDLE_STATE_REQUESTED, "text")
    assert sorted(shown.drafts[0].required_items) == sorted(REQUIRED)
    assert shown.drafts[0].lookback.days == 730
    assert "拒绝" in shown.consequences == asked.consequences
    assert shown.expires_at.seconds - shown.requested_at.seconds == 72 * 3600


async def test_granting_registers_the_consent_and_the_lender_may_ask_at_once(asking):
    asked = await ask(asking)
    granted = await decide(asking, asked.bundle_id, artefact())
    (consent,) = granted.consents
    assert sorted(consent.data_items) == sorted(GRANTED)
    assert (await asking.stage.types()).count("CONSENT_REGISTERED") == 1
    shown = await asking.call("GetConsentBundle", BANK, bundle_id=asked.bundle_id)
    assert (shown.state, list(shown.consent_ids)) == (STATES.BUNDLE_STATE_GRANTED, [consent.consent_id])
    facts = (await asking.stage.consents.show(uuid.UUID(consent.consent_id), institution="bank-cq")).facts
    await asking.stage.release(await asking.stage.ask(facts))
    assert await asking.stage.check_log() == []


async def test_an_optional_item_may_be_refused_and_a_required_one_may_not(asking):
    asked = await ask(asking)
    without = artefact(data=items_of(required=REQUIRED[:1]))
    assert await refused(decide(asking, asked.bundle_id, without)) is Reason.ITEMS_REQUIRED
    granted = await decide(asking, asked.bundle_id, artefact(data=items_of(optional=())))
    assert sorted(granted.consents[0].data_items) == sorted(REQUIRED)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"data": items_of(optional=(*OPTIONAL, "administrative_penalty"))}, Reason.SCOPE_EXCEEDED),
        ({"data": items_of(required=GRANTED, optional=())}, Reason.ARTEFACT_MALFORMED),
        ({"data": items_of() | {"lookback_days": 731}}, Reason.RANGE_EXCEEDED),
        ({"purpose": {"code": "GUARANTOR_REVIEW"}}, Reason.PURPOSE_MISMATCH),
        ({"notice": {"sha256": hashlib.sha256(b"other").hexdigest()}}, Reason.ARTEFACT_MALFORMED),
        ({"requester": {"institution": "bank-sc"}}, Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS),
        ({"subject": OTHER_FIRM}, Reason.SUBJECT_MISMATCH),
    ],
    ids=["more items", "optional signed as required", "further back", "purpose", "notice", "requester", "subject"],
)
async def test_what_was_signed_must_not_be_more_or_other_than_what_was_asked(asking, changes, reason):
    asked = await ask(asking)
    assert await refused(decide(asking, asked.bundle_id, artefact(**changes))) is reason
    assert await state(asking, asked.bundle_id) == STATES.BUNDLE_STATE_REQUESTED
    assert await asking.stage.types() == ["NOTICE_REGISTERED"]


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        ({"max_uses": 2}, Reason.SCOPE_EXCEEDED),
        ({"days": 29}, Reason.RANGE_EXCEEDED),
        ({"platform_ids": ["chongqing"]}, Reason.SCOPE_EXCEEDED),
    ],
)
async def test_uses_end_and_platforms_are_bound_by_the_draft(asking, draft, reason):
    asked = await ask(asking, a_draft(**draft))
    assert await refused(decide(asking, asked.bundle_id, artefact())) is reason


async def test_a_lender_cannot_sign_the_answer_to_its_own_request(asking):
    key = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
    keys = {**a_snapshot().keys, "bank-1": a_key(key, kid="bank-1", participant="bank-cq")}
    asking.stage.registry.current = a_snapshot(keys=keys)
    asked = await ask(asking)
    payload = a_payload(data=items_of(), iss="bank-cq", capture={"assurance": "LENDER_ATTESTED"})
    letter = signed(payload, key=key, kid="bank-1")
    assert await refused(decide(asking, asked.bundle_id, letter)) is Reason.ARTEFACT_MALFORMED
    await asking.call("RegisterConsent", BANK, artefact=letter)


async def test_a_bundle_is_granted_whole_or_nothing_of_it_stands(asking):
    guarantee = {"purpose": {"code": "GUARANTOR_REVIEW"}}
    asked = await ask(asking, a_draft(), a_draft(purpose="GUARANTOR_REVIEW"))
    wrong = artefact(**guarantee, usage={"max_uses": 4})
    with pytest.raises(BashuError):
        await decide(asking, asked.bundle_id, artefact(), wrong)
    assert (await asking.stage.types()).count("CONSENT_REGISTERED") == 0
    granted = await decide(asking, asked.bundle_id, artefact(), artefact(**guarantee))
    assert sorted(consent.purpose for consent in granted.consents) == ["GUARANTOR_REVIEW", "PRE_LOAN_REVIEW"]


async def test_a_refusal_stands_and_no_grant_follows_it(asking):
    asked = await ask(asking)
    answer = await decide(asking, asked.bundle_id)
    assert (list(answer.consents), "已拒绝" in answer.consequences) == ([], True)
    assert await decide(asking, asked.bundle_id) == answer
    assert await refused(decide(asking, asked.bundle_id, artefact())) is Reason.IDEMPOTENCY_CONFLICT
    assert await state(asking, asked.bundle_id) == STATES.BUNDLE_STATE_DENIED
    assert (await asking.stage.types()).count("CONSENT_REGISTERED") == 0


async def test_the_same_grant_again_answers_alike_and_another_is_refused(asking):
    asked, raw = await ask(asking), artefact()
    first, second = await asyncio.gather(*(decide(asking, asked.bundle_id, raw) for _ in range(2)))
    assert first == second == await decide(asking, asked.bundle_id, raw)
    assert (await asking.stage.types()).count("CONSENT_REGISTERED") == 1
    assert await refused(decide(asking, asked.bundle_id, artefact())) is Reason.IDEMPOTENCY_CONFLICT
    assert await refused(decide(asking, asked.bundle_id)) is Reason.IDEMPOTENCY_CONFLICT


async def test_of_a_grant_and_a_refusal_at_once_one_stands(asking):
    asked = await ask(asking)
    async with asking.stage.owner.transaction() as tx:
        await store.lock_bundle(tx, uuid.UUID(asked.bundle_id))
        both = [asyncio.create_task(decide(asking, asked.bundle_id, *artefacts)) for artefacts in ([artefact()], [])]
        await asking.stage.waiting_for_a_lock(2)
    answers = await asyncio.gather(*both, return_exceptions=True)
    (lost,) = [answer for answer in answers if isinstance(answer, BashuError)]
    assert lost.reason is Reason.IDEMPOTENCY_CONFLICT
    registered = (await asking.stage.types()).count("CONSENT_REGISTERED")
    stands = {1: STATES.BUNDLE_STATE_GRANTED, 0: STATES.BUNDLE_STATE_DENIED}[registered]
    assert await state(asking, asked.bundle_id) == stands


async def test_what_is_not_decided_in_time_has_lapsed(asking):
    asked = await ask(asking)
    asking.stage.shift(hours=72)
    assert await state(asking, asked.bundle_id) == STATES.BUNDLE_STATE_LAPSED
    assert await refused(decide(asking, asked.bundle_id)) is Reason.CONSENT_EXPIRED
    assert await refused(decide(asking, asked.bundle_id, artefact())) is Reason.CONSENT_EXPIRED


async def test_another_subject_and_another_lender_find_nothing(asking):
    asked = await ask(asking)
    missing = Reason.NOT_FOUND_OR_NOT_YOURS
    assert await refused(decide(asking, asked.bundle_id, artefact(), who=STRANGER)) is missing
    for who in (STRANGER, OTHER_BANK):
        assert await refused(asking.call("GetConsentBundle", who, bundle_id=asked.bundle_id)) is missing
    assert await refused(asking.call("GetConsentBundle", SUBJECT, bundle_id=str(uuid.uuid4()))) is missing


async def test_the_same_bundle_asked_again_answers_alike_and_another_under_its_id_is_refused(asking):
    bundle_id = str(uuid.uuid4())
    first = await ask(asking, bundle_id=bundle_id)
    assert await ask(asking, bundle_id=bundle_id) == first
    assert await refused(ask(asking, a_draft(days=31), bundle_id=bundle_id)) is Reason.IDEMPOTENCY_CONFLICT
    other = caller("bank-sc", Role.LENDER, operator="op-1", kind=InstitutionKind.BANK)
    assert await refused(ask(asking, bundle_id=bundle_id, who=other)) is Reason.IDEMPOTENCY_CONFLICT


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        ({"purpose": "NO_SUCH"}, Reason.PURPOSE_MISSING),
        ({"days": 91}, Reason.POLICY_LIMIT),
        ({"max_uses": 4}, Reason.POLICY_LIMIT),
        ({"required_items": [], "optional_items": []}, Reason.ITEMS_REQUIRED),
        ({"required_items": ["no_such_item"]}, Reason.UNKNOWN_DATA_ITEM),
        ({"optional_items": REQUIRED}, Reason.MALFORMED),
        ({"platform_ids": ["elsewhere"]}, Reason.MALFORMED),
        ({"lookback": None}, Reason.MALFORMED),
    ],
)
async def test_a_lender_is_told_at_once_what_it_may_not_ask_for(asking, draft, reason):
    assert await refused(ask(asking, a_draft(**draft))) is reason


async def test_a_notice_must_be_registered_before_anyone_is_asked_to_read_it(asking):
    assert await refused(ask(asking, notice_sha256=bytes(32))) is Reason.NOT_FOUND_OR_NOT_YOURS


async def listed(asking, who=BANK, **fields):
    answer = await asking.call("ListConsentBundles", who, **fields)
    return [(row.bundle_id, STATES.Name(row.state).removeprefix("BUNDLE_STATE_")) for row in answer.bundles]


async def test_a_lender_lists_what_it_asked_for_the_newest_first_with_the_state_of_now(asking):
    ids = [(await ask(asking)).bundle_id for _ in range(3)]
    await asking.call("DecideConsent", SUBJECT, bundle_id=ids[0], grant=True, artefacts=[artefact()])
    await asking.call("DecideConsent", SUBJECT, bundle_id=ids[1], grant=False)
    asking.stage.shift(hours=73)
    newest = (await ask(asking)).bundle_id
    everything = [(newest, "REQUESTED"), (ids[2], "LAPSED"), (ids[1], "DENIED"), (ids[0], "GRANTED")]
    assert await listed(asking) == everything
    for name in ("REQUESTED", "LAPSED", "DENIED", "GRANTED"):
        states = [STATES.Value(f"BUNDLE_STATE_{name}")]
        assert await listed(asking, states=states) == [row for row in everything if row[1] == name]
    granted = (await asking.call("ListConsentBundles", BANK)).bundles[-1]
    assert (list(granted.purposes), len(granted.consent_ids)) == (["PRE_LOAN_REVIEW"], 1)
    assert granted.HasField("decided_at")


async def test_a_list_of_bundles_goes_on_page_by_page_and_shows_no_other_lenders(asking):
    ids = [(await ask(asking)).bundle_id for _ in range(3)]
    found, page = [], common_pb2.PageRequest(page_size=2)
    for _ in range(2):
        answer = await asking.call("ListConsentBundles", BANK, page=page)
        found.append([row.bundle_id for row in answer.bundles])
        page.page_token = answer.page.next_page_token
    assert found == [ids[:0:-1], ids[:1]]
    assert page.page_token == ""
    assert await listed(asking, OTHER_BANK) == []
    assert await listed(asking, OTHER_BANK, page=common_pb2.PageRequest(page_token=ids[0])) == []
    assert await refused(listed(asking, SUBJECT)) is Reason.ROLE_NOT_ALLOWED
