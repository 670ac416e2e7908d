"""XY2001, a dispute (docs/platforms/chongqing.md section 11)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sandbox.chongqing import messages
from sandbox.chongqing.answers import Answer, bare
from sandbox.chongqing.codes import Fhm
from sandbox.chongqing.messages import compact_day
from sandbox.chongqing.state import Asked, State
from sandbox.chongqing.writer import tags
from sandbox.disputes import EXPLANATIONS, RIGHT, UNVERIFIABLE, WRONG

DUE_DAYS: Final = 20
CHECKING, ANSWERED = "1", "2"
_CODES: Final = {WRONG: "1", RIGHT: "2", UNVERIFIABLE: "9"}


def dispute(state: State, asked: Asked) -> Answer:
    """Take a dispute, or tell where it stands: the same LSH with the same body is the same dispute."""
    read = messages.dispute(asked.request.body)
    if read is None:
        return bare(Fhm.FORMAT)
    file = state.file_of(read.subject, name="")
    if isinstance(file, Fhm):
        return bare(file)
    found = state.disputes.open(
        read.institution,
        asked.lsh,
        read.subject,
        read.kind,
        read.locator,
        read.reason,
        state.clocks.chongqing.now(),
        state.clocks.data.day,
    )
    if found is None:
        return bare(Fhm.FORMAT)
    case, is_new = found
    if is_new:
        state.book.dispute(case.line())
    outcome = case.outcome(state.clocks.data.day)
    inner = tags(
        (
            ("YYBH", case.number),
            ("YJDFRQ", compact_day((case.at + timedelta(days=DUE_DAYS)).date())),
            ("YYZT", CHECKING if outcome is None else ANSWERED),
            ("HCJG", None if outcome is None else _CODES[outcome]),
            ("HCSM", None if outcome is None else EXPLANATIONS[outcome]),
        )
    )
    return Answer(fhm=Fhm.DONE, words="异议已受理", inner=inner)
