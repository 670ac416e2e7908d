from __future__ import annotations

import asyncpg
import pytest

from core.errors import BashuError, Reason
from database import (
    DatabaseMisconfigured,
    DatabaseUnavailable,
    LockLost,
    LoginRefused,
    RightMissing,
    StatementFailed,
    UniqueConflict,
    open_database,
)
from database.connection import connect_arguments
from database.errors import TextRefused, driver_errors

SECRET = "hunter2-91500105XXTT00018M"
CASES = [
    (asyncpg.DeadlockDetectedError, LockLost),
    (asyncpg.LockNotAvailableError, LockLost),
    (asyncpg.SerializationError, LockLost),
    (asyncpg.InvalidPasswordError, LoginRefused),
    (asyncpg.CannotConnectNowError, DatabaseUnavailable),
    (asyncpg.TooManyConnectionsError, DatabaseUnavailable),
    (asyncpg.AdminShutdownError, DatabaseUnavailable),
    (asyncpg.CrashShutdownError, DatabaseUnavailable),
    (asyncpg.QueryCanceledError, DatabaseUnavailable),
    (asyncpg.ConnectionDoesNotExistError, DatabaseUnavailable),
    (asyncpg.InvalidCatalogNameError, DatabaseUnavailable),
    (asyncpg.InterfaceError, DatabaseUnavailable),
    (asyncpg.InternalClientError, DatabaseUnavailable),
    (ConnectionRefusedError, DatabaseUnavailable),
    (TimeoutError, DatabaseUnavailable),
    (asyncpg.UniqueViolationError, UniqueConflict),
    (asyncpg.InsufficientPrivilegeError, RightMissing),
    (asyncpg.CheckViolationError, StatementFailed),
    (asyncpg.InvalidTextRepresentationError, StatementFailed),
    (asyncpg.DataError, StatementFailed),
    (asyncpg.CharacterNotInRepertoireError, TextRefused),
    (asyncpg.UndefinedTableError, StatementFailed),
]


@pytest.mark.parametrize(("raised", "expected"), CASES)
def test_every_driver_error_becomes_ours_without_its_words(raised: type[Exception], expected: type[BashuError]) -> None:
    with pytest.raises(BashuError) as caught, driver_errors():
        raise raised(f"failed near {SECRET}")
    assert type(caught.value) is expected
    assert SECRET not in str(caught.value) + caught.value.message + str(caught.value.metadata)
    assert caught.value.reason in {Reason.EVIDENCE_UNAVAILABLE, Reason.INTERNAL, Reason.MALFORMED}


def test_the_cause_is_kept_for_the_log_but_for_values_of_persons() -> None:
    lost = asyncpg.UniqueViolationError("duplicate key")
    lost.detail = f"Key (identifier)=({SECRET}) already exists."
    with pytest.raises(UniqueConflict) as conflict, driver_errors():
        raise lost
    assert conflict.value.__cause__ is lost
    assert SECRET not in str(conflict.value.__cause__)
    with pytest.raises(StatementFailed) as refused, driver_errors():
        raise asyncpg.DataError(f"invalid input for query argument $1: '{SECRET}'")
    assert refused.value.__cause__ is None
    assert refused.value.__suppress_context__


def test_our_own_errors_pass_through_unchanged() -> None:
    ours = LockLost()
    with pytest.raises(LockLost) as caught, driver_errors():
        raise ours
    assert caught.value is ours


@pytest.mark.parametrize("dsn", ["mysql://a:hunter2@h/d", "postgresql://a@h:hunter2/d", "hunter2", "postgresql://[x"])
async def test_a_dsn_out_of_form_is_refused_without_repeating_it(dsn: str) -> None:
    with pytest.raises(DatabaseMisconfigured) as caught:
        await open_database(dsn)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_loopback_goes_without_tls_and_other_hosts_as_their_dsn_says() -> None:
    assert connect_arguments("postgresql://a:b@127.0.0.1:5432/d") == {"ssl": False}
    assert connect_arguments("postgresql://a:b@127.0.0.1:5432/d?sslmode=verify-full") == {}
    assert connect_arguments("postgresql://a:b@db.example:5432/d") == {}
