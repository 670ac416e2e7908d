"""Which records of several platforms are the same fact, and the id that names it.

Two records match by item and natural key (``data_elements.csv``). Documents also match by document number alone, or by
authority, day and amount. All of it is a property of the set of answers, never of their order.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Final, TypeAlias

from google.protobuf.message import Message

from bashu.v1.report_pb2 import CreditRecord, Quality
from core.canonical import canonical_json
from standards.identifiers import to_half_width
from standards.items import NEVER_MERGED, DataItem

Key: TypeAlias = tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentKey:
    """Fields by which two papers about one decision are recognised; one without an amount by its number alone."""

    number: str
    authority: str
    day: str
    amount: str | None


DOCUMENTS: Final[Mapping[str, DocumentKey]] = {
    "administrative_permission": DocumentKey(
        number="document_no", authority="authority", day="decided_on", amount=None
    ),
    "administrative_penalty": DocumentKey(
        number="document_no", authority="authority", day="decided_on", amount="fine_amount"
    ),
    "major_tax_violation": DocumentKey(
        number="document_no", authority="tax_authority", day="published_on", amount="amount"
    ),
}
_NUMBER: Final = "number"
_DECISION: Final = "decision"
_CONTENT: Final = "content"
_BRACKETS: Final = str.maketrans({"〔": "[", "〕": "]", "【": "[", "】": "]", "（": "(", "）": ")"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One record as one source reports it. ``answer`` numbers the answer that holds it, ``content`` its bytes.

    ``as_of`` is as the source says it; ``fresh_as_of`` is what decides, None where unknown or in the future.
    """

    source_id: str
    platform_id: str
    region: str
    as_of: datetime | None
    fresh_as_of: datetime | None
    fetched_at: datetime | None
    quality: Quality.ValueType
    answer: int
    record: CreditRecord
    body: Message
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Group:
    """Claims that match; every key in ``keys`` (sorted) names them, ``apart`` is what equal keys do not say."""

    keys: Sequence[Key]
    apart: Key
    claims: Sequence[Claim]


@dataclass(slots=True, kw_only=True)
class _Cluster:
    """Papers under way to be one decision, and all names by which further ones are recognised."""

    names: set[Key] = field(default_factory=set)
    claims: list[Claim] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Claims about one fact; ``key`` orders the facts of an item."""

    record_id: str
    key: Key
    claims: tuple[Claim, ...]


def facts_of(item: DataItem, claims: Sequence[Claim], *, subject_key: str) -> list[Fact]:
    """Group the claims of one item into facts, in the order of their natural keys."""
    paper = DOCUMENTS.get(item.item_id)
    groups = _key_groups(item, claims) if paper is None else _document_groups(item, paper, claims)
    facts = []
    for group in groups:
        ids = (record_id(item.item_id, subject_key, key, group.apart) for key in group.keys)
        facts.append(Fact(record_id=min(ids), key=group.keys[0], claims=tuple(group.claims)))
    return sorted(facts, key=lambda fact: (_sortable(fact.key), fact.record_id))


def natural_key(item: DataItem, body: Message) -> Key:
    """Return the normalised texts of the natural key's fields; None for an unset one."""
    return tuple(field_key(body, field) for field in item.natural_key)


def field_key(body: Message, field: str) -> str | None:
    """Return a field as it is compared: half-width, square brackets around years, no white space.

    None where it is unset, or blank, which identifies nothing either.
    """
    if not body.HasField(field):
        return None
    value = getattr(body, field)
    if not isinstance(value, str):
        return str(value)
    text = value if value.isascii() else to_half_width(value.translate(_BRACKETS))
    return "".join(text.split()) or None


def amount_key(text: str) -> str | Decimal:
    """Return a decimal text as it is compared: 0.125 and 0.1250 are one value; what is no number stays text."""
    try:
        return Decimal(text).normalize()
    except InvalidOperation:
        return text


def record_id(item_id: str, subject_key: str, key: Key, discriminator: Key = ()) -> str:
    """Return hex SHA-256 of item, subject, natural key and, where records must stay apart, what keeps them apart.

    ``subject_key`` is the enterprise's code, or the commitment of a person.
    """
    content = {"item": item_id, "subject": subject_key, "key": list(key), "apart": list(discriminator)}
    return hashlib.sha256(canonical_json(content)).hexdigest()


def _key_groups(item: DataItem, claims: Sequence[Claim]) -> list[_Group]:
    keyed = [(natural_key(item, claim.body), claim) for claim in claims]
    ambiguous = _repeated((claim.answer, key, claim.content) for key, claim in keyed)
    groups: dict[tuple[Key, Key], list[Claim]] = defaultdict(list)
    for key, claim in keyed:
        apart: Key = ()
        if item.item_id in NEVER_MERGED:
            apart = (claim.platform_id,)
        if key in ambiguous:
            # Two shareholders of one name, say: the key identifies nobody, so nothing is merged by it.
            apart = (claim.platform_id, hashlib.sha256(claim.content).hexdigest())
        groups[key, apart].append(claim)
    return [_Group(keys=(key,), apart=apart, claims=members) for (key, apart), members in groups.items()]


def _document_groups(item: DataItem, paper: DocumentKey, claims: Sequence[Claim]) -> list[_Group]:
    numbers = [(field_key(claim.body, paper.number), claim) for claim in claims]
    decisions = [(_decision(paper, claim.body), number, claim) for number, claim in numbers]
    # A platform that lists two papers with the same authority, day and amount says that they are two.
    ambiguous = _repeated((claim.answer, key, (number or "").encode()) for key, number, claim in decisions if key)
    if paper.amount is None:
        # One decision may grant several permits: where a platform lists them, its number names none of them.
        ambiguous |= _repeated((claim.answer, (_NUMBER, number), claim.content) for _, number, claim in decisions)
    cluster_of: dict[Key, _Cluster] = {}
    for key, number, claim in decisions:
        named: tuple[Key, ...] = () if number is None else ((_NUMBER, number),)
        names: set[Key] = {name for name in (*named, key) if name and (name not in ambiguous)}
        names = names or {(_CONTENT, hashlib.sha256(claim.content).hexdigest())}
        _join(cluster_of, names, claim)
    clusters = {id(cluster): cluster for cluster in cluster_of.values()}.values()
    return [
        _Group(keys=_naming_keys(item, paper, one.claims), apart=_unless_numbered(one.names), claims=one.claims)
        for one in clusters
    ]


def _join(cluster_of: dict[Key, _Cluster], names: set[Key], claim: Claim) -> None:
    """Put a claim into the cluster of its names, and make one of the clusters that it joins, the smaller moving."""
    touched = {id(cluster): cluster for name in names if (cluster := cluster_of.get(name)) is not None}
    joined = max(touched.values(), key=lambda cluster: len(cluster.names), default=_Cluster())
    for other in touched.values():
        if other is not joined:
            joined.claims.extend(other.claims)
            names |= other.names
    joined.claims.append(claim)
    joined.names |= names
    cluster_of.update(dict.fromkeys(names, joined))


def _naming_keys(item: DataItem, paper: DocumentKey, claims: Sequence[Claim]) -> Sequence[Key]:
    # A paper without a number says nothing about which of several decisions it is: the numbered ones name it.
    numbered = [claim for claim in claims if field_key(claim.body, paper.number)]
    return sorted({natural_key(item, claim.body) for claim in numbered or claims}, key=_sortable)


def _unless_numbered(names: set[Key]) -> Key:
    is_numbered = any(name[0] == _NUMBER for name in names)
    return () if is_numbered else min(names, key=_sortable)


def _decision(paper: DocumentKey, body: Message) -> Key:
    if paper.amount is None:
        return ()
    authority, day, amount = (field_key(body, field) for field in (paper.authority, paper.day, paper.amount))
    if authority is None or day is None or amount is None:
        return ()
    return (_DECISION, authority, day, str(amount_key(amount)))


def _repeated(entries: Iterable[tuple[int, Key, bytes]]) -> frozenset[Key]:
    """Return the keys that one answer gives to more than one content: they identify nothing."""
    counts = Counter((answer, key) for answer, key, _ in set(entries))
    return frozenset(key for (_, key), times in counts.items() if times > 1)


def _sortable(key: Key) -> tuple[str, ...]:
    return tuple(part or "" for part in key)
