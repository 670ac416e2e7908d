"""`bashu-gateway fsck` and `reproject`: the log in the database, what was projected from it, an archive of it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Final, TypeAlias

import msgspec
import typer

from database import open_database
from gateway import from_settings
from gateway.settings import Settings, SettingsError, read_secret
from ledger.archive.check import check_archive
from ledger.archive.files import ArchiveFolder
from ledger.fsck import fsck
from ledger.highwater import HighWater
from ledger.invariants import Finding, exit_code
from ledger.keys import store as key_store
from ledger.note import VerifierKey, parse_vkey
from ledger.reproject.check import check_projections
from ledger.reproject.repair import reproject
from ledger.signer import load_signer

EXITS: Final = (0, 4, 5)
"""Exit codes of nothing, a warning, an error: none of them the code of bad settings or of no database."""
_LEVELS: Final = {"INFO": "提示", "WARNING": "警告", "ERROR": "错误"}
_READABLE_KEY: Final = "ledger's key as published (name+hash+base64), or a file with it"

Progress: TypeAlias = Callable[[int, int], None] | None


async def run_fsck(
    settings: Settings | None,
    *,
    archive: Path | None,
    vkeys: Sequence[str],
    from_index: int,
    as_json: bool,
    progress: Progress,
) -> int:
    """Print each finding in one line and return the exit code; without ``settings`` the archive alone is checked."""
    findings = await _told(_findings(settings, archive, vkeys, from_index=from_index, progress=progress), as_json)
    code = EXITS[exit_code(findings)]
    typer.echo(
        json.dumps({"findings": len(findings), "exit_code": code}) if as_json else f"{len(findings)} 项发现 findings"
    )
    return code


async def run_reproject(settings: Settings, *, archive: Path | None, as_json: bool, progress: Progress) -> int:
    """Mend projections as the owner, print what was mended, and return how much."""
    if settings.database.owner_dsn_file is None:
        raise SettingsError("database.owner_dsn_file is missing: projections are mended by the database's owner")
    dsn = read_secret(settings.database.owner_dsn_file, setting="database.owner_dsn_file").decode()
    folder = None if archive is None else ArchiveFolder(path=archive)
    owner = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-reproject")
    try:
        commitment = from_settings.pseudonyms(settings).in_entry
        mended = reproject(owner, commitment=commitment, archive=folder, progress=progress)
        return len(await _told(mended, as_json))
    finally:
        await owner.close()


async def _told(found: AsyncIterator[Finding], as_json: bool) -> list[Finding]:
    findings = []
    async for finding in found:
        findings.append(finding)
        line = msgspec.json.encode(finding).decode() if as_json else f"{_LEVELS[finding.severity]} {finding.line()}"
        typer.echo(line)
    return findings


async def _findings(
    settings: Settings | None, archive: Path | None, vkeys: Sequence[str], *, from_index: int, progress: Progress
) -> AsyncIterator[Finding]:
    folder = None if archive is None else ArchiveFolder(path=archive)
    given = _given(vkeys)
    if settings is None:
        if folder is None or not given:
            raise SettingsError(f"--settings, or --archive with --vkey, the {_READABLE_KEY}")
        for finding in check_archive(folder, keys=given, progress=progress):
            yield finding
        return
    key = parse_vkey(load_signer(settings.ledger.signing_key, name=settings.ledger.origin).vkey)
    if settings.database.reader_dsn_file is None:
        raise SettingsError("database.reader_dsn_file is missing")
    dsn = read_secret(settings.database.reader_dsn_file, setting="database.reader_dsn_file").decode()
    db = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-fsck")
    mark = HighWater(path=settings.ledger.highwater).read()
    try:
        if folder is not None:
            keys = [key, *given, *(parse_vkey(step.vkey) for step in await key_store.steps(db))]
            for finding in check_archive(folder, keys=keys, progress=progress):
                yield finding
        async for finding in fsck(db, key=key, mark=mark, progress=progress, from_index=from_index, archive=folder):
            yield finding
    finally:
        await db.close()
    async for finding in _projections(settings, folder, progress=progress):
        yield finding


async def _projections(
    settings: Settings, folder: ArchiveFolder | None, *, progress: Progress
) -> AsyncIterator[Finding]:
    """Check what was projected, with the workers' login: pseudonyms are not for the reader."""
    dsn = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
    db = await open_database(dsn, min_size=1, max_size=1, application_name="bashu-fsck")
    try:
        commitment = from_settings.pseudonyms(settings).in_entry
        async for finding in check_projections(db, commitment=commitment, archive=folder, progress=progress):
            yield finding
    finally:
        await db.close()


def _given(vkeys: Sequence[str]) -> list[VerifierKey]:
    texts = [text if "+" in text else Path(text).read_text(encoding="utf-8") for text in vkeys]
    return [parse_vkey(line) for text in texts for line in text.split()]
