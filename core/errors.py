"""One root error. ``gateway/status.py`` alone turns it into a gRPC status (contract: section Reasons)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Reason(StrEnum):
    """Every reason the gateway can give; equal to the contract's ``ErrorReason`` (a test compares them)."""

    # UNAUTHENTICATED
    TOKEN_INVALID = "TOKEN_INVALID"
    TOKEN_EXPIRED = "TOKEN_EXPIRED"
    TOKEN_BINDING_MISMATCH = "TOKEN_BINDING_MISMATCH"
    CLOCK_SKEW = "CLOCK_SKEW"
    PARTICIPANT_SUSPENDED = "PARTICIPANT_SUSPENDED"
    OPERATOR_UNKNOWN = "OPERATOR_UNKNOWN"
    # INVALID_ARGUMENT
    MALFORMED = "MALFORMED"
    IDENTIFIER_INVALID = "IDENTIFIER_INVALID"
    PURPOSE_MISSING = "PURPOSE_MISSING"
    REFERENCE_MISSING = "REFERENCE_MISSING"
    UNKNOWN_DATA_ITEM = "UNKNOWN_DATA_ITEM"
    ITEMS_REQUIRED = "ITEMS_REQUIRED"
    ARTEFACT_MALFORMED = "ARTEFACT_MALFORMED"
    ARTEFACT_SIGNATURE = "ARTEFACT_SIGNATURE"
    ARTEFACT_UNKNOWN_KEY = "ARTEFACT_UNKNOWN_KEY"
    # PERMISSION_DENIED
    ROLE_NOT_ALLOWED = "ROLE_NOT_ALLOWED"
    CONSENT_NOT_FOUND_OR_NOT_YOURS = "CONSENT_NOT_FOUND_OR_NOT_YOURS"
    SUBJECT_MISMATCH = "SUBJECT_MISMATCH"
    PURPOSE_MISMATCH = "PURPOSE_MISMATCH"
    SCOPE_EXCEEDED = "SCOPE_EXCEEDED"
    RANGE_EXCEEDED = "RANGE_EXCEEDED"
    PLATFORM_NOT_GRANTED = "PLATFORM_NOT_GRANTED"
    LENDER_NOT_ADMITTED = "LENDER_NOT_ADMITTED"
    SEPARATE_CONSENT_MISSING = "SEPARATE_CONSENT_MISSING"
    POLICY_LIMIT = "POLICY_LIMIT"
    # NOT_FOUND
    LOAN_NOT_FOUND = "LOAN_NOT_FOUND"
    NOT_FOUND_OR_NOT_YOURS = "NOT_FOUND_OR_NOT_YOURS"
    # FAILED_PRECONDITION
    CONSENT_NOT_STARTED = "CONSENT_NOT_STARTED"
    CONSENT_PAUSED = "CONSENT_PAUSED"
    CONSENT_REVOKED = "CONSENT_REVOKED"
    CONSENT_EXPIRED = "CONSENT_EXPIRED"
    CONSENT_EXHAUSTED = "CONSENT_EXHAUSTED"
    CONSENT_SUPERSEDED = "CONSENT_SUPERSEDED"
    CONSENT_HELD = "CONSENT_HELD"
    SUBJECT_FROZEN = "SUBJECT_FROZEN"
    LOAN_CLOSED = "LOAN_CLOSED"
    REVISION_TOO_OLD = "REVISION_TOO_OLD"
    SECOND_OFFICER_NEEDED = "SECOND_OFFICER_NEEDED"
    PRESERVED = "PRESERVED"
    LICENCE_MISSING = "LICENCE_MISSING"
    # RESOURCE_EXHAUSTED
    RATE_LIMITED = "RATE_LIMITED"
    FREQUENCY_EXCEEDED = "FREQUENCY_EXCEEDED"
    OVERLOADED = "OVERLOADED"
    # ABORTED
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    IN_PROGRESS = "IN_PROGRESS"
    REVISION_CHANGED = "REVISION_CHANGED"
    # ALREADY_EXISTS
    CONSENT_ID_TAKEN = "CONSENT_ID_TAKEN"
    PLATFORM_KIND_TAKEN = "PLATFORM_KIND_TAKEN"
    # UNAVAILABLE
    PLATFORMS_UNAVAILABLE = "PLATFORMS_UNAVAILABLE"
    EVIDENCE_UNAVAILABLE = "EVIDENCE_UNAVAILABLE"
    EVIDENCE_STALE = "EVIDENCE_STALE"
    DRAINING = "DRAINING"
    # DEADLINE_EXCEEDED
    OUT_OF_TIME = "OUT_OF_TIME"
    # DATA_LOSS
    LEDGER_INCONSISTENT = "LEDGER_INCONSISTENT"
    # INTERNAL
    INTERNAL = "INTERNAL"


class Turn(StrEnum):
    """Whose turn it is to act when a call failed; travels in ``ErrorInfo.metadata["turn"]``."""

    CALLER = "CALLER"
    LENDER = "LENDER"
    BORROWER = "BORROWER"
    PLATFORM = "PLATFORM"
    COMPLIANCE = "COMPLIANCE"
    OPERATOR = "OPERATOR"


class BashuError(Exception):
    """A classified failure: a ``reason``, one public sentence, and facts that may be shown.

    ``message`` and ``metadata`` reach the caller; they never hold an identifier of a person, a token, a key or
    a driver's text. What only the log may see travels as ``__cause__`` (``raise ... from error``).
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        metadata: dict[str, str] | None = None,
        turn: Turn = Turn.CALLER,
        field: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message)
        self.reason: Final = reason
        self.message: Final = message
        self.metadata: Final = metadata or {}
        self.turn: Final = turn
        self.field: Final = field
        self.retry_after_s: Final = retry_after_s
