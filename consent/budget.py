"""The use budget: uses in all, in each calendar window of the artefact's time zone, and the shortest interval."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import assert_never

from consent.artefact import Period, Usage, zone
from consent.model import ConsentFacts, Refusal
from core.errors import Reason, Turn


def window_key(usage: Usage, moment: datetime) -> str:
    """Name the calendar window ``moment`` counts in; keys of one period sort by time. Empty: no windows."""
    if usage.period is None:
        return ""
    day = moment.astimezone(zone(usage.tz)).date()
    match usage.period:
        case Period.DAY:
            return day.isoformat()
        case Period.WEEK:
            year, week, _ = day.isocalendar()
            return f"{year}-W{week:02}"
        case Period.MONTH:
            return f"{day.year}-{day.month:02}"
        case _:
            assert_never(usage.period)


def window_end(usage: Usage, moment: datetime) -> datetime:
    """Return the first moment of the next window (local midnight), UTC; ``usage`` has windows."""
    local = zone(usage.tz)
    day = moment.astimezone(local).date()
    match usage.period:
        case Period.DAY | None:
            after = day + timedelta(days=1)
        case Period.WEEK:
            after = day + timedelta(days=7 - day.weekday())
        case Period.MONTH:
            after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
        case _:
            assert_never(usage.period)
    return datetime.combine(after, time(), local).astimezone(UTC)


def refusal(usage: Usage, facts: ConsentFacts, now: datetime) -> Refusal | None:
    """Tell why no use can be reserved at ``now``, or None."""
    if facts.used >= facts.max_uses:
        return Refusal(
            reason=Reason.CONSENT_EXHAUSTED,
            message=f"all {facts.max_uses} uses of the consent are spent",
            turn=Turn.BORROWER,
        )
    key = window_key(usage, now)
    if key < facts.window_key:
        # The clock went back into an earlier window, whose count is gone: nothing may be spent twice.
        return _too_often("the clock went back behind the last use", usage.min_interval_s or 1)
    if usage.per_window is not None and key == facts.window_key and facts.window_used >= usage.per_window:
        wait = (window_end(usage, now) - now).total_seconds()
        return _too_often(f"{usage.per_window} uses a {usage.period} are spent", wait)
    if facts.last_use_at is not None:
        wait = (facts.last_use_at + timedelta(seconds=usage.min_interval_s) - now).total_seconds()
        if usage.min_interval_s and wait > 0:
            return _too_often(f"uses must be {usage.min_interval_s} s apart", wait)
    return None


def spend(usage: Usage, facts: ConsentFacts, now: datetime) -> ConsentFacts:
    """Return the facts after one more use at ``now``; its ordinal is ``last_use``."""
    key = window_key(usage, now)
    return replace(
        facts,
        used=facts.used + 1,
        last_use=facts.last_use + 1,
        window_key=key,
        window_used=facts.window_used + 1 if key == facts.window_key else 1,
        last_use_at=now,
    )


def _too_often(message: str, wait_s: float) -> Refusal:
    return Refusal(reason=Reason.FREQUENCY_EXCEEDED, message=message, retry_after_s=wait_s, turn=Turn.LENDER)
