"""The log's Ed25519 keys in files (mode 0600), made per deployment and kept outside PostgreSQL.

The settings name one; a successor lies beside it as ``ledger-<key id>.pem``, so that no setting changes with a key.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
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

from ledger.note import NoteError, Signer, VerifierKey, parse_vkey

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

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Itself: a key that has no successor."""
        return (self,)

    def follow(self, vkeys: Sequence[str]) -> None:
        """Refuse to be another key."""
        if tuple(vkeys) not in {(), (self._vkey,)}:
            raise NoteError("another key of the log signs now")

    def sign(self, text: bytes) -> bytes:
        """Return the 64-byte signature over ``text``."""
        return self._key.sign(text)


class LogKeyFiles:
    """The log's keys on this machine: the one at ``path``, and its successors beside it."""

    def __init__(self, path: Path, *, name: str) -> None:
        self._path = path
        self._settled = load_signer(path, name=name)
        self._signers: tuple[Signer, ...] = (self._settled,)

    @property
    def name(self) -> str:
        """The log's origin."""
        return self._settled.name

    @property
    def vkey(self) -> str:
        """The settings' key in C2SP text form."""
        return self._settled.vkey

    @property
    def signers(self) -> tuple[Signer, ...]:
        """Those that sign now, the oldest first."""
        return self._signers

    def follow(self, vkeys: Sequence[str]) -> None:
        """Let exactly ``vkeys`` sign (none: the settings' key), reading their files at need.

        Raises:
            NoteError: a file is missing, readable by others, or holds another key; nothing changed.
        """
        wanted = tuple(vkeys) or (self._settled.vkey,)
        if wanted == tuple(signer.vkey for signer in self._signers):
            return
        known = {signer.vkey: signer for signer in (self._settled, *self._signers)}
        self._signers = tuple(known.get(vkey) or self.load(vkey) for vkey in wanted)

    def load(self, vkey: str) -> FileSigner:
        """Read the file of a successor; raise NoteError where it is not there as it should be."""
        file = self.file_of(vkey)
        try:
            signer = load_signer(file, name=self.name)
        except OSError as error:
            raise NoteError(f"{file} cannot be read: copy the log's new key there, mode 0600") from error
        if signer.vkey != vkey:
            raise NoteError(f"{file} holds another key than its name says")
        return signer

    def vkeys(self) -> list[str]:
        """Return the settings' key and every successor whose file is beside it, whether it signs or not."""
        found = [self.vkey]
        for file in sorted(self._path.parent.glob("ledger-????????.pem")):
            with contextlib.suppress(NoteError, OSError):
                found.append(load_signer(file, name=self.name).vkey)
        return found

    def generate(self) -> FileSigner:
        """Make a successor's key beside the settings' key."""
        draft = self._path.with_name("ledger-new.pem")
        signer = generate_signer(draft, name=self.name)
        draft.rename(self.file_of(signer.vkey))
        return signer

    def file_of(self, vkey: str) -> Path:
        """Return where a key's file is: the settings' path, or beside it by its id."""
        if vkey == self._settled.vkey:
            return self._path
        return self._path.with_name(f"ledger-{parse_vkey(vkey).key_id.hex()}.pem")


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
