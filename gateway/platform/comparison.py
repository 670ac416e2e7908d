"""A day's enquiries as the ledger has them, held line by line against a platform's book. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

import msgspec

from adapters.kit.protocol import BookLine
from core.permit import Subject
from ledger.model import CLOSINGS, EntryType

Committed = Callable[[Subject, UUID], str]
"""The commitment to a subject that an entry of this id holds."""


class _Requester(msgspec.Struct):
    institution: str = ""


class _Intent(msgspec.Struct):
    request: str = ""
    attempt: int = 0


class _Scope(msgspec.Struct):
    purpose: str = ""
    items: list[str] = []
    platforms: list[str] = []


class _Line(msgspec.Struct):
    id: str = ""
    status: str = ""


class _Kind(msgspec.Struct):
    type: str


class _Leaf(msgspec.Struct):
    type: str
    entry_id: UUID
    ts: datetime
    requester: _Requester = msgspec.field(default_factory=_Requester)
    intent: _Intent = msgspec.field(default_factory=_Intent)
    scope: _Scope = msgspec.field(default_factory=_Scope)
    subject_commitment: str = ""
    platforms: list[_Line] = []


_KIND = msgspec.json.Decoder(_Kind)
_LEAF = msgspec.json.Decoder(_Leaf)
_READ = frozenset({EntryType.QUERY_INTENT.value, *(kind.value for kind in CLOSINGS)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One QUERY_INTENT; ``leaf_hash`` hex."""

    number: int
    entry_id: UUID
    leaf_hash: str
    at: datetime
    purpose: str
    items: frozenset[str]
    platforms: frozenset[str]
    commitment: str


@dataclass(slots=True, kw_only=True)
class Enquiry:
    """One request of one institution, over its attempts; ``answered`` are the attempts to which the platform said OK.

    To these it gave data, so its book must have the enquiry; of all others it may, or may not, have one.
    """

    institution: str
    request_id: UUID
    attempts: dict[int, Attempt] = field(default_factory=dict)
    answered: set[int] = field(default_factory=set)

    @property
    def name(self) -> str:
        """Return how a person finds it in the ledger."""
        return f"{self.institution}/{self.request_id}"

    def answered_at(self) -> list[datetime]:
        """Return when the attempts were admitted that the platform answered."""
        return [self.attempts[number].at for number in sorted(self.answered) if number in self.attempts]


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """What a comparison found; every line names itself."""

    both: int
    only_here: tuple[str, ...]
    only_there: tuple[str, ...]
    different: tuple[str, ...]

    @property
    def unequal(self) -> int:
        """Return how many lines do not agree."""
        return len(self.only_here) + len(self.only_there) + len(self.different)


def enquiries(entries: Iterable[tuple[bytes, bytes]], platform_id: str) -> list[Enquiry]:
    """Return the enquiries among entries (body, leaf hash), whichever platforms they went to."""
    found: dict[tuple[str, str], Enquiry] = {}
    for body, leaf_hash in entries:
        if _KIND.decode(body).type not in _READ:
            continue
        leaf = _LEAF.decode(body)
        key = (leaf.requester.institution, leaf.intent.request)
        enquiry = found.setdefault(key, Enquiry(institution=key[0], request_id=UUID(key[1])))
        if leaf.type == EntryType.QUERY_INTENT:
            enquiry.attempts[leaf.intent.attempt] = _attempt(leaf, leaf_hash)
        elif any(line.id == platform_id and line.status == "OK" for line in leaf.platforms):
            enquiry.answered.add(leaf.intent.attempt)
    return [enquiry for enquiry in found.values() if enquiry.attempts]


def compare(
    here: Mapping[str, Enquiry],
    there: Sequence[BookLine],
    *,
    due: Iterable[str],
    platform_id: str,
    purposes: Mapping[str, str],
    committed: Committed,
) -> Compared:
    """Compare the ledger's enquiries, by the platform's key, with the lines of its book.

    ``due`` are the keys that the book of this day must have; ``purposes`` are the platform's codes.
    """
    both, only_there, different = 0, [], []
    seen: set[str] = set()
    for line in there:
        enquiry = here.get(line.key)
        if enquiry is None:
            only_there.append(line.number)
            continue
        faults = differences(
            enquiry,
            line,
            platform_id=platform_id,
            purposes=purposes,
            committed=committed,
        )
        faults += ["DOUBLED"] if line.key in seen else []
        seen.add(line.key)
        if faults:
            different.append(f"{enquiry.name} {','.join(faults)}")
        else:
            both += 1
    return Compared(
        both=both,
        only_here=tuple(sorted(here[key].name for key in due if key not in seen)),
        only_there=tuple(sorted(only_there)),
        different=tuple(sorted(different)),
    )


def differences(
    enquiry: Enquiry, line: BookLine, *, platform_id: str, purposes: Mapping[str, str], committed: Committed
) -> list[str]:
    """Return in what a line of the book differs from every attempt of the same enquiry."""
    attempts = enquiry.attempts.values()
    asked = frozenset().union(*(attempt.items for attempt in attempts))
    agrees = {
        "PLATFORM": any(platform_id in attempt.platforms for attempt in attempts),
        "INSTITUTION": line.institution == enquiry.institution,
        "SUBJECT": any(attempt.commitment == committed(line.subject, attempt.entry_id) for attempt in attempts),
        "PURPOSE": any(purposes.get(attempt.purpose) == line.purpose for attempt in attempts),
        "ITEMS": all(not kind.isdisjoint(asked) for kind in line.kinds),
        "EVIDENCE": any(attempt.leaf_hash == line.evidence for attempt in attempts),
    }
    return [name for name, is_equal in agrees.items() if not is_equal]


def _attempt(leaf: _Leaf, leaf_hash: bytes) -> Attempt:
    return Attempt(
        number=leaf.intent.attempt,
        entry_id=leaf.entry_id,
        leaf_hash=leaf_hash.hex(),
        at=leaf.ts,
        purpose=leaf.scope.purpose,
        items=frozenset(leaf.scope.items),
        platforms=frozenset(leaf.scope.platforms),
        commitment=leaf.subject_commitment,
    )
