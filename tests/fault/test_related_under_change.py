"""Related consents are taken away while questions rest on them: whatever a report covers was released with that report."""

from __future__ import annotations

import asyncio
import hashlib
import random
import time
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.kit.protocol import PlatformInfo
from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.credit_pb2 import QueryCreditRequest
from bashu.v1.items_pb2 import FinancingGuarantee
from bashu.v1.report_pb2 import CreditReport
from consent.model import Actor, ConsentFacts, HoldKind
from core.clock import SystemClock
from core.errors import BashuError
from core.permit import Permit
from gateway.database_time import DatabaseTime
from gateway.identity.model import Caller, InstitutionKind, Role
from gateway.pipeline import Answer, Engine, answer_query
from gateway.platform.disclosures import Disclosures
from gateway.platform.standing import Controls
from gateway.related import Related
from standards.answer import ItemAnswer, record_of
from standards.catalogue import load_standard
from tests.admission_stage import FIRM, Stage, open_stage
from tests.sandbox_stage import open_platforms

STANDARD = load_standard()
RING = ("91500105XXTT00114Y", "91510107XXTT00122T", "91500105XXTT00157C")
QUESTIONS = 60
BANK = Caller(
    participant_id="bank-cq",
    role=Role.LENDER,
    institution="bank-cq",
    institution_kind=InstitutionKind.BANK,
    kid="k",
    operator="op-1",
)


@dataclass(frozen=True, slots=True)
class RingAdapter:
    """Answers at once: who guarantees whom in the ring of three."""

    platform: PlatformInfo

    async def ask(self, permit: Permit, items: frozenset[str], *, deadline: float) -> list[ItemAnswer]:
        await asyncio.sleep(0)
        place = RING.index(permit.subject.identifier)
        ends = (("GIVEN", RING[(place + 1) % 3]), ("RECEIVED", RING[place - 1]))
        told = tuple(record_of(FinancingGuarantee(direction=way, counterparty_uscc=code)) for way, code in ends)
        platform = self.platform
        return [
            ItemAnswer(
                platform_id=platform.platform_id,
                region=platform.region,
                item=item,
                status=PlatformStatus.PLATFORM_STATUS_OK,
                records=told if item == "financing_guarantee" else (),
            )
            for item in items
        ]

    async def close(self) -> None:
        pass


@pytest.fixture
async def stage(fresh_database: Any, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


@pytest.fixture
async def engine(stage: Stage, tmp_path: Path) -> Engine:
    async with open_platforms(tmp_path) as platforms:
        infos = {name: adapter.platform for name, adapter in platforms.adapters.items()}
    parts: dict[str, Any] = {"admissions": stage.admissions, "releases": stage.releases, "clock": SystemClock()}
    return Engine(
        **parts,
        related=Related(stage.db, **parts, pseudonyms=stage.pseudonyms, standard=STANDARD),  # type: ignore[arg-type]
        adapters={name: RingAdapter(info) for name, info in infos.items()},
        controls=Controls(stage.registry, standard=STANDARD),  # type: ignore[arg-type]
        disclosures=Disclosures(stage.db, entries=stage.entries, time=DatabaseTime(SystemClock())),  # type: ignore[arg-type]
        standard=STANDARD,
        operator=GatewayOperator(),
    )


async def grant(stage: Stage, code: str, purpose: str) -> ConsentFacts:
    items = [{"id": "financing_guarantee", "necessity": "required"}]
    firm = replace(FIRM, identifier=code)
    return await stage.grant(subject=firm, purpose={"code": purpose}, data={"items": items})


async def ask(engine: Engine, own: ConsentFacts, related: list[ConsentFacts]) -> Answer | BashuError:
    request = QueryCreditRequest(
        request_id=str(uuid.uuid4()),
        consent_id=str(own.consent_id),
        related_consent_ids=[str(one.consent_id) for one in related],
        purpose="PRE_LOAN_REVIEW",
        application_reference="app-1",
    )
    request.subject.enterprise.unified_social_credit_code = RING[0]
    try:
        return await answer_query(engine, request, caller=BANK, deadline=time.monotonic() + 30)
    except BashuError as refused:
        return refused


async def test_whatever_a_report_covers_was_released_with_it_however_consents_end(stage: Stage, engine: Engine) -> None:
    chance = random.Random(7)
    under_way: list[ConsentFacts] = []
    answers: list[Answer | BashuError] = []

    async def asking() -> None:
        for _ in range(QUESTIONS // 6):
            own = await grant(stage, RING[0], "PRE_LOAN_REVIEW")
            related = [await grant(stage, code, "RELATED_PARTY_REVIEW") for code in RING[1:]]
            under_way.extend(related)
            answers.append(await ask(engine, own, related))

    async def taking() -> None:
        while len(answers) < QUESTIONS:
            await asyncio.sleep(0)
            if not under_way:
                continue
            ended = under_way.pop(chance.randrange(max(0, len(under_way) - 8), len(under_way)))
            await stage.consents.revoke(ended.consent_id, reason="SUBJECT_WISH", actor=Actor.SUBJECT)
            if chance.random() < 0.1:
                firm = replace(FIRM, identifier=chance.choice(RING[1:]))
                await stage.holds.lift(await stage.holds.place(firm, HoldKind.FREEZE, reason="X"))

    async with asyncio.TaskGroup() as group:
        for _ in range(6):
            group.create_task(asking())
        group.create_task(taking())

    released = {
        (entry["consent"]["id"], entry["report_digest"])
        for entry in await stage.entries_written()
        if entry["type"] == "RELEASE"
    }
    outcomes: dict[str, int] = {}
    for answer in answers:
        assert isinstance(answer, Answer), answer
        report, digest = CreditReport.FromString(answer.report), hashlib.sha256(answer.report).hexdigest()
        for one in report.guarantee_network.related_consents:
            outcomes[one.outcome] = outcomes.get(one.outcome, 0) + 1
            if one.outcome == "COVERED":
                assert (one.consent_id, digest) in released
            else:
                assert not one.unified_social_credit_code
        covered = {one.unified_social_credit_code for one in report.guarantee_network.related_consents}
        assert all(code in covered for code in RING[1:] if code.encode() in answer.report)
    assert outcomes["COVERED"]
    assert len(outcomes) > 1
    digests = {hashlib.sha256(answer.report).hexdigest() for answer in answers if isinstance(answer, Answer)}
    assert {digest for _, digest in released} == digests
    assert {row["state"] for row in await stage.intents()} <= {"RELEASED", "CLOSED"}
    assert await stage.check_log() == []
