"""What the driver and the server can say, told without their words: every message here is fit for a caller.

The driver's own error travels as ``__cause__``, for the log alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import asyncpg

from core.errors import BashuError, Reason, Turn

_RETRY_AFTER_S: Final = 1.0

_LOCK_ERRORS: Final = (
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.SerializationError,
)
_CONNECTION_ERRORS: Final = (
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InterfaceError,
    # A connection that ended while this process was stopped leaves the driver's protocol in disorder.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class DatabaseUnavailable(BashuError):  # noqa: N818 - named after the fact
    """No connection, no answer in time, or the server is going down."""

    def __init__(self, message: str = "the database did not answer") -> None:
        super().__init__(Reason.EVIDENCE_UNAVAILABLE, message, turn=Turn.OPERATOR, retry_after_s=_RETRY_AFTER_S)


class LoginRefused(DatabaseUnavailable):
    """The server knows no such role, or not with this password."""

    def __init__(self) -> None:
        super().__init__("the database refused this login: check the role and its password in the settings")


class LockLost(BashuError):  # noqa: N818
    """Deadlock, lock timeout or serialisation failure: nothing was written, the transaction may be tried again."""

    def __init__(self) -> None:
        super().__init__(
            Reason.EVIDENCE_UNAVAILABLE,
            "another transaction holds what this one needs",
            turn=Turn.CALLER,
            retry_after_s=_RETRY_AFTER_S,
        )


class StatementFailed(BashuError):  # noqa: N818
    """The server refused a statement; ``sqlstate`` says why (PostgreSQL appendix A), ``constraint`` which rule."""

    def __init__(self, sqlstate: str, constraint: str | None = None) -> None:
        super().__init__(Reason.INTERNAL, f"the database refused a statement ({sqlstate})", turn=Turn.OPERATOR)
        self.sqlstate: Final = sqlstate
        self.constraint: Final = constraint


class UniqueConflict(StatementFailed):
    """A row with this key exists; ``constraint`` names the key."""


class RightMissing(StatementFailed):
    """The role may not do this: a missing GRANT, or a trigger that keeps a table append-only."""


class TextRefused(BashuError):  # noqa: N818
    """A text holds what PostgreSQL cannot store (NUL): whoever sent it has to change it."""

    def __init__(self) -> None:
        super().__init__(Reason.MALFORMED, "a text holds a character that cannot be stored")


class DatabaseMisconfigured(BashuError):  # noqa: N818
    """The settings cannot work; the message says which one."""

    def __init__(self, message: str) -> None:
        super().__init__(Reason.INTERNAL, message, turn=Turn.OPERATOR)


@contextmanager
def driver_errors() -> Iterator[None]:
    """Turn what the driver raises inside the block into the errors of this module."""
    try:
        yield
    except asyncpg.QueryCanceledError as error:
        raise DatabaseUnavailable("a statement took longer than its timeout") from error
    except asyncpg.InvalidAuthorizationSpecificationError as error:
        raise LoginRefused from error
    except _LOCK_ERRORS as error:
        raise LockLost from error
    except asyncpg.CharacterNotInRepertoireError:
        raise TextRefused from None
    except asyncpg.DataError as error:
        # These repeat the value in question, which may be a person's: not even the log gets it.
        raise StatementFailed(getattr(error, "sqlstate", None) or "22000") from None
    except _CONNECTION_ERRORS as error:
        raise DatabaseUnavailable from error
    except asyncpg.UniqueViolationError as error:
        raise UniqueConflict(_sqlstate(error), error.constraint_name) from error
    except asyncpg.InsufficientPrivilegeError as error:
        raise RightMissing(_sqlstate(error)) from error
    except asyncpg.PostgresError as error:
        raise StatementFailed(_sqlstate(error), getattr(error, "constraint_name", None)) from error


def _sqlstate(error: asyncpg.PostgresError) -> str:
    # The DETAIL line repeats the row's values, and the cause is printed to the log.
    error.detail = None
    return str(error.sqlstate)
