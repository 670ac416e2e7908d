"""What only sichuan has: tokens, reports, further pages, envelopes, letters that end under way."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web

from adapters.kit.protocol import Adapter
from bashu.v1.common_pb2 import PlatformStatus
from standards.answer import ItemAnswer
from standards.catalogue import Standard, load_standard
from tests.platform_stage import NAME, SUBJECT, SichuanStage, a_permit, success

REGISTRATION = "enterprise_registration"
REPORTS = "/v2/reports"


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[SichuanStage]:
    made = SichuanStage(folder=tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def adapter(stage: SichuanStage, standard: Standard) -> AsyncIterator[Adapter]:
    made = stage.adapter(standard)
    yield made
    await made.close()


async def asked(adapter: Adapter, *items: str, within_s: float = 5.0) -> dict[str, ItemAnswer]:
    wanted = frozenset(items or {REGISTRATION})
    answers = await adapter.ask(a_permit("sichuan", wanted), wanted, deadline=time.monotonic() + within_s)
    return {answer.item: answer for answer in answers}


def status(answer: ItemAnswer) -> str:
    return PlatformStatus.Name(answer.status).removeprefix("PLATFORM_STATUS_")


def refusal(code: int, message: str) -> dict[str, object]:
    return {"status": code, "message": message}


def invoice(month: int) -> dict[str, object]:
    return {"month": f"2025-{month:02d}", "saleAmtFen": 100 * month, "buyerCnt": "37"}


def punishment(number: int) -> dict[str, object]:
    return {
        "docNo": f"川示例{number}号", "partyName": NAME, "creditCode": SUBJECT, "illegalType": "x", "facts": "x",
        "basis": "x", "content": "x", "category": "罚款", "decisionDate": "2026-05-06", "publishTo": "2027-05-06",
        "authority": "x", "fineAmt": 0.1,
    }  # fmt: skip


async def test_a_token_is_taken_once_and_kept(adapter: Adapter, stage: SichuanStage) -> None:
    await asked(adapter)
    await asked(adapter)
    assert stage.tokens == 1


async def test_a_token_that_ended_is_replaced_once(adapter: Adapter, stage: SichuanStage) -> None:
    stage.script[REPORTS] = [stage.says(401, "token expired")]
    assert status((await asked(adapter))[REGISTRATION]) == "OK"
    assert stage.tokens == 2


async def test_a_token_that_is_never_good_is_unavailable(adapter: Adapter, stage: SichuanStage) -> None:
    stage.always[REPORTS] = stage.says(401, "token invalid")
    answer = (await asked(adapter))[REGISTRATION]
    assert (status(answer), answer.detail) == ("UNAVAILABLE", "401 token invalid")
    assert stage.calls.count(REPORTS) == 2


async def test_a_page_that_does_not_say_whose_it_is_is_malformed(adapter: Adapter, stage: SichuanStage) -> None:
    rows = [punishment(number) for number in range(23)]
    first = {"list": rows[:20], "total": "23", "pageNumber": 1, "pageSize": 20}
    stage.modules["ent-operate/administrative-punishments"] = success(first)
    stage.pages["ent-operate/administrative-punishments", 2] = first | {"list": rows[20:], "pageNumber": 2}
    stage.names_pages = False
    answer = (await asked(adapter, "administrative_penalty"))["administrative_penalty"]
    assert (status(answer), answer.detail) == ("MALFORMED", "WRONG_SUBJECT")


async def test_without_a_consent_no_letter_is_filed(adapter: Adapter, stage: SichuanStage) -> None:
    items = frozenset({REGISTRATION})
    await adapter.ask(a_permit("sichuan", items, artefact=None), items, deadline=time.monotonic() + 5)
    assert stage.asked
    assert not stage.filings


async def test_a_repeat_of_public_modules_alone_leaves_no_second_mark(
    adapter: Adapter, stage: SichuanStage, standard: Standard
) -> None:
    await asked(adapter, REGISTRATION, "platform_score")
    await asked(adapter, REGISTRATION)
    another_worker = stage.adapter(standard)
    await asked(another_worker, REGISTRATION)
    await another_worker.close()
    assert len(stage.marks) == 1


async def test_a_letter_names_all_that_the_consent_grants_and_is_shared_by_every_question(
    stage: SichuanStage, standard: Standard
) -> None:
    granted = ("platform_score", REGISTRATION, "tax_arrears", "vehicle_mortgage")
    payload = json.dumps({"data": {"items": [{"id": item} for item in granted]}}).encode()
    artefact = b"e30." + base64.urlsafe_b64encode(payload).rstrip(b"=") + b".x"
    # Each by a worker of its own: the second and third file again and are answered with the letter in force.
    for items in (frozenset({REGISTRATION}), frozenset({REGISTRATION, "platform_score"}), frozenset({REGISTRATION})):
        worker = stage.adapter(standard)
        permit = a_permit("sichuan", items, artefact=artefact)
        answers = await worker.ask(permit, items, deadline=time.monotonic() + 5)
        assert {status(answer) for answer in answers} <= {"OK", "NO_DATA"}
        await worker.close()
    assert {tuple(filed) for filed in stage.filings} == {("customized/score", "ent-ba/basicinfo", "taxinfo/arrears")}
    assert len(stage.marks) == 1


async def test_only_modules_of_the_items_are_asked_in_the_order_of_the_page(
    adapter: Adapter, stage: SichuanStage
) -> None:
    await asked(adapter, "tax_arrears", "shareholder_and_capital", REGISTRATION)
    assert stage.asked == [["ent-ba/basicinfo", "ent-ba/shareholders", "ent-ba/actual-controller", "taxinfo/arrears"]]


async def test_further_pages_are_fetched_with_their_own_key(adapter: Adapter, stage: SichuanStage) -> None:
    rows = [punishment(number) for number in range(23)]
    first = {"list": rows[:20], "total": "23", "pageNumber": 1, "pageSize": 20}
    stage.modules["ent-operate/administrative-punishments"] = success(first)
    stage.pages["ent-operate/administrative-punishments", 2] = first | {"list": rows[20:], "pageNumber": 2}
    answer = (await asked(adapter, "administrative_penalty"))["administrative_penalty"]
    assert len(answer.records) == 23
    assert answer.records[-1].administrative_penalty.fine_amount == "0.10"
    assert stage.queries == [{"enterprise": NAME, "pageNumber": "2", "pageSize": "20"}]
    assert len(stage.marks) == 1


async def test_months_are_asked_for_on_further_pages_too(adapter: Adapter, stage: SichuanStage) -> None:
    first = {"list": [invoice(1)] * 20, "total": 22, "pageNumber": 1, "pageSize": 20}
    stage.modules["taxinfo/saleinvoice"] = success(first)
    stage.pages["taxinfo/saleinvoice", 2] = first | {"list": [invoice(2)] * 2}
    assert len((await asked(adapter, "sales_invoice_monthly"))["sales_invoice_monthly"].records) == 22
    assert stage.queries == [{"taxpyrIdNo": SUBJECT, "months": "24", "pageNumber": "2", "pageSize": "20"}]


@pytest.mark.parametrize("rows", [1, 4])
async def test_pages_whose_rows_are_not_the_total_are_malformed(
    adapter: Adapter, stage: SichuanStage, rows: int
) -> None:
    first = {"list": [invoice(1)] * 20, "total": 22, "pageNumber": 1, "pageSize": 20}
    stage.modules["taxinfo/saleinvoice"] = success(first)
    stage.pages["taxinfo/saleinvoice", 2] = first | {"list": [invoice(2)] * rows}
    answer = (await asked(adapter, "sales_invoice_monthly"))["sales_invoice_monthly"]
    assert (status(answer), answer.detail) == ("MALFORMED", "taxinfo/saleinvoice.total")


@pytest.mark.parametrize(("total", "as_of"), [("23", "2026-11-22"), (22, "2026-11-21")])
async def test_pages_that_contradict_one_another_are_malformed(
    adapter: Adapter, stage: SichuanStage, total: object, as_of: str
) -> None:
    first = {"list": [invoice(1)] * 20, "total": 22, "pageNumber": 1, "pageSize": 20}
    stage.modules["taxinfo/saleinvoice"] = success(first)

    async def other(request: web.Request) -> web.StreamResponse:
        page = first | {"list": [invoice(2)] * 2, "total": total}
        return stage.sealed(page, headers={"x-credit-code": SUBJECT, "x-data-asof": as_of})

    stage.always["/v2/enterprises/taxinfo/modules/saleinvoice"] = other
    answer = (await asked(adapter, "sales_invoice_monthly"))["sales_invoice_monthly"]
    assert (status(answer), answer.detail) == ("MALFORMED", "taxinfo/saleinvoice.total")


async def test_a_page_about_somebody_else_is_malformed(adapter: Adapter, stage: SichuanStage) -> None:
    first = {"list": [invoice(1)] * 20, "total": 21, "pageNumber": 1, "pageSize": 20}
    stage.modules["taxinfo/saleinvoice"] = success(first)

    async def stranger(request: web.Request) -> web.StreamResponse:
        headers = {"x-credit-code": "91510107XXTT00026H", "x-data-asof": "2026-11-22"}
        return stage.sealed(first | {"list": [invoice(2)]}, headers=headers)

    stage.always["/v2/enterprises/taxinfo/modules/saleinvoice"] = stranger
    answer = (await asked(adapter, "sales_invoice_monthly", REGISTRATION))["sales_invoice_monthly"]
    assert (status(answer), answer.detail) == ("MALFORMED", "WRONG_SUBJECT")


async def test_a_letter_revoked_under_way_denies_the_later_modules_alone(adapter: Adapter, stage: SichuanStage) -> None:
    stage.modules["customized/score"] = refusal(403, "authorization revoked")
    answers = await asked(adapter, REGISTRATION, "platform_score")
    assert status(answers[REGISTRATION]) == "OK"
    assert (status(answers["platform_score"]), answers["platform_score"].detail) == (
        "DENIED",
        "403 authorization revoked",
    )
    await asked(adapter, "platform_score")
    assert len(stage.filings) == 2


async def test_a_letter_that_expired_is_filed_anew_once(adapter: Adapter, stage: SichuanStage) -> None:
    stage.modules["customized/score"] = refusal(403, "authorization expired")
    answer = (await asked(adapter, "platform_score"))["platform_score"]
    assert status(answer) == "DENIED"
    assert len(stage.filings) == 2
    assert len(stage.asked) == 2


async def test_a_module_whose_server_failed_is_asked_once_more(adapter: Adapter, stage: SichuanStage) -> None:
    stage.modules["customized/score"] = refusal(502, "request to score-server failed")
    answers = await asked(adapter, REGISTRATION, "platform_score")
    assert stage.asked == [["ent-ba/basicinfo", "customized/score"], ["customized/score"]]
    assert (status(answers[REGISTRATION]), status(answers["platform_score"])) == ("OK", "UNAVAILABLE")


async def test_a_module_that_timed_out_is_not_asked_again(adapter: Adapter, stage: SichuanStage) -> None:
    stage.modules["customized/score"] = refusal(504, "request to score-server timed out")
    answers = await asked(adapter, REGISTRATION, "platform_score")
    assert len(stage.asked) == 1
    assert (status(answers[REGISTRATION]), status(answers["platform_score"])) == ("OK", "TIMEOUT")


async def test_too_many_requests_wait_as_told(adapter: Adapter, stage: SichuanStage) -> None:
    stage.script[REPORTS] = [stage.says(429, "too many requests", Retry_After="0")]
    assert status((await asked(adapter))[REGISTRATION]) == "OK"
    stage.script[REPORTS] = [stage.says(429, "too many requests", Retry_After="60")]
    assert status((await asked(adapter))[REGISTRATION]) == "QUOTA_EXHAUSTED"


async def test_a_module_missing_from_the_report_is_malformed(adapter: Adapter, stage: SichuanStage) -> None:
    subject = {"creditCode": SUBJECT, "name": NAME}
    stage.always[REPORTS] = stage.sends({"subject": subject, "modules": {}})
    answer = (await asked(adapter))[REGISTRATION]
    assert (status(answer), answer.detail) == ("MALFORMED", "ent-ba/basicinfo: missing")


async def test_a_member_that_stands_twice_is_malformed(adapter: Adapter, stage: SichuanStage) -> None:
    twice = f'{{"subject": {{"creditCode": "{SUBJECT}", "creditCode": "{SUBJECT}", "name": "x"}}, "modules": {{}}}}'
    stage.always[REPORTS] = stage.sends(twice.encode())
    answer = (await asked(adapter))[REGISTRATION]
    assert (status(answer), answer.detail) == ("MALFORMED", "payload")


async def test_a_name_beyond_gbk_with_full_width_brackets_comes_unchanged(
    adapter: Adapter, stage: SichuanStage
) -> None:
    info = stage.modules["ent-ba/basicinfo"]["data"]  # type: ignore[index]
    stage.modules["ent-ba/basicinfo"] = success(info | {"name": "四川示例十八号𠮷祥（成都）食品有限公司"})
    (record,) = (await asked(adapter))[REGISTRATION].records
    assert record.enterprise_registration.name == "四川示例十八号𠮷祥（成都）食品有限公司"


async def test_who_controls_is_joined_to_the_shareholders(adapter: Adapter, stage: SichuanStage) -> None:
    rows = [
        {"shareholderName": "李样本", "shareholderType": "自然人股东", "ratio": 0.6},
        {"shareholderName": "成都示例创业投资有限公司", "shareholderType": "企业法人", "ratio": 0.4},
    ]
    stage.modules["ent-ba/shareholders"] = success(rows)
    stage.modules["ent-ba/actual-controller"] = success({"controllerName": "李样本", "controllerType": "自然人"})
    answer = (await asked(adapter, "shareholder_and_capital"))["shareholder_and_capital"]
    assert [record.shareholder_and_capital.is_actual_controller for record in answer.records] == [True, False]


async def test_a_person_who_controls_without_a_share_is_dropped(adapter: Adapter, stage: SichuanStage) -> None:
    stage.modules["ent-ba/shareholders"] = success([{"shareholderName": "a", "shareholderType": "国家"}])
    stage.modules["ent-ba/actual-controller"] = success({"controllerName": "李样本", "controllerType": "自然人"})
    answer = (await asked(adapter, "shareholder_and_capital"))["shareholder_and_capital"]
    assert answer.dropped_class3 == 1
    assert not answer.records[0].shareholder_and_capital.HasField("is_actual_controller")


async def test_a_failing_controller_is_only_named(adapter: Adapter, stage: SichuanStage) -> None:
    stage.modules["ent-ba/shareholders"] = success([{"shareholderName": "a", "shareholderType": "国家"}])
    stage.modules["ent-ba/actual-controller"] = refusal(500, "internal error")
    answer = (await asked(adapter, "shareholder_and_capital"))["shareholder_and_capital"]
    assert (status(answer), answer.detail) == ("OK", "actual-controller: 500 internal error")


async def test_the_other_party_of_a_guarantee_is_withheld_and_counted(adapter: Adapter, stage: SichuanStage) -> None:
    row = {"direction": "OUT", "counterpartyType": "ENT", "counterpartyCode": "91510107XXTT00026H", "amount": 2000000}
    page = {"list": [row], "total": "1", "pageNumber": 1, "pageSize": 20}
    stage.modules["ent-operate/guarantees"] = success(page)
    answer = (await asked(adapter, "financing_guarantee"))["financing_guarantee"]
    (record,) = answer.records
    assert not record.financing_guarantee.HasField("counterparty_uscc")
    assert answer.detail == "COUNTERPARTY_WITHHELD 1"


async def test_it_is_left_in_where_the_permit_says_that_the_gateway_takes_it_out(
    adapter: Adapter, stage: SichuanStage
) -> None:
    row = {"direction": "OUT", "counterpartyType": "ENT", "counterpartyCode": "91510107XXTT00026H", "amount": 2000000}
    page = {"list": [row], "total": "1", "pageNumber": 1, "pageSize": 20}
    stage.modules["ent-operate/guarantees"] = success(page)
    items = frozenset({"financing_guarantee"})
    permit = a_permit("sichuan", items, keeps_counterparties=True)
    (answer,) = await adapter.ask(permit, items, deadline=time.monotonic() + 10)
    assert answer.records[0].financing_guarantee.counterparty_uscc == "91510107XXTT00026H"
    assert not answer.detail
