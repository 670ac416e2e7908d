"""What an operator is told when a start goes wrong: one line, an exit code, nothing else touched."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from database.embedded import EmbeddedPostgres
from gateway.dev import DevOptions, run_dev
from gateway.dev_state import open_state
from gateway.serve import reserve_port
from gateway.settings import SettingsError


def gateway(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "gateway.cli", *arguments], capture_output=True, text=True, check=False, timeout=60
    )
    return done.returncode, done.stderr


def test_a_state_folder_that_is_none_is_refused_in_one_line(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    code, said = gateway("dev", "--state", str(file))
    assert (code, said.count("\n")) == (1, 1)
    assert "state folder" in said


def test_a_sandbox_profile_that_does_not_exist_is_a_wrong_usage(tmp_path: Path) -> None:
    code, _ = gateway("dev", "--state", str(tmp_path / "state"), "--profile", "none-such")
    assert code == 2
    assert not (tmp_path / "state").exists()


def test_a_taken_port_is_named_as_a_setting_that_cannot_be_used() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=str(port)):
            reserve_port("127.0.0.1", port)


async def test_a_second_start_leaves_the_running_stacks_description_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = open_state(tmp_path / "state")
    state.description.write_text("{}")

    def held(self: EmbeddedPostgres) -> None:
        raise BlockingIOError

    monkeypatch.setattr(EmbeddedPostgres, "start", held)
    with pytest.raises(BlockingIOError):
        await run_dev(DevOptions(state=state.root), say=lambda _: None)
    assert state.description.exists()
