"""The envelope of a 200 answer: SM4-GCM payload under a wrapped key (docs/platforms/sichuan.md section 3)."""

from __future__ import annotations

import base64
import gzip
import os
from enum import StrEnum
from typing import Any, Final

import msgspec
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, modes
from cryptography.hazmat.primitives.ciphers.algorithms import SM4

_KEY_BYTES: Final = 16
_NONCE_BYTES: Final = 12
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class DataStatus(StrEnum):
    """``dataStatus``."""

    SUCCESS = "STATUS_SUCCESS"
    NODATA = "STATUS_NODATA"
    PARTIAL = "STATUS_PARTIAL"


def payload_bytes(payload: Any, *, is_zipped: bool) -> bytes:
    """Return the payload's JSON, UTF-8; zipped: base64 of gzip of it. Decimals become JSON numbers."""
    text = _ENCODER.encode(payload)
    return base64.b64encode(gzip.compress(text, mtime=0)) if is_zipped else text


def seal(
    payload: bytes,
    status: DataStatus,
    public_key: RSAPublicKey,
    *,
    key: bytes | None = None,
    nonce: bytes | None = None,
) -> dict[str, str]:
    """Return the envelope of ``payload``; key and nonce are fresh unless a vector gives them."""
    sm4_key = os.urandom(_KEY_BYTES) if key is None else key
    sm4_nonce = os.urandom(_NONCE_BYTES) if nonce is None else nonce
    encryptor = Cipher(SM4(sm4_key), modes.GCM(sm4_nonce)).encryptor()
    ciphertext = encryptor.update(payload) + encryptor.finalize()
    wrapped = public_key.encrypt(
        sm4_key, padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)
    )
    return {
        "encryptKey": base64.b64encode(wrapped).decode(),
        "data": base64.b64encode(sm4_nonce + ciphertext + encryptor.tag).decode(),
        "dataStatus": status.value,
    }
