"""What the doctor finds: one line a check, in two languages, with whose turn it is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from core.errors import Turn


class State(StrEnum):
    """How a check ended. WARN: it works today; NOT_CHECKED: it would take something that was not given."""

    OK = "OK"
    WARN = "WARN"
    FAIL = "FAIL"
    NOT_CHECKED = "NOT_CHECKED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One check: its place (``platforms.chongqing.tls``), what was found in Chinese and English, whose turn it is."""

    check: str
    state: State
    zh: str
    en: str
    turn: Turn = Turn.OPERATOR

    def line(self) -> str:
        """Return the finding for people; the turn stands where somebody must act."""
        turn = f" · 待办 turn: {self.turn.value}" if self.state in {State.WARN, State.FAIL} else ""
        return f"{self.state.value:<11} {self.check:<34} {self.zh} {self.en}{turn}"


def ok(check: str, zh: str, en: str) -> Finding:
    """Return a check that passed."""
    return Finding(check=check, state=State.OK, zh=zh, en=en)


def fail(check: str, zh: str, en: str, *, turn: Turn = Turn.OPERATOR) -> Finding:
    """Return a check that failed."""
    return Finding(check=check, state=State.FAIL, zh=zh, en=en, turn=turn)


def warn(check: str, zh: str, en: str, *, turn: Turn = Turn.OPERATOR) -> Finding:
    """Return a check that works today and will not for long."""
    return Finding(check=check, state=State.WARN, zh=zh, en=en, turn=turn)


def unchecked(check: str, zh: str, en: str) -> Finding:
    """Return a check that something is missing for."""
    return Finding(check=check, state=State.NOT_CHECKED, zh=zh, en=en)
