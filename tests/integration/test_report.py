"""The supervisors' report, counted from a real log: by period, institution, purpose, region and refusal."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from consent.model import HoldKind
from core.errors import BashuError
from database import open_database
from gateway.commands.report import Span, as_text, by_region, period_of
from gateway.settings import SettingsError
from ledger.report.store import report_rows
from tests.admission_stage import FIRM, OTHER_FIRM, an_ask, open_stage

NOW = datetime.now(UTC)


@pytest.fixture
async def stage(fresh_database, tmp_path):
    async with open_stage(fresh_database, tmp_path) as stage:
        yield stage


async def test_a_report_counts_what_happened_in_its_period_and_nothing_else(stage, fresh_database):
    await stage.release(await stage.ask(await stage.grant(), items=("tax_payment",)))
    with pytest.raises(BashuError):
        await stage.admissions.admit(an_ask(consent_id=uuid.uuid4()))
    await stage.holds.place(OTHER_FIRM, HoldKind.HOLD, reason="R")
    assert await stage.check_log() == []
    reader = await open_database(fresh_database.reader_dsn, max_size=1)
    try:
        rows = await report_rows(reader, since=NOW - timedelta(days=1), before=NOW + timedelta(days=1))
        earlier = await report_rows(reader, since=NOW - timedelta(days=9), before=NOW - timedelta(days=1))
    finally:
        await reader.close()
    assert earlier == []
    counted = {(row.section, *row.names): row.count for row in by_region(rows, {"chongqing": "500000"})}
    assert counted["queries", "bank-cq", "PRE_LOAN_REVIEW", "RELEASE"] == 1
    assert counted["refusals", "CONSENT_NOT_FOUND_OR_NOT_YOURS"] == 1
    assert counted["regions", "500000", "chongqing"] == 1
    assert counted["holds", "HOLD_PLACED"] == 1
    text = as_text(rows, NOW, NOW)
    assert "bank-cq" in text
    assert FIRM.identifier not in text


def test_a_period_is_a_year_or_a_month_of_beijing_time():
    assert [moment.isoformat() for moment in period_of(Span.MONTHLY, "2026-12")] == [
        "2026-12-01T00:00:00+08:00",
        "2027-01-01T00:00:00+08:00",
    ]
    assert period_of(Span.ANNUAL, "2026")[1].isoformat() == "2027-01-01T00:00:00+08:00"
    for span, odd in ((Span.MONTHLY, "2026-13"), (Span.MONTHLY, "2026"), (Span.ANNUAL, "2026-01")):
        with pytest.raises(SettingsError):
            period_of(span, odd)
