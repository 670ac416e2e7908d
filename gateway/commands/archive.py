"""`bashu-gateway archive`: how far an archive reaches, by age, by what is preserved and by what is signed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from core.errors import BashuError, Reason, Turn
from database import Database, open_database
from gateway.desk.store import first_preserved
from gateway.settings import Settings, SettingsError, read_secret
from ledger import store
from ledger.archive.files import ALIGNED, ArchiveFolder
from ledger.archive.store import first_leaf_since
from ledger.archive.write import write_archive

DAYS_OF_A_YEAR: Final = 365.2425


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What to archive: leaves below ``to_index``, or, where that is None, those older than ``before``."""

    to_index: int | None
    before: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What the folder holds now, why no more, and the root to name to the owner's step; ``root`` hex."""

    size: int
    root: str
    stopped: str


async def run_archive(
    settings: Settings, folder: Path, wish: Wish, *, progress: Callable[[int, int], None] | None = None
) -> Archived:
    """Archive what is wished, as far as it may be.

    Raises:
        BashuError: PRESERVED where ``to_index`` reaches into what is preserved; MALFORMED for a size that cannot be.
    """
    if settings.database.reader_dsn_file is None:
        raise SettingsError("database.reader_dsn_file is missing")
    reading = read_secret(settings.database.reader_dsn_file, setting="database.reader_dsn_file").decode()
    # What is preserved names subjects by pseudonym, which the reader may not see: the workers' login asks.
    asking = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
    reader = await open_database(reading, min_size=1, max_size=1, application_name="bashu-archive")
    try:
        worker = await open_database(asking, min_size=1, max_size=1, application_name="bashu-archive")
        try:
            years = timedelta(days=settings.retention.years * DAYS_OF_A_YEAR)
            before = wish.before or datetime.now(UTC) - years
            return await archive(
                reader,
                worker,
                folder,
                Wish(to_index=wish.to_index, before=before),
                origin=settings.ledger.origin,
                progress=progress,
            )
        finally:
            await worker.close()
    finally:
        await reader.close()


async def archive(
    reader: Database,
    worker: Database,
    folder: Path,
    wish: Wish,
    *,
    origin: str,
    aligned: int = ALIGNED,
    progress: Callable[[int, int], None] | None = None,
) -> Archived:
    """Do what :func:`run_archive` says, with connections of the reader's and the workers' login."""
    manifest = ArchiveFolder(path=folder).manifest()
    done = 0 if manifest is None else manifest.size
    if wish.to_index is not None:
        kept = await first_preserved(worker, done, wish.to_index)
        if kept is not None:
            raise _preserved(*kept)
        size, stopped = wish.to_index, ""
    else:
        size, stopped = await _reach(reader, worker, wish.before, done=done, aligned=aligned)
    if size > done or wish.to_index is not None:
        manifest = await write_archive(reader, folder, origin=origin, size=size, aligned=aligned, progress=progress)
    if manifest is None:
        return Archived(size=0, root="", stopped=stopped)
    return Archived(size=manifest.size, root=manifest.root.hex(), stopped=stopped)


async def _reach(
    reader: Database, worker: Database, before: datetime | None, *, done: int, aligned: int
) -> tuple[int, str]:
    """Return how far leaves may be archived, and what stops there."""
    signed = await store.latest_checkpoint(reader)
    end = 0 if signed is None else signed.size
    stopped = f"已签署到 {end} 条 the last signed checkpoint is of {end} leaves"
    young = await first_leaf_since(reader, before) if before is not None else None
    if young is not None and young < end:
        end, stopped = young, f"第 {young} 条未到归档年龄 leaf {young} is not old enough"
    kept = await first_preserved(worker, done, end)
    if kept is not None:
        end, stopped = kept[0], f"第 {kept[0]} 条被封存 leaf {kept[0]} is preserved by {kept[1]}"
    return max(end // aligned * aligned, done), stopped


def _preserved(leaf_index: int, preservation_id: object) -> BashuError:
    return BashuError(
        Reason.PRESERVED,
        f"leaf {leaf_index} is preserved by {preservation_id}: nothing in its scope is archived until it is released",
        turn=Turn.COMPLIANCE,
        metadata={"rule": "征信业管理条例 Art. 33"},
    )
