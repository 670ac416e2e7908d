"""What a ledger entry is: its types, the members each type may carry, and its exact bytes."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Final

from core.canonical import canonical_json
from core.clock import rfc3339
from core.ids import uuid7

ENTRY_VERSION: Final = 1
MAX_BODY_BYTES: Final = 64 * 1024 - 1
"""An entry bundle of C2SP tlog-tiles gives a length two bytes."""


class EntryType(StrEnum):
    """Everything the ledger records."""

    CONSENT_REGISTERED = "CONSENT_REGISTERED"
    CONSENT_STATUS = "CONSENT_STATUS"
    QUERY_INTENT = "QUERY_INTENT"
    QUERY_DENIED = "QUERY_DENIED"
    RELEASE = "RELEASE"
    RELEASE_WITHHELD = "RELEASE_WITHHELD"
    FAILED = "FAILED"
    ABANDONED = "ABANDONED"
    USE_REFUNDED = "USE_REFUNDED"
    LOAN_EVENT = "LOAN_EVENT"
    NOTICE_REGISTERED = "NOTICE_REGISTERED"
    HOLD_PLACED = "HOLD_PLACED"
    HOLD_LIFTED = "HOLD_LIFTED"
    FILE_FROZEN = "FILE_FROZEN"
    FILE_THAWED = "FILE_THAWED"
    DISPUTE_OPENED = "DISPUTE_OPENED"
    DISPUTE_UPDATED = "DISPUTE_UPDATED"
    REVIEW_VIEW = "REVIEW_VIEW"
    EXPORT = "EXPORT"
    UNMASK = "UNMASK"
    PRESERVATION = "PRESERVATION"
    ERASURE = "ERASURE"
    RECONCILIATION = "RECONCILIATION"
    POLICY_CHANGE = "POLICY_CHANGE"
    KEY_EVENT = "KEY_EVENT"
    PARTICIPANT_EVENT = "PARTICIPANT_EVENT"
    PLATFORM_EVENT = "PLATFORM_EVENT"
    CLOCK_ANOMALY = "CLOCK_ANOMALY"
    TALLY = "TALLY"


CLOSINGS: Final = frozenset(
    {EntryType.RELEASE, EntryType.RELEASE_WITHHELD, EntryType.FAILED, EntryType.ABANDONED},
)
"""The types that close a QUERY_INTENT; each intent gets exactly one of them."""

COMMON: Final = ("v", "origin", "type", "entry_id", "ts")
"""Members of every entry; :func:`build_entry` writes them."""

MEMBERS: Final[Mapping[str, str]] = {
    # previous: hex leaf hash of this consent's entry with the revision before (absent at revision 1).
    # use: ordinal of the use an intent reserved, 1, 2, 3 ... per consent, never given twice, not even after a refund.
    "consent": "id artefact_hash revision previous use",
    "requester": "institution operator_commitment",
    "subject_commitment": "",
    # first: entry_id of attempt 1's QUERY_INTENT, on further attempts only.
    "intent": "request attempt uses first expires_at",
    "status": "from to reason actor",
    # asked: what was asked for where allow_narrowing made it less.
    "scope": "purpose acts items platforms lookback legal_basis asked",
    "decision": "outcome reason rule policy_version",
    "platforms": "id status records raw_digest",
    "request_digest": "",
    "report_digest": "",
    "detail_sha256": "",
    "usage": "mode max_uses frequency min_interval_s tz",
    "window": "nbf exp",
    # standing: entry_ids of the holds and freezes on the subject when its consent was registered.
    "standing": "",
    # uses: how many uses the superseded consent had spent; they carry over.
    "supersedes": "consent_id artefact_hash uses",
    # affects: what a hold, freeze, lifting or loan event touches.
    "affects": "consents intents",
    # lifts: entry_id of the HOLD_PLACED or FILE_FROZEN that ends.
    "lifts": "",
    # count: how many refusals one counted QUERY_DENIED stands for.
    "count": "",
    # object: id of the notice, dispute, participant, platform, key, export ... the entry is about.
    "object": "",
    # clock: where the database's clock should have been by what went by on a gateway's own, and where it was.
    "clock": "expected seen",
    "tally": "institution hour from_index to_index count",
    # reviewed: what a reviewer asked to see or to take away; to_index is exclusive.
    "reviewed": "from_index to_index institution month day types",
}
"""Every member an entry may have beside :data:`COMMON`, and the members of those that are objects or lists of them."""

_ABOUT: Final = "consent requester subject_commitment status scope decision object detail_sha256"

FIELDS: Final[Mapping[EntryType, str]] = {
    EntryType.CONSENT_REGISTERED: (
        "consent! requester! subject_commitment! scope! usage! window! standing supersedes status decision"
        " detail_sha256"
    ),
    EntryType.CONSENT_STATUS: "consent! status! requester subject_commitment decision detail_sha256",
    EntryType.QUERY_INTENT: (
        "requester! intent! scope! subject_commitment! request_digest! consent decision detail_sha256"
    ),
    EntryType.QUERY_DENIED: (
        "requester! decision! consent subject_commitment intent scope request_digest count detail_sha256"
    ),
    EntryType.RELEASE: (
        "requester! intent! platforms! request_digest! report_digest! consent subject_commitment scope decision"
        " detail_sha256"
    ),
    EntryType.RELEASE_WITHHELD: (
        "requester! intent! decision! consent subject_commitment platforms request_digest detail_sha256"
    ),
    EntryType.FAILED: "requester! intent! decision! consent subject_commitment platforms request_digest detail_sha256",
    EntryType.ABANDONED: "requester! intent! consent subject_commitment decision request_digest detail_sha256",
    EntryType.USE_REFUNDED: "requester! consent! intent! subject_commitment decision detail_sha256",
    EntryType.LOAN_EVENT: "requester! status! affects consent subject_commitment decision object detail_sha256",
    EntryType.NOTICE_REGISTERED: "object! requester status detail_sha256",
    EntryType.HOLD_PLACED: "affects! requester subject_commitment status decision object detail_sha256",
    EntryType.HOLD_LIFTED: "affects! lifts! requester subject_commitment status decision object detail_sha256",
    EntryType.FILE_FROZEN: "affects! requester subject_commitment status decision object detail_sha256",
    EntryType.FILE_THAWED: "affects! lifts! requester subject_commitment status decision object detail_sha256",
    EntryType.DISPUTE_OPENED: _ABOUT,
    EntryType.DISPUTE_UPDATED: _ABOUT,
    EntryType.REVIEW_VIEW: f"{_ABOUT} count reviewed",
    EntryType.EXPORT: f"{_ABOUT} count reviewed",
    EntryType.UNMASK: _ABOUT,
    EntryType.PRESERVATION: _ABOUT,
    EntryType.ERASURE: _ABOUT,
    EntryType.RECONCILIATION: f"{_ABOUT} count",
    EntryType.POLICY_CHANGE: _ABOUT,
    EntryType.KEY_EVENT: _ABOUT,
    EntryType.PARTICIPANT_EVENT: _ABOUT,
    EntryType.PLATFORM_EVENT: _ABOUT,
    EntryType.CLOCK_ANOMALY: f"{_ABOUT} clock",
    EntryType.TALLY: "tally!",
}
"""The members each type may have; ``!`` marks those it must have."""

_ALLOWED: Final = {kind: frozenset(text.replace("!", "").split()) for kind, text in FIELDS.items()}
_REQUIRED: Final = {kind: frozenset(n[:-1] for n in text.split() if n[-1] == "!") for kind, text in FIELDS.items()}
_NESTED: Final = {name: frozenset(text.split()) for name, text in MEMBERS.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry, ready to append: ``body`` is the exact leaf, ``leaf_hash`` its RFC 6962 hash (32 bytes)."""

    entry_id: uuid.UUID
    type: EntryType
    body: bytes
    leaf_hash: bytes


def leaf_hash(body: bytes) -> bytes:
    """Return the RFC 6962 section 2.1 leaf hash, SHA-256(0x00 || body)."""
    return hashlib.sha256(b"\x00" + body).digest()


def build_entry(
    kind: EntryType,
    *,
    origin: str,
    ts: datetime,
    fields: Mapping[str, Any],
    entry_id: uuid.UUID | None = None,
) -> Entry:
    """Make the entry of ``kind``; members whose value is None are left out.

    ``entry_id`` is given where a commitment depends on it (``subject_commitment`` is keyed over it).

    Raises:
        ValueError: a member is missing or not one of :data:`FIELDS`, ``ts`` has no time zone, or the body is larger
            than 64 KiB.
        TypeError: a value has no canonical form.
    """
    given = {name: value for name, value in fields.items() if value is not None}
    if fault := member_fault(kind, given):
        raise ValueError(fault)
    if ts.tzinfo is None:
        raise ValueError("a ledger time needs a time zone")
    number = uuid7() if entry_id is None else entry_id
    common = {"v": ENTRY_VERSION, "origin": origin, "type": kind.value, "entry_id": str(number), "ts": rfc3339(ts)}
    body = canonical_json(given | common)
    if len(body) > MAX_BODY_BYTES:
        raise ValueError(f"{kind} entry of {len(body)} bytes is over {MAX_BODY_BYTES}")
    return Entry(entry_id=number, type=kind, body=body, leaf_hash=leaf_hash(body))


def member_fault(kind: EntryType, given: Mapping[str, Any]) -> str | None:
    """Tell what is wrong with the members of an entry of ``kind`` (without :data:`COMMON`), or None."""
    if missing := _REQUIRED[kind] - given.keys():
        return f"{kind} lacks {', '.join(sorted(missing))}"
    if unknown := given.keys() - _ALLOWED[kind]:
        return f"{kind} has no {', '.join(sorted(unknown))}"
    for name, value in given.items():
        for part in value if isinstance(value, list | tuple) else (value,):
            if isinstance(part, dict) and (strange := part.keys() - _NESTED[name]):
                return f"{name} has no {', '.join(sorted(strange))}"
    return None
