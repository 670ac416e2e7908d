"""Check the callers' ``X-CQ-SIGN`` and make the platform's ``QM`` (docs/platforms/chongqing.md sections 3 and 8)."""

from __future__ import annotations

import base64
import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hmac import HMAC

QM_ALGORITHM: Final = "ES256"
_COORDINATE_BYTES: Final = 32


def canonical_string(*, path: str, jgdm: str, sjc: str, nonce: str, body: bytes) -> bytes:
    """Return the canonical string of one request; ``path`` has neither host nor query."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(body)
    return "\n".join(("POST", path, jgdm, sjc, nonce, digest.finalize().hex())).encode()


def caller_signature(secret: str, canonical: bytes) -> str:
    """Return HMAC-SM3 of the canonical string as 64 lower-case hex."""
    mac = HMAC(secret.encode(), hashes.SM3())
    mac.update(canonical)
    return mac.finalize().hex()


def is_signed(*, secret: str, canonical: bytes, signature: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(caller_signature(secret, canonical), signature)


@dataclass(frozen=True, slots=True, kw_only=True)
class QmKey:
    """The platform's signing key and its number ``QMBH``."""

    kid: str
    private_key: ec.EllipticCurvePrivateKey

    def __post_init__(self) -> None:
        if not isinstance(self.private_key.curve, ec.SECP256R1):
            raise TypeError("QM needs a key on P-256")

    def sign(self, body: bytes) -> str:
        """Return ``QM`` over the bytes of ``<BODY>…</BODY>``: ``r || s`` in standard base64, 88 characters."""
        r, s = decode_dss_signature(self.private_key.sign(body, ec.ECDSA(hashes.SHA256())))
        return base64.b64encode(r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")).decode()

    def public_jwk(self) -> dict[str, str]:
        """Return the public half as a JWK (RFC 7517), the form handed over out of band."""
        point = self.private_key.public_key().public_numbers()
        return {
            "kty": "EC",
            "crv": "P-256",
            "alg": QM_ALGORITHM,
            "use": "sig",
            "kid": self.kid,
            "x": _coordinate(point.x),
            "y": _coordinate(point.y),
        }


def public_jwks(*keys: QmKey) -> dict[str, list[dict[str, str]]]:
    """Return the JWK Set of the keys in use; two stand side by side while one takes over from the other."""
    return {"keys": [key.public_jwk() for key in keys]}


def _coordinate(value: int) -> str:
    return base64.urlsafe_b64encode(value.to_bytes(_COORDINATE_BYTES, "big")).rstrip(b"=").decode()
