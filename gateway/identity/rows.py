"""Rows of the registry's tables, read into values."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from core.jws import load_public_jwk
from database import Row
from gateway.identity.model import (
    ExportPolicy,
    Institution,
    InstitutionKind,
    Key,
    Licence,
    LicenceOwner,
    Participant,
    Platform,
    PlatformAccess,
    PlatformKind,
    PlatformState,
    Role,
    Staff,
    StaffKind,
)

Licences = Mapping[tuple[str, str], Sequence[Licence]]
"""Licences by (owner kind, owner id)."""


def licences_from(rows: Iterable[Row]) -> Licences:
    """Return licences by owner kind and owner."""
    found: defaultdict[tuple[str, str], list[Licence]] = defaultdict(list)
    for row in rows:
        found[row["owner_kind"], row["owner_id"]].append(
            Licence(
                kind=row["kind"],
                number=row["number"],
                authority=row["authority"],
                valid_from=row["valid_from"],
                valid_to=row["valid_to"],
            )
        )
    return found


def institution_from(row: Row, licences: Licences) -> Institution:
    """Read an institution and attach its licences."""
    return Institution(
        institution=row["institution"],
        kind=InstitutionKind(row["institution_kind"]),
        name=row["name"],
        licences=tuple(licences.get((LicenceOwner.INSTITUTION, row["institution"]), ())),
        queries_per_day=row["queries_per_day"],
        queries_per_second=row["queries_per_second"],
    )


def participant_from(row: Row) -> Participant:
    """Read a participant."""
    return Participant(
        participant_id=row["participant_id"],
        institution=row["institution"],
        role=Role(row["role"]),
        name=row["name"],
        platform_ids=frozenset(row["platform_ids"]),
        suspended_at=row["suspended_at"],
        valid_to=row["valid_to"],
    )


def key_from(row: Row) -> Key:
    """Read a key; KeyRefused where what is stored is no key of its alg."""
    return Key(
        participant_id=row["participant_id"],
        verification=load_public_jwk(msgspec.json.decode(row["jwk"]), kid=row["kid"], alg=row["alg"]),
        jwk=row["jwk"],
        thumbprint=row["thumbprint"],
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
        revoked_at=row["revoked_at"],
        compromised_at=row["compromised_at"],
        succeeds=row["succeeds"],
    )


def staff_from(row: Row) -> Staff:
    """Read a staff number."""
    return Staff(
        institution=row["institution"],
        staff_number=row["staff_number"],
        kind=StaffKind(row["kind"]),
        valid_from=row["valid_from"],
        valid_to=row["valid_to"],
    )


def platform_from(row: Row, licences: Licences) -> Platform:
    """Read a platform and attach its licences."""
    return Platform(
        platform_id=row["platform_id"],
        region=row["region"],
        kind=PlatformKind(row["platform_kind"]),
        name_zh=row["name_zh"],
        name_en=row["name_en"],
        agreement_id=row["agreement_id"],
        pia_id=row["pia_id"],
        state=PlatformState(row["state"]),
        licences=tuple(licences.get((LicenceOwner.PLATFORM, row["platform_id"]), ())),
    )


def access_from(row: Row) -> PlatformAccess:
    """Read what a platform admits a lender to."""
    return PlatformAccess(
        platform_id=row["platform_id"],
        institution=row["institution"],
        data_items=frozenset(row["data_items"]),
        purposes=frozenset(row["purposes"]),
        export_policy=ExportPolicy(row["export_policy"]),
        daily_quota=row["daily_quota"],
        valid_to=row["valid_to"],
        confirmed=row["confirmed"],
        stopped_at=row["stopped_at"],
    )
