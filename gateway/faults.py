"""What the log may say about a failure: types and places, never messages.

A driver's or a codec's message can quote a value, and a value can be an identity number.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Final

PLACES: Final = 6
"""Innermost frames shown of each exception."""
_DEPTH: Final = 8


def fault_lines(error: BaseException) -> list[str]:
    """Return one line an exception: its type and where it came from, causes and group members after it."""
    return list(_lines(error, _DEPTH))


def _lines(error: BaseException, depth: int) -> Iterator[str]:
    frames = traceback.extract_tb(error.__traceback__)[-PLACES:]
    places = " < ".join(f"{Path(frame.filename).name}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    yield f"{type(error).__module__}.{type(error).__qualname__} at {places or 'nowhere'}"
    if depth == 0:
        return
    members = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    cause = error.__cause__ if error.__suppress_context__ else error.__context__
    for inner in [*members, *([cause] if cause is not None else [])]:
        yield from _lines(inner, depth - 1)
