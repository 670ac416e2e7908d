"""SQL of what a platform's operator decides and sees. Nothing here opens a transaction."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from core.ids import uuid7
from database import Row, Statements
from gateway.identity import rows
from gateway.identity.model import Platform, PlatformAccess, PlatformState

_LOCK_PLATFORM: Final = """
SELECT platform_id, region, platform_kind, name_zh, name_en, agreement_id, pia_id, state FROM platform
WHERE platform_id = $1 FOR NO KEY UPDATE"""
_SET_STATE: Final = "UPDATE platform SET state = $2 WHERE platform_id = $1"
_LOCK_ACCESS: Final = """
SELECT platform_id, institution, data_items, purposes, export_policy, daily_quota, valid_to, confirmed, stopped_at
FROM platform_access WHERE platform_id = $1 AND institution = $2 FOR NO KEY UPDATE"""
_STOP_ACCESS: Final = "UPDATE platform_access SET stopped_at = $3 WHERE platform_id = $1 AND institution = $2"
_LOCK_PROPOSAL: Final = """
SELECT platform_id, institution, data_items, purposes, export_policy, daily_quota, valid_to, false AS confirmed,
    NULL::timestamptz AS stopped_at, proposed_by, proposed_operator, proposed_at
FROM platform_access_proposal
WHERE platform_id = $1 AND institution = $2 AND decided_at IS NULL FOR NO KEY UPDATE"""
_PROPOSE: Final = """
INSERT INTO platform_access_proposal (platform_id, institution, data_items, purposes, export_policy, daily_quota,
    valid_to, proposed_by, proposed_operator, proposed_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
ON CONFLICT (platform_id, institution) DO UPDATE
SET data_items = EXCLUDED.data_items, purposes = EXCLUDED.purposes, export_policy = EXCLUDED.export_policy,
    daily_quota = EXCLUDED.daily_quota, valid_to = EXCLUDED.valid_to, proposed_by = EXCLUDED.proposed_by,
    proposed_operator = EXCLUDED.proposed_operator, proposed_at = EXCLUDED.proposed_at, decided_at = NULL"""
_DECIDE: Final = """
UPDATE platform_access_proposal SET decided_at = $3 WHERE platform_id = $1 AND institution = $2"""
_PAGE: Final = """
SELECT platform_id, institution, data_items, purposes, export_policy, daily_quota, valid_to, confirmed, stopped_at
FROM platform_access WHERE platform_id = $1 AND institution > $2 ORDER BY institution LIMIT $3"""

_ADD_DISCLOSURES: Final = """
INSERT INTO disclosure_finding AS d (platform_id, data_item, kind, day, count, last_seen)
SELECT u.platform_id, u.data_item, u.kind, $5, u.count, $6
FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) AS u (platform_id, data_item, kind, count)
ORDER BY 1, 2, 3
ON CONFLICT (platform_id, day, data_item, kind) DO UPDATE
SET count = d.count + EXCLUDED.count, last_seen = EXCLUDED.last_seen
RETURNING d.platform_id, d.data_item, d.kind, (d.xmax = 0) AS is_first"""
_DISCLOSURES: Final = """
SELECT platform_id, day, data_item, kind, count, last_seen FROM disclosure_finding
WHERE platform_id = $1 AND (day, data_item, kind) < ($2::date, $3::text, $4::text)
ORDER BY day DESC, data_item DESC, kind DESC LIMIT $5"""

_ENTRIES_BETWEEN: Final = """
SELECT entry_id, body, leaf_hash FROM ledger_entry
WHERE entry_id > $1 AND entry_id < $2 ORDER BY entry_id LIMIT $3"""
_ENTRIES_AT_ONCE: Final = 2_000

_LEASE_QUOTA: Final = """
WITH clock AS (SELECT bashu_now() AT TIME ZONE 'Asia/Shanghai' AS local),
leased AS (
    INSERT INTO platform_quota AS q (platform_id, holder, day, taken, block)
    SELECT $1, $2, local::date, least($3::bigint, $4::bigint), least($3::bigint, $4::bigint) FROM clock
    ON CONFLICT (platform_id, holder, day) DO UPDATE
    SET taken = q.taken + least($3::bigint, $4::bigint - q.taken), block = least($3::bigint, $4::bigint - q.taken)
    WHERE q.taken < $4::bigint
    RETURNING block)
SELECT coalesce((SELECT block FROM leased), 0) AS count, local::date AS day,
    extract(epoch FROM (local::date + 1)::timestamp - local)::float8 AS seconds_left
FROM clock"""
_RETURN_QUOTA: Final = """
UPDATE platform_quota SET taken = taken - $4 WHERE platform_id = $1 AND holder = $2 AND day = $3 AND taken >= $4"""
_QUOTA_TAKEN: Final = """
SELECT platform_id, holder, taken FROM platform_quota
WHERE day = (SELECT (bashu_now() AT TIME ZONE 'Asia/Shanghai')::date)"""


DisclosureKey = tuple[str, str, str]
"""Platform, data item, kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Disclosure:
    """One kind of excess about one item on one day (Asia/Shanghai); ``count`` values or records."""

    day: date
    data_item: str
    kind: str
    count: int
    last_seen: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessProposal:
    """A first person's wish to admit a lender to something."""

    access: PlatformAccess
    proposed_by: str
    proposed_operator: str
    proposed_at: datetime


async def lock_platform(tx: Statements, platform_id: str) -> Platform | None:
    """Lock a platform's row and return it without its licences, None for an unknown one."""
    row = await tx.fetchrow(_LOCK_PLATFORM, platform_id)
    return None if row is None else rows.platform_from(row, {})


async def set_state(tx: Statements, platform_id: str, state: PlatformState) -> None:
    """Set whether a platform takes enquiries."""
    await tx.execute(_SET_STATE, platform_id, state.value)


async def lock_access(tx: Statements, platform_id: str, institution: str) -> PlatformAccess | None:
    """Lock what a platform admits a lender to and return it, None where it admits it to nothing."""
    row = await tx.fetchrow(_LOCK_ACCESS, platform_id, institution)
    return None if row is None else rows.access_from(row)


async def stop_access(tx: Statements, platform_id: str, institution: str, *, since: datetime | None) -> None:
    """Stop a lender at a platform, or let it go on (None)."""
    await tx.execute(_STOP_ACCESS, platform_id, institution, since)


async def lock_proposal(tx: Statements, platform_id: str, institution: str) -> AccessProposal | None:
    """Lock a wish that nobody seconded yet and return it, or None."""
    row = await tx.fetchrow(_LOCK_PROPOSAL, platform_id, institution)
    return None if row is None else _proposal(row)


async def propose(tx: Statements, wish: AccessProposal) -> None:
    """Keep a wish; an earlier one for the same lender is replaced."""
    access = wish.access
    await tx.execute(
        _PROPOSE,
        access.platform_id,
        access.institution,
        sorted(access.data_items),
        sorted(access.purposes),
        access.export_policy.value,
        access.daily_quota,
        access.valid_to,
        wish.proposed_by,
        wish.proposed_operator,
        wish.proposed_at,
    )


async def decide(tx: Statements, platform_id: str, institution: str, *, at: datetime) -> None:
    """Close a wish that was seconded."""
    await tx.execute(_DECIDE, platform_id, institution, at)


async def access_page(db: Statements, platform_id: str, *, after: str, limit: int) -> list[PlatformAccess]:
    """Return what a platform admits lenders to, by institution, behind ``after``."""
    return [rows.access_from(row) for row in await db.fetch(_PAGE, platform_id, after, limit)]


def _proposal(row: Row) -> AccessProposal:
    return AccessProposal(
        access=rows.access_from(row),
        proposed_by=row["proposed_by"],
        proposed_operator=row["proposed_operator"],
        proposed_at=row["proposed_at"],
    )


async def add_disclosures(
    tx: Statements, gathered: Mapping[DisclosureKey, int], *, day: date, now: datetime
) -> list[DisclosureKey]:
    """Add counts and return the keys that were new on this day."""
    keys = sorted(gathered)
    columns = [[key[place] for key in keys] for place in range(3)]
    rows = await tx.fetch(_ADD_DISCLOSURES, *columns, [gathered[key] for key in keys], day, now)
    return [(row["platform_id"], row["data_item"], row["kind"]) for row in rows if row["is_first"]]


async def disclosure_page(
    db: Statements, platform_id: str, *, before: tuple[date, str, str], limit: int
) -> list[Disclosure]:
    """Return a platform's findings, the newest day first, behind ``before`` (day, item, kind)."""
    return [
        Disclosure(
            day=row["day"],
            data_item=row["data_item"],
            kind=row["kind"],
            count=row["count"],
            last_seen=row["last_seen"],
        )
        for row in await db.fetch(_DISCLOSURES, platform_id, *before, limit)
    ]


async def entries_between(db: Statements, begin: datetime, end: datetime) -> list[tuple[bytes, bytes]]:
    """Return body and leaf hash of the entries whose ids were made in a span: UUIDv7 begin with their time."""
    after, before = _first_id(begin), _first_id(end)
    found: list[tuple[bytes, bytes]] = []
    while rows := await db.fetch(_ENTRIES_BETWEEN, after, before, _ENTRIES_AT_ONCE):
        found += [(row["body"], row["leaf_hash"]) for row in rows]
        after = rows[-1]["entry_id"]
    return found


def _first_id(moment: datetime) -> uuid.UUID:
    return uuid.UUID(int=uuid7(int(moment.timestamp() * 1000)).int >> 80 << 80)


@dataclass(frozen=True, slots=True, kw_only=True)
class QuotaBlock:
    """Calls of one day that were granted, none where the quota is gone; ``seconds_left`` until the day ends."""

    count: int
    day: date
    seconds_left: float


async def lease_quota(db: Statements, platform_id: str, holder: str, *, block: int, limit: int) -> QuotaBlock:
    """Take up to ``block`` of today's ``limit`` for one worker, in one statement."""
    row = await db.fetchrow(_LEASE_QUOTA, platform_id, holder, block, limit)
    assert row is not None
    return QuotaBlock(count=row["count"], day=row["day"], seconds_left=row["seconds_left"])


async def return_quota(db: Statements, platform_id: str, holder: str, *, day: date, count: int) -> None:
    """Give back what a worker took and did not use."""
    await db.execute(_RETURN_QUOTA, platform_id, holder, day, count)


async def quota_taken(db: Statements) -> dict[tuple[str, str], int]:
    """Return what was taken today by platform and holder."""
    return {(row["platform_id"], row["holder"]): row["taken"] for row in await db.fetch(_QUOTA_TAKEN)}
