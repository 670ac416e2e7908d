"""What the age of the last checkpoint that a quorum of outside witnesses cosigned means for admissions. Pure.

Graded, so that a lost witness does not stop a bank's morning and a log that nobody sees does not go on for ever.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

WARN_S: Final = 60.0
REFUSE_PERSONS_S: Final = 3600.0
REFUSE_ALL_S: Final = 14_400.0


class WitnessGrade(StrEnum):
    """What admissions make of that age."""

    FRESH = "FRESH"
    WARNED = "WARNED"
    PERSONS_REFUSED = "PERSONS_REFUSED"
    ALL_REFUSED = "ALL_REFUSED"


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessBudgets:
    """Ages in seconds; what is older is in the next grade."""

    warn_s: float = WARN_S
    refuse_persons_s: float = REFUSE_PERSONS_S
    refuse_all_s: float = REFUSE_ALL_S

    def grade(self, age_s: float | None) -> WitnessGrade:
        """Grade an age; None (no sealer ever asked the witnesses that the settings name) is older than any."""
        if age_s is None or age_s > self.refuse_all_s:
            return WitnessGrade.ALL_REFUSED
        if age_s > self.refuse_persons_s:
            return WitnessGrade.PERSONS_REFUSED
        return WitnessGrade.WARNED if age_s > self.warn_s else WitnessGrade.FRESH
