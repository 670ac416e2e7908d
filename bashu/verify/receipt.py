"""Receipts: was exactly this report recorded as released, under the log's signature, before it was sent?"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Self

from google.protobuf.message import DecodeError

from bashu.v1 import credit_pb2
from bashu.verify.merkle import leaf_hash, verify_inclusion
from bashu.verify.note import KnownKeys, instant, verify_promise
from bashu.verify.strict import VerificationError, base64_bytes, base64_hash, json_object, non_negative

_RELEASE: Final = "RELEASE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """A receipt as the lender keeps it; see ``bashu.v1.Receipt`` for the meaning of each field."""

    entry: bytes
    leaf_hash: bytes
    note: str
    batch_root: bytes
    batch_index: int
    batch_size: int
    path: Sequence[bytes]
    publish_by: datetime | None
    leaf_index: int | None

    @classmethod
    def from_message(cls, message: credit_pb2.Receipt) -> Self:
        """Read the contract's message."""
        promise = message.promise
        publish_by = message.publish_by.ToJsonString() if message.HasField("publish_by") else None
        return cls(
            entry=message.entry,
            leaf_hash=message.leaf_hash,
            note=promise.note,
            batch_root=promise.root,
            batch_index=promise.leaf_index,
            batch_size=promise.batch_size,
            path=tuple(promise.path),
            publish_by=None if publish_by is None else instant(publish_by, "receipt publish_by"),
            leaf_index=message.leaf_index if message.HasField("leaf_index") else None,
        )

    @classmethod
    def from_json(cls, value: object) -> Self:
        """Read a receipt in protobuf's JSON mapping (either spelling of names) or the base64 of its message."""
        if isinstance(value, str):
            return cls._from_bytes(base64_bytes(value, "receipt"))
        receipt = _snake_case(value, "receipt")
        promise = _snake_case(receipt.get("promise"), "receipt promise")
        publish_by, index = receipt.get("publish_by"), receipt.get("leaf_index")
        path = promise.get("path") or []
        if not isinstance(path, list):
            raise VerificationError("receipt path: a list expected")
        note = promise.get("note")
        if not isinstance(note, str):
            raise VerificationError("receipt promise: its note is missing")
        return cls(
            entry=base64_bytes(receipt.get("entry"), "receipt entry"),
            leaf_hash=base64_hash(receipt.get("leaf_hash"), "receipt leaf_hash"),
            note=note,
            batch_root=base64_hash(promise.get("root"), "receipt root"),
            # Protobuf's JSON leaves out a zero.
            batch_index=non_negative(promise.get("leaf_index", 0), "receipt batch index"),
            batch_size=non_negative(promise.get("batch_size", 0), "receipt batch size"),
            path=tuple(base64_hash(item, f"receipt path[{number}]") for number, item in enumerate(path)),
            publish_by=None if publish_by is None else instant(publish_by, "receipt publish_by"),
            leaf_index=None if index is None else non_negative(index, "receipt leaf_index"),
        )

    @classmethod
    def _from_bytes(cls, raw: bytes) -> Self:
        try:
            return cls.from_message(credit_pb2.Receipt.FromString(raw))
        except DecodeError as error:
            raise VerificationError("receipt: neither JSON nor a Receipt message") from error


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedReceipt:
    """A receipt that holds: its RELEASE entry and the moment by which the entry stands in the log (UTC)."""

    entry: Mapping[str, Any]
    leaf_hash: bytes
    publish_by: datetime


def verify_receipt(receipt: Receipt, *, report: bytes, vkey: KnownKeys) -> VerifiedReceipt:
    """Check that ``report``, byte for byte, is what the log's key promised to record as released.

    Entry → leaf hash → path in the batch → batch root → signature of the log's key; and the entry's
    ``report_digest`` is the lower-case hex SHA-256 of ``report``.

    Raises:
        VerificationError: the first link that does not hold.
    """
    leaf = leaf_hash(receipt.entry)
    if leaf != receipt.leaf_hash:
        raise VerificationError("receipt: leaf_hash is not the hash of the entry")
    promise = verify_promise(receipt.note, vkey)
    if (promise.size, promise.root) != (receipt.batch_size, receipt.batch_root):
        raise VerificationError("receipt: its batch is not the one that was promised")
    if receipt.publish_by is not None and receipt.publish_by != promise.publish_by:
        raise VerificationError("receipt: publish_by is not the promised one")
    verify_inclusion(
        leaf, leaf_index=receipt.batch_index, tree_size=promise.size, proof=receipt.path, root=promise.root
    )
    entry = json_object(receipt.entry, "receipt entry")
    if entry.get("type") != _RELEASE:
        raise VerificationError("receipt: the entry is no RELEASE")
    if entry.get("origin") != vkey.name:
        raise VerificationError(f"receipt: the entry's origin is not {vkey.name}")
    if entry.get("report_digest") != hashlib.sha256(report).hexdigest():
        raise VerificationError("receipt: report_digest is not the digest of this report")
    return VerifiedReceipt(entry=entry, leaf_hash=leaf, publish_by=promise.publish_by)


def report_bytes(value: object) -> bytes:
    """Read report bytes from their base64."""
    return base64_bytes(value, "report_bytes")


def receipt_json(message: credit_pb2.Receipt) -> dict[str, Any]:
    """Return a receipt as the JSON object that ``Receipt.from_json`` and ``bashu verify receipt`` read."""
    promise = message.promise
    written: dict[str, Any] = {
        "entry": _encoded(message.entry),
        "leaf_hash": _encoded(message.leaf_hash),
        "promise": {
            "note": promise.note,
            "root": _encoded(promise.root),
            "leaf_index": promise.leaf_index,
            "batch_size": promise.batch_size,
            "path": [_encoded(item) for item in promise.path],
        },
    }
    if message.HasField("publish_by"):
        written["publish_by"] = message.publish_by.ToJsonString()
    if message.HasField("leaf_index"):
        written["leaf_index"] = message.leaf_index
    return written


def _encoded(value: bytes) -> str:
    return base64.b64encode(value).decode()


def _snake_case(value: object, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise VerificationError(f"{what}: a JSON object expected")
    renamed = {"".join(f"_{c.lower()}" if c.isupper() else c for c in name): member for name, member in value.items()}
    if len(renamed) != len(value):
        raise VerificationError(f"{what}: duplicate member")
    return renamed
