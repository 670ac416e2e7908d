"""What an adapter is: one platform, asked one way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol, TypeAlias, runtime_checkable
from uuid import UUID

from core.permit import Permit, Subject
from standards.answer import ItemAnswer


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLicence:
    """The platform's licence (许可或备案); ``kind`` is one of ``licence_kinds.csv``, ``valid_to`` None: no end."""

    kind: str
    number: str
    authority: str
    valid_from: date
    valid_to: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformInfo:
    """A connected platform, as its configuration and the standard describe it.

    ``region`` is the GB/T 2260 code of its province; ``platform_kind`` is a code of the list ``platform_kind``;
    ``items`` are the data items that the adapter can ask, ``personal_items`` those that it asks about persons too;
    ``purposes`` maps purpose ids to the platform's own codes;
    ``agreement_id`` and ``pia_id`` name the agreement and the impact assessment (rule R44).
    """

    platform_id: str
    region: str
    platform_kind: str
    name_zh: str
    name_en: str
    licence: PlatformLicence
    items: frozenset[str]
    purposes: Mapping[str, str]
    agreement_id: str
    pia_id: str
    personal_items: frozenset[str] = frozenset()


class Adapter(Protocol):
    """Asks one platform. Implementations keep nothing that matters between two calls."""

    @property
    def platform(self) -> PlatformInfo:
        """Return the platform that is asked."""

    async def ask(self, permit: Permit, items: frozenset[str], *, deadline: float) -> list[ItemAnswer]:
        """Return exactly one answer for each of ``items``, in the order of their ids.

        ``deadline`` is on the monotonic clock, seconds. Every failure is an answer's status; nothing is raised but
        CancelledError. The same request id asked again leaves no second enquiry mark at the platform.
        """

    async def close(self) -> None:
        """Close connections; the adapter is not asked again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeCase:
    """A dispute as a platform has to be told; ``locator`` is the platform's own name of the record, or empty."""

    dispute_id: UUID
    subject: Subject
    item: str
    locator: str
    text: str
    received_on: date
    institution: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DisputeStanding:
    """Where a dispute stands at a platform.

    ``reference`` is the platform's number. ``outcome`` None: not checked yet; else a code of ``dispute_check_result``
    or UNVERIFIABLE, with the platform's ``explanation``.
    """

    reference: str
    outcome: str | None = None
    explanation: str = ""


@runtime_checkable
class TakesDisputes(Protocol):
    """An adapter whose platform has an interface for disputes."""

    async def dispute(self, case: DisputeCase, reference: str, *, deadline: float) -> DisputeStanding:
        """Hand a dispute over (``reference`` empty), or ask where it stands; handing it over twice opens one.

        Raises:
            PlatformFailureError: the platform did not take it, or its answer cannot be read.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class BookLine:
    """One enquiry as a platform wrote it down.

    ``key`` is what :meth:`ShowsBooks.enquiry_key` makes of the gateway's own enquiry; ``number`` is the platform's, for
    people. ``purpose`` is the platform's code. ``kinds`` holds, for each kind given, the items that it may bring: none
    for a kind that is not known here. ``evidence`` is the hex leaf hash of the intent that came with it, or empty.
    """

    key: str
    number: str
    institution: str
    subject: Subject
    purpose: str
    kinds: tuple[frozenset[str], ...]
    at: datetime
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Book:
    """A platform's enquiries of one day; ``digest`` is SHA-256 over the SHA-256 of each page as received."""

    lines: tuple[BookLine, ...]
    digest: bytes


OnPage: TypeAlias = Callable[[int, int], None]
"""Hears of every page read: its number and how many there are so far."""


@runtime_checkable
class ShowsBooks(Protocol):
    """An adapter whose platform shows the enquiries that it wrote down."""

    def enquiry_key(self, institution: str, request_id: UUID) -> str:
        """Return under which key the platform's book holds an enquiry."""

    async def book(self, day: date, *, deadline: float, on_page: OnPage) -> Book:
        """Return the enquiries of a Beijing day by the platform's clock, in the order of receipt.

        Raises:
            PlatformFailureError: the platform did not show it, or a page cannot be read.
        """
