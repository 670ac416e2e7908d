"""Canonical JSON bytes, equal to RFC 8785 for what a ledger entry may hold (ASCII names, integers, strings)."""

from __future__ import annotations

from typing import Final

import msgspec

_TYPE_ERROR: Final = "canonical JSON takes objects with ASCII names, arrays, integers, strings, true, false and null"
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """Encode ``value`` as sorted, compact UTF-8 JSON.

    Floats are refused (TypeError): RFC 8785 number formatting is not implemented, and no entry needs one.
    """
    _refuse_floats(value)
    return _ENCODER.encode(value)


def _refuse_floats(value: object) -> None:
    # Exact types first, by identity: this runs over every member of every entry. Enums are the subclasses met here.
    kind = type(value)
    if kind is dict:
        for name, member in value.items():  # type: ignore[attr-defined]
            if not isinstance(name, str) or not name.isascii():
                raise TypeError(_TYPE_ERROR)
            if type(member) not in _PLAIN:
                _refuse_floats(member)
    elif kind is list or kind is tuple:
        for member in value:  # type: ignore[attr-defined]
            if type(member) not in _PLAIN:
                _refuse_floats(member)
    elif kind not in _PLAIN and not isinstance(value, str | int):
        raise TypeError(_TYPE_ERROR)
