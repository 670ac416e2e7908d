"""What a declarative adapter does beyond the contract: pages, signatures, tokens, and a file that changes."""

from __future__ import annotations

import asyncio
import base64
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import structlog
from aiohttp import web

from adapters.kit.protocol import Adapter
from adapters.registry import AdapterNotLoadedError, load_one
from adapters.rest_json import client
from bashu.v1.common_pb2 import PlatformStatus
from core.clock import SystemClock
from standards.answer import ItemAnswer
from standards.catalogue import Standard, load_standard
from tests.platform_stage import OTHER, SECRET, a_permit, stalls
from tests.rest_json_stage import A_PENALTY, RestJsonStage, SignedStage

REGISTRATION, PENALTIES, ARREARS = "enterprise_registration", "administrative_penalty", "tax_arrears"


@pytest.fixture(scope="module")
def standard() -> Standard:
    return load_standard()


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[RestJsonStage]:
    made = RestJsonStage(folder=tmp_path)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def adapter(stage: RestJsonStage, standard: Standard) -> AsyncIterator[Adapter]:
    made = stage.adapter(standard)
    yield made
    await made.close()


@pytest.fixture
async def signed(tmp_path: Path) -> AsyncIterator[SignedStage]:
    made = SignedStage(folder=tmp_path)
    await made.start()
    yield made
    await made.stop()


async def asked(adapter: Adapter, *items: str) -> dict[str, ItemAnswer]:
    permit = a_permit(adapter.platform.platform_id, frozenset(items))
    answers = await adapter.ask(permit, frozenset(items), deadline=time.monotonic() + 5)
    return {answer.item: answer for answer in answers}


def status(answer: ItemAnswer) -> str:
    return PlatformStatus.Name(answer.status).removeprefix("PLATFORM_STATUS_")


async def test_every_value_is_translated_as_its_field_says(adapter: Adapter, stage: RestJsonStage) -> None:
    stage.kinds |= {
        "penalties": [A_PENALTY],
        "arrears": [{"taxKind": "增值税", "period": "202608", "balanceFen": 123456, "announced": "是"}],
        "score": {"score": 83.50, "calculatedAt": 1795325400000},
    }
    answers = await asked(adapter, REGISTRATION, PENALTIES, ARREARS, "platform_score")
    assert {status(answer) for answer in answers.values()} == {"OK"}
    firm = answers[REGISTRATION].records[0].enterprise_registration
    assert (firm.registered_capital, firm.currency, firm.established_on) == ("12500000.00", "CNY", "2014-06-12")
    assert (firm.operating_status, firm.industry_section, firm.division_code) == ("ACTIVE", "C", "500105")
    assert list(answers[REGISTRATION].records[0].field_quality) == ["division_code=DERIVED"]
    penalty = answers[PENALTIES].records[0].administrative_penalty
    assert (penalty.fine_amount, penalty.decided_on) == ("15000.00", "2026-03-01")
    arrears = answers[ARREARS].records[0].tax_arrears
    assert (arrears.balance, arrears.arisen_period, arrears.announced) == ("1234.56", "2026-08", True)
    score = answers["platform_score"].records[0].platform_score
    assert (score.score, score.scale_id, score.calculated_on) == ("83.5", "example_score_0_100", "2026-11-22")


async def test_a_code_that_no_list_knows_is_kept_and_marked(adapter: Adapter, stage: RestJsonStage) -> None:
    stage.kinds["registration"] = {**dict(stage.kinds["registration"]), "status": "新状态"}  # type: ignore[call-overload]
    (record,) = (await asked(adapter, REGISTRATION))[REGISTRATION].records
    assert record.enterprise_registration.operating_status == "新状态"
    assert list(record.marks) == ["CODE_UNKNOWN"]


async def test_all_pages_are_read_and_a_contradicting_total_is_malformed(
    adapter: Adapter, stage: RestJsonStage
) -> None:
    stage.kinds["penalties"] = [A_PENALTY | {"docNo": f"示{n}号"} for n in range(45)]
    answer = (await asked(adapter, PENALTIES))[PENALTIES]
    assert (status(answer), len(answer.records)) == ("OK", 45)
    assert stage.calls.count("/v1/data") == 3
    stage.total = 46
    answer = (await asked(adapter, PENALTIES))[PENALTIES]
    assert (status(answer), answer.detail) == ("MALFORMED", f"{PENALTIES}.total")


@pytest.mark.parametrize("total", [True, "many", -1, 1.5, None, 5001])
async def test_a_total_that_is_none_is_malformed(total: object, adapter: Adapter, stage: RestJsonStage) -> None:
    stage.always["/v1/data"] = stage.says(200, code=0, creditCode=stage.subject, data=[A_PENALTY], total=total)
    assert status((await asked(adapter, PENALTIES))[PENALTIES]) == "MALFORMED"


async def test_nothing_found_about_another_subject_is_malformed(adapter: Adapter, stage: RestJsonStage) -> None:
    stage.always["/v1/data"] = stage.says(200, code=0, creditCode=OTHER, data=[], total=0)
    answer = (await asked(adapter, PENALTIES))[PENALTIES]
    assert (status(answer), answer.detail) == ("MALFORMED", "WRONG_SUBJECT")


async def test_a_number_keeps_every_digit(adapter: Adapter, stage: RestJsonStage) -> None:
    async def precise(request: web.Request) -> web.StreamResponse:
        text = f'{{"creditCode": "{stage.subject}", "data": {{"balanceFen": 9007199254740993, "taxKind": "x"}}}}'
        return web.Response(text=text, content_type="application/json")

    stage.always["/v1/data"] = precise
    (record,) = (await asked(adapter, ARREARS))[ARREARS].records
    assert record.tax_arrears.balance == "90071992547409.93"


async def test_each_call_is_signed_freshly_and_hands_the_artefact_over(signed: SignedStage, standard: Standard) -> None:
    adapter = signed.adapter(standard)
    for _ in range(2):
        answer = (await asked(adapter, "sales_invoice_monthly"))["sales_invoice_monthly"]
        assert status(answer) == "OK"
    await adapter.close()
    month = answer.records[0].sales_invoice_monthly
    assert (month.month, month.sales_amount, month.buyer_count) == ("2026-10", "183500.00", 37)
    assert (month.top5_customer_ratio, month.red_invoice_ratio) == ("0.61", "0.021")
    assert answer.source_department == "example tax bureau"
    assert answer.as_of is not None
    assert answer.as_of.isoformat() == "2026-10-30T16:00:00+00:00"
    permit = a_permit("example", frozenset())
    assert permit.artefact is not None
    assert signed.artefacts == [permit.artefact.decode()] * 2
    assert len(set(signed.nonces)) == 2


async def test_an_answer_that_is_still_being_built_is_pending(signed: SignedStage, standard: Standard) -> None:
    signed.state = "BUILDING"
    adapter = signed.adapter(standard)
    answer = (await asked(adapter, "sales_invoice_monthly"))["sales_invoice_monthly"]
    await adapter.close()
    assert status(answer) == "PENDING"
    assert answer.resume_after is not None


OAUTH = """
[auth]
kind = "oauth2"
token_path = "/oauth/token"
scope = "credit"
"""


async def test_one_token_serves_all_calls_and_a_refused_one_is_renewed(
    stage: RestJsonStage, standard: Standard
) -> None:
    text = stage.file.read_text()
    stage.file.write_text(text.replace(text[text.index("[auth]") : text.index("[headers]")], OAUTH))
    (stage.folder / "client").write_text('{"client_id": "gateway", "client_secret": "not/real"}')
    tokens: list[str] = []

    async def grants(request: web.Request) -> web.StreamResponse:
        assert (await request.post())["scope"] == "credit"
        assert base64.b64decode(request.headers["Authorization"].removeprefix("Basic ")) == b"gateway:not%2Freal"
        tokens.append(f"token-{len(tokens)}")
        return web.json_response({"access_token": tokens[-1], "token_type": "Bearer", "expires_in": 3600})

    async def checks(request: web.Request) -> web.StreamResponse:
        if request.headers["Authorization"] != f"Bearer {tokens[-1]}" or len(tokens) == 1:
            return web.json_response({}, status=401)
        return web.json_response({"creditCode": stage.subject, "data": None, "total": 0})

    stage.always |= {"/oauth/token": grants, "/v1/data": checks}
    secrets = {"description": stage.file, "client": stage.folder / "client"}
    adapter = stage.adapter(standard, secrets=secrets)
    first = await asked(adapter, ARREARS, "platform_score")
    assert {(status(a), a.detail) for a in first.values()} == {("UNAVAILABLE", "401")}
    second = await asked(adapter, ARREARS, "platform_score")
    await adapter.close()
    assert {status(answer) for answer in second.values()} == {"NO_DATA"}
    assert tokens == ["token-0", "token-1"]


def touch(stage: RestJsonStage, text: str) -> None:
    """Write a description with a time of its own, as an editor would a moment later."""
    before = stage.file.stat().st_mtime_ns
    stage.file.write_text(text)
    os.utime(stage.file, ns=(before + 10**9, before + 10**9))


async def test_a_changed_file_takes_effect_and_a_bad_one_keeps_the_old(
    adapter: Adapter, stage: RestJsonStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOOK_AGAIN_S", 0.0)
    good = stage.file.read_text()
    assert (await asked(adapter, REGISTRATION))[REGISTRATION].mapping_version == "example-api-key/1"
    touch(stage, good.replace("example-api-key/1", "example-api-key/2"))
    assert (await asked(adapter, REGISTRATION))[REGISTRATION].mapping_version == "example-api-key/2"
    touch(stage, good.replace('as = "fen"', 'as = "cents"'))
    with structlog.testing.capture_logs() as logs:
        answers = [(await asked(adapter, REGISTRATION))[REGISTRATION] for _ in range(2)]
    assert [(status(a), a.mapping_version) for a in answers] == [("OK", "example-api-key/2")] * 2
    (told,) = logs
    assert told["event"] == "description_kept"
    line = next(n for n, text in enumerate(good.splitlines(), 1) if "balanceFen" in text)
    assert told["why"].startswith(f"platform.toml:{line}: as = one of")
    stage.file.unlink()
    assert status((await asked(adapter, REGISTRATION))[REGISTRATION]) == "OK"


async def test_a_question_under_way_keeps_the_description_it_began_with(
    adapter: Adapter, stage: RestJsonStage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "LOOK_AGAIN_S", 0.0)
    reached, go = asyncio.Event(), asyncio.Event()

    async def waits(request: web.Request) -> web.StreamResponse:
        reached.set()
        await go.wait()
        return await stage.answer(request)

    stage.script["/v1/data"] = [waits]
    first = asyncio.create_task(asked(adapter, REGISTRATION))
    await reached.wait()
    touch(stage, stage.file.read_text().replace("example-api-key/1", "example-api-key/2"))
    assert (await asked(adapter, REGISTRATION))[REGISTRATION].mapping_version == "example-api-key/2"
    go.set()
    assert (await first)[REGISTRATION].mapping_version == "example-api-key/1"
    assert status((await first)[REGISTRATION]) == "OK"


async def test_a_wrong_file_or_a_missing_secret_stops_the_start(stage: RestJsonStage, standard: Standard) -> None:
    config = stage.config()
    touch(stage, "schema = 1")
    with pytest.raises(AdapterNotLoadedError, match=r"platforms\.example: platform\.toml:1: schema: "):
        load_one(config, standard=standard, clock=SystemClock())
    touch(stage, "")
    with pytest.raises(AdapterNotLoadedError, match="required field `schema`"):
        load_one(config, standard=standard, clock=SystemClock())


async def test_the_key_is_nowhere_but_in_the_call(adapter: Adapter, stage: RestJsonStage) -> None:
    assert SECRET.decode() not in repr(adapter) + repr(vars(adapter))
    stage.always["*"] = stalls
    answers = await asyncio.wait_for(
        adapter.ask(a_permit("example", frozenset({ARREARS})), frozenset({ARREARS}), deadline=time.monotonic() + 0.2),
        timeout=30,
    )
    assert [status(answer) for answer in answers] == ["TIMEOUT"]
