"""Decode a platform's JSON without losing a digit and without trusting a member that stands twice."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import msgspec

from adapters.kit.failures import Failure, PlatformFailureError

_DECODER: Final = msgspec.json.Decoder(float_hook=Decimal)


def check_members(payload: bytes) -> None:
    """Refuse JSON with a member twice: readers would differ about which one counts. Raises PlatformFailureError."""
    try:
        # Numbers stay text: this pass looks at names alone, and must not choke on a number of a million digits.
        json.loads(payload, object_pairs_hook=_once, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise PlatformFailureError(Failure.MALFORMED, "payload") from None


def decode(payload: bytes) -> Any:
    """Return what ``payload`` holds, numbers with a point as Decimal. Raises PlatformFailureError (MALFORMED)."""
    check_members(payload)
    try:
        return _DECODER.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise PlatformFailureError(Failure.MALFORMED, "JSON") from None


def _once(pairs: list[tuple[str, Any]]) -> None:
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a member stands twice")
