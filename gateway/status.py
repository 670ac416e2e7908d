"""The one place where a failure becomes a gRPC status: code and google.rpc details (contract: section Reasons)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, QuotaFailure, RetryInfo
from google.rpc.status_pb2 import Status

from core.errors import BashuError, Reason, Turn
from gateway.validation import ShapeRefused

DOMAIN: Final = "bashu.credit"
DETAILS_KEY: Final = "grpc-status-details-bin"
INTERNAL_SENTENCE: Final = "The gateway failed; give its operator the request id"
DEFAULT_HOP: Final = "gateway"

_UNAUTHENTICATED: Final = (
    Reason.TOKEN_INVALID,
    Reason.TOKEN_EXPIRED,
    Reason.TOKEN_BINDING_MISMATCH,
    Reason.CLOCK_SKEW,
    Reason.PARTICIPANT_SUSPENDED,
    Reason.OPERATOR_UNKNOWN,
)
_INVALID_ARGUMENT: Final = (
    Reason.MALFORMED,
    Reason.IDENTIFIER_INVALID,
    Reason.PURPOSE_MISSING,
    Reason.REFERENCE_MISSING,
    Reason.UNKNOWN_DATA_ITEM,
    Reason.ITEMS_REQUIRED,
    Reason.ARTEFACT_MALFORMED,
    Reason.ARTEFACT_SIGNATURE,
    Reason.ARTEFACT_UNKNOWN_KEY,
)
_PERMISSION_DENIED: Final = (
    Reason.ROLE_NOT_ALLOWED,
    Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS,
    Reason.SUBJECT_MISMATCH,
    Reason.PURPOSE_MISMATCH,
    Reason.SCOPE_EXCEEDED,
    Reason.RANGE_EXCEEDED,
    Reason.PLATFORM_NOT_GRANTED,
    Reason.LENDER_NOT_ADMITTED,
    Reason.SEPARATE_CONSENT_MISSING,
    Reason.POLICY_LIMIT,
)
_NOT_FOUND: Final = (Reason.LOAN_NOT_FOUND, Reason.NOT_FOUND_OR_NOT_YOURS)
_FAILED_PRECONDITION: Final = (
    Reason.CONSENT_NOT_STARTED,
    Reason.CONSENT_PAUSED,
    Reason.CONSENT_REVOKED,
    Reason.CONSENT_EXPIRED,
    Reason.CONSENT_EXHAUSTED,
    Reason.CONSENT_SUPERSEDED,
    Reason.CONSENT_HELD,
    Reason.SUBJECT_FROZEN,
    Reason.LOAN_CLOSED,
    Reason.REVISION_TOO_OLD,
    Reason.SECOND_OFFICER_NEEDED,
    Reason.PRESERVED,
    Reason.LICENCE_MISSING,
)
_RESOURCE_EXHAUSTED: Final = (Reason.RATE_LIMITED, Reason.FREQUENCY_EXCEEDED, Reason.OVERLOADED)
_ABORTED: Final = (Reason.IDEMPOTENCY_CONFLICT, Reason.IN_PROGRESS, Reason.REVISION_CHANGED)
_ALREADY_EXISTS: Final = (Reason.CONSENT_ID_TAKEN, Reason.PLATFORM_KIND_TAKEN)
_UNAVAILABLE: Final = (
    Reason.PLATFORMS_UNAVAILABLE,
    Reason.EVIDENCE_UNAVAILABLE,
    Reason.EVIDENCE_STALE,
    Reason.DRAINING,
)

CODES: Final[Mapping[Reason, grpc.StatusCode]] = {
    **dict.fromkeys(_UNAUTHENTICATED, grpc.StatusCode.UNAUTHENTICATED),
    **dict.fromkeys(_INVALID_ARGUMENT, grpc.StatusCode.INVALID_ARGUMENT),
    **dict.fromkeys(_PERMISSION_DENIED, grpc.StatusCode.PERMISSION_DENIED),
    **dict.fromkeys(_NOT_FOUND, grpc.StatusCode.NOT_FOUND),
    **dict.fromkeys(_FAILED_PRECONDITION, grpc.StatusCode.FAILED_PRECONDITION),
    **dict.fromkeys(_RESOURCE_EXHAUSTED, grpc.StatusCode.RESOURCE_EXHAUSTED),
    **dict.fromkeys(_ABORTED, grpc.StatusCode.ABORTED),
    **dict.fromkeys(_ALREADY_EXISTS, grpc.StatusCode.ALREADY_EXISTS),
    **dict.fromkeys(_UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
    Reason.OUT_OF_TIME: grpc.StatusCode.DEADLINE_EXCEEDED,
    Reason.LEDGER_INCONSISTENT: grpc.StatusCode.DATA_LOSS,
    Reason.INTERNAL: grpc.StatusCode.INTERNAL,
}
"""Every reason and the gRPC code it travels with; a test fails on one that is missing."""

_NO_RETRY: Final = ("grpc-retry-pushback-ms", "-1")
"""gRPC retry design (gRFC A6): a negative pushback means do not retry. Each retry would be another attempt at every
platform, seconds after it failed; the caller repeats the request id when it is worth while."""

_DEFAULT_RETRY_S: Final[Mapping[Reason, float]] = {
    Reason.RATE_LIMITED: 1.0,
    Reason.OVERLOADED: 0.5,
    Reason.IN_PROGRESS: 1.0,
    Reason.DRAINING: 0.1,
}
"""The contract promises RetryInfo with these, also where whoever refused named no time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failure ready to send: gRPC code, one public sentence, and the serialised ``google.rpc.Status``."""

    reason: Reason
    code: grpc.StatusCode
    message: str
    status: Status

    @property
    def trailers(self) -> tuple[tuple[str, str | bytes], ...]:
        """Trailing metadata that carries the details, and keeps gRPC's own retries off platforms that just failed."""
        details = ((DETAILS_KEY, self.status.SerializeToString()),)
        return (*details, _NO_RETRY) if self.reason is Reason.PLATFORMS_UNAVAILABLE else details


def failure_of(error: BaseException, *, request_id: str, hop: str = DEFAULT_HOP) -> Failure:
    """Classify ``error``: a BashuError keeps its reason, anything else is INTERNAL with one fixed sentence.

    An exception group counts as the first BashuError inside it, else as its first member. Works for a whole call and
    for one query of a stream alike (``Failure.status`` is what such an answer carries).
    """
    known = classified(error)
    if known is None or known.reason is Reason.INTERNAL:
        known = BashuError(Reason.INTERNAL, INTERNAL_SENTENCE, turn=Turn.OPERATOR)
    code = CODES[known.reason]
    details = [_packed(detail) for detail in _details(known, request_id=request_id, hop=hop)]
    number: int = code.value[0]
    return Failure(
        reason=known.reason,
        code=code,
        message=known.message,
        status=Status(code=number, message=known.message, details=details),
    )


def classified(error: BaseException) -> BashuError | None:
    """Return the BashuError that ``error`` is or holds (exception groups are searched in order), else None."""
    if isinstance(error, BashuError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = (classified(member) for member in error.exceptions)
        return next((member for member in found if member is not None), None)
    return None


def _details(error: BashuError, *, request_id: str, hop: str) -> Iterator[Message]:
    metadata = {"hop": hop} | error.metadata | {"turn": error.turn.value, "request_id": request_id}
    yield ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=metadata)
    if isinstance(error, ShapeRefused):
        yield BadRequest(field_violations=[_violation(v.field, v.rule) for v in error.violations])
    elif error.field is not None:
        yield BadRequest(field_violations=[_violation(error.field, error.message)])
    delay_s = _DEFAULT_RETRY_S.get(error.reason) if error.retry_after_s is None else error.retry_after_s
    if delay_s is not None:
        yield RetryInfo(retry_delay=_duration(delay_s))
    if error.reason in (Reason.RATE_LIMITED, Reason.FREQUENCY_EXCEEDED):
        subject = error.metadata.get("rule", error.reason.value)
        yield QuotaFailure(violations=[QuotaFailure.Violation(subject=subject, description=error.message)])


def _violation(field: str, rule: str) -> BadRequest.FieldViolation:
    return BadRequest.FieldViolation(field=field, description=rule)


def _duration(seconds: float) -> Duration:
    whole = math.floor(max(seconds, 0.0))
    return Duration(seconds=whole, nanos=int((max(seconds, 0.0) - whole) * 1e9))


def _packed(detail: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(detail)
    return packed
