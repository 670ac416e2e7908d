"""XY1001, submit a question (docs/platforms/chongqing.md section 6)."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from sandbox import books
from sandbox.chongqing import authorisations, messages
from sandbox.chongqing.answers import Answer, bare
from sandbox.chongqing.codes import PERSONAL_KINDS, PUBLIC_KINDS, Fhm, Kind
from sandbox.chongqing.jobs import Job
from sandbox.chongqing.messages import Submission, compact_time
from sandbox.chongqing.serials import Serial
from sandbox.chongqing.state import Asked, State, is_same_body
from sandbox.chongqing.writer import tag
from sandbox.facts import PlatformFile, PlatformId
from sandbox.faults import FaultKind
from sandbox.persons import is_person

STUCK_FOR: Final = timedelta(seconds=60)
"""What a job that never ends still promises, every time it is asked."""
_TAX_KINDS: Final = frozenset({Kind.NSXY, Kind.NSSJ, Kind.QSXX, Kind.KPXX})


def submit(state: State, asked: Asked) -> Answer:
    """Check in the stated order: 1001, a repeated LSH, 3001, 3002, 2001, 2003, 2002, 2005, 2004."""
    question = messages.submission(asked.request.body, jgdm=asked.jgdm, lsh=asked.lsh)
    if question is None:
        return bare(Fhm.FORMAT)
    if (serial := state.serial(asked)) is not None:
        return _submitted_before(state, asked, question, serial)
    job = take_on(state, asked, question)
    if isinstance(job, Fhm):
        return bare(job)
    state.remember(asked, job.number)
    return _accepted(state, job)


def take_on(state: State, asked: Asked, question: Submission) -> Job | Fhm:
    """Check a question in the stated order from 3001 on, take its job on and mark the enquiry."""
    file = state.file_of(question.subject, name=question.name, is_stale=asked.fault is FaultKind.STALE)
    if isinstance(file, Fhm):
        return file
    if not _has_intent(state, asked, question):
        return Fhm.AUTHORISATION_DIFFERS
    kinds = _granted(state, asked, question)
    return kinds if isinstance(kinds, Fhm) else _marked(state, asked, question, file, kinds)


def _has_intent(state: State, asked: Asked, question: Submission) -> bool:
    """Tell whether an intent came with an authorised question that stands for no other; not asked without a checker."""
    if state.checker is None or question.authorisation is None:
        return True
    enquiry = f"{question.institution}/{question.enquiry_number}"
    return state.checker.is_intent_of(asked.intent, PlatformId.CHONGQING, enquiry)


def expected_end(state: State, *jobs: Job) -> str:
    """Return ``YJWCSJ`` of the last of the jobs by the platform's clock."""
    now = state.clocks.data.aged_now()
    left = [STUCK_FOR if job.never_ends else job.done_at - now for job in jobs]
    return compact_time(state.clocks.chongqing.now() + max([timedelta(0), *left]))


def _granted(state: State, asked: Asked, question: Submission) -> frozenset[Kind] | Fhm:
    """Return the kinds that the answer will hold, or the code of the refusal."""
    if is_person(question.subject) and not (question.kinds and question.kinds <= PERSONAL_KINDS):
        return Fhm.AUTHORISATION_SCOPE
    if question.authorisation is None:
        kinds = question.kinds or PUBLIC_KINDS
        return kinds if kinds <= PUBLIC_KINDS else Fhm.AUTHORISATION_SCOPE
    known = state.authorisations.find(question.authorisation, jgdm=asked.jgdm)
    refusal = authorisations.refusal(known, question, now=state.clocks.chongqing.now())
    if refusal is not None or known is None:
        return refusal or Fhm.AUTHORISATION_MISSING
    return question.kinds or known.filing.kinds


def _marked(state: State, asked: Asked, question: Submission, file: PlatformFile, kinds: frozenset[Kind]) -> Job:
    now = state.clocks.data.aged_now()
    job = state.jobs.submit(
        file, jgdm=asked.jgdm, kinds=kinds, missing=_missing(asked, kinds), now=now, build=state.build()
    )
    at = state.clocks.chongqing.now()
    state.book.submit(books.Submit(key=asked.lsh, job=job.number, subject=job.subject, at=at))
    state.book.mark(
        books.Enquiry(
            key=question.enquiry_number,
            institution=question.institution,
            subject=job.subject,
            purpose=question.purpose,
            kinds=tuple(sorted(kinds)),
            at=at,
            evidence=asked.intent or None,
        )
    )
    return job


def _submitted_before(state: State, asked: Asked, question: Submission, serial: Serial) -> Answer:
    if not is_same_body(serial, asked):
        return bare(Fhm.FORMAT)
    job = state.jobs.find(serial.result, jgdm=asked.jgdm)
    file = state.file_of(question.subject, name="")
    if job is None:
        return bare(Fhm.FORMAT)
    if job.was_partial and not isinstance(file, Fhm):
        missing = _missing(asked, job.kinds)
        state.jobs.rebuild(job, file, missing=missing, now=state.clocks.data.aged_now(), build=state.build())
    return _accepted(state, job)


def _missing(asked: Asked, kinds: frozenset[Kind]) -> frozenset[Kind]:
    """Return whose department does not answer when that is forced: the tax kinds, else the first kind asked."""
    if asked.fault is not FaultKind.PARTIAL:
        return frozenset()
    return kinds & _TAX_KINDS or frozenset(sorted(kinds)[:1])


def _accepted(state: State, job: Job) -> Answer:
    inner = tag("RWH", job.number) + tag("YJWCSJ", expected_end(state, job))
    return Answer(fhm=Fhm.DONE, words="受理成功", inner=inner)
