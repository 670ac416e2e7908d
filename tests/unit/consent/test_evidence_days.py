"""The clock of paper: five working days, by Beijing's calendar."""

from __future__ import annotations

from datetime import date, datetime

import pytest

from consent.evidence import WorkingDays
from core.clock import SHANGHAI


def at(day, hour=10):
    return datetime(2026, 11, day, hour, tzinfo=SHANGHAI)


@pytest.mark.parametrize(
    ("asked", "due"),
    [
        (at(23), datetime(2026, 12, 1, tzinfo=SHANGHAI)),  # Monday: Tue Wed Thu Fri Mon
        (at(27, 23), datetime(2026, 12, 5, tzinfo=SHANGHAI)),  # Friday: the next week, to its Friday's end
        (at(28), datetime(2026, 12, 5, tzinfo=SHANGHAI)),  # Saturday: the same
    ],
)
def test_the_day_of_asking_and_weekends_do_not_count(asked, due):
    assert WorkingDays().due(asked) == due


def test_holidays_do_not_count_and_worked_weekends_do():
    days = WorkingDays(holidays=frozenset({date(2026, 11, 24)}), worked=frozenset({date(2026, 11, 28)}))
    assert days.due(at(23)) == datetime(2026, 12, 1, tzinfo=SHANGHAI)
    assert WorkingDays(holidays=days.holidays).due(at(23)) == datetime(2026, 12, 2, tzinfo=SHANGHAI)


def test_the_day_is_beijings():
    late_in_utc = datetime.fromisoformat("2026-11-22T17:00:00+00:00")
    assert WorkingDays().due(late_in_utc) == WorkingDays().due(at(23))
