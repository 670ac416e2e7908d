"""Proofs as values: adapters cannot be called without a permit, an answer cannot be built without a receipt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from uuid import UUID


class SubjectKind(StrEnum):
    """Whose information is asked for (信息主体)."""

    ENTERPRISE = "enterprise"
    PERSON = "person"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A subject whose identifier was parsed and normalised.

    ``id_type`` is ``uscc`` or ``citizen_id``; ``identifier`` never reaches a log, an error or a ledger leaf.
    ``home_region`` is the GB/T 2260 province code of the registration authority, or None where it is neither region.
    """

    kind: SubjectKind
    id_type: str
    identifier: str
    name: str
    home_region: str | None = None

    def __repr__(self) -> str:
        """Hide identifier and name: a subject must be loggable by accident without leaking."""
        return f"Subject(kind={self.kind.value})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """Permission to ask platforms, made by ``gateway/admission.py`` alone once the intent is durable.

    ``targets`` maps a platform id to the data items that may be asked there; ``look_from``/``look_to`` are calendar
    days, both inside (Asia/Shanghai). ``artefact`` is the consent's JWS as registered, None for public items.
    ``intent_leaf_hash`` names the QUERY_INTENT entry, so that a platform can check the permission offline.
    ``keeps_counterparties``: the question names related consents, so adapters leave in who the other party of a
    guarantee is; the gateway takes out of it what no consent covers.
    """

    request_id: UUID
    institution: str
    attempt: int
    subject: Subject
    purpose: str
    targets: Mapping[str, frozenset[str]]
    look_from: date
    look_to: date
    expires_at: datetime
    intent_leaf_hash: bytes
    consent_id: UUID | None = None
    consent_revision: int = 0
    consent_expires_at: datetime | None = None
    artefact: bytes | None = None
    keeps_counterparties: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPromise:
    """The log's signature over one batch of leaf hashes and this leaf's RFC 6962 path in it, lowest first."""

    note: str
    root: bytes
    leaf_index: int
    batch_size: int
    path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Proof that a RELEASE is durable, made by ``ledger/store.py`` alone. ``entry`` is the exact leaf."""

    entry: bytes
    leaf_hash: bytes
    promise: BatchPromise
    publish_by: datetime
