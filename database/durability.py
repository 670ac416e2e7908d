"""Evidence is durable before it is relied on: refuse a server that answers before it has written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from database.connection import Statements
from database.errors import DatabaseMisconfigured

DURABLE_SETTINGS: Final[Mapping[str, frozenset[str]]] = {
    # "local" does not wait for a synchronous standby, "remote_write" not for its disk.
    "synchronous_commit": frozenset({"on", "remote_apply"}),
    "fsync": frozenset({"on"}),
    "full_page_writes": frozenset({"on"}),
}
_SETTINGS: Final = "SELECT name, setting FROM pg_settings WHERE name = ANY($1)"


async def check_durability(database: Statements) -> None:
    """Check that a commit of this role is on disk when it returns.

    Raises:
        DatabaseMisconfigured: names the setting, its value and the values allowed.
    """
    for row in await database.fetch(_SETTINGS, list(DURABLE_SETTINGS)):
        allowed = DURABLE_SETTINGS[row["name"]]
        if row["setting"] not in allowed:
            raise DatabaseMisconfigured(
                f"PostgreSQL setting {row['name']} is {row['setting']}; "
                f"evidence must be on disk when a commit returns: set it to {' or '.join(sorted(allowed))}"
            )
