"""The largest tree ever signed, kept in a file outside the database: what a restored backup is held against."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from ledger.note import Checkpoint, parse_checkpoint


@dataclass(frozen=True, slots=True, kw_only=True)
class HighWater:
    """The high-water mark of one log, in the file ``path`` as the text of a checkpoint."""

    path: Path

    def read(self) -> Checkpoint | None:
        """Return the mark, or None before the first signature; a damaged file raises NoteError."""
        try:
            return parse_checkpoint(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def write(self, mark: Checkpoint) -> None:
        """Replace the mark durably: a crash leaves the old one or the new one."""
        fresh = self.path.with_suffix(".new")
        with fresh.open("w", encoding="utf-8") as file:
            file.write(mark.text())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self.path)
        folder = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
