"""The desk's SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID

from database import Statements
from ledger.access.model import Access
from ledger.access.store import COLUMNS, access_from_row

_LOCK_WISH: Final = """
SELECT participant, operator, wished_at FROM officer_wish WHERE action = $1 AND object = $2 FOR UPDATE"""
_DROP_WISH: Final = "DELETE FROM officer_wish WHERE action = $1 AND object = $2"
_PUT_WISH: Final = """
INSERT INTO officer_wish (action, object, participant, operator, wished_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (action, object) DO UPDATE
SET participant = EXCLUDED.participant, operator = EXCLUDED.operator, wished_at = EXCLUDED.wished_at"""
_PRESERVING: Final = 0x6261736875_01
"""Transaction-level advisory lock between erasing (shared) and preserving (alone); no session holds it."""
_EXCLUSIVE: Final = "SELECT pg_advisory_xact_lock($1)"
_SHARED: Final = "SELECT pg_advisory_xact_lock_shared($1)"
_PRESERVATION: Final = """preservation_id, pseudonym, institution, since, before, by_regulator, placed_by, placed_at,
    entry_id"""
_INSERT_PRESERVATION: Final = f"""
INSERT INTO preservation ({_PRESERVATION}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"""  # noqa: S608
_LOCK_PRESERVATION: Final = f"""
SELECT {_PRESERVATION} FROM preservation WHERE preservation_id = $1 AND released_at IS NULL FOR UPDATE"""  # noqa: S608
_STANDING_PRESERVATIONS: Final = f"""
SELECT {_PRESERVATION} FROM preservation WHERE released_at IS NULL AND preservation_id > $1
ORDER BY preservation_id LIMIT $2"""  # noqa: S608
_RELEASE_PRESERVATION: Final = """
UPDATE preservation SET released_at = $2, release_entry_id = $3 WHERE preservation_id = $1 AND released_at IS NULL"""
_IS_PRESERVED: Final = """
WITH dealing AS (
    SELECT a.institution, a.at FROM ledger_subject AS s JOIN ledger_access AS a USING (leaf_index)
    WHERE s.pseudonym = $1
    UNION ALL
    SELECT l.institution, l.registered_at FROM loan AS l WHERE l.pseudonym = $1
    UNION ALL
    SELECT d.institution, d.received_at FROM dispute AS d WHERE d.pseudonym = $1)
SELECT EXISTS (
    SELECT 1 FROM preservation AS p WHERE p.released_at IS NULL AND (
        p.pseudonym = $1
        OR (p.pseudonym IS NULL AND EXISTS (
            SELECT 1 FROM dealing AS x
            WHERE (p.institution = '' OR x.institution = p.institution)
                AND x.at >= coalesce(p.since, '-infinity') AND x.at < coalesce(p.before, 'infinity')))))"""
_FIRST_PRESERVED: Final = "SELECT leaf_index, preservation_id FROM ledger_first_preserved($1, $2)"
_STAFF_NAMES: Final = "SELECT staff_number, sealed_name FROM staff WHERE institution = $1 ORDER BY staff_number"

# Letters are what a lender's own participant signed. A leaf of theirs in the tree, or the frame could still grow.
_FRAME: Final = """
WITH frame AS (
    SELECT a.entry_id, 'ACCESS' AS kind FROM ledger_access AS a
    WHERE ($1 = '' OR a.institution = $1) AND a.at >= coalesce($2::timestamptz, '-infinity')
        AND a.at < coalesce($3::timestamptz, 'infinity') AND a.leaf_index < $4 AND a.number = 1
    UNION ALL
    SELECT v.entry_id, 'LETTER' FROM consent AS c
    JOIN participant AS p ON p.participant_id = c.authority AND p.role = 'LENDER'
    JOIN consent_event AS v ON v.consent_id = c.consent_id AND v.revision = 1
    JOIN ledger_entry AS e ON e.entry_id = v.entry_id
    JOIN ledger_leaf AS l ON l.seq = e.seq AND l.leaf_index < $4
    WHERE ($1 = '' OR c.institution = $1) AND v.at >= coalesce($2::timestamptz, '-infinity')
        AND v.at < coalesce($3::timestamptz, 'infinity'))"""
_FRAME_SIZE: Final = f"{_FRAME} SELECT count(*) FROM frame"  # noqa: S608 - constants of this module
_DRAW: Final = f"""{_FRAME}
SELECT entry_id, kind FROM frame ORDER BY sha256(convert_to($5 || ':' || entry_id::text, 'UTF8')), entry_id LIMIT $6"""  # noqa: S608
_KEEP_SAMPLE: Final = """
INSERT INTO review_sample (sample_id, seed, size, institution, since, before, to_index, frame_size, drawn_by, drawn_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"""
_KEEP_ITEMS: Final = """
INSERT INTO review_sample_item (sample_id, entry_id, kind)
SELECT $1, entry_id, kind FROM unnest($2::uuid[], $3::text[]) AS t (entry_id, kind)"""
_SAMPLED: Final = f"""
SELECT {COLUMNS} FROM review_sample_item AS i JOIN ledger_access AS a USING (entry_id)
WHERE i.sample_id = $1 AND i.kind = 'ACCESS' ORDER BY a.leaf_index DESC"""  # noqa: S608
_SAMPLED_LETTERS: Final = """
SELECT i.entry_id, v.consent_id, c.institution, v.at FROM review_sample_item AS i
JOIN consent_event AS v ON v.entry_id = i.entry_id AND v.revision = 1
JOIN consent AS c ON c.consent_id = v.consent_id
WHERE i.sample_id = $1 AND i.kind = 'LETTER' ORDER BY v.at, i.entry_id"""
_VERDICT: Final = """
UPDATE review_sample_item SET verdict = $3, verdict_entry_id = $4, decided_at = $5
WHERE sample_id = $1 AND entry_id = $2 AND verdict IS NULL RETURNING entry_id"""

_REFUSED: Final = "a.type = 'QUERY_DENIED'"
_ASKED: Final = "a.type <> 'QUERY_DENIED'"
_BEIJING: Final = "a.at AT TIME ZONE 'Asia/Shanghai'"
_NIGHT: Final = f"({_ASKED} AND extract(hour FROM {_BEIJING}) NOT BETWEEN 6 AND 21)"
_WHAT: Final = {
    "REFUSALS_BURST": (_REFUSED, "sum(a.number)"),
    "NIGHT_ENQUIRIES": (_NIGHT, "sum(a.number)"),
    "ONE_OPERATOR_MANY_SUBJECTS": (_ASKED, "count(DISTINCT s.pseudonym)"),
    "OVERWIDE_REPEATED": (f"{_REFUSED} AND a.reason IN ('SCOPE_EXCEEDED', 'RANGE_EXCEEDED')", "sum(a.number)"),
    "PROBING": (f"{_REFUSED} AND a.reason = 'CONSENT_NOT_FOUND_OR_NOT_YOURS'", "sum(a.number)"),
}
"""What each kind of anomaly looks at, and how it counts."""
_PER: Final = {"institution": "''::text", "operator": "a.operator_commitment"}
_WINDOW: Final = {"HOUR": "hour", "DAY": "day"}


def _count(kind: str, per: str, window: str) -> str:
    condition, count = _WHAT[kind]
    subject = " JOIN ledger_subject AS s USING (leaf_index)" if "pseudonym" in count else ""
    # A night belongs to the day on which it began.
    moment = f"({_BEIJING} - interval '6 hours')" if kind == "NIGHT_ENQUIRIES" else f"({_BEIJING})"
    return f"""
SELECT a.institution, {_PER[per]} AS operator, ({count})::bigint AS count, max(a.at) AS at,
    (array_agg(a.entry_id ORDER BY a.leaf_index DESC))[1:5] AS entry_ids
FROM ledger_access AS a{subject}
WHERE a.at >= $1 AND {condition} AND {_PER[per]} IS NOT NULL
GROUP BY a.institution, {_PER[per]}, date_trunc('{_WINDOW[window]}', {moment})
HAVING {count} >= $2 ORDER BY max(a.at) DESC LIMIT $3"""  # noqa: S608 - constants of this module


_COUNTS: Final = {
    (kind, per, window): _count(kind, per, window) for kind in _WHAT for per in _PER for window in _WINDOW
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """A first officer's wish, waiting for a second."""

    participant: str
    operator: str
    at: datetime


async def lock_wish(tx: Statements, action: str, obj: str) -> Wish | None:
    """Lock and return the wish that waits for a second officer, or None."""
    row = await tx.fetchrow(_LOCK_WISH, action, obj)
    return None if row is None else Wish(participant=row["participant"], operator=row["operator"], at=row["wished_at"])


async def drop_wish(tx: Statements, action: str, obj: str) -> None:
    """Forget a wish."""
    await tx.execute(_DROP_WISH, action, obj)


async def put_wish(tx: Statements, action: str, obj: str, wish: Wish) -> None:
    """Keep a wish; it replaces an older one."""
    await tx.execute(_PUT_WISH, action, obj, wish.participant, wish.operator, wish.at)


async def staff_names(db: Statements, institution: str) -> list[tuple[str, bytes]]:
    """Return the staff numbers of an institution with their sealed names."""
    return [(row["staff_number"], row["sealed_name"]) for row in await db.fetch(_STAFF_NAMES, institution)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a draw is determined by; ``frame_size``: how many there were to draw from."""

    sample_id: UUID
    seed: str
    size: int
    institution: str
    since: datetime | None
    before: datetime | None
    to_index: int
    frame_size: int = 0

    def counted(self, frame_size: int) -> Sample:
        """Return the sample with the size of its frame."""
        return replace(self, frame_size=frame_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A LENDER_ATTESTED consent, by its CONSENT_REGISTERED entry."""

    entry_id: UUID
    consent_id: UUID
    institution: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """How often something happened within one window; ``entry_ids`` are the latest few, the latest first."""

    institution: str
    operator: str
    count: int
    at: datetime
    entry_ids: tuple[UUID, ...]


async def draw(db: Statements, sample: Sample) -> tuple[int, list[tuple[UUID, str]]]:
    """Return the size of the frame, and what was drawn: (entry id, ACCESS or LETTER)."""
    frame = (sample.institution, sample.since, sample.before, sample.to_index)
    frame_size = int(await db.fetchval(_FRAME_SIZE, *frame))
    rows = await db.fetch(_DRAW, *frame, sample.seed, sample.size)
    return frame_size, [(row["entry_id"], row["kind"]) for row in rows]


async def keep_sample(
    tx: Statements, sample: Sample, *, frame_size: int, chosen: Sequence[tuple[UUID, str]], by: str, at: datetime
) -> None:
    """Store a sample and what is in it."""
    await tx.execute(
        _KEEP_SAMPLE, sample.sample_id, sample.seed, sample.size, sample.institution, sample.since, sample.before,
        sample.to_index, frame_size, by, at,
    )  # fmt: skip
    ids, kinds = [entry_id for entry_id, _ in chosen], [kind for _, kind in chosen]
    await tx.execute(_KEEP_ITEMS, sample.sample_id, ids, kinds)


async def accesses_of(db: Statements, sample_id: UUID) -> list[Access]:
    """Return the accesses of a sample, the newest first."""
    return [access_from_row(row) for row in await db.fetch(_SAMPLED, sample_id)]


async def letters_of(db: Statements, sample_id: UUID) -> list[Letter]:
    """Return the letters of a sample."""
    return [Letter(**dict(row.items())) for row in await db.fetch(_SAMPLED_LETTERS, sample_id)]


async def give_verdict(
    tx: Statements, sample_id: UUID, entry_id: UUID, *, verdict: str, number: UUID, at: datetime
) -> bool:
    """Write the verdict on one item; False where it was not drawn or has one."""
    return await tx.fetchval(_VERDICT, sample_id, entry_id, verdict, number, at) is not None


async def counts(
    db: Statements, kind: str, *, per: str, window: str, since: datetime, threshold: int, most: int
) -> list[Count]:
    """Return the windows in which an anomaly's count reached its threshold, the latest first."""
    rows = await db.fetch(_COUNTS[kind, per, window], since, threshold, most)
    return [
        Count(
            institution=row["institution"],
            operator=row["operator"] or "",
            count=row["count"],
            at=row["at"],
            entry_ids=tuple(row["entry_ids"]),
        )
        for row in rows
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Preservation:
    """One row of ``preservation`` that stands."""

    preservation_id: UUID
    pseudonym: str | None
    institution: str
    since: datetime | None
    before: datetime | None
    by_regulator: bool
    placed_by: str
    placed_at: datetime
    entry_id: UUID


async def keep_erasures_out(tx: Statements) -> None:
    """Wait for erasures under way, and let none decide until the transaction ends."""
    await tx.execute(_EXCLUSIVE, _PRESERVING)


async def insert_preservation(tx: Statements, row: Preservation) -> None:
    """Store a preservation."""
    await tx.execute(
        _INSERT_PRESERVATION, row.preservation_id, row.pseudonym, row.institution, row.since, row.before,
        row.by_regulator, row.placed_by, row.placed_at, row.entry_id,
    )  # fmt: skip


async def lock_preservation(tx: Statements, preservation_id: UUID) -> Preservation | None:
    """Lock a preservation that stands."""
    row = await tx.fetchrow(_LOCK_PRESERVATION, preservation_id)
    return None if row is None else Preservation(**dict(row.items()))


async def standing_preservations(db: Statements, *, after: UUID, limit: int) -> list[Preservation]:
    """Return preservations that stand with larger ids than ``after``, in order of id (so of time)."""
    return [Preservation(**dict(row.items())) for row in await db.fetch(_STANDING_PRESERVATIONS, after, limit)]


async def release_preservation(tx: Statements, preservation_id: UUID, *, at: datetime, entry_id: UUID) -> None:
    """Write that a locked preservation ended."""
    await tx.execute(_RELEASE_PRESERVATION, preservation_id, at, entry_id)


async def is_preserved(tx: Statements, pseudonym: str) -> bool:
    """Tell whether a preservation stands in whose scope something of a subject is."""
    await tx.execute(_SHARED, _PRESERVING)
    return bool(await tx.fetchval(_IS_PRESERVED, pseudonym))


async def first_preserved(db: Statements, begin: int, end: int) -> tuple[int, UUID] | None:
    """Return the first leaf ``begin <= index < end`` that a standing preservation covers, and which; None: none."""
    row = await db.fetchrow(_FIRST_PRESERVED, begin, end)
    return None if row is None else (row["leaf_index"], row["preservation_id"])
