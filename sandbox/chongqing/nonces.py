"""Refuse a nonce that was seen before (docs/platforms/chongqing.md section 3)."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

REMEMBERED: Final = timedelta(seconds=600)
_MAX_REMEMBERED: Final = 500_000
"""A flood then loses its oldest nonces instead of filling the memory: a simulator may forget, never stop."""


class NonceBook:
    """The nonces of the last 600 s."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], datetime] = OrderedDict()

    def take(self, *, jgdm: str, nonce: str, at: datetime) -> bool:
        """Remember the nonce of that caller; False when it was used within the last 600 s."""
        self._forget_before(at - REMEMBERED)
        key = (jgdm, nonce)
        if key in self._seen:
            return False
        self._seen[key] = at
        return True

    def _forget_before(self, moment: datetime) -> None:
        while self._seen and (len(self._seen) >= _MAX_REMEMBERED or next(iter(self._seen.values())) < moment):
            self._seen.popitem(last=False)
