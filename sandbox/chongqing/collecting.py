"""XY1002 poll, XY1003 fetch, XY1004 acknowledge (docs/platforms/chongqing.md section 6)."""

from __future__ import annotations

from typing import Final

from sandbox.chongqing import jobs, messages
from sandbox.chongqing.answers import Answer, bare
from sandbox.chongqing.codes import Fhm, Kind
from sandbox.chongqing.groups import Group, groups
from sandbox.chongqing.jobs import Job, Result
from sandbox.chongqing.messages import PageRequest, compact_day
from sandbox.chongqing.paging import page_count, page_text
from sandbox.chongqing.state import Asked, State
from sandbox.chongqing.submitting import expected_end
from sandbox.chongqing.writer import tag, tags
from sandbox.facts import PlatformId
from sandbox.faults import FaultKind
from sandbox.persons import CITIZEN_ID_KIND, is_person

_OTHER_SUBJECTS: Final = ("91500105XXTT00018M", "91500105XXTT00034B")


def poll(state: State, asked: Asked) -> Answer:
    """Tell how far the job is, and how many pages it has when done."""
    number = messages.job_number(asked.request.body)
    job = None if number is None else state.jobs.find(number, jgdm=asked.jgdm)
    if number is None:
        return bare(Fhm.FORMAT)
    result = _ready(state, job)
    if job is not None and result is Fhm.UNDER_WAY:
        progress = str(job.progress(state.clocks.data.aged_now()))
        inner = tags((("RWH", number), ("JD", progress), ("YJWCSJ", expected_end(state, job))))
        return Answer(fhm=result, words=result.words, inner=inner)
    if isinstance(result, Fhm):
        return bare(result)
    inner = tags((("RWH", number), ("JD", "100"), ("ZYS", str(page_count(result.groups)))))
    return Answer(fhm=Fhm.DONE, words="处理完成", inner=inner)


def fetch(state: State, asked: Asked) -> Answer:
    """Answer one page, signed."""
    wanted = messages.page_request(asked.request.body)
    if wanted is None:
        return bare(Fhm.FORMAT)
    job = state.jobs.find(wanted.job_number, jgdm=asked.jgdm)
    return bare(Fhm.JOB_GONE) if job is None else page(state, asked, job, wanted)


def page(state: State, asked: Asked, job: Job, wanted: PageRequest) -> Answer:
    """Answer a page of a job's result, or the code of a job that has none to give."""
    result = _ready(state, job)
    if isinstance(result, Fhm):
        return bare(result)
    if wanted.page > page_count(result.groups):
        return bare(Fhm.FORMAT)
    extra = _extra(state, job) if asked.fault is FaultKind.EXTRA_ITEMS and wanted.page == 1 else ""
    subject = _other(job.subject) if asked.fault is FaultKind.WRONG_SUBJECT else job.subject
    return _page(subject, result, wanted, extra=extra)


def acknowledge(state: State, asked: Asked) -> Answer:
    """Delete the result; said again, it is done again."""
    number = messages.job_number(asked.request.body)
    if number is None:
        return bare(Fhm.FORMAT)
    job = state.jobs.find(number, jgdm=asked.jgdm)
    if job is not None and job.is_acknowledged:
        return bare(Fhm.DONE)
    result = _ready(state, job)
    if isinstance(result, Fhm) or job is None:
        return bare(result if isinstance(result, Fhm) else Fhm.JOB_GONE)
    state.jobs.acknowledge(job)
    return bare(Fhm.DONE)


def _ready(state: State, job: Job | None) -> Result | Fhm:
    """Return the result, or the code of a job that has none to give."""
    if job is None:
        return Fhm.JOB_GONE
    match job.state(state.clocks.data.aged_now()):
        case jobs.State.UNDER_WAY:
            return Fhm.UNDER_WAY
        case jobs.State.FAILED:
            return Fhm.DEPARTMENT_TIMEOUT
        case jobs.State.GONE:
            return Fhm.JOB_GONE
        case jobs.State.DONE:
            return job.result or Fhm.JOB_GONE


def _page(subject: str, result: Result, wanted: PageRequest, *, extra: str) -> Answer:
    inner = tags(
        (
            ("RWH", wanted.job_number),
            *_whose(subject, result.name),
            ("SJSJ", compact_day(result.as_of)),
            ("DQYS", str(wanted.page)),
            ("ZYS", str(page_count(result.groups))),
            ("QSMK", ",".join(sorted(result.missing))),
        )
    )
    fhm = _completeness(result.groups, result.missing)
    inner += page_text(result.groups, wanted.page) + extra
    return Answer(fhm=fhm, words=fhm.words, inner=inner, is_signed=True)


def _whose(subject: str, name: str) -> tuple[tuple[str, str], ...]:
    if is_person(subject):
        return ("ZJLX", CITIZEN_ID_KIND), ("ZJHM", subject), ("XM", name)
    return ("TYSHXYDM", subject), ("QYMC", name)


def _completeness(found: tuple[Group, ...], missing: frozenset[Kind]) -> Fhm:
    if missing:
        return Fhm.PARTIAL
    return Fhm.DONE if found else Fhm.NO_RECORD


def _extra(state: State, job: Job) -> str:
    """Return what nobody asked for, when that is forced: the first kind not asked of which something is held."""
    file = state.world.file(PlatformId.CHONGQING, job.subject)
    if file is None:
        return ""
    unasked = (groups(file, frozenset({kind})) for kind in Kind if kind not in job.kinds)
    return next((page_text(found, 1) for found in unasked if found), "") or tag("BZ", "未请求")


def _other(subject: str) -> str:
    return next(other for other in _OTHER_SUBJECTS if other != subject)
