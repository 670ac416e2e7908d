"""Read one row of a result into a contract message, tag by tag (section 2: types, section 7: tables)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from google.protobuf.message import Message

from standards import days, money, quantities
from standards.answer import Mark
from standards.codes import Coded
from standards.days import EndDay
from standards.malformed import MalformedValueError

Value: TypeAlias = str | int | bool | EndDay | Coded | None
Read: TypeAlias = Callable[[str, str], Value]
"""Turn a tag's text, found at a path, into a value; None for a blank. Raises MalformedValueError."""

_DAY: Final = re.compile(r"\d{8}", re.ASCII)
_MONTH: Final = re.compile(r"\d{6}", re.ASCII)
_INTEGER: Final = re.compile(r"\d{1,9}", re.ASCII)
_WAN: Final = re.compile(r"-?(\d{1,3}(,\d{3})+|\d+)(\.\d{1,2})?", re.ASCII)
_PERCENT: Final = re.compile(r"\d{1,3}(\.\d{1,4})?", re.ASCII)
_USCC: Final = re.compile(r"[0-9A-HJ-NPQRTUWXY]{18}")
_FLAGS: Final = {"1": True, "0": False}
_OLD_FLAGS: Final = {"是": True, "否": False}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tag:
    """One line of a table of section 7: where a tag's value goes and how it is read."""

    name: str
    field: str
    read: Read
    is_required: bool = False


def fill(body: Message, tags: tuple[Tag, ...], cells: Mapping[str, str], path: str) -> frozenset[Mark]:
    """Set the fields of ``body`` from a row's cells; return marks for codes that no list knows.

    Raises MalformedValueError for a value of the wrong format, or a mandatory one that is blank.
    """
    marks: set[Mark] = set()
    for tag in tags:
        text = cells.get(tag.name, "")
        value = tag.read(text, f"{path}/{tag.name}") if text else None
        if value is None:
            if tag.is_required:
                raise MalformedValueError(f"{path}/{tag.name}", "a value, the tag is mandatory")
        elif isinstance(value, EndDay):
            _set_end(body, tag.field, value)
        elif isinstance(value, Coded):
            setattr(body, tag.field, value.value)
            marks |= set() if value.is_known else {Mark.CODE_UNKNOWN}
        else:
            setattr(body, tag.field, value)
    return frozenset(marks)


def text(limit: int) -> Callable[[str, str], str]:
    """Read text of at most ``limit`` characters, kept as it came."""

    def read(value: str, path: str) -> str:
        if len(value) > limit:
            raise MalformedValueError(path, f"text of at most {limit} characters")
        return value

    return read


def shaped(pattern: str, expected: str) -> Callable[[str, str], str]:
    """Read text that matches a pattern."""
    compiled = re.compile(pattern, re.ASCII)
    return lambda value, path: _shaped(compiled, value, path, expected)


def code(known: Mapping[str, str]) -> Read:
    """Read a code of the page's own list; another one is kept as it came."""
    return lambda value, _: Coded(value=known.get(value, value), is_known=value in known)


def wan(value: str, path: str) -> str | None:
    """Read 万元, or 万 of the row's currency, into whole units."""
    return money.wan_yuan(_shaped(_WAN, value, path, "万元 as 1,250.00"), path=path)


def percent(value: str, path: str) -> str | None:
    """Read per cent into a ratio."""
    return quantities.percent(_shaped(_PERCENT, value, path, "per cent as 12.50"), path=path)


def integer(value: str, path: str) -> int | None:
    """Read a whole number."""
    return quantities.count(_shaped(_INTEGER, value, path, "a whole number"), path=path)


def day(value: str, path: str) -> str | None:
    """Read a day; ``00000000`` is unknown."""
    return days.day(_shaped(_DAY, value, path, "a day as 20140612"), path=path)


def end_day(value: str, path: str) -> EndDay:
    """Read the end of a term; ``99991231`` is open, ``00000000`` unknown."""
    return days.end_day(_shaped(_DAY, value, path, "a day as 20140612"), path=path)


def month(value: str, path: str) -> str | None:
    """Read a month."""
    return days.month(_shaped(_MONTH, value, path, "a month as 202610"), path=path)


def uscc(value: str, path: str) -> str:
    """Read a unified social credit code by its alphabet; whose it is, is checked where that matters."""
    return _shaped(_USCC, value, path, "a unified social credit code")


def flag(value: str, path: str) -> bool:
    """Read 1 or 0."""
    return _flag(_FLAGS, value, path)


def old_flag(value: str, path: str) -> bool:
    """Read 是 or 否."""
    return _flag(_OLD_FLAGS, value, path)


def _flag(known: Mapping[str, bool], value: str, path: str) -> bool:
    if value not in known:
        raise MalformedValueError(path, " or ".join(known))
    return known[value]


def _shaped(pattern: re.Pattern[str], value: str, path: str, expected: str) -> str:
    if pattern.fullmatch(value) is None:
        raise MalformedValueError(path, expected)
    return value


def _set_end(body: Message, field: str, end: EndDay) -> None:
    if end.day is not None:
        setattr(body, field, end.day)
    if end.no_fixed_term is not None and "no_fixed_term" in body.DESCRIPTOR.fields_by_name:
        body.no_fixed_term = end.no_fixed_term  # type: ignore[attr-defined]  # the descriptor was asked in the line above
