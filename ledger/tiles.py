"""The C2SP tlog-tiles layout: names of tiles and entry bundles as paths, and the bytes of a bundle."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ledger.merkle import TILE_WIDTH

CHECKPOINT_PATH: Final = "checkpoint"
ENTRIES: Final = "entries"
TILE_TYPE: Final = "application/octet-stream"
CHECKPOINT_TYPE: Final = "text/plain; charset=utf-8"
_PATH: Final = re.compile(
    r"tile/(?P<level>entries|[0-9]|[1-5][0-9]|6[0-3])/(?P<index>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?",
    re.ASCII,
)
_LONGEST_PATH: Final = 64
_LENGTH_BYTES: Final = 2


class LayoutError(ValueError):
    """A path or a bundle is not of the layout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TilePath:
    """A tile of hashes (``level`` 0 and up) or, where ``level`` is None, a bundle of entries; ``width`` 1 to 256."""

    level: int | None
    index: int
    width: int = TILE_WIDTH

    def text(self) -> str:
        """Return the path below the log's prefix, such as ``tile/0/x001/x234/067.p/8``."""
        level = ENTRIES if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{_index_text(self.index)}{partial}"


def parse_path(path: str) -> TilePath:
    """Read a path below the log's prefix; raise LayoutError unless it is the one way to write it."""
    matched = _PATH.fullmatch(path) if len(path) <= _LONGEST_PATH else None
    if matched is None:
        raise LayoutError("not the path of a tile")
    level = None if matched["level"] == ENTRIES else int(matched["level"])
    index = int(matched["index"].replace("x", "").replace("/", ""))
    found = TilePath(level=level, index=index, width=int(matched["width"] or TILE_WIDTH))
    if found.text() != path:
        raise LayoutError("not the canonical path of a tile")
    return found


def tree_paths(size: int, *, begin: int = 0) -> Iterator[TilePath]:
    """Name every tile of hashes of a tree of ``size``, partial ones included, from leaf ``begin`` on."""
    level, width, first = 0, size, begin
    while width:
        first //= TILE_WIDTH
        for index in range(first, -(-width // TILE_WIDTH)):
            yield TilePath(level=level, index=index, width=min(TILE_WIDTH, width - index * TILE_WIDTH))
        level, width = level + 1, width // TILE_WIDTH


def bundle_paths(size: int) -> Iterator[TilePath]:
    """Name every entry bundle of a tree of ``size``."""
    for index in range(-(-size // TILE_WIDTH)):
        yield TilePath(level=None, index=index, width=min(TILE_WIDTH, size - index * TILE_WIDTH))


def encode_bundle(bodies: Sequence[bytes]) -> bytes:
    """Join entries, each behind its length as two bytes, big-endian (tlog-tiles, section Log Entries)."""
    return b"".join(len(body).to_bytes(_LENGTH_BYTES, "big") + body for body in bodies)


def decode_bundle(bundle: bytes) -> list[bytes]:
    """Cut a bundle into its entries; raise LayoutError where a length does not fit."""
    bodies, place = [], 0
    while place < len(bundle):
        length = int.from_bytes(bundle[place : place + _LENGTH_BYTES], "big")
        begin, place = place + _LENGTH_BYTES, place + _LENGTH_BYTES + length
        if begin > len(bundle) or place > len(bundle):
            raise LayoutError("an entry bundle ends inside an entry")
        bodies.append(bundle[begin:place])
    return bodies


def _index_text(index: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index >= 1000:  # noqa: PLR2004 - three digits a path element
        index //= 1000
        groups.append(f"x{index % 1000:03d}")
    return "/".join(reversed(groups))
