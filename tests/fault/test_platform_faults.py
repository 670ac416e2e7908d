"""What each fault of a platform does to a query through the real gateway: a status, never a crash or a silent gap."""

from __future__ import annotations

import asyncio
import urllib.request
from collections.abc import AsyncIterator
from uuid import UUID

import msgspec
import pytest

from adapters.chongqing.serials import enquiry_number
from bashu.client import Bashu, QueryAnswer
from bashu.errors import BashuCallError
from bashu.v1 import common_pb2, credit_pb2, report_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.observation import books, control, ledger_reader
from loadtest.questions import question
from loadtest.stack import Stack

SUBJECT = "91500105XXTT00018M"
NEVER_DONE = "91500105XXTT00093E"
OTHER_PLATFORM = {"chongqing": "sichuan", "sichuan": "chongqing"}
DATA_CALL = {"chongqing": "XY1003", "sichuan": "reports"}
BRANCHES = "ent-ba/branches"
DEADLINE_S = 3.0
"""A client's deadline that a stalled platform must not make the answer miss."""
REPEATED = {"TIMEOUT", "UNAVAILABLE", "MAINTENANCE", "QUOTA_EXHAUSTED"}
FAULTS: list[tuple[str, str, str, str, str]] = [
    ("chongqing", "stall", "XY1003", "TIMEOUT", "TIMED_OUT"),
    ("chongqing", "reset", "XY1003", "UNAVAILABLE", "RESET"),
    ("chongqing", "http_500", "XY1003", "UNAVAILABLE", "HTTP 500"),
    ("chongqing", "code_9999", "XY1003", "UNAVAILABLE", "9999"),
    ("chongqing", "wrong_subject", "XY1003", "MALFORMED", "WRONG_SUBJECT"),
    ("chongqing", "wrong_signature", "XY1003", "MALFORMED", "QM"),
    ("chongqing", "wrong_encoding", "XY1003", "MALFORMED", "GB18030"),
    ("chongqing", "oversized", "XY1003", "MALFORMED", "OVERSIZED"),
    ("chongqing", "maintenance", "XY1003", "MAINTENANCE", "9900"),
    ("chongqing", "quota", "XY1001", "QUOTA_EXHAUSTED", "9007"),
    ("chongqing", "partial", "XY1001", "TIMEOUT", "0003"),
    ("sichuan", "stall", "reports", "TIMEOUT", "TIMED_OUT"),
    ("sichuan", "reset", "reports", "UNAVAILABLE", "RESET"),
    ("sichuan", "http_500", "reports", "UNAVAILABLE", "500 request to report-server failed"),
    ("sichuan", "code_9999", "reports", "UNAVAILABLE", "500 internal error"),
    ("sichuan", "wrong_subject", "reports", "MALFORMED", "WRONG_SUBJECT"),
    ("sichuan", "wrong_signature", "reports", "MALFORMED", "envelope.data"),
    ("sichuan", "wrong_encoding", "reports", "MALFORMED", ""),
    ("sichuan", "oversized", "reports", "MALFORMED", "OVERSIZED"),
    ("sichuan", "maintenance", "reports", "MAINTENANCE", "503 system maintenance"),
    ("sichuan", "quota", "reports", "QUOTA_EXHAUSTED", "403 daily quota exceeded"),
    ("sichuan", "partial", BRANCHES, "UNAVAILABLE", "failed"),
    ("sichuan", "stall", BRANCHES, "TIMEOUT", "timed out"),
]
"""Platform, kind, call, the status that it must be, and what its detail must name."""


@pytest.fixture(autouse=True)
async def honest_afterwards(stack: Stack) -> AsyncIterator[None]:
    """End every forced fault, whatever a test did."""
    yield
    await asyncio.to_thread(clear, stack)


def clear(stack: Stack) -> None:
    request = urllib.request.Request(f"{stack.sandbox_control}/control/faults", method="DELETE")
    with urllib.request.urlopen(request, timeout=10):
        pass


async def force(stack: Stack, platform: str, kind: str, call: str | None = None) -> None:
    fault = {"platform": platform, "kind": kind, "subject": SUBJECT} | ({"call": call} if call else {})
    await asyncio.to_thread(control, stack, "faults", fault)


async def asked(bank: Bashu, authority: SigningAuthority) -> credit_pb2.QueryCreditRequest:
    grant = Grant(institution="bank-cq", identifier=SUBJECT, items=ITEMS)
    await bank.register_consent(authority.sign(grant))
    return question(SUBJECT, str(grant.consent_id))


def results(report: report_pb2.CreditReport, platform: str) -> dict[str, report_pb2.PlatformResult]:
    """What is said of each item that a platform was asked."""
    return {
        result.data_item: result
        for result in report.platform_results
        if result.platform_id == platform and status(result) != "SKIPPED"
    }


def status(result: report_pb2.PlatformResult) -> str:
    return common_pb2.PlatformStatus.Name(result.status).removeprefix("PLATFORM_STATUS_")


def platforms_of(report: report_pb2.CreditReport) -> set[str]:
    sources = {source.source_id: source.platform_id for source in report.sources}
    return {sources[source_id] for record in report.records for source_id in record.source_ids}


def completeness(answer: QueryAnswer) -> str:
    return report_pb2.Completeness.Name(answer.report.completeness).removeprefix("COMPLETENESS_")


async def entry_types(stack: Stack, request_id: str) -> list[str]:
    """The types of the entries that name a request, in the order of the ledger."""
    async with ledger_reader(stack) as db:
        rows = await db.fetch("SELECT body FROM ledger_entry ORDER BY seq")
    bodies = [msgspec.json.decode(row["body"]) for row in rows]
    return [body["type"] for body in bodies if (body.get("intent") or {}).get("request") == request_id]


async def marks(stack: Stack, request_id: str) -> dict[str, int]:
    """How many enquiry marks of a request each platform's book holds."""
    book = await books(stack)
    number = enquiry_number(institution="bank-cq", request_id=str(UUID(request_id)))
    return {
        "chongqing": sum(line["key"] == number for line in book["chongqing"]["enquiries"]),
        "sichuan": sum(line["key"].endswith(f"/{request_id}") for line in book["sichuan"]["enquiries"]),
    }


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: "-".join(fault[:3]).replace("/", "."))
async def test_a_fault_is_a_status_in_a_partial_report_and_its_repeat_makes_no_second_mark(
    stack: Stack,
    bank: Bashu,
    authority: SigningAuthority,
    fault: tuple[str, str, str, str, str],
) -> None:
    platform, kind, call, expected, detail = fault
    request = await asked(bank, authority)
    await force(stack, platform, kind, call)
    answer = await bank.query_credit(request, deadline_s=DEADLINE_S)
    hit = {item: one for item, one in results(answer.report, platform).items() if status(one) == expected}
    is_whole = call in DATA_CALL.values() or kind == "quota"
    assert set(hit) == (set(results(answer.report, platform)) if is_whole else set(hit)) != set()
    assert all(one.detail and detail in one.detail for one in hit.values()), {one.detail for one in hit.values()}
    assert all(status(one) in {"OK", "NO_DATA"} for one in results(answer.report, OTHER_PLATFORM[platform]).values())
    assert completeness(answer) == "PARTIAL"
    assert OTHER_PLATFORM[platform] in platforms_of(answer.report)
    assert await entry_types(stack, request.request_id) == ["QUERY_INTENT", "RELEASE"]
    await asyncio.to_thread(clear, stack)
    if expected in REPEATED:
        again = await bank.query_credit(request)
        assert completeness(again) == "FULL"
        assert set(results(again.report, platform)) == set(hit)
        assert not results(again.report, OTHER_PLATFORM[platform])
    assert await marks(stack, request.request_id) == {"chongqing": 1, "sichuan": 1}


@pytest.mark.parametrize("platform", ["chongqing", "sichuan"])
async def test_what_was_not_asked_is_dropped_named_and_spoils_nothing(
    stack: Stack, bank: Bashu, authority: SigningAuthority, platform: str
) -> None:
    grant = Grant(institution="bank-cq", identifier=SUBJECT, items=("enterprise_registration", "branch_registration"))
    await bank.register_consent(authority.sign(grant))
    await force(stack, platform, "extra_items", DATA_CALL[platform])
    answer = await bank.query_credit(question(SUBJECT, str(grant.consent_id)))
    assert completeness(answer) == "FULL"
    assert any("NOT_ASKED" in one.detail for one in results(answer.report, platform).values())
    assert {record.data_item for record in answer.report.records} == {"enterprise_registration", "branch_registration"}


@pytest.mark.parametrize(
    ("kind", "entries"),
    [
        ("maintenance", ["QUERY_INTENT", "FAILED", "USE_REFUNDED"]),
        ("quota", ["QUERY_INTENT", "FAILED", "USE_REFUNDED"]),
        ("reset", ["QUERY_INTENT", "FAILED"]),
        ("stall", ["QUERY_INTENT", "FAILED"]),
    ],
)
async def test_where_no_platform_answers_the_use_comes_back_only_if_nothing_can_have_been_seen(
    stack: Stack, bank: Bashu, authority: SigningAuthority, kind: str, entries: list[str]
) -> None:
    request = await asked(bank, authority)
    for platform in OTHER_PLATFORM:
        await force(stack, platform, kind)
    with pytest.raises(BashuCallError) as refused:
        await bank.query_credit(request, deadline_s=DEADLINE_S)
    assert refused.value.reason == "PLATFORMS_UNAVAILABLE"
    assert await entry_types(stack, request.request_id) == entries
    await asyncio.to_thread(clear, stack)


async def test_two_platforms_that_send_nonsense_have_answered_and_are_reported(
    stack: Stack, bank: Bashu, authority: SigningAuthority
) -> None:
    request = await asked(bank, authority)
    for platform in OTHER_PLATFORM:
        await force(stack, platform, "wrong_encoding", DATA_CALL[platform])
    answer = await bank.query_credit(request)
    assert completeness(answer) == "PARTIAL"
    assert not answer.report.records
    assert await entry_types(stack, request.request_id) == ["QUERY_INTENT", "RELEASE"]


async def test_a_job_that_never_ends_is_pending_and_repeats_leave_one_mark_and_one_job(
    stack: Stack, bank: Bashu, authority: SigningAuthority
) -> None:
    grant = Grant(institution="bank-cq", identifier=NEVER_DONE, items=("enterprise_registration", "tax_arrears"))
    await bank.register_consent(authority.sign(grant))
    request = question(NEVER_DONE, str(grant.consent_id))
    for _ in range(2):
        answer = await bank.query_credit(request, deadline_s=2.0)
        pending = results(answer.report, "chongqing")
        assert {status(one) for one in pending.values()} == {"PENDING"}
        assert all(one.detail and one.HasField("resume_after") for one in pending.values())
        assert completeness(answer) == "PARTIAL"
    assert (await marks(stack, request.request_id))["chongqing"] == 1
    submits = [line for line in (await books(stack))["chongqing"]["submits"] if line["subject"] == NEVER_DONE]
    assert len(submits) == 1
