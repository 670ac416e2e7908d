"""What the platform keeps, in memory and bounded: a restart forgets authorisations, serials and jobs."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

from sandbox import profiles
from sandbox.books import Book
from sandbox.chongqing.authorisations import AuthorisationBook
from sandbox.chongqing.batches import BatchBook
from sandbox.chongqing.codes import Fhm
from sandbox.chongqing.jobs import JobBook
from sandbox.chongqing.messages import same_name
from sandbox.chongqing.reader import Request
from sandbox.chongqing.serials import Serial, SerialBook, digest
from sandbox.clock import Clocks
from sandbox.disputes import DisputeDesk
from sandbox.facts import PlatformFile, PlatformId
from sandbox.faults import FaultKind
from sandbox.letters import SecondChecker
from sandbox.profiles import Conduct
from sandbox.world import World


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A well-formed request of a caller that is who it says."""

    jgdm: str
    lsh: str
    intent: str
    request: Request
    fault: FaultKind | None


@dataclass(frozen=True, slots=True, kw_only=True)
class State:
    """Everything a transaction reads and writes."""

    world: World
    book: Book
    clocks: Clocks
    authorisations: AuthorisationBook
    serials: SerialBook
    jobs: JobBook
    conduct: Conduct
    checker: SecondChecker | None = None
    batches: BatchBook = field(default_factory=BatchBook)
    disputes: DisputeDesk = field(default_factory=lambda: DisputeDesk("YY"))

    def file_of(self, subject: str, *, name: str, is_stale: bool = False) -> PlatformFile | Fhm:
        """Return the subject's file, or why not: ``3001``, ``3002``; a blank name is not compared."""
        file = self.world.file(PlatformId.CHONGQING, subject, is_stale=is_stale)
        if file is None:
            return Fhm.NOT_IN_REGION
        return Fhm.NAME_DIFFERS if name and not same_name(name, file.name) else file

    def build(self) -> timedelta:
        """Return how long the next job takes."""
        return timedelta(seconds=self.conduct.seconds(profiles.JOB))

    def serial(self, asked: Asked) -> Serial | None:
        """Return what this LSH of this caller led to, None when it is new."""
        return self.serials.find(asked.jgdm, asked.lsh, now=self.clocks.data.aged_now())

    def remember(self, asked: Asked, result: str) -> None:
        """Keep the LSH of an accepted request."""
        body, now = asked.request.body_bytes, self.clocks.data.aged_now()
        self.serials.keep(asked.jgdm, asked.lsh, body=body, result=result, now=now)


def is_same_body(serial: Serial, asked: Asked) -> bool:
    """Tell whether the LSH repeats with the bytes of ``BODY`` it first had."""
    return serial.body_digest == digest(asked.request.body_bytes)
