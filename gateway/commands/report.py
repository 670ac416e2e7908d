"""`bashu-gateway report annual|monthly`: what supervisors are told, from the ledger alone; text, JSON or CSV."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from enum import StrEnum
from typing import Final

from core.clock import SHANGHAI
from gateway.settings import Settings, SettingsError, read_secret
from ledger.report.store import ReportRow, report_rows

TITLES: Final = {
    "queries": "查询（机构、用途、结果） queries: institution, purpose, outcome",
    "refusals": "拒绝（原因） refusals: reason",
    "regions": "查询（地区、平台） released by region and platform",
    "holds": "冻结与限制 holds and freezes",
    "disputes": "异议（状态，平均天数） disputes: state, mean days",
    "suspensions": "暂停 suspensions: of whom, step",
}
_MONTH: Final = re.compile(r"\d{4}-\d{2}")
_YEAR: Final = re.compile(r"\d{4}")


class Span(StrEnum):
    """What a report covers."""

    ANNUAL = "annual"
    MONTHLY = "monthly"


def period_of(span: Span, text: str) -> tuple[datetime, datetime]:
    """Return the half-open period of a year (YYYY) or month (YYYY-MM) by Beijing time.

    Raises:
        SettingsError: there is no such year or month.
    """
    form = _YEAR if span is Span.ANNUAL else _MONTH
    wrong = SettingsError(f"{span} {text}: {'YYYY' if span is Span.ANNUAL else 'YYYY-MM'} expected")
    if not form.fullmatch(text):
        raise wrong
    try:
        year, month = int(text[:4]), int(text[5:] or 1)
        first = datetime(year, month, 1, tzinfo=SHANGHAI)
        if span is Span.ANNUAL:
            return first, first.replace(year=year + 1)
        return first, first.replace(year=year + month // 12, month=month % 12 + 1)
    except ValueError as error:
        raise wrong from error


async def read_report(settings: Settings, since: datetime, before: datetime) -> list[ReportRow]:
    """Count as the reader, and name each platform's region."""
    from database import open_database

    if settings.database.reader_dsn_file is None:
        raise SettingsError("database.reader_dsn_file is missing")
    dsn = read_secret(settings.database.reader_dsn_file, setting="database.reader_dsn_file").decode()
    db = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-report")
    try:
        rows = await report_rows(db, since=since, before=before)
    finally:
        await db.close()
    return by_region(rows, {name: platform.region for name, platform in settings.platforms.items()})


def by_region(rows: Sequence[ReportRow], regions: Mapping[str, str]) -> list[ReportRow]:
    """Put each platform under its region (GB/T 2260); one that the settings no longer name stands under ``-``."""
    return [
        ReportRow(section="regions", names=(regions.get(row.names[0], "-"), *row.names), count=row.count, days=row.days)
        if row.section == "platforms"
        else row
        for row in rows
    ]


def as_text(rows: Sequence[ReportRow], since: datetime, before: datetime) -> str:
    """Lay the report out for people, Chinese first; a section without rows says so."""
    lines = [f"业务报告 report {since.date()} — {before.date()}（不含 exclusive）"]
    for section, title in TITLES.items():
        lines += ["", title]
        of_section = [row for row in rows if row.section == section]
        lines += [_line(row) for row in of_section] or ["  无 none"]
    return "\n".join(lines)


def as_json(rows: Sequence[ReportRow], since: datetime, before: datetime) -> str:
    """Return one JSON object."""
    members = {"since": since.isoformat(), "before": before.isoformat(), "rows": [asdict(row) for row in rows]}
    return json.dumps(members, ensure_ascii=False)


def write_csv(rows: Sequence[ReportRow]) -> None:
    """Write ``section,name1,name2,name3,count,days`` to standard output."""
    out = csv.writer(sys.stdout)
    out.writerow(["section", "name1", "name2", "name3", "count", "days"])
    for row in rows:
        names = [*row.names, "", "", ""][:3]
        out.writerow([row.section, *names, row.count, "" if row.days is None else f"{row.days:.2f}"])


def _line(row: ReportRow) -> str:
    days = "" if row.days is None else f"  {row.days:.2f} 天 days"
    return f"  {'  '.join(row.names):<60} {row.count:>8}{days}"
