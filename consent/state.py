"""State of a consent: a pure function of the facts on its row and the time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from consent.model import ConsentFacts, ConsentState
from core.errors import Reason, Turn

REFUSALS: Final[Mapping[ConsentState, tuple[Reason, str, Turn]]] = MappingProxyType(
    {
        ConsentState.REVOKED: (Reason.CONSENT_REVOKED, "the consent was withdrawn", Turn.BORROWER),
        ConsentState.HELD: (Reason.CONSENT_HELD, "the consent is held by compliance", Turn.COMPLIANCE),
        ConsentState.SUPERSEDED: (Reason.CONSENT_SUPERSEDED, "a later consent replaced this one", Turn.LENDER),
        ConsentState.EXPIRED: (Reason.CONSENT_EXPIRED, "the consent has ended", Turn.BORROWER),
        ConsentState.PENDING_START: (Reason.CONSENT_NOT_STARTED, "the consent has not started", Turn.LENDER),
        ConsentState.PAUSED: (Reason.CONSENT_PAUSED, "the subject paused the consent", Turn.BORROWER),
        ConsentState.EXHAUSTED: (Reason.CONSENT_EXHAUSTED, "every use of the consent is spent", Turn.BORROWER),
    }
)
"""The reason and sentence for each state that is not ACTIVE, and whose turn it is."""


def state(facts: ConsentFacts, now: datetime) -> ConsentState:
    """Return the state at ``now``.

    Precedence: REVOKED > HELD > SUPERSEDED > EXPIRED > PENDING_START > PAUSED > EXHAUSTED.
    """
    ladder = (
        (facts.revoked_at is not None, ConsentState.REVOKED),
        (facts.held_count > 0, ConsentState.HELD),
        (facts.superseded_by is not None, ConsentState.SUPERSEDED),
        (now >= facts.end, ConsentState.EXPIRED),
        (now < facts.nbf, ConsentState.PENDING_START),
        (facts.paused_at is not None, ConsentState.PAUSED),
        (facts.used >= facts.max_uses, ConsentState.EXHAUSTED),
    )
    return next((reached for holds, reached in ladder if holds), ConsentState.ACTIVE)


def state_reason(facts: ConsentFacts, now: datetime) -> str:
    """Return LOAN_CLOSED where the closing of a loan made the consent EXPIRED, else nothing."""
    ended = facts.ended_by_loan is not None and facts.ended_by_loan <= now and facts.ended_by_loan <= facts.exp
    return Reason.LOAN_CLOSED.value if ended and state(facts, now) is ConsentState.EXPIRED else ""
