"""A PostgreSQL of one's own in a state folder: for the dev stack, demos and tests.

The folder holds ``data/``, ``secrets/`` (a password a role, mode 0600), ``cluster.json``, ``lock``, ``postgres.log``
and, where another user must run them, a copy of the programs. Everything here blocks: from an event loop call
``asyncio.to_thread(cluster.start)``.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import msgspec

from database.binaries import Binaries, EmbeddedPostgresError, find_binaries
from database.postmaster import is_ready, postmaster_pid, remove_stale_pid_file, stop_postmaster
from database.privileges import RunAs, check_reachable, choose_run_as, reachable_binaries
from database.roles import DATABASE, KEYS_DATABASE, LOGINS, SUPERUSER, prepare_server

_INITDB_TIMEOUT_S: Final = 120.0
_START_TIMEOUT_S: Final = 60.0
_START_POLL_S: Final = 0.01
_LONGEST_SOCKET_FOLDER: Final = 90
"""A socket's path has at most 107 bytes (unix(7)), the file's own name takes the rest."""
_LARGEST_LOG: Final = 8 << 20
_CONFIGURATION: Final = "bashu.conf"
_SETTINGS: Final[Mapping[str, str]] = {
    "listen_addresses": "127.0.0.1",
    "max_connections": "120",
    "shared_buffers": "128MB",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "jit": "off",
    # Evidence: a commit that returned is on disk.
    "fsync": "on",
    "full_page_writes": "on",
    "synchronous_commit": "on",
    # The server's log gets neither statements nor the values of rows: they may be a person's.
    "log_statement": "none",
    "log_min_error_statement": "panic",
    "log_error_verbosity": "terse",
    "log_checkpoints": "off",
}


class ClusterRecord(msgspec.Struct, frozen=True, kw_only=True):
    """``cluster.json``, written once the cluster is whole: which version made it, and its last port."""

    major: int
    port: int


class EmbeddedPostgres:
    """One cluster in one state folder; at most one process at a time holds it."""

    def __init__(
        self,
        state: Path,
        *,
        pg_bin: str | None = None,
        settings: Mapping[str, str] | None = None,
        run_as: RunAs | None = None,
    ) -> None:
        """Prepare, touching nothing yet.

        Args:
            state: the folder; made with mode 0700 when missing, its parent must exist.
            pg_bin: a ``bin`` folder or ``bundled``; None takes the environment's PG_BIN, then searches.
            settings: server settings on top of the durable ones; never loosen those outside tests.
            run_as: how the programs run; None takes the way that works for this user here.
        """
        self._state: Final = state.resolve()
        self._data: Final = self._state / "data"
        self._unfinished: Final = self._state / "unfinished"
        self._pg_bin: Final = os.environ.get("PG_BIN") if pg_bin is None else pg_bin
        self._settings: Final = {**_SETTINGS, **(settings or {})}
        self._run_as: Final = run_as or choose_run_as()
        self._lock: int | None = None
        self._binaries: Binaries | None = None
        self._port: int | None = None
        self._server: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server, making the cluster first if need be, and return when every role can log in.

        A postmaster left behind by a killed process is stopped first; its data are continued with.

        Raises:
            EmbeddedPostgresError: folder in use or not ours, programs missing, or the server does not start.
        """
        self._take_lock()
        try:
            self._prepare_folder()
            record = self._record()
            found = find_binaries(self._pg_bin, major=record.major if record else None)
            self._binaries = reachable_binaries(found, self._run_as, self._state / "binaries")
            stop_postmaster(self._data)
            if record is None:
                self._initialise()
            remove_stale_pid_file(self._data)
            self._start_server(record.port if record else 0)
            self._prepare_roles()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server if it runs, leave no process, and let the folder go. May be called again."""
        if self._lock is not None:
            self._stop_server()
            os.close(self._lock)
            self._lock = None
            self._port = None

    def __enter__(self) -> Self:
        """Start."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        """Stop."""
        self.stop()

    def dsn(self, role: str, database: str = DATABASE) -> str:
        """Return the DSN of a login of :data:`database.roles.LOGINS`, or of ``postgres`` for an operator's repairs."""
        if self._port is None:
            raise EmbeddedPostgresError("the embedded PostgreSQL is not running")
        return f"postgresql://{role}:{self._password(role)}@127.0.0.1:{self._port}/{database}?sslmode=disable"

    @property
    def pid(self) -> int | None:
        """The postmaster's process id, None when it does not run."""
        return postmaster_pid(self._data)

    @property
    def port(self) -> int | None:
        """The TCP port on 127.0.0.1, None when stopped."""
        return self._port

    @property
    def major(self) -> int | None:
        """The major version in use, None before the first start."""
        return self._binaries.major if self._binaries else None

    def _take_lock(self) -> None:
        if self._lock is not None:
            raise EmbeddedPostgresError("this embedded PostgreSQL has been started already")
        try:
            self._state.mkdir(mode=0o700, exist_ok=True)
            lock = os.open(self._state / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EmbeddedPostgresError(f"cannot use the state folder {self._state}: {error.strerror}") from error
        try:
            # The kernel lets it go with the process, however that ends.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(lock)
            raise EmbeddedPostgresError(f"another process is using {self._state}: stop it first") from error
        self._lock = lock

    def _prepare_folder(self) -> None:
        (self._state / "secrets").mkdir(mode=0o700, exist_ok=True)
        if self._run_as.changes_user:
            self._state.chmod(0o711)
            check_reachable(self._state, self._run_as)
        owner = os.geteuid() if self._run_as.uid is None else self._run_as.uid
        if self._data.exists() and self._data.stat().st_uid != owner:
            raise EmbeddedPostgresError(
                f"{self._data} belongs to user id {self._data.stat().st_uid}, PostgreSQL would run as {owner}: "
                "start it as the user who made it, or choose another state folder"
            )

    def _record(self) -> ClusterRecord | None:
        try:
            return msgspec.json.decode((self._state / "cluster.json").read_bytes(), type=ClusterRecord)
        except FileNotFoundError:
            if self._data.exists() and not self._unfinished.exists():
                message = f"{self._state} holds data but not its cluster.json: restore it, or choose another folder"
                raise EmbeddedPostgresError(message) from None
            return None
        except msgspec.DecodeError as error:
            raise EmbeddedPostgresError(f"{self._state / 'cluster.json'} is damaged") from error

    def _initialise(self) -> None:
        # What an attempt that was cut short left behind is no one's data; anything else is never removed.
        self._unfinished.touch(mode=0o600)
        shutil.rmtree(self._data, ignore_errors=True)
        self._data.mkdir(mode=0o700)
        self._run_as.give(self._data)
        _write_private(self._password_file(SUPERUSER), secrets.token_urlsafe(32))
        password_file = self._state / "initdb-password"
        _write_private(password_file, self._password(SUPERUSER) + "\n")
        self._run_as.give(password_file)
        try:
            self._run(
                "initdb", "-D", str(self._data), "-U", SUPERUSER, "-E", "UTF8", "--locale=C.UTF-8", "--data-checksums",
                "--auth-local=scram-sha-256", "--auth-host=scram-sha-256", f"--pwfile={password_file}",
                timeout_s=_INITDB_TIMEOUT_S,
            )  # fmt: skip
        finally:
            password_file.unlink()
        with (self._data / "postgresql.conf").open("a") as configuration:
            configuration.write(f"\ninclude '{_CONFIGURATION}'\n")

    def _start_server(self, last_port: int) -> None:
        log = self._state / "postgres.log"
        if log.exists() and log.stat().st_size > _LARGEST_LOG:
            log.unlink()
        log.touch(mode=0o600)
        for wanted_port in (last_port, 0, 0):
            port = _free_port(wanted_port)
            self._write_configuration(port)
            written = log.stat().st_size
            if self._launch(log):
                self._port = port
                return
            # Another program can take the port between our look and the server's bind.
            if "Address already in use" not in log.read_text(errors="replace")[written:]:
                break
        raise EmbeddedPostgresError(f"PostgreSQL did not start, {log} says why")

    def _launch(self, log: Path) -> bool:
        """Start the server as our own child, so that it is ours to wait for; tell whether it got ready."""
        assert self._binaries is not None
        with log.open("ab") as output:
            self._server = self._run_as.launch([self._binaries.program("postgres"), "-D", str(self._data)], output)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._server.poll() is None and time.monotonic() < deadline:
            if is_ready(self._data, self._server.pid):
                return True
            time.sleep(_START_POLL_S)
        self._stop_server()
        return False

    def _stop_server(self) -> None:
        stop_postmaster(self._data)
        if self._server is not None:
            # A child that never wrote its pid file is stopped here, and in any case waited for.
            self._server.kill()
            self._server.wait()
            self._server = None

    def _write_configuration(self, port: int) -> None:
        short = len(os.fsencode(self._data)) < _LONGEST_SOCKET_FOLDER
        settings = {
            **self._settings,
            "port": str(port),
            "unix_socket_directories": str(self._data).replace("'", "''") if short else "",
        }
        path = self._data / _CONFIGURATION
        path.write_text("".join(f"{name} = '{value}'\n" for name, value in settings.items()))
        self._run_as.give(path)

    def _prepare_roles(self) -> None:
        assert self._binaries is not None
        assert self._port is not None
        for role in LOGINS:
            # A cluster made by an older release lacks the roles that came since.
            if not self._password_file(role).exists():
                _write_private(self._password_file(role), secrets.token_urlsafe(32))
        prepare_server(
            server_dsn=self.dsn(SUPERUSER, "postgres"),
            dsns={name: self.dsn(SUPERUSER, name) for name in (DATABASE, KEYS_DATABASE)},
            passwords={role: self._password(role) for role in LOGINS},
        )
        record = ClusterRecord(major=self._binaries.major, port=self._port)
        _write_private(self._state / "cluster.json", msgspec.json.encode(record).decode())
        self._unfinished.unlink(missing_ok=True)

    def _run(self, program: str, *arguments: str, timeout_s: float) -> None:
        assert self._binaries is not None
        ended = self._run_as.run([self._binaries.program(program), *arguments], timeout_s=timeout_s)
        if ended.returncode != 0:
            last = (ended.stderr.strip() or ended.stdout.strip() or "no output").splitlines()[-1]
            raise EmbeddedPostgresError(f"{program} ended with {ended.returncode}: {last}")

    def _password_file(self, role: str) -> Path:
        return self._state / "secrets" / f"{role}.password"

    def _password(self, role: str) -> str:
        try:
            return self._password_file(role).read_text()
        except FileNotFoundError as error:
            raise EmbeddedPostgresError(f"{self._state} has no password for the role {role}") from error


def _write_private(path: Path, text: str) -> None:
    """Write ``text`` so that a reader finds the old file or the new one, whole, and no other user either."""
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _free_port(wanted: int) -> int:
    """Return ``wanted`` when it is free (so that saved DSNs keep working), else any free port."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EmbeddedPostgresError("no free TCP port on 127.0.0.1")
