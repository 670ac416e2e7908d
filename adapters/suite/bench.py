"""What every fact works with: the proxy, an adapter built as the gateway builds it, permits for test subjects."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from uuid import uuid4

from adapters.kit.config import PlatformConfig
from adapters.kit.protocol import Adapter
from adapters.registry import load_one
from adapters.suite.between import Between
from bashu.v1.common_pb2 import PlatformStatus
from core.clock import SHANGHAI, SystemClock
from core.permit import Permit, Subject, SubjectKind
from standards.answer import ItemAnswer
from standards.catalogue import Standard

ASK_S: Final = 20.0
"""Time an honest question gets; a job may take that long."""
STATUS_PREFIX: Final = "PLATFORM_STATUS_"

Marks = Callable[[], Awaitable[int]]
"""How many enquiries the platform's books hold."""


class FactFailed(Exception):  # noqa: N818 - named after the fact
    """A fact does not hold; the message says what was seen, never a value of a subject."""


class NotApplicable(Exception):  # noqa: N818 - named after the fact
    """A fact cannot be checked here; the message says what it would take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Firm:
    """A firm of the platform's test environment, and its name as registered there."""

    code: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Whom the suite asks about: ``subject`` has data, ``other`` has data too, ``unknown`` is in no register.

    ``artefact`` is a consent of both that the platform accepts, ``marks`` reads the platform's books.
    """

    config: PlatformConfig
    standard: Standard
    subject: Firm
    other: Firm
    unknown: Firm
    institution: str
    purpose: str
    artefact: Callable[[Firm], bytes | None]
    marks: Marks | None = None


class ShiftedClock(SystemClock):
    """The machine's clock, which a fact can put forward."""

    def __init__(self) -> None:
        self.ahead_s = 0.0

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic() + self.ahead_s


@dataclass(slots=True, kw_only=True)
class Bench:
    """One fact's table: nothing on it was used by another fact."""

    plan: Plan
    between: Between
    adapter: Adapter
    clock: ShiftedClock
    data_path: str
    honest: Mapping[str, ItemAnswer] = field(default_factory=dict)

    def permit(self, *, about: Firm | None = None, **changes: Any) -> Permit:
        """Return a permit for everything the adapter can ask, for a new question."""
        return make_permit(self.plan, self.adapter, about or self.plan.subject, **changes)

    async def ask(
        self, permit: Permit | None = None, *, items: frozenset[str] | None = None, within_s: float = ASK_S
    ) -> dict[str, ItemAnswer]:
        """Ask and return the answers by item. Raises FactFailed where there is not one answer for each item."""
        asked = self.adapter.platform.items if items is None else items
        deadline = self.clock.monotonic() + within_s
        answers = await self.adapter.ask(permit or self.permit(), asked, deadline=deadline)
        if [answer.item for answer in answers] != sorted(asked):
            raise FactFailed(f"{len(answers)} answers for {len(asked)} items, or not in the order of their ids")
        return {answer.item: answer for answer in answers}

    @asynccontextmanager
    async def another_process(self) -> AsyncIterator[Adapter]:
        """Give a second adapter that remembers nothing of the first."""
        second = build(self.plan, self.between.url, self.clock)
        try:
            yield second
        finally:
            await second.close()


def make_permit(plan: Plan, adapter: Adapter, about: Firm, **changes: Any) -> Permit:
    """Return a permit about a test subject. It is no admission: a test environment alone may be asked with it."""
    permit = Permit(
        request_id=uuid4(),
        institution=plan.institution,
        attempt=1,
        subject=Subject(kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=about.code, name=about.name),
        purpose=plan.purpose,
        targets={adapter.platform.platform_id: adapter.platform.items},
        look_from=date(2020, 1, 1),
        look_to=datetime.now(SHANGHAI).date(),
        expires_at=datetime.now(UTC) + timedelta(minutes=5),
        intent_leaf_hash=hashlib.sha256(uuid4().bytes).digest(),
        consent_expires_at=datetime.now(UTC) + timedelta(days=90),
        artefact=plan.artefact(about),
    )
    return replace(permit, **changes)


def build(plan: Plan, url: str, clock: ShiftedClock) -> Adapter:
    """Build the adapter as the gateway does, told another address. The proxy, not it, holds the platform's TLS."""
    secrets = {name: file for name, file in plan.config.secrets.items() if name != "ca"}
    return load_one(replace(plan.config, url=url, secrets=secrets), standard=plan.standard, clock=clock)


def build_direct(plan: Plan, clock: ShiftedClock) -> Adapter:
    """Build the adapter exactly as the gateway does, with no proxy between."""
    return load_one(plan.config, standard=plan.standard, clock=clock)


def status_of_answer(answer: ItemAnswer) -> str:
    """Return a status without its prefix."""
    return PlatformStatus.Name(answer.status).removeprefix(STATUS_PREFIX)


def statuses(answers: Mapping[str, ItemAnswer]) -> set[str]:
    """Return the statuses of all answers."""
    return {status_of_answer(answer) for answer in answers.values()}


def must(holds: bool, otherwise: str) -> None:
    """Raise FactFailed with what was seen instead."""
    if not holds:
        raise FactFailed(otherwise)


def must_be(answers: Mapping[str, ItemAnswer], *allowed: str) -> None:
    """Raise FactFailed where an answer has another status than those."""
    seen = statuses(answers)
    must(seen <= set(allowed), f"expected {' or '.join(allowed)}, saw {', '.join(sorted(seen))}")
