"""Paths into decoded JSON, ``data.list`` or ``rows[0].code``: compiled once into steps."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Final

ABSENT: Final = object()
"""What a path finds where a member is missing: another thing than null."""
Find = Callable[[Any], Any]
_PATH: Final = re.compile(r"[^.\[\]\s]+(?:\[\d{1,4}\])*(?:\.[^.\[\]\s]+(?:\[\d{1,4}\])*)*")
_STEP: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")
EXPECTED: Final = "a path as data.list or rows[0].code"


def compile_path(text: str) -> Find:
    """Return the function that finds ``text`` in a decoded answer. Raises ValueError."""
    if _PATH.fullmatch(text) is None:
        raise ValueError(EXPECTED)
    steps: tuple[str | int, ...] = tuple(int(n) if n else name for n, name in _STEP.findall(text))
    if len(steps) == 1 and isinstance(steps[0], str):
        only = steps[0]
        return lambda value: value.get(only, ABSENT) if isinstance(value, dict) else ABSENT
    return lambda value: _walk(value, steps)


def _walk(value: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        if isinstance(step, str):
            value = value.get(step, ABSENT) if isinstance(value, dict) else ABSENT
        elif isinstance(value, list) and step < len(value):
            value = value[step]
        else:
            return ABSENT
        if value is ABSENT:
            return ABSENT
    return value
