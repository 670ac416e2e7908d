"""What can be wrong with a log that is watched from outside."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Alarm(StrEnum):
    """What can be wrong with a log."""

    UNSIGNED = "UNSIGNED"
    """The checkpoint does not open under the log's key."""
    REWOUND = "REWOUND"
    """The log is smaller than it was."""
    FORKED = "FORKED"
    """The log is not the one seen before."""
    UNPROVEN = "UNPROVEN"
    """The log does not prove that it continues the one seen before."""
    ENTRY_MISSING = "ENTRY_MISSING"
    """An entry of the tree is not there to be read."""
    ENTRY_CHANGED = "ENTRY_CHANGED"
    """An entry is not the one in the tree."""
    UNWITNESSED = "UNWITNESSED"
    """No quorum of the watcher's witnesses has cosigned the log lately."""
    STATE_BROKEN = "STATE_BROKEN"
    """The kept checkpoint is not one of this log."""


class LogAlarm(Exception):  # noqa: N818 - named after the fact
    """The log cannot be what it was; ``alarm`` says how, the message says what was seen."""

    def __init__(self, alarm: Alarm, message: str) -> None:
        super().__init__(f"{alarm}: {message}")
        self.alarm: Final = alarm
