"""`bashu-gateway adapter new`: what it writes works, as a newcomer finds it, before a line is changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway.cli import app

ROOT = Path(__file__).parents[2]
RUN = CliRunner()


@pytest.mark.parametrize("kind", ["file", "python"])
def test_a_new_adapter_passes_its_own_tests_and_every_fact(kind: str, tmp_path: Path) -> None:
    folder = tmp_path / "atlantis-adapter"
    made = RUN.invoke(app, ["adapter", "new", "atlantis", "--kind", kind, "--folder", str(folder)])
    assert made.exit_code == 0, made.output
    assert not [file for file in folder.rglob("*") if file.is_file() and "__NAME__" in file.read_text()]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder), "-c", str(folder / "pytest.ini")],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "3 passed" in result.stdout, result.stdout[-3000:]


def test_a_file_is_under_60_lines_and_a_program_under_150(tmp_path: Path) -> None:
    for kind in ("file", "python"):
        RUN.invoke(app, ["adapter", "new", "atlantis", "--kind", kind, "--folder", str(tmp_path / kind)])
    assert len((tmp_path / "file" / "atlantis.toml").read_text().splitlines()) < 60
    assert len((tmp_path / "python" / "atlantis_adapter" / "__init__.py").read_text().splitlines()) < 150


def test_what_is_written_keeps_the_house_rules(tmp_path: Path) -> None:
    RUN.invoke(app, ["adapter", "new", "atlantis", "--kind", "python", "--folder", str(tmp_path / "new")])
    package = tmp_path / "new" / "atlantis_adapter"
    ruff = [sys.executable, "-m", "ruff", "check", "--no-cache", "--config", str(ROOT / "pyproject.toml"), str(package)]
    assert subprocess.run(ruff, capture_output=True, text=True, check=False).stdout.strip() == "All checks passed!"


@pytest.mark.parametrize("name", ["Atlantis", "a", "../x", "sichuan", "x" * 40])
def test_a_name_that_cannot_be_is_refused(name: str, tmp_path: Path) -> None:
    result = RUN.invoke(app, ["adapter", "new", name, "--folder", str(tmp_path / "new")])
    assert result.exit_code == 2
    assert name in result.stderr
    assert not (tmp_path / "new").exists()


def test_nothing_that_exists_is_overwritten(tmp_path: Path) -> None:
    result = RUN.invoke(app, ["adapter", "new", "atlantis", "--folder", str(tmp_path)])
    assert (result.exit_code, list(tmp_path.iterdir())) == (2, [])
