"""``make scorecard`` writes the card's page; ``make scorecard-bench`` measures subjects a second a core."""

from __future__ import annotations

import statistics
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from bashu.v1.common_pb2 import PlatformStatus
from bashu.v1.report_pb2 import CreditReport, PlatformResult
from standards.catalogue import load_standard
from standards.scorecard.card import Bin, Card, IndicatorRule
from standards.scorecard.evaluation import evaluate

PAGE: Final = Path(__file__).parents[1] / "docs/standard/scorecard.md"
SLICES: Final = 10
SLICE_S: Final = 1.0
"""Seconds of processor time. The best slice counts: whatever else runs on the machine only makes one slower."""
TARGET: Final = 1000
MONTHS: Final = 24
HEAD: Final = (
    "本页由 `make scorecard` 从 [`xyd_ref_1.toml`](../../standards/data/xyd_ref_1.toml) 生成，勿手改；"
    "所有分档和权重均为本项目工作值，未经核实。Generated; every bound is an unverified working value. "
    "怎样读，见[参考评价](evaluation.md)。"
)
COLUMNS: Final = (
    "| 代码 code | 指标 indicator | 窗口 window | 分档→得分 bins → points "
    "| 数据项 items | 必需 required | 原因 reason |"
)


def main(arguments: list[str]) -> int:
    """Write the page, or measure with ``bench``; return the exit code."""
    if arguments == ["bench"]:
        return _bench()
    PAGE.write_text(render(), encoding="utf-8")
    print(f"written: {PAGE.relative_to(PAGE.parents[2])}")
    return 0


def render() -> str:
    """Return the tables of the card, Chinese first."""
    card = load_standard().card
    lines = [
        f"# 打分卡 {card.version} The card",
        "",
        HEAD,
        "",
        f"{card.disclaimer_zh} {card.disclaimer_en}",
        "",
        COLUMNS,
        "|---|---|---|---|---|---|---|",
    ]
    for group in card.groups:
        lines.append(f"| | **{group.zh} {group.en}（{group.most}）** | | | | | |")
        lines += [_row(rule) for rule in card.indicators if rule.group == group.name]
    lines += ["", "## 等级 Grades", "", "| 等级 grade | 最低分 least score |", "|---|---|"]
    lines += [f"| {grade} | {least} |" for grade, least in card.grades]
    lines += ["| XYD-S | 一票否决，无分 hard stop, no score |", "| XYD-N | 未评级，无分 not graded, no score |"]
    lines += _codes(card)
    return "\n".join(lines) + "\n"


def _row(rule: IndicatorRule) -> str:
    bins = "；".join(f"{_bound(one)}: {one.points}" for one in rule.bins)
    window = f"{rule.window_months} 月 months" if rule.window_months else ""
    items = "<br>".join(f"`{item}`" for item in rule.items)
    reason = f"{rule.reason_zh} {rule.reason_en}" if rule.gives_reason else "不作原因 none"
    unit = f"（{rule.unit}）" if rule.unit else ""
    needed = "是 yes" if rule.is_required else "否 no"
    return f"| {rule.code} | {rule.zh}{unit} {rule.en} | {window} | {bins} | {items} | {needed} | {reason} |"


def _bound(one: Bin) -> str:
    if one.category is not None:
        return one.category
    if one.at_least is not None:
        return f"≥ {one.at_least}"
    return f"≤ {one.at_most}" if one.at_most is not None else "其余 else"


def _codes(card: Card) -> list[str]:
    lines = ["", "## 一票否决与未评级 Hard stops and no grade", "", "| 代码 code | 中文 | English |", "|---|---|---|"]
    return lines + [f"| {one.code} | {one.zh} | {one.en} |" for one in (*card.hard_stops, *card.no_grade.values())]


def _bench() -> int:
    standard = load_standard()
    report = _report(standard.card)
    granted = {item for rule in standard.card.indicators for item in rule.items} | set(standard.card.hard_stop_items)
    rates = []
    for _ in range(SLICES):
        count, began = 0, time.process_time()
        while (spent := time.process_time() - began) < SLICE_S:
            evaluate(standard.card, report, granted=granted, effects=standard.status_effects)
            count += 1
        rates.append(count / spent)
    best, median = max(rates), statistics.median(rates)
    print(
        f"{best:,.0f} subjects/s/core, the best of {SLICES} seconds (median {median:,.0f}; "
        f"{len(report.records)} records a report), target {TARGET:,}"
    )
    return 0 if best >= TARGET else 1


def _report(card: Card) -> CreditReport:
    """Return a full report: 24 months of sales, cash flow, social insurance and electricity, and the single records."""
    items = {item for rule in card.indicators for item in rule.items} | set(card.hard_stop_items)
    report = CreditReport(report_id="bench")
    report.generated_at.FromDatetime(datetime(2026, 11, 27, tzinfo=UTC))
    for item in sorted(items):
        report.platform_results.append(PlatformResult(data_item=item, status=PlatformStatus.PLATFORM_STATUS_OK))
    for number in range(MONTHS):
        month = f"{2024 + (number + 10) // 12}-{(number + 10) % 12 + 1:02d}"
        _add(report, "sales_invoice_monthly", month=month, sales_amount=f"{100 + number}.5", top5_customer_ratio="0.4")
        _add(report, "cash_flow_monthly", month=month, net_inflow="5")
        _add(report, "social_insurance_payment", period=month, insured_count=40, paid=True)
        _add(report, "electricity_usage", period=month, usage_quantity="50")
    opened = {"established_on": "2014-06-12", "paid_in_capital": "80", "registered_capital": "100"}
    _add(report, "enterprise_registration", operating_status="ACTIVE", **opened)
    credit: dict[str, str | int] = {"worst_overdue_days_24m": 0, "balance_total": "900", "lender_count_with_balance": 2}
    _add(report, "bank_credit_summary", as_of_month="2026-10", first_credit_month="2018-01", **credit)
    _add(report, "tax_credit_grade", year=2025, grade="B")
    return report


def _add(report: CreditReport, item: str, **fields: str | int | bool) -> None:
    record = report.records.add(record_id=f"{item}-{len(report.records)}", data_item=item)
    for name, value in fields.items():
        setattr(getattr(record, item), name, value)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
