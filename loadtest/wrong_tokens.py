"""Tokens that must be refused, each wrong in one thing."""

from __future__ import annotations

import base64
import json
import time
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bashu.bearer import TokenSource
from bashu.profiles import Profile

AHEAD_S: Final = 60
"""Well over the ten seconds that a caller's clock may be ahead."""
LONG_AGO_S: Final = 3600


def signed_by_another(profile: Profile, other: Profile) -> str:
    """Return a token that names ``profile``'s key and is signed with ``other``'s."""
    return _signed(_claims(profile), profile.kid, other)


def without_signature(profile: Profile) -> str:
    """Return a token with ``alg`` none (RFC 7519 section 6)."""
    header = {"alg": "none", "kid": profile.kid, "typ": "JWT"}
    return f"Bearer {_segment(header)}.{_segment(_claims(profile))}."


def naming_a_key_source(profile: Profile) -> str:
    """Return a rightly signed token whose header says where a key could be fetched (``jku``)."""
    return _signed(_claims(profile), profile.kid, profile, jku="https://keys.example/jwks.json")


def ended(profile: Profile) -> str:
    """Return a token that was good an hour ago."""
    return TokenSource(profile, now=lambda: time.time() - LONG_AGO_S).bearer()


def from_the_future(profile: Profile) -> str:
    """Return a token made by a clock that is a minute ahead."""
    return TokenSource(profile, now=lambda: time.time() + AHEAD_S).bearer()


def _claims(profile: Profile) -> dict[str, Any]:
    token = TokenSource(profile).bearer().removeprefix("Bearer ")
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def _signed(claims: dict[str, Any], kid: str, signer: Profile, **header: str) -> str:
    key = load_pem_private_key(signer.private_key.read_bytes(), password=None)
    token = jwt.encode(claims, key, algorithm="ES256", headers={"kid": kid, **header})  # type: ignore[arg-type]
    return f"Bearer {token}"


def _segment(value: dict[str, Any]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()
