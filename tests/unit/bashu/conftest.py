"""A log, its batches and an authority, made with nothing but the standards: the other side of what `bashu` checks."""

import base64
import hashlib
import json
from dataclasses import dataclass, field

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from bashu.v1 import credit_pb2


def _b64(raw):
    return base64.b64encode(raw).decode()


def recursive_root(hashes):
    """RFC 6962 section 2.1, as written there."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashes[0]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + recursive_root(hashes[:k]) + recursive_root(hashes[k:])).digest()


def recursive_path(index, hashes):
    """RFC 6962 section 2.1.1, as written there."""
    if len(hashes) == 1:
        return []
    k = 1 << (len(hashes) - 1).bit_length() - 1
    if index < k:
        return [*recursive_path(index, hashes[:k]), recursive_root(hashes[k:])]
    return [*recursive_path(index - k, hashes[k:]), recursive_root(hashes[:k])]


def recursive_consistency(size, hashes, *, whole=True):
    """RFC 6962 section 2.1.2, as written there."""
    if size == len(hashes):
        return [] if whole else [recursive_root(hashes)]
    k = 1 << (len(hashes) - 1).bit_length() - 1
    if size <= k:
        return [*recursive_consistency(size, hashes[:k], whole=whole), recursive_root(hashes[k:])]
    return [*recursive_consistency(size - k, hashes[k:], whole=False), recursive_root(hashes[:k])]


def tlog_proof(index, hashes, note):
    """C2SP tlog-proof@v1, as written there."""
    path = [_b64(value) for value in recursive_path(index, hashes)]
    return "\n".join(["c2sp.org/tlog-proof@v1", f"index {index}", *path, "", note])


@dataclass
class Log:
    origin: str = "bashu.example/log"
    key: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)

    @property
    def _encoded(self):
        return b"\x01" + self.key.public_key().public_bytes_raw()

    @property
    def _id(self):
        return hashlib.sha256(self.origin.encode() + b"\n" + self._encoded).digest()[:4]

    @property
    def vkey(self):
        return f"{self.origin}+{self._id.hex()}+{_b64(self._encoded)}"

    def sign(self, text):
        return f"{text}\n— {self.origin} {_b64(self._id + self.key.sign(text.encode()))}\n"

    def checkpoint(self, hashes):
        return self.sign(f"{self.origin}\n{len(hashes)}\n{_b64(recursive_root(hashes))}\n")

    def release(self, report, *, others=3, position=1, publish_by="2026-03-01T08:00:01.250000Z", **changed):
        """A receipt message for ``report`` in a batch with ``others`` leaves beside it."""
        entry = json.dumps(
            {
                "type": "RELEASE",
                "origin": self.origin,
                "entry_id": "0195512e-0000-7000-8000-000000000001",
                "report_digest": hashlib.sha256(report).hexdigest(),
                "v": 1,
            }
            | changed,
            sort_keys=True,
            separators=(",", ":"),
        ).encode()
        hashes = [hashlib.sha256(b"\x00other%d" % number).digest() for number in range(others)]
        hashes.insert(position, hashlib.sha256(b"\x00" + entry).digest())
        root = recursive_root(hashes)
        receipt = credit_pb2.Receipt(entry=entry, leaf_hash=hashes[position])
        receipt.promise.note = self.sign(f"{self.origin}/promise\n{len(hashes)}\n{_b64(root)}\n{publish_by}\n")
        receipt.promise.root = root
        receipt.promise.leaf_index = position
        receipt.promise.batch_size = len(hashes)
        receipt.promise.path.extend(recursive_path(position, hashes))
        receipt.publish_by.FromJsonString(publish_by)
        return receipt


@pytest.fixture
def log():
    return Log()
