"""The platform operator's own controls, over gRPC and mutual TLS: admit by two, stop by one, hint instead of tell."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from bashu.client import Bashu, new_request_id
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import platform_pb2, standard_pb2
from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import COMPLETENESS_EMPTY
from core.clock import SHANGHAI
from loadtest.observation import books, ledger_reader, until
from loadtest.questions import question
from loadtest.stack import Stack
from standards.catalogue import load_standard
from standards.items import ENQUIRY_COUNT

SUBJECT = "91500105XXTT00018M"
DEBTOR = "91500105XXTT00034B"
LENDER = "bank-cq"
Consented = Callable[..., Awaitable[str]]


class Operator:
    """One person of a platform's operator."""

    def __init__(self, client: Bashu, platform_id: str) -> None:
        self._client = client
        self.platform_id = platform_id

    async def state(self, state: str, lender: str = "") -> None:
        request = platform_pb2.SetPlatformStateRequest(platform_id=self.platform_id, lender=lender, state=state)
        await self._client.call(lambda rpcs: rpcs.platform.SetPlatformState, request)

    async def admit(self, **fields: Any) -> platform_pb2.PlatformAccess:
        request = platform_pb2.SetPlatformAccessRequest(platform_id=self.platform_id, **fields)
        return (await self._client.call(lambda rpcs: rpcs.platform.SetPlatformAccess, request)).access

    async def access(self, lender: str) -> platform_pb2.PlatformAccess:
        request = platform_pb2.ListPlatformAccessRequest(platform_id=self.platform_id)
        answer = await self._client.call(lambda rpcs: rpcs.platform.ListPlatformAccess, request)
        return next(access for access in answer.accesses if access.lender == lender)


@pytest.fixture
async def persons(stack: Stack) -> AsyncIterator[tuple[Operator, Operator]]:
    """Two persons of chongqing's operator; whatever a test did, the platform serves the lender again afterwards."""
    profile = Profile.of_dev_stack(stack.state, "platform-cq")
    first_number, second_number = stack.participants["platform-cq"].staff[:2]
    async with (
        Bashu(replace(profile, operator=first_number)) as one,
        Bashu(replace(profile, operator=second_number)) as two,
    ):
        first, second = Operator(one, "chongqing"), Operator(two, "chongqing")
        before = await first.access(LENDER)
        yield first, second
        await first.state("RUNNING")
        await first.state("RUNNING", LENDER)
        for person in (first, second):
            await person.admit(**granted(before))
        assert (await first.access(LENDER)).confirmed


def granted(access: platform_pb2.PlatformAccess, **changes: Any) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "lender": access.lender,
        "data_items": list(access.data_items),
        "purposes": list(access.purposes),
        "export_policy": access.export_policy,
        "daily_quota": access.daily_quota,
        "valid_to": access.valid_to,
    }
    return fields | changes


async def asked(bank: Bashu, consent_id: str) -> dict[str, tuple[str, str]]:
    """Status and detail of chongqing's items, and whether sichuan answered."""
    answer = await bank.query_credit(question(SUBJECT, consent_id))
    found = {}
    for result in answer.report.platform_results:
        if result.platform_id == "chongqing":
            found[result.data_item] = (str(result.status), result.detail)
    found["sichuan"] = (str(any(s.platform_id == "sichuan" for s in answer.report.sources)), "")
    return found


async def test_a_stopped_platform_is_not_asked_and_the_other_still_is(
    bank: Bashu, consented: Consented, persons: tuple[Operator, Operator], stack: Stack
) -> None:
    first, _ = persons
    consent_id = await consented()
    await first.state("STOPPED")
    before = len((await books(stack))["chongqing"]["enquiries"])
    found = await asked(bank, consent_id)
    assert found["enterprise_registration"][1] == "PLATFORM_STOPPED"
    assert found["sichuan"][0] == "True"
    assert len((await books(stack))["chongqing"]["enquiries"]) == before
    await first.state("RUNNING")
    assert (await asked(bank, consent_id))["enterprise_registration"][1] == ""


async def test_health_says_what_was_seen_and_before_it_what_was_decided(
    persons: tuple[Operator, Operator], bank: Bashu, consented: Consented
) -> None:
    async def platforms() -> dict[str, standard_pb2.Platform]:
        request = standard_pb2.ListPlatformsRequest()
        answer = await bank.call(lambda rpcs: rpcs.standard.ListPlatforms, request)
        return {one.platform_id: one for one in answer.platforms}

    await asked(bank, await consented())
    seen = (await platforms())["chongqing"]
    assert seen.state == "healthy"
    assert 0 < seen.latency_p50.ToMilliseconds() <= seen.latency_p99.ToMilliseconds()
    await persons[0].state("MAINTENANCE")
    await until(lambda: _is(platforms, "maintenance"), within_s=10, what="the decided state")


async def _is(platforms: Callable[[], Awaitable[dict[str, standard_pb2.Platform]]], state: str) -> bool:
    return (await platforms())["chongqing"].state == state


async def test_a_stopped_lender_is_refused_and_goes_on_with_what_it_had(
    bank: Bashu, consented: Consented, persons: tuple[Operator, Operator]
) -> None:
    first, _ = persons
    consent_id = await consented()
    await first.state("STOPPED", LENDER)
    assert (await first.access(LENDER)).stopped
    with pytest.raises(BashuCallError) as refused:
        await asked(bank, consent_id)
    assert refused.value.reason == "LENDER_NOT_ADMITTED"
    await first.state("RUNNING", LENDER)
    assert (await asked(bank, consent_id))["enterprise_registration"][1] == ""


async def test_admission_takes_two_persons_who_say_the_same(
    bank: Bashu, consented: Consented, persons: tuple[Operator, Operator]
) -> None:
    first, second = persons
    before = await first.access(LENDER)
    hint = granted(before, export_policy=platform_pb2.EXPORT_POLICY_DERIVED)
    assert not (await first.admit(**hint)).confirmed
    assert not (await first.admit(**hint)).confirmed  # the same person again is still one person
    assert (await first.access(LENDER)).export_policy == before.export_policy
    assert not (await second.admit(**granted(before, daily_quota=1))).confirmed  # another wish starts anew
    assert not (await first.admit(**hint)).confirmed
    assert (await second.admit(**hint)).confirmed
    consent_id = await consented()
    answer = await bank.query_credit(question(SUBJECT, consent_id))
    chongqing = {s.source_id for s in answer.report.sources if s.platform_id == "chongqing"}
    theirs = {r.data_item or r.WhichOneof("body") for r in answer.report.records if set(r.source_ids) <= chongqing}
    assert theirs <= {"tax_credit_grade", "public_credit_evaluation", "platform_score"}
    details = {r.detail for r in answer.report.platform_results if r.platform_id == "chongqing"}
    assert "DERIVED COUNT 1" in details


@pytest.mark.parametrize("policy", [platform_pb2.EXPORT_POLICY_VERIFY_ONLY, platform_pb2.EXPORT_POLICY_DERIVED])
async def test_a_dishonest_debtor_that_its_platform_keeps_back_gets_no_grade(
    bank: Bashu, consented: Consented, persons: tuple[Operator, Operator], policy: platform_pb2.ExportPolicy.ValueType
) -> None:
    first, second = persons
    card = load_standard().card
    items = {item for rule in card.indicators for item in rule.items} | {*card.hard_stop_items}
    asked = question(DEBTOR, await consented(identifier=DEBTOR, items=sorted(items - {ENQUIRY_COUNT})))
    asked.include_evaluation = True
    told = (await bank.query_credit(asked)).report
    assert told.evaluation.grade == "XYD-S"
    hint = granted(await first.access(LENDER), export_policy=policy)
    await first.admit(**hint)
    assert (await second.admit(**hint)).confirmed
    asked.request_id = new_request_id()
    report = (await bank.query_credit(asked)).report
    held = {r.data_item for r in report.platform_results if r.platform_id == "chongqing" and r.held_back_records}
    assert {"dishonest_judgment_debtor", "enterprise_registration"} <= held
    assert "dishonest_judgment_debtor" not in {record.data_item for record in report.records}
    evaluation = report.evaluation
    assert (evaluation.grade, evaluation.no_grade_reason) == ("XYD-N", "NOT_ANSWERED")
    assert not evaluation.HasField("score")
    assert report.completeness != COMPLETENESS_EMPTY


async def test_a_lender_s_questions_of_a_day_are_counted_and_the_rest_is_not_sent(
    bank: Bashu, consented: Consented, persons: tuple[Operator, Operator], stack: Stack
) -> None:
    first, second = persons
    limited = granted(await first.access(LENDER), daily_quota=1)
    await first.admit(**limited)
    assert (await second.admit(**limited)).confirmed
    consent_id = await consented()
    assert (await asked(bank, consent_id))["enterprise_registration"][1] == ""
    before = len((await books(stack))["chongqing"]["enquiries"])
    found = await asked(bank, consent_id)
    status = str(PlatformStatus.PLATFORM_STATUS_QUOTA_EXHAUSTED)
    assert found["enterprise_registration"] == (status, "LENDER_DAILY_QUOTA")
    assert found["sichuan"][0] == "True"
    assert len((await books(stack))["chongqing"]["enquiries"]) == before
    assert (await first.access(LENDER)).daily_quota_taken == 1


async def test_every_decision_is_an_entry(persons: tuple[Operator, Operator], stack: Stack) -> None:
    first, _ = persons
    counted = "SELECT count(*) FROM ledger_entry WHERE convert_from(body, 'UTF8') LIKE '%PLATFORM_EVENT%'"
    async with ledger_reader(stack) as db:
        before = await db.fetchval(counted)
        await first.state("DRAINING")
        await first.state("STOPPED", LENDER)
        await first.admit(lender=LENDER, export_policy=platform_pb2.EXPORT_POLICY_VERIFY_ONLY)
        assert await db.fetchval(counted) == before + 3


async def test_a_day_of_real_enquiries_agrees_with_the_platform_s_own_book(
    bank: Bashu, consented: Consented, persons: tuple[Operator, Operator], stack: Stack
) -> None:
    await bank.query_credit(question(SUBJECT, await consented()))
    book = (await books(stack))["chongqing"]["enquiries"]
    (*_, line) = book
    day = datetime.fromisoformat(line["at"]).astimezone(SHANGHAI).date().isoformat()
    request = platform_pb2.ReconcileDayRequest(platform_id="chongqing", date=day)
    answer = await persons[0]._client.call(lambda rpcs: rpcs.platform.ReconcileDay, request)
    assert answer.both > 0
    # The checks of adapters and of links ask platforms without a query: the platform has these lines alone.
    async with ledger_reader(stack) as db:
        intents = {row["leaf_hash"].hex() for row in await db.fetch("SELECT leaf_hash FROM ledger_entry")}
    unasked = sorted(line["key"] for line in book if line["evidence"] not in intents)
    assert sorted(answer.only_there) == unasked
    assert (answer.only_here_count, answer.only_there_count, answer.different_count) == (0, len(unasked), 0)
    assert f"/reconciliation\nchongqing\n{day}\n{answer.both} 0 {len(unasked)} 0\n".encode() in answer.signature
    for command in (
        ["bashu", "platform", "reconcile", "chongqing", day, "--dev", str(stack.state), "--as", "platform-cq"],
        ["bashu-gateway", "reconcile", "chongqing", day, "--settings", str(stack.state / "gateway.toml")],
    ):
        program = [str(Path(sys.executable).with_name(command[0])), *command[1:]]
        done = await asyncio.to_thread(subprocess.run, program, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode in {0, 1}, done.stderr
        assert re.search(rf"一致 agree[ │]+{answer.both}\b", done.stdout)


async def test_another_platform_is_as_if_it_were_not_there(persons: tuple[Operator, Operator]) -> None:
    first, _ = persons
    stranger = Operator(first._client, "sichuan")
    for call in (stranger.state("STOPPED"), stranger.access(LENDER), stranger.admit(lender=LENDER, export_policy=1)):
        with pytest.raises(BashuCallError) as refused:
            await call
        assert refused.value.reason == "NOT_FOUND_OR_NOT_YOURS"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"data_items": ["nothing"]}, "UNKNOWN_DATA_ITEM"),
        ({"purposes": ["MARKETING"]}, "PURPOSE_MISSING"),
        ({"valid_to": "2026-02-30"}, "MALFORMED"),
        ({"valid_to": "2020-01-01"}, "MALFORMED"),
        ({"lender": "nobody"}, "NOT_FOUND_OR_NOT_YOURS"),
        ({"export_policy": 0}, "MALFORMED"),
    ],
)
async def test_a_wrong_wish_is_named(persons: tuple[Operator, Operator], fields: dict[str, Any], reason: str) -> None:
    first, _ = persons
    with pytest.raises(BashuCallError) as refused:
        await first.admit(**({"lender": LENDER, "export_policy": platform_pb2.EXPORT_POLICY_VALUES} | fields))
    assert refused.value.reason == reason


async def test_a_lender_is_running_or_stopped(persons: tuple[Operator, Operator]) -> None:
    first, _ = persons
    for state, lender in (("DRAINING", LENDER), ("ASLEEP", "")):
        with pytest.raises(BashuCallError) as refused:
            await first.state(state, lender)
        assert refused.value.reason == "MALFORMED"


async def test_what_a_platform_sent_too_much_is_told_to_its_operator(
    bank: Bashu, consented: Consented, persons: tuple[Operator, Operator], stack: Stack
) -> None:
    first, _ = persons
    await asked(bank, await consented())
    request = platform_pb2.ListDisclosureFindingsRequest(platform_id="chongqing")

    async def told() -> bool:
        answer = await first._client.call(lambda rpcs: rpcs.platform.ListDisclosureFindings, request)
        return any(f.kind == "CLASS_3" and f.count > 0 and f.data_item for f in answer.findings)

    await until(told, within_s=30, what="a finding of personal values")
    event = "SELECT count(*) FROM ledger_entry WHERE convert_from(body, 'UTF8') LIKE '%OVER_DISCLOSURE%chongqing%'"
    other = "SELECT count(*) FROM ledger_entry WHERE convert_from(body, 'UTF8') LIKE '%chongqing%OVER_DISCLOSURE%'"
    async with ledger_reader(stack) as db:
        assert await db.fetchval(event) + await db.fetchval(other) > 0
