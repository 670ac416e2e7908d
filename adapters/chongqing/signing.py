"""Signatures: ours over each request (section 3), the platform's ``QM`` over each result (section 8)."""

from __future__ import annotations

import base64
import binascii
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePublicKey,
    EllipticCurvePublicNumbers,
)
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from core.clock import SHANGHAI

NONCE_BYTES: Final = 16
SIGNATURE_CHARS: Final = 88
SIGNATURE_BYTES: Final = 64
ES256: Final = "ES256"


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who signs: the calling system's code ``JGDM`` and the secret it shares with the platform."""

    code: str
    secret: bytes = field(repr=False)


def fresh_nonce() -> str:
    """Return 32 random hexadecimal digits; each HTTP request has its own, a retry too."""
    return secrets.token_hex(NONCE_BYTES)


def beijing_time(moment: datetime) -> str:
    """Write a moment as ``X-CQ-SJC``."""
    return moment.astimezone(SHANGHAI).strftime("%Y%m%d%H%M%S")


def canonical_string(*, path: str, code: str, sent_at: str, nonce: str, body: bytes) -> str:
    """Return the text that is signed."""
    digest = hashes.Hash(hashes.SM3())
    digest.update(body)
    return "\n".join(("POST", path, code, sent_at, nonce, digest.finalize().hex()))


def signed_headers(caller: Caller, *, path: str, sent_at: str, nonce: str, body: bytes) -> dict[str, str]:
    """Return the headers of one request."""
    text = canonical_string(path=path, code=caller.code, sent_at=sent_at, nonce=nonce, body=body)
    mac = hmac.HMAC(caller.secret, hashes.SM3())
    mac.update(text.encode())
    return {
        "Content-Type": "application/xml; charset=GB18030",
        "X-CQ-JGDM": caller.code,
        "X-CQ-SJC": sent_at,
        "X-CQ-NONCE": nonce,
        "X-CQ-SIGN": mac.finalize().hex(),
    }


def load_platform_keys(jwks: Path) -> Mapping[str, EllipticCurvePublicKey]:
    """Read the platform's JWK Set; two keys stand side by side while it rotates. Raises ValueError or OSError."""
    keys: dict[str, EllipticCurvePublicKey] = {}
    for jwk in json.loads(jwks.read_bytes())["keys"]:
        if (jwk.get("kty"), jwk.get("crv"), jwk.get("alg")) != ("EC", "P-256", ES256):
            raise ValueError(f"{jwks.name}: expected EC keys on P-256 for ES256")
        numbers = EllipticCurvePublicNumbers(_number(jwk["x"]), _number(jwk["y"]), SECP256R1())
        keys[jwk["kid"]] = numbers.public_key()
    return keys


def is_signed(
    keys: Mapping[str, EllipticCurvePublicKey], *, key_id: str, algorithm: str, signature: str, signed: bytes
) -> bool:
    """Tell whether ``signature`` (base64 of r and s) is the platform's over ``signed``; never raises."""
    key = keys.get(key_id)
    if key is None or algorithm != ES256 or len(signature) != SIGNATURE_CHARS:
        return False
    try:
        raw = base64.b64decode(signature, validate=True)
        if len(raw) != SIGNATURE_BYTES:
            return False
        half = SIGNATURE_BYTES // 2
        der = encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))
        key.verify(der, signed, ECDSA(hashes.SHA256()))
    except (binascii.Error, ValueError, InvalidSignature):
        return False
    return True


def _number(text: str) -> int:
    return int.from_bytes(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
