"""Pages and exports of a real log: who reads what, what is recorded first, and that an outsider can check each export."""

from __future__ import annotations

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bashu.verify import Selection, VerifierKey, verify_export
from core.errors import BashuError, Reason
from database import open_database
from gateway import ledger_reads
from gateway.entries import Entries
from gateway.identity.model import Caller, InstitutionKind, Role
from gateway.ledger_reads import LedgerReads, Wanted
from gateway.pseudonyms import Pseudonyms
from gateway.reviews import Reviews
from ledger import store
from ledger.highwater import HighWater
from ledger.model import EntryType, build_entry
from ledger.sealer import Sealer
from ledger.signer import FileSigner
from tests.admission_stage import FIRM

ORIGIN = "log.example/bashu"
SIGNER = FileSigner(ORIGIN, Ed25519PrivateKey.from_private_bytes(bytes(range(32))))
LAST_OF_MARCH = datetime(2026, 3, 31, 15, 59, 59, tzinfo=UTC)
CONSENTS = [uuid.UUID(int=n) for n in range(1, 4)]


def denied(n, ts):
    fields = {
        "requester": {"institution": f"bank-{n % 2}"},
        "decision": {"outcome": "DENIED", "reason": "SCOPE_EXCEEDED"},
        "consent": {"id": str(CONSENTS[n % 3])},
    }
    return build_entry(EntryType.QUERY_DENIED, origin=ORIGIN, ts=ts, fields=fields)


def caller(role, institution):
    return Caller(
        participant_id=f"{institution}-1",
        role=role,
        institution=institution,
        institution_kind=InstitutionKind.NONE,
        kid="k",
        operator="0001" if role is not Role.AUDITOR else "",
    )


LENDER = caller(Role.LENDER, "bank-1")
OFFICER = caller(Role.COMPLIANCE, "gateway")
AUDITOR = caller(Role.AUDITOR, "auditors")


@pytest.fixture
async def gateway(fresh_database):
    db = await open_database(fresh_database.gateway_dsn)
    yield db
    await db.close()


@pytest.fixture
async def sealer(fresh_database, tmp_path):
    db = await open_database(fresh_database.sealer_dsn, max_size=2)
    yield Sealer(db=db, signer=SIGNER, high_water=HighWater(path=tmp_path / "highwater"))
    await db.close()


@pytest.fixture
async def log(gateway, sealer):
    """1,200 sealed entries, the second half of them of April by Beijing time."""
    times = [LAST_OF_MARCH + timedelta(seconds=n // 600) for n in range(1200)]
    await store.append(gateway, [denied(n, ts) for n, ts in enumerate(times)])
    await sealer.run_round()


@pytest.fixture
def reads(gateway):
    pseudonyms = Pseudonyms(b"k" * 32, {}, operator_key=b"o" * 32)
    entries = Entries(origin=ORIGIN, pseudonyms=pseudonyms)
    return LedgerReads(gateway, reviews=Reviews(gateway, entries=entries), pseudonyms=pseudonyms)


async def taken(reads, who, wanted=None, *, from_index=0, tree_size=None):
    return [line async for line in reads.export(who, wanted or Wanted(), from_index=from_index, tree_size=tree_size)]


async def waiting(gateway):
    rows = await gateway.fetch("SELECT e.body FROM ledger_pending p JOIN ledger_entry e USING (seq) ORDER BY seq")
    return [json.loads(row["body"]) for row in rows]


def verdict(lines, **selection):
    return verify_export(lambda: lines, VerifierKey.parse(SIGNER.vkey), selection=Selection(**selection))


@pytest.mark.usefixtures("log")
async def test_a_whole_export_holds_for_the_independent_verifier(reads):
    found = verdict(await taken(reads, AUDITOR))
    assert (found.is_whole, found.leaves, found.findings) == (True, 1200, ())


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize(
    ("selection", "rows"),
    [
        ({"institution": "bank-1"}, 600),
        ({"consent_id": CONSENTS[2]}, 400),
        ({"month": "2026-03"}, 600),
        ({"month": "2026-04", "institution": "bank-0"}, 300),
        ({"month": "2026-05"}, 0),
    ],
)
async def test_a_filtered_export_keeps_each_leafs_proof_to_one_checkpoint(reads, selection, rows):
    lines = await taken(reads, OFFICER, Wanted(**selection))
    found = verdict(lines, **{name: str(value) for name, value in selection.items()})
    assert (found.holds, found.leaves, found.checkpoint.size) == (True, rows, 1200)


@pytest.mark.usefixtures("log")
async def test_a_lender_takes_its_own_entries_alone_and_leaves_no_entry(reads, gateway):
    found = verdict(await taken(reads, LENDER), institution="bank-1")
    assert (found.holds, found.leaves) == (True, 600)
    own = await reads.page(LENDER, Wanted(consent_id=CONSENTS[0]), from_index=0, size=500)
    assert len(own) == 200
    with pytest.raises(BashuError) as refused:
        await taken(reads, LENDER, Wanted(institution="bank-0"))
    assert refused.value.reason is Reason.NOT_FOUND_OR_NOT_YOURS
    assert await waiting(gateway) == []


@pytest.mark.usefixtures("log")
async def test_a_reviewers_export_is_durable_before_its_first_row(reads, gateway):
    lines = reads.export(OFFICER, Wanted(institution="bank-1", month="2026-03"), from_index=7, tree_size=None)
    await anext(lines)
    (entry,) = await waiting(gateway)
    assert (entry["type"], entry["count"], entry["object"]) == ("EXPORT", 297, "ExportEntries")
    expected = {"from_index": 7, "to_index": 1200, "institution": "bank-1", "month": "2026-03"}
    assert entry["reviewed"] == expected
    assert entry["requester"]["institution"] == "gateway"
    await lines.aclose()


@pytest.mark.usefixtures("log")
async def test_a_reviewers_page_is_recorded_and_pages_join(reads, gateway):
    first = await reads.page(AUDITOR, Wanted(types=("QUERY_DENIED",)), from_index=0, size=500)
    second = await reads.page(AUDITOR, Wanted(), from_index=first[-1].leaf_index + 1, size=500)
    assert [entry.leaf_index for entry in (*first, *second)] == list(range(1000))
    recorded = await waiting(gateway)
    assert [(entry["type"], entry["count"]) for entry in recorded] == [("REVIEW_VIEW", 500)] * 2
    assert recorded[0]["reviewed"] == {"from_index": 0, "to_index": 1200, "types": ["QUERY_DENIED"]}


@pytest.mark.usefixtures("log")
async def test_words_of_the_caller_that_no_entry_has_do_not_enter_the_log(reads, gateway):
    assert len(await taken(reads, OFFICER, Wanted(institution="王小明"))) == 1
    (entry,) = await waiting(gateway)
    assert "institution" not in entry["reviewed"]
    with pytest.raises(BashuError) as refused:
        await taken(reads, OFFICER, Wanted(institution="a\x00b"))
    assert refused.value.reason is Reason.MALFORMED


@pytest.mark.usefixtures("log")
async def test_more_rows_than_one_officer_may_take_are_refused_and_nothing_is_recorded(reads, gateway, monkeypatch):
    monkeypatch.setattr(ledger_reads, "MOST_ROWS_ALONE", 600)
    with pytest.raises(BashuError) as refused:
        await taken(reads, AUDITOR)
    assert refused.value.reason is Reason.SECOND_OFFICER_NEEDED
    assert await waiting(gateway) == []
    assert len(await taken(reads, AUDITOR, Wanted(institution="bank-0"))) == 601


@pytest.mark.usefixtures("log")
async def test_an_export_is_resumed_under_its_own_checkpoint_to_the_byte(reads, gateway, sealer):
    whole = await taken(reads, LENDER)
    await store.append(gateway, [denied(n, LAST_OF_MARCH) for n in range(30)])
    await sealer.run_round()
    last = json.loads(whole[99])["leaf_index"]
    assert await taken(reads, LENDER, from_index=last + 1, tree_size=1200) == whole[100:]
    with pytest.raises(BashuError) as refused:
        await taken(reads, LENDER, tree_size=1199)
    assert refused.value.reason is Reason.NOT_FOUND_OR_NOT_YOURS


async def test_before_the_first_checkpoint_there_is_nothing_to_prove_with(reads):
    with pytest.raises(BashuError) as refused:
        await taken(reads, AUDITOR)
    assert refused.value.reason is Reason.EVIDENCE_STALE


@pytest.mark.usefixtures("log")
@pytest.mark.parametrize("month", ["2026-13", "0000-01", "9999-12"])
async def test_a_month_that_does_not_exist_is_malformed(reads, month):
    with pytest.raises(BashuError) as refused:
        await taken(reads, AUDITOR, Wanted(month=month))
    assert refused.value.reason is Reason.MALFORMED


async def test_an_export_of_one_consent_has_the_holds_and_closings_that_only_touch_it(reads, gateway, sealer):
    touched, other = CONSENTS[0], CONSENTS[1]
    held = {"affects": {"consents": [str(touched)], "intents": []}}
    elsewhere = {"affects": {"consents": [str(other)], "intents": []}}
    closed = {"requester": {"institution": "bank-1"}, "status": {"from": "OPEN", "to": "SETTLED"}, **held}
    kinds = [
        (EntryType.HOLD_PLACED, held),
        (EntryType.HOLD_PLACED, elsewhere),
        (EntryType.LOAN_EVENT, closed),
    ]
    entries = [build_entry(kind, origin=ORIGIN, ts=LAST_OF_MARCH, fields=fields) for kind, fields in kinds]
    await store.append(gateway, [denied(0, LAST_OF_MARCH), *entries, denied(1, LAST_OF_MARCH)])
    await sealer.run_round()
    lines = await taken(reads, OFFICER, Wanted(consent_id=touched))
    assert [json.loads(line)["leaf_index"] for line in lines[:-1]] == [0, 1, 3]
    found = verify_export(lambda: lines, VerifierKey.parse(SIGNER.vkey))
    assert (found.holds, found.selection.consent_id) == (True, str(touched))
    assert not verdict(lines, consent_id=str(other)).holds
    own = await taken(reads, LENDER, Wanted(consent_id=touched))
    assert [json.loads(line)["leaf_index"] for line in own[:-1]] == [3]


@pytest.mark.usefixtures("log")
async def test_a_day_by_beijing_time_is_an_export_of_its_own(reads):
    for day, rows in (("2026-03-31", 600), ("2026-04-01", 600), ("2026-04-02", 0)):
        found = verdict(await taken(reads, OFFICER, Wanted(day=day)), day=day)
        assert (found.holds, found.leaves) == (True, rows)
    for odd in ({"day": "2026-02-30"}, {"day": "2026-03-31", "month": "2026-03"}):
        with pytest.raises(BashuError) as refused:
            await taken(reads, OFFICER, Wanted(**odd))
        assert refused.value.reason is Reason.MALFORMED


@pytest.mark.usefixtures("log")
async def test_more_rows_than_one_officer_may_take_wait_for_another_who_may_then_go_on(reads, monkeypatch):
    monkeypatch.setattr(ledger_reads, "MOST_ROWS_ALONE", 1000)
    other = caller(Role.COMPLIANCE, "regional")
    for who in (OFFICER, OFFICER):
        with pytest.raises(BashuError) as refused:
            await taken(reads, who)
        assert refused.value.reason is Reason.SECOND_OFFICER_NEEDED
    with pytest.raises(BashuError):
        await taken(reads, replace(other, operator=OFFICER.operator))
    second = replace(other, operator="0002")
    assert len(await taken(reads, OFFICER, Wanted(day="2026-03-31"))) == 601
    with pytest.raises(BashuError):
        await taken(reads, OFFICER)
    assert len(await taken(reads, second, tree_size=1200)) == 1201
    assert len(await taken(reads, second, from_index=100, tree_size=1200)) == 1101
    with pytest.raises(BashuError):
        await taken(reads, second, tree_size=1200)


@pytest.mark.usefixtures("log")
async def test_everything_about_one_subject_always_takes_two_officers_and_no_lender(reads):
    wanted = Wanted(subject=FIRM)
    for who, reason in ((OFFICER, Reason.SECOND_OFFICER_NEEDED), (LENDER, Reason.ROLE_NOT_ALLOWED)):
        with pytest.raises(BashuError) as refused:
            await taken(reads, who, wanted)
        assert refused.value.reason is reason
    lines = await taken(reads, replace(AUDITOR, operator="0002"), wanted)
    assert verdict(lines, is_of_subject=True).leaves == 0
