"""The log's Ed25519 key in a file (mode 0600), made per deployment and kept outside PostgreSQL."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from ledger.note import NoteError, VerifierKey

_OTHERS_MAY_READ: Final = 0o077


class FileSigner:
    """Sign with the key of ``path`` in the name ``name`` (the log's origin)."""

    def __init__(self, name: str, key: Ed25519PrivateKey) -> None:
        self._name = name
        self._key = key
        public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self._vkey = VerifierKey(name=name, public_key=public).text()

    @property
    def name(self) -> str:
        """The key's name."""
        return self._name

    @property
    def vkey(self) -> str:
        """The verifier key in C2SP text form."""
        return self._vkey

    def sign(self, text: bytes) -> bytes:
        """Return the 64-byte signature over ``text``."""
        return self._key.sign(text)


def load_signer(path: Path, *, name: str) -> FileSigner:
    """Read the key file; raise NoteError where others may read it or it holds another kind of key."""
    if path.stat().st_mode & _OTHERS_MAY_READ:
        raise NoteError(f"{path} may be read by others; its mode must be 0600")
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise NoteError(f"{path} does not hold an Ed25519 key")
    return FileSigner(name, key)


def generate_signer(path: Path, *, name: str) -> FileSigner:
    """Make a new key at ``path``; an existing file is never overwritten (FileExistsError)."""
    key = Ed25519PrivateKey.generate()
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(pem)
        file.flush()
        os.fsync(file.fileno())
    return FileSigner(name, key)
