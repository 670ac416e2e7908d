"""Days, months and moments as platforms write them. Days are ``YYYY-MM-DD`` and months ``YYYY-MM``, Asia/Shanghai.

Every function is total: a value, None for an unknown, or ``MalformedValueError`` with the path. Text is accepted in
any of the spellings both platforms mix: ``20140612``, ``2014-06-12``, ``2014/6/12``, ``2014年6月12日``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final

from core.clock import SHANGHAI
from standards.identifiers import to_half_width
from standards.malformed import MalformedValueError

OPEN_ENDS: Final = frozenset({date(9999, 12, 31), date(2099, 12, 31)})
UNKNOWN_DAYS: Final = frozenset({"", "00000000", "0000-00-00"})
FIRST_YEAR: Final = 1800
LAST_YEAR: Final = 2098
YEAR_MONTHS: Final = 12

_DAY: Final = re.compile(
    r"(?:(\d{4})(\d{2})(\d{2})|(\d{4})-(\d{1,2})-(\d{1,2})|(\d{4})/(\d{1,2})/(\d{1,2})|(\d{4})年(\d{1,2})月(\d{1,2})日)",
    re.ASCII,
)
_MONTH: Final = re.compile(r"(\d{4})(?:[-/年]?(\d{2})|[-/年](\d))月?", re.ASCII)
_COMPACT_MOMENT: Final = re.compile(r"\d{14}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndDay:
    """End of a term: a day, or open (``no_fixed_term`` True), or unknown (both None)."""

    day: str | None
    no_fixed_term: bool | None


def day(value: str | None, *, path: str) -> str | None:
    """Read a day; blank and ``00000000`` are unknown; an open end is malformed here (see :func:`end_day`)."""
    found = _day(value, path)
    if found is None:
        return None
    if not FIRST_YEAR <= found.year <= LAST_YEAR:
        raise MalformedValueError(path, f"a day between {FIRST_YEAR} and {LAST_YEAR}")
    return found.isoformat()


def end_day(value: str | None, *, path: str) -> EndDay:
    """Read the end of a term: ``99991231``, ``2099-12-31`` and null are open; blank and ``00000000`` unknown.

    Null (None) is what a JSON platform sends for an open end; an XML platform's missing element must arrive as ``""``.
    """
    if value is None:
        return EndDay(day=None, no_fixed_term=True)
    found = _day(value, path)
    if found in OPEN_ENDS:
        return EndDay(day=None, no_fixed_term=True)
    text = day(value, path=path)
    return EndDay(day=text, no_fixed_term=None if text is None else False)


def day_of_epoch_ms(value: int | None, *, path: str) -> str | None:
    """Turn a timestamp in milliseconds into its Beijing day."""
    moment = moment_of_epoch_ms(value, path=path)
    return None if moment is None else moment.astimezone(SHANGHAI).date().isoformat()


def month(value: str | None, *, path: str) -> str | None:
    """Read a month: ``202610``, ``2026-10``, ``2026年10月``; blank and ``000000`` are unknown."""
    text = _text(value)
    if text in {"", "000000"}:
        return None
    match = _MONTH.fullmatch(text)
    number = 0 if match is None else int(match[2] or match[3])
    if match is None or not (1 <= number <= 12 and FIRST_YEAR <= int(match[1]) <= LAST_YEAR):  # noqa: PLR2004
        raise MalformedValueError(path, "a month as 202610 or 2026-10")
    return f"{match[1]}-{number:02d}"


def year(value: str | int | None, *, path: str) -> int | None:
    """Read a calendar year; blank is unknown."""
    text = str(value) if isinstance(value, int) else _text(value).removesuffix("年")
    if not text:
        return None
    if re.fullmatch(r"\d{4}", text, re.ASCII) is None or not FIRST_YEAR <= int(text) <= LAST_YEAR:
        raise MalformedValueError(path, "a year of four digits")
    return int(text)


def moment_of_epoch_ms(value: int | None, *, path: str) -> datetime | None:
    """Turn a timestamp in milliseconds into a moment, UTC."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 4_102_444_800_000:  # noqa: PLR2004
        raise MalformedValueError(path, "milliseconds since 1970, before 2100")
    return datetime.fromtimestamp(value // 1000, UTC).replace(microsecond=value % 1000 * 1000)


def moment_of_compact(value: str | None, *, path: str) -> datetime | None:
    """Turn ``yyyyMMddHHmmss``, Beijing time, into a moment, UTC; blank is unknown."""
    text = _text(value)
    if not text:
        return None
    # strptime takes single digits and blanks too, so the shape is checked first.
    shaped = text if _COMPACT_MOMENT.fullmatch(text) else "-"
    try:
        return datetime.strptime(shaped, "%Y%m%d%H%M%S").replace(tzinfo=SHANGHAI).astimezone(UTC)
    except (ValueError, OverflowError):
        raise MalformedValueError(path, "a moment as yyyyMMddHHmmss") from None


def start_of_day(text: str) -> datetime:
    """Return Beijing midnight of a day ``YYYY-MM-DD`` in UTC: how a platform's as-of day becomes a moment."""
    return datetime.combine(date.fromisoformat(text), datetime.min.time(), SHANGHAI).astimezone(UTC)


def beijing_day(moment: datetime) -> date:
    """Return the Beijing calendar day of an aware moment."""
    return moment.astimezone(SHANGHAI).date()


def months_before(day: date, months: int) -> date:
    """Return the day ``months`` earlier; a day that the month lacks becomes its last."""
    year, month = divmod(day.year * YEAR_MONTHS + day.month - 1 - months, YEAR_MONTHS)
    for last in (day.day, 30, 29, 28):
        try:
            return date(year, month + 1, min(day.day, last))
        except ValueError:
            continue
    raise AssertionError("every month has 28 days")


def _day(value: str | None, path: str) -> date | None:
    text = _text(value)
    if text in UNKNOWN_DAYS:
        return None
    match = _DAY.fullmatch(text)
    if match is None:
        raise MalformedValueError(path, "a day as 20140612, 2014-06-12 or 2014年6月12日")
    parts = [int(part) for part in match.groups() if part is not None]
    try:
        return date(parts[0], parts[1], parts[2])
    except ValueError:
        raise MalformedValueError(path, "a day of the calendar") from None


def _text(value: str | None) -> str:
    if value is None:
        return ""
    return to_half_width(value).strip() if isinstance(value, str) else "\0"
