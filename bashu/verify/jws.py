"""Compact JWS (RFC 7515), strictly: what a lax reader would let pass is refused before any signature is looked at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bashu.verify.keys import PublicKey
from bashu.verify.strict import VerificationError, base64url_bytes, json_object

_MEMBERS: Final = frozenset({"alg", "kid", "typ"})
_SEGMENTS: Final = 3
_LONGEST: Final = 1_000_000  # characters


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedJws:
    """A JWS whose signature held: its header and the exact payload bytes."""

    header: Mapping[str, Any]
    payload: bytes


def verify_jws(jws: object, key: PublicKey, *, typ: str | None = None) -> VerifiedJws:
    """Check ``jws`` against ``key``; with ``typ`` the header must carry exactly that type.

    The algorithm is the key's own, never the header's choice; ``kid`` must be the key's when both have one; any
    member beside ``alg``, ``kid`` and ``typ`` is refused (``b64``, ``crit``, ``jwk``, ``jku``, ``x5u``, ``x5c`` too).

    Raises:
        VerificationError: form, header or signature is wrong.
    """
    if not isinstance(jws, str) or len(jws) > _LONGEST:
        raise VerificationError("jws: compact text expected")
    segments = jws.split(".")
    if len(segments) != _SEGMENTS:
        raise VerificationError("jws: three segments expected")
    raw_header, payload, signature = (
        base64url_bytes(segment, f"jws {name}")
        for name, segment in zip(("header", "payload", "signature"), segments, strict=True)
    )
    header = json_object(raw_header, "jws header")
    _check_header(header, key, typ)
    key.check(f"{segments[0]}.{segments[1]}".encode("ascii"), signature)
    return VerifiedJws(header=header, payload=payload)


def _check_header(header: Mapping[str, Any], key: PublicKey, typ: str | None) -> None:
    foreign = sorted(header.keys() - _MEMBERS)
    if foreign:
        raise VerificationError(f"jws header: member {foreign[0]!r} is not allowed")
    if any(not isinstance(value, str) for value in header.values()):
        raise VerificationError("jws header: text members expected")
    if header.get("alg") != key.algorithm:
        raise VerificationError(f"jws header: alg is not the key's {key.algorithm}")
    if "kid" in header and key.kid is not None and header["kid"] != key.kid:
        raise VerificationError("jws header: kid is another key's")
    if typ is not None and header.get("typ") != typ:
        raise VerificationError(f"jws header: typ is not {typ}")
