"""Promises: one signature over the leaf hashes released together, given out before the tree has them."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from core.clock import rfc3339
from core.permit import BatchPromise
from ledger.merkle import batch_tree
from ledger.note import LogSigning, sign_note

PUBLISH_WITHIN: Final = timedelta(seconds=60)
"""How soon a promised leaf must be in a signed tree: twice the age at which admissions stop (30 s)."""


def promise_text(*, origin: str, size: int, root: bytes, publish_by: datetime) -> str:
    """Return the text a promise signs; its first line keeps it from ever being read as a checkpoint."""
    return f"{origin}/promise\n{size}\n{base64.b64encode(root).decode()}\n{rfc3339(publish_by)}\n"


def make_promises(leaf_hashes: Sequence[bytes], *, signer: LogSigning, publish_by: datetime) -> list[BatchPromise]:
    """Sign one promise over ``leaf_hashes`` and return each leaf's, in their order."""
    if not leaf_hashes:
        return []
    root, paths = batch_tree(leaf_hashes)
    size = len(leaf_hashes)
    note = sign_note(promise_text(origin=signer.name, size=size, root=root, publish_by=publish_by), *signer.signers)
    return [
        BatchPromise(note=note, root=root, leaf_index=index, batch_size=size, path=tuple(path))
        for index, path in enumerate(paths)
    ]
