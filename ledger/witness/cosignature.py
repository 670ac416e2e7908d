"""Cosignatures of checkpoints (C2SP tlog-cosignature, Ed25519 ``cosignature/v1``) and the requests for them."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from ledger.note import KEY_ID_BYTES, NoteError, strict_base64

COSIGNATURE: Final = b"\x04"
"""C2SP signature type of Ed25519 cosigners."""
MOST_PROOF_LINES: Final = 63
"""C2SP tlog-witness, add-checkpoint."""
_PUBLIC_KEY_BYTES: Final = 32
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_LATEST_TIME: Final = 2**63 - 1
_MOST_LINES: Final = 100
"""Of one answer; Go's sumdb/note takes no more signatures of a note either."""
_LINE: Final = re.compile(r"— (\S+) (\S+)")
_KEY_NAME: Final = re.compile(r"[^\s+]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessKey:
    """A witness's name and its Ed25519 public key (32 bytes)."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The first four bytes of SHA-256(name || LF || 0x04 || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + COSIGNATURE + self.public_key).digest()[:KEY_ID_BYTES]

    def text(self) -> str:
        """Return the C2SP text form, ``name+hex id+base64``."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(COSIGNATURE + self.public_key).decode()}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosignature:
    """That ``witness`` saw a checkpoint continue all it had seen; ``time`` in POSIX seconds, by its own clock.

    ``line``: the note signature line, without its line feed.
    """

    witness: str
    time: int
    line: str


def parse_witness_vkey(text: str) -> WitnessKey:
    """Read a witness's verifier key; raise NoteError where the name, the key id or the key type (0x04) is not right."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = strict_base64(encoded)
    if not _KEY_NAME.fullmatch(name) or raw[:1] != COSIGNATURE or len(raw) != 1 + _PUBLIC_KEY_BYTES:
        raise NoteError("not the verifier key of an Ed25519 witness (signature type 0x04)")
    key = WitnessKey(name=name, public_key=raw[1:])
    if key.key_id.hex() != key_id:
        raise NoteError(f"verifier key {name} does not have the id it claims")
    return key


def cosigned_text(time: int, text: str) -> bytes:
    """Return what a witness signs: header, its time (POSIX seconds), and the note's text with its last line feed."""
    return f"cosignature/v1\ntime {time}\n{text}".encode()


def find_cosignature(lines: str, key: WitnessKey, *, text: str) -> Cosignature | None:
    """Return the cosignature by ``key`` of the checkpoint ``text`` among note signature lines; others' are passed over.

    None: there is none by this key.

    Raises:
        NoteError: a line is malformed, or one by this key does not hold or gives no time.
    """
    rows = lines.removesuffix("\n").split("\n")
    if len(rows) > _MOST_LINES:
        raise NoteError("too many signature lines")
    found = None
    for row in rows:
        matched = _LINE.fullmatch(row)
        if not matched:
            raise NoteError("malformed signature line")
        raw = strict_base64(matched[2])
        if matched[1] == key.name and raw[:KEY_ID_BYTES] == key.key_id:
            found = _opened(raw[KEY_ID_BYTES:], key, text=text, line=row)
    return found


def _opened(raw: bytes, key: WitnessKey, *, text: str, line: str) -> Cosignature:
    if len(raw) != _TIME_BYTES + _SIGNATURE_BYTES:
        raise NoteError("a cosignature has a time of 8 bytes and a signature of 64")
    time = int.from_bytes(raw[:_TIME_BYTES])
    if not 0 < time <= _LATEST_TIME:
        raise NoteError(f"the cosignature of {key.name} gives no time")
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(raw[_TIME_BYTES:], cosigned_text(time, text))
    except InvalidSignature as error:
        raise NoteError(f"wrong cosignature by {key.name}") from error
    return Cosignature(witness=key.name, time=time, line=line)


def add_checkpoint_body(old_size: int, proof: Sequence[bytes], note: str) -> bytes:
    """Return the body of C2SP tlog-witness add-checkpoint: the old size, the consistency proof, the signed note."""
    if len(proof) > MOST_PROOF_LINES:
        raise NoteError(f"a proof of {len(proof)} hashes is over {MOST_PROOF_LINES}")
    lines = [f"old {old_size}", *(base64.b64encode(value).decode() for value in proof), "", note]
    return "\n".join(lines).encode()


def with_cosignatures(note: str, lines: Iterable[str]) -> str:
    """Return a signed note with further signature lines."""
    return note + "".join(f"{line}\n" for line in lines)
