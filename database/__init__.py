"""PostgreSQL: pools, transactions, migrations, an embedded server. The only importer of the driver."""

from database.connection import Database, Row, Statements, Transaction, open_database
from database.durability import check_durability
from database.errors import (
    DatabaseMisconfigured,
    DatabaseUnavailable,
    LockLost,
    LoginRefused,
    RightMissing,
    StatementFailed,
    UniqueConflict,
)
from database.migration import MigrationRefused, migrate, unapplied

__all__ = [
    "Database",
    "DatabaseMisconfigured",
    "DatabaseUnavailable",
    "LockLost",
    "LoginRefused",
    "MigrationRefused",
    "RightMissing",
    "Row",
    "StatementFailed",
    "Statements",
    "Transaction",
    "UniqueConflict",
    "check_durability",
    "migrate",
    "open_database",
    "unapplied",
]
