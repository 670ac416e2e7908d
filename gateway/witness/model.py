"""A witness as the settings name it, and how it can answer."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final

from ledger.witness.cosignature import WitnessKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """An outside witness: its key, its submission prefix, and the CA of its certificate (None: the system's).

    ``monitoring_url``: the prefix where it shows what it cosigned, None where that is the same.
    """

    key: WitnessKey
    url: str
    ca: Path | None = None
    monitoring_url: str | None = None

    @property
    def name(self) -> str:
        """The name inside its verifier key."""
        return self.key.name


class WitnessState(StrEnum):
    """How a witness answered last."""

    COSIGNED = "COSIGNED"
    UNREACHABLE = "UNREACHABLE"
    """No answer in time, or one that says it is not working (5xx, 429)."""
    REFUSED = "REFUSED"
    """It does not know this log or this key (404, 403), or calls the request malformed (400)."""
    MALFORMED = "MALFORMED"
    """What it answered is not what C2SP tlog-witness says, or is too long."""
    UNSIGNED = "UNSIGNED"
    """No cosignature by its key, or one that does not hold."""
    WRONG_TIME = "WRONG_TIME"
    """Its cosignature's time is not now."""
    AHEAD = "AHEAD"
    """It says it cosigned a larger tree than was ever signed here: this log was rewound, or its key signs elsewhere."""
    FORKED = "FORKED"
    """It says that this tree does not continue the one it cosigned (422)."""


ALARMS: Final = frozenset({WitnessState.AHEAD, WitnessState.FORKED})
"""What contradicts this log, and is told in it."""
