"""What the log shows outside: tiles and bundles of the signed tree, from the database, and as static files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from database import Statements
from ledger import store
from ledger.merkle import HASH_BYTES, TILE_HEIGHT, TILE_WIDTH
from ledger.tiles import CHECKPOINT_PATH, TilePath, bundle_paths, encode_bundle, tree_paths


async def read_tile(db: Statements, path: TilePath) -> bytes | None:
    """Return the tile of hashes at ``path``, or None where the signed tree does not reach it."""
    if path.level is None or not await _is_signed(db, path):
        return None
    tiles = await store.tiles(db, {(path.level, path.index)})
    hashes = tiles.get((path.level, path.index), b"")[: path.width * HASH_BYTES]
    return hashes if len(hashes) == path.width * HASH_BYTES else None


async def read_bundle(db: Statements, path: TilePath) -> bytes | None:
    """Return the entry bundle at ``path``, or None where the signed tree does not reach it.

    Raises:
        BashuError: LEDGER_INCONSISTENT where entries of the signed tree are not in the database.
    """
    if not await _is_signed(db, path):
        return None
    begin = path.index * TILE_WIDTH
    entries = await store.entries_between(db, begin, begin + path.width)
    if len(entries) != path.width:
        raise store.inconsistent("entries of the signed tree are not in the database", leaf_index=str(begin))
    return encode_bundle([entry.body for entry in entries])


async def _is_signed(db: Statements, path: TilePath) -> bool:
    signed = await store.latest_checkpoint(db)
    if signed is None:
        return False
    last = path.index * TILE_WIDTH + path.width
    return last <= signed.size >> (TILE_HEIGHT * (path.level or 0))


async def write_static(
    db: Statements, folder: Path, *, entries: bool, progress: Callable[[int, int], None] | None = None
) -> int:
    """Write the newest signed tree below ``folder`` as files a plain web server can serve; return its size.

    The checkpoint is written last, so a reader never sees one whose tiles are missing. Files that are there already
    are kept: a tile's name says what is in it. Returns 0 before the first checkpoint.
    """
    signed = await store.latest_checkpoint(db)
    if signed is None:
        return 0
    paths: list[Iterable[TilePath]] = [tree_paths(signed.size)]
    if entries:
        paths.append(bundle_paths(signed.size))
    for group in paths:
        for path in group:
            await write_path(db, folder, path)
            if progress is not None and path.level in {0, None}:
                progress(min(signed.size, path.index * TILE_WIDTH + path.width), signed.size)
    write_whole(folder / CHECKPOINT_PATH, signed.note.encode())
    return signed.size


async def write_path(db: Statements, folder: Path, path: TilePath) -> bytes:
    """Write one tile or bundle below ``folder`` unless it is there, and return its content."""
    file = folder / path.text()
    if file.exists():
        return file.read_bytes()
    content = await (read_bundle if path.level is None else read_tile)(db, path)
    if content is None:
        raise store.inconsistent("a tile of the signed tree is missing", tile=path.text())
    write_whole(file, content)
    return content


def write_whole(file: Path, content: bytes) -> None:
    """Write ``file`` whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    draft = file.with_name(f".{file.name}.new")
    draft.write_bytes(content)
    draft.replace(file)
