"""Offline checks of what the gateway signs. Shares no code with the server; needs no network and no trust in it."""

from bashu.verify.artefact import VerifiedArtefact, verify_artefact
from bashu.verify.export import ExportVerdict, Selection, verify_export
from bashu.verify.jws import VerifiedJws, verify_jws
from bashu.verify.keys import PublicKey, registrable_key, registrable_keys
from bashu.verify.merkle import Frontier, leaf_hash, node_hash, tree_root, verify_consistency, verify_inclusion
from bashu.verify.note import (
    Checkpoint,
    KnownKeys,
    LogKeys,
    Promise,
    VerifierKey,
    open_note,
    verify_checkpoint,
    verify_promise,
)
from bashu.verify.receipt import Receipt, VerifiedReceipt, receipt_json, verify_receipt
from bashu.verify.rules import Finding, LogRules
from bashu.verify.strict import VerificationError
from bashu.verify.tlog_proof import ProvenEntry, TlogProof, verify_tlog_proof
from bashu.verify.witness import Cosigned, WitnessKey, WitnessPolicy

__all__ = [
    "Checkpoint",
    "Cosigned",
    "ExportVerdict",
    "Finding",
    "Frontier",
    "KnownKeys",
    "LogKeys",
    "LogRules",
    "Promise",
    "ProvenEntry",
    "PublicKey",
    "Receipt",
    "Selection",
    "TlogProof",
    "VerificationError",
    "VerifiedArtefact",
    "VerifiedJws",
    "VerifiedReceipt",
    "VerifierKey",
    "WitnessKey",
    "WitnessPolicy",
    "leaf_hash",
    "node_hash",
    "open_note",
    "receipt_json",
    "registrable_key",
    "registrable_keys",
    "tree_root",
    "verify_artefact",
    "verify_checkpoint",
    "verify_consistency",
    "verify_export",
    "verify_inclusion",
    "verify_jws",
    "verify_promise",
    "verify_receipt",
    "verify_tlog_proof",
]
