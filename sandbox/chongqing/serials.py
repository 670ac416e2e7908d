"""Remember serials: a retry is answered with the first result (docs/platforms/chongqing.md section 4, LSH rule)."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

REMEMBERED: Final = timedelta(hours=48)
"""Of job age: real time and what the data clock was advanced."""
_MAX_KEPT: Final = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Serial:
    """What a serial led to: an ``SQSBH`` or an ``RWH``."""

    body_digest: bytes
    result: str
    at: datetime


class SerialBook:
    """``LSH`` of each caller, for XY1000 and XY1001 alike."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, str], Serial] = OrderedDict()

    def find(self, jgdm: str, lsh: str, *, now: datetime) -> Serial | None:
        """Return what that caller's serial led to, None when it is new or forgotten."""
        while self._kept and next(iter(self._kept.values())).at < now - REMEMBERED:
            self._kept.popitem(last=False)
        return self._kept.get((jgdm, lsh))

    def keep(self, jgdm: str, lsh: str, *, body: bytes, result: str, now: datetime) -> None:
        """Remember the serial of an accepted request."""
        while len(self._kept) >= _MAX_KEPT:
            self._kept.popitem(last=False)
        self._kept[jgdm, lsh] = Serial(body_digest=digest(body), result=result, at=now)


def digest(body: bytes) -> bytes:
    """Return what two bodies are compared by."""
    return hashlib.sha256(body).digest()
