"""Values of a consent and of what surrounds a decision. Rows in, values out; nothing here reads a clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as member
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID

from core.errors import BashuError, Reason, Turn
from core.permit import Subject


class ConsentState(StrEnum):
    """State of a consent, a function of its facts and the time; the first three belong to a request for one."""

    REQUESTED = "REQUESTED"
    DENIED = "DENIED"
    LAPSED = "LAPSED"
    PENDING_START = "PENDING_START"
    ACTIVE = "ACTIVE"
    PAUSED = "PAUSED"
    HELD = "HELD"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"
    EXHAUSTED = "EXHAUSTED"
    SUPERSEDED = "SUPERSEDED"


class Actor(StrEnum):
    """Who changed a consent."""

    SUBJECT = "SUBJECT"
    AUTHORITY = "AUTHORITY"
    LENDER = "LENDER"
    COMPLIANCE = "COMPLIANCE"
    SYSTEM = "SYSTEM"


class HoldKind(StrEnum):
    """A hold is compliance's, a freeze the subject's own."""

    HOLD = "HOLD"
    FREEZE = "FREEZE"


class LoanEnd(StrEnum):
    """Why a loan closed: 结清, 债权转让, 核销, 未放款."""

    SETTLED = "SETTLED"
    TRANSFERRED = "TRANSFERRED"
    WRITTEN_OFF = "WRITTEN_OFF"
    NOT_DRAWN = "NOT_DRAWN"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFacts:
    """One row of ``consent``. ``last_use`` is the ordinal of the latest use; ``used`` counts those not given back.

    ``carried`` of them were spent under consents that this one supersedes; ``last_use`` does not number those.
    """

    consent_id: UUID
    version: int
    institution: str
    authority: str
    authority_kid: str
    artefact_hash: bytes
    subject_kind: str
    id_type: str
    commitment: str
    commitment_kid: str
    subject_display: str
    purpose: str
    ends_with_loan: bool
    plus_days: int
    nbf: datetime
    exp: datetime
    max_uses: int
    used: int
    last_use: int
    window_key: str
    window_used: int
    last_use_at: datetime | None
    revision: int
    last_event: bytes
    registered_at: datetime
    revoked_at: datetime | None = None
    held_count: int = 0
    superseded_by: UUID | None = None
    ended_by_loan: datetime | None = None
    paused_at: datetime | None = None
    carried: int = 0

    @property
    def end(self) -> datetime:
        """The first moment at which the consent stands no more, if nobody does anything."""
        return self.exp if self.ended_by_loan is None else min(self.exp, self.ended_by_loan)


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One event of a consent's life; ``previous`` is the leaf hash of the event before (None at revision 1)."""

    consent_id: UUID
    artefact_hash: bytes
    institution: str
    commitment: str
    commitment_kid: str
    revision: int
    previous: bytes | None
    from_state: ConsentState
    to_state: ConsentState
    reason: str
    actor: Actor
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentEvent:
    """One row of ``consent_event``."""

    revision: int
    from_state: ConsentState
    to_state: ConsentState
    reason: str
    actor: Actor
    at: datetime
    entry_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """One row of ``loan``: no amounts, no identifier. Days are Asia/Shanghai; ``pseudonym`` is the subject's."""

    institution: str
    loan_reference: str
    application_reference: str
    pseudonym: str
    commitments: tuple[str, ...]
    opened_on: date
    due_on: date
    registered_at: datetime
    closed_at: datetime | None = None
    close_reason: LoanEnd | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LiftProposal:
    """A first officer's wish to lift a hold; ``operator`` is the staff number, ``detail_id`` the sealed reason's id."""

    participant: str
    operator: str
    at: datetime
    detail_id: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldRecord:
    """One row of ``hold_record``: who placed a hold or freeze on a consent or (``pseudonym``) on a subject.

    ``placed_operator``: the staff number, or of a freeze the commitment of the natural person who acted. Why is sealed
    under ``detail_id``, the entry that placed it; ``reason`` is text only in rows older than that.
    """

    hold_id: UUID
    kind: HoldKind
    consent_id: UUID | None
    pseudonym: str | None
    display: str
    reason: str
    placed_by: str
    placed_operator: str
    placed_at: datetime
    detail_id: UUID | None = None
    proposal: LiftProposal | None = None
    lifted_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LicenceFact:
    """A licence of a platform or of the gateway's operator. Both days inside, Asia/Shanghai."""

    kind: str
    valid_from: date
    valid_to: date | None = None

    def is_valid_on(self, day: date) -> bool:
        """Tell whether the licence holds on ``day``."""
        return self.valid_from <= day and (self.valid_to is None or day <= self.valid_to)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformFact:
    """A platform that can be asked: where it is, what it may do, what it holds."""

    region: str
    licences: tuple[LicenceFact, ...]
    items: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFact:
    """What one platform admits this lender to, today."""

    items: frozenset[str]
    purposes: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One question, parsed and normalised. Who asks is proven; ``subject`` holds a checked identifier.

    ``request_id`` None: made here, no repeat possible. ``items`` empty: all that is granted; ``regions`` empty: all
    that are granted. ``lookback``: days before today, or first and last day, or None for what is granted.
    ``request_digest``: SHA-256 over the request without ``resend_all``, so that a repeat is the same request.
    ``deadline_s``: seconds the client gives; ``acts``: what the lender wants to do with the answer.
    ``public_items``: public by law and asked for beside what was granted, for an evaluation's hard stops.
    ``is_self``: the subject asks about itself, which its agent's token and mandate prove (条例 Art. 17).
    """

    request_id: UUID | None
    institution: str
    institution_kind: str
    operator: str
    participant: str
    subject: Subject
    purpose: str
    request_digest: bytes
    deadline_s: float
    consent_id: UUID | None = None
    related_consent_ids: tuple[UUID, ...] = ()
    application_reference: str = ""
    loan_reference: str = ""
    items: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    lookback: int | tuple[date, date] | None = None
    allow_narrowing: bool = False
    min_consent_revision: int = 0
    resend_all: bool = False
    legal_basis: str = ""
    acts: frozenset[str] = frozenset({"QUERY"})
    public_items: tuple[str, ...] = ()
    is_self: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What was granted of what was asked. ``items`` and ``platforms`` sorted; both days inside (Asia/Shanghai).

    ``targets``: the items that each platform holds; ``dropped_items`` and ``narrowed`` only with ``allow_narrowing``.
    """

    items: tuple[str, ...]
    platforms: tuple[str, ...]
    targets: Mapping[str, frozenset[str]]
    look_from: date
    look_to: date
    narrowed: bool = False
    dropped_items: tuple[str, ...] = ()
    asked_from: date | None = None
    asked_to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a question is refused: a value, since callers branch on it. ``rule`` names the check."""

    reason: Reason
    message: str
    rule: str = ""
    field: str | None = None
    turn: Turn = Turn.CALLER
    retry_after_s: float | None = None
    metadata: Mapping[str, str] = member(default_factory=dict)

    def error(self) -> BashuError:
        """Return the error that the caller gets."""
        metadata = {**self.metadata, **({"rule": self.rule} if self.rule else {})}
        return BashuError(
            self.reason,
            self.message,
            metadata=metadata,
            turn=self.turn,
            field=self.field,
            retry_after_s=self.retry_after_s,
        )
