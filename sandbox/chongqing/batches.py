"""Batches of questions and what each line came to (docs/platforms/chongqing.md section 11)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sandbox.chongqing.codes import Fhm
from sandbox.chongqing.jobs import RESULT_KEPT, Job
from sandbox.chongqing.messages import compact_time

_BATCHES_KEPT: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What one line came to: its job, or the code of its refusal."""

    fhm: Fhm
    job: Job | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """One accepted file; lines by ``XH``."""

    number: str
    jgdm: str
    lines: dict[int, Line]
    submitted_at: datetime


class BatchBook:
    """The batches of all callers, each seen by the one that sent it; results are kept as long as a job's."""

    def __init__(self) -> None:
        self._batches: OrderedDict[str, Batch] = OrderedDict()
        self._issued = 0

    def keep(self, lines: dict[int, Line], *, jgdm: str, now: datetime) -> Batch:
        """Take a batch on."""
        self._issued = (self._issued + 1) % 1_000_000
        batch = Batch(number=f"RWPL{compact_time(now)}{self._issued:06d}", jgdm=jgdm, lines=lines, submitted_at=now)
        self._batches[batch.number] = batch
        if len(self._batches) > _BATCHES_KEPT:
            self._batches.popitem(last=False)
        return batch

    def find(self, number: str, *, jgdm: str, now: datetime) -> Batch | None:
        """Return that caller's batch, None for one that is unknown, expired or another's."""
        batch = self._batches.get(number)
        is_theirs = batch is not None and batch.jgdm == jgdm and now - batch.submitted_at <= RESULT_KEPT
        return batch if is_theirs else None
