"""Named conversions: from a member of a platform's answer to a field of the standard.

A unit is never guessed: money and shares name theirs. Everything else follows from the field's type in the standard's
dictionary, so most fields need no name at all.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from adapters.rest_json.members import ABSENT
from standards import days, money, quantities
from standards.answer import Mark
from standards.catalogue import Standard
from standards.codes import INDUSTRY_SECTION
from standards.items import Field as StandardField
from standards.malformed import MalformedValueError

MAX_TEXT: Final = 4000


@dataclass(slots=True)
class Row:
    """What the fields of one row come to: values by field, marks, and fields that were derived."""

    standard: Standard
    values: dict[str, Any] = field(default_factory=dict)
    marks: set[Mark] = field(default_factory=set)
    derived: list[str] = field(default_factory=list)

    def code(self, list_id: str, text: str | None) -> str | None:
        """Read a code or its name; what the list does not know is kept as it came, and marked."""
        if not text:
            return None
        codes = self.standard.codes
        coded = codes.industry_section(text) if list_id == INDUSTRY_SECTION else codes.resolve(list_id, text)
        self.marks |= set() if coded.is_known else {Mark.CODE_UNKNOWN}
        return coded.value


Write = Callable[[Row, str, Any, str], None]
"""Write a value into a row: (row, field, value as decoded, path for errors). Raises MalformedValueError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversion:
    """A named conversion: which types (and units) of the standard's fields it may fill, and how."""

    name: str
    types: tuple[str, ...]
    write: Write
    units: tuple[str, ...] = ()
    also: tuple[str, ...] = ()

    def fits(self, target: StandardField) -> bool:
        """Tell whether a field of the standard may be filled by this."""
        kind = target.type.partition(":")[0]
        unit = (target.unit or "").partition(" ")[0]
        return kind in self.types and (not self.units or unit in self.units)


def _simple(read: Callable[..., Any]) -> Write:
    def write(row: Row, name: str, value: Any, path: str) -> None:
        row.values[name] = read(_scalar(value, path), path=path)

    return write


def _scalar(value: Any, path: str) -> Any:
    if value is ABSENT:
        return None
    if isinstance(value, dict | list):
        raise MalformedValueError(path, "a single value")
    return value


def _text(value: Any, *, path: str) -> str | None:
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise MalformedValueError(path, f"text of at most {MAX_TEXT} characters")
    return value


def _stringly(read: Callable[..., Any]) -> Callable[..., Any]:
    """Let a number stand where the reader wants text: platforms write 20140612 and 2025 both ways."""

    def reading(value: Any, *, path: str) -> Any:
        return read(str(value) if isinstance(value, int) and not isinstance(value, bool) else value, path=path)

    return reading


def _capital(row: Row, name: str, value: Any, path: str) -> None:
    found = money.capital_text(_text(_scalar(value, path), path=path), path=path)
    if found is None:
        return
    if row.values.setdefault("currency", found.currency) != found.currency:
        raise MalformedValueError(path, "one currency in a row")
    row.values[name] = found.amount


def _end_day(row: Row, name: str, value: Any, path: str) -> None:
    if value is ABSENT:
        return
    end = days.end_day(_scalar(value, path), path=path)
    row.values[name], row.values["no_fixed_term"] = end.day, end.no_fixed_term


def _division(row: Row, name: str, value: Any, path: str) -> None:
    names = [_text(_scalar(part, path), path=path) or "" for part in (value if isinstance(value, list) else [value])]
    code = row.standard.divisions.by_names(*[*names, "", ""][:3])
    row.values[name] = code
    if code is None:
        row.marks.add(Mark.DIVISION_UNKNOWN)
    else:
        row.derived.append(f"{name}=DERIVED")


def _number(value: Any, *, path: str) -> str | None:
    number = quantities.decimal_of(value, path=path)
    return None if number is None else quantities.plain(number)


def _percent(value: Any, *, path: str) -> str | None:
    return quantities.percent(None if value is None else str(value), path=path)


_YUAN: Final = ("yuan",)
_RATIO: Final = ("ratio",)
_POINTS: Final = ("points",)
_MEASURES: Final = ("kWh", "m2", "m3", "mu")
CONVERSIONS: Final[Mapping[str, Conversion]] = {
    one.name: one
    for one in (
        Conversion(name="text", types=("string",), write=_simple(_text)),
        Conversion(name="yuan", types=("decimal",), units=_YUAN, write=_simple(money.yuan)),
        Conversion(name="wan_yuan", types=("decimal",), units=_YUAN, write=_simple(money.wan_yuan)),
        Conversion(name="fen", types=("decimal",), units=_YUAN, write=_simple(money.fen)),
        Conversion(name="capital_text", types=("decimal",), units=_YUAN, write=_capital, also=("currency",)),
        Conversion(name="ratio", types=("decimal",), units=_RATIO, write=_simple(quantities.ratio)),
        Conversion(name="percent", types=("decimal",), units=_RATIO, write=_simple(_percent)),
        Conversion(name="score", types=("decimal",), units=_POINTS, write=_simple(quantities.score)),
        Conversion(name="number", types=("decimal",), units=_MEASURES, write=_simple(_number)),
        Conversion(name="count", types=("integer",), write=_simple(quantities.count)),
        Conversion(name="year", types=("integer",), write=_simple(days.year)),
        Conversion(name="flag", types=("bool",), write=_simple(quantities.flag)),
        Conversion(name="day", types=("date",), write=_simple(_stringly(days.day))),
        Conversion(name="end_day", types=("date",), write=_end_day, also=("no_fixed_term",)),
        Conversion(name="epoch_ms", types=("date",), write=_simple(days.day_of_epoch_ms)),
        Conversion(name="month", types=("month",), write=_simple(_stringly(days.month))),
        Conversion(name="division", types=("code", "string"), write=_division),
    )
}
"""Every conversion by name; ``code`` is made per field, since its list is the field's."""

DEFAULTS: Final[Mapping[str, str]] = {
    "string": "text",
    "integer": "count",
    "bool": "flag",
    "date": "day",
    "month": "month",
    "code": "code",
}
"""What a field is read by where nothing is said; a decimal has none, because nobody may guess its unit."""


def code_conversion(list_id: str, values: Mapping[str, str] | None) -> Conversion:
    """Return the conversion of a coded field; ``values`` alone, where given, turns the platform's own codes."""

    def write(row: Row, name: str, value: Any, path: str) -> None:
        text = _scalar(value, path)
        text = str(text).lower() if isinstance(text, bool) else None if text is None else str(text)
        if text and values is not None:
            row.marks |= set() if text in values else {Mark.CODE_UNKNOWN}
            row.values[name] = values.get(text, text)
        else:
            row.values[name] = row.code(list_id, text)

    return Conversion(name="code", types=("code",), write=write)
