"""Findings of over-disclosure: counted by the day, told once a day in the log, kept when the database is away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from adapters.kit.checked import Finding, FindingKind
from core.clock import SystemClock
from gateway.database_time import DatabaseTime
from gateway.platform.disclosures import Disclosures
from tests.admission_stage import Stage, open_stage


@pytest.fixture
async def stage(fresh_database: Any, tmp_path: Path) -> AsyncIterator[Stage]:
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


def a_finding(count: int = 1, item: str = "tax_arrears") -> Finding:
    return Finding(kind=FindingKind.CLASS_3, platform_id="chongqing", item=item, count=count)


async def test_counts_add_up_and_the_log_is_told_once(stage: Stage) -> None:
    disclosures = Disclosures(stage.db, entries=stage.entries, time=DatabaseTime(SystemClock()))  # type: ignore[arg-type]
    disclosures.note([a_finding(2), a_finding(3)])
    await disclosures.flush()
    disclosures.note([a_finding(1), a_finding(1, "platform_score")])
    await disclosures.flush()
    await disclosures.flush()
    found = await disclosures.page("chongqing", limit=10)
    assert [(one.data_item, one.kind, one.count) for one in found] == [
        ("tax_arrears", "CLASS_3", 6),
        ("platform_score", "CLASS_3", 1),
    ]
    first = (found[0].day, found[0].data_item, found[0].kind)
    assert await disclosures.page("chongqing", before=first, limit=10) == found[1:]
    assert await disclosures.page("sichuan", limit=10) == []
    assert await stage.types() == ["PLATFORM_EVENT", "PLATFORM_EVENT"]


async def test_what_cannot_be_written_is_gathered_again(stage: Stage) -> None:
    class Away:
        def transaction(self) -> Any:
            raise ConnectionError

    disclosures = Disclosures(Away(), entries=stage.entries, time=DatabaseTime(SystemClock()))  # type: ignore[arg-type]
    disclosures.note([a_finding(4)])
    with pytest.raises(ConnectionError):
        await disclosures.flush()
    disclosures.note([a_finding(1)])
    disclosures._db = stage.db  # type: ignore[assignment]
    await disclosures.flush()
    assert [one.count for one in await disclosures.page("chongqing", limit=10)] == [5]
