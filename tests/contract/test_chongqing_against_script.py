"""What only chongqing has: jobs, serials, signatures, clocks, pages."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from aiohttp import web

from adapters.kit.protocol import Adapter
from bashu.v1.common_pb2 import PlatformStatus
from standards.answer import ItemAnswer
from standards.catalogue import Standard, load_standard
from tests.platform_stage import DECLARATION, SUBJECT, ChongqingStage, a_permit, resets, tag

REGISTRATION = frozenset({"enterprise_registration"})
POLL, FETCH, ACKNOWLEDGE = "/yjzx/v3/bg/cx", "/yjzx/v3/bg/qj", "/yjzx/v3/bg/qr"
SUBMIT, FILE = "/yjzx/v3/bg/tj", "/yjzx/v3/sq/ba"


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[ChongqingStage]:
    made = ChongqingStage(folder=tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def adapter(stage: ChongqingStage, standard: Standard) -> AsyncIterator[Adapter]:
    made = stage.adapter(standard)
    yield made
    await made.close()


async def asked(
    adapter: Adapter, items: frozenset[str] = REGISTRATION, *, within_s: float = 5.0, **changes: object
) -> dict[str, ItemAnswer]:
    permit = a_permit("chongqing", items, **changes)
    answers = await adapter.ask(permit, items, deadline=time.monotonic() + within_s)
    return {answer.item: answer for answer in answers}


def status(answer: ItemAnswer) -> str:
    return PlatformStatus.Name(answer.status).removeprefix("PLATFORM_STATUS_")


async def test_a_job_goes_from_filing_to_acknowledgement(adapter: Adapter, stage: ChongqingStage) -> None:
    assert status((await asked(adapter))["enterprise_registration"]) == "OK"
    assert stage.calls == [FILE, SUBMIT, POLL, FETCH, ACKNOWLEDGE]


async def test_a_job_that_is_not_done_is_pending_and_its_repeat_sends_the_same_serial(
    adapter: Adapter, stage: ChongqingStage
) -> None:
    stage.job_state = "0002"
    answer = (await asked(adapter, within_s=0.8))["enterprise_registration"]
    assert (status(answer), answer.detail) == ("PENDING", "0002")
    assert answer.resume_after is not None
    assert timedelta(seconds=20) < answer.resume_after - datetime.now(UTC) < timedelta(seconds=40)
    stage.job_state = "0000"
    assert status((await asked(adapter))["enterprise_registration"]) == "OK"
    assert len(stage.serials) == 2
    assert len(set(stage.serials)) == 1
    assert len(stage.marks) == 1


async def test_an_expired_job_is_submitted_anew_under_the_same_mark(adapter: Adapter, stage: ChongqingStage) -> None:
    permit_serials = stage.serials
    stage.script[POLL] = [stage.says("4001"), stage.says("4001")]
    assert status((await asked(adapter))["enterprise_registration"]) == "OK"
    first = permit_serials[0]
    assert permit_serials == [first, first + "R1", first + "R2"]
    assert len(stage.marks) == 1


async def test_jobs_that_are_always_gone_end_as_unavailable(adapter: Adapter, stage: ChongqingStage) -> None:
    stage.always[POLL] = stage.says("4001")
    answer = (await asked(adapter))["enterprise_registration"]
    assert (status(answer), answer.detail) == ("UNAVAILABLE", "4001")
    assert len(stage.serials) == 10


@pytest.mark.parametrize("code", ["1003", "1004"])
async def test_clock_and_nonce_are_corrected_once(adapter: Adapter, stage: ChongqingStage, code: str) -> None:
    stage.script[SUBMIT] = [stage.says(code)]
    assert status((await asked(adapter))["enterprise_registration"]) == "OK"
    assert stage.calls.count(SUBMIT) == 2


@pytest.mark.parametrize(("code", "expected"), [("9001", "TIMEOUT"), ("9999", "UNAVAILABLE"), ("1001", "UNAVAILABLE")])
async def test_codes_of_the_page_are_the_statuses_of_the_page(
    adapter: Adapter, stage: ChongqingStage, code: str, expected: str
) -> None:
    stage.always[POLL] = stage.says(code)
    answer = (await asked(adapter))["enterprise_registration"]
    assert (status(answer), answer.detail) == (expected, code)
    assert stage.calls.count(POLL) == (1 if code == "1001" else 2)


@pytest.mark.parametrize("code", ["2001", "2003", "2004"])
async def test_a_refused_letter_is_denied(adapter: Adapter, stage: ChongqingStage, code: str) -> None:
    stage.always[SUBMIT] = stage.says(code)
    assert (status(answer := (await asked(adapter))["enterprise_registration"]), answer.detail) == ("DENIED", code)


async def test_a_letter_that_expired_is_filed_anew_once(adapter: Adapter, stage: ChongqingStage) -> None:
    stage.script[SUBMIT] = [stage.says("2002")]
    assert status((await asked(adapter))["enterprise_registration"]) == "OK"
    assert stage.calls.count(FILE) == 2


async def test_names_that_differ_are_denied_by_name(adapter: Adapter, stage: ChongqingStage) -> None:
    stage.always[FILE] = stage.says("3002")
    answer = (await asked(adapter))["enterprise_registration"]
    assert (status(answer), answer.detail) == ("DENIED", "3002 NAME_MISMATCH")


async def test_a_partial_result_is_a_timeout_of_what_is_missing(adapter: Adapter, stage: ChongqingStage) -> None:
    stage.result_code, stage.missing = "0003", "KPXX"
    items = frozenset({"enterprise_registration", "sales_invoice_monthly", "tax_arrears"})
    answers = await asked(adapter, items)
    assert {item: status(answer) for item, answer in answers.items()} == {
        "enterprise_registration": "OK",
        "sales_invoice_monthly": "TIMEOUT",
        "tax_arrears": "NO_DATA",
    }


async def test_rows_of_all_pages_are_one_answer(adapter: Adapter, stage: ChongqingStage) -> None:
    months = [f"<KP><YF>2026{month:02d}</YF><XSE>{month}.00</XSE></KP>" for month in range(10, 0, -1)]
    stage.pages = [f"<KPXX><SJSJ>20261031</SJSJ>{''.join(part)}</KPXX>" for part in (months[:6], months[6:])]
    answer = (await asked(adapter, frozenset({"sales_invoice_monthly"})))["sales_invoice_monthly"]
    assert [r.sales_invoice_monthly.month for r in answer.records] == [
        f"2026-{month:02d}" for month in range(10, 0, -1)
    ]
    assert stage.calls.count(FETCH) == 2


async def test_pages_that_contradict_one_another_are_malformed(adapter: Adapter, stage: ChongqingStage) -> None:
    rows = "<KP><YF>202610</YF><XSE>1.00</XSE></KP>"
    stage.pages = [f"<KPXX><SJSJ>{day}</SJSJ>{rows}</KPXX>" for day in ("20261031", "20260930")]
    answer = (await asked(adapter, frozenset({"sales_invoice_monthly"})))["sales_invoice_monthly"]
    assert (status(answer), answer.detail) == ("MALFORMED", "BODY/KPXX/SJSJ")


async def test_a_page_served_twice_is_malformed(adapter: Adapter, stage: ChongqingStage) -> None:
    stage.pages = ["", ""]

    async def first_again(request: web.Request) -> web.StreamResponse:
        text = (await request.read()).removeprefix(DECLARATION).decode("gb18030")
        return stage.result(tag(text, "LSH"), tag(text, "RWH"), 1)

    stage.always[FETCH] = first_again
    answer = (await asked(adapter))["enterprise_registration"]
    assert (status(answer), answer.detail) == ("MALFORMED", "BODY/DQYS")


async def test_a_failed_acknowledgement_spoils_nothing(adapter: Adapter, stage: ChongqingStage) -> None:
    stage.always[ACKNOWLEDGE] = resets
    assert status((await asked(adapter))["enterprise_registration"]) == "OK"


async def test_only_the_kinds_of_the_items_are_asked(adapter: Adapter, stage: ChongqingStage) -> None:
    await asked(adapter, frozenset({"tax_arrears", "enterprise_registration"}))
    assert stage.kinds == ["JBXX,QSXX"]


async def test_a_repaired_penalty_is_handed_on_as_repaired(adapter: Adapter, stage: ChongqingStage) -> None:
    penalty = (
        "<XZCF><SJSJ>20261122</SJSJ><CF><WSH>渝示例1号</WSH><XDRMC>x</XDRMC>"
        f"<XDRDM>{SUBJECT}</XDRDM><CFJG>x</CFJG><WFXW>x</WFXW><WFSS>x</WFSS><CFYJ>x</CFYJ><CFNR>x</CFNR><CFLB>03</CFLB>"
        "<FKJE>2.00</FKJE><JDRQ>20260801</JDRQ><GSJZQ>20270801</GSJZQ><SXCD>2</SXCD><XFRQ>20261120</XFRQ></CF></XZCF>"
    )
    stage.pages = [penalty]
    answer = (await asked(adapter, frozenset({"administrative_penalty"})))["administrative_penalty"]
    (record,) = answer.records
    assert list(record.marks) == ["REPAIRED"]
    assert record.administrative_penalty.fine_amount == "20000.00"
    assert "2026-11-20" not in str(record)
