"""How long a process lives: until it is told to stop, and never longer than the one that started it."""

from __future__ import annotations

import asyncio
import ctypes
import os
import signal
import sys
from typing import Final

PARENT_VARIABLE: Final = "BASHU_PARENT_PID"
"""Set by a process that starts parts of the system; they end with it, however it ends."""

_PR_SET_PDEATHSIG: Final = 1


def stop_event() -> asyncio.Event:
    """Return an event of the running loop that SIGTERM and SIGINT set; call it once, in a process's main task."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def follow_parent() -> None:
    """End with the parent named in ``BASHU_PARENT_PID``: Linux sends SIGTERM when it dies (prctl(2)).

    Elsewhere nothing happens: a start then finds and stops what an earlier one left, as far as it keeps a record.
    """
    parent = os.environ.get(PARENT_VARIABLE)
    if parent is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    # The parent may have died before the request: then nobody would ever send the signal.
    if os.getppid() != int(parent):
        raise SystemExit(f"the process {parent} that started this one is gone")
