"""As-of days of the platforms (docs/platforms/subjects.md section 1) and the arithmetic of months and quarters."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Final

from sandbox.facts import AsOf, PlatformId

_TAX_DAY: Final = 15
"""chongqing refreshes tax and social insurance on the 15th."""
_QUARTER_LAG: Final = timedelta(days=20)
"""sichuan shows a quarter 20 days after its end."""


def first_of_month(day: date) -> date:
    """Return the first day of the month that ``day`` lies in."""
    return day.replace(day=1)


def add_months(month: date, count: int) -> date:
    """Return the first day of the month ``count`` months after ``month``."""
    total = month.year * 12 + month.month - 1 + count
    return date(total // 12, total % 12 + 1, 1)


def months_between(newer: date, older: date) -> int:
    """Count the months from ``older`` to ``newer``; negative when ``older`` is newer."""
    return (newer.year - older.year) * 12 + newer.month - older.month


def last_months(latest: date, count: int) -> list[date]:
    """Return ``count`` months up to ``latest``, newest first."""
    return [add_months(latest, -back) for back in range(count)]


def end_of_previous_month(day: date) -> date:
    """M(D): the last day of the month before D's."""
    return first_of_month(day) - timedelta(days=1)


def chongqing_tax_day(day: date) -> date:
    """T(D): the last day of the month before the month of the latest 15th that is not after D."""
    return end_of_previous_month(day if day.day >= _TAX_DAY else end_of_previous_month(day))


def sichuan_tax_day(day: date) -> date:
    """Q(D): the last day of the latest quarter that ended at least 20 days before D."""
    ended = day - _QUARTER_LAG + timedelta(days=1)
    return date(ended.year, (ended.month - 1) // 3 * 3 + 1, 1) - timedelta(days=1)


def last_quarters(end: date, count: int) -> list[tuple[int, int]]:
    """Return (year, quarter) of ``count`` quarters up to the one that ends with ``end``, newest first."""
    newest = end.year * 4 + (end.month - 1) // 3
    return [((newest - back) // 4, (newest - back) % 4 + 1) for back in range(count)]


def a_year_after(day: date) -> date:
    """Return the same day next year; 28 February after a 29th."""
    try:
        return day.replace(year=day.year + 1)
    except ValueError:
        return day.replace(year=day.year + 1, day=28)


def as_of(platform: PlatformId, day: date) -> AsOf:
    """Return the as-of days of ``platform`` on the data day ``day``."""
    yesterday = day - timedelta(days=1)
    if platform is PlatformId.CHONGQING:
        tax = chongqing_tax_day(day)
        return AsOf(
            registration=yesterday,
            penalties=yesterday,
            judicial=day - timedelta(days=3),
            tax=tax,
            invoices=tax,
            insurance=tax,
            guarantees=yesterday,
            score=yesterday,
        )
    month = end_of_previous_month(day)
    return AsOf(
        registration=day,
        penalties=yesterday,
        judicial=yesterday,
        tax=sichuan_tax_day(day),
        invoices=month,
        insurance=month,
        guarantees=yesterday,
        score=yesterday,
    )
