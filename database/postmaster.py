"""Find, recognise and stop the postmaster of a data folder, also one whose parent was killed."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

_PROC: Final = Path("/proc")
_POLL_S: Final = 0.02
_STATUS_LINE: Final = 7
_GRACE_S: Final = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, 10.0))
"""Fast, immediate, kill (PostgreSQL, "Shutting Down the Server"), and how long each may take."""


def postmaster_pid(data: Path) -> int | None:
    """Return the running postmaster of ``data``, None when there is none.

    ``postmaster.pid`` may be stale and its number may belong to another program by now, so the process itself is
    asked: a postmaster works in its data folder.
    """
    try:
        pid = int((data / "postmaster.pid").read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None
    return pid if _works_in(pid, data) else None


def is_ready(data: Path, pid: int) -> bool:
    """Whether postmaster ``pid`` accepts connections: the status on line 8 of its pid file (miscadmin.h)."""
    try:
        lines = (data / "postmaster.pid").read_text().split("\n")
        return lines[0] == str(pid) and lines[_STATUS_LINE].strip() == "ready"
    except (OSError, IndexError):
        return False


def stop_postmaster(data: Path) -> bool:
    """Stop the postmaster of ``data``, if one runs, and wait for its last process; tell whether one ran."""
    pid = postmaster_pid(data)
    for signal_number, grace_s in _GRACE_S:
        if pid is None:
            break
        _send(pid, signal_number)
        if _wait(lambda: postmaster_pid(data) is None, grace_s):
            break
    # Backends of a killed postmaster notice its death by themselves; until then its shared memory is in use.
    _wait(lambda: not processes_in(data), _GRACE_S[0][1])
    return pid is not None


def remove_stale_pid_file(data: Path) -> None:
    """Remove ``postmaster.pid`` of a postmaster proved dead: its number may have been given to another process."""
    if _PROC.is_dir() and not processes_in(data):
        (data / "postmaster.pid").unlink(missing_ok=True)


def processes_in(data: Path) -> list[int]:
    """Return the processes that work in ``data`` (PostgreSQL's all do); empty where there is no /proc."""
    pids = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit()) if _PROC.is_dir() else ()
    return [pid for pid in pids if _working_folder(pid) == str(data)]


def _works_in(pid: int, data: Path) -> bool:
    if _PROC.is_dir():
        return _working_folder(pid) == str(data) and _is_alive(pid)
    listing = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)  # noqa: S603, S607
    return "postgres" in listing.stdout and str(data) in listing.stdout


def _working_folder(pid: int) -> str | None:
    try:
        return str((_PROC / str(pid) / "cwd").readlink())
    except OSError:
        return None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _send(pid: int, signal_number: signal.Signals) -> None:
    try:
        os.kill(pid, signal_number)
    except ProcessLookupError:
        return


def _wait(is_done: Callable[[], bool], limit_s: float) -> bool:
    deadline = time.monotonic() + limit_s
    while not is_done():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True
