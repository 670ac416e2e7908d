"""Signed notes (C2SP signed-note, Ed25519), verifier keys, and the text of a checkpoint (C2SP tlog-checkpoint)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.merkle import HASH_BYTES

ED25519: Final = b"\x01"
"""C2SP signed-note signature type of Ed25519 keys that sign the note's text."""

KEY_ID_BYTES: Final = 4
MAX_NOTE_BYTES: Final = 1_000_000
_PUBLIC_KEY_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_SIGNATURE_LINE: Final = re.compile(r"— (\S+) (\S+)")
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}")
_KEY_NAME: Final = re.compile(r"[^\s+]+")
_CHECKPOINT_LINES: Final = 3


class NoteError(ValueError):
    """A note, a verifier key or a checkpoint is malformed, or no signature of the key asked for is right."""


class Signer(Protocol):
    """Whatever signs notes in the log's name: a key file today, a hardware module where one is asked for."""

    @property
    def name(self) -> str:
        """The key's name; for a log its origin."""

    @property
    def vkey(self) -> str:
        """The verifier key in C2SP text form."""

    def sign(self, text: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over ``text``."""


class LogSigning(Protocol):
    """The log's keys on this machine: one, or during a succession two."""

    @property
    def name(self) -> str:
        """The log's origin, which is every key's name."""

    @property
    def vkey(self) -> str:
        """The settings' key, which signs where no succession is recorded."""

    @property
    def signers(self) -> Sequence[Signer]:
        """Those that sign now, the oldest first; never none."""

    def follow(self, vkeys: Sequence[str]) -> None:
        """Let exactly ``vkeys`` sign from here on (none: the settings' key).

        Raises:
            NoteError: one of them is not on this machine; nothing changed.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A named Ed25519 public key (32 bytes)."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name || LF || 0x01 || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + ED25519 + self.public_key).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        """Return the C2SP text form, ``name+hex id+base64``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public_key).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """A tree head: ``size`` leaves of the log ``origin`` have the RFC 6962 root ``root``."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the note text of this checkpoint."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def parse_vkey(text: str) -> VerifierKey:
    """Read a verifier key; raise NoteError where the name, the key id or the key type is not right."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = strict_base64(encoded)
    if not _KEY_NAME.fullmatch(name) or raw[:1] != ED25519 or len(raw) != 1 + _PUBLIC_KEY_BYTES:
        raise NoteError("not an Ed25519 verifier key")
    key = VerifierKey(name=name, public_key=raw[1:])
    if key.key_id.hex() != key_id:
        raise NoteError(f"verifier key {name} does not have the id it claims")
    return key


def sign_note(text: str, *signers: Signer) -> str:
    """Return the note of ``text`` (which ends with a line feed) signed by each of ``signers``."""
    if not text.endswith("\n"):
        raise NoteError("a note's text ends with a line feed")
    return f"{text}\n" + "".join(_signature_line(text, signer) for signer in signers)


def open_note(note: str, key: VerifierKey) -> str:
    """Return the text of ``note`` once a signature by ``key`` is right; signatures by other keys are passed over."""
    text, found, signatures = note.rpartition("\n\n")
    if not found or not signatures.endswith("\n") or len(note.encode()) > MAX_NOTE_BYTES:
        raise NoteError("not a signed note")
    text += "\n"
    seen = False
    for line in signatures[:-1].split("\n"):
        matched = _SIGNATURE_LINE.fullmatch(line)
        if not matched:
            raise NoteError("malformed signature line")
        raw = strict_base64(matched[2])
        if matched[1] == key.name and raw[:KEY_ID_BYTES] == key.key_id:
            _check_signature(text.encode(), raw[KEY_ID_BYTES:], key)
            seen = True
    if not seen:
        raise NoteError(f"no signature by {key.name}")
    return text


def parse_checkpoint(text: str) -> Checkpoint:
    """Read the text of a checkpoint; extension lines after the third are allowed and passed over."""
    lines = text.split("\n")
    if len(lines) <= _CHECKPOINT_LINES or lines[-1] or not all(lines[:-1]) or not _DECIMAL.fullmatch(lines[1]):
        raise NoteError("not a checkpoint")
    root = strict_base64(lines[2])
    if len(root) != HASH_BYTES:
        raise NoteError("a checkpoint's root has 32 bytes")
    return Checkpoint(origin=lines[0], size=int(lines[1]), root=root)


def open_checkpoint(note: str, key: VerifierKey) -> Checkpoint:
    """Return the checkpoint in ``note``, signed by ``key`` for the log of the key's own name."""
    checkpoint = parse_checkpoint(open_note(note, key))
    if checkpoint.origin != key.name:
        raise NoteError(f"checkpoint of {checkpoint.origin}, not of {key.name}")
    return checkpoint


def strict_base64(text: str) -> bytes:
    """Decode standard base64 with padding; raise NoteError on anything a canonical encoder would not write."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NoteError("not base64") from error
    if base64.b64encode(raw).decode() != text:
        raise NoteError("base64 is not canonical")
    return raw


def _signature_line(text: str, signer: Signer) -> str:
    key_id = parse_vkey(signer.vkey).key_id
    return f"— {signer.name} {base64.b64encode(key_id + signer.sign(text.encode())).decode()}\n"


def _check_signature(text: bytes, signature: bytes, key: VerifierKey) -> None:
    if len(signature) != _SIGNATURE_BYTES:
        raise NoteError("an Ed25519 signature has 64 bytes")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature, text)
    except InvalidSignature as error:
        raise NoteError(f"wrong signature by {key.name}") from error
