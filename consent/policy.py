"""Longest windows and most uses a consent may have, by what its purpose needs.

Working values, unverified: no law or published rule names them. An operator replaces the table by constructor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final

from standards.purposes import Reference


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """The longest window (``exp - nbf``) and the most uses."""

    longest: timedelta
    most_uses: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The limit for each kind of purpose: before a loan, during one, or bound to neither."""

    by_reference: Mapping[Reference, Limit] = field(
        default_factory=lambda: {
            Reference.APPLICATION: Limit(longest=timedelta(days=90), most_uses=3),
            Reference.LOAN: Limit(longest=timedelta(days=10 * 366), most_uses=100_000),
            Reference.NONE: Limit(longest=timedelta(days=90), most_uses=3),
        }
    )

    def of(self, needs: Reference) -> Limit:
        """Return the limit of a purpose that needs this reference."""
        return self.by_reference[needs]


WORKING_TERMS: Final = Terms()
UNLIMITED_TERMS: Final = Terms(
    by_reference={reference: Limit(longest=timedelta.max, most_uses=2**53) for reference in Reference}
)
"""No limit: for reading back what a policy of its time accepted."""
