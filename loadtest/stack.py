"""The dev stack as a scenario sees it: started as a process, described by ``dev.json``, stopped without a trace."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

START_TIMEOUT_S: Final = 120.0
"""Embedded PostgreSQL, two platforms and the first certificates on a slow machine."""

STOP_TIMEOUT_S: Final = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """One participant of the dev stack, with the files it authenticates with."""

    participant_id: str
    role: str
    private_key: Path
    kid: str
    certificate: Path
    certificate_key: Path
    staff: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """One consent authority (授权服务方) of the dev stack, with its signing and commitment keys."""

    authority_id: str
    private_key: Path
    kid: str
    commitment_key: Path
    commitment_kid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """A running dev stack, as its ``dev.json`` describes it."""

    state: Path
    grpc: str
    ca: Path | None
    postgres: str
    ledger_vkey: str
    sandbox_control: str
    platforms: dict[str, str]
    pids: dict[str, Any]
    participants: dict[str, Participant]
    authorities: dict[str, Authority]

    @property
    def gateway_pids(self) -> list[int]:
        """Process ids of the gateway's workers."""
        return list(self.pids["gateway"])


def read_stack(state: Path) -> Stack:
    """Read ``state/dev.json``.

    Raises:
        FileNotFoundError: no stack has finished starting on this folder.
    """
    return read_description(state / "dev.json")


def read_description(path: Path) -> Stack:
    """Read a stack's description from ``path``; its folder is the stack's state."""
    described = json.loads(path.read_text())
    return Stack(
        state=path.parent,
        grpc=described["grpc"],
        ca=Path(described["ca"]) if described["ca"] else None,
        postgres=described["postgres"],
        ledger_vkey=described["ledger_vkey"],
        sandbox_control=described["sandbox_control"],
        platforms=described["platforms"],
        pids=described["pids"],
        participants={
            name: Participant(
                participant_id=name,
                role=facts["role"],
                private_key=Path(facts["private_key"]),
                kid=facts["kid"],
                certificate=Path(facts["certificate"]),
                certificate_key=Path(facts["certificate_key"]),
                staff=tuple(facts["staff"]),
            )
            for name, facts in described["participants"].items()
        },
        authorities={
            name: Authority(
                authority_id=name,
                private_key=Path(facts["private_key"]),
                kid=facts["kid"],
                commitment_key=Path(facts["commitment_key"]),
                commitment_kid=facts["commitment_kid"],
            )
            for name, facts in described["consent_authorities"].items()
        },
    )


@contextlib.contextmanager
def dev_stack(*, state: Path | None = None, arguments: Sequence[str] = ()) -> Iterator[Stack]:
    """Start ``bashu-gateway dev`` on ``state`` (a temporary folder when None), yield it, stop all of it.

    Raises:
        RuntimeError: it stopped or did not answer in time; the end of its output is in the message.
    """
    with contextlib.ExitStack() as cleanup:
        folder = state or Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="bashu-")))
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "dev.json").unlink(missing_ok=True)
        log = cleanup.enter_context((folder / "dev.log").open("ab"))
        command = [sys.executable, "-m", "gateway.cli", "dev", "--state", str(folder), *arguments]
        process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL)  # noqa: S603 - our own
        cleanup.callback(_stop, process)
        _wait_until_ready(process, folder)
        yield read_stack(folder)


def _wait_until_ready(process: subprocess.Popen[bytes], folder: Path) -> None:
    give_up = time.monotonic() + START_TIMEOUT_S
    while not (folder / "dev.json").exists():
        if process.poll() is not None or time.monotonic() > give_up:
            tail = (folder / "dev.log").read_text(errors="replace")[-4000:]
            raise RuntimeError(f"the dev stack did not start (exit {process.poll()}):\n{tail}")
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
