"""Code lists of the standard: look up by code or by the text a platform sends.

An unknown code is never dropped and never guessed: it is kept as it came, and flagged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

from standards.identifiers import to_half_width
from standards.tables import Cells, Tables, Validity

REGISTRATION_STATUS: Final = "code_registration_status"
ENTERPRISE_TYPE: Final = "code_enterprise_type"
INDUSTRY_SECTION: Final = "code_gb4754_2017_sections"
CHONGQING_STATUS: Final = "chongqing:JYZT"
"""List of the operating status as the platform chongqing codes it (column chongqing_code)."""

_BRACKETS: Final = str.maketrans("（）〔〕【】", "()[][]")
_INDUSTRY_CODE: Final = re.compile(r"([A-T])?([0-9]{2})[0-9]{0,2}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """One code of one list; ``value`` is what the standard's messages carry."""

    list_id: str
    value: str
    name_zh: str
    name_en: str
    validity: Validity
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A value ready for a message: the list's own code, or the text as it came with ``is_known`` False."""

    value: str
    is_known: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Codes:
    """Every code list. Keys of ``names`` are normalised texts: codes, Chinese names and aliases."""

    lists: Mapping[str, tuple[Code, ...]]
    names: Mapping[str, Mapping[str, str]]
    sections_by_division: Mapping[int, str]

    def codes(self, list_id: str) -> tuple[Code, ...]:
        """Return the rows of a list, in file order; empty for an unknown list."""
        return self.lists.get(list_id, ())

    def find(self, list_id: str, value: str, *, on: date | None = None) -> Code | None:
        """Return the row of a code (valid on the day ``on``, if given), or None."""
        rows = (code for code in self.codes(list_id) if code.value == value)
        return next((code for code in rows if on is None or code.validity.covers(on)), None)

    def resolve(self, list_id: str, text: str) -> Coded:
        """Read a code or a Chinese name of a list; what the list does not know is kept as it came."""
        value = self.names.get(list_id, {}).get(_normal(text))
        return Coded(value=text, is_known=False) if value is None else Coded(value=value, is_known=True)

    def registration_status(self, text: str) -> Coded:
        """Read an operating status written as text, for example ``存续（在营、开业、在册）`` → ACTIVE."""
        return self.resolve(REGISTRATION_STATUS, text)

    def registration_status_of_chongqing(self, code: str) -> Coded:
        """Read chongqing's operating status ``JYZT``: 1 在营, 2 吊销, 3 注销, 4 迁出, 9 其他."""
        return self.resolve(CHONGQING_STATUS, code)

    def industry_section(self, text: str) -> Coded:
        """Read an industry: a section's letter or name, or 2-4 digits of GB/T 4754-2017 with or without it."""
        by_name = self.resolve(INDUSTRY_SECTION, text)
        match = _INDUSTRY_CODE.fullmatch(_normal(text))
        if by_name.is_known or match is None:
            return by_name
        section = self.sections_by_division.get(int(match[2]))
        if section is None or match[1] not in {None, section}:
            return by_name
        return Coded(value=section, is_known=True)

    def enterprise_type_group(self, code: str) -> Code | None:
        """Return the row of the longest known prefix: 1152 → 1152, else 1150, 1100, 1000; None beyond the list."""
        candidates = (code[:length].ljust(4, "0") for length in range(min(len(code), 4), 0, -1))
        return next((row for key in candidates if (row := self.find(ENTERPRISE_TYPE, key)) is not None), None)


def load_codes(tables: Tables) -> Codes:
    """Read every code list and ``code_aliases.csv``."""
    lists: dict[str, list[Code]] = {}
    names: dict[str, dict[str, str]] = {}
    for cells, code in _rows(tables):
        lists.setdefault(code.list_id, []).append(code)
        known = names.setdefault(code.list_id, {})
        known.setdefault(_normal(code.value), code.value)
        known.setdefault(_normal(code.name_zh), code.value)
        if code.list_id == REGISTRATION_STATUS and (native := cells.optional("chongqing_code")) is not None:
            names.setdefault(CHONGQING_STATUS, {})[native] = code.value
    for cells in tables.rows("code_aliases"):
        list_id = cells.choice("code_set", {name: name for name in lists})
        value = cells.choice("code", {code.value: code.value for code in lists[list_id]})
        names[list_id].setdefault(_normal(cells.text("text")), value)
    return Codes(
        lists={list_id: tuple(rows) for list_id, rows in lists.items()},
        names=names,
        sections_by_division=dict(_section_divisions(tables)),
    )


def _rows(tables: Tables) -> Iterator[tuple[Cells, Code]]:
    for cells in tables.rows("code_small_lists"):
        yield cells, _code(cells, cells.text("code_set"), "code", cells.optional("name_en"))
    for cells in tables.rows("pboc2_codes"):
        yield cells, _code(cells, _pboc_list(cells), "code", None)
    for cells in tables.rows(REGISTRATION_STATUS):
        yield cells, _code(cells, REGISTRATION_STATUS, "canonical", None)
    for name in (ENTERPRISE_TYPE, INDUSTRY_SECTION):
        for cells in tables.rows(name):
            yield cells, _code(cells, name, "code", None)


def _pboc_list(cells: Cells) -> str:
    # The same number means different things for a person and for an enterprise in these two lists alone.
    code_set = cells.text("code_set")
    return f"{code_set}:{cells.text('subject')}" if code_set in {"query_reason", "id_type"} else code_set


def _code(cells: Cells, list_id: str, column: str, name_en: str | None) -> Code:
    return Code(
        list_id=list_id,
        value=cells.text(column),
        name_zh=cells.text("name_zh"),
        name_en=name_en or "",
        validity=cells.validity(),
        source=cells.text("source"),
    )


def _section_divisions(tables: Tables) -> Iterator[tuple[int, str]]:
    for cells in tables.rows(INDUSTRY_SECTION):
        bounds = cells.parsed("divisions", _bounds, "two-digit divisions as 05 or 01-05")
        for division in range(bounds[0], bounds[1] + 1):
            yield division, cells.text("code")


def _bounds(text: str) -> tuple[int, int]:
    return int(text[:2]), int(text[-2:])


def _normal(text: str) -> str:
    return to_half_width(text.translate(_BRACKETS)).strip()
