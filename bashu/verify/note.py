"""Signed notes, checkpoints and batch promises (C2SP signed-note, tlog-checkpoint), Ed25519 only."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Self, TypeAlias

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bashu.verify.keys import require_strong_ed25519
from bashu.verify.strict import VerificationError, base64_bytes, base64_hash

_ED25519: Final = 0x01
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_LONGEST_NOTE: Final = 1_000_000  # characters; the limit of Go's sumdb/note
_MOST_SIGNATURES: Final = 100  # same source
_MOST_KEYS: Final = 16
_PROMISE_SUFFIX: Final = "/promise"
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_INSTANT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)
_MICROSECONDS: Final = len("2026-01-01T00:00:00.000000")
_CHECKPOINT_LINES: Final = 3
_PROMISE_LINES: Final = 4


def read_vkey(vkey: object, *, what: str, kind: int, kind_name: str) -> tuple[str, bytes, bytes]:
    """Read ``name+hash+base64`` of one signature type: name, key id and the Ed25519 key of 32 bytes.

    The four-byte hash inside must be the key's own; a weak key is refused. ``what`` and ``kind_name`` are for errors.

    Raises:
        VerificationError: it is none.
    """
    parts = vkey.strip().split("+", 2) if isinstance(vkey, str) else []
    if len(parts) != 3 or not is_key_name(parts[0]):  # noqa: PLR2004 - name, hash, key
        raise VerificationError(f"{what}: name+hash+key expected")
    name, hexadecimal, encoded = parts
    key = base64_bytes(encoded, what)
    if len(key) != _KEY_BYTES + 1 or key[0] != kind:
        raise VerificationError(f"{what}: not an Ed25519 {kind_name}")
    key_id = hashlib.sha256(name.encode() + b"\n" + key).digest()[:_ID_BYTES]
    if hexadecimal != key_id.hex():
        raise VerificationError(f"{what}: its hash does not fit name and key")
    require_strong_ed25519(key[1:])
    return name, key_id, key[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierKey:
    """A log's public key as written in a vkey: ``name+hash+base64`` (C2SP signed-note, section verifier keys)."""

    name: str
    key_id: bytes
    public_key: bytes

    @classmethod
    def parse(cls, vkey: object) -> Self:
        """Read a vkey; the four-byte hash inside must be the key's own."""
        name, key_id, public_key = read_vkey(vkey, what="vkey", kind=_ED25519, kind_name="key")
        return cls(name=name, key_id=key_id, public_key=public_key)

    def text(self) -> str:
        """Return the vkey as it is published."""
        encoded = base64.b64encode(bytes([_ED25519]) + self.public_key).decode()
        return f"{self.name}+{self.key_id.hex()}+{encoded}"

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Itself: a log of one key."""
        return (self,)

    def check(self, text: str, signature: bytes) -> None:
        """Check the 64-byte ``signature`` over the UTF-8 bytes of ``text``."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(signature, text.encode())
        except InvalidSignature as error:
            raise VerificationError(f"the signature of {self.name} does not hold") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class LogKeys:
    """The public keys of one log that its reader knows: more than one, once a key succeeded another.

    A note holds where one of them signed it; a wrong signature by any of them refuses it.
    """

    name: str
    keys: tuple[VerifierKey, ...]

    @classmethod
    def parse(cls, vkeys: object) -> Self:
        """Read a text with one vkey or several, white space between them, or a list of such texts."""
        given: list[object] = list(vkeys) if isinstance(vkeys, list | tuple) else [vkeys]
        texts = [text for text in given if isinstance(text, str)]
        if len(texts) != len(given):
            raise VerificationError("vkey: text, or a list of texts, expected")
        keys = [VerifierKey.parse(word) for word in " ".join(texts).split()] or [VerifierKey.parse("")]
        by_id = {key.key_id: key for key in keys}
        if len({key.name for key in keys}) > 1 or any(by_id[key.key_id] != key for key in keys):
            raise VerificationError("vkey: keys of one log expected")
        if len(by_id) > _MOST_KEYS:
            raise VerificationError(f"vkey: over {_MOST_KEYS} keys")
        return cls(name=keys[0].name, keys=tuple(by_id.values()))


KnownKeys: TypeAlias = VerifierKey | LogKeys


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """What a log signed: ``size`` leaves under ``root``; ``extensions`` are further lines, unread.

    ``signed_by``: the ids of those known keys that signed it.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...]
    signed_by: tuple[bytes, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A log's signed word that the ``size`` leaves under ``root`` stand in its tree by ``publish_by`` (UTC)."""

    origin: str
    size: int
    root: bytes
    publish_by: datetime


def open_note(note: object, keys: KnownKeys) -> str:
    """Return the text of a signed note (with its last newline) once the signature of one of ``keys`` on it holds.

    Signatures of other keys are ignored, malformed lines and wrong signatures of known keys are not (C2SP signed-note,
    section verification).
    """
    return _opened(note, keys)[0]


def _opened(note: object, keys: KnownKeys) -> tuple[str, tuple[bytes, ...]]:
    """Return a note's text and the ids of the keys that signed it; see :func:`open_note`."""
    text, signatures = read_note(note)
    signed_by = []
    for key in keys.keys:
        own = [value for name, value in signatures if name == key.name and value[:_ID_BYTES] == key.key_id]
        if len(own) > 1:
            raise VerificationError("note: two signatures by one key")
        if own:
            key.check(text, own[0][_ID_BYTES:])
            signed_by.append(key.key_id)
    if not signed_by:
        raise VerificationError(_unsigned(keys, [value for name, value in signatures if name == keys.name]))
    return text, tuple(signed_by)


def read_note(note: object) -> tuple[str, list[tuple[str, bytes]]]:
    """Return a note's text (with its last newline) and its signatures (name, key id with signature), none checked."""
    if not isinstance(note, str) or len(note) > _LONGEST_NOTE:
        raise VerificationError("note: text expected")
    if any((character < " " and character != "\n") or "\ud800" <= character <= "\udfff" for character in note):
        raise VerificationError("note: text without control characters expected")
    cut = note.rfind("\n\n")
    if cut < 0 or not note.endswith("\n") or cut + 2 == len(note):
        raise VerificationError("note: no signature block")
    text, lines = note[: cut + 1], note[cut + 2 : -1].split("\n")
    if len(lines) > _MOST_SIGNATURES:
        raise VerificationError("note: too many signatures")
    return text, [_signature(line) for line in lines]


def _unsigned(keys: KnownKeys, strange: list[bytes]) -> str:
    """Say that no known key signed, and what to do where another key of the same name did."""
    known = ", ".join(f"{keys.name}+{key.key_id.hex()}" for key in keys.keys)
    if not strange:
        return f"note: no signature by {known}"
    others = ", ".join(value[:_ID_BYTES].hex() for value in strange)
    return (
        f"note: no signature by {known}; it is signed by {others}, not among the known keys: "
        "日志可能已更换密钥 the log may have a new key, which its operator publishes (docs/keys.md)"
    )


def verify_checkpoint(note: object, vkey: KnownKeys) -> Checkpoint:
    """Check a checkpoint's signature, form and origin (= the key's name) and return what it says."""
    text, signed_by = _opened(note, vkey)
    lines = text.split("\n")[:-1]
    if len(lines) < _CHECKPOINT_LINES:
        raise VerificationError("checkpoint: origin, size and root expected")
    if lines[0] != vkey.name:
        raise VerificationError(f"checkpoint: its origin is not {vkey.name}")
    extensions = tuple(lines[_CHECKPOINT_LINES:])
    if "" in extensions:
        raise VerificationError("checkpoint: empty line")
    return Checkpoint(
        origin=lines[0],
        size=_decimal(lines[1], "checkpoint size"),
        root=base64_hash(lines[2], "checkpoint root"),
        extensions=extensions,
        signed_by=signed_by,
    )


def verify_promise(note: object, vkey: KnownKeys) -> Promise:
    """Check a batch promise: ``origin/promise``, batch size, batch root, publish_by, signed by the log's key."""
    lines = open_note(note, vkey).split("\n")[:-1]
    if len(lines) != _PROMISE_LINES or lines[0] != vkey.name + _PROMISE_SUFFIX:
        raise VerificationError(f"promise: not a promise of {vkey.name}")
    return Promise(
        origin=vkey.name,
        size=_decimal(lines[1], "batch size"),
        root=base64_hash(lines[2], "batch root"),
        publish_by=instant(lines[3], "promise publish_by"),
    )


def _signature(line: str) -> tuple[str, bytes]:
    parts = line.split(" ")
    if len(parts) != 3 or parts[0] != "—" or not is_key_name(parts[1]):  # noqa: PLR2004 - dash, name, signature
        raise VerificationError("note: malformed signature line")
    value = base64_bytes(parts[2], "note signature")
    if len(value) <= _ID_BYTES:
        raise VerificationError("note: signature is too short")
    return parts[1], value


def is_key_name(name: str) -> bool:
    """Tell whether ``name`` may be a key's (C2SP signed-note)."""
    return bool(name) and "+" not in name and not any(character.isspace() for character in name)


def _decimal(value: str, what: str) -> int:
    if not _DECIMAL.fullmatch(value):
        raise VerificationError(f"{what}: decimal number expected")
    return int(value)


def instant(value: object, what: str) -> datetime:
    """Read an RFC 3339 moment in UTC (``Z``), down to the microsecond."""
    if not isinstance(value, str) or not _INSTANT.fullmatch(value):
        raise VerificationError(f"{what}: RFC 3339 in UTC expected")
    try:
        return datetime.fromisoformat(value.removesuffix("Z")[:_MICROSECONDS]).replace(tzinfo=UTC)
    except ValueError as error:
        raise VerificationError(f"{what}: no such moment") from error
