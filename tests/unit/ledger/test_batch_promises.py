from __future__ import annotations

import base64
import uuid
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.merkle import inclusion_holds
from ledger.model import Entry, EntryType, leaf_hash
from ledger.note import open_note, parse_vkey
from ledger.promise import PUBLISH_WITHIN
from ledger.signer import FileSigner
from ledger.store import receipts_from_rows

NOW = datetime(2026, 3, 1, tzinfo=UTC)
SIGNER = FileSigner("log.example/bashu", Ed25519PrivateKey.generate())


def entries(count):
    made = [b'{"n":%d}' % n for n in range(count)]
    return [
        Entry(entry_id=uuid.UUID(int=n), type=EntryType.RELEASE, body=body, leaf_hash=leaf_hash(body))
        for n, body in enumerate(made)
    ]


def test_one_signature_covers_every_receipt_of_a_batch():
    offered = entries(5)
    rows = [{"seq": 10 + n, "entry_id": e.entry_id} for n, e in enumerate(offered)]
    receipts = receipts_from_rows(rows, {e.entry_id: e for e in offered}, signer=SIGNER, now=NOW)
    assert len({r.promise.note for r in receipts.values()}) == 1
    for entry in offered:
        receipt = receipts[entry.entry_id]
        lines = open_note(receipt.promise.note, parse_vkey(SIGNER.vkey)).split("\n")
        assert lines[:2] == ["log.example/bashu/promise", "5"]
        assert base64.b64decode(lines[2]) == receipt.promise.root
        assert lines[3:] == ["2026-03-01T00:01:00.000000Z", ""]
        assert receipt.publish_by == NOW + PUBLISH_WITHIN
        assert (receipt.entry, receipt.leaf_hash) == (entry.body, entry.leaf_hash)
        assert inclusion_holds(
            leaf_index=receipt.promise.leaf_index,
            size=receipt.promise.batch_size,
            leaf=receipt.leaf_hash,
            proof=receipt.promise.path,
            root=receipt.promise.root,
        )


def test_an_entry_the_statement_did_not_append_gets_no_receipt():
    offered = entries(3)
    rows = [{"seq": 1, "entry_id": offered[1].entry_id}]
    receipts = receipts_from_rows(rows, {e.entry_id: e for e in offered}, signer=SIGNER, now=NOW)
    assert list(receipts) == [offered[1].entry_id]
    assert receipts_from_rows([], {}, signer=SIGNER, now=NOW) == {}
