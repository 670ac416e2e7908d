"""The envelope: a random SM4 key wrapped to our RSA key, the payload under SM4-GCM (section 3)."""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.kit.strict_json import check_members

KEY_BYTES: Final = 16
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16
MAX_UNPACKED_BYTES: Final = 8 * 1024 * 1024
SMALLEST_RSA_BITS: Final = 2048
SUCCESS, NO_DATA, PARTIAL = "STATUS_SUCCESS", "STATUS_NODATA", "STATUS_PARTIAL"
_GZIP: Final = 16 + zlib.MAX_WBITS
_OAEP: Final = OAEP(mgf=MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


class _Envelope(msgspec.Struct):
    encryptKey: str  # noqa: N815  # the platform's name
    data: str
    dataStatus: str  # noqa: N815  # the platform's name


_DECODER: Final = msgspec.json.Decoder(_Envelope)


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """A payload out of its envelope: JSON text in UTF-8, with each member of each object standing once."""

    status: str
    payload: bytes


def load_private_key(pem: bytes) -> RSAPrivateKey:
    """Read an RSA key of at least 2048 bits. Raises ValueError."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, RSAPrivateKey) or key.key_size < SMALLEST_RSA_BITS:
        raise ValueError(f"expected an RSA key of at least {SMALLEST_RSA_BITS} bits")
    return key


def open_envelope(body: bytes, keys: Mapping[str, RSAPrivateKey], *, key_id: str, is_zipped: bool) -> Opened:
    """Unwrap, decrypt, unpack. Raises PlatformFailureError (MALFORMED) naming the step that broke."""
    key = keys.get(key_id)
    if key is None:
        raise _malformed("x-key-id")
    try:
        envelope = _DECODER.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise _malformed("envelope") from None
    if envelope.dataStatus not in {SUCCESS, NO_DATA, PARTIAL}:
        raise _malformed("envelope.dataStatus")
    secret = _unwrapped(key, envelope.encryptKey)
    payload = _decrypted(secret, envelope.data)
    if is_zipped:
        payload = _unpacked(payload)
    check_members(payload)
    return Opened(status=envelope.dataStatus, payload=payload)


def _unwrapped(key: RSAPrivateKey, wrapped: str) -> bytes:
    try:
        secret = key.decrypt(_base64(wrapped, "envelope.encryptKey"), _OAEP)
    except ValueError:
        raise _malformed("envelope.encryptKey") from None
    if len(secret) != KEY_BYTES:
        raise _malformed("envelope.encryptKey")
    return secret


def _decrypted(secret: bytes, data: str) -> bytes:
    raw = _base64(data, "envelope.data")
    if len(raw) < NONCE_BYTES + TAG_BYTES:
        raise _malformed("envelope.data")
    nonce, ciphertext, tag = raw[:NONCE_BYTES], raw[NONCE_BYTES:-TAG_BYTES], raw[-TAG_BYTES:]
    decryptor = Cipher(algorithms.SM4(secret), modes.GCM(nonce, tag)).decryptor()
    try:
        return decryptor.update(ciphertext) + decryptor.finalize()
    except InvalidTag:
        raise _malformed("envelope.data") from None


def _unpacked(payload: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP)
    try:
        text = unpacker.decompress(base64.b64decode(payload, validate=True), MAX_UNPACKED_BYTES)
    except (binascii.Error, ValueError, zlib.error):
        raise _malformed("zip") from None
    if unpacker.unconsumed_tail:
        raise PlatformFailureError(Failure.OVERSIZED, "zip")
    if not unpacker.eof or unpacker.unused_data:
        raise _malformed("zip")
    return text


def _base64(text: str, path: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _malformed(path) from None


def _malformed(path: str) -> PlatformFailureError:
    return PlatformFailureError(Failure.MALFORMED, path)
