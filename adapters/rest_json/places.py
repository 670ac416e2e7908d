"""Where in a TOML file a key stands, so that a mistake is reported with its line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

Key = str | int
_HEADER: Final = re.compile(r"\s*(\[\[?)\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
_ENTRY: Final = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_PART: Final = re.compile(r"""[\w-]+|"[^"]*"|'[^']*'""")
_STEP: Final = re.compile(r"""\.?([\w-]+)|\[(\d+)\]|\[(?:\.\.\.)\]""")


class Places:
    """Lines of a TOML text by path. A path inside an inline table is found where that table begins."""

    def __init__(self, text: str) -> None:
        self._lines: Mapping[tuple[Key, ...], int] = _found(text)

    def line(self, path: Sequence[Key]) -> int:
        """Return the line, from 1, of the longest known beginning of ``path``; 1 where nothing of it is known."""
        wanted = tuple(path)
        while wanted and wanted not in self._lines:
            wanted = wanted[:-1]
        return self._lines.get(wanted, 1)


def path_in(message: str) -> tuple[tuple[Key, ...], str]:
    """Split a decoder's message, ``Expected `int`, got `str` - at `$.limits.burst` ``, into path and expectation."""
    text, _, place = message.partition(" - at ")
    steps = _STEP.findall(place.strip("`").removeprefix("$"))
    return tuple(int(number) if number else name for name, number in steps if name or number), text


def _found(text: str) -> dict[tuple[Key, ...], int]:
    lines: dict[tuple[Key, ...], int] = {}
    counts: dict[tuple[Key, ...], int] = {}
    table: tuple[Key, ...] = ()
    for number, line in enumerate(text.splitlines(), start=1):
        if (header := _HEADER.fullmatch(line)) is not None:
            table = _opened(header[2], counts, is_array=header[1] == "[[")
            lines.setdefault(table, number)
        elif (entry := _ENTRY.match(line)) is not None:
            lines.setdefault((*table, *_parts(entry[1])), number)
    return lines


def _opened(name: str, counts: dict[tuple[Key, ...], int], *, is_array: bool) -> tuple[Key, ...]:
    """Return the path of a table's header; one inside an array of tables belongs to the array's latest."""
    path: tuple[Key, ...] = ()
    parts = _parts(name)
    for place, part in enumerate(parts, start=1):
        path = (*path, part)
        if place == len(parts) and is_array:
            counts[path] = counts.get(path, -1) + 1
        if path in counts:
            path = (*path, counts[path])
    return path


def _parts(name: str) -> list[str]:
    return [part.strip("\"'") for part in _PART.findall(name)]
