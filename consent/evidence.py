"""When the paper behind a letter is due: 5 working days after it was asked for. Pure."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final

from core.clock import SHANGHAI

WORKING_DAYS: Final = 5
_SATURDAY: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkingDays:
    """Monday to Friday but for ``holidays``, and the weekend days that are worked (调休), as 国务院办公厅 names them.

    No table of them is shipped: they are set each year, so an operator gives them in its settings.
    """

    holidays: AbstractSet[date] = frozenset()
    worked: AbstractSet[date] = frozenset()

    def is_working(self, day: date) -> bool:
        """Tell whether people work on ``day``."""
        return day in self.worked or (day.weekday() < _SATURDAY and day not in self.holidays)

    def due(self, asked_at: datetime) -> datetime:
        """Return the end (midnight, outside) of the fifth working day after that of ``asked_at``, Asia/Shanghai."""
        day, left = asked_at.astimezone(SHANGHAI).date(), WORKING_DAYS
        while left:
            day += timedelta(days=1)
            left -= self.is_working(day)
        return datetime.combine(day + timedelta(days=1), time(), tzinfo=SHANGHAI)
