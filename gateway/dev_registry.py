"""Who takes part in the dev stack: participants, staff, platforms, access; keys are made for each state folder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final

from core.jws import public_jwk
from database import Database, Transaction
from gateway.certificates import DevAuthority, KeyPair, signing_key
from gateway.identity import store
from gateway.identity.admin import Actor, Administration, NewKey, Registration
from gateway.identity.model import (
    ExportPolicy,
    Institution,
    InstitutionKind,
    Licence,
    Participant,
    Platform,
    PlatformAccess,
    PlatformKind,
    Role,
    Snapshot,
    Staff,
    StaffKind,
)
from standards.catalogue import Standard

OPERATOR_INSTITUTION: Final = "gateway-operator"
STAFF_NUMBERS: Final = ("0001", "0002")
_ADMIN: Final = Actor(participant_id="admin-1", institution=OPERATOR_INSTITUTION, role=Role.GATEWAY_ADMIN)
_WITH_ADMIN: Final = frozenset({"bank-cq", "bank-sc"})
"""Lenders with a LENDER_ADMIN, who registers their second member of staff; the first is the gateway's to register."""
_FROM: Final = date(2026, 1, 1)
_DAILY_QUOTA: Final = 0

SANDBOX_LICENCE: Final = Licence(
    kind="ENTERPRISE_CREDIT_FILING", number="SANDBOX LICENCE 沙箱许可", authority="sandbox", valid_from=_FROM
)
SANDBOX_PERSONAL_LICENCE: Final = Licence(
    kind="PERSONAL_CREDIT_LICENCE", number="SANDBOX LICENCE 沙箱许可", authority="sandbox", valid_from=_FROM
)
_LENDER_LICENCE: Final = Licence(
    kind="FINANCIAL_LICENCE", number="SANDBOX LICENCE 沙箱许可", authority="sandbox", valid_from=_FROM
)


@dataclass(frozen=True, slots=True, kw_only=True)
class DevParticipant:
    """One participant of the dev stack and the files it authenticates with."""

    participant: Participant
    institution: Institution
    key_file: Path
    kid: str
    certificate: KeyPair

    @property
    def staff(self) -> tuple[str, ...]:
        """Staff numbers that may act for it; agents, authorities and auditors need none but have them all the same."""
        return staff_numbers(self.institution)


def dev_participants(keys: Path, authority: DevAuthority) -> list[DevParticipant]:
    """Return every participant of the dev stack; keys and certificates are made under ``keys`` where missing."""
    return [
        DevParticipant(
            participant=participant,
            institution=institution,
            key_file=keys / "participants" / f"{participant.participant_id}.pem",
            kid=f"{participant.participant_id}-1",
            certificate=authority.client(participant.participant_id),
        )
        for participant, institution in _cast()
    ]


async def seed_registry(
    db: Database,
    *,
    administration: Administration,
    participants: list[DevParticipant],
    standard: Standard,
    with_persons: bool,
) -> None:
    """Register everything that is missing, through the same functions an administrator uses, each with its entry."""
    known = await store.read_snapshot(db)
    for member in participants:
        if member.participant.participant_id not in known.participants:
            async with db.transaction() as tx:
                await _register(tx, administration, member, known)
                known = await store.read_snapshot(tx)
    lenders = {m.institution.institution for m in participants if m.institution.kind is not InstitutionKind.NONE}
    for platform in _platforms(with_persons=with_persons):
        if known.platforms.get(platform.platform_id) == platform:
            continue
        async with db.transaction() as tx:
            await administration.register_platform(tx, platform, actor=_ADMIN)
            for lender in sorted(lenders):
                access = _access(platform.platform_id, lender, standard)
                if (platform.platform_id, lender) not in known.access:
                    await administration.set_access(tx, access, actor=_ADMIN)


async def _register(tx: Transaction, administration: Administration, member: DevParticipant, known: Snapshot) -> None:
    key = signing_key(member.key_file)
    registration = Registration(
        participant=member.participant,
        institution=member.institution,
        keys=(NewKey(kid=member.kid, alg="ES256", jwk=json.dumps(public_jwk(key))),),
        certificates=(member.certificate.thumbprint,),
    )
    await administration.register(tx, registration, actor=_ADMIN)
    institution = member.institution.institution
    own_admin = Actor(participant_id=f"{institution}-admin", institution=institution, role=Role.LENDER_ADMIN)
    is_admin = member.participant.role is Role.LENDER_ADMIN
    for number in staff_numbers(member.institution):
        is_own = institution in _WITH_ADMIN and number != STAFF_NUMBERS[0]
        if (institution, number) not in known.staff and is_own == is_admin:
            staff = Staff(institution=institution, staff_number=number, kind=StaffKind.QUERY, valid_from=_FROM)
            await administration.register_staff(
                tx, staff, name=f"示例员工{number}", actor=own_admin if is_own else _ADMIN
            )


def staff_numbers(institution: Institution) -> tuple[str, ...]:
    """Return the staff numbers of an institution; a lender without an administrator of its own has one."""
    is_lender = institution.kind is not InstitutionKind.NONE
    return STAFF_NUMBERS if not is_lender or institution.institution in _WITH_ADMIN else STAFF_NUMBERS[:1]


def lenders() -> list[str]:
    """Return the participant ids of the dev stack's lenders."""
    return [participant.participant_id for participant, _ in _cast() if participant.role is Role.LENDER]


def _cast() -> Iterator[tuple[Participant, Institution]]:
    operator = Institution(institution=OPERATOR_INSTITUTION, kind=InstitutionKind.NONE, name="沙箱网关运营方")
    yield _participant("admin-1", Role.GATEWAY_ADMIN, operator), operator
    for name, title in (("bank-cq", "重庆示例银行"), ("bank-sc", "四川示例银行")):
        bank = Institution(institution=name, kind=InstitutionKind.BANK, name=title, licences=(_LENDER_LICENCE,))
        yield _participant(name, Role.LENDER, bank), bank
        yield _participant(f"{name}-admin", Role.LENDER_ADMIN, bank), bank
    for number in range(1, 10):
        name = f"bank-{number:02d}"
        lender = Institution(
            institution=name, kind=InstitutionKind.BANK, name=f"示例银行{number}号", licences=(_LENDER_LICENCE,)
        )
        yield _participant(name, Role.LENDER, lender), lender
    for name, role in (
        ("officer-1", Role.COMPLIANCE),
        ("officer-2", Role.COMPLIANCE),
        ("auditor-1", Role.AUDITOR),
        ("regulator-1", Role.REGULATOR),
    ):
        yield _participant(name, role, operator), operator
    for name, platform in (("platform-cq", "chongqing"), ("platform-sc", "sichuan")):
        owner = Institution(institution=name, kind=InstitutionKind.NONE, name=f"示例平台运营方 {platform}")
        yield _participant(name, Role.PLATFORM_OPERATOR, owner, platform), owner
    portal = Institution(institution="subject-portal", kind=InstitutionKind.NONE, name="示例信息主体服务门户")
    yield _participant("subject-portal", Role.SUBJECT_AGENT, portal), portal
    for name, title in (("authority-cq", "重庆示例授权服务"), ("authority-sc", "四川示例授权服务")):
        authority = Institution(institution=name, kind=InstitutionKind.NONE, name=title)
        yield _participant(name, Role.CONSENT_AUTHORITY, authority), authority


def _participant(name: str, role: Role, institution: Institution, *platforms: str) -> Participant:
    ends = datetime.now(UTC) + timedelta(days=365) if role is Role.REGULATOR else None
    return Participant(
        participant_id=name,
        institution=institution.institution,
        role=role,
        name=institution.name,
        platform_ids=frozenset(platforms),
        valid_to=ends,
    )


def _platforms(*, with_persons: bool) -> list[Platform]:
    licence = SANDBOX_PERSONAL_LICENCE if with_persons else SANDBOX_LICENCE
    licences = (SANDBOX_LICENCE, licence) if with_persons else (SANDBOX_LICENCE,)
    return [
        Platform(
            platform_id=platform_id,
            region=region,
            kind=PlatformKind.REGIONAL_CREDIT_PLATFORM,
            name_zh=name_zh,
            name_en=name_en,
            agreement_id=f"SANDBOX-AGREEMENT-{platform_id}",
            pia_id=f"SANDBOX-PIA-{platform_id}",
            licences=licences,
        )
        for platform_id, region, name_zh, name_en in (
            ("chongqing", "500000", "模拟平台重庆", "simulated platform Chongqing"),
            ("sichuan", "510000", "模拟平台四川", "simulated platform Sichuan"),
        )
    ]


def _access(platform_id: str, lender: str, standard: Standard) -> PlatformAccess:
    return PlatformAccess(
        platform_id=platform_id,
        institution=lender,
        data_items=frozenset(standard.items.held_by(platform_id)),
        purposes=frozenset(purpose.purpose_id for purpose in standard.purposes.all()),
        export_policy=ExportPolicy.VALUES,
        daily_quota=_DAILY_QUOTA,
        valid_to=None,
        confirmed=True,
    )
