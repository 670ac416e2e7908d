"""Jobs from submit to acknowledgement (docs/platforms/chongqing.md section 6). All times here are of job age."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import Enum, auto
from typing import Final

from sandbox.chongqing.codes import Kind
from sandbox.chongqing.groups import Group, groups
from sandbox.chongqing.messages import compact_time
from sandbox.facts import PlatformFile

RESULT_KEPT: Final = timedelta(hours=2)
DEPARTMENT_GIVEN_UP: Final = timedelta(hours=24)
STUCK_AT: Final = 60
"""``JD`` of a job that never ends."""
FORGOTTEN: Final = timedelta(hours=48)
"""No serial leads to an older job, and every one of them is failed or expired."""
_MAX_KEPT: Final = 200_000
_MAX_RESULTS: Final = 10_000
"""Some 15 kB each. Beyond it the oldest counts as expired, which every caller knows how to answer."""


class State(Enum):
    """Where a job stands."""

    UNDER_WAY = auto()
    DONE = auto()
    FAILED = auto()
    GONE = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a job found, frozen when it was done."""

    name: str
    as_of: date
    missing: frozenset[Kind]
    groups: tuple[Group, ...]


@dataclass(slots=True, kw_only=True)
class Job:
    """One job; ``result`` is None once it is deleted."""

    number: str
    jgdm: str
    subject: str
    kinds: frozenset[Kind]
    submitted_at: datetime
    done_at: datetime
    result: Result | None
    was_partial: bool
    never_ends: bool
    is_acknowledged: bool = False

    def state(self, now: datetime) -> State:
        """Return the state at ``now``."""
        age = now - self.submitted_at
        if self.never_ends:
            return State.FAILED if age >= DEPARTMENT_GIVEN_UP else State.UNDER_WAY
        if now < self.done_at:
            return State.UNDER_WAY
        return State.GONE if self.result is None or now - self.done_at > RESULT_KEPT else State.DONE

    def progress(self, now: datetime) -> int:
        """Return ``JD`` of a job under way, 0-99."""
        whole = (self.done_at - self.submitted_at).total_seconds()
        return min(99, int(100 * (now - self.submitted_at).total_seconds() / whole)) if whole > 0 else STUCK_AT


class JobBook:
    """The jobs of all callers, each seen by the one that submitted it."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._results: OrderedDict[str, None] = OrderedDict()
        self._issued = 0

    def submit(
        self,
        file: PlatformFile,
        *,
        jgdm: str,
        kinds: frozenset[Kind],
        missing: frozenset[Kind],
        now: datetime,
        build: timedelta = timedelta(0),
    ) -> Job:
        """Take a job on; one that does not run for ever is done after ``build``."""
        self._prune(now)
        job = Job(
            number=self._number(now),
            jgdm=jgdm,
            subject=file.code,
            kinds=kinds,
            submitted_at=now,
            done_at=now + build,
            result=_found(file, kinds, missing),
            was_partial=bool(missing),
            never_ends=file.behaviour.job_never_ends,
        )
        self._jobs[job.number] = job
        self._results[job.number] = None
        return job

    @property
    def issued(self) -> int:
        """How many jobs were taken on."""
        return self._issued

    def find(self, number: str, *, jgdm: str) -> Job | None:
        """Return that caller's job, None for one that is unknown, forgotten or another's."""
        job = self._jobs.get(number)
        return job if job is not None and job.jgdm == jgdm else None

    def rebuild(
        self,
        job: Job,
        file: PlatformFile,
        *,
        missing: frozenset[Kind],
        now: datetime,
        build: timedelta = timedelta(0),
    ) -> None:
        """Build a partial job again under its own number, from what is held now."""
        job.result, job.was_partial = _found(file, job.kinds, missing), bool(missing)
        job.submitted_at, job.done_at, job.is_acknowledged = now, now + build, False
        self._results[job.number] = None

    def acknowledge(self, job: Job) -> None:
        """Delete the result."""
        job.is_acknowledged = True
        self._drop_result(job.number)

    def _drop_result(self, number: str) -> None:
        self._results.pop(number, None)
        job = self._jobs.get(number)
        if job is not None:
            job.result = None

    def _prune(self, now: datetime) -> None:
        while self._results and self._oldest_result_is_due(now):
            self._drop_result(next(iter(self._results)))
        while self._jobs and self._oldest_job_is_due(now):
            number, _ = self._jobs.popitem(last=False)
            self._results.pop(number, None)

    def _oldest_result_is_due(self, now: datetime) -> bool:
        oldest = self._jobs[next(iter(self._results))]
        return len(self._results) >= _MAX_RESULTS or now - oldest.done_at > RESULT_KEPT

    def _oldest_job_is_due(self, now: datetime) -> bool:
        oldest = next(iter(self._jobs.values()))
        return len(self._jobs) >= _MAX_KEPT or now - oldest.submitted_at > FORGOTTEN

    def _number(self, now: datetime) -> str:
        # The time in front keeps a restart, which forgets the count, from giving a number out twice.
        self._issued += 1
        return f"RW{compact_time(now)}{self._issued % 1_000_000:06d}"


def _found(file: PlatformFile, kinds: frozenset[Kind], missing: frozenset[Kind]) -> Result:
    return Result(
        name=file.name, as_of=file.as_of.registration, missing=missing & kinds, groups=groups(file, kinds - missing)
    )
