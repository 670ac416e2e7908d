"""C2SP tlog-proof@v1: one file that shows, offline and for good, that an entry stands in a log."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, Self

from bashu.verify.merkle import verify_inclusion
from bashu.verify.note import Checkpoint, KnownKeys, verify_checkpoint
from bashu.verify.strict import VerificationError, base64_bytes, base64_hash

_FIRST_LINE: Final = "c2sp.org/tlog-proof@v1"
_EXTRA: Final = "extra "
_INDEX: Final = "index "
_DECIMAL: Final = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_LONGEST_PATH: Final = 63  # hashes: the largest tree has 2^63 - 1 leaves
_LONGEST: Final = 1_100_000  # characters: a note of the longest kind, and the path before it


@dataclass(frozen=True, slots=True, kw_only=True)
class TlogProof:
    """A proof as read, nothing checked yet; ``extra`` is not authenticated by anything (None: the line is absent)."""

    leaf_index: int
    path: tuple[bytes, ...]
    checkpoint: str
    extra: bytes | None

    @classmethod
    def parse(cls, text: object) -> Self:
        """Read the text of a proof; anything a second spelling could stand for is refused.

        Raises:
            VerificationError: it is not C2SP tlog-proof@v1.
        """
        if not isinstance(text, str) or len(text) > _LONGEST:
            raise VerificationError("tlog-proof: text expected")
        head, found, checkpoint = text.partition("\n\n")
        if not found:
            raise VerificationError("tlog-proof: an empty line and a checkpoint expected")
        lines = head.split("\n")
        if lines.pop(0) != _FIRST_LINE:
            raise VerificationError(f"tlog-proof: its first line is not {_FIRST_LINE}")
        extra = None
        if lines and lines[0].startswith(_EXTRA):
            extra = base64_bytes(lines.pop(0).removeprefix(_EXTRA), "tlog-proof extra")
        if not lines or not lines[0].startswith(_INDEX):
            raise VerificationError("tlog-proof: index expected")
        index = lines.pop(0).removeprefix(_INDEX)
        if not _DECIMAL.fullmatch(index):
            raise VerificationError("tlog-proof index: decimal number expected")
        if len(lines) > _LONGEST_PATH:
            raise VerificationError("tlog-proof: its path is longer than that of any tree")
        return cls(
            leaf_index=int(index),
            path=tuple(base64_hash(line, f"tlog-proof path[{number}]") for number, line in enumerate(lines)),
            checkpoint=checkpoint,
            extra=extra,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvenEntry:
    """An entry that stands at ``leaf_index`` under ``checkpoint``."""

    leaf_index: int
    checkpoint: Checkpoint


def verify_tlog_proof(text: object, *, leaf: bytes, vkey: KnownKeys) -> ProvenEntry:
    """Check that the entry with the leaf hash ``leaf`` stands in the log of ``vkey``, as the proof ``text`` says.

    A proof with an ``extra`` line is refused: this log writes none, and nothing vouches for its bytes.

    Raises:
        VerificationError: the first thing that does not hold.
    """
    proof = TlogProof.parse(text)
    if proof.extra is not None:
        raise VerificationError("tlog-proof: it has extra data, which nothing vouches for")
    checkpoint = verify_checkpoint(proof.checkpoint, vkey)
    verify_inclusion(
        leaf, leaf_index=proof.leaf_index, tree_size=checkpoint.size, proof=proof.path, root=checkpoint.root
    )
    return ProvenEntry(leaf_index=proof.leaf_index, checkpoint=checkpoint)
