"""What reviewers search a leaf by, taken from the leaf; never evidence, so an odd leaf must not stop the sealer."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Final

import msgspec

from ledger.store import SearchRow


class _Requester(msgspec.Struct):
    institution: str | None = None


class _Consent(msgspec.Struct):
    id: str | None = None


class _Scope(msgspec.Struct):
    acts: list[str] | None = None


class _Affects(msgspec.Struct):
    consents: list[str] | None = None


class _Tally(msgspec.Struct):
    institution: str | None = None


class _Intent(msgspec.Struct):
    request: str | None = None
    attempt: int | None = None


class _Leaf(msgspec.Struct):
    type: str
    ts: datetime
    consent: _Consent | None = None
    requester: _Requester | None = None
    intent: _Intent | None = None
    scope: _Scope | None = None
    affects: _Affects | None = None
    tally: _Tally | None = None


_DECODER: Final = msgspec.json.Decoder(_Leaf)
COUNTING: Final = "COUNT_ENQUIRIES"
"""The act of a consent by which its subject allows that enquiries under it are counted (rule R79)."""
_UNREADABLE: Final = SearchRow(type="UNREADABLE", ts=datetime.fromtimestamp(0, UTC))
"""Projection of a leaf that cannot be read: it is sealed all the same, and fsck names it."""


def search_row(body: bytes) -> SearchRow:
    """Project a leaf onto the search columns; ids that are no UUID (a refused caller may send any) become None."""
    try:
        leaf = _DECODER.decode(body)
    except msgspec.DecodeError:
        return _UNREADABLE
    return SearchRow(
        type=leaf.type,
        ts=leaf.ts,
        consent_id=_uuid(leaf.consent.id) if leaf.consent else None,
        institution=_institution(leaf),
        request_id=_uuid(leaf.intent.request) if leaf.intent else None,
        attempt=leaf.intent.attempt if leaf.intent else None,
        touched=_touched(leaf),
        is_countable=leaf.type == "CONSENT_REGISTERED"
        and leaf.scope is not None
        and COUNTING in (leaf.scope.acts or ()),
    )


def _institution(leaf: _Leaf) -> str | None:
    """Return whose entry it is: who asked; of a TALLY the institution it counts for."""
    if leaf.requester is not None:
        return _text(leaf.requester.institution)
    return _text(leaf.tally.institution) if leaf.tally else None


def _touched(leaf: _Leaf) -> frozenset[uuid.UUID]:
    named = (leaf.affects.consents or ()) if leaf.affects else ()
    return frozenset(consent_id for text in named if (consent_id := _uuid(text)) is not None)


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None


def _text(text: str | None) -> str | None:
    # PostgreSQL's text cannot hold NUL.
    return text.replace("\x00", "") if text else None
