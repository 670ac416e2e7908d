"""SQL of two databases: data keys in the key database, sealed details beside the ledger."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from database import Statements
from gateway.vault.model import DetailKind, Sealed

_ADD_KEY: Final = """
INSERT INTO data_key (key_id, owner, wrapping_kid, wrapped) VALUES ($1, $2, $3, $4)
ON CONFLICT (owner) WHERE destroyed_at IS NULL DO NOTHING"""
_LIVING: Final = "SELECT key_id, owner, wrapping_kid, wrapped FROM data_key WHERE owner = $1 AND destroyed_at IS NULL"
_KEY: Final = "SELECT key_id, owner, wrapping_kid, wrapped FROM data_key WHERE key_id = $1"
_LIVING_IDS: Final = """
SELECT key_id FROM data_key WHERE owner = ANY($1::text[]) AND destroyed_at IS NULL ORDER BY key_id"""
_DESTROY: Final = """
UPDATE data_key SET wrapped = NULL, destroyed_at = clock_timestamp()
WHERE key_id = ANY($1::uuid[]) AND destroyed_at IS NULL RETURNING key_id"""

_OTHERWISE: Final = """
SELECT key_id, owner, wrapping_kid, wrapped FROM data_key
WHERE wrapping_kid <> $1 AND key_id > $2 AND destroyed_at IS NULL ORDER BY key_id LIMIT $3"""
_WRAP_ANEW: Final = """
UPDATE data_key SET wrapping_kid = $2, wrapped = $3 WHERE key_id = $1 AND destroyed_at IS NULL AND wrapping_kid <> $2
RETURNING key_id"""

_ADD_DETAIL: Final = "INSERT INTO sealed_detail (entry_id, kind, key_id, sealed) VALUES ($1, $2, $3, $4)"
_DETAILS: Final = "SELECT entry_id, kind, key_id, sealed FROM sealed_detail WHERE entry_id = $1 ORDER BY kind"
_PLACES: Final = """
SELECT entry_id, kind FROM sealed_detail WHERE key_id = ANY($1::uuid[]) ORDER BY sealed_at, entry_id, kind"""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """A data key as stored; ``wrapped`` None: destroyed."""

    key_id: UUID
    owner: str
    wrapping_kid: str
    wrapped: bytes | None


async def add_key(keys: Statements, row: KeyRow) -> None:
    """Store a new key; where its owner has a living one already, nothing changes."""
    await keys.execute(_ADD_KEY, row.key_id, row.owner, row.wrapping_kid, row.wrapped)


async def living_key(keys: Statements, owner: str) -> KeyRow | None:
    """Return an owner's key that was not destroyed."""
    row = await keys.fetchrow(_LIVING, owner)
    return None if row is None else KeyRow(**row)


async def key(keys: Statements, key_id: UUID) -> KeyRow | None:
    """Return a key, destroyed or not."""
    row = await keys.fetchrow(_KEY, key_id)
    return None if row is None else KeyRow(**row)


async def living_keys(keys: Statements, owners: Sequence[str]) -> list[UUID]:
    """Return the ids of the living keys of several owners."""
    return [row["key_id"] for row in await keys.fetch(_LIVING_IDS, list(owners))]


async def destroy_keys(keys: Statements, key_ids: Sequence[UUID]) -> list[UUID]:
    """Destroy keys; return those that were still there."""
    return [row["key_id"] for row in await keys.fetch(_DESTROY, list(key_ids))]


async def wrapped_otherwise(keys: Statements, wrapping_kid: str, *, after: UUID, limit: int) -> list[KeyRow]:
    """Return living keys that another wrapping key wraps, with larger ids than ``after``, in order."""
    return [KeyRow(**dict(row.items())) for row in await keys.fetch(_OTHERWISE, wrapping_kid, after, limit)]


async def wrap_anew(keys: Statements, row: KeyRow) -> bool:
    """Store a key as wrapped anew; False where it was destroyed meanwhile."""
    return await keys.fetchval(_WRAP_ANEW, row.key_id, row.wrapping_kid, row.wrapped) is not None


async def add_detail(tx: Statements, sealed: Sealed) -> None:
    """Store a sealed detail in the transaction that appends its entry."""
    await tx.execute(_ADD_DETAIL, sealed.entry_id, sealed.kind.value, sealed.key_id, sealed.content)


async def details(db: Statements, entry_id: UUID) -> list[Sealed]:
    """Return what is sealed beside an entry."""
    return [
        Sealed(entry_id=row["entry_id"], kind=DetailKind(row["kind"]), key_id=row["key_id"], content=row["sealed"])
        for row in await db.fetch(_DETAILS, entry_id)
    ]


async def details_of_keys(db: Statements, key_ids: Sequence[UUID]) -> AsyncIterator[Sealed]:
    """Yield everything sealed under keys, one at a time: a detail may be large."""
    for row in await db.fetch(_PLACES, list(key_ids)):
        for sealed in await details(db, row["entry_id"]):
            if sealed.kind == row["kind"]:
                yield sealed
