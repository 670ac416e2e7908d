"""One check a JSON object: what ``bashu verify … --jsonl`` does with each line."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from bashu.verify.artefact import verify_artefact
from bashu.verify.jws import verify_jws
from bashu.verify.keys import registrable_key
from bashu.verify.merkle import leaf_hash, verify_consistency, verify_inclusion
from bashu.verify.note import LogKeys, verify_checkpoint
from bashu.verify.receipt import Receipt, report_bytes, verify_receipt
from bashu.verify.strict import VerificationError, base64_bytes, base64_hash, non_negative
from bashu.verify.tlog_proof import TlogProof, verify_tlog_proof
from bashu.verify.witness import WitnessPolicy

Line = Mapping[str, Any]


def check_jws(line: Line) -> None:
    """Check ``{jwk, jws}``."""
    verify_jws(line.get("jws"), registrable_key(line.get("jwk")))


def check_artefact(line: Line) -> None:
    """Check ``{jwk, jws}`` where the JWS is a consent artefact."""
    verify_artefact(line.get("jws"), registrable_key(line.get("jwk")))


def check_inclusion(line: Line) -> None:
    """Check ``{leaf_index, tree_size, leaf_hash, root, proof[]}``, hashes base64."""
    verify_inclusion(
        base64_hash(line.get("leaf_hash"), "leaf_hash"),
        leaf_index=non_negative(line.get("leaf_index"), "leaf_index"),
        tree_size=non_negative(line.get("tree_size"), "tree_size"),
        proof=_proof(line),
        root=base64_hash(line.get("root"), "root"),
    )


def check_consistency(line: Line) -> None:
    """Check ``{size1, size2, root1, root2, proof[]}``, hashes base64."""
    verify_consistency(
        size1=non_negative(line.get("size1"), "size1"),
        size2=non_negative(line.get("size2"), "size2"),
        root1=base64_bytes(line.get("root1"), "root1"),
        root2=base64_bytes(line.get("root2"), "root2"),
        proof=_proof(line),
    )


def check_checkpoint(line: Line) -> None:
    """Check ``{note, vkey}``; ``vkey`` is one or a list, here and below.

    With ``witnesses`` (their vkeys) and ``quorum`` (none: all) their cosignatures too.
    """
    verify_checkpoint(line.get("note"), LogKeys.parse(line.get("vkey")))
    _check_witnesses(line, line.get("note"))


def check_tlog_proof(line: Line) -> None:
    """Check ``{tlog_proof, vkey}`` and the ``entry`` (its exact bytes, base64) or, without one, its ``leaf_hash``.

    With ``witnesses`` and ``quorum`` as in :func:`check_checkpoint`.
    """
    entry = line.get("entry")
    verify_tlog_proof(
        line.get("tlog_proof"),
        leaf=base64_hash(line.get("leaf_hash"), "leaf_hash")
        if entry is None
        else leaf_hash(base64_bytes(entry, "entry")),
        vkey=LogKeys.parse(line.get("vkey")),
    )
    _check_witnesses(line, TlogProof.parse(line.get("tlog_proof")).checkpoint)


def check_receipt(line: Line) -> None:
    """Check ``{receipt, report_bytes, vkey}``; the receipt as JSON or base64 of its message, the report base64."""
    verify_receipt(
        Receipt.from_json(line.get("receipt")),
        report=report_bytes(line.get("report_bytes")),
        vkey=LogKeys.parse(line.get("vkey")),
    )


def answers(lines: Iterable[str | bytes], check: Callable[[Line], None]) -> Iterator[str]:
    """Answer each line that is not blank with ``{"ok": bool, "error": text or null}``; a bad line never ends it."""
    for line in lines:
        if not line.strip():
            continue
        error: str | None = None
        try:
            check(_lenient_object(line))
        except VerificationError as refusal:
            error = str(refusal)
        yield json.dumps({"ok": error is None, "error": error}, ensure_ascii=False)


CHECKS: Final[Mapping[str, Callable[[Line], None]]] = {
    "jws": check_jws,
    "artefact": check_artefact,
    "receipt": check_receipt,
    "checkpoint": check_checkpoint,
    "inclusion": check_inclusion,
    "consistency": check_consistency,
    "tlog-proof": check_tlog_proof,
}


def _lenient_object(line: str | bytes) -> dict[str, Any]:
    # The envelope is ours, not evidence: numbers beyond 2^53 (a leaf index of 2^64 - 1) are to be judged by the check.
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise VerificationError("line: not JSON") from error
    if not isinstance(value, dict):
        raise VerificationError("line: a JSON object expected")
    return value


def _check_witnesses(line: Line, note: object) -> None:
    vkeys, quorum = line.get("witnesses"), line.get("quorum")
    if vkeys is None and quorum is None:
        return
    if not isinstance(vkeys, list):
        raise VerificationError("witnesses: a list expected")
    WitnessPolicy.parse(vkeys, None if quorum is None else non_negative(quorum, "quorum")).check(note)


def _proof(line: Line) -> list[bytes]:
    proof = line.get("proof")
    if proof is None:
        return []
    if not isinstance(proof, list):
        raise VerificationError("proof: a list expected")
    return [base64_bytes(item, f"proof[{number}]") for number, item in enumerate(proof)]
