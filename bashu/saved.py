"""Evidence in a folder: what a lender keeps of one answer, and checks years later without the gateway.

``receipt.json`` (the receipt), ``report.bin`` (the report, byte for byte), ``checkpoint`` (signed note),
``inclusion.json`` (the entry's place under that checkpoint), ``receipt.tlog-proof`` (both again, in the one file that
any C2SP tlog-proof verifier reads), and ``vkey`` where the lender had pinned the log's keys.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bashu.client import Bashu, QueryAnswer
from bashu.errors import BashuCallError
from bashu.v1 import ledger_pb2
from bashu.verify import (
    Checkpoint,
    Cosigned,
    LogKeys,
    Receipt,
    TlogProof,
    VerificationError,
    VerifiedReceipt,
    WitnessPolicy,
    receipt_json,
    verify_checkpoint,
    verify_inclusion,
    verify_receipt,
    verify_tlog_proof,
)
from bashu.verify.strict import base64_hash, json_object, non_negative

WAIT_FOR_PROOF_S: Final = 5.0
"""The log integrates within a second; a later proof is fetched another day with `bashu ledger proof --save`."""
TLOG_PROOF: Final = "receipt.tlog-proof"
_ASK_AGAIN_S: Final = 0.25
_NOT_YET: Final = frozenset({"NOT_FOUND_OR_NOT_YOURS", "NOT_FOUND"})


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedEvidence:
    """What a folder proved: the receipt, and the checkpoint its entry was shown to stand under, where one was kept.

    ``cosigned``: which of the witnesses asked for cosigned that checkpoint.
    """

    receipt: VerifiedReceipt
    checkpoint: Checkpoint | None
    leaf_index: int | None
    cosigned: tuple[Cosigned, ...] = ()


def entry_id_of(entry: bytes) -> str:
    """Return the id inside the exact bytes of an entry."""
    identifier = json_object(entry, "entry").get("entry_id")
    if not isinstance(identifier, str):
        raise VerificationError("entry: it has no entry_id")
    return identifier


async def await_proof(
    client: Bashu, answer: QueryAnswer, *, wait_s: float = WAIT_FOR_PROOF_S
) -> ledger_pb2.GetInclusionProofResponse | None:
    """Ask for the inclusion proof until the log has it; None when it has not within ``wait_s`` or offers none."""
    entry_id = entry_id_of(answer.receipt.entry)
    give_up = time.monotonic() + wait_s
    while True:
        try:
            return await client.get_inclusion_proof(entry_id)
        except BashuCallError as error:
            if error.reason not in _NOT_YET or time.monotonic() > give_up:
                return None
        await asyncio.sleep(_ASK_AGAIN_S)


def save_evidence(
    folder: Path, answer: QueryAnswer, *, proof: ledger_pb2.GetInclusionProofResponse | None, vkey: str | None
) -> None:
    """Write the evidence of ``answer``; the folder is readable by its owner alone, for it holds credit data."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    _write(folder / "receipt.json", _json_bytes(receipt_json(answer.receipt)))
    _write(folder / "report.bin", answer.report_bytes)
    if vkey is not None:
        _write(folder / "vkey", f"{vkey}\n".encode())
    for name in ("checkpoint", "inclusion.json", TLOG_PROOF):
        (folder / name).unlink(missing_ok=True)
    if proof is not None:
        _write(folder / "checkpoint", proof.checkpoint.encode())
        _write(folder / "inclusion.json", _json_bytes(inclusion_json(proof)))
        if proof.tlog_proof:
            _write(folder / TLOG_PROOF, proof.tlog_proof.encode())


def check_evidence(folder: Path, *, vkey: str, witnesses: WitnessPolicy | None = None) -> SavedEvidence:
    """Check a saved folder; the checkpoint and the entry's place under it too, where they were kept.

    A proof may be kept as JSON, as tlog-proof or as both: each has to hold, and both have to name one place. With
    ``witnesses`` a quorum of them has to have cosigned a checkpoint that was kept.

    Raises:
        VerificationError: something in the folder does not hold.
        OSError: a file is missing.
    """
    key = LogKeys.parse(vkey)
    receipt = Receipt.from_json(json_object((folder / "receipt.json").read_bytes(), "receipt.json"))
    verified = verify_receipt(receipt, report=(folder / "report.bin").read_bytes(), vkey=key)
    places = list(_places(folder, verified.leaf_hash, key))
    if not places:
        if witnesses is not None:
            raise VerificationError("no checkpoint was kept that witnesses could have cosigned")
        return SavedEvidence(receipt=verified, checkpoint=None, leaf_index=None)
    first, last = places[0], places[-1]
    if first.leaf_index != last.leaf_index or (
        first.checkpoint.size == last.checkpoint.size and first.checkpoint != last.checkpoint
    ):
        raise VerificationError("the tlog-proof names another place than inclusion.json")
    cosigned = () if witnesses is None else _cosigned(witnesses, places)
    return SavedEvidence(receipt=verified, checkpoint=last.checkpoint, leaf_index=last.leaf_index, cosigned=cosigned)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """Where a proof that holds says that the entry stands, and the checkpoint's note as kept."""

    leaf_index: int
    checkpoint: Checkpoint
    note: str


def _places(folder: Path, leaf: bytes, key: LogKeys) -> Iterator[_Place]:
    """Check each proof that was kept and yield the place it names. A tlog-proof fetched later has a larger tree."""
    if (folder / "inclusion.json").exists():
        note = _text(folder / "checkpoint")
        checkpoint = verify_checkpoint(note, key)
        inclusion = json_object((folder / "inclusion.json").read_bytes(), "inclusion.json")
        index = check_inclusion_under(checkpoint, leaf, inclusion)
        yield _Place(leaf_index=index, checkpoint=checkpoint, note=note)
    if (folder / TLOG_PROOF).exists():
        text = _text(folder / TLOG_PROOF)
        proven = verify_tlog_proof(text, leaf=leaf, vkey=key)
        note = TlogProof.parse(text).checkpoint
        yield _Place(leaf_index=proven.leaf_index, checkpoint=proven.checkpoint, note=note)


def _cosigned(witnesses: WitnessPolicy, places: Sequence[_Place]) -> tuple[Cosigned, ...]:
    """Return the cosignatures of the first checkpoint that has a quorum of them, the one kept last tried first."""
    for place in places[:0:-1]:
        with contextlib.suppress(VerificationError):
            return witnesses.check(place.note)
    return witnesses.check(places[0].note)


def check_inclusion_under(checkpoint: Checkpoint, leaf: bytes, inclusion: Mapping[str, Any]) -> int:
    """Check that ``leaf`` stands under ``checkpoint`` as ``inclusion`` says; return its index."""
    index = non_negative(inclusion.get("leaf_index"), "inclusion leaf_index")
    if non_negative(inclusion.get("tree_size"), "inclusion tree_size") != checkpoint.size:
        raise VerificationError("inclusion proof is for another tree size than the checkpoint's")
    proof = inclusion.get("proof")
    if not isinstance(proof, list):
        raise VerificationError("inclusion proof: a list expected")
    path = [base64_hash(item, f"proof[{number}]") for number, item in enumerate(proof)]
    verify_inclusion(leaf, leaf_index=index, tree_size=checkpoint.size, proof=path, root=checkpoint.root)
    return index


def inclusion_json(proof: ledger_pb2.GetInclusionProofResponse) -> dict[str, Any]:
    """Return the proof as `bashu verify inclusion` reads it, but for the root, which only a checkpoint vouches for."""
    return {
        "leaf_index": proof.leaf_index,
        "tree_size": proof.tree_size,
        "leaf_hash": base64.b64encode(proof.leaf_hash).decode(),
        "proof": [base64.b64encode(item).decode() for item in proof.proof],
    }


def _json_bytes(value: object) -> bytes:
    return (json.dumps(value, indent=1) + "\n").encode()


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _write(path: Path, content: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(content)
