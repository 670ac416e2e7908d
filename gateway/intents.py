"""Intents (the durable permits) as values, and what a repeated request id means. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from consent.model import Ask, Refusal
from core.errors import Reason

REPEAT_WITHIN: Final = timedelta(hours=24)
MOST_RESENDS: Final = 3
"""How often ``resend_all`` may be used for one request id."""
OUTSTANDING: Final = frozenset({"PENDING", "TIMEOUT", "UNAVAILABLE", "MAINTENANCE", "QUOTA_EXHAUSTED"})
"""Statuses (``PLATFORM_STATUS_X``) after which a repeat asks again."""

Pair = tuple[str, str]
"""A platform id and a data item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentKey:
    """Names one attempt of one request of one institution."""

    request_id: UUID
    institution: str
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """The latest attempt of a request id, as read. ``outcomes``: the last status of each pair, over all attempts.

    ``first_entry_id``: QUERY_INTENT of attempt 1; ``paid``: a use was reserved and not given back.
    """

    key: IntentKey
    state: str
    request_digest: bytes
    expires_at: datetime
    first_entry_id: UUID
    first_admitted_at: datetime
    resends: int
    paid: bool
    outcomes: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenIntent:
    """An intent as its closing needs it."""

    key: IntentKey
    consent_id: UUID | None
    consent_revision: int
    artefact_hash: bytes | None
    pseudonym: str
    request_digest: bytes
    expires_at: datetime
    state: str = "OPEN"
    stands_until: datetime | None = None
    consent_end: datetime | None = None
    closed_reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Repeat:
    """What a request id means now: attempt ``number``; ``previous`` None on the first."""

    number: int = 1
    previous: Attempt | None = None
    is_resend: bool = False

    @property
    def is_free(self) -> bool:
        """Tell whether no use is reserved: an attempt before paid, and kept what it paid for."""
        return self.previous is not None and self.previous.paid


def resolve(ask: Ask, previous: Attempt | None, now: datetime) -> Repeat | Refusal:
    """Check 3: tell which attempt this is, or why there can be none."""
    if previous is None:
        return Repeat()
    if previous.request_digest != ask.request_digest:
        return _refuse(Reason.IDEMPOTENCY_CONFLICT, "this request id was used for another request")
    if now >= previous.first_admitted_at + REPEAT_WITHIN:
        return _refuse(Reason.IDEMPOTENCY_CONFLICT, "this request id was used more than 24 h ago")
    if previous.state == "OPEN":
        wait = max((previous.expires_at - now).total_seconds(), 0.0)
        return _refuse(Reason.IN_PROGRESS, "this request is under way", retry_after_s=min(wait + 0.1, 1.0))
    if ask.resend_all and previous.resends >= MOST_RESENDS:
        return _refuse(Reason.RATE_LIMITED, f"everything was sent again {MOST_RESENDS} times already")
    return Repeat(number=previous.key.attempt + 1, previous=previous, is_resend=ask.resend_all)


def outstanding(repeat: Repeat, targets: Mapping[str, frozenset[str]]) -> dict[str, frozenset[str]]:
    """Return what of ``targets`` this attempt asks: all on the first and on a resend, else what is not answered yet."""
    if repeat.previous is None or repeat.is_resend:
        return dict(targets)
    answered = {pair for pair, status in read_outcomes(repeat.previous.outcomes).items() if status not in OUTSTANDING}
    left = {
        platform: frozenset(item for item in items if (platform, item) not in answered)
        for platform, items in targets.items()
    }
    return {platform: items for platform, items in left.items() if items}


def read_outcomes(outcomes: tuple[str, ...]) -> dict[Pair, str]:
    """Read ``platform/item/STATUS`` texts."""
    parts = (text.split("/") for text in outcomes)
    return {(platform, item): status for platform, item, status in parts}


def write_outcomes(outcomes: Mapping[Pair, str]) -> list[str]:
    """Write outcomes as ``platform/item/STATUS`` texts, sorted."""
    return sorted(f"{platform}/{item}/{status}" for (platform, item), status in outcomes.items())


def _refuse(reason: Reason, message: str, *, retry_after_s: float | None = None) -> Refusal:
    return Refusal(reason=reason, message=message, rule="3-request-id", field="request_id", retry_after_s=retry_after_s)
