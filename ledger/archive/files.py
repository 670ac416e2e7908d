"""What stands in an archive's folder: tiles and entry bundles in C2SP tlog-tiles layout, and ``archive.json``.

``archive.json``, written last, says how far it reaches and ties that prefix to a signed checkpoint of the whole log by
a consistency proof (RFC 6962 section 2.1.2). A folder without it is an archive under way.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from ledger.merkle import TILE_HEIGHT, TILE_WIDTH, TileId
from ledger.tiles import LayoutError, TilePath, decode_bundle

ALIGNED: Final = TILE_WIDTH * TILE_WIDTH
"""Leaves an archive grows by: 65,536, so that every tile of levels 0 and 1 in it is full."""

MANIFEST: Final = "archive.json"


class ArchiveError(Exception):
    """A folder is no archive, or cannot be read as one; the message names the file."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """``archive.json``: the first ``size`` leaves of the log ``origin``; hashes are base64 in the file."""

    origin: str
    size: int
    root: bytes
    checkpoint: str
    consistency: list[bytes]
    v: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ArchiveFolder:
    """Reads an archive; what is read is checked by nobody here."""

    path: Path

    def manifest(self) -> Manifest | None:
        """Return ``archive.json``, None where there is none yet.

        Raises:
            ArchiveError: it is not one of version 1.
        """
        try:
            found = msgspec.json.decode((self.path / MANIFEST).read_bytes(), type=Manifest)
        except FileNotFoundError:
            return None
        except (msgspec.DecodeError, OSError) as error:
            raise ArchiveError(f"{self.path / MANIFEST}: cannot be read") from error
        if found.v != 1 or found.size <= 0 or found.size % TILE_WIDTH:
            raise ArchiveError(f"{self.path / MANIFEST}: not of version 1")
        return found

    def tile(self, place: TileId, size: int) -> bytes:
        """Return the tile ``place`` of the tree of ``size`` leaves; empty where its file is missing."""
        level, index = place
        width = min(TILE_WIDTH, (size >> (TILE_HEIGHT * level)) - index * TILE_WIDTH)
        return self._read(TilePath(level=level, index=index, width=width)) or b""

    def bundle(self, index: int) -> list[bytes] | None:
        """Return the 256 entries of bundle ``index``, None where its file is missing or cannot be cut into entries."""
        content = self._read(TilePath(level=None, index=index))
        try:
            return None if content is None else decode_bundle(content)
        except LayoutError:
            return None

    def bodies(self, begin: int, end: int) -> Mapping[int, bytes]:
        """Return the entries of leaves ``begin <= index < end`` that are there, by index."""
        found: dict[int, bytes] = {}
        for number in range(begin // TILE_WIDTH, -(-end // TILE_WIDTH)):
            found |= dict(enumerate(self.bundle(number) or (), start=number * TILE_WIDTH))
        return {index: body for index, body in found.items() if begin <= index < end}

    def _read(self, path: TilePath) -> bytes | None:
        try:
            return (self.path / path.text()).read_bytes()
        except FileNotFoundError:
            return None


def row_of(body: bytes, leaf_hash: bytes) -> dict[str, Any]:
    """Return an archived entry as the columns ``seq, entry_id, body, leaf_hash``; ids it has none of are None."""
    try:
        entry_id = msgspec.json.decode(body, type=_Id).entry_id
    except msgspec.DecodeError:
        entry_id = None
    return {"seq": None, "entry_id": entry_id, "body": body, "leaf_hash": leaf_hash}


class _Id(msgspec.Struct):
    entry_id: str | None = None
