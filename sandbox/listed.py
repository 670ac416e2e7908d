"""Plain lists of the two strong firms, the same facts for either platform (docs/platforms/subjects.md section 7)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final

from sandbox import days
from sandbox.facts import Entry, PlatformFile, wan

MONTHS: Final = 24


def strong_firm(file: PlatformFile) -> Mapping[str, tuple[Entry, ...]]:
    """Return what the scorecard needs of a healthy firm: flows, credit, utilities, statements, rights."""
    latest = days.first_of_month(file.as_of.invoices)
    months = days.last_months(latest, MONTHS)
    year_end = date(file.as_of.tax.year - 1, 12, 31)
    return {
        "registration_change": ({"day": date(2022, 4, 18), "what": "BUSINESS_SCOPE", "authority": "示例市监局"},),
        "financial_statement": tuple(_statement(end) for end in (year_end, year_end.replace(year=year_end.year - 1))),
        "cash_flow_monthly": tuple(
            {"month": month, "inflow": wan("21"), "outflow": wan("18.5"), "net": wan("2.5"), "accounts": 2}
            for month in months
        ),
        "bank_credit_summary": (
            {
                "month": latest, "lenders": 2, "balance": wan("40"), "lines": wan("100"), "overdue": 0,
                "worst_days": 0, "first": date(2019, 1, 1),
            },
        ),
        "housing_provident_fund": (
            {
                "first": date(2017, 1, 1), "employees": 46, "base": wan("32.20"), "paid_on": latest.replace(day=20),
                "paid_to": latest, "status": "0", "arrears": 0,
            },
        ),
        "water_usage": _utility("示例自来水有限公司", months, Decimal(210)),
        "electricity_usage": _utility("示例供电公司", months, Decimal(18500)),
        "intellectual_property": (
            {
                "kind": "INVENTION", "number": "ZL2021XXXXXXXX0", "title": "一种示例装置", "applied": date(2021, 3, 1),
                "granted": date(2022, 9, 6), "status": "有效", "pledged": False,
            },
        ),
        "specialised_sme": (
            {
                "level": "SPECIALISED_SME", "batch": "2024年第一批", "day": date(2024, 6, 20),
                "until": date(2027, 6, 19), "unit": "示例经济和信息化主管部门",
            },
        ),
    }  # fmt: skip


def _statement(end: date) -> Entry:
    return {
        "end": end, "kind": "ANNUAL", "audited": True, "assets": wan("1900"), "liabilities": wan("600"),
        "equity": wan("1300"), "revenue": wan("1186.40"), "profit": wan("96"),
    }  # fmt: skip


def _utility(provider: str, months: list[date], quantity: Decimal) -> tuple[Entry, ...]:
    return tuple(
        {
            "provider": provider,
            "month": month,
            "quantity": quantity,
            "due": wan("1.2"),
            "paid": wan("1.2"),
            "status": "1",
        }
        for month in months
    )
