"""XY1100, up to 5,000 questions in one file (docs/platforms/chongqing.md section 11): each line a job of its own."""

from __future__ import annotations

import base64
import binascii
import csv
import io
import re
from typing import Final

from sandbox.chongqing import collecting, jobs, messages
from sandbox.chongqing.answers import Answer, bare
from sandbox.chongqing.batches import Batch, Line
from sandbox.chongqing.codes import PURPOSES, Fhm
from sandbox.chongqing.jobs import Job
from sandbox.chongqing.messages import Submission
from sandbox.chongqing.reader import ENCODING, Element
from sandbox.chongqing.state import Asked, State, is_same_body
from sandbox.chongqing.submitting import expected_end, take_on
from sandbox.chongqing.writer import tags

LINES_MOST: Final = 5_000
HEADER: Final = ["XH", "TYSHXYDM", "QYMC", "SQSBH", "SQJZRQ", "CXMK"]
_BATCH: Final = re.compile(r"[A-Z0-9]{1,26}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,3}")


def submit(state: State, asked: Asked) -> Answer:
    """Check 1001 and a repeated LSH; what is wrong with one line is that line's own code, read with XY1003."""
    questions = _questions(asked.request.body)
    if questions is None:
        return bare(Fhm.FORMAT)
    now = state.clocks.data.aged_now()
    if (serial := state.serial(asked)) is not None:
        known = state.batches.find(serial.result, jgdm=asked.jgdm, now=now)
        return _accepted(state, known) if known is not None and is_same_body(serial, asked) else bare(Fhm.FORMAT)
    lines = {number: _line(state, asked, question) for number, question in questions.items()}
    batch = state.batches.keep(lines, jgdm=asked.jgdm, now=now)
    state.remember(asked, batch.number)
    return _accepted(state, batch)


def poll(state: State, asked: Asked) -> Answer:
    """Tell that a batch is done, and how many lines it has; any other job as ever."""
    batch = _asked_for(state, asked)
    if batch is None:
        return collecting.poll(state, asked)
    now = state.clocks.data.aged_now()
    if late := [job for job in _jobs(batch) if not job.never_ends and job.state(now) is jobs.State.UNDER_WAY]:
        progress = str(min(job.progress(now) for job in late))
        inner = tags((("RWH", batch.number), ("JD", progress), ("YJWCSJ", expected_end(state, *late))))
        return Answer(fhm=Fhm.UNDER_WAY, words=Fhm.UNDER_WAY.words, inner=inner)
    inner = tags((("RWH", batch.number), ("JD", "100"), ("HS", str(len(batch.lines)))))
    return Answer(fhm=Fhm.DONE, words="处理完成", inner=inner)


def fetch(state: State, asked: Asked) -> Answer:
    """Answer one page of one line (``XH``), signed; any other job as ever."""
    batch, number = _asked_for(state, asked), asked.request.body.value("XH")
    if batch is None:
        return collecting.fetch(state, asked) if not number else bare(Fhm.FORMAT)
    line = batch.lines.get(int(number)) if _NUMBER.fullmatch(number) else None
    wanted = messages.page_request(asked.request.body)
    if line is None or wanted is None:
        return bare(Fhm.FORMAT)
    return bare(line.fhm) if line.job is None else collecting.page(state, asked, line.job, wanted)


def acknowledge(state: State, asked: Asked) -> Answer:
    """Delete the results of every line; any other job as ever."""
    batch = _asked_for(state, asked)
    if batch is None:
        return collecting.acknowledge(state, asked)
    for line in batch.lines.values():
        if line.job is not None and not line.job.is_acknowledged:
            state.jobs.acknowledge(line.job)
    return bare(Fhm.DONE)


def _asked_for(state: State, asked: Asked) -> Batch | None:
    number = messages.job_number(asked.request.body)
    now = state.clocks.data.aged_now()
    return None if number is None else state.batches.find(number, jgdm=asked.jgdm, now=now)


def _jobs(batch: Batch) -> list[Job]:
    return [line.job for line in batch.lines.values() if line.job is not None]


def _accepted(state: State, batch: Batch) -> Answer:
    taken = sum(line.job is not None for line in batch.lines.values())
    end = expected_end(state, *_jobs(batch))
    inner = tags((("RWH", batch.number), ("YJWCSJ", end), ("HS", str(len(batch.lines))), ("SLS", str(taken))))
    return Answer(fhm=Fhm.DONE, words="受理成功", inner=inner)


def _line(state: State, asked: Asked, question: Submission | None) -> Line:
    if question is None:
        return Line(fhm=Fhm.FORMAT)
    job = take_on(state, asked, question)
    return Line(fhm=job) if isinstance(job, Fhm) else Line(fhm=Fhm.DONE, job=job)


def _questions(body: Element) -> dict[int, Submission | None] | None:
    """Read ``WJ``; a line that is malformed by itself is None, a file that is malformed is None as a whole."""
    batch, purpose, institution = body.value("PCH"), body.value("CXYY"), body.value("CXJG")
    if not _BATCH.fullmatch(batch) or purpose not in PURPOSES or not messages.INSTITUTION.fullmatch(institution):
        return None
    try:
        text = base64.b64decode(body.value("WJ"), validate=True).decode(ENCODING)
        rows = list(csv.reader(io.StringIO(text), strict=True))
    except (binascii.Error, UnicodeDecodeError, csv.Error):
        return None
    if not rows or rows[0] != HEADER or not 1 <= len(rows) - 1 <= LINES_MOST:
        return None
    questions: dict[int, Submission | None] = {}
    for row in rows[1:]:
        # A line that cannot be named could not be asked for.
        if len(row) != len(HEADER) or not _NUMBER.fullmatch(row[0]) or int(row[0]) in questions:
            return None
        number = int(row[0])
        questions[number] = messages.line_of_batch(
            row, purpose=purpose, institution=institution, enquiry_number=f"{batch}L{number:04d}"
        )
    return questions
