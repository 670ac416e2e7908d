"""The tree of RFC 6962 section 2.1 kept in C2SP tiles (tile height 8): growing, roots, proofs, and their checks.

A node is named ``(height, index)``: the root of the perfect subtree over leaves
``[index << height, (index + 1) << height)``. A tile is named ``(level, tile_index)`` and holds up to 256 hashes of
nodes of height ``8 * level``. A tile is only ever appended to, so a tile read later serves every smaller tree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, TypeAlias

HASH_BYTES: Final = 32
TILE_HEIGHT: Final = 8
TILE_WIDTH: Final = 1 << TILE_HEIGHT
EMPTY_ROOT: Final = hashlib.sha256(b"").digest()

Node: TypeAlias = tuple[int, int]
TileId: TypeAlias = tuple[int, int]
Tiles: TypeAlias = Mapping[TileId, bytes]


class TreeError(ValueError):
    """Tiles or sizes do not make the tree they were said to make."""


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the RFC 6962 section 2.1 hash of an inner node, SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def range_nodes(begin: int, end: int) -> list[Node]:
    """Name the perfect subtrees that make up leaves ``[begin, end)``, left to right.

    ``begin`` must be aligned as a left edge of RFC 6962 (a multiple of a power of two not below ``end - begin``).
    """
    nodes = []
    while begin < end:
        height = (end - begin).bit_length() - 1
        nodes.append((height, begin >> height))
        begin += 1 << height
    return nodes


def root_nodes(size: int) -> list[Node]:
    """Name the nodes whose fold is the root of the first ``size`` leaves."""
    return range_nodes(0, size)


def inclusion_nodes(leaf_index: int, size: int) -> list[list[Node]]:
    """Name the nodes of PATH(leaf_index, D[size]) of RFC 6962 section 2.1.1; each group folds into one hash."""
    if not 0 <= leaf_index < size:
        raise TreeError(f"leaf {leaf_index} is not in a tree of {size}")
    begin, end, groups = 0, size, []
    while end - begin > 1:
        middle = _split(begin, end)
        if leaf_index < middle:
            groups.append(range_nodes(middle, end))
            end = middle
        else:
            groups.append(range_nodes(begin, middle))
            begin = middle
    return groups[::-1]


def consistency_nodes(size1: int, size2: int) -> list[list[Node]]:
    """Name the nodes of PROOF(size1, D[size2]) of RFC 6962 section 2.1.2; empty for ``size1`` 0 or equal sizes."""
    if not 0 <= size1 <= size2:
        raise TreeError(f"no consistency proof from {size1} to {size2}")
    begin, end, groups = 0, size2, []
    while 0 < size1 < end:
        middle = _split(begin, end)
        if size1 <= middle:
            groups.append(range_nodes(middle, end))
            end = middle
        else:
            groups.append(range_nodes(begin, middle))
            begin = middle
    if begin:
        groups.append(range_nodes(begin, end))
    return groups[::-1]


def tile_of(node: Node) -> TileId:
    """Name the tile that holds ``node`` or its descendants of the tile's own height."""
    height, index = node
    level, inside = divmod(height, TILE_HEIGHT)
    return level, (index << inside) >> TILE_HEIGHT


def tiles_of(groups: Iterable[Iterable[Node]]) -> set[TileId]:
    """Name every tile needed to fold ``groups``."""
    return {tile_of(node) for group in groups for node in group}


class TileHashes:
    """Hashes of nodes, computed from ``tiles``; the inner nodes of a tile are computed once and kept."""

    def __init__(self, tiles: Tiles) -> None:
        self._tiles = tiles
        self._rows: dict[TileId, list[list[bytes]]] = {}

    def node(self, node: Node) -> bytes:
        """Return the hash of ``node``, or raise TreeError where no tile at hand reaches so far."""
        height, index = node
        tile = tile_of(node)
        inside = height % TILE_HEIGHT
        row = self._inner_rows(tile)[inside]
        position = index - (tile[1] << TILE_HEIGHT >> inside)
        if position >= len(row):
            raise TreeError(f"tile {tile[0]}/{tile[1]} does not reach node {height}/{index}")
        return row[position]

    def fold(self, nodes: Sequence[Node]) -> bytes:
        """Return the RFC 6962 hash over the neighbouring subtrees ``nodes``."""
        return fold([self.node(node) for node in nodes])

    def root(self, size: int) -> bytes:
        """Return the root of the first ``size`` leaves."""
        return self.fold(root_nodes(size)) if size else EMPTY_ROOT

    def proof(self, groups: Iterable[Sequence[Node]]) -> list[bytes]:
        """Return the hashes of a proof named by :func:`inclusion_nodes` or :func:`consistency_nodes`."""
        return [self.fold(group) for group in groups]

    def _inner_rows(self, tile: TileId) -> list[list[bytes]]:
        if tile not in self._rows:
            row = split_hashes(self._tiles.get(tile, b""))
            rows = [row]
            for _ in range(TILE_HEIGHT - 1):
                row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row) - 1, 2)]
                rows.append(row)
            self._rows[tile] = rows
        return self._rows[tile]


def fold(hashes: Sequence[bytes]) -> bytes:
    """Hash neighbouring subtrees, each smaller than the one before, from right to left."""
    result = hashes[-1]
    for left in reversed(hashes[:-1]):
        result = node_hash(left, result)
    return result


def split_hashes(joined: bytes) -> list[bytes]:
    """Cut a tile into its hashes."""
    return [joined[i : i + HASH_BYTES] for i in range(0, len(joined), HASH_BYTES)]


def edge_tiles(size: int) -> list[TileId]:
    """Name the tiles at the right edge of a tree of ``size``: what its root and its growth are computed from."""
    edge, level, width = [], 0, size
    while width:
        # A full last tile is not needed to grow, but its root stands in the level above.
        if width % TILE_WIDTH:
            edge.append((level, width // TILE_WIDTH))
        level, width = level + 1, width // TILE_WIDTH
    return edge


def grow(size: int, edge: Tiles, leaf_hashes: Sequence[bytes]) -> dict[TileId, bytes]:
    """Return every tile that changes when ``leaf_hashes`` are appended to a tree of ``size``.

    ``edge`` holds the tiles of :func:`edge_tiles`; they may not be longer or shorter than ``size`` says.
    """
    changed: dict[TileId, bytes] = {}
    level, width, new = 0, size, list(leaf_hashes)
    while new:
        index, inside = divmod(width, TILE_WIDTH)
        first = edge.get((level, index), b"") if inside else b""
        if len(first) != inside * HASH_BYTES:
            raise TreeError(f"tile {level}/{index} holds {len(first) // HASH_BYTES} hashes, not {inside}")
        joined, above = first + b"".join(new), []
        for offset in range(0, len(joined), TILE_WIDTH * HASH_BYTES):
            tile = joined[offset : offset + TILE_WIDTH * HASH_BYTES]
            changed[level, index] = tile
            if len(tile) == TILE_WIDTH * HASH_BYTES:
                above.append(_perfect_root(split_hashes(tile)))
            index += 1
        level, width, new = level + 1, width // TILE_WIDTH, above
    return changed


def batch_tree(leaf_hashes: Sequence[bytes]) -> tuple[bytes, list[list[bytes]]]:
    """Return the RFC 6962 root over a batch and, for each leaf, its inclusion path (leaf to root)."""
    if not leaf_hashes:
        return EMPTY_ROOT, []
    if len(leaf_hashes) == 1:
        return leaf_hashes[0], [[]]
    middle = _split(0, len(leaf_hashes))
    left, left_paths = batch_tree(leaf_hashes[:middle])
    right, right_paths = batch_tree(leaf_hashes[middle:])
    for path in left_paths:
        path.append(right)
    for path in right_paths:
        path.append(left)
    return node_hash(left, right), left_paths + right_paths


class Frontier:
    """The roots of the perfect subtrees of a growing tree: enough to know its root, without keeping its leaves."""

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Add one leaf hash."""
        bit, carry = self.size, leaf
        while bit & 1:
            carry = node_hash(self._peaks.pop(), carry)
            bit >>= 1
        self._peaks.append(carry)
        self.size += 1

    def root(self) -> bytes:
        """Return the root over the leaves so far."""
        return fold(self._peaks) if self._peaks else EMPTY_ROOT


def inclusion_holds(*, leaf_index: int, size: int, leaf: bytes, proof: Sequence[bytes], root: bytes) -> bool:
    """Check an inclusion proof (RFC 9162 section 2.1.3.2)."""
    if not 0 <= leaf_index < size or not _are_hashes([leaf, root, *proof]):
        return False
    position, last, result = leaf_index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if position & 1 or position == last:
            result = node_hash(sibling, result)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            result = node_hash(result, sibling)
        position, last = position >> 1, last >> 1
    return last == 0 and result == root


def consistency_holds(*, size1: int, size2: int, root1: bytes, root2: bytes, proof: Sequence[bytes]) -> bool:
    """Check a consistency proof (RFC 9162 section 2.1.4.2); for ``size1`` 0 only the empty proof, as C2SP witnesses."""
    if not 0 <= size1 <= size2 or not _are_hashes([root1, root2, *proof]):
        return False
    if size1 == 0:
        return not proof and root1 == EMPTY_ROOT
    if size1 == size2:
        return not proof and root1 == root2
    path = [root1, *proof] if size1 & (size1 - 1) == 0 else list(proof)
    if not proof:
        return False
    return _walk_consistency(size1, size2, path) == (root1, root2)


def _walk_consistency(size1: int, size2: int, path: list[bytes]) -> tuple[bytes, bytes] | None:
    position, last = size1 - 1, size2 - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if position & 1 or position == last:
            old, new = node_hash(sibling, old), node_hash(sibling, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = node_hash(new, sibling)
        position, last = position >> 1, last >> 1
    return (old, new) if last == 0 else None


def _are_hashes(values: Iterable[bytes]) -> bool:
    return all(len(value) == HASH_BYTES for value in values)


def _split(begin: int, end: int) -> int:
    return begin + (1 << (end - begin - 1).bit_length() - 1)


def _perfect_root(hashes: list[bytes]) -> bytes:
    while len(hashes) > 1:
        hashes = list(_pairs(hashes))
    return hashes[0]


def _pairs(hashes: Sequence[bytes]) -> Iterator[bytes]:
    for i in range(0, len(hashes), 2):
        yield node_hash(hashes[i], hashes[i + 1])
