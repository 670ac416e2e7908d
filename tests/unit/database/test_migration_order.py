from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from database.migration import MigrationRefused, pending_files, read_folder


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name.removeprefix('n')}.sql").write_text(text)
    return folder


def applied(folder: Path, *numbers: int) -> dict[int, tuple[str, bytes]]:
    return {file.number: (file.name, file.sha256) for file in read_folder(folder) if file.number in numbers}


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    files = read_folder(write(tmp_path, n0002_b="SELECT 2", n0001_a="SELECT 1"))
    assert [file.name for file in files] == ["0001_a.sql", "0002_b.sql"]
    assert files[0].sha256 == hashlib.sha256(b"SELECT 1").digest()


def test_a_gap_is_refused_and_named(tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match=r"0003_c\.sql: expected number 0002"):
        read_folder(write(tmp_path, n0001_a="", n0003_c=""))


def test_two_files_of_one_number_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match="no doubles"):
        read_folder(write(tmp_path, n0001_a="", n0001_b=""))


@pytest.mark.parametrize("name", ["1_a", "0001-a", "0001_A"])
def test_a_name_out_of_form_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / f"{name}.sql").touch()
    with pytest.raises(MigrationRefused, match="NNNN_words"):
        read_folder(tmp_path)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MigrationRefused, match="no migrations"):
        read_folder(tmp_path)


def test_only_what_has_not_run_is_pending(tmp_path: Path) -> None:
    write(tmp_path, n0001_a="a", n0002_b="b", n0003_c="c")
    assert [file.number for file in pending_files(read_folder(tmp_path), applied(tmp_path, 1, 2))] == [3]


def test_an_edited_file_is_refused_and_named(tmp_path: Path) -> None:
    before = applied(write(tmp_path, n0001_a="a"), 1)
    write(tmp_path, n0001_a="a ")
    with pytest.raises(MigrationRefused, match=r"0001_a\.sql was edited"):
        pending_files(read_folder(tmp_path), before)


def test_a_database_newer_than_the_files_is_refused(tmp_path: Path) -> None:
    before = applied(write(tmp_path, n0001_a="a", n0002_b="b"), 1, 2)
    (tmp_path / "0002_b.sql").unlink()
    with pytest.raises(MigrationRefused, match=r"0002_b\.sql has run here but is not among the files"):
        pending_files(read_folder(tmp_path), before)


def test_a_file_below_the_last_one_that_ran_is_refused(tmp_path: Path) -> None:
    write(tmp_path, n0001_a="a", n0002_b="b", n0003_c="c")
    with pytest.raises(MigrationRefused, match=r"0002_b\.sql has not run but a later one has"):
        pending_files(read_folder(tmp_path), applied(tmp_path, 1, 3))


def test_the_first_line_decides_about_the_transaction(tmp_path: Path) -> None:
    write(tmp_path, n0001_a="-- bashu: no transaction\nSELECT 1", n0002_b="SELECT 1 -- bashu: no transaction")
    assert [file.in_transaction for file in read_folder(tmp_path)] == [False, True]


@pytest.mark.parametrize("folder", ["migrations", "migrations/keys"])
def test_the_migrations_shipped_have_neither_gaps_nor_doubles(folder: str) -> None:
    assert read_folder(Path(__file__).resolve().parents[3] / folder)
