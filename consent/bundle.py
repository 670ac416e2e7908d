"""What a lender asks a borrower for, and whether what was signed is no more than that. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import NoReturn
from uuid import UUID

from consent.artefact import Artefact, Assurance, Necessity
from core.clock import SHANGHAI
from core.commitments import same_commitment
from core.errors import BashuError, Reason


class BundleState(StrEnum):
    """State of a request for consents, a function of its row and the time."""

    REQUESTED = "REQUESTED"
    GRANTED = "GRANTED"
    DENIED = "DENIED"
    LAPSED = "LAPSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One consent asked for. ``days``: latest end, counted from the decision; the look-back is days or two days."""

    purpose: str
    platforms: tuple[str, ...]
    required_items: tuple[str, ...]
    optional_items: tuple[str, ...]
    days: int
    max_uses: int
    lookback_days: int | None = None
    lookback_range: tuple[date, date] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """One row of ``consent_bundle``: drafts, no two with one purpose; ``commitments`` of its subject under each key."""

    bundle_id: UUID
    institution: str
    pseudonym: str
    commitments: tuple[str, ...]
    drafts: tuple[Draft, ...]
    notice_sha256: bytes
    requested_at: datetime
    expires_at: datetime
    granted: bool | None = None
    consent_ids: tuple[UUID, ...] = ()
    decided_by: str | None = None
    decided_at: datetime | None = None

    def state(self, now: datetime) -> BundleState:
        """Return the state at ``now``; what was decided stays so."""
        if self.granted is not None:
            return BundleState.GRANTED if self.granted else BundleState.DENIED
        return BundleState.LAPSED if now >= self.expires_at else BundleState.REQUESTED

    def is_about(self, commitment: str | None) -> bool:
        """Tell whether a commitment is its subject's."""
        return commitment is not None and any(same_commitment(commitment, mine) for mine in self.commitments)


def check_granted(bundle: Bundle, artefacts: Sequence[Artefact], *, now: datetime) -> None:
    """Check that what was signed is what was asked for or less: drafts, platforms, optional items, uses, days, range.

    Raises:
        BashuError: SUBJECT_MISMATCH, PURPOSE_MISMATCH, SCOPE_EXCEEDED, RANGE_EXCEEDED, ITEMS_REQUIRED, or
            ARTEFACT_MALFORMED for another requester, notice or way of signing.
    """
    drafts = {draft.purpose: draft for draft in bundle.drafts}
    for artefact in artefacts:
        _check_parties(bundle, artefact)
        draft = drafts.pop(artefact.purpose, None)
        if draft is None:
            _refuse(Reason.PURPOSE_MISMATCH, "no draft asks for this purpose, or two artefacts are for one", "purpose")
        _check_items(draft, artefact)
        _check_limits(draft, artefact, now)


def _check_parties(bundle: Bundle, artefact: Artefact) -> None:
    if artefact.institution != bundle.institution:
        _refuse(Reason.ARTEFACT_MALFORMED, "the artefact names another requester than who asked", "requester")
    if not bundle.is_about(artefact.subject.commitment):
        _refuse(Reason.SUBJECT_MISMATCH, "the artefact is about another subject than was asked", "subject")
    if artefact.notice_sha256 != bundle.notice_sha256:
        _refuse(Reason.ARTEFACT_MALFORMED, "the artefact names another notice than the bundle", "notice.sha256")
    if artefact.assurance is Assurance.LENDER_ATTESTED:
        # A lender's own key must not turn its own request into the borrower's answer.
        _refuse(Reason.ARTEFACT_MALFORMED, "a decision is signed by an authority", "capture.assurance")


def _check_items(draft: Draft, artefact: Artefact) -> None:
    asked = dict.fromkeys(draft.required_items, Necessity.REQUIRED)
    asked |= dict.fromkeys(draft.optional_items, Necessity.OPTIONAL)
    if not set(artefact.items) <= set(asked):
        _refuse(Reason.SCOPE_EXCEEDED, "the artefact grants items that nobody asked for", "data.items")
    if not set(draft.required_items) <= set(artefact.items):
        _refuse(
            Reason.ITEMS_REQUIRED, "a required item is left out: leave out the whole draft, or refuse", "data.items"
        )
    if any(necessity is not asked[item] for item, necessity in artefact.items.items()):
        _refuse(Reason.ARTEFACT_MALFORMED, "an item's necessity is not the draft's", "data.items")
    if not {provider.platform_id for provider in artefact.providers} <= set(draft.platforms):
        _refuse(Reason.SCOPE_EXCEEDED, "the artefact grants platforms that nobody asked for", "providers")


def _check_limits(draft: Draft, artefact: Artefact, now: datetime) -> None:
    if artefact.usage.max_uses > draft.max_uses:
        _refuse(Reason.SCOPE_EXCEEDED, f"the draft asks for {draft.max_uses} uses at most", "usage.max_uses")
    if artefact.exp > now + timedelta(days=draft.days):
        _refuse(Reason.RANGE_EXCEEDED, f"the draft ends {draft.days} days after the decision", "exp")
    if not _is_within(draft, artefact, now.astimezone(SHANGHAI).date()):
        _refuse(Reason.RANGE_EXCEEDED, "the artefact looks back further than the draft", "data.lookback_days")


def _is_within(draft: Draft, artefact: Artefact, today: date) -> bool:
    if draft.lookback_range is not None:
        # A look-back in days moves on with time and so leaves two fixed days.
        granted, (first, last) = artefact.lookback_range, draft.lookback_range
        return granted is not None and first <= granted[0] and granted[1] <= last
    assert draft.lookback_days is not None
    if artefact.lookback_days is not None:
        return artefact.lookback_days <= draft.lookback_days
    assert artefact.lookback_range is not None
    return artefact.lookback_range[0] >= today - timedelta(days=draft.lookback_days)


def _refuse(reason: Reason, message: str, field: str) -> NoReturn:
    raise BashuError(reason, message, field=f"artefacts.{field}")
