"""One row of the access list, and how a leaf becomes one. Never evidence: an odd leaf must not stop the sealer."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import msgspec

from ledger.model import CLOSINGS, EntryType

LISTED: Final = CLOSINGS | {EntryType.QUERY_DENIED}
"""The types that stand in the list: what became of a query."""


class _Requester(msgspec.Struct):
    institution: str | None = None
    operator_commitment: str | None = None


class _Id(msgspec.Struct):
    id: str | None = None


class _Intent(msgspec.Struct):
    request: str | None = None
    attempt: int | None = None


class _Scope(msgspec.Struct):
    purpose: str | None = None


class _Decision(msgspec.Struct):
    reason: str | None = None
    rule: str | None = None


class _Leaf(msgspec.Struct):
    type: str
    entry_id: uuid.UUID
    ts: datetime
    requester: _Requester | None = None
    consent: _Id | None = None
    intent: _Intent | None = None
    scope: _Scope | None = None
    decision: _Decision | None = None
    count: int = 1


_DECODER: Final = msgspec.json.Decoder(_Leaf)


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedLeaf:
    """What a leaf says of an access; items, platforms and staff number of a closing stand with its intent."""

    leaf_index: int
    entry_id: uuid.UUID
    type: str
    institution: str
    operator_commitment: str | None
    at: datetime
    purpose: str | None
    reason: str | None
    rule: str | None
    consent_id: uuid.UUID | None
    request_id: uuid.UUID | None
    attempt: int | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """One row of the list. ``number`` is over 1 where refusals were only counted."""

    leaf_index: int
    entry_id: uuid.UUID
    type: str
    institution: str
    operator_commitment: str | None
    at: datetime
    purpose: str | None
    data_items: tuple[str, ...]
    platform_ids: tuple[str, ...]
    reason: str | None
    consent_id: uuid.UUID | None
    request_id: uuid.UUID | None
    number: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessFilter:
    """What accesses must have; ``since`` and ``before`` bound their time, half-open.

    ``consent_ids``: under one of these; ``types``: of one of these; empty means any.
    """

    pseudonym: str | None = None
    consent_ids: tuple[uuid.UUID, ...] | None = None
    types: tuple[str, ...] | None = None
    institution: str | None = None
    operator_commitment: str | None = None
    consent_id: uuid.UUID | None = None
    request_id: uuid.UUID | None = None
    since: datetime | None = None
    before: datetime | None = None


def listed_leaf(leaf_index: int, body: bytes) -> ListedLeaf | None:
    """Return what the list keeps of a leaf, None for one that is no access or cannot be read."""
    try:
        leaf = _DECODER.decode(body)
    except msgspec.DecodeError:
        return None
    if leaf.type not in LISTED or leaf.requester is None or not leaf.requester.institution:
        return None
    intent, decision = leaf.intent or _Intent(), leaf.decision or _Decision()
    return ListedLeaf(
        leaf_index=leaf_index,
        entry_id=leaf.entry_id,
        type=leaf.type,
        institution=_text(leaf.requester.institution),
        operator_commitment=leaf.requester.operator_commitment,
        at=leaf.ts,
        purpose=leaf.scope.purpose if leaf.scope else None,
        reason=decision.reason,
        rule=decision.rule,
        consent_id=_uuid(leaf.consent.id) if leaf.consent else None,
        request_id=_uuid(intent.request),
        attempt=intent.attempt,
        number=max(leaf.count, 1),
    )


def _uuid(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        return None


def _text(text: str) -> str:
    # PostgreSQL's text cannot hold NUL.
    return text.replace("\x00", "")
