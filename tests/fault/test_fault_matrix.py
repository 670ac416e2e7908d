"""Each fault of a platform, brought about on a running stack: answer, status, ledger and books as the page says.

The page is ``docs/platforms/faults.md``; a third platform beside the stack's two stands for those that are a file only.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import msgspec
import pytest

from adapters.chongqing.serials import enquiry_number
from bashu.client import Bashu, QueryAnswer
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import common_pb2, credit_pb2, report_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.fault_matrix import Cell, Fault, read_matrix
from loadtest.observation import books, control, ledger_reader
from loadtest.questions import question
from loadtest.stack import Stack
from tests.fault.forcing import honest, play
from tests.fault.third_platform import third_platform
from tests.rest_json_stage import RestJsonStage

SUBJECT = "91500105XXTT00018M"
NEVER_DONE = "91500105XXTT00093E"
ITEMS = ("enterprise_registration", "branch_registration", "tax_arrears")
CALLS = {"chongqing": "XY1003", "sichuan": "reports"}
HIT = {
    "chongqing": ("chongqing",),
    "sichuan": ("sichuan",),
    "rest_json": ("example",),
    "both": ("chongqing", "sichuan"),
}
WELL = {"OK", "NO_DATA"}
DEADLINE_S = 3.0
"""A client's deadline that a stalled platform must not make the answer miss."""
MATRIX = read_matrix()
CELLS = [(fault, column) for fault in MATRIX for column in fault.cells]
ONCE = frozenset({"token_expired"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """The stack and what stands beside it."""

    stack: Stack
    third: RestJsonStage
    bank: Bashu
    with_third: Bashu
    authority: SigningAuthority


@pytest.fixture(scope="module")
def beside(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RestJsonStage, Profile]]:
    with third_platform(stack, tmp_path_factory.mktemp("third")) as running:
        yield running


@pytest.fixture
async def scene(
    stack: Stack, bank: Bashu, authority: SigningAuthority, beside: tuple[RestJsonStage, Profile]
) -> AsyncIterator[Scene]:
    third, profile = beside
    async with Bashu(profile) as with_third:
        made = Scene(stack=stack, third=third, bank=bank, with_third=with_third, authority=authority)
        yield made
        await made_honest(made)


async def made_honest(scene: Scene) -> None:
    honest(scene.third)
    await asyncio.to_thread(_clear, scene.stack)


def _clear(stack: Stack) -> None:
    request = urllib.request.Request(f"{stack.sandbox_control}/control/faults", method="DELETE")
    with urllib.request.urlopen(request, timeout=10):
        pass


async def bring_about(scene: Scene, fault: Fault, column: str, cell: Cell) -> None:
    if cell.subject is not None:
        return
    if column == "rest_json":
        play(scene.third, fault.fault_id)
        return
    for platform in HIT[column]:
        forced = {"platform": platform, "kind": fault.fault_id, "subject": SUBJECT}
        call = fault.cells[platform].call or CALLS[platform]
        once = {"count": 1} if fault.fault_id in ONCE else {}
        await asyncio.to_thread(control, scene.stack, "faults", forced | {"call": call} | once)


async def asked(scene: Scene, column: str, subject: str) -> tuple[Bashu, credit_pb2.QueryCreditRequest]:
    bank = scene.with_third if column == "rest_json" else scene.bank
    platforms = ("chongqing", "sichuan", "example") if column == "rest_json" else ("chongqing", "sichuan")
    grant = Grant(institution="bank-cq", identifier=subject, items=ITEMS, platforms=platforms)
    await bank.register_consent(scene.authority.sign(grant))
    return bank, question(subject, str(grant.consent_id))


async def put(bank: Bashu, request: credit_pb2.QueryCreditRequest) -> QueryAnswer | str:
    """The answer, or the reason of the refusal."""
    try:
        return await bank.query_credit(request, deadline_s=DEADLINE_S)
    except BashuCallError as error:
        return error.reason


def told(answer: QueryAnswer | str) -> str:
    if isinstance(answer, str):
        return answer
    return report_pb2.Completeness.Name(answer.report.completeness).removeprefix("COMPLETENESS_")


def results(answer: QueryAnswer, platform: str) -> dict[str, tuple[str, str]]:
    """Status and detail of each item that a platform was asked."""
    said = {
        result.data_item: (
            common_pb2.PlatformStatus.Name(result.status).removeprefix("PLATFORM_STATUS_"),
            result.detail,
        )
        for result in answer.report.platform_results
        if result.platform_id == platform
    }
    return {item: one for item, one in said.items() if one[0] != "SKIPPED"}


async def entry_types(stack: Stack, request_id: str) -> list[str]:
    """The types of the entries that name a request, in the order of the ledger."""
    async with ledger_reader(stack) as db:
        rows = await db.fetch("SELECT body FROM ledger_entry ORDER BY seq")
    bodies = [msgspec.json.decode(row["body"]) for row in rows]
    return [body["type"] for body in bodies if (body.get("intent") or {}).get("request") == request_id]


async def marks(scene: Scene, request_id: str, platforms: Sequence[str]) -> int:
    """How many enquiries of a request the platforms' own books hold."""
    book = await books(scene.stack)
    number = enquiry_number(institution="bank-cq", request_id=str(UUID(request_id)))
    held = {
        "chongqing": sum(line["key"] == number for line in book["chongqing"]["enquiries"]),
        "sichuan": sum(line["key"].endswith(f"/{request_id}") for line in book["sichuan"]["enquiries"]),
        "example": len({name for _, name in scene.third.marks if name == f"bank-cq/{request_id}"}),
    }
    return sum(held[platform] for platform in platforms)


@pytest.mark.parametrize(("fault", "column"), CELLS, ids=[f"{fault.fault_id}-{column}" for fault, column in CELLS])
async def test_a_fault_does_what_the_page_says(scene: Scene, fault: Fault, column: str) -> None:
    cell = fault.cells[column]
    bank, request = await asked(scene, column, cell.subject or SUBJECT)
    await bring_about(scene, fault, column, cell)
    answer = await put(bank, request)
    assert told(answer) == cell.answer
    assert await entry_types(scene.stack, request.request_id) == list(cell.entries)
    assert await marks(scene, request.request_id, HIT[column]) == cell.marks
    if isinstance(answer, QueryAnswer):
        check_statuses(answer, fault, column)
    await made_honest(scene)
    again = await put(bank, request)
    if cell.is_repeated:
        assert told(again) == "FULL"
        assert await marks(scene, request.request_id, HIT[column]) == len(HIT[column])
    elif cell.subject is None:
        assert told(again) == "EMPTY"
        assert await marks(scene, request.request_id, HIT[column]) == cell.marks


def check_statuses(answer: QueryAnswer, fault: Fault, column: str) -> None:
    for platform in HIT[column]:
        own = fault.cells[column if column != "both" else platform]
        statuses = results(answer, platform).values()
        hit = [one for one in statuses if one[0] == own.status]
        assert hit, statuses
        assert own.detail in "; ".join(detail for _, detail in hit), statuses
        assert {status for status, _ in statuses} <= WELL | {own.status}
    assert {record.data_item for record in answer.report.records} <= set(ITEMS)
    others = ({"chongqing", "sichuan", "example"} if column == "rest_json" else {"chongqing", "sichuan"}) - set(
        HIT[column]
    )
    for platform in others:
        assert {status for status, _ in results(answer, platform).values()} <= WELL
    assert others <= {source.platform_id for source in answer.report.sources}


async def test_a_job_that_never_ends_is_named_until_when_and_repeats_leave_one_job(
    stack: Stack, bank: Bashu, authority: SigningAuthority
) -> None:
    grant = Grant(institution="bank-cq", identifier=NEVER_DONE, items=("enterprise_registration", "tax_arrears"))
    await bank.register_consent(authority.sign(grant))
    request = question(NEVER_DONE, str(grant.consent_id))
    before = await jobs(stack)
    for _ in range(2):
        answer = await bank.query_credit(request, deadline_s=DEADLINE_S)
        pending = [one for one in answer.report.platform_results if one.platform_id == "chongqing"]
        assert len(pending) == 2
        assert all(one.detail and one.HasField("resume_after") for one in pending)
    assert await jobs(stack) == before + 1


async def jobs(stack: Stack) -> int:
    return sum(line["subject"] == NEVER_DONE for line in (await books(stack))["chongqing"]["submits"])


async def test_a_callback_finds_no_door(stack: Stack) -> None:
    def post() -> int:
        url = json.loads((stack.state / "dev.json").read_text())["tiles"] + "/callbacks/sichuan"
        request = urllib.request.Request(url, data=b'{"eventId":"E1","state":"REVOKED"}', method="POST")
        trust = ssl.create_default_context(cafile=stack.ca)
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(request, timeout=10, context=trust)
        return refused.value.code

    assert {await asyncio.to_thread(post) for _ in range(2)} <= {404, 405}
