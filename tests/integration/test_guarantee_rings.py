"""A guarantee ring over real platforms and a real database: found under the consents of its members, and only so."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.kit.protocol import Adapter, PlatformInfo
from bashu.v1.common_pb2 import GatewayOperator
from bashu.v1.credit_pb2 import QueryCreditRequest
from bashu.v1.report_pb2 import CreditReport, Evaluation
from consent.model import Actor, ConsentFacts, HoldKind
from core.clock import SystemClock
from core.errors import BashuError, Reason
from core.permit import Permit
from gateway.database_time import DatabaseTime
from gateway.identity.model import Caller, InstitutionKind, Role
from gateway.pipeline import Engine, answer_query
from gateway.platform.disclosures import Disclosures
from gateway.platform.standing import Controls
from gateway.related import Related
from standards.answer import ItemAnswer
from standards.catalogue import load_standard
from tests.admission_stage import FIRM, Stage, open_stage
from tests.sandbox_stage import open_platforms

STANDARD = load_standard()
NAMES = {
    "91500105XXTT00114Y": "重庆示例十一号汽配有限公司",
    "91510107XXTT00122T": "四川示例十二号机械有限公司",
    "91500105XXTT00157C": "重庆示例十五号贸易有限公司",
    "91510107XXTT00026H": "四川示例二号（成都）软件有限公司",
    "91500105XXTT00018M": "重庆示例一号机电有限公司",
}
A, B, C, GUARANTOR, GUARANTEED = NAMES
CARD_ITEMS = {item for rule in STANDARD.card.indicators for item in rule.items} | set(STANDARD.card.hard_stop_items)
ITEMS = sorted(CARD_ITEMS - {"platform_enquiry_count"})
BANK = Caller(
    participant_id="bank-cq",
    role=Role.LENDER,
    institution="bank-cq",
    institution_kind=InstitutionKind.BANK,
    kid="k",
    operator="op-1",
)
Before = Callable[[Permit], Awaitable[None]]


@dataclass(slots=True)
class Watched:
    """An adapter that lets a test do something before a subject is asked about, and remembers who was."""

    adapter: Adapter
    before: dict[str, Before] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    @property
    def platform(self) -> PlatformInfo:
        return self.adapter.platform

    async def ask(self, permit: Permit, items: frozenset[str], *, deadline: float) -> list[ItemAnswer]:
        self.asked.append(permit.subject.identifier)
        if before := self.before.pop(permit.subject.identifier, None):
            await before(permit)
        return await self.adapter.ask(permit, items, deadline=deadline)

    async def close(self) -> None:
        await self.adapter.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Stage, platforms and pipeline, with short ways to grant and to ask."""

    stage: Stage
    adapters: Mapping[str, Watched]
    engine: Engine

    async def grant(self, code: str, *, purpose: str = "RELATED_PARTY_REVIEW", **changes: Any) -> ConsentFacts:
        values = {
            "purpose": {"code": purpose},
            "data": {"items": [{"id": item, "necessity": "required"} for item in ["financing_guarantee"]]},
        }
        return await self.stage.grant(subject=replace(FIRM, identifier=code), **(values | changes))

    async def borrower(self, code: str = A) -> ConsentFacts:
        """A consent of the borrower itself, for everything the card reads."""
        items = [{"id": item, "necessity": "required"} for item in ITEMS]
        return await self.grant(code, purpose="PRE_LOAN_REVIEW", data={"items": items})

    def request(self, own: ConsentFacts, *related: str | ConsentFacts, code: str = A) -> QueryCreditRequest:
        request = QueryCreditRequest(
            request_id=str(uuid.uuid4()),
            consent_id=str(own.consent_id),
            related_consent_ids=[str(getattr(one, "consent_id", one)) for one in related],
            purpose="PRE_LOAN_REVIEW",
            application_reference="app-1",
            include_evaluation=True,
        )
        request.subject.enterprise.unified_social_credit_code = code
        request.subject.enterprise.name = NAMES[code]
        return request

    async def bytes_of(self, request: QueryCreditRequest, **more: Any) -> bytes:
        answer = await answer_query(self.engine, request, caller=BANK, deadline=time.monotonic() + 20, **more)
        return answer.report

    async def ask(self, own: ConsentFacts, *related: str | ConsentFacts, code: str = A) -> CreditReport:
        return CreditReport.FromString(await self.bytes_of(self.request(own, *related, code=code)))

    async def revoke(self, facts: ConsentFacts) -> None:
        await self.stage.consents.revoke(facts.consent_id, reason="SUBJECT_WISH", actor=Actor.SUBJECT)


@pytest.fixture
async def world(fresh_database: Any, tmp_path: Path) -> AsyncIterator[World]:
    async with open_stage(fresh_database, tmp_path) as stage, open_platforms(tmp_path) as platforms:
        adapters = {name: Watched(adapter) for name, adapter in platforms.adapters.items()}
        parts: dict[str, Any] = {"admissions": stage.admissions, "releases": stage.releases, "clock": SystemClock()}
        engine = Engine(
            **parts,
            related=Related(stage.db, **parts, pseudonyms=stage.pseudonyms, standard=STANDARD),  # type: ignore[arg-type]
            adapters=adapters,
            controls=Controls(stage.registry, standard=STANDARD),  # type: ignore[arg-type]
            disclosures=Disclosures(stage.db, entries=stage.entries, time=DatabaseTime(SystemClock())),  # type: ignore[arg-type]
            standard=STANDARD,
            operator=GatewayOperator(),
        )
        yield World(stage=stage, adapters=adapters, engine=engine)


def network(report: CreditReport) -> tuple[str, str, str, str]:
    """Result and in_ring of the network, value of XN02 and why it is missing."""
    one = next(i for i in report.evaluation.indicators if i.code == "XN02")
    return report.guarantee_network.result, report.evaluation.in_ring, one.value, one.missing


def outcomes(report: CreditReport) -> list[str]:
    return [one.outcome for one in report.guarantee_network.related_consents]


async def test_alone_the_ring_is_unknown_and_nobody_is_named(world: World) -> None:
    report = await world.ask(await world.borrower())
    assert network(report) == ("", "unknown", "", "NOT_GRANTED")
    assert not report.HasField("guarantee_network")
    assert not any(code.encode() in report.SerializeToString() for code in (B, C))


async def test_with_the_related_consents_it_is_a_ring_and_every_edge_says_who_told_it(world: World) -> None:
    report = await world.ask(await world.borrower(), await world.grant(B), await world.grant(C))
    assert network(report) == ("RING", "yes", "RING", "")
    found = report.guarantee_network
    assert outcomes(report) == ["COVERED", "COVERED"]
    assert [list(ring.unified_social_credit_codes) for ring in found.rings] == [[A, B, C]]
    assert found.uncovered_guarantees == 0
    edges = {(e.guarantor_uscc, e.guaranteed_uscc): e for e in found.edges}
    assert set(edges) == {(A, B), (B, C), (C, A)}
    told = {ends: sorted({source.platform_id for source in e.sources}) for ends, e in edges.items()}
    assert told == {
        (A, B): ["chongqing", "sichuan"],
        (B, C): ["chongqing", "sichuan"],
        (C, A): ["chongqing"],
    }
    own = {
        r.record_id: r.financing_guarantee.counterparty_uscc
        for r in report.records
        if r.data_item == "financing_guarantee"
    }
    assert {own[record_id] for record_id in edges[A, B].record_ids} == {B}
    assert not edges[B, C].record_ids
    assert not any(code in report.evaluation.written_reasons_zh for code in (B, C, NAMES[B], NAMES[C]))
    assert set(next(i for i in report.evaluation.indicators if i.code == "XN02").record_ids) == set(own)


async def test_over_an_uncovered_firm_the_ring_stays_unknown_and_that_firm_unnamed(world: World) -> None:
    report = await world.ask(await world.borrower(), await world.grant(B))
    assert network(report) == ("", "unknown", "", "NOT_GRANTED")
    assert report.guarantee_network.uncovered_guarantees == 2
    assert C.encode() not in report.SerializeToString()
    assert B.encode() in report.SerializeToString()


async def test_a_guarantor_of_a_covered_firm_alone_is_in_a_chain(world: World) -> None:
    own = await world.borrower(GUARANTOR)
    report = await world.ask(own, await world.grant(GUARANTEED), code=GUARANTOR)
    assert network(report) == ("CHAIN", "no", "CHAIN", "")


async def test_anothers_consent_reads_as_one_that_does_not_exist(world: World) -> None:
    others = await world.grant(B, requester={"institution": "bank-sc"})
    report = await world.ask(await world.borrower(), others, str(uuid.uuid4()), await world.grant(C))
    assert outcomes(report) == ["CONSENT_NOT_FOUND_OR_NOT_YOURS"] * 2 + ["COVERED"]
    first, second, _ = report.guarantee_network.related_consents
    assert [first.consent_id, second.consent_id] != ["", ""]
    assert not any(one.ListFields()[2:] for one in (first, second))
    assert B.encode() not in report.SerializeToString()
    assert B not in world.adapters["sichuan"].asked
    denied = [e for e in await world.stage.entries_written() if e["type"] == "QUERY_DENIED"]
    assert [e["decision"]["reason"] for e in denied] == ["CONSENT_NOT_FOUND_OR_NOT_YOURS"]


async def test_a_related_consent_that_is_refused_fails_nothing_and_says_why(world: World) -> None:
    revoked, elsewhere, spent = await world.grant(B), await world.grant(GUARANTEED), await world.grant(C)
    await world.revoke(revoked)
    report = await world.ask(await world.borrower(), revoked, elsewhere, spent)
    assert outcomes(report) == ["CONSENT_REVOKED", "NOT_REACHED", "COVERED"]
    assert network(report)[1] == "unknown"
    assert GUARANTEED not in world.adapters["chongqing"].asked


async def test_a_consent_of_no_use_does_not_tell_whether_its_subject_is_related(world: World) -> None:
    both = [await world.grant(B), await world.grant(GUARANTEED)]
    own = await world.borrower()
    for one in both:
        await world.revoke(one)
    assert outcomes(await world.ask(own, *both)) == ["CONSENT_REVOKED"] * 2
    spent = [await world.grant(code, purpose="POST_LOAN_MANAGEMENT") for code in (B, GUARANTEED)]
    assert outcomes(await world.ask(own, *spent)) == ["PURPOSE_MISMATCH"] * 2
    both = [await world.grant(B), await world.grant(GUARANTEED)]
    for code in (B, GUARANTEED):
        await world.stage.holds.place(replace(FIRM, identifier=code), HoldKind.FREEZE, reason="X")
    assert outcomes(await world.ask(own, *both)) == ["SUBJECT_FROZEN"] * 2
    denied = [e["decision"]["reason"] for e in await world.stage.entries_written() if e["type"] == "QUERY_DENIED"]
    assert sorted(denied) == ["CONSENT_REVOKED"] * 2 + ["PURPOSE_MISMATCH"] * 2 + ["SUBJECT_FROZEN"] * 2
    assert not {B, GUARANTEED} & {*world.adapters["chongqing"].asked, *world.adapters["sichuan"].asked}


async def test_a_consent_for_something_else_covers_nothing(world: World) -> None:
    report = await world.ask(await world.borrower(), await world.grant(B, purpose="POST_LOAN_MANAGEMENT"))
    assert outcomes(report) == ["PURPOSE_MISMATCH"]
    items = {"items": [{"id": "tax_payment", "necessity": "required"}]}
    report = await world.ask(await world.borrower(), await world.grant(B, data=items))
    assert outcomes(report) == ["SCOPE_EXCEEDED"]


async def test_of_two_consents_about_one_firm_only_the_first_is_used(world: World) -> None:
    first, second = await world.grant(B), await world.grant(B)
    assert outcomes(await world.ask(await world.borrower(), first, second)) == ["COVERED", "ALREADY_ASKED"]
    assert [(await world.stage.facts(one)).used for one in (first, second)] == [1, 0]


async def test_each_related_consent_has_its_own_intent_use_and_release_of_the_same_report(world: World) -> None:
    consents = [await world.borrower(), await world.grant(B, purpose="GUARANTOR_REVIEW"), await world.grant(C)]
    await world.ask(*consents)
    entries = await world.stage.entries_written()
    intents = [e for e in entries if e["type"] == "QUERY_INTENT"]
    releases = [e for e in entries if e["type"] == "RELEASE"]
    assert {e["consent"]["id"] for e in intents} == {str(one.consent_id) for one in consents}
    assert {e["consent"]["id"] for e in releases} == {str(one.consent_id) for one in consents}
    assert len({e["intent"]["request"] for e in intents}) == len(intents) == len(releases) == 3
    assert len({e["report_digest"] for e in releases}) == 1
    assert [(await world.stage.facts(one)).used for one in consents] == [1, 1, 1]
    rows = await world.stage.intents()
    assert {row["purpose"] for row in rows} == {"PRE_LOAN_REVIEW", "GUARANTOR_REVIEW", "RELATED_PARTY_REVIEW"}
    assert {row["state"] for row in rows} == {"RELEASED"}
    assert not any(code in json.dumps(entries, ensure_ascii=False) for code in NAMES)
    assert await world.stage.check_log() == []


async def test_the_related_firm_is_asked_only_about_its_guarantees_and_what_is_public(world: World) -> None:
    await world.ask(await world.borrower(), await world.grant(B))
    row = next(row for row in await world.stage.intents() if row["purpose"] == "RELATED_PARTY_REVIEW")
    items = {target.split("/")[1] for target in row["targets"]}
    assert items == {"financing_guarantee", *STANDARD.card.hard_stop_items}


async def test_a_related_consent_revoked_while_platforms_answer_takes_its_edges_with_it(world: World) -> None:
    own, of_b, of_c = await world.borrower(), await world.grant(B), await world.grant(C)
    world.adapters["sichuan"].before[B] = lambda _permit: world.revoke(of_b)
    report = await world.ask(own, of_b, of_c)
    assert outcomes(report) == ["CONSENT_REVOKED", "COVERED"]
    assert network(report)[1] == "unknown"
    assert B.encode() not in report.SerializeToString()
    assert [e.guaranteed_uscc for e in report.guarantee_network.edges] == [A]
    entries = await world.stage.entries_written()
    closings = {e["consent"]["id"]: e["type"] for e in entries if e["type"] in {"RELEASE", "RELEASE_WITHHELD"}}
    assert closings == {
        str(own.consent_id): "RELEASE",
        str(of_b.consent_id): "RELEASE_WITHHELD",
        str(of_c.consent_id): "RELEASE",
    }
    assert await world.stage.check_log() == []


async def test_the_questions_own_consent_revoked_meanwhile_closes_every_intent(world: World) -> None:
    own, of_b = await world.borrower(), await world.grant(B)
    world.adapters["sichuan"].before[B] = lambda _permit: world.revoke(own)
    with pytest.raises(BashuError) as refused:
        await world.ask(own, of_b)
    assert refused.value.reason is Reason.CONSENT_REVOKED
    closed = {row["consent_id"]: (row["state"], row["closed_reason"]) for row in await world.stage.intents()}
    assert closed == {
        own.consent_id: ("CLOSED", "CONSENT_REVOKED"),
        of_b.consent_id: ("CLOSED", "REVISION_CHANGED"),
    }
    assert "RELEASE" not in await world.stage.types()
    assert await world.stage.check_log() == []


async def test_a_related_firm_whose_platforms_are_gone_is_not_covered(world: World) -> None:
    async def gone(_permit: Permit) -> None:
        raise RuntimeError

    own, of_b = await world.borrower(), await world.grant(B)
    for adapter in world.adapters.values():
        adapter.before[B] = gone
    report = await world.ask(own, of_b)
    assert outcomes(report) == ["PLATFORMS_UNAVAILABLE"]
    assert B.encode() not in report.SerializeToString()
    assert "FAILED" in await world.stage.types()
    assert await world.stage.check_log() == []


async def test_the_evaluation_alone_says_what_the_related_consents_brought(world: World) -> None:
    request = world.request(await world.borrower(), await world.grant(B), await world.grant(C))
    content = await world.bytes_of(request, evaluation_alone=True)
    evaluation = Evaluation.FromString(content)
    assert (evaluation.in_ring, evaluation.guarantee_network.result) == ("yes", "RING")


async def test_a_repeat_asks_the_related_firms_again_and_costs_no_use(world: World) -> None:
    own, of_b, of_c = await world.borrower(), await world.grant(B), await world.grant(C)
    request = world.request(own, of_b, of_c)
    await world.bytes_of(request)
    request.resend_all = True
    report = CreditReport.FromString(await world.bytes_of(request))
    assert network(report)[0] == "RING"
    assert [one.attempt for one in report.guarantee_network.related_consents] == [2, 2]
    assert [(await world.stage.facts(one)).used for one in (own, of_b, of_c)] == [1, 1, 1]
    assert await world.stage.check_log() == []


@pytest.mark.parametrize(
    "wrong", ["nine of them", "twice the same", "the question's own", "without a consent", "no id"]
)
async def test_what_cannot_be_meant_is_malformed_and_says_where(world: World, wrong: str) -> None:
    own, of_b = await world.borrower(), await world.grant(B)
    request = world.request(own, of_b)
    match wrong:
        case "nine of them":
            request.related_consent_ids.extend(str(uuid.uuid4()) for _ in range(8))
        case "twice the same":
            request.related_consent_ids.append(str(of_b.consent_id))
        case "the question's own":
            request.related_consent_ids.append(str(own.consent_id))
        case "without a consent":
            request.consent_id, request.legal_basis = "", "条例 Art. 13"
            request.data_items.append("enterprise_registration")
        case _:
            request.related_consent_ids.append("not-an-id")
    with pytest.raises(BashuError) as refused:
        await world.bytes_of(request)
    assert (refused.value.reason, refused.value.field) == (Reason.MALFORMED, "related_consent_ids")
    assert not any(adapter.asked for adapter in world.adapters.values())
