"""The bearer token of a participant: short-lived, signed here, bound to the client certificate (RFC 8705, 3.1)."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import jwt
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from bashu.profiles import Profile, ProfileError

LIFETIME_S: Final = 300
"""Half of the ten minutes a gateway allows at most, so that a clock a little behind does no harm."""
RENEW_BEFORE_S: Final = 60
"""A token younger than this many seconds before its end is not handed out: a call may take so long."""


class TokenSource:
    """Makes the participant's tokens and keeps one until it is near its end."""

    def __init__(self, profile: Profile, *, now: Callable[[], float] = time.time) -> None:
        self._profile = profile
        self._now = now
        self._key, self._algorithm = _signing_key(profile.private_key)
        self._thumbprint = None if profile.certificate is None else certificate_thumbprint(profile.certificate)
        self._token = ""
        self._renew_at = 0.0

    def bearer(self) -> str:
        """Return the value of the ``authorization`` header."""
        now = self._now()
        # The second comparison answers a clock that was set back: such a token would be refused as CLOCK_SKEW.
        if not self._renew_at - LIFETIME_S <= now < self._renew_at:
            self._token = jwt.encode(
                self._claims(int(now)), self._key, algorithm=self._algorithm, headers={"kid": self._profile.kid}
            )
            self._renew_at = int(now) + LIFETIME_S - RENEW_BEFORE_S
        return f"Bearer {self._token}"

    def _claims(self, now: int) -> dict[str, Any]:
        profile = self._profile
        claims: dict[str, Any] = {
            **profile.claims,
            "iss": profile.participant,
            "sub": profile.participant,
            "aud": profile.audience,
            "iat": now,
            "exp": now + LIFETIME_S,
            "jti": str(uuid4()),
        }
        if self._thumbprint is not None:
            claims["cnf"] = {"x5t#S256": self._thumbprint}
        if profile.operator is not None:
            claims["opr"] = profile.operator
        return claims


def certificate_thumbprint(path: Path) -> str:
    """Return ``x5t#S256`` of the first certificate of a PEM file: unpadded base64url of the SHA-256 of its DER."""
    try:
        certificate = x509.load_pem_x509_certificate(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ProfileError(f"{path}: cannot be read as a PEM certificate") from error
    return base64.urlsafe_b64encode(certificate.fingerprint(SHA256())).rstrip(b"=").decode()


def _signing_key(path: Path) -> tuple[ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, str]:
    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except (OSError, ValueError, TypeError) as error:
        raise ProfileError(f"{path}: cannot be read as an unencrypted PEM key") from error
    match key:
        case ed25519.Ed25519PrivateKey():
            return key, "EdDSA"
        case ec.EllipticCurvePrivateKey() if isinstance(key.curve, ec.SECP256R1):
            return key, "ES256"
        case _:
            raise ProfileError(f"{path}: only P-256 and Ed25519 keys sign tokens")
