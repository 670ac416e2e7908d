"""Letters that lenders signed themselves: the paper behind them, asked for, due, late, received."""

from __future__ import annotations

import asyncio
import hashlib
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bashu.v1 import common_pb2, consent_pb2
from core.errors import Reason
from database import StatementFailed
from gateway.asking.store import ClockHold
from gateway.entries import By
from gateway.identity import store as identity_store
from gateway.officers import Holds, hold_key
from gateway.services.compliance import hold_message
from gateway.vault.store import details
from tests.admission_stage import a_key, a_payload, a_snapshot, signed
from tests.asking_stage import OTHER_BANK, open_asking
from tests.rights_stage import AUDITOR, BANK, ONE, refused

BANK_KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(2, 34)))
PAPER = b"%PDF-1.7 a sealed letter \xff\xd8"
PAPER_HASH = hashlib.sha256(PAPER).hexdigest()
STATES = consent_pb2.ConsentState


@pytest.fixture
async def asking(fresh_database, fresh_keys, tmp_path):
    async with open_asking(fresh_database, fresh_keys, tmp_path) as asking:
        snapshot = a_snapshot()
        keys = {**snapshot.keys, "bank-1": a_key(BANK_KEY, kid="bank-1", participant="bank-cq")}
        asking.stage.registry.current = a_snapshot(keys=keys)
        async with asking.stage.db.transaction() as tx:
            await identity_store.add_institution(tx, snapshot.institutions["bank-cq"])
            await identity_store.add_participant(tx, snapshot.participants["bank-cq"])
        yield asking


async def letter(asking, **changes):
    """Register a letter that the bank signed with its own key; return its consent as answered."""
    capture = {"form": "PAPER_SEAL", "assurance": "LENDER_ATTESTED", "evidence_sha256": PAPER_HASH}
    raw = signed(a_payload(iss="bank-cq", capture=capture, **changes), key=BANK_KEY, kid="bank-1")
    return (await asking.call("RegisterConsent", BANK, artefact=raw)).consent


async def late(asking):
    """Register a letter whose paper was asked for and did not come in time."""
    consent = await letter(asking)
    await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    asking.stage.shift(days=8)
    await sweep(asking)
    return consent


async def sweep(asking):
    return await asking.servicer._asking.evidence.sweep()


async def state(asking, consent):
    return (await asking.call("GetConsent", BANK, consent_id=consent.consent_id)).consent.state


async def history(asking, consent):
    read = await asking.call("GetConsent", BANK, consent_id=consent.consent_id, with_history=True)
    return [(event.reason, event.actor) for event in read.events]


async def submit(asking, consent, document=PAPER, who=BANK):
    return await asking.call("SubmitEvidence", who, consent_id=consent.consent_id, document=document)


async def test_paper_in_time_is_sealed_beside_its_event_and_nothing_is_held(asking):
    consent = await letter(asking)
    asked = await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    assert await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id) == asked
    first = await submit(asking, consent)
    assert await submit(asking, consent) == first
    assert await history(asking, consent) == [
        ("REGISTERED", "AUTHORITY"),
        ("EVIDENCE_REQUESTED", "COMPLIANCE"),
        ("EVIDENCE_RECEIVED", "LENDER"),
    ]
    read = await asking.call("GetConsent", BANK, consent_id=consent.consent_id, with_history=True)
    (sealed,) = await details(asking.stage.owner, read.events[-1].entry_id)
    assert PAPER not in sealed.content
    assert await asking.vault.open(sealed) == PAPER
    (entry,) = [e for e in await asking.stage.entries_written() if e["entry_id"] == read.events[-1].entry_id]
    assert entry["detail_sha256"] == sealed.sha256
    asking.stage.shift(days=9)
    assert await sweep(asking) == 0
    assert await asking.stage.check_log() == []


async def test_late_paper_holds_every_letter_of_the_lender_and_withholds_what_is_under_way(asking):
    other, consent = await letter(asking), await letter(asking)
    signed_by_authority = await asking.stage.grant()
    await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    asking.stage.shift(days=8)
    facts = (await asking.stage.consents.show(_uuid(other), institution="bank-cq")).facts
    admitted = await asking.stage.ask(facts)
    assert await sweep(asking) == 2
    assert await refused(asking.stage.release(admitted)) is Reason.CONSENT_HELD
    assert await refused(asking.stage.ask(facts)) is Reason.CONSENT_HELD
    assert [await state(asking, each) for each in (other, consent)] == [STATES.CONSENT_STATE_HELD] * 2
    assert (await asking.stage.facts(signed_by_authority)).held_count == 0
    assert await sweep(asking) == 0
    assert (await history(asking, other))[-1] == ("EVIDENCE_LATE", "SYSTEM")
    assert await asking.stage.check_log() == []


async def test_two_workers_that_look_at_once_place_one_hold(asking):
    consent = await letter(asking)
    await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    asking.stage.shift(days=8)
    assert sum(await asyncio.gather(*(sweep(asking) for _ in range(3)))) == 1
    assert (await asking.stage.consents.show(_uuid(consent), institution="bank-cq")).facts.held_count == 1
    await submit(asking, consent)
    assert sum(await asyncio.gather(*(sweep(asking) for _ in range(3)))) == 1
    assert await state(asking, consent) == STATES.CONSENT_STATE_ACTIVE


async def test_a_letter_registered_while_paper_is_late_is_held_when_its_registration_answers(asking):
    await late(asking)
    assert (await letter(asking)).state == STATES.CONSENT_STATE_HELD


async def test_the_paper_that_came_late_lifts_the_clocks_holds_and_no_officers_hold(asking):
    consent, other = await late(asking), await letter(asking)
    await asking.stage.consents.hold(_uuid(other), reason="COMPLIANCE_HOLD")
    assert await refused(submit(asking, consent, b"another paper")) is Reason.MALFORMED
    assert await sweep(asking) == 0
    await submit(asking, consent)
    assert await sweep(asking) == 2
    assert await state(asking, consent) == STATES.CONSENT_STATE_ACTIVE
    assert await state(asking, other) == STATES.CONSENT_STATE_HELD
    assert (await history(asking, consent))[-1] == ("EVIDENCE_NO_LONGER_LATE", "SYSTEM")
    assert await sweep(asking) == 0
    assert await asking.stage.check_log() == []


async def test_one_late_paper_of_two_keeps_the_holds(asking):
    first, second = await letter(asking), await letter(asking)
    for consent in (first, second):
        await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    asking.stage.shift(days=8)
    await sweep(asking)
    await submit(asking, first)
    assert await sweep(asking) == 0
    assert await state(asking, first) == STATES.CONSENT_STATE_HELD


async def test_the_clock_runs_to_the_end_of_the_fifth_working_day(asking):
    consent = await letter(asking)
    asked = await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    left = asked.due_at.ToDatetime(tzinfo=UTC) - datetime.now(UTC)
    asking.stage.shift(seconds=left.total_seconds() - 60)
    assert await sweep(asking) == 0
    asking.stage.shift(seconds=left.total_seconds() + 1)
    assert await sweep(asking) == 1
    assert timedelta(days=5) < left <= timedelta(days=8)


async def test_only_letters_have_paper_and_only_their_lender_brings_it_once_asked(asking):
    granted, consent = await asking.stage.grant(), await letter(asking)
    assert await refused(asking.call("RequestEvidence", ONE, consent_id=str(granted.consent_id))) is Reason.MALFORMED
    assert await refused(submit(asking, consent)) is Reason.NOT_FOUND_OR_NOT_YOURS
    await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    assert await refused(submit(asking, consent, who=OTHER_BANK)) is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS
    assert (
        await refused(asking.call("RequestEvidence", AUDITOR, consent_id=consent.consent_id)) is Reason.ROLE_NOT_ALLOWED
    )


async def test_one_letter_that_cannot_be_held_or_lifted_keeps_no_other_waiting(asking):
    letters = [await letter(asking) for _ in range(3)]
    await asking.call("RequestEvidence", ONE, consent_id=letters[0].consent_id)
    asking.stage.shift(days=8)
    for settle, expected in ((None, STATES.CONSENT_STATE_HELD), (submit, STATES.CONSENT_STATE_ACTIVE)):
        if settle is not None:
            await settle(asking, letters[0])
        async with asking.stage.owner.transaction() as tx:
            await tx.fetch("SELECT 1 FROM consent WHERE consent_id = $1 FOR UPDATE", _uuid(letters[1]))
            assert await sweep(asking) == 2
        assert [await state(asking, letters[n]) for n in (0, 2)] == [expected] * 2
        assert await state(asking, letters[1]) != expected
        assert await sweep(asking) == 1
        assert await state(asking, letters[1]) == expected


async def test_the_clocks_holds_are_listed_beside_the_officers_and_no_officer_lifts_one(asking):
    stage = asking.stage
    holds = Holds(
        stage.db, subjects=stage.holds, vault=asking.vault, pseudonyms=stage.pseudonyms, entries=stage.entries
    )
    consent, other = await late(asking), await letter(asking)
    by = By(participant="officer-1", institution="gw", operator="0001")
    placed, _ = await holds.hold_consent(_uuid(other), reason="可疑", by=by)
    pages, after = [], UUID(int=0)
    while page := await holds.standing(after=after, limit=1):
        pages += page
        after = hold_key(page[0])
    listed = {str(hold_key(each)): type(each).__name__ for each in pages}
    assert listed == {
        consent.consent_id: "ClockHold", other.consent_id: "ClockHold", str(placed.hold_id): "HoldRecord",
    }  # fmt: skip
    clocks = next(each for each in pages if isinstance(each, ClockHold) and each.consent_id == _uuid(consent))
    message = hold_message(clocks)
    assert (message.kind, message.consent_id, message.subject_display) == ("EVIDENCE_LATE", consent.consent_id, "示例")
    assert message.placed_by.at.seconds > 0
    assert await refused(holds.lift(_uuid(consent), reason="x", by=by)) is Reason.NOT_FOUND_OR_NOT_YOURS
    await submit(asking, consent)
    await sweep(asking)
    assert [hold_key(each) for each in await holds.standing(after=UUID(int=0), limit=9)] == [placed.hold_id]


async def papers(asking, who, **fields):
    answer = await asking.call("ListEvidenceRequests", who, **fields)
    return [(row.consent_id, row.late, row.HasField("received_at")) for row in answer.requests]


async def test_a_lender_lists_the_papers_it_owes_and_a_reviewer_all(asking):
    first, second = await letter(asking), await letter(asking)
    assert await papers(asking, BANK) == []
    await asking.call("RequestEvidence", ONE, consent_id=first.consent_id)
    asking.stage.shift(days=2)
    await asking.call("RequestEvidence", ONE, consent_id=second.consent_id)
    owed = [(first.consent_id, False, False), (second.consent_id, False, False)]
    assert await papers(asking, BANK) == await papers(asking, AUDITOR) == owed
    assert await papers(asking, OTHER_BANK) == []
    assert (await asking.stage.types())[-1] == "REVIEW_VIEW"
    page = common_pb2.PageRequest(page_size=1)
    answer = await asking.call("ListEvidenceRequests", BANK, page=page)
    page.page_token = answer.page.next_page_token
    assert await papers(asking, BANK, page=page) == owed[1:]
    asking.stage.shift(days=8)
    await submit(asking, second)
    assert await papers(asking, BANK) == [(first.consent_id, True, False)]
    assert await papers(asking, BANK, with_received=True) == [
        (first.consent_id, True, False), (second.consent_id, False, True),
    ]  # fmt: skip


async def test_what_came_is_never_taken_back(asking):
    consent = await letter(asking)
    await asking.call("RequestEvidence", ONE, consent_id=consent.consent_id)
    await submit(asking, consent)
    with pytest.raises(StatementFailed):
        await asking.stage.owner.execute("UPDATE evidence_request SET received_at = NULL, received_entry_id = NULL")


def _uuid(consent):
    return UUID(consent.consent_id)
