"""The registry's values: who may ask, sign, operate and answer."""

from __future__ import annotations

from collections.abc import Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Final

from core.jws import VerificationKey


class Role(StrEnum):
    """The one role of a participant; it comes from the registry, never from a token."""

    LENDER = "LENDER"
    LENDER_ADMIN = "LENDER_ADMIN"
    SUBJECT_AGENT = "SUBJECT_AGENT"
    CONSENT_AUTHORITY = "CONSENT_AUTHORITY"
    PLATFORM_OPERATOR = "PLATFORM_OPERATOR"
    GATEWAY_ADMIN = "GATEWAY_ADMIN"
    COMPLIANCE = "COMPLIANCE"
    AUDITOR = "AUDITOR"
    REGULATOR = "REGULATOR"


OPERATOR_ROLES: Final = frozenset(
    {Role.LENDER, Role.LENDER_ADMIN, Role.COMPLIANCE, Role.PLATFORM_OPERATOR, Role.GATEWAY_ADMIN},
)
"""Roles whose tokens must name the staff number acting (``opr``, 操作员工号)."""


class Mandate(StrEnum):
    """By what right a natural person speaks for a subject."""

    SELF = "SELF"
    OWNER = "OWNER"
    LEGAL_REPRESENTATIVE = "LEGAL_REPRESENTATIVE"
    AGENT = "AGENT"


class InstitutionKind(StrEnum):
    """Kind of an institution; NONE for those that are no lender."""

    NONE = ""
    BANK = "bank"
    MICRO_LENDER = "micro_lender"
    GUARANTEE = "guarantee"
    LEASING = "leasing"
    FACTORING = "factoring"
    AMC = "amc"


class StaffKind(StrEnum):
    """What a staff number (操作员工号) is for."""

    QUERY = "query"
    DISPUTE = "dispute"
    BATCH = "batch"


LICENCE_KINDS: Final = frozenset(
    {
        "PERSONAL_CREDIT_LICENCE",
        "ENTERPRISE_CREDIT_FILING",
        "RATING_FILING",
        "PUBLIC_FINANCING_PLATFORM",
        "FINANCIAL_LICENCE",
    },
)
"""Kinds the registry's table accepts; equal to ``licence_kinds.csv`` (a test compares them)."""


class LicenceOwner(StrEnum):
    """Who holds a licence; the gateway's own operator's stands in the settings."""

    INSTITUTION = "INSTITUTION"
    PLATFORM = "PLATFORM"


class PlatformState(StrEnum):
    """Whether a platform takes enquiries."""

    RUNNING = "RUNNING"
    DRAINING = "DRAINING"
    MAINTENANCE = "MAINTENANCE"
    STOPPED = "STOPPED"


class PlatformKind(StrEnum):
    """融资信用服务平台 (one a region, R45) or 地方征信平台."""

    PUBLIC_FINANCING_PLATFORM = "PUBLIC_FINANCING_PLATFORM"
    REGIONAL_CREDIT_PLATFORM = "REGIONAL_CREDIT_PLATFORM"


class ExportPolicy(StrEnum):
    """How an item may leave a platform; never widened on the way."""

    VALUES = "VALUES"
    DERIVED = "DERIVED"
    VERIFY_ONLY = "VERIFY_ONLY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Licence:
    """A licence (许可或备案). Both days inside, Asia/Shanghai; ``valid_to`` None where it has no end."""

    kind: str
    number: str
    authority: str
    valid_from: date
    valid_to: date | None = None

    def is_valid_on(self, day: date) -> bool:
        """Tell whether the licence holds on ``day``."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """A registered public key, good for one algorithm. ``[valid_from, valid_to)``; times are UTC.

    ``compromised_at``: what it signed later than this is refused, whatever else is said.
    ``thumbprint`` is RFC 7638.
    """

    participant_id: str
    verification: VerificationKey
    jwk: str
    thumbprint: str
    valid_from: datetime
    valid_to: datetime | None = None
    revoked_at: datetime | None = None
    compromised_at: datetime | None = None
    succeeds: str | None = None

    @property
    def kid(self) -> str:
        """Key id, unique over all participants."""
        return self.verification.kid

    def is_valid_at(self, moment: datetime) -> bool:
        """Tell whether a token checked at ``moment`` may be signed by this key."""
        return (
            self.revoked_at is None and self.valid_from <= moment and (self.valid_to is None or moment < self.valid_to)
        )

    def was_valid_at(self, signed_at: datetime) -> bool:
        """Tell whether something signed at ``signed_at`` still counts: a later revocation ends only what is later."""
        ends = [end for end in (self.valid_to, self.revoked_at, self.compromised_at) if end is not None]
        return self.valid_from <= signed_at and all(signed_at < end for end in ends)


@dataclass(frozen=True, slots=True, kw_only=True)
class Institution:
    """A legal body that participants belong to; consents are bound to it. Of its queries 0 is no limit."""

    institution: str
    kind: InstitutionKind
    name: str
    licences: tuple[Licence, ...] = ()
    queries_per_day: int = 0
    queries_per_second: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Participant:
    """One participant: one role, one institution. ``valid_to`` is the end date of a REGULATOR's invitation."""

    participant_id: str
    institution: str
    role: Role
    name: str
    platform_ids: frozenset[str] = frozenset()
    suspended_at: datetime | None = None
    valid_to: datetime | None = None

    def is_active_at(self, moment: datetime) -> bool:
        """Tell whether the participant may act at ``moment``."""
        return self.suspended_at is None and (self.valid_to is None or moment < self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Staff:
    """A staff number (操作员工号) of an institution; the name stays sealed in the database. Both days inside."""

    institution: str
    staff_number: str
    kind: StaffKind
    valid_from: date
    valid_to: date | None = None

    def is_valid_on(self, day: date) -> bool:
        """Tell whether the number may act on ``day`` (Asia/Shanghai)."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Platform:
    """A regional platform as registered. ``region`` is a GB/T 2260 code (``500000``, ``510000``)."""

    platform_id: str
    region: str
    kind: PlatformKind
    name_zh: str
    name_en: str
    agreement_id: str
    pia_id: str
    state: PlatformState = PlatformState.RUNNING
    licences: tuple[Licence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformAccess:
    """What one platform admits one lender to; an empty list admits to nothing."""

    platform_id: str
    institution: str
    data_items: frozenset[str]
    purposes: frozenset[str]
    export_policy: ExportPolicy
    daily_quota: int
    valid_to: date | None
    confirmed: bool
    stopped_at: datetime | None = None

    def is_valid_on(self, day: date) -> bool:
        """Tell whether a second person confirmed it, it holds on ``day`` (Asia/Shanghai), and nobody stopped it."""
        return self.confirmed and self.stopped_at is None and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole registry at one version; immutable, so a reader is never surprised half-way."""

    version: int
    institutions: Mapping[str, Institution] = field(default_factory=dict)
    participants: Mapping[str, Participant] = field(default_factory=dict)
    keys: Mapping[str, Key] = field(default_factory=dict)
    certificates: Mapping[str, str] = field(default_factory=dict)
    staff: Mapping[tuple[str, str], Staff] = field(default_factory=dict)
    platforms: Mapping[str, Platform] = field(default_factory=dict)
    access: Mapping[tuple[str, str], PlatformAccess] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """The participant behind a call, proven by token and certificate.

    ``operator`` is the staff number acting, empty where the role needs none. ``subject_commitment``,
    ``actor_commitment``, ``mandate`` and ``acr`` are a SUBJECT_AGENT's: the one subject it speaks for, the natural
    person who acts, by what right, and how that person was authenticated. ``certificate`` is x5t#S256 of the peer's
    certificate, None on a plaintext loopback port.
    """

    participant_id: str
    role: Role
    institution: str
    institution_kind: InstitutionKind
    kid: str
    operator: str = ""
    licences: tuple[Licence, ...] = ()
    platform_ids: frozenset[str] = frozenset()
    subject_commitment: str | None = None
    actor_commitment: str | None = None
    mandate: Mandate | None = None
    acr: str | None = None
    certificate: str | None = None


CALLER: Final[ContextVar[Caller]] = ContextVar("bashu_caller")
REQUEST_ID: Final[ContextVar[str]] = ContextVar("bashu_request_id", default="")
DEADLINE: Final[ContextVar[float]] = ContextVar("bashu_deadline")
"""What the interceptors know of the call under way; they alone set these."""


def current_caller() -> Caller:
    """Return who calls; only inside an RPC that needs identity (LookupError elsewhere)."""
    return CALLER.get()


def current_request_id() -> str:
    """Return the id that log line and error details of this call carry, empty outside a call.

    It is the call's, not a query's own ``request_id``: a stream has one, its queries each bring theirs.
    """
    return REQUEST_ID.get()


def current_deadline() -> float:
    """Return when the call under way is out of time, on ``asyncio``'s loop clock (LookupError outside a call)."""
    return DEADLINE.get()
