"""The pipeline without its platforms: nobody listens, an adapter raises, overstays, or says nothing."""

from __future__ import annotations

import asyncio
import dataclasses
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.kit.protocol import Adapter, PlatformInfo
from bashu.v1 import common_pb2, credit_pb2, report_pb2
from core.clock import SystemClock
from core.errors import BashuError, Reason
from core.permit import Permit
from gateway.database_time import DatabaseTime
from gateway.identity.model import Caller, InstitutionKind, Role
from gateway.pipeline import Engine, answer_query
from gateway.platform.disclosures import Disclosures
from gateway.platform.standing import Controls
from gateway.related import Related
from loadtest.questions import question
from standards.answer import ItemAnswer
from tests.admission_stage import GRANTED, STANDARD, USCC, Stage, open_stage
from tests.platform_stage import ChongqingStage, SichuanStage

BANK = Caller(
    participant_id="bank-cq",
    role=Role.LENDER,
    institution="bank-cq",
    institution_kind=InstitutionKind.BANK,
    kid="k",
    operator="op-1",
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class WrongAdapter:
    """An adapter of a third party that does not keep to the protocol; ``how`` is what it does instead."""

    platform: PlatformInfo
    how: str

    async def ask(self, permit: Permit, items: frozenset[str], *, deadline: float) -> list[ItemAnswer]:
        if self.how == "raises":
            raise RuntimeError("91500105XXTT00018M")
        if self.how == "overstays":
            await asyncio.Event().wait()
        return []

    async def close(self) -> None:
        pass


@pytest.fixture
async def stage(fresh_database: Any, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


@pytest.fixture
async def gone(tmp_path: Path) -> AsyncIterator[dict[str, Adapter]]:
    """Both adapters, with addresses where nobody listens."""
    adapters = {made.platform_id: made.adapter(STANDARD) for made in (ChongqingStage(tmp_path), SichuanStage(tmp_path))}
    yield adapters
    for adapter in adapters.values():
        await adapter.close()


def engine(stage: Stage, adapters: dict[str, Adapter]) -> Engine:
    return Engine(
        admissions=stage.admissions,
        releases=stage.releases,
        related=Related(
            stage.db,
            admissions=stage.admissions,
            releases=stage.releases,
            pseudonyms=stage.pseudonyms,
            standard=STANDARD,
            clock=SystemClock(),
        ),
        adapters=adapters,
        controls=Controls(stage.registry, standard=STANDARD),  # type: ignore[arg-type]
        disclosures=Disclosures(stage.db, entries=stage.entries, time=DatabaseTime(SystemClock())),
        standard=STANDARD,
        operator=common_pb2.GatewayOperator(),
        clock=SystemClock(),
    )


async def asked(stage: Stage, adapters: dict[str, Adapter], *, within_s: float = 5.0) -> report_pb2.CreditReport:
    consent = await stage.grant()
    request = question(USCC, str(consent.consent_id))
    answer = await answer_query(engine(stage, adapters), request, caller=BANK, deadline=time.monotonic() + within_s)
    assert isinstance(request, credit_pb2.QueryCreditRequest)
    return report_pb2.CreditReport.FromString(answer.report)


async def test_the_use_comes_back_where_nobody_listens(stage: Stage, gone: dict[str, Adapter]) -> None:
    with pytest.raises(BashuError) as refused:
        await asked(stage, gone)
    assert refused.value.reason is Reason.PLATFORMS_UNAVAILABLE
    assert [kind for kind in await stage.types() if kind != "CONSENT_STATUS"][-3:] == [
        "QUERY_INTENT",
        "FAILED",
        "USE_REFUNDED",
    ]
    failed = next(entry for entry in await stage.entries_written() if entry["type"] == "FAILED")
    intent = next(entry for entry in await stage.entries_written() if entry["type"] == "QUERY_INTENT")
    assert failed["request_digest"] == intent["request_digest"]
    assert await stage.check_log() == []


@pytest.mark.parametrize(
    ("how", "expected"), [("raises", "UNAVAILABLE"), ("overstays", "TIMEOUT"), ("is silent", "UNAVAILABLE")]
)
async def test_an_adapter_that_keeps_no_promise_is_a_status_of_every_item(
    stage: Stage, tmp_path: Path, gone: dict[str, Adapter], how: str, expected: str
) -> None:
    sichuan = SichuanStage(tmp_path)
    await sichuan.start()
    adapters: dict[str, Adapter] = {
        "chongqing": WrongAdapter(platform=gone["chongqing"].platform, how=how),
        "sichuan": sichuan.adapter(STANDARD),
    }
    try:
        report = await asked(stage, adapters, within_s=2.0)
    finally:
        await adapters["sichuan"].close()
        await sichuan.stop()
    got = {one.data_item: one for one in report.platform_results if one.platform_id == "chongqing"}
    assert set(got) == set(GRANTED)
    names = {common_pb2.PlatformStatus.Name(one.status) for one in got.values()}
    assert names == {f"PLATFORM_STATUS_{expected}"}
    assert all(one.detail and USCC not in one.detail for one in got.values())
    assert report.completeness == report_pb2.COMPLETENESS_PARTIAL
    assert "RELEASE" in await stage.types()
