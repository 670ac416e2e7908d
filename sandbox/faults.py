"""Faults forced by tests, for one subject or any, at one platform. Each platform gives them its own form."""

from __future__ import annotations

from collections import deque
from collections.abc import Container
from enum import StrEnum
from typing import Final

import msgspec

from sandbox.facts import PlatformId

FAULTS_KEPT: Final = 1_000


class FaultKind(StrEnum):
    """What may be forced."""

    SLOW = "slow"
    STALL = "stall"
    HALF_OPEN = "half_open"
    RESET = "reset"
    HTTP_500 = "http_500"
    CODE_9999 = "code_9999"
    UNLISTED_CODE = "unlisted_code"
    CLOCK_OFF = "clock_off"
    TOKEN_EXPIRED = "token_expired"  # noqa: S105 - the name of a fault
    REVOKED = "revoked"
    WRONG_SUBJECT = "wrong_subject"
    WRONG_SIGNATURE = "wrong_signature"
    WRONG_ENCODING = "wrong_encoding"
    OVERSIZED = "oversized"
    EXTRA_ITEMS = "extra_items"
    PARTIAL = "partial"
    MAINTENANCE = "maintenance"
    QUOTA = "quota"
    STALE = "stale"


SLOW_S: Final = 0.5
"""How much later a slow answer comes, well inside any caller's deadline."""


class Fault(msgspec.Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """One forced fault: ``subject`` None is any, ``call`` None any call, ``count`` None until cleared.

    ``call`` is a chongqing transaction (``XY1003``), or sichuan's ``identity``, ``reports`` or a module's name.
    """

    platform: PlatformId
    kind: FaultKind
    subject: str | None = None
    call: str | None = None
    count: int | None = None


class Faults:
    """The faults in force, oldest first."""

    def __init__(self) -> None:
        self._faults: deque[Fault] = deque()

    def force(self, fault: Fault) -> None:
        """Put a fault in force.

        Raises:
            ValueError: its count is below one, or there are too many.
        """
        if fault.count is not None and fault.count < 1:
            raise ValueError(f"a fault happens at least once, not {fault.count} times")
        if len(self._faults) >= FAULTS_KEPT:
            raise ValueError(f"more than {FAULTS_KEPT} faults: clear some first")
        self._faults.append(fault)

    def clear(self) -> None:
        """End every fault."""
        self._faults.clear()

    @property
    def in_force(self) -> list[Fault]:
        """Every fault with what is left of its count."""
        return list(self._faults)

    def take(
        self,
        platform: PlatformId,
        subject: str | None,
        call: str | None = None,
        *,
        shown: Container[FaultKind] = frozenset(FaultKind),
    ) -> Fault | None:
        """Return the fault that this call meets and use one of its count; None is an honest call.

        ``shown`` are the kinds that this call can show: a count is never used up by a call that cannot.
        """
        return self._take(platform, subject, (None, call), shown)

    def take_named(self, platform: PlatformId, subject: str | None, call: str) -> Fault | None:
        """Do as ``take`` with faults that name this call: for the parts of a call that met the others as a whole."""
        return self._take(platform, subject, (call,), frozenset(FaultKind))

    def _take(
        self, platform: PlatformId, subject: str | None, calls: tuple[str | None, ...], shown: Container[FaultKind]
    ) -> Fault | None:
        for place, fault in enumerate(self._faults):
            is_met = fault.platform is platform and fault.subject in (None, subject) and fault.call in calls
            if is_met and fault.kind in shown:
                self._use(place, fault)
                return fault
        return None

    def _use(self, place: int, fault: Fault) -> None:
        if fault.count is None:
            return
        if fault.count == 1:
            del self._faults[place]
        else:
            self._faults[place] = msgspec.structs.replace(fault, count=fault.count - 1)
