"""AdminService: participants, keys, staff, quotas, policy, settings and the doctor."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final

import grpc
from google.protobuf.timestamp_pb2 import Timestamp

from bashu.v1 import admin_pb2, admin_pb2_grpc, common_pb2
from core.clock import SHANGHAI
from core.errors import BashuError, Reason, Turn
from core.ids import is_external_reference
from database import Database
from gateway.doctor import State
from gateway.identity import store
from gateway.identity.admin import Actor, Administration, NewKey, Outcome, Registration
from gateway.identity.model import (
    LICENCE_KINDS,
    Institution,
    InstitutionKind,
    Key,
    Licence,
    Participant,
    Role,
    Snapshot,
    Staff,
    StaffKind,
    current_caller,
)
from gateway.identity.registry import Registry
from gateway.limits.service import QueryLimits
from gateway.operations import Operations
from gateway.policy.service import Policies
from gateway.policy.table import read_table, table_json
from gateway.reviews import by_caller
from gateway.validation import validate
from standards.catalogue import Standard

DEFAULT_PAGE: Final = 50
_LONGEST_NAME: Final = 200
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")
_Context = grpc.aio.ServicerContext[Any, Any]


class AdminServicer(admin_pb2_grpc.AdminServiceServicer):
    """Changes the registry in one transaction a call; other workers see it within a second."""

    def __init__(
        self,
        *,
        db: Database,
        administration: Administration,
        registry: Registry,
        operations: Operations,
        policies: Policies,
        limits: QueryLimits | None,
        standard: Standard,
    ) -> None:
        self._limits = limits
        self._operations = operations
        self._policies = policies
        self._standard = standard
        self._db = db
        self._administration = administration
        self._registry = registry

    async def RegisterParticipant(  # noqa: N802
        self, request: admin_pb2.RegisterParticipantRequest, _context: _Context
    ) -> admin_pb2.RegisterParticipantResponse:
        """Register a participant with at least one key."""
        validate(request)
        registration = _registration(request.participant)
        async with self._db.transaction() as tx:
            await self._administration.register(tx, registration, actor=_actor())
        return admin_pb2.RegisterParticipantResponse(
            participant=await self._participant(registration.participant.participant_id)
        )

    async def SuspendParticipant(  # noqa: N802
        self, request: admin_pb2.SuspendParticipantRequest, _context: _Context
    ) -> admin_pb2.SuspendParticipantResponse:
        """Suspend or restore; for COMPLIANCE a second officer's call does it."""
        validate(request)
        async with self._db.transaction() as tx:
            outcome = await self._administration.suspend(
                tx, request.participant_id, suspended=request.suspended, reason=request.reason, actor=_actor()
            )
        if outcome is Outcome.PROPOSED:
            raise BashuError(
                Reason.SECOND_OFFICER_NEEDED,
                "Recorded; it takes effect when a second officer asks for the same within 24 hours",
                turn=Turn.COMPLIANCE,
            )
        return admin_pb2.SuspendParticipantResponse(participant=await self._participant(request.participant_id))

    async def RotateKey(  # noqa: N802
        self, request: admin_pb2.RotateKeyRequest, _context: _Context
    ) -> admin_pb2.RotateKeyResponse:
        """Register a successor key."""
        validate(request)
        async with self._db.transaction() as tx:
            await self._administration.rotate_key(
                tx,
                request.participant_id,
                _new_key(request.key),
                overlap=timedelta(days=request.overlap_days),
                actor=_actor(),
            )
        return admin_pb2.RotateKeyResponse(participant=await self._participant(request.participant_id))

    async def RevokeKey(  # noqa: N802
        self, request: admin_pb2.RevokeKeyRequest, _context: _Context
    ) -> admin_pb2.RevokeKeyResponse:
        """Revoke a key at once."""
        validate(request)
        async with self._db.transaction() as tx:
            await self._administration.revoke_key(
                tx, request.participant_id, request.kid, compromised=request.compromised, actor=_actor()
            )
        return admin_pb2.RevokeKeyResponse(participant=await self._participant(request.participant_id))

    async def RegisterStaff(  # noqa: N802
        self, request: admin_pb2.RegisterStaffRequest, _context: _Context
    ) -> admin_pb2.RegisterStaffResponse:
        """Register a staff number (操作员工号)."""
        validate(request)
        staff = Staff(
            institution=request.institution,
            staff_number=request.staff_number,
            kind=StaffKind(request.kind),
            valid_from=_day(request.valid_from, "valid_from") or self._registry.now().astimezone(SHANGHAI).date(),
            valid_to=_day(request.valid_to, "valid_to"),
        )
        if staff.valid_to is not None and staff.valid_to < staff.valid_from:
            raise _malformed("valid_to", "the last day lies before the first")
        async with self._db.transaction() as tx:
            await self._administration.register_staff(tx, staff, name=request.name, actor=_actor())
        return admin_pb2.RegisterStaffResponse(staff_number=staff.staff_number)

    async def ListParticipants(  # noqa: N802
        self, request: admin_pb2.ListParticipantsRequest, _context: _Context
    ) -> admin_pb2.ListParticipantsResponse:
        """List participants by id; the page token is the last id of the page before."""
        validate(request)
        size = request.page.page_size or DEFAULT_PAGE
        found = await store.participant_page(self._db, after=request.page.page_token, limit=size + 1)
        snapshot = await self._registry.refresh(older_than_s=0.0)
        page = admin_pb2.ListParticipantsResponse(participants=[_message(snapshot, name) for name in found[:size]])
        page.page.next_page_token = found[size - 1] if len(found) > size else ""
        return page

    async def SetQuota(  # noqa: N802
        self, request: admin_pb2.SetQuotaRequest, _context: _Context
    ) -> admin_pb2.SetQuotaResponse:
        """Say how many queries a lender may make a day and a second."""
        validate(request)
        async with self._db.transaction() as tx:
            since = await self._administration.set_quota(
                tx,
                request.institution,
                per_day=request.queries_per_day,
                per_second=request.queries_per_second,
                actor=_actor(),
            )
        await self._registry.refresh(older_than_s=0.0)
        return admin_pb2.SetQuotaResponse(effective_at=_stamp(since))

    async def GetQuota(  # noqa: N802
        self, request: admin_pb2.GetQuotaRequest, _context: _Context
    ) -> admin_pb2.GetQuotaResponse:
        """Return a lender's quota and what was taken of it today."""
        validate(request)
        caller = current_caller()
        name = request.institution or caller.institution
        found = (await self._registry.refresh(older_than_s=0.0)).institutions.get(name)
        if found is None or (caller.role is not Role.GATEWAY_ADMIN and name != caller.institution):
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such institution, or not yours", field="institution")
        taken = await self._limits.taken_today(name) if self._limits and found.queries_per_day else 0
        return admin_pb2.GetQuotaResponse(
            institution=name,
            queries_per_day=found.queries_per_day,
            queries_per_second=found.queries_per_second,
            taken_today=taken,
        )

    async def SetPolicy(  # noqa: N802
        self, request: admin_pb2.SetPolicyRequest, _context: _Context
    ) -> admin_pb2.SetPolicyResponse:
        """Put a policy table in the place of the one in force; every worker's next admission decides by it."""
        validate(request)
        rules = read_table(request.table, self._standard)
        version = await self._policies.set(
            rules, replaces=int(request.replaces_version), by=by_caller(current_caller())
        )
        return admin_pb2.SetPolicyResponse(policy_version=str(version))

    async def GetPolicy(  # noqa: N802
        self, request: admin_pb2.GetPolicyRequest, _context: _Context
    ) -> admin_pb2.GetPolicyResponse:
        """Return the policy table in force, or an earlier version."""
        validate(request)
        wanted = int(request.policy_version) if request.policy_version else None
        version, rules, row = await self._policies.show(wanted)
        answer = admin_pb2.GetPolicyResponse(policy_version=str(version), table=table_json(rules))
        if row is not None:
            answer.set_at.FromDatetime(row.set_at)
            answer.set_by, answer.entry_id = row.set_by, str(row.entry_id)
        return answer

    async def GetSettings(  # noqa: N802
        self, request: admin_pb2.GetSettingsRequest, _context: _Context
    ) -> admin_pb2.GetSettingsResponse:
        """Return the settings in force; of a file only that one is named."""
        validate(request)
        return admin_pb2.GetSettingsResponse(settings=self._operations.shown())

    async def RunDoctor(  # noqa: N802
        self, request: admin_pb2.RunDoctorRequest, _context: _Context
    ) -> admin_pb2.RunDoctorResponse:
        """Check every link of this machine that needs no subject."""
        validate(request)
        findings = [
            admin_pb2.DoctorFinding(
                check=finding.check,
                ok=finding.state is not State.FAIL,
                text=f"{finding.state.value} {finding.zh} {finding.en}",
                turn=finding.turn.value if finding.state in {State.WARN, State.FAIL} else "",
            )
            for finding in await self._operations.findings()
        ]
        return admin_pb2.RunDoctorResponse(findings=findings)

    async def _participant(self, participant_id: str) -> admin_pb2.Participant:
        # Also makes this worker act on the change at once.
        return _message(await self._registry.refresh(older_than_s=0.0), participant_id)


def _actor() -> Actor:
    return Actor.of(current_caller())


def _registration(asked: admin_pb2.Participant) -> Registration:
    if not is_external_reference(asked.participant_id) or not asked.participant_id.isascii():
        raise _malformed("participant.participant_id", "1 to 64 letters, digits and _ . @ -")
    if not is_external_reference(asked.institution) or not asked.institution.isascii():
        raise _malformed("participant.institution", "1 to 64 letters, digits and _ . @ -")
    if not 0 < len(asked.name) <= _LONGEST_NAME:
        raise _malformed("participant.name", f"1 to {_LONGEST_NAME} characters")
    if not all(_THUMBPRINT.fullmatch(thumbprint) for thumbprint in asked.certificate_thumbprints):
        raise _malformed("participant.certificate_thumbprints", "x5t#S256: 43 characters of base64url")
    if asked.role == common_pb2.ROLE_UNSPECIFIED or asked.role not in common_pb2.Role.values():
        raise _malformed("participant.role", "must be one of the contract's roles")
    if not asked.keys:
        raise _malformed("participant.keys", "a participant needs a key")
    role = Role(common_pb2.Role.Name(asked.role).removeprefix("ROLE_"))
    if asked.platform_ids and role is not Role.PLATFORM_OPERATOR:
        raise _malformed("participant.platform_ids", "only a PLATFORM_OPERATOR has platforms")
    if role is Role.REGULATOR:
        raise _malformed("participant.role", "a REGULATOR is invited by two officers, with an end date")
    return Registration(
        participant=Participant(
            participant_id=asked.participant_id,
            institution=asked.institution,
            role=role,
            name=asked.name,
            platform_ids=frozenset(asked.platform_ids),
        ),
        institution=Institution(
            institution=asked.institution,
            kind=_institution_kind(asked.institution_kind, role),
            name=asked.name,
            licences=tuple(_licence(licence) for licence in asked.licences),
        ),
        keys=tuple(_new_key(key) for key in asked.keys),
        certificates=tuple(asked.certificate_thumbprints),
    )


def _institution_kind(text: str, role: Role) -> InstitutionKind:
    if text not in set(InstitutionKind) or (role is Role.LENDER and not text):
        raise _malformed("participant.institution_kind", "must be a kind of lender for a LENDER, or empty for others")
    return InstitutionKind(text)


def _new_key(key: admin_pb2.PublicKey) -> NewKey:
    if not is_external_reference(key.kid) or not key.kid.isascii():
        raise _malformed("key.kid", "1 to 64 letters, digits and _ . @ -")
    new = NewKey(
        kid=key.kid, alg=key.alg, jwk=key.jwk, valid_from=_time(key, "valid_from"), valid_to=_time(key, "valid_to")
    )
    if new.valid_from and new.valid_to and new.valid_to < new.valid_from:
        raise _malformed("key.valid_to", "the key ends before it begins")
    return new


def _licence(licence: common_pb2.Licence) -> Licence:
    first, last = _day(licence.valid_from, "licences.valid_from"), _day(licence.valid_to, "licences.valid_to")
    if first is None or (last is not None and last < first):
        raise _malformed("participant.licences", "valid_from is needed, and valid_to not before it")
    if licence.kind not in LICENCE_KINDS:
        raise _malformed("participant.licences", "kind must be one of licence_kinds")
    return Licence(
        kind=licence.kind, number=licence.number, authority=licence.authority, valid_from=first, valid_to=last
    )


def _message(snapshot: Snapshot, participant_id: str) -> admin_pb2.Participant:
    participant = snapshot.participants[participant_id]
    institution = snapshot.institutions[participant.institution]
    keys = sorted((k for k in snapshot.keys.values() if k.participant_id == participant_id), key=lambda k: k.kid)
    return admin_pb2.Participant(
        participant_id=participant_id,
        institution=participant.institution,
        institution_kind=institution.kind.value,
        name=participant.name,
        role=common_pb2.Role.Value(f"ROLE_{participant.role.value}"),
        suspended=participant.suspended_at is not None,
        keys=[_key_message(key) for key in keys],
        licences=[_licence_message(licence) for licence in institution.licences],
        platform_ids=sorted(participant.platform_ids),
        certificate_thumbprints=sorted(t for t, owner in snapshot.certificates.items() if owner == participant_id),
    )


def _key_message(key: Key) -> admin_pb2.PublicKey:
    return admin_pb2.PublicKey(
        kid=key.kid,
        jwk=key.jwk,
        alg=key.verification.alg,
        valid_from=_stamp(key.valid_from),
        valid_to=_stamp(key.valid_to),
        revoked_at=_stamp(key.revoked_at),
    )


def _licence_message(licence: Licence) -> common_pb2.Licence:
    return common_pb2.Licence(
        kind=licence.kind,
        number=licence.number,
        authority=licence.authority,
        valid_from=licence.valid_from.isoformat(),
        valid_to="" if licence.valid_to is None else licence.valid_to.isoformat(),
    )


def _stamp(moment: datetime | None) -> Timestamp | None:
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _time(key: admin_pb2.PublicKey, name: str) -> datetime | None:
    if not key.HasField(name):  # type: ignore[arg-type]
        return None
    try:
        moment: datetime = getattr(key, name).ToDatetime(UTC)
    except (ValueError, OverflowError) as error:
        raise _malformed(f"key.{name}", "not a time") from error
    return moment


def _day(text: str, field: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise _malformed(field, "not a calendar day") from error


def _malformed(field: str, rule: str) -> BashuError:
    return BashuError(Reason.MALFORMED, f"{field}: {rule}", field=field)
