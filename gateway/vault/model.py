"""A sealed detail, and what it is sealed with: AES-256-GCM, bound to one ledger entry and one kind."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_BYTES: Final = 32
MOST_BYTES: Final = 10 * 1024 * 1024
"""Largest content: a scanned letter of authorisation."""
_VERSION: Final = b"\x01"
_NONCE_BYTES: Final = 12


class DetailKind(StrEnum):
    """What a detail is; part of what it is bound to, so that one cannot pass for another."""

    REASON = "REASON"
    """Why somebody acted, in that person's words: holds, freezes, erasures, unmaskings, verdicts."""
    EVIDENCE = "EVIDENCE"
    """The paper behind a LENDER_ATTESTED consent, as uploaded."""
    STATEMENT = "STATEMENT"
    """A subject's statement (条例 Art. 16)."""
    DISPUTE = "DISPUTE"
    """What a dispute says, and its answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """A detail as it is stored beside its entry: ``content`` is version, nonce, ciphertext with tag."""

    entry_id: UUID
    kind: DetailKind
    key_id: UUID
    content: bytes

    @property
    def sha256(self) -> str:
        """What the leaf holds as ``detail_sha256``: lower-case hex SHA-256 of the sealed bytes.

        Not of the plaintext: a reason or a staff number has so few likely values that a leaf's reader could try them.
        """
        return hashlib.sha256(self.content).hexdigest()


def encrypt(key: bytes, content: bytes, *, bound_to: bytes) -> bytes:
    """Return version, nonce and ciphertext of ``content``, which opens with ``bound_to`` alone."""
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return _VERSION + nonce + AESGCM(key).encrypt(nonce, content, bound_to)


def decrypt(key: bytes, sealed: bytes, *, bound_to: bytes) -> bytes:
    """Return the content.

    Raises:
        ValueError: another key, bound to something else, damaged, or of a version that is not known here.
    """
    if not sealed.startswith(_VERSION):
        raise ValueError("sealed in a version that is not known here")
    nonce, body = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
    try:
        return AESGCM(key).decrypt(nonce, body, bound_to)
    except InvalidTag as error:
        raise ValueError("does not open") from error


def detail_binding(entry_id: UUID, kind: DetailKind) -> bytes:
    """Return the associated data of a detail."""
    return b"bashu-detail/1\x00" + entry_id.bytes + kind.encode()


def key_binding(key_id: UUID, owner: str) -> bytes:
    """Return the associated data of a wrapped key, so that rows cannot be exchanged."""
    return b"bashu-data-key/1\x00" + key_id.bytes + owner.encode()
