"""What is kept of witnesses: their cosignatures, how each stands, and what a quorum of them cosigned last."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from database import Row, Statements
from ledger import store as ledger_store
from ledger.witness.cosignature import Cosignature

ASKS_FOR_S: Final = 15.0
"""How long the one sealer that asks may be silent before another takes over."""

_TAKE_TURN: Final = """
INSERT INTO ledger_witnessed AS w (asker, asks_until) VALUES ($1, clock_timestamp() + make_interval(secs => $2))
ON CONFLICT (one) DO UPDATE SET asker = EXCLUDED.asker, asks_until = EXCLUDED.asks_until
WHERE w.asker = EXCLUDED.asker OR w.asks_until < clock_timestamp() RETURNING asker"""
_KNOWN_SIZES: Final = "SELECT witness, size FROM ledger_witness WHERE witness = ANY($1::text[])"
_PUT_COSIGNATURE: Final = """
INSERT INTO ledger_cosignature AS c (size, witness, line, cosigned_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (size, witness) DO UPDATE SET line = EXCLUDED.line, cosigned_at = EXCLUDED.cosigned_at
WHERE c.cosigned_at < EXCLUDED.cosigned_at"""
_PUT_STATE: Final = """
INSERT INTO ledger_witness AS w (witness, size, state, cosigned_at) VALUES ($1, coalesce($2, 0), $3, $4)
ON CONFLICT (witness) DO UPDATE SET size = coalesce($2, w.size), state = EXCLUDED.state,
    cosigned_at = coalesce(EXCLUDED.cosigned_at, w.cosigned_at),
    changed_at = CASE WHEN w.state = EXCLUDED.state THEN w.changed_at ELSE clock_timestamp() END"""
_REACH_QUORUM: Final = """
UPDATE ledger_witnessed
SET size = greatest(size, $1::bigint), quorum_at = greatest(quorum_at, clock_timestamp())"""
_STANDINGS: Final = """
SELECT witness, size, state, changed_at, cosigned_at, recorded FROM ledger_witness
WHERE witness = ANY($1::text[]) ORDER BY witness"""
_GRADE_OF: Final = """
SELECT (SELECT extract(epoch FROM clock_timestamp() - quorum_at)::float8 FROM ledger_witnessed) AS age_s,
    (SELECT grade FROM ledger_witness_grade) AS grade"""
_LOCK_GRADE: Final = "SELECT grade FROM ledger_witness_grade FOR UPDATE SKIP LOCKED"
_SET_GRADE: Final = "UPDATE ledger_witness_grade SET grade = $1, changed_at = clock_timestamp()"
_SET_RECORDED: Final = "UPDATE ledger_witness SET recorded = $2 WHERE witness = $1"
_WITNESSED_SIZE: Final = "SELECT size FROM ledger_witnessed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How a witness stands: what it cosigned last, what its last answer was, and since when it has been like that.

    ``recorded``: the state that the log's entries last told of, None before any did.
    """

    witness: str
    size: int
    state: str
    changed_at: datetime
    cosigned_at: datetime | None
    recorded: str | None


async def take_turn(db: Statements, asker: uuid.UUID) -> bool:
    """Make ``asker`` the one that asks, for the next seconds; False while it is another."""
    return await db.fetchval(_TAKE_TURN, asker, ASKS_FOR_S) is not None


async def known_sizes(db: Statements, witnesses: Sequence[str]) -> dict[str, int]:
    """Return the tree size that each witness is known to have cosigned; who was never asked is left out."""
    return {row["witness"]: row["size"] for row in await db.fetch(_KNOWN_SIZES, list(witnesses))}


async def put_cosignature(db: Statements, *, size: int, cosignature: Cosignature) -> None:
    """Store a cosignature that was verified, over an older one of the same checkpoint."""
    at = datetime.fromtimestamp(cosignature.time, tz=UTC)
    await db.execute(_PUT_COSIGNATURE, size, cosignature.witness, cosignature.line, at)


async def put_state(
    db: Statements, witness: str, state: str, *, size: int | None = None, cosigned_at: int | None = None
) -> None:
    """Note how a witness answered; ``size`` None: no other than before. ``cosigned_at`` in POSIX seconds."""
    at = None if cosigned_at is None else datetime.fromtimestamp(cosigned_at, tz=UTC)
    await db.execute(_PUT_STATE, witness, size, state, at)


async def reach_quorum(db: Statements, size: int) -> None:
    """Note that a quorum has just cosigned the checkpoint of ``size`` leaves."""
    await db.execute(_REACH_QUORUM, size)


async def standings(db: Statements, witnesses: Sequence[str]) -> list[Standing]:
    """Return how those ``witnesses`` stand that were ever asked, by name."""
    return [_standing(row) for row in await db.fetch(_STANDINGS, list(witnesses))]


@dataclass(frozen=True, slots=True, kw_only=True)
class Aged:
    """Seconds since a quorum cosigned (None: no witness was ever asked), and the grade that was told last."""

    age_s: float | None
    grade: str


async def aged(db: Statements) -> Aged:
    """Return how old what the witnesses cosigned is, by the machine's clock."""
    (row,) = await db.fetch(_GRADE_OF)
    return Aged(age_s=row["age_s"], grade=row["grade"])


async def lock_grade(tx: Statements) -> bool:
    """Lock the grade, or return False while another tells of its change."""
    return await tx.fetchval(_LOCK_GRADE) is not None


async def set_grade(tx: Statements, grade: str) -> None:
    """Note the grade that was told."""
    await tx.execute(_SET_GRADE, grade)


async def set_recorded(tx: Statements, witness: str, state: str) -> None:
    """Note the state of a witness that was told."""
    await tx.execute(_SET_RECORDED, witness, state)


async def witnessed_checkpoint(db: Statements) -> ledger_store.SignedHead | None:
    """Return the newest checkpoint that a quorum cosigned, with its cosignatures, or None."""
    size = await db.fetchval(_WITNESSED_SIZE)
    return None if size is None else await ledger_store.checkpoint_at(db, size)


def _standing(row: Row) -> Standing:
    return Standing(**dict(row.items()))
