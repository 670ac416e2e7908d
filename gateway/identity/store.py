"""The registry's SQL: read whole, write one fact at a time. Nothing here opens a transaction."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from database import Statements
from gateway.identity import rows
from gateway.identity.model import (
    Institution,
    InstitutionKind,
    Key,
    Licence,
    LicenceOwner,
    Participant,
    Platform,
    PlatformAccess,
    Role,
    Snapshot,
    Staff,
)

# Read.

_PULSE: Final = "SELECT version, bashu_now() AS now FROM registry_version"
_NOW: Final = "SELECT bashu_now()"
_INSTITUTIONS: Final = """
SELECT institution, institution_kind, name, queries_per_day, queries_per_second FROM institution"""
_PARTICIPANTS: Final = """
SELECT participant_id, institution, role, name, platform_ids, suspended_at, valid_to FROM participant"""
_KEYS: Final = """
SELECT kid, participant_id, alg, jwk, thumbprint, valid_from, valid_to, revoked_at, compromised_at, succeeds
FROM participant_key"""
_CERTIFICATES: Final = "SELECT thumbprint, participant_id FROM participant_certificate WHERE revoked_at IS NULL"
_STAFF: Final = "SELECT institution, staff_number, kind, valid_from, valid_to FROM staff"
_LICENCES: Final = """
SELECT owner_kind, owner_id, kind, number, authority, valid_from, valid_to FROM licence
ORDER BY owner_kind, owner_id, kind, number"""
_PLATFORMS: Final = """
SELECT platform_id, region, platform_kind, name_zh, name_en, agreement_id, pia_id, state FROM platform"""
_ACCESS: Final = """
SELECT platform_id, institution, data_items, purposes, export_policy, daily_quota, valid_to, confirmed, stopped_at
FROM platform_access"""
_PAGE: Final = "SELECT participant_id FROM participant WHERE participant_id > $1 ORDER BY participant_id LIMIT $2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulse:
    """The registry's version and the database's time (UTC), read together."""

    version: int
    now: datetime


async def read_pulse(db: Statements) -> Pulse:
    """Return the version that a snapshot must have to be current."""
    row = await db.fetchrow(_PULSE)
    if row is None:
        raise LookupError("registry_version has no row")
    return Pulse(version=row["version"], now=row["now"])


async def read_now(db: Statements) -> datetime:
    """Return the database's time, UTC."""
    now: datetime = await db.fetchval(_NOW)
    return now


async def read_snapshot(db: Statements) -> Snapshot:
    """Read the whole registry.

    The version is read first: a change that comes in between leaves rows newer than their version, never older, and
    the next pulse reads again.
    """
    pulse = await read_pulse(db)
    licences = rows.licences_from(await db.fetch(_LICENCES))
    keys = [rows.key_from(row) for row in await db.fetch(_KEYS)]
    access = [rows.access_from(row) for row in await db.fetch(_ACCESS)]
    staff = [rows.staff_from(row) for row in await db.fetch(_STAFF)]
    institutions = [rows.institution_from(row, licences) for row in await db.fetch(_INSTITUTIONS)]
    return Snapshot(
        version=pulse.version,
        institutions={institution.institution: institution for institution in institutions},
        participants={row["participant_id"]: rows.participant_from(row) for row in await db.fetch(_PARTICIPANTS)},
        keys={key.kid: key for key in keys},
        certificates={row["thumbprint"]: row["participant_id"] for row in await db.fetch(_CERTIFICATES)},
        staff={(member.institution, member.staff_number): member for member in staff},
        platforms={row["platform_id"]: rows.platform_from(row, licences) for row in await db.fetch(_PLATFORMS)},
        access={(entry.platform_id, entry.institution): entry for entry in access},
    )


async def participant_page(db: Statements, *, after: str, limit: int) -> list[str]:
    """Return up to ``limit`` participant ids greater than ``after``, smallest first."""
    return [row["participant_id"] for row in await db.fetch(_PAGE, after, limit)]


# Write.

_ADD_INSTITUTION: Final = """
INSERT INTO institution (institution, institution_kind, name) VALUES ($1, $2, $3)
ON CONFLICT (institution) DO NOTHING"""
_SET_QUOTA: Final = """
UPDATE institution SET queries_per_day = $2, queries_per_second = $3 WHERE institution = $1"""
_INSTITUTION_KIND: Final = "SELECT institution_kind FROM institution WHERE institution = $1"
_ADD_PARTICIPANT: Final = """
INSERT INTO participant (participant_id, institution, role, name, platform_ids, valid_to)
VALUES ($1, $2, $3, $4, $5, $6)"""
_ADD_KEY: Final = """
INSERT INTO participant_key (kid, participant_id, alg, jwk, thumbprint, valid_from, valid_to, succeeds)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"""
_ADD_CERTIFICATE: Final = "INSERT INTO participant_certificate (thumbprint, participant_id) VALUES ($1, $2)"
_PUT_LICENCE: Final = """
INSERT INTO licence (owner_kind, owner_id, kind, number, authority, valid_from, valid_to)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (owner_kind, owner_id, kind, number) DO UPDATE
SET authority = EXCLUDED.authority, valid_from = EXCLUDED.valid_from, valid_to = EXCLUDED.valid_to"""
_LOCK_PARTICIPANT: Final = """
SELECT participant_id, institution, role, name, platform_ids, suspended_at, valid_to FROM participant
WHERE participant_id = $1 FOR NO KEY UPDATE"""
_SUSPEND: Final = "UPDATE participant SET suspended_at = $2, suspended_reason = $3 WHERE participant_id = $1"
_END_OTHER_KEYS: Final = """
UPDATE participant_key SET valid_to = $3
WHERE participant_id = $1 AND kid <> $2 AND revoked_at IS NULL AND valid_from <= $3
  AND (valid_to IS NULL OR valid_to > $3)"""
_NEWEST_KEY: Final = """
SELECT kid FROM participant_key WHERE participant_id = $1 AND revoked_at IS NULL
ORDER BY valid_from DESC, kid LIMIT 1"""
_REVOKE_KEY: Final = """
UPDATE participant_key SET revoked_at = coalesce(revoked_at, $3),
    compromised_at = CASE WHEN $4 THEN coalesce(compromised_at, $3) ELSE compromised_at END
WHERE participant_id = $1 AND kid = $2 RETURNING kid"""
_PUT_STAFF: Final = """
INSERT INTO staff (institution, staff_number, sealed_name, kind, valid_from, valid_to, registered_by)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (institution, staff_number) DO UPDATE
SET sealed_name = EXCLUDED.sealed_name, kind = EXCLUDED.kind, valid_from = EXCLUDED.valid_from,
    valid_to = EXCLUDED.valid_to, registered_by = EXCLUDED.registered_by, registered_at = bashu_now()"""
_INSTITUTION_ROLES: Final = "SELECT DISTINCT role FROM participant WHERE institution = $1"
_HAS_STAFF: Final = "SELECT EXISTS (SELECT 1 FROM staff WHERE institution = $1)"
_PROPOSAL: Final = """
SELECT suspended, proposed_by, proposed_operator, proposed_at FROM suspension_proposal
WHERE participant_id = $1 AND decided_at IS NULL FOR NO KEY UPDATE"""
_PUT_PROPOSAL: Final = """
INSERT INTO suspension_proposal (participant_id, suspended, reason, proposed_by, proposed_operator)
VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (participant_id) DO UPDATE
SET suspended = EXCLUDED.suspended, reason = EXCLUDED.reason, proposed_by = EXCLUDED.proposed_by,
    proposed_operator = EXCLUDED.proposed_operator, proposed_at = bashu_now(), decided_at = NULL"""
_DECIDE_PROPOSAL: Final = """
UPDATE suspension_proposal SET decided_at = bashu_now() WHERE participant_id = $1 AND decided_at IS NULL"""
_PUT_PLATFORM: Final = """
INSERT INTO platform (platform_id, region, platform_kind, name_zh, name_en, agreement_id, pia_id, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (platform_id) DO UPDATE
SET name_zh = EXCLUDED.name_zh, name_en = EXCLUDED.name_en, agreement_id = EXCLUDED.agreement_id,
    pia_id = EXCLUDED.pia_id, state = EXCLUDED.state"""
_PUT_ACCESS: Final = """
INSERT INTO platform_access
    (platform_id, institution, data_items, purposes, export_policy, daily_quota, valid_to, confirmed)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT (platform_id, institution) DO UPDATE
SET data_items = EXCLUDED.data_items, purposes = EXCLUDED.purposes, export_policy = EXCLUDED.export_policy,
    daily_quota = EXCLUDED.daily_quota, valid_to = EXCLUDED.valid_to, confirmed = EXCLUDED.confirmed"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """One officer's undecided wish to suspend or restore a participant."""

    suspended: bool
    proposed_by: str
    proposed_operator: str
    proposed_at: datetime


async def add_institution(tx: Statements, institution: Institution) -> InstitutionKind:
    """Register an institution unless it is there, and its licences; return the kind it is registered with."""
    await tx.execute(_ADD_INSTITUTION, institution.institution, institution.kind.value, institution.name)
    await put_licences(tx, LicenceOwner.INSTITUTION, institution.institution, institution.licences)
    return InstitutionKind(await tx.fetchval(_INSTITUTION_KIND, institution.institution))


async def set_quota(tx: Statements, institution: str, *, per_day: int, per_second: int) -> None:
    """Say how many queries an institution may make, 0 for no limit."""
    await tx.execute(_SET_QUOTA, institution, per_day, per_second)


async def add_participant(tx: Statements, participant: Participant) -> None:
    """Register a participant (UniqueConflict where the id is taken)."""
    await tx.execute(
        _ADD_PARTICIPANT,
        participant.participant_id,
        participant.institution,
        participant.role.value,
        participant.name,
        sorted(participant.platform_ids),
        participant.valid_to,
    )


async def add_key(tx: Statements, key: Key) -> None:
    """Register a key (UniqueConflict where kid or key material is taken, whosever it is)."""
    await tx.execute(
        _ADD_KEY,
        key.kid,
        key.participant_id,
        key.verification.alg,
        key.jwk,
        key.thumbprint,
        key.valid_from,
        key.valid_to,
        key.succeeds,
    )


async def add_certificates(tx: Statements, participant_id: str, thumbprints: Iterable[str]) -> None:
    """Bind certificates to a participant (UniqueConflict where one is somebody's already)."""
    for thumbprint in thumbprints:
        await tx.execute(_ADD_CERTIFICATE, thumbprint, participant_id)


async def put_licences(tx: Statements, owner: LicenceOwner, owner_id: str, licences: Iterable[Licence]) -> None:
    """Register licences or renew their days."""
    for row in licences:
        await tx.execute(
            _PUT_LICENCE, owner.value, owner_id, row.kind, row.number, row.authority, row.valid_from, row.valid_to
        )


async def lock_participant(tx: Statements, participant_id: str) -> Participant | None:
    """Lock a participant against other changes and return it, None where there is none."""
    row = await tx.fetchrow(_LOCK_PARTICIPANT, participant_id)
    return None if row is None else rows.participant_from(row)


async def set_suspended(tx: Statements, participant_id: str, *, since: datetime | None, reason: str) -> None:
    """Suspend a participant since a moment, or restore it with None."""
    await tx.execute(_SUSPEND, participant_id, since, reason)


async def newest_key(tx: Statements, participant_id: str) -> str | None:
    """Return the kid that a successor succeeds, None where the participant has no key left."""
    kid: str | None = await tx.fetchval(_NEWEST_KEY, participant_id)
    return kid


async def end_other_keys(tx: Statements, participant_id: str, *, but: str, at: datetime) -> None:
    """Let every key of the participant but one end at a moment, unless it ends earlier."""
    await tx.execute(_END_OTHER_KEYS, participant_id, but, at)


async def revoke_key(tx: Statements, participant_id: str, kid: str, *, at: datetime, compromised: bool) -> bool:
    """Revoke a key; False where the participant has none with this kid. An earlier revocation keeps its time."""
    return await tx.fetchval(_REVOKE_KEY, participant_id, kid, at, compromised) is not None


async def put_staff(tx: Statements, staff: Staff, *, sealed_name: bytes, registered_by: str) -> None:
    """Register a staff number or change what it is for and until when."""
    await tx.execute(
        _PUT_STAFF,
        staff.institution,
        staff.staff_number,
        sealed_name,
        staff.kind.value,
        staff.valid_from,
        staff.valid_to,
        registered_by,
    )


async def institution_roles(db: Statements, institution: str) -> frozenset[Role]:
    """Return the roles of an institution's participants; empty where it is unknown."""
    return frozenset(Role(row["role"]) for row in await db.fetch(_INSTITUTION_ROLES, institution))


async def has_staff(db: Statements, institution: str) -> bool:
    """Tell whether any staff number was ever registered for an institution."""
    found: bool = await db.fetchval(_HAS_STAFF, institution)
    return found


async def lock_proposal(tx: Statements, participant_id: str) -> Proposal | None:
    """Return the undecided proposal about a participant, locked, None where there is none."""
    row = await tx.fetchrow(_PROPOSAL, participant_id)
    return None if row is None else Proposal(**dict(row.items()))


async def put_proposal(
    tx: Statements, participant_id: str, *, suspended: bool, reason: str, proposed_by: str, proposed_operator: str
) -> None:
    """Keep one officer's wish until a second decides; it replaces an older one."""
    await tx.execute(_PUT_PROPOSAL, participant_id, suspended, reason, proposed_by, proposed_operator)


async def decide_proposal(tx: Statements, participant_id: str) -> None:
    """Close the undecided proposal about a participant."""
    await tx.execute(_DECIDE_PROPOSAL, participant_id)


async def put_platform(tx: Statements, platform: Platform) -> None:
    """Register a platform with its licences, or change its names, agreement and state.

    UniqueConflict (``platform_one_public_financing_a_region``) where the region has another active one (R45).
    """
    await tx.execute(
        _PUT_PLATFORM,
        platform.platform_id,
        platform.region,
        platform.kind.value,
        platform.name_zh,
        platform.name_en,
        platform.agreement_id,
        platform.pia_id,
        platform.state.value,
    )
    await put_licences(tx, LicenceOwner.PLATFORM, platform.platform_id, platform.licences)


async def put_access(tx: Statements, access: PlatformAccess) -> None:
    """Admit a lender to a platform, or change what it is admitted to."""
    await tx.execute(
        _PUT_ACCESS,
        access.platform_id,
        access.institution,
        sorted(access.data_items),
        sorted(access.purposes),
        access.export_policy.value,
        access.daily_quota,
        access.valid_to,
        access.confirmed,
    )
