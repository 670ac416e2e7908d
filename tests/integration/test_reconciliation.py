"""A platform's book against the ledger over real sockets and PostgreSQL: exactly what differs is found."""

from __future__ import annotations

import asyncio
import hashlib
import uuid
from dataclasses import replace
from datetime import datetime, time, timedelta

import pytest

from adapters.kit import paged
from adapters.kit.protocol import ShowsBooks
from core.clock import SHANGHAI, SystemClock
from core.errors import BashuError
from core.ids import uuid7
from gateway.entries import By
from gateway.platform.reconciliation import Reconciliation
from ledger.model import EntryType, build_entry
from ledger.note import open_note, parse_vkey
from ledger.store import append
from sandbox.books import Enquiry
from sandbox.facts import PlatformId
from sandbox.faults import Fault, FaultKind
from tests.admission_stage import FIRM, ORIGIN, OTHER_FIRM, PERSON, SIGNER, open_stage
from tests.platform_stage import a_permit
from tests.sandbox_stage import open_platforms

BY = By(participant="platform-cq", institution="platform-cq", operator="0001")
YESTERDAY = datetime.now(SHANGHAI).date() - timedelta(days=1)
NOON = datetime.combine(YESTERDAY, time(12), SHANGHAI)
LINES = 10_000
KINDS = {"chongqing": ("JBXX", "NSXY"), "sichuan": ("ent-ba/basicinfo", "taxinfo/taxcreditlevels")}
PURPOSE = {"chongqing": "01", "sichuan": "LOAN_APPROVAL"}
STRANGER = {"chongqing": "E0", "sichuan": "bank-cq/0192f3c0"}


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


@pytest.fixture
async def platforms(tmp_path):
    (tmp_path / "sandbox").mkdir()
    async with open_platforms(tmp_path / "sandbox") as opened:
        yield opened


@pytest.fixture
def reconciliation(stage, platforms):
    return Reconciliation(
        stage.db,
        adapters=platforms.adapters,
        entries=stage.entries,
        pseudonyms=stage.pseudonyms,
        signer=SIGNER,
        clock=SystemClock(),
    )


async def reconcile(reconciliation, platform, day=YESTERDAY, **more):
    deadline = asyncio.get_running_loop().time() + 120
    return await reconciliation.of_day(platform, day, by=BY, deadline=deadline, **more)


def ledger_pair(stage, request, *, platform, at=NOON, attempt=1, status="OK", subject=FIRM):
    """One enquiry's QUERY_INTENT and RELEASE, as admission and release write them."""
    ms = int(at.timestamp() * 1000)
    intent_id = uuid7(ms)
    named = {"request": str(request), "attempt": attempt}
    intent = build_entry(
        EntryType.QUERY_INTENT,
        origin=ORIGIN,
        ts=at,
        entry_id=intent_id,
        fields={
            "requester": {"institution": "bank-cq"},
            "intent": {**named, "uses": 0},
            "scope": {
                "purpose": "PRE_LOAN_REVIEW",
                "items": ["enterprise_registration", "tax_credit_grade"],
                "platforms": [platform],
            },
            "subject_commitment": stage.pseudonyms.in_entry(stage.pseudonyms.subject(subject), intent_id),
            "request_digest": "00" * 32,
        },
    )
    release = build_entry(
        EntryType.RELEASE,
        origin=ORIGIN,
        ts=at + timedelta(seconds=1),
        entry_id=uuid7(ms + 1000),
        fields={
            "requester": {"institution": "bank-cq"},
            "intent": named,
            "platforms": [{"id": platform, "status": status, "records": 1}],
            "request_digest": "00" * 32,
            "report_digest": "00" * 32,
        },
    )
    return intent, release


def mark(adapter, platform, request, intent, at=NOON, **changes):
    """The line that the platform writes about it."""
    key = adapter.enquiry_key("bank-cq", request) if platform == "chongqing" else f"bank-cq/{request}"
    line = Enquiry(
        key=key,
        institution="bank-cq",
        subject=FIRM.identifier,
        purpose=PURPOSE[platform],
        kinds=KINDS[platform],
        at=at,
        evidence=intent.leaf_hash.hex(),
    )
    return replace(line, **changes)


async def written(stage, entries):
    for start in range(0, len(entries), 2_000):
        async with stage.db.transaction() as tx:
            await append(tx, entries[start : start + 2_000])


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_exactly_the_ten_lines_dropped_invented_or_changed_among_ten_thousand_are_found(
    stage, platforms, reconciliation, platform
):
    adapter, book = platforms.adapters[platform], getattr(platforms.books, platform)
    requests = [uuid.uuid4() for _ in range(LINES)]
    pairs = [ledger_pair(stage, request, platform=platform) for request in requests]
    await written(stage, [entry for pair in pairs for entry in pair])
    dropped = requests[17:9_000:3_000]
    changes = dict(
        zip(
            requests[100:104],
            (
                {"subject": OTHER_FIRM.identifier},
                {"purpose": {"chongqing": "02", "sichuan": "POST_LOAN"}[platform]},
                {"kinds": {"chongqing": ("JBXX", "KPXX"), "sichuan": ("taxinfo/saleinvoice",)}[platform]},
                {"evidence": "ab" * 32},
            ),
            strict=True,
        )
    )
    for request, (intent, _) in zip(requests, pairs, strict=True):
        if request not in dropped:
            book.mark(mark(adapter, platform, request, intent, **changes.get(request, {})))
    for number in range(3):
        key = f"{STRANGER[platform]}{number}"
        book.mark(mark(adapter, platform, requests[0], pairs[0][0], key=key))
    pages = []
    found = await reconcile(reconciliation, platform, on_page=lambda page, of: pages.append((page, of)))
    compared = found.compared
    assert compared.both == LINES - 3 - 4
    assert compared.only_here == tuple(sorted(f"bank-cq/{request}" for request in dropped))
    assert [line.rpartition(STRANGER[platform][-2:])[2] for line in compared.only_there] == ["0", "1", "2"]
    assert dict(line.split(" ") for line in compared.different) == {
        f"bank-cq/{request}": what
        for request, what in zip(changes, ("SUBJECT", "PURPOSE", "ITEMS", "EVIDENCE"), strict=True)
    }
    rows = {"chongqing": 50, "sichuan": 100}[platform]
    assert pages[-1] == (LINES // rows, LINES // rows)
    entry = (await stage.entries_written())[-1]
    assert (entry["type"], entry["object"], entry["count"]) == ("RECONCILIATION", f"{platform}/{YESTERDAY}", 10)
    assert entry["status"] == {"to": "DIFFERS", "actor": "PLATFORM_OPERATOR"}
    signed = open_note(found.signature.decode(), parse_vkey(SIGNER.vkey))
    assert signed.splitlines()[1:4] == [platform, YESTERDAY.isoformat(), "9993 3 3 4"]
    assert signed.splitlines()[4] == entry["detail_sha256"]


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_a_real_enquiry_agrees_with_its_intent(stage, platforms, reconciliation, platform):
    request, now = uuid.uuid4(), datetime.now(SHANGHAI)
    pair = ledger_pair(stage, request, platform=platform, at=now)
    await written(stage, pair)
    items = frozenset({"enterprise_registration", "tax_credit_grade"})
    permit = a_permit(platform, items, request_id=request, subject=FIRM, intent_leaf_hash=pair[0].leaf_hash)
    permit = replace(permit, subject=replace(FIRM, name=""))
    answers = await platforms.adapters[platform].ask(permit, items, deadline=asyncio.get_running_loop().time() + 10)
    assert len(answers) == 2
    (line,) = getattr(platforms.books, platform).enquiries
    found = await reconcile(reconciliation, platform, line.at.astimezone(SHANGHAI).date())
    assert (found.compared.both, found.compared.unequal) == (1, 0)


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_a_person_s_line_agrees_with_its_intent_and_a_firm_s_does_not(stage, platforms, reconciliation, platform):
    adapter, book = platforms.adapters[platform], getattr(platforms.books, platform)
    for wrong, subject in ([], PERSON), (["SUBJECT"], FIRM):
        request = uuid.uuid4()
        pair = ledger_pair(stage, request, platform=platform, subject=PERSON)
        await written(stage, pair)
        book.mark(mark(adapter, platform, request, pair[0], subject=subject.identifier))
        found = (await reconcile(reconciliation, platform)).compared
        assert (found.both, [line.split(" ")[1] for line in found.different]) == (1, wrong)


async def test_an_answer_that_was_never_given_need_not_stand_in_the_book(stage, reconciliation):
    for status in ("TIMEOUT", "UNAVAILABLE", "NO_DATA", "PENDING"):
        await written(stage, ledger_pair(stage, uuid.uuid4(), platform="chongqing", status=status))
    found = (await reconcile(reconciliation, "chongqing")).compared
    assert (found.both, found.unequal) == (0, 0)


async def test_a_line_on_the_other_side_of_midnight_or_of_an_earlier_attempt_is_not_missing(
    stage, platforms, reconciliation
):
    adapter, book = platforms.adapters["chongqing"], platforms.books.chongqing
    begin = datetime.combine(YESTERDAY, time.min, SHANGHAI)
    late, early, repeated = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    for request, at, attempt, stands in (
        (late, begin + timedelta(hours=23, minutes=59), 1, begin + timedelta(hours=24, seconds=20)),
        (early, begin + timedelta(seconds=20), 1, begin - timedelta(seconds=20)),
        (repeated, begin + timedelta(hours=9), 2, begin - timedelta(hours=9)),
    ):
        pair = ledger_pair(stage, request, platform="chongqing", at=at, attempt=attempt)
        await written(stage, pair)
        book.mark(mark(adapter, "chongqing", request, pair[0], at=stands))
    missing = uuid.uuid4()
    await written(stage, ledger_pair(stage, missing, platform="chongqing", at=begin + timedelta(seconds=5)))
    found = (await reconcile(reconciliation, "chongqing")).compared
    assert (found.only_here, found.only_there, found.different) == ((f"bank-cq/{missing}",), (), ())


async def test_a_second_mark_of_one_request_is_a_difference(stage, platforms, reconciliation):
    request = uuid.uuid4()
    pair = ledger_pair(stage, request, platform="sichuan")
    await written(stage, pair)
    for under in ("SCA20261123000001", "SCA20261123000002"):
        line = mark(platforms.adapters["sichuan"], "sichuan", request, pair[0], key=f"{under}/{request}")
        platforms.books.sichuan.mark(line)
    found = (await reconcile(reconciliation, "sichuan")).compared
    assert (found.both, found.different) == (1, (f"bank-cq/{request} DOUBLED",))


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
@pytest.mark.parametrize("kind", [FaultKind.STALL, FaultKind.WRONG_ENCODING, FaultKind.CODE_9999])
async def test_a_page_that_fails_is_asked_for_again(  # noqa: PLR0917 - four fixtures
    stage, platforms, reconciliation, platform, kind, monkeypatch
):
    monkeypatch.setattr(paged, "PAGE_S", 0.5)
    request = uuid.uuid4()
    pair = ledger_pair(stage, request, platform=platform)
    await written(stage, pair)
    getattr(platforms.books, platform).mark(mark(platforms.adapters[platform], platform, request, pair[0]))
    call = {"chongqing": "XY9001", "sichuan": "reconciliation"}[platform]
    platforms.faults.force(Fault(platform=PlatformId(platform), kind=kind, call=call, count=1))
    found = (await reconcile(reconciliation, platform)).compared
    assert (found.both, found.unequal) == (1, 0)
    assert platforms.faults.in_force == []


async def test_a_day_to_come_and_a_platform_that_is_away_are_refused_and_leave_no_entry(
    stage, platforms, reconciliation
):
    with pytest.raises(BashuError, match="today or earlier"):
        await reconcile(reconciliation, "chongqing", YESTERDAY + timedelta(days=2))
    assert isinstance(platforms.adapters["chongqing"], ShowsBooks)
    with pytest.raises(BashuError) as refused:
        await reconciliation.of_day("chongqing", YESTERDAY, by=BY, deadline=0.0)
    assert refused.value.reason == "PLATFORMS_UNAVAILABLE"
    assert await stage.types() == []


def test_the_serial_of_the_page_is_the_one_the_interface_page_names():
    from adapters.chongqing.serials import book_serial

    lines = "chongqing\nXY9001\n20261123\n1"
    assert book_serial(day="20261123", page=1) == "D" + hashlib.sha256(lines.encode()).hexdigest().upper()[:29]
