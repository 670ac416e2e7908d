"""`bashu-gateway adapter`: what is installed, and a wrong description named with file and line."""

from __future__ import annotations

import json
from dataclasses import replace
from importlib.metadata import EntryPoint, EntryPoints
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters import registry
from adapters.registry import AdapterNotLoadedError, load_one
from core.clock import SystemClock
from gateway.cli import app
from standards.catalogue import load_standard
from tests.platform_stage import ChongqingStage

EXAMPLE = Path(__file__).parents[3] / "examples" / "rest_json" / "api-key.toml"
RUN = CliRunner()


def test_a_right_file_says_what_it_serves() -> None:
    result = RUN.invoke(app, ["adapter", "lint", str(EXAMPLE)])
    assert result.exit_code == 0
    assert "tax_arrears" in result.stdout
    assert json.loads(RUN.invoke(app, ["adapter", "lint", "--json", str(EXAMPLE)]).stdout)["ok"] is True


def test_a_wrong_file_is_named_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(EXAMPLE.read_text().replace('as = "fen"', 'as = "cents"'))
    result = RUN.invoke(app, ["adapter", "lint", str(file)])
    assert result.exit_code == 2
    line = next(n for n, text in enumerate(file.read_text().splitlines(), 1) if "cents" in text)
    assert f"mine.toml:{line}: as = one of" in result.stderr
    told = json.loads(RUN.invoke(app, ["adapter", "lint", "--json", str(file)]).stdout)
    assert (told["ok"], told["line"]) == (False, line)


def test_the_schema_is_json() -> None:
    assert json.loads(RUN.invoke(app, ["adapter", "schema"]).stdout)["$defs"]["Module"]


def test_our_adapters_are_listed() -> None:
    names = [row["name"] for row in json.loads(RUN.invoke(app, ["adapter", "list", "--json"]).stdout)]
    assert names[:3] == ["chongqing", "sichuan", "rest_json"]


def test_an_adapter_of_another_package_is_found_by_its_entry_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    points = EntryPoints(
        [
            EntryPoint("atlantis", "adapters.registry:_chongqing", registry.GROUP),
            EntryPoint("broken", "nowhere.at_all:build", registry.GROUP),
            EntryPoint("sichuan", "nowhere.at_all:takes_our_name", registry.GROUP),
        ]
    )
    monkeypatch.setattr(registry, "entry_points", lambda group: points.select(group=group))
    assert set(registry.installed()) == {"chongqing", "sichuan", "rest_json", "atlantis", "broken"}
    assert registry.installed()["sichuan"] is None
    config, standard = ChongqingStage(folder=tmp_path).config(), load_standard()
    made = load_one(replace(config, adapter="atlantis"), standard=standard, clock=SystemClock())
    assert "enterprise_registration" in made.platform.items
    with pytest.raises(AdapterNotLoadedError, match="'broken' cannot be imported"):
        load_one(replace(config, adapter="broken"), standard=standard, clock=SystemClock())
