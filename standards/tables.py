"""Read the standard's CSV tables: shipped ones, or an operator's own in their place.

A table is replaced as a whole: a file of the same name in the operator's folder stands for the shipped one.
Every error names file, line and column, so that whoever edited the file finds the cell.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from importlib import resources
from pathlib import Path
from typing import Final, TypeVar

from core.errors import BashuError, Reason, Turn

T = TypeVar("T")

SHIPPED: Final = resources.files("standards") / "data"


class TableError(BashuError):
    """A table of the standard cannot be read; the operator who maintains the file must act."""

    def __init__(self, file: str, line: int, column: str, expected: str) -> None:
        super().__init__(
            Reason.INTERNAL,
            f"{file}, line {line}, column {column}: expected {expected}",
            metadata={"file": file, "line": str(line), "column": column},
            turn=Turn.OPERATOR,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """First and last day of validity, both inside; None = unknown or open (``columns.csv``)."""

    first: date | None = None
    last: date | None = None

    def covers(self, day: date) -> bool:
        """Tell whether ``day`` lies inside; an unknown end never excludes a day."""
        return (self.first is None or self.first <= day) and (self.last is None or day <= self.last)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cells:
    """One line of a table, with typed access to its cells; every method raises :class:`TableError`."""

    file: str
    line: int
    cells: Mapping[str, str]

    def text(self, column: str) -> str:
        """Return the cell, which must not be blank."""
        value = self.optional(column)
        if value is None:
            raise self.error(column, "a value, found a blank")
        return value

    def optional(self, column: str) -> str | None:
        """Return the cell, None where it is blank."""
        try:
            return self.cells[column].strip() or None
        except KeyError:
            raise self.error(column, "this column, found none of that name") from None

    def parsed(self, column: str, parse: Callable[[str], T], expected: str) -> T:
        """Return the cell as ``parse`` reads it; its ValueError becomes a :class:`TableError`."""
        try:
            return parse(self.text(column))
        except ValueError as error:
            raise self.error(column, expected) from error

    def optional_parsed(self, column: str, parse: Callable[[str], T], expected: str) -> T | None:
        """Return the cell as ``parse`` reads it, None where it is blank."""
        return None if self.optional(column) is None else self.parsed(column, parse, expected)

    def flag(self, column: str) -> bool:
        """Return True for ``Y``, False for ``N`` or a blank."""
        value = self.optional(column)
        if value not in {"Y", "N", None}:
            raise self.error(column, "Y, N or blank")
        return value == "Y"

    def choice(self, column: str, choices: Mapping[str, T]) -> T:
        """Return what ``choices`` gives for the cell."""
        value = self.text(column)
        if value not in choices:
            raise self.error(column, f"one of {', '.join(choices)}, found {value}")
        return choices[value]

    def listing(self, column: str) -> tuple[str, ...]:
        """Return the parts of a cell joined by ``;``."""
        return tuple(part.strip() for part in (self.optional(column) or "").split(";") if part.strip())

    def validity(self) -> Validity:
        """Return ``effective_from`` and ``effective_to``."""
        first, last = (
            self.optional_parsed(name, date.fromisoformat, "a date YYYY-MM-DD or blank")
            for name in ("effective_from", "effective_to")
        )
        if first is not None and last is not None and last < first:
            raise self.error("effective_to", "a day not before effective_from")
        return Validity(first=first, last=last)

    def error(self, column: str, expected: str) -> TableError:
        """Make the error that names this line and ``column``."""
        return TableError(self.file, self.line, column, expected)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """Where tables are read from; ``override`` is the operator's folder, None = shipped tables only.

    Raises :class:`TableError` for a file in the folder that replaces nothing: a misspelt name must not be ignored.
    """

    override: Path | None = None

    def __post_init__(self) -> None:
        if self.override is None:
            return
        shipped = {entry.name for entry in SHIPPED.iterdir()}
        if not self.override.is_dir():
            raise TableError(str(self.override), 0, "-", "a folder")
        for path in sorted([*self.override.glob("*.csv"), *self.override.glob("*.toml")]):
            if path.name not in shipped:
                raise TableError(str(path), 0, "-", "the name of a shipped table")

    def replaced(self) -> tuple[str, ...]:
        """Return the names of shipped tables that the operator's own files stand for."""
        return () if self.override is None else tuple(sorted(path.stem for path in self.override.glob("*.csv")))

    def check(self) -> None:
        """Read every replaced table whole and hold its columns to the shipped one's, also where no code reads it.

        Raises :class:`TableError`.
        """
        for name in self.replaced():
            shipped = next(Tables().rows(name)).cells.keys()
            for cells in self.rows(name):
                if missing := shipped - cells.cells.keys():
                    raise TableError(cells.file, 1, min(missing), "every column of the shipped table")

    def rows(self, name: str) -> Iterator[Cells]:
        """Yield the lines of table ``name`` (file name without ``.csv``)."""
        file, text = self.document(f"{name}.csv")
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        width = len(reader.fieldnames or ())
        try:
            for row in reader:
                if None in row or None in row.values():
                    raise TableError(file, reader.line_num, "-", f"{width} cells")
                yield Cells(file=file, line=reader.line_num, cells=row)
        except csv.Error as error:
            raise TableError(file, reader.line_num, "-", "well-formed CSV (RFC 4180)") from error

    def document(self, file: str) -> tuple[str, str]:
        """Return label and text of a shipped or replaced file, ``file`` with its extension."""
        own = None if self.override is None else self.override / file
        source = own if own is not None and own.exists() else SHIPPED / file
        label = str(own) if source is own else file
        try:
            return label, source.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise TableError(label, 0, "-", "a readable UTF-8 file") from error


def by_key(rows: Collection[tuple[str, T, Cells]], column: str) -> dict[str, T]:
    """Index parsed rows by their key; a key that stands twice is a :class:`TableError`."""
    found: dict[str, T] = {}
    for key, value, cells in rows:
        if key in found:
            raise cells.error(column, f"a value that stands once, found {key} again")
        found[key] = value
    return found
