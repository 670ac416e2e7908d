"""How a call to a platform fails, and which status each failure is: the one table."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from bashu.v1.common_pb2 import PlatformStatus
from core.errors import BashuError, Reason, Turn


class Failure(StrEnum):
    """Every way in which one call, one module or one item comes to no data."""

    TIMED_OUT = "TIMED_OUT"
    NOT_ANSWERED = "NOT_ANSWERED"
    UNREACHABLE = "UNREACHABLE"
    RESET = "RESET"
    TLS = "TLS"
    HTTP = "HTTP"
    CIRCUIT_OPEN = "CIRCUIT_OPEN"
    BULKHEAD_FULL = "BULKHEAD_FULL"
    FAILED = "FAILED"
    INTERNAL = "INTERNAL"
    PACED = "PACED"
    QUOTA = "QUOTA"
    MAINTENANCE = "MAINTENANCE"
    PENDING = "PENDING"
    DENIED = "DENIED"
    NOT_FOUND = "NOT_FOUND"
    MALFORMED = "MALFORMED"
    OVERSIZED = "OVERSIZED"
    SKIPPED = "SKIPPED"


STATUS_OF: Final[Mapping[Failure, PlatformStatus.ValueType]] = {
    Failure.TIMED_OUT: PlatformStatus.PLATFORM_STATUS_TIMEOUT,
    Failure.NOT_ANSWERED: PlatformStatus.PLATFORM_STATUS_TIMEOUT,
    Failure.UNREACHABLE: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.RESET: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.TLS: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.HTTP: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.CIRCUIT_OPEN: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.BULKHEAD_FULL: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.FAILED: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.INTERNAL: PlatformStatus.PLATFORM_STATUS_UNAVAILABLE,
    Failure.PACED: PlatformStatus.PLATFORM_STATUS_QUOTA_EXHAUSTED,
    Failure.QUOTA: PlatformStatus.PLATFORM_STATUS_QUOTA_EXHAUSTED,
    Failure.MAINTENANCE: PlatformStatus.PLATFORM_STATUS_MAINTENANCE,
    Failure.PENDING: PlatformStatus.PLATFORM_STATUS_PENDING,
    Failure.DENIED: PlatformStatus.PLATFORM_STATUS_DENIED,
    Failure.NOT_FOUND: PlatformStatus.PLATFORM_STATUS_NO_DATA,
    Failure.MALFORMED: PlatformStatus.PLATFORM_STATUS_MALFORMED,
    Failure.OVERSIZED: PlatformStatus.PLATFORM_STATUS_MALFORMED,
    Failure.SKIPPED: PlatformStatus.PLATFORM_STATUS_SKIPPED,
}
TRIPPING: Final = frozenset({Failure.TIMED_OUT, Failure.UNREACHABLE, Failure.RESET, Failure.TLS, Failure.HTTP})
"""Failures that say the platform is ill. A refusal, a bad answer, or NOT_ANSWERED (the platform is up and says that a
department behind it is not) opens no breaker."""


class PlatformFailureError(BashuError):
    """A classified failure of a platform; it never leaves ``adapters``, where it becomes a status.

    ``detail`` is a code and words for an operator, never a value or the platform's own text. ``retry_after_s`` None
    means: sending the same call again is pointless or harmful. ``resume_after`` goes with PENDING. ``was_sent`` False:
    there was no connection, so certainly not a byte of the call left.
    """

    def __init__(
        self,
        failure: Failure,
        detail: str = "",
        *,
        retry_after_s: float | None = None,
        resume_after: datetime | None = None,
        was_sent: bool = True,
    ) -> None:
        super().__init__(
            Reason.PLATFORMS_UNAVAILABLE, detail or failure.value, turn=Turn.PLATFORM, retry_after_s=retry_after_s
        )
        self.failure: Final = failure
        self.detail: Final = detail or failure.value
        self.resume_after: Final = resume_after
        self.was_sent: Final = was_sent

    @property
    def status(self) -> PlatformStatus.ValueType:
        """Return the status that this failure is."""
        return STATUS_OF[self.failure]
