"""Strict readers of base64 and JSON: one spelling a value, so that nothing is read in two ways.

RFC 4648 section 3.5 (canonical trailing bits), RFC 7515 section 2 (base64url without padding),
RFC 7493 section 2 (no duplicate members, no lone surrogates, integers that every language can hold).
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable
from typing import Any, Final

HASH_BYTES: Final = 32
_BASE64URL: Final = re.compile(r"[A-Za-z0-9_-]*", re.ASCII)
_LARGEST_INTEGER: Final = 2**53 - 1  # RFC 7493 section 2.2


class VerificationError(Exception):
    """A check did not hold. The message says which one, in words for the person who runs the check."""


def base64_bytes(value: object, what: str) -> bytes:
    """Decode standard base64 with padding; anything a second spelling could stand for is refused."""
    if not isinstance(value, str):
        raise VerificationError(f"{what}: base64 text expected")
    try:
        decoded = base64.b64decode(value.encode("ascii"), validate=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise VerificationError(f"{what}: not base64") from error
    if base64.b64encode(decoded).decode() != value:
        raise VerificationError(f"{what}: base64 is not canonical")
    return decoded


def base64_hash(value: object, what: str) -> bytes:
    """Decode the base64 of one SHA-256 value (32 bytes)."""
    return sized_hash(base64_bytes(value, what), what)


def sized_hash(value: bytes, what: str) -> bytes:
    """Return ``value`` when it has the 32 bytes of a SHA-256 value."""
    if len(value) != HASH_BYTES:
        raise VerificationError(f"{what}: {HASH_BYTES} bytes expected, got {len(value)}")
    return value


def base64url_bytes(value: object, what: str) -> bytes:
    """Decode unpadded base64url (RFC 7515 section 2) with canonical trailing bits and no white space."""
    if not isinstance(value, str) or not _BASE64URL.fullmatch(value) or len(value) % 4 == 1:
        raise VerificationError(f"{what}: not unpadded base64url")
    decoded = base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    if base64.urlsafe_b64encode(decoded).rstrip(b"=").decode() != value:
        raise VerificationError(f"{what}: base64url has stray trailing bits")
    return decoded


def json_value(raw: bytes | str, what: str) -> Any:
    """Parse JSON of integers, strings, booleans and null; duplicates, NaN, floats, lone surrogates are refused."""
    try:
        text = raw.decode("utf-8") if isinstance(raw, bytes) else raw
        text.encode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_members(what),
            parse_float=_refuse(what, "a number that is no integer"),
            parse_constant=_refuse(what, "NaN or Infinity"),
        )
        _refuse_unpaired(value, what)
    except UnicodeError as error:
        raise VerificationError(f"{what}: not UTF-8") from error
    except (ValueError, RecursionError) as error:
        raise VerificationError(f"{what}: not JSON") from error
    return value


def json_object(raw: bytes | str, what: str) -> dict[str, Any]:
    """Parse strict JSON whose outermost value is an object."""
    value = json_value(raw, what)
    if not isinstance(value, dict):
        raise VerificationError(f"{what}: a JSON object expected")
    return value


def non_negative(value: object, what: str) -> int:
    """Return an integer from 0 up; decimal text is taken too, as JSON of 64-bit numbers is often text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and str(int(value)) == value:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise VerificationError(f"{what}: an integer from 0 up expected")
    return value


def _members(what: str) -> Callable[[list[tuple[str, Any]]], dict[str, Any]]:
    def build(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        members = dict(pairs)
        if len(members) != len(pairs):
            raise VerificationError(f"{what}: duplicate member")
        return members

    return build


def _refuse(what: str, thing: str) -> Callable[[str], Any]:
    def refuse(_: str) -> Any:
        raise VerificationError(f"{what}: holds {thing}")

    return refuse


def _refuse_unpaired(value: object, what: str) -> None:
    match value:
        case str():
            value.encode("utf-8")
        case dict():
            for name, member in value.items():
                name.encode("utf-8")
                _refuse_unpaired(member, what)
        case list():
            for member in value:
                _refuse_unpaired(member, what)
        case int() if not isinstance(value, bool) and abs(value) > _LARGEST_INTEGER:
            raise VerificationError(f"{what}: holds an integer beyond 2^53")
        case _:
            pass
