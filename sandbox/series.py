"""Monthly values that belong to calendar months and keep them when D moves (docs/platforms/subjects.md section 1)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Final

from sandbox.days import last_months, months_between
from sandbox.facts import InsuranceMonth, SalesMonth, wan

MONTHS_HELD: Final = 24
_YEAR: Final = 12

CHONGQING_SALES: Final = tuple(
    wan(text)
    for text in (
        "18.35", "17.90", "18.60", "17.20", "16.80", "18.10", "17.55", "16.95", "12.40", "17.75", "18.20", "17.60",
    )
)  # fmt: skip
"""v(k) of ``XSE`` in fen, k = 0 … 11."""

SICHUAN_SALES: Final = tuple(
    thousands * 1000
    for thousands in (18345, 17980, 18510, 17430, 17060, 18160, 17610, 17240, 12840, 17790, 18340, 17610)
)
"""v(k) of ``saleAmtFen``, k = 0 … 11."""


def value_at(values: tuple[int, ...], k: int) -> int:
    """Return v(k): the year's values for k 0 … 11 and, in turn, newer months; four fifths for the year before."""
    value = values[k % _YEAR]
    return value * 4 // 5 if k >= _YEAR else value


def chongqing_sales(newest_at_start: date, latest: date) -> tuple[SalesMonth, ...]:
    """Return KPXX of the baseline: 24 months, newest first."""
    rows = []
    for month in last_months(latest, MONTHS_HELD):
        k = months_between(newest_at_start, month)
        rows.append(
            SalesMonth(
                month=month,
                fen=value_at(CHONGQING_SALES, k),
                invoices=42 - k % _YEAR,
                buyers=9,
                top5=Decimal("0.485"),
                red=Decimal("0.012"),
                void=Decimal("0.003"),
            )
        )
    return tuple(rows)


def sichuan_sales(newest_at_start: date, latest: date) -> tuple[SalesMonth, ...]:
    """Return saleinvoice of the baseline: 24 months, newest first."""
    return tuple(
        SalesMonth(
            month=month,
            fen=value_at(SICHUAN_SALES, months_between(newest_at_start, month)),
            invoices=120,
            buyers=37,
            top5=Decimal("0.61"),
            red=Decimal("0.021"),
            void=Decimal("0.004"),
        )
        for month in last_months(latest, MONTHS_HELD)
    )


def flat_sales(fen: int, latest: date) -> tuple[SalesMonth, ...]:
    """Return 24 months with the same sales and nothing else known."""
    return tuple(SalesMonth(month=month, fen=fen) for month in last_months(latest, MONTHS_HELD))


def flat_insurance(insured: int, fen: int, latest: date) -> tuple[InsuranceMonth, ...]:
    """Return 24 months with ``insured`` heads, ``fen`` due and paid."""
    return tuple(
        InsuranceMonth(month=month, insured=insured, due_fen=fen, paid_fen=fen)
        for month in last_months(latest, MONTHS_HELD)
    )
