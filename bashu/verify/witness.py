"""Cosignatures of outside witnesses (C2SP tlog-cosignature, Ed25519): who else saw this checkpoint, and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from bashu.verify.note import read_note, read_vkey
from bashu.verify.strict import VerificationError

_COSIGNER: Final = 0x04
_KEY_BYTES: Final = 32
_ID_BYTES: Final = 4
_TIME_BYTES: Final = 8
_SIGNATURE_BYTES: Final = 64
_LATEST: Final = int(datetime(9999, 12, 31, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True, kw_only=True)
class Cosigned:
    """That ``witness`` saw the checkpoint continue all it had seen of the log, at ``at`` by its own clock (UTC)."""

    witness: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessKey:
    """A witness's public key as written in its vkey, of signature type 0x04."""

    name: str
    key_id: bytes
    public_key: bytes

    @classmethod
    def parse(cls, vkey: object) -> Self:
        """Read a vkey; the four-byte hash inside must be the key's own."""
        name, key_id, public_key = read_vkey(
            vkey, what="witness vkey", kind=_COSIGNER, kind_name="cosigner's key (signature type 0x04)"
        )
        return cls(name=name, key_id=key_id, public_key=public_key)

    def check(self, text: str, value: bytes) -> Cosigned:
        """Check the cosignature ``value`` (time and signature) over the note text ``text``."""
        if len(value) != _TIME_BYTES + _SIGNATURE_BYTES:
            raise VerificationError(f"cosignature of {self.name}: 72 bytes expected")
        time = int.from_bytes(value[:_TIME_BYTES])
        if not 0 < time <= _LATEST:
            raise VerificationError(f"cosignature of {self.name}: it gives no time")
        signed = f"cosignature/v1\ntime {time}\n{text}".encode()
        try:
            Ed25519PublicKey.from_public_bytes(self.public_key).verify(value[_TIME_BYTES:], signed)
        except InvalidSignature as error:
            raise VerificationError(f"the cosignature of {self.name} does not hold") from error
        return Cosigned(witness=self.name, at=datetime.fromtimestamp(time, tz=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessPolicy:
    """Whom a verifier trusts to see the log, and how many of them have to have cosigned a checkpoint."""

    keys: tuple[WitnessKey, ...]
    quorum: int

    @classmethod
    def parse(cls, vkeys: Sequence[object], quorum: int | None = None) -> Self:
        """Read the witnesses' vkeys; ``quorum`` None: all of them. One name or key twice would count twice: refused."""
        keys = tuple(WitnessKey.parse(vkey) for vkey in vkeys)
        if len({key.public_key for key in keys}) != len(keys) or len({key.name for key in keys}) != len(keys):
            raise VerificationError("witnesses: one is named twice")
        needed = len(keys) if quorum is None else quorum
        if not 0 < needed <= len(keys):
            raise VerificationError(f"quorum: a number from 1 to {len(keys)} expected")
        return cls(keys=keys, quorum=needed)

    def check(self, note: object) -> tuple[Cosigned, ...]:
        """Return the cosignatures of these witnesses under ``note``, each checked; signatures of others are ignored.

        Raises:
            VerificationError: one of a known key does not hold, or there are fewer than the quorum. The log's own
                signature is another's to check.
        """
        text, signatures = read_note(note)
        found = []
        for key in self.keys:
            own = [value for name, value in signatures if name == key.name and value[:_ID_BYTES] == key.key_id]
            if len(own) > 1:
                raise VerificationError(f"note: two cosignatures by {key.name}")
            found += [key.check(text, value[_ID_BYTES:]) for value in own]
        if len(found) < self.quorum:
            raise VerificationError(f"checkpoint: {len(found)} of {self.quorum} cosignatures asked for")
        return tuple(found)

    def seen_at(self, cosigned: Sequence[Cosigned]) -> datetime:
        """Return since when a quorum has seen it: the quorum-th newest of the times of ``cosigned``."""
        return sorted((one.at for one in cosigned), reverse=True)[self.quorum - 1]
