"""Check the callers' ``X-CQ-SIGN`` and make the platform's ``QM`` (docs/platforms/chongqing.md sections 3 and 8)."""

from __future__ import annotations

import base64
import hmac
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hmac import HMAC

from sandbox.credentials import SigningKey

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


def result_signature(key: SigningKey, body: bytes) -> str:
    """Return ``QM`` over the bytes of ``<BODY>…</BODY>``: ``r || s`` in standard base64, 88 characters."""
    r, s = decode_dss_signature(key.private_key.sign(body, ec.ECDSA(hashes.SHA256())))
    return base64.b64encode(r.to_bytes(_COORDINATE_BYTES, "big") + s.to_bytes(_COORDINATE_BYTES, "big")).decode()
