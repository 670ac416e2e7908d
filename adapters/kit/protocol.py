"""What an adapter is: one platform, asked one way."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from core.permit import Permit
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
    ``items`` are the data items that the adapter can ask; ``purposes`` maps purpose ids to the platform's own codes;
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
