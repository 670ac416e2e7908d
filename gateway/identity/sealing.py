"""What the registry keeps of natural persons: names sealed, staff numbers as keyed commitments."""

from __future__ import annotations

import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class NameSeal:
    """Seals names of staff with AES-256-GCM under a key kept outside PostgreSQL.

    A sealed name opens only for the institution and staff number it was sealed for, so rows cannot be exchanged.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_BYTES:
            raise ValueError(f"a name seal's key has {KEY_BYTES} bytes")
        self._cipher = AESGCM(key)

    def seal(self, name: str, *, institution: str, staff_number: str) -> bytes:
        """Return version, nonce and ciphertext."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher.encrypt(nonce, name.encode(), _owner(institution, staff_number))

    def open(self, sealed: bytes, *, institution: str, staff_number: str) -> str:
        """Return the name.

        Raises:
            ValueError: sealed under another key, for somebody else, or damaged.
        """
        nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, body, _owner(institution, staff_number)).decode()
        except InvalidTag as error:
            raise ValueError("the sealed name does not open") from error


def operator_commitment(key: bytes, institution: str, staff_number: str) -> str:
    """Return how a ledger leaf names a staff number: lower-case hex HMAC-SHA-256(key, ``institution:number``)."""
    return hmac.new(key, f"{institution}:{staff_number}".encode(), "sha256").hexdigest()


def _owner(institution: str, staff_number: str) -> bytes:
    return f"{institution}\x00{staff_number}".encode()
