"""SQL of the policy table's versions, which are only ever added. Admissions read them in their own statement."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from consent.limits import Effect, PolicyRule
from database import Row, Statements

_LATEST: Final = "SELECT coalesce(max(version), 0) FROM policy_version"
_VERSION: Final = """
SELECT version, set_by, set_operator, set_at, table_sha256, entry_id FROM policy_version WHERE version = $1"""
_RULES: Final = """
SELECT rule_id, effect, subject_kind, institution_kind, purpose, data_item, lookback_days FROM policy_rule
WHERE version = $1 ORDER BY rule_id"""
_ADD_VERSION: Final = """
INSERT INTO policy_version (version, set_by, set_operator, set_at, table_sha256, entry_id)
VALUES ($1, $2, $3, $4, $5, $6)"""
_ADD_RULES: Final = """
INSERT INTO policy_rule (version, rule_id, effect, subject_kind, institution_kind, purpose, data_item, lookback_days)
SELECT $1::bigint, u.*
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[]) AS u"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyVersion:
    """One row of ``policy_version``; ``set_operator`` is the staff number."""

    version: int
    set_by: str
    set_operator: str
    set_at: datetime
    table_sha256: bytes
    entry_id: UUID


async def latest(db: Statements) -> int:
    """Return the version in force, 0 where no table was ever set."""
    return int(await db.fetchval(_LATEST))


async def version(db: Statements, number: int) -> PolicyVersion | None:
    """Return a version, or None."""
    row = await db.fetchrow(_VERSION, number)
    return None if row is None else PolicyVersion(**dict(row))


async def rules(db: Statements, number: int) -> tuple[PolicyRule, ...]:
    """Return a version's rules by id."""
    return tuple(_rule(row) for row in await db.fetch(_RULES, number))


async def add(tx: Statements, row: PolicyVersion, table: Sequence[PolicyRule]) -> None:
    """Add a version; UniqueConflict where another transaction added it first."""
    await tx.execute(
        _ADD_VERSION, row.version, row.set_by, row.set_operator, row.set_at, row.table_sha256, row.entry_id
    )
    await tx.execute(
        _ADD_RULES,
        row.version,
        [rule.rule_id for rule in table],
        [rule.effect.value for rule in table],
        [rule.subject_kind for rule in table],
        [rule.institution_kind for rule in table],
        [rule.purpose for rule in table],
        [rule.data_item for rule in table],
        [rule.lookback_days for rule in table],
    )


def _rule(row: Row) -> PolicyRule:
    return PolicyRule(**dict(row) | {"effect": Effect(row["effect"])})
