"""The suite that `bashu-gateway adapter check` runs, run here for every adapter we ship against its running platform."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from adapters.kit.config import PlatformConfig
from adapters.suite.bench import Firm, Plan
from adapters.suite.run import FACTS, Outcome, Result, check, name_of, verdict
from core.clock import SystemClock
from sandbox.app import Settings, running
from standards.catalogue import load_standard
from tests.platform_stage import NAME, SUBJECT, Stage, a_config
from tests.rest_json_stage import REGISTRATION_JSON, RestJsonStage

FIRST = Firm(code=SUBJECT, name=NAME)
SECOND = Firm(code="91510107XXTT00026H", name="四川示例二号（成都）软件有限公司")
THIRD = Firm(code="91500105XXTT00034B", name="重庆示例三号商贸有限公司")
NOBODY = Firm(code="91500105XXTT99995E")


def a_plan(config: PlatformConfig, **changes: object) -> Plan:
    plan = Plan(
        config=config,
        standard=load_standard(),
        subject=FIRST,
        other=SECOND,
        unknown=NOBODY,
        institution="bank-cq",
        purpose="PRE_LOAN_REVIEW",
        artefact=lambda firm: f"eyJub3QiOiJyZWFsIn0.{firm.code}.not-a-signature".encode(),
    )
    return replace(plan, **changes)  # type: ignore[arg-type]


@asynccontextmanager
async def sandbox_plan(folder: Path, platform: str) -> AsyncIterator[Plan]:
    """The platform as `bashu-gateway dev` runs it, and its own books."""
    settings = Settings(state=folder, tls=None, seed=1, enterprises=1, persons=0)
    async with running(settings, SystemClock()) as addresses:
        made = json.loads((folder / "sandbox.json").read_bytes())
        stage = Stage(folder=folder, platform_id=platform, url=made["platforms"][platform])
        if platform == "chongqing":
            known = json.loads(Path(made["credentials"]["chongqing"]).read_bytes())
            (folder / "hmac").write_text(known["secret"])
            secrets = {"hmac_key": folder / "hmac", "qm_keys": Path(made["chongqing_keys"])}
            config = a_config(stage, secrets=secrets, options={"caller_code": known["jgdm"]})
        else:
            secrets = {
                "credentials": Path(made["credentials"]["sichuan"]),
                "private_key": Path(made["credentials"]["sichuan_private_key"]),
            }
            config = a_config(stage, secrets=secrets, options={"key_id": "sc-env-1"})

        async def marks() -> int:
            async with aiohttp.ClientSession() as http, http.get(f"{addresses.control}/control/books") as answer:
                return len((await answer.json())[platform]["enquiries"])

        yield a_plan(config, marks=marks, other=THIRD if platform == "chongqing" else SECOND)


@dataclass
class TwoFirms(RestJsonStage):
    """A platform of plain JSON that knows two firms."""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        code = request.query.get("code", "")
        if code not in {FIRST.code, SECOND.code}:
            return web.json_response({"code": 0}, status=404)
        self.subject = code
        name = FIRST.name if code == FIRST.code else SECOND.name
        self.kinds = {"registration": REGISTRATION_JSON | {"name": name}}
        return await super().answer(request)


@asynccontextmanager
async def json_plan(folder: Path) -> AsyncIterator[Plan]:
    stage = TwoFirms(folder=folder)
    # The page's own limits would pace the suite, not test it.
    stage.file.write_text(stage.file.read_text() + "\n[limits]\nper_second = 1000\nburst = 1000\n")
    await stage.start()

    async def marks() -> int:
        return len(stage.marks)

    yield a_plan(stage.config(), marks=marks)
    await stage.stop()


@asynccontextmanager
async def plan_of(adapter: str, folder: Path) -> AsyncIterator[Plan]:
    async with json_plan(folder) if adapter == "rest_json" else sandbox_plan(folder, adapter) as plan:
        yield plan


TLS_ALONE = {"改动一字节被发现"}
"""What cannot be checked at a platform whose answers only TLS protects."""


@pytest.mark.parametrize("adapter", ["chongqing", "sichuan", "rest_json"])
async def test_every_fact_holds_for_each_adapter_we_ship(adapter: str, tmp_path: Path) -> None:
    async with plan_of(adapter, tmp_path) as plan:
        found = await verdict(plan)
    assert [(r.number, r.seen) for r in found.failed] == []
    unchecked = {r.name_zh for r in found.results if r.outcome is Outcome.NOT_CHECKED}
    assert unchecked == (TLS_ALONE if adapter == "rest_json" else set())
    assert found.grade == ("B" if adapter == "rest_json" else "A")


def test_there_are_at_least_40_facts_numbered_in_order() -> None:
    named = [name_of(fact) for fact in FACTS]
    assert [number for number, _, _ in named] == list(range(1, len(FACTS) + 1))
    assert len(FACTS) >= 40
    assert all(zh and text.endswith(".") for _, zh, text in named)
    assert len({zh for _, zh, _ in named}) == len(FACTS)


@asynccontextmanager
async def broken_file(folder: Path, before: str, after: str) -> AsyncIterator[Plan]:
    async with json_plan(folder) as plan:
        file = plan.config.secrets["description"]
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after))
        yield plan


async def failing(plan: Plan, *names: str) -> dict[str, Result]:
    facts = [fact for fact in FACTS if fact.__name__ in names]
    assert len(facts) == len(names)
    results = [result async for result in check(plan, facts=facts)]
    return {fact.__name__: result for fact, result in zip(facts, results, strict=True)}


async def test_an_adapter_that_takes_anybodys_answer_is_found(tmp_path: Path) -> None:
    fact = "another_subjects_answer_is_refused"
    async with broken_file(tmp_path, 'subject = "creditCode"', 'subject = "asked"') as plan:
        # A platform that echoes who was asked about: the adapter believes it, whoever the data are about.
        results = await failing(plan, "subject_is_found", fact)
    assert results["subject_is_found"].outcome is Outcome.FAILS


async def test_an_adapter_that_reads_a_refusal_as_nothing_found_is_caught(tmp_path: Path) -> None:
    lax = '[[error]]\nstatus = 403\nfailure = "NOT_FOUND"\n\n[[error]]\nstatus = 429'
    async with broken_file(tmp_path, "[[error]]\nstatus = 429", lax) as plan:
        results = await failing(plan, "a_refusal_is_a_refusal", "too_many_calls_is_a_status")
    assert results["a_refusal_is_a_refusal"].outcome is Outcome.FAILS
    assert "NO_DATA" in results["a_refusal_is_a_refusal"].seen
    assert results["too_many_calls_is_a_status"].outcome is Outcome.HOLDS


async def test_an_adapter_that_makes_every_question_a_new_mark_is_caught(tmp_path: Path) -> None:
    async with broken_file(tmp_path, 'path = "/v1/data"', 'path = "/v1/data"') as plan:
        marks = 0

        async def growing() -> int:
            nonlocal marks
            marks += 2
            return marks

        results = await failing(replace(plan, marks=growing), "a_repeat_leaves_no_second_mark")
    assert results["a_repeat_leaves_no_second_mark"].seen == "2 enquiries in the platform's books"


async def test_a_number_of_a_person_in_a_text_is_caught(tmp_path: Path) -> None:
    async with broken_file(tmp_path, 'legal_rep_name = "legalPerson"', 'legal_rep_name = "phone"') as plan:
        REGISTRATION_JSON["phone"] = "13800000000"
        try:
            results = await failing(plan, "no_number_of_a_person", "subject_is_found")
        finally:
            del REGISTRATION_JSON["phone"]
    assert results["no_number_of_a_person"].outcome is Outcome.FAILS
    assert "13800000000" not in results["no_number_of_a_person"].seen
