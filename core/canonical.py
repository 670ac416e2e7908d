"""Canonical JSON bytes, equal to RFC 8785 for what a ledger entry may hold (ASCII names, integers, strings)."""

from __future__ import annotations

from typing import Final

import msgspec

_TYPE_ERROR: Final = "canonical JSON takes objects with ASCII names, arrays, integers, strings, true, false and null"
_ENCODER: Final = msgspec.json.Encoder(order="sorted")


def canonical_json(value: object) -> bytes:
    """Encode ``value`` as sorted, compact UTF-8 JSON.

    Floats are refused (TypeError): RFC 8785 number formatting is not implemented, and no entry needs one.
    """
    _refuse_floats(value)
    return _ENCODER.encode(value)


def _refuse_floats(value: object) -> None:
    match value:
        case dict():
            for name, member in value.items():
                if not (isinstance(name, str) and name.isascii()):
                    raise TypeError(_TYPE_ERROR)
                _refuse_floats(member)
        case list() | tuple():
            for member in value:
                _refuse_floats(member)
        case bool() | int() | str() | None:
            pass
        case _:
            raise TypeError(_TYPE_ERROR)
