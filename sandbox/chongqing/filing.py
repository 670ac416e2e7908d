"""XY1000, file an authorisation (docs/platforms/chongqing.md section 5)."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Final

from sandbox import books
from sandbox.chongqing import authorisations, messages
from sandbox.chongqing.answers import Answer, bare
from sandbox.chongqing.authorisations import Authorisation
from sandbox.chongqing.codes import PUBLIC_KINDS, Fhm
from sandbox.chongqing.messages import Filing, compact_day, compact_time
from sandbox.chongqing.serials import Serial
from sandbox.chongqing.state import Asked, State, is_same_body
from sandbox.chongqing.writer import tags
from sandbox.facts import PlatformId
from sandbox.letter_words import CHONGQING_PURPOSES, KIND_ITEMS
from sandbox.letters import Claim, Fault

_REFUSALS: Final = {
    Fault.UNTRUSTED: Fhm.AUTHORISATION_MISSING,
    Fault.OVER: Fhm.AUTHORISATION_EXPIRED,
    Fault.OTHER: Fhm.AUTHORISATION_DIFFERS,
    Fault.SCOPE: Fhm.AUTHORISATION_SCOPE,
}


def file_authorisation(state: State, asked: Asked) -> Answer:
    """Check in the stated order: 1001, a repeated LSH, 3001, 3002, the letter itself."""
    filing = messages.filing(asked.request.body, today=state.clocks.chongqing.today())
    if filing is None:
        return bare(Fhm.FORMAT)
    if (serial := state.serial(asked)) is not None:
        return _filed_before(state, asked, serial)
    file = state.file_of(filing.subject, name=filing.name)
    if isinstance(file, Fhm):
        return bare(file)
    if (fault := _fault(state, filing)) is not None:
        return bare(_REFUSALS[fault])
    filed = state.authorisations.file(replace(filing, artefact=""), jgdm=asked.jgdm, now=state.clocks.chongqing.now())
    state.remember(asked, filed.number)
    return _answer(state, filed)


def _fault(state: State, filing: Filing) -> Fault | None:
    """Return what a second checker finds wrong with the letter; without one nothing is looked at."""
    if state.checker is None:
        return None
    if hashlib.sha256(filing.artefact.encode()).hexdigest() != filing.artefact_digest:
        return Fault.UNTRUSTED
    claim = Claim(
        platform_id=PlatformId.CHONGQING,
        subject=filing.subject,
        institution=filing.institution,
        purpose=CHONGQING_PURPOSES[filing.purpose],
        kinds=[frozenset({KIND_ITEMS[kind]}) for kind in filing.kinds if kind not in PUBLIC_KINDS],
        last_day=filing.last_day,
    )
    return state.checker.fault(filing.artefact, claim, now=state.clocks.chongqing.now())


def _filed_before(state: State, asked: Asked, serial: Serial) -> Answer:
    known = state.authorisations.find(serial.result, jgdm=asked.jgdm)
    return _answer(state, known) if known is not None and is_same_body(serial, asked) else bare(Fhm.FORMAT)


def _answer(state: State, known: Authorisation) -> Answer:
    now = state.clocks.chongqing.now()
    standing = known.state(now)
    is_under_review = standing is authorisations.State.UNDER_REVIEW
    inner = tags(
        (
            ("SQSBH", known.number),
            ("SQZT", standing),
            ("SQJZRQ", compact_day(known.filing.last_day)),
            ("YJSHSJ", compact_time(known.reviewed_at) if is_under_review else None),
        )
    )
    _write_down(state, known, standing)
    return Answer(fhm=Fhm.DONE, words="备案成功", inner=inner)


def _write_down(state: State, known: Authorisation, standing: authorisations.State) -> None:
    filing = known.filing
    state.book.file(
        books.Filing(
            key=known.number,
            institution=filing.institution,
            subject=filing.subject,
            purpose=filing.purpose,
            kinds=tuple(sorted(filing.kinds)),
            at=known.filed_at,
            state=standing,
            artefact_digest=filing.artefact_digest,
        )
    )
