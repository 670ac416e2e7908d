"""From bearer token and peer certificate to a Caller: checks 1, 2 and 4 of admission, for every RPC alike.

RFC 7515 and 7519 in the strict profile of :mod:`core.jws`; certificate binding is RFC 8705 section 3.1.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NoReturn, TypeGuard

from core.clock import SHANGHAI, Clock
from core.errors import BashuError, Reason
from core.ids import is_external_reference
from core.jws import JwsMalformed, StrictJws, parse_compact
from gateway.certificates import certificate_thumbprint
from gateway.identity.model import (
    OPERATOR_ROLES,
    Caller,
    Institution,
    Key,
    Mandate,
    Participant,
    Role,
    Snapshot,
)
from gateway.identity.registry import Registry

DEFAULT_AUDIENCE: Final = "bashu-gateway"
MAX_LIFETIME_S: Final = 600
"""``exp`` at most ten minutes after ``iat`` (contract)."""
MAX_AHEAD_S: Final = 10
"""How far ``iat`` may lie ahead; ``exp`` has no leeway (consent-and-ledger, check 2)."""
MAX_TOKEN_BYTES: Final = 4096
CACHE_SIZE: Final = 8192
"""Verified tokens kept; at about 1 KiB each, far more than the callers of one worker in ten minutes."""
CERTIFICATES_KEPT: Final = 1024
_SCHEME: Final = "Bearer "
_COMMITMENT_HEX: Final = 64
_HEX: Final = frozenset("0123456789abcdef")
_TYP: Final = "JWT"


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims of a token whose signature verified. Times are Unix seconds."""

    participant_id: str
    kid: str
    issued_at: int
    expires_at: int
    binding: str | None
    operator: str
    subject_commitment: str | None
    actor_commitment: str | None
    mandate: str | None
    acr: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """A verified token, and the caller it stood for at one version of the registry until ``good_until``."""

    claims: Claims
    key_thumbprint: str
    version: int
    certificate: str | None
    good_until: datetime
    caller: Caller


class Authenticator:
    """Tells who calls. One per worker; ``binds_certificates`` is on whenever the port speaks TLS."""

    def __init__(
        self,
        registry: Registry,
        *,
        clock: Clock,
        binds_certificates: bool,
        audience: str = DEFAULT_AUDIENCE,
        cache_size: int = CACHE_SIZE,
    ) -> None:
        self._registry = registry
        self._clock = clock
        self._audience = audience
        self._binds = binds_certificates
        self._cache_size = cache_size
        self._known: dict[bytes, _Known] = {}
        self._certificates: dict[bytes, str] = {}

    async def authenticate(self, authorization: str | bytes | None, peer_pem: bytes | None) -> Caller:
        """Return the caller behind the ``authorization`` header and the peer's certificate (PEM).

        Raises:
            BashuError: TOKEN_INVALID, TOKEN_EXPIRED, CLOCK_SKEW, TOKEN_BINDING_MISMATCH, PARTICIPANT_SUSPENDED,
                OPERATOR_UNKNOWN; EVIDENCE_UNAVAILABLE where the registry cannot be confirmed.
        """
        certificate = self._thumbprint(peer_pem)
        token = _bearer(authorization)
        snapshot = await self._registry.snapshot()
        digest = hashlib.sha256(token).digest()
        known = self._known.get(digest)
        if known is None:
            claims, key = await self._verified(token)
            snapshot = await self._registry.snapshot()
        elif self._still_stands(known, snapshot, certificate):
            return known.caller
        else:
            claims = known.claims
            key = _same_key(snapshot, claims.kid, known.key_thumbprint)
        _check_times(claims, self._clock.now().timestamp())
        known = self._resolved(claims, key, snapshot, certificate)
        self._keep(digest, known)
        return known.caller

    async def confirm(self, caller: Caller) -> None:
        """Refuse a caller that was authenticated earlier on this stream and could not be today.

        Its token is not looked at again: a stream is identified once, and lives no longer than the server lets it.

        Raises:
            BashuError: TOKEN_INVALID (key), TOKEN_BINDING_MISMATCH, PARTICIPANT_SUSPENDED or OPERATOR_UNKNOWN.
        """
        snapshot = await self._registry.snapshot()
        key = snapshot.keys.get(caller.kid)
        now = self._registry.now()
        if key is None or key.participant_id != caller.participant_id or not key.is_valid_at(now):
            _refuse("the token's key is not valid")
        if self._binds and snapshot.certificates.get(caller.certificate or "") != caller.participant_id:
            _refuse_binding()
        participant = _active(snapshot, caller.participant_id, now)
        _operator_until(snapshot, participant, caller.operator, now)

    def _still_stands(self, known: _Known, snapshot: Snapshot, certificate: str | None) -> bool:
        return (
            known.version == snapshot.version
            and known.certificate == certificate
            and known.claims.expires_at > self._clock.now().timestamp()
            and known.good_until > self._registry.now()
        )

    async def _verified(self, token: bytes) -> tuple[Claims, Key]:
        try:
            jws = parse_compact(token, typ=_TYP)
        except JwsMalformed as error:
            raise _invalid("the token is not a JWS of the strict profile") from error
        key = await self._key(jws.header["kid"])
        if not key.is_valid_at(self._registry.now()) or not key.verification.is_signature_of(jws):
            _refuse("the token's signature or its key is not valid")
        return _claims(jws, self._audience, key), key

    async def _key(self, kid: str) -> Key:
        snapshot = await self._registry.snapshot()
        key = snapshot.keys.get(kid)
        if key is None:
            # A key registered a moment ago at another worker must not wait for the next poll.
            key = (await self._registry.refresh()).keys.get(kid)
        if key is None:
            _refuse("the token's signature or its key is not valid")
        return key

    def _resolved(self, claims: Claims, key: Key, snapshot: Snapshot, certificate: str | None) -> _Known:
        now = self._registry.now()
        if not key.is_valid_at(now):
            _refuse("the token's signature or its key is not valid")
        if self._binds:
            _check_binding(claims, snapshot, certificate)
        participant = _active(snapshot, claims.participant_id, now)
        ends = [_operator_until(snapshot, participant, claims.operator, now), key.valid_to, participant.valid_to]
        institution = snapshot.institutions[participant.institution]
        return _Known(
            claims=claims,
            key_thumbprint=key.thumbprint,
            version=snapshot.version,
            certificate=certificate,
            good_until=min(end for end in [*ends, now + timedelta(seconds=MAX_LIFETIME_S)] if end is not None),
            caller=_caller(claims, participant, institution, certificate if self._binds else None),
        )

    def _keep(self, digest: bytes, known: _Known) -> None:
        if digest not in self._known and len(self._known) >= self._cache_size:
            # Oldest first: a token lives ten minutes at most, so the oldest is the nearest to its end.
            self._known.pop(next(iter(self._known)))
        self._known[digest] = known

    def _thumbprint(self, pem: bytes | None) -> str | None:
        if pem is None or not self._binds:
            return None
        kept = self._certificates.get(pem)
        if kept is None:
            kept = certificate_thumbprint(pem)
            if len(self._certificates) >= CERTIFICATES_KEPT:
                self._certificates.pop(next(iter(self._certificates)))
            self._certificates[pem] = kept
        return kept


def _bearer(authorization: str | bytes | None) -> bytes:
    if not isinstance(authorization, str) or not authorization.startswith(_SCHEME):
        _refuse("no bearer token")
    token = authorization.removeprefix(_SCHEME)
    if not token.isascii() or len(token) > MAX_TOKEN_BYTES:
        _refuse("the token is not a JWS of the strict profile")
    return token.encode("ascii")


def _claims(jws: StrictJws, audience: str, key: Key) -> Claims:
    payload = jws.payload
    subject = payload.get("sub")
    if subject != key.participant_id or payload.get("iss") != subject:
        _refuse("iss and sub must both be the participant the key is registered for")
    if payload.get("aud") != audience:
        _refuse("aud is not this gateway")
    if not _is_text(payload.get("jti")):
        _refuse("jti is missing")
    issued_at, expires_at, not_before = payload.get("iat"), payload.get("exp"), payload.get("nbf", 0)
    if not _is_time(issued_at) or not _is_time(expires_at) or not _is_time(not_before):
        _refuse("iat, exp and nbf must be whole seconds")
    return Claims(
        participant_id=key.participant_id,
        kid=key.kid,
        issued_at=max(issued_at, not_before),
        expires_at=_end(issued_at, expires_at),
        binding=_binding(payload),
        operator=_text(payload, "opr") or "",
        subject_commitment=_text(payload, "sbj"),
        actor_commitment=_text(payload, "act"),
        mandate=_text(payload, "mandate"),
        acr=_text(payload, "acr"),
    )


def _end(issued_at: int, expires_at: int) -> int:
    # The contract answers a token made for too long as one that ended: it never was good.
    return expires_at if expires_at - issued_at <= MAX_LIFETIME_S else 0


def _check_times(claims: Claims, now: float) -> None:
    if claims.expires_at <= now:
        raise BashuError(Reason.TOKEN_EXPIRED, "The token ended, or was made for more than 10 minutes", metadata=_RULE)
    if claims.issued_at > now + MAX_AHEAD_S:
        raise BashuError(Reason.CLOCK_SKEW, "The token's iat lies more than 10 s ahead; set the clock", metadata=_RULE)


def _check_binding(claims: Claims, snapshot: Snapshot, certificate: str | None) -> None:
    if certificate is None or claims.binding is None:
        _refuse_binding()
    if not hmac.compare_digest(claims.binding.encode(), certificate.encode()):
        _refuse_binding()
    if snapshot.certificates.get(certificate) != claims.participant_id:
        _refuse_binding()


def _active(snapshot: Snapshot, participant_id: str, now: datetime) -> Participant:
    participant = snapshot.participants[participant_id]
    if not participant.is_active_at(now):
        raise BashuError(Reason.PARTICIPANT_SUSPENDED, "The participant is suspended or its time is over")
    return participant


def _operator_until(snapshot: Snapshot, participant: Participant, operator: str, now: datetime) -> datetime | None:
    """Check the staff number and return when its last day is over, None where it has none or none is needed."""
    if participant.role not in OPERATOR_ROLES:
        return None
    staff = snapshot.staff.get((participant.institution, operator))
    if staff is None or not is_external_reference(operator) or not staff.is_valid_on(now.astimezone(SHANGHAI).date()):
        raise BashuError(
            Reason.OPERATOR_UNKNOWN,
            "opr (操作员工号) is missing, not registered by the institution, or not valid today",
        )
    if staff.valid_to is None:
        return None
    last = staff.valid_to
    return datetime(last.year, last.month, last.day, tzinfo=SHANGHAI) + timedelta(days=1)


def _caller(claims: Claims, participant: Participant, institution: Institution, certificate: str | None) -> Caller:
    speaks = _Speaker.of(claims) if participant.role is Role.SUBJECT_AGENT else _NOBODY
    return Caller(
        participant_id=participant.participant_id,
        role=participant.role,
        institution=participant.institution,
        institution_kind=institution.kind,
        kid=claims.kid,
        operator=claims.operator,
        licences=institution.licences,
        platform_ids=participant.platform_ids,
        subject_commitment=speaks.subject,
        actor_commitment=speaks.actor,
        mandate=speaks.mandate,
        acr=speaks.acr,
        certificate=certificate,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Speaker:
    """What a SUBJECT_AGENT's token says of the subject it speaks for and the person who acts."""

    subject: str | None = None
    actor: str | None = None
    mandate: Mandate | None = None
    acr: str | None = None

    @classmethod
    def of(cls, claims: Claims) -> _Speaker:
        if not _is_commitment(claims.subject_commitment) or not _is_commitment(claims.actor_commitment):
            _refuse("a subject agent's token needs sbj and act, both commitments in lower-case hex")
        if claims.mandate not in set(Mandate) or not claims.acr:
            _refuse("a subject agent's token needs mandate and acr")
        return cls(
            subject=claims.subject_commitment,
            actor=claims.actor_commitment,
            mandate=Mandate(claims.mandate),
            acr=claims.acr,
        )


_NOBODY: Final = _Speaker()
_RULE: Final = {"rule": "contract: Roles and authentication"}


def _same_key(snapshot: Snapshot, kid: str, thumbprint: str) -> Key:
    key = snapshot.keys.get(kid)
    if key is None or key.thumbprint != thumbprint:
        _refuse("the token's signature or its key is not valid")
    return key


def _binding(payload: Any) -> str | None:
    confirmation = payload.get("cnf")
    if confirmation is None:
        return None
    if not isinstance(confirmation, dict) or set(confirmation) != {"x5t#S256"}:
        _refuse("cnf must hold x5t#S256 alone")
    return _text(confirmation, "x5t#S256")


def _text(payload: Any, name: str) -> str | None:
    value = payload.get(name)
    if value is not None and not _is_text(value):
        _refuse(f"{name} must be short text")
    text: str | None = value
    return text


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= 128  # noqa: PLR2004 - twice what the longest claim needs


def _is_time(value: object) -> TypeGuard[int]:
    return type(value) is int and 0 <= value < 1 << 40


def _is_commitment(value: str | None) -> bool:
    return value is not None and len(value) == _COMMITMENT_HEX and _HEX.issuperset(value)


def _invalid(rule: str) -> BashuError:
    return BashuError(Reason.TOKEN_INVALID, f"The bearer token is not accepted: {rule}", metadata=_RULE)


def _refuse(rule: str) -> NoReturn:
    raise _invalid(rule)


def _refuse_binding() -> NoReturn:
    raise BashuError(
        Reason.TOKEN_BINDING_MISMATCH,
        "The peer certificate is not the one the token is bound to (cnf), or is not registered for its participant",
        metadata=_RULE,
    )
