"""Changes of the policy table: a whole new version with its POLICY_CHANGE entry, in one transaction."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

from consent.limits import PolicyRule
from core.errors import BashuError, Reason
from core.ids import uuid7
from database import Database, UniqueConflict
from gateway.entries import By, Entries
from gateway.identity.store import read_now
from gateway.policy import store
from gateway.policy.store import PolicyVersion
from gateway.policy.table import table_json
from ledger.model import EntryType
from ledger.store import append

OBJECT: Final = "policy"
"""What a POLICY_CHANGE entry is about."""


class Policies:
    """Sets and shows the table. Who may is the role table's; admissions read it themselves, from the primary."""

    def __init__(self, db: Database, *, entries: Entries) -> None:
        self._db = db
        self._entries = entries

    async def set(self, rules: Sequence[PolicyRule], *, replaces: int, by: By) -> int:
        """Put a table in the place of version ``replaces``; return its version, the one in force if it is that one.

        Raises:
            BashuError: REVISION_CHANGED where another version is in force.
        """
        digest = hashlib.sha256(table_json(rules)).digest()
        try:
            async with self._db.transaction() as tx:
                in_force = await store.latest(tx)
                standing = await store.version(tx, in_force)
                if standing is not None and standing.table_sha256 == digest:
                    return in_force
                if in_force != replaces:
                    raise _changed(in_force)
                entry_id, now = uuid7(), await read_now(tx)
                number = in_force + 1
                row = PolicyVersion(
                    version=number,
                    set_by=by.participant,
                    set_operator=by.operator,
                    set_at=now,
                    table_sha256=digest,
                    entry_id=entry_id,
                )
                await store.add(tx, row, rules)
                entry = self._entries.about(
                    EntryType.POLICY_CHANGE,
                    ts=now,
                    status=(str(in_force), str(number), "POLICY_SET", by.participant),
                    obj=OBJECT,
                    by=by,
                    detail_sha256=digest.hex(),
                    entry_id=entry_id,
                )
                await append(tx, [entry])
        except UniqueConflict as error:
            raise _changed(replaces + 1) from error
        return number

    async def show(self, number: int | None) -> tuple[int, tuple[PolicyRule, ...], PolicyVersion | None]:
        """Return a version (None: the one in force), its rules, and who set it when (None for version 0).

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS for a version that never was.
        """
        wanted = await store.latest(self._db) if number is None else number
        row = await store.version(self._db, wanted)
        if row is None and wanted:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such version", field="policy_version")
        return wanted, await store.rules(self._db, wanted), row


def _changed(in_force: int) -> BashuError:
    return BashuError(
        Reason.REVISION_CHANGED,
        "another version of the table is in force",
        field="replaces_version",
        metadata={"in_force": str(in_force)},
    )
