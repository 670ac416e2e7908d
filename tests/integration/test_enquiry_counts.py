"""Enquiry counts: releases for counting purposes under consents that allow it, an institution once in 14 days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bashu.v1.common_pb2 import PlatformStatus
from core.clock import SystemClock
from gateway.enquiries import MONTHS, Enquiries
from ledger.access.enquiries import ENQUIRIES, count_once, enquiry_count
from standards.items import ENQUIRY_COUNT
from tests.admission_stage import FIRM, OTHER_FIRM, STANDARD, open_stage

COUNTED = [purpose.purpose_id for purpose in STANDARD.purposes.all() if purpose.counts_as_enquiry]
START = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


async def count(stage, subject=FIRM):
    while await stage.sealer.run_round():
        pass
    now = datetime.now(UTC)
    found = await enquiry_count(
        stage.db,
        stage.pseudonyms.subject(subject),
        purposes=COUNTED,
        since=now - timedelta(days=90),
        before=now + timedelta(minutes=1),
    )
    return found.distinct_institutions, found.enquiries


async def test_a_release_counts_only_under_a_consent_that_allows_counting_and_once_in_14_days(stage):
    silent = await stage.grant()
    await stage.release(await stage.ask(silent, items=("tax_payment",)))
    assert await count(stage) == (0, 0)
    open_to_counting = await stage.grant(acts=["QUERY", "COUNT_ENQUIRIES"])
    assert await count(stage) == (0, 0)
    await stage.release(await stage.ask(open_to_counting, items=("tax_payment",)))
    await stage.release(await stage.ask(open_to_counting, items=("tax_payment",)))
    assert await count(stage) == (1, 1)
    assert await count(stage, OTHER_FIRM) == (0, 0)


def test_the_items_window_is_the_one_that_its_indicator_names():
    (rule,) = [rule for rule in STANDARD.card.indicators if rule.items == (ENQUIRY_COUNT,)]
    assert rule.window_months == MONTHS


def test_an_institution_counts_again_after_14_days_and_not_before():
    days = [("a", 0), ("a", 13), ("b", 13), ("a", 14), ("a", 20)]
    assert count_once((name, START + timedelta(days=day)) for name, day in days) == (2, 3)
    assert count_once([]) == (0, 0)


async def test_counting_reads_one_subjects_rows_by_index(stage):
    async with stage.db.transaction() as tx:
        await tx.execute("SET LOCAL enable_seqscan = off")
        plan = await tx.fetch(f"EXPLAIN {ENQUIRIES}", "p", COUNTED, START, START)
    text = "\n".join(row[0] for row in plan)
    assert "Seq Scan" not in text
    assert "ledger_subject_pkey" in text


async def test_the_count_is_given_only_where_the_consent_names_the_item_allows_counting_and_reaches_back(stage):
    enquiries = Enquiries(stage.db, pseudonyms=stage.pseudonyms, purposes=COUNTED, clock=SystemClock())
    asked = ("tax_payment", "platform_enquiry_count")
    data = {"items": [{"id": item, "necessity": "required"} for item in asked]}

    async def answers(consent, items=asked, **ask):
        told = await enquiries.answers(await stage.ask(consent, items=items, **ask))
        counts = [[row.platform_enquiry_count.distinct_institutions for row in one.records] for one in told]
        return [(PlatformStatus.Name(one.status), one.detail, found) for one, found in zip(told, counts, strict=True)]

    consent, another = [await stage.grant(data=data, acts=["QUERY", "COUNT_ENQUIRIES"]) for _ in range(2)]
    assert await answers(another, items=("tax_payment",)) == []
    assert await answers(consent) == [("PLATFORM_STATUS_OK", "", [0])]
    await stage.release(await stage.ask(consent, items=("tax_payment",)))
    await count(stage)
    assert await answers(consent) == [("PLATFORM_STATUS_OK", "", [1])]
    silent = await stage.grant(data=data)
    assert await answers(silent) == [("PLATFORM_STATUS_SKIPPED", "NOT_HELD", [])]
    assert await answers(another, lookback=30) == [("PLATFORM_STATUS_SKIPPED", "NOT_HELD OUTSIDE_LOOKBACK", [])]
