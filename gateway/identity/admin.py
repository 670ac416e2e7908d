"""Changes of the registry: each with its ledger entry, both in the transaction given here."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from jwt.algorithms import ECAlgorithm, OKPAlgorithm

from core.canonical import canonical_json
from core.clock import rfc3339
from core.errors import BashuError, Reason
from core.jws import JwsMalformed, KeyRefused, VerificationKey, load_public_jwk, strict_json_object
from database import Statements, UniqueConflict
from gateway.identity import store
from gateway.identity.model import (
    Caller,
    Institution,
    Key,
    Participant,
    Platform,
    PlatformAccess,
    Role,
    Staff,
)
from gateway.identity.sealing import NameSeal, operator_commitment
from ledger.model import Entry, EntryType, build_entry
from ledger.store import append

PROPOSAL_LASTS: Final = timedelta(hours=24)
"""How long a first officer's wish waits for the second."""
_LENDERS: Final = frozenset({Role.LENDER, Role.LENDER_ADMIN})
_TAKEN: Final = {
    "participant_pkey": ("participant.participant_id", "this participant id is taken"),
    "participant_key_pkey": ("key.kid", "this kid is taken: a kid is unique over all participants"),
    "participant_key_thumbprint_unique": ("key.jwk", "this key is registered already, here or elsewhere"),
    "participant_certificate_pkey": ("participant.certificate_thumbprints", "this certificate is registered already"),
}


class Outcome(StrEnum):
    """What became of a wish that may need a second officer."""

    APPLIED = "APPLIED"
    PROPOSED = "PROPOSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A public key to register. ``valid_from`` None: from now; ``valid_to`` None: open."""

    kid: str
    alg: str
    jwk: str
    valid_from: datetime | None = None
    valid_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """A participant to register with what it authenticates with; ``certificates`` are x5t#S256."""

    participant: Participant
    institution: Institution
    keys: tuple[NewKey, ...]
    certificates: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """Who changes the registry: a participant, its institution, the staff number acting, its role."""

    participant_id: str
    institution: str
    role: Role
    operator: str = ""

    @classmethod
    def of(cls, caller: Caller) -> Actor:
        """Return the actor behind a call."""
        return cls(
            participant_id=caller.participant_id,
            institution=caller.institution,
            role=caller.role,
            operator=caller.operator,
        )


class Administration:
    """The changes. Every method takes an open transaction, appends last, and leaves the commit to its caller.

    ``origin`` is the ledger's; ``operator_key`` keys the commitments that stand for staff numbers in leaves.
    """

    def __init__(self, *, origin: str, seal: NameSeal, operator_key: bytes) -> None:
        self._origin = origin
        self._seal = seal
        self._operator_key = operator_key

    async def register(self, tx: Statements, registration: Registration, *, actor: Actor) -> None:
        """Register a participant with keys and certificates, and its institution where that is new.

        Raises:
            BashuError: MALFORMED where a key may not be registered, an id, kid, key or certificate is taken, or the
                institution is registered with another kind.
        """
        now = await store.read_now(tx)
        participant, institution = registration.participant, registration.institution
        keys = [checked_key(key, participant.participant_id, now=now) for key in registration.keys]
        with _conflicts_named():
            kind = await store.add_institution(tx, institution)
            if kind is not institution.kind:
                raise _malformed("participant.institution_kind", "the institution is registered with another kind")
            await store.add_participant(tx, participant)
            for key in keys:
                await store.add_key(tx, key)
            await store.add_certificates(tx, participant.participant_id, registration.certificates)
        details = {
            "role": participant.role.value,
            "institution": institution.institution,
            "institution_kind": institution.kind.value,
            "platform_ids": sorted(participant.platform_ids),
            "valid_to": None if participant.valid_to is None else rfc3339(participant.valid_to),
            "certificates": sorted(registration.certificates),
            "licences": [f"{licence.kind} {licence.number}" for licence in institution.licences],
        }
        entry = self._entry(
            EntryType.PARTICIPANT_EVENT, participant.participant_id, actor, now, to="REGISTERED", details=details
        )
        await append(tx, [entry, *(self._key_entry(key, actor, now, to="REGISTERED") for key in keys)])

    async def rotate_key(
        self, tx: Statements, participant_id: str, new: NewKey, *, overlap: timedelta, actor: Actor
    ) -> None:
        """Register a successor; every other key of the participant ends after ``overlap`` at the latest.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS, or MALFORMED as in :meth:`register`.
        """
        await self._locked(tx, participant_id)
        now = await store.read_now(tx)
        succeeds = await store.newest_key(tx, participant_id)
        key = replace(checked_key(new, participant_id, now=now), succeeds=succeeds)
        with _conflicts_named():
            await store.add_key(tx, key)
        await store.end_other_keys(tx, participant_id, but=key.kid, at=now + overlap)
        await append(tx, [self._key_entry(key, actor, now, to="ROTATED", was=succeeds)])

    async def revoke_key(
        self, tx: Statements, participant_id: str, kid: str, *, compromised: bool, actor: Actor
    ) -> None:
        """Revoke a key at once; of a compromised one nothing signed later than now counts.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS.
        """
        await self._locked(tx, participant_id)
        now = await store.read_now(tx)
        if not await store.revoke_key(tx, participant_id, kid, at=now, compromised=compromised):
            raise _not_found("key")
        to = "COMPROMISED" if compromised else "REVOKED"
        details = {"participant": participant_id, "kid": kid}
        await append(tx, [self._entry(EntryType.KEY_EVENT, kid, actor, now, to=to, details=details)])

    async def suspend(
        self, tx: Statements, participant_id: str, *, suspended: bool, reason: str, actor: Actor
    ) -> Outcome:
        """Suspend or restore a participant; an officer of compliance needs a second one within 24 h.

        PROPOSED means: kept and recorded, nothing changed yet. Commit it before answering SECOND_OFFICER_NEEDED.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS.
        """
        await self._locked(tx, participant_id)
        now = await store.read_now(tx)
        to = "SUSPENDED" if suspended else "RESTORED"
        details = {"reason": reason}
        if actor.role is Role.COMPLIANCE and not await _seconded(tx, participant_id, suspended, actor, now):
            await store.put_proposal(
                tx,
                participant_id,
                suspended=suspended,
                reason=reason,
                proposed_by=actor.participant_id,
                proposed_operator=actor.operator,
            )
            to = f"{to}_PROPOSED"
            await append(
                tx, [self._entry(EntryType.PARTICIPANT_EVENT, participant_id, actor, now, to=to, details=details)]
            )
            return Outcome.PROPOSED
        await store.decide_proposal(tx, participant_id)
        await store.set_suspended(tx, participant_id, since=now if suspended else None, reason=reason)
        await append(tx, [self._entry(EntryType.PARTICIPANT_EVENT, participant_id, actor, now, to=to, details=details)])
        return Outcome.APPLIED

    async def register_staff(self, tx: Statements, staff: Staff, *, name: str, actor: Actor) -> None:
        """Register a staff number (操作员工号) or change what it is for; the name is sealed.

        A LENDER_ADMIN registers its own institution's. A GATEWAY_ADMIN registers those of the others, and a
        lender's very first, without which no LENDER_ADMIN could act.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS for an institution that is not the actor's to staff.
        """
        if not await _may_staff(tx, staff.institution, actor):
            raise _not_found("institution")
        now = await store.read_now(tx)
        sealed = self._seal.seal(name, institution=staff.institution, staff_number=staff.staff_number)
        await store.put_staff(tx, staff, sealed_name=sealed, registered_by=actor.participant_id)
        details = {
            "institution": staff.institution,
            "operator_commitment": self._commitment(staff.institution, staff.staff_number),
            "kind": staff.kind.value,
            "valid_from": staff.valid_from.isoformat(),
            "valid_to": None if staff.valid_to is None else staff.valid_to.isoformat(),
        }
        entry = self._entry(
            EntryType.PARTICIPANT_EVENT, staff.institution, actor, now, to="STAFF_REGISTERED", details=details
        )
        await append(tx, [entry])

    async def set_quota(
        self, tx: Statements, institution: str, *, per_day: int, per_second: int, actor: Actor
    ) -> datetime:
        """Say how many queries a lender may make a day and a second, 0 for no limit; return since when.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where no lender belongs to such an institution.
        """
        now = await store.read_now(tx)
        if not await store.institution_roles(tx, institution) & _LENDERS:
            raise _not_found("institution")
        await store.set_quota(tx, institution, per_day=per_day, per_second=per_second)
        details = {"queries_per_day": per_day, "queries_per_second": per_second}
        entry = self._entry(EntryType.PARTICIPANT_EVENT, institution, actor, now, to="QUOTA_SET", details=details)
        await append(tx, [entry])
        return now

    async def register_platform(self, tx: Statements, platform: Platform, *, actor: Actor) -> None:
        """Register a platform with its licences, agreement and impact assessment, or change them.

        Raises:
            BashuError: PLATFORM_KIND_TAKEN where the region has another active 融资信用服务平台 (R45).
        """
        now = await store.read_now(tx)
        try:
            await store.put_platform(tx, platform)
        except UniqueConflict as error:
            raise BashuError(
                Reason.PLATFORM_KIND_TAKEN,
                "The region has an active platform of this kind",
                metadata={"rule": "R45", "region": platform.region},
            ) from error
        details = {
            "region": platform.region,
            "platform_kind": platform.kind.value,
            "agreement_id": platform.agreement_id,
            "pia_id": platform.pia_id,
            "licences": [f"{licence.kind} {licence.number}" for licence in platform.licences],
        }
        to = platform.state.value
        entry = self._entry(EntryType.PLATFORM_EVENT, platform.platform_id, actor, now, to=to, details=details)
        await append(tx, [entry])

    async def platform_state(
        self, tx: Statements, platform_id: str, *, was: str, to: str, details: Mapping[str, Any], actor: Actor
    ) -> None:
        """Record that a platform, or one lender at it, was stopped or goes on."""
        now = await store.read_now(tx)
        entry = self._entry(EntryType.PLATFORM_EVENT, platform_id, actor, now, to=to, details={**details, "was": was})
        await append(tx, [entry])

    async def set_access(self, tx: Statements, access: PlatformAccess, *, actor: Actor) -> None:
        """Admit a lender to a platform, or change what it is admitted to; an earlier stop of it stays."""
        await store.put_access(tx, access)
        await self._access_event(tx, access, actor=actor)

    async def access_proposed(self, tx: Statements, access: PlatformAccess, *, actor: Actor) -> None:
        """Record a first person's wish to admit a lender; nothing changes by it."""
        await self._access_event(tx, access, actor=actor)

    async def _access_event(self, tx: Statements, access: PlatformAccess, *, actor: Actor) -> None:
        now = await store.read_now(tx)
        details = {
            "institution": access.institution,
            "data_items": sorted(access.data_items),
            "purposes": sorted(access.purposes),
            "export_policy": access.export_policy.value,
            "daily_quota": access.daily_quota,
            "valid_to": None if access.valid_to is None else access.valid_to.isoformat(),
        }
        to = "ACCESS_CONFIRMED" if access.confirmed else "ACCESS_PROPOSED"
        entry = self._entry(EntryType.PLATFORM_EVENT, access.platform_id, actor, now, to=to, details=details)
        await append(tx, [entry])

    async def _locked(self, tx: Statements, participant_id: str) -> Participant:
        participant = await store.lock_participant(tx, participant_id)
        if participant is None:
            raise _not_found("participant")
        return participant

    def _key_entry(self, key: Key, actor: Actor, now: datetime, *, to: str, was: str | None = None) -> Entry:
        details = {
            "participant": key.participant_id,
            "kid": key.kid,
            "alg": key.verification.alg,
            "thumbprint": key.thumbprint,
            "valid_from": rfc3339(key.valid_from),
            "succeeds": was,
        }
        return self._entry(EntryType.KEY_EVENT, key.kid, actor, now, to=to, details=details)

    def _entry(
        self, kind: EntryType, about: str, actor: Actor, now: datetime, *, to: str, details: Mapping[str, Any]
    ) -> Entry:
        requester = {"institution": actor.institution}
        if actor.operator:
            requester["operator_commitment"] = self._commitment(actor.institution, actor.operator)
        fields = {
            "object": about,
            "requester": requester,
            "status": {"to": to, "actor": actor.participant_id},
            "detail_sha256": hashlib.sha256(canonical_json(dict(details))).hexdigest(),
        }
        return build_entry(kind, origin=self._origin, ts=now, fields=fields)

    def _commitment(self, institution: str, staff_number: str) -> str:
        return operator_commitment(self._operator_key, institution, staff_number)


def checked_key(new: NewKey, participant_id: str, *, now: datetime) -> Key:
    """Turn a key to register into a Key, refusing private, foreign, weak or misdeclared material.

    Raises:
        BashuError: MALFORMED; the message names the rule, never the key.
    """
    try:
        verification = load_public_jwk(strict_json_object(new.jwk.encode()), kid=new.kid, alg=new.alg)
    except (JwsMalformed, KeyRefused) as error:
        raise _malformed("key.jwk", str(error)) from error
    jwk = _members(verification)
    return Key(
        participant_id=participant_id,
        verification=verification,
        jwk=jwk.decode(),
        thumbprint=base64.urlsafe_b64encode(hashlib.sha256(jwk).digest()).rstrip(b"=").decode(),
        valid_from=new.valid_from or now,
        valid_to=new.valid_to,
    )


def _members(key: VerificationKey) -> bytes:
    """Return the required members as canonical JSON: what is stored, and what RFC 7638 section 3 hashes."""
    public = key.public_key
    if isinstance(public, Ed25519PublicKey):
        members = OKPAlgorithm.to_jwk(public, as_dict=True)
    else:
        members = ECAlgorithm.to_jwk(public, as_dict=True)
    return canonical_json({name: members[name] for name in ("crv", "kty", "x", "y") if name in members})


async def _seconded(tx: Statements, participant_id: str, suspended: bool, actor: Actor, now: datetime) -> bool:
    """Tell whether another officer wished the same within the last 24 h: another participant and another person."""
    proposal = await store.lock_proposal(tx, participant_id)
    return (
        proposal is not None
        and proposal.suspended is suspended
        and proposal.proposed_by != actor.participant_id
        and proposal.proposed_operator != actor.operator
        and now - proposal.proposed_at <= PROPOSAL_LASTS
    )


async def _may_staff(tx: Statements, institution: str, actor: Actor) -> bool:
    if actor.role is Role.LENDER_ADMIN:
        return institution == actor.institution
    roles = await store.institution_roles(tx, institution)
    return bool(roles) and (not roles & _LENDERS or not await store.has_staff(tx, institution))


@contextmanager
def _conflicts_named() -> Iterator[None]:
    try:
        yield
    except UniqueConflict as error:
        field, rule = _TAKEN.get(error.constraint or "", (None, ""))
        if field is None:
            raise
        raise _malformed(field, rule) from error


def _malformed(field: str, rule: str) -> BashuError:
    return BashuError(Reason.MALFORMED, rule, field=field)


def _not_found(kind: str) -> BashuError:
    return BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, f"No such {kind}, or not yours")
