"""Measure what gathering admissions and releases costs and saves: batch sizes, waiting, PostgreSQL's CPU a query (P5).

One run on a dev stack of its own: admissions and releases of this process, over consents of loans, against the stack's
PostgreSQL; between admission and release a pause stands for the platforms. Every way takes its turn in each round, in
rotating order, so that neighbours of the machine disturb all alike; ratios are taken inside each round. PostgreSQL's
CPU is that of the connections that run the way's statements (/proc/PID/schedstat): what every way causes alike
elsewhere (WAL writer, sealer) is left out, which a ratio would be kinder with.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import itertools
import json
import os
import platform
import random
import statistics
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from uuid import UUID

import uvloop
from rich.console import Console
from rich.table import Table

from bashu.client import Bashu
from bashu.profiles import Profile
from bashu.v1 import loan_pb2
from consent.artefact import Vocabulary
from consent.model import Ask
from consent.scope import Rulebook
from core.clock import SystemClock
from core.ids import uuid7
from core.permit import Subject, SubjectKind
from database import Database, open_database
from gateway import from_settings
from gateway.admission import Admissions, OperatorLicence, PlatformRegistration
from gateway.artefacts import Artefacts
from gateway.batcher import AS_SERVED, Gathering
from gateway.database_time import DatabaseTime
from gateway.denials import Denials
from gateway.entries import Entries, PlatformLine
from gateway.identity.registry import Registry
from gateway.pools import HOT_CONNECTIONS
from gateway.release import Releases
from gateway.settings import load_settings, read_secret
from gateway.store import HOT_SETTINGS
from ledger.signer import load_signer
from loadtest.authority import PLATFORM_REGIONS, Grant, SigningAuthority
from loadtest.questions import Wire, question
from loadtest.race import ITEMS, PURPOSE, SUBJECTS
from loadtest.stack import Stack, dev_stack
from loadtest.stepwise import StepByStep
from standards.catalogue import load_standard

RESULTS: Final = Path(__file__).parent / "results" / "batching.json"
CONSENTS: Final = 200
CONCURRENT: Final = 32
LANES: Final = 8
"""Connections of the ways that gather nothing: that many questions have a statement under way at a time."""
PLATFORMS_S: Final = 0.01
"""Mean of the pause that stands for the platforms, exponentially distributed."""
IDLE_QUERIES: Final = 24
"""Queries a round that are asked one after the other: what gathering costs when nobody else asks."""
LENDER: Final = "bank-cq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to write admissions and releases."""

    name: str
    told: str
    linger_s: float = AS_SERVED.linger_s
    busy_from: int = AS_SERVED.busy_from
    gathers: bool = True
    by_steps: bool = False


WAYS: Final = (
    Way(name="steps", told="one round trip a step, one query at a time (15)", gathers=False, by_steps=True),
    Way(name="alone", told="the gateway's three statements, one query at a time", gathers=False),
    Way(name="linger off", told="gathered while the statement before runs", linger_s=0.0),
    Way(name="adaptive", told="as served: lingers 2 ms after a batch of four or more"),
    Way(name="fixed 2 ms", told="lingers 2 ms before every batch", busy_from=0),
    Way(name="fixed 5 ms", told="lingers 5 ms before every batch", busy_from=0, linger_s=0.005),
)
SERVED: Final = "adaptive"


@dataclass(slots=True)
class Counts:
    """What one way came to: latencies in seconds, CPU in microseconds a query of each round."""

    admission_waits: list[float] = field(default_factory=list)
    release_waits: list[float] = field(default_factory=list)
    admission_batches: list[int] = field(default_factory=list)
    release_batches: list[int] = field(default_factory=list)
    took: list[float] = field(default_factory=list)
    idle: list[float] = field(default_factory=list)
    postgres_us: list[float] = field(default_factory=list)
    postgres_idle_us: list[float] = field(default_factory=list)
    python_us: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def admitted(self, waits: Sequence[float]) -> None:
        """Hear of a batch of admissions."""
        self.admission_batches.append(len(waits))
        self.admission_waits.extend(waits)

    def released(self, waits: Sequence[float]) -> None:
        """Hear of a batch of releases."""
        self.release_batches.append(len(waits))
        self.release_waits.extend(waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rig:
    """A way at work: its pairs of admissions and releases, its connections' processes."""

    way: Way
    counts: Counts
    lanes: Sequence[tuple[Admissions, Releases]]
    postgres: Sequence[int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """A consent to ask under."""

    consent_id: UUID
    subject: Subject
    loan_reference: str


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, keep; return 0."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.batching", description=__doc__)
    parser.add_argument("--rounds", type=int, default=12, help="turns of every way (default %(default)s)")
    parser.add_argument("--queries", type=int, default=256, help="of each turn (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of what is asked and of the pauses (default %(default)s)")
    chosen = parser.parse_args(arguments)
    with dev_stack() as stack:
        rigs = uvloop.run(_measure(stack, rounds=chosen.rounds, queries=chosen.queries, seed=chosen.seed))
    kept = {
        "command": f"python -m loadtest.batching --rounds {chosen.rounds} --queries {chosen.queries} "
        f"--seed {chosen.seed}",
        "at": datetime.now(UTC).isoformat(),
        "machine": {
            "cpus": os.cpu_count(),
            "system": f"{platform.system()} {platform.machine()}",
            "python": platform.python_version(),
        },
        "concurrent": CONCURRENT,
        "platforms_ms": PLATFORMS_S * 1000,
        "ways": {rig.way.name: _summary(rig) for rig in rigs},
        "postgres_cpu_ratio": _ratios(rigs),
    }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    _print(kept)
    print(f"kept in {RESULTS.relative_to(Path.cwd()) if RESULTS.is_relative_to(Path.cwd()) else RESULTS}")
    return 0


async def _measure(stack: Stack, *, rounds: int, queries: int, seed: int) -> list[Rig]:
    async with AsyncExitStack() as opened:
        standing = await _consents(stack)
        rigs = [await opened.enter_async_context(_rig(stack, way)) for way in WAYS]
        chance = random.Random(seed)
        for rig in rigs:
            # Plans, artefacts and caches are made once: not what is measured.
            await _window(rig, standing, 2 * CONCURRENT, chance, is_kept=False)
        for number in range(rounds):
            for place in range(len(rigs)):
                rig = rigs[(number + place) % len(rigs)]
                await _window(rig, standing, queries, chance, is_kept=True)
                await _idle(rig, standing, chance)
    return rigs


async def _window(
    rig: Rig, standing: Sequence[Standing], queries: int, chance: random.Random, *, is_kept: bool
) -> None:
    """Ask ``queries`` questions, :data:`CONCURRENT` at a time, and count what they cost."""
    counts = rig.counts if is_kept else Counts()
    lanes = itertools.cycle(rig.lanes)
    left = iter(range(queries))

    async def ask_on() -> None:
        for _ in left:
            counts.took.append(await _ask(next(lanes), chance.choice(standing), chance.expovariate(1 / PLATFORMS_S)))

    began, python, postgres = time.monotonic(), time.process_time(), _cpu_ns(rig.postgres)
    async with asyncio.TaskGroup() as group:
        for _ in range(CONCURRENT):
            group.create_task(ask_on())
    if is_kept:
        counts.rates.append(queries / (time.monotonic() - began))
        counts.python_us.append((time.process_time() - python) * 1e6 / queries)
        counts.postgres_us.append((_cpu_ns(rig.postgres) - postgres) / 1e3 / queries)
    else:
        for kept in (rig.counts.admission_waits, rig.counts.release_waits):
            kept.clear()
        rig.counts.admission_batches.clear()
        rig.counts.release_batches.clear()


async def _idle(rig: Rig, standing: Sequence[Standing], chance: random.Random) -> None:
    """Ask a few questions one after the other; their batches of one are not counted among the others."""
    places = {
        name: len(getattr(rig.counts, name))
        for name in ("admission_waits", "release_waits", "admission_batches", "release_batches")
    }
    postgres = _cpu_ns(rig.postgres)
    for _ in range(IDLE_QUERIES):
        rig.counts.idle.append(await _ask(rig.lanes[0], chance.choice(standing), 0.0))
    rig.counts.postgres_idle_us.append((_cpu_ns(rig.postgres) - postgres) / 1e3 / IDLE_QUERIES)
    for name, place in places.items():
        del getattr(rig.counts, name)[place:]


async def _ask(lane: tuple[Admissions, Releases], consent: Standing, pause_s: float) -> float:
    """Admit and release one question; return the seconds that both took, without the platforms'."""
    admissions, releases = lane
    ask = Ask(
        request_id=uuid7(),
        institution=LENDER,
        institution_kind="bank",
        operator="op-1",
        participant=LENDER,
        subject=consent.subject,
        purpose=PURPOSE,
        request_digest=bytes(32),
        deadline_s=30.0,
        consent_id=consent.consent_id,
        loan_reference=consent.loan_reference,
    )
    began = time.monotonic()
    permit = (await admissions.admit(ask)).permit
    admitted = time.monotonic()
    await asyncio.sleep(pause_s)
    asked = time.monotonic()
    await releases.release(
        permit,
        report_digest=hashlib.sha256(permit.request_id.bytes).digest(),
        request_digest=bytes(32),
        platforms=[
            PlatformLine(platform_id=name, item=item, status="OK", records=1)
            for name, items in permit.targets.items()
            for item in sorted(items)
        ],
    )
    return (admitted - began) + (time.monotonic() - asked)


async def _consents(stack: Stack) -> list[Standing]:
    """Register a loan for each subject and consents that rest on it, with uses for a long run."""
    authority = SigningAuthority(stack.authorities["authority-cq"])
    today = datetime.now(UTC).date()
    made = []
    async with Wire.of(stack, LENDER) as lender, Bashu(Profile.of_dev_stack(stack.state, LENDER)) as bank:
        loans = {code: f"LOAN-{uuid7()}" for code in SUBJECTS}
        for code, reference in loans.items():
            loan = loan_pb2.RegisterLoanRequest(
                loan_reference=reference,
                subject=question(code, "").subject,
                opened_on=today.isoformat(),
                due_on=(today + timedelta(days=365)).isoformat(),
            )
            await lender.call(lender.loan.RegisterLoan, loan)
        for code in itertools.islice(itertools.cycle(SUBJECTS), CONSENTS):
            grant = Grant(
                institution=LENDER,
                identifier=code,
                items=ITEMS,
                purpose=PURPOSE,
                max_uses=100_000,
                frequency=(100_000, "DAY"),
            )
            await bank.register_consent(authority.sign(grant))
            subject = Subject(
                kind=SubjectKind.ENTERPRISE, id_type="uscc", identifier=code, name="", home_region=f"{code[2:4]}0000"
            )
            made.append(Standing(consent_id=grant.consent_id, subject=subject, loan_reference=loans[code]))
    return made


@asynccontextmanager
async def _rig(stack: Stack, way: Way) -> AsyncIterator[Rig]:
    """Compose admissions and releases as a worker does, with the way's gathering and connections of their own."""
    settings = load_settings(stack.state / "gateway.toml")
    dsn = read_secret(settings.database.dsn_file, setting="database.dsn_file").decode()
    size = HOT_CONNECTIONS if way.gathers else LANES
    name = f"bashu-load-{way.name}"
    hot = await open_database(dsn, min_size=size, max_size=size, application_name=name, settings=HOT_SETTINGS)
    plain = await open_database(dsn, max_size=1, application_name="bashu-loadtest")
    counts = Counts()
    db = StepByStep(hot).as_database() if way.by_steps else hot
    try:
        lanes = [
            _pair(settings, db, plain, way=way, counts=counts) for _ in range(1 if way.gathers else LANES)
        ]  # fmt: skip
        tasks = [asyncio.create_task(part.run()) for lane in lanes for part in lane]
        try:
            rows = await plain.fetch("SELECT pid FROM pg_stat_activity WHERE application_name = $1", name)
            yield Rig(way=way, counts=counts, lanes=lanes, postgres=[row["pid"] for row in rows])
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    finally:
        await hot.close()
        await plain.close()


def _pair(settings: Any, db: Database, plain: Database, *, way: Way, counts: Counts) -> tuple[Admissions, Releases]:
    clock, standard = SystemClock(), load_standard(settings.standard.tables)
    time_ = DatabaseTime(clock)
    pseudonyms = from_settings.pseudonyms(settings)
    entries = Entries(origin=settings.ledger.origin, pseudonyms=pseudonyms)

    def gathering(told: Any) -> Gathering:
        return Gathering(
            max_batch=AS_SERVED.max_batch if way.gathers else 1,
            linger_s=way.linger_s if way.gathers else 0.0,
            busy_from=way.busy_from,
            told=told,
        )

    admissions = Admissions(
        db,
        rules=Rulebook(items=standard.items, purposes=standard.purposes, licences=standard.licences),
        artefacts=Artefacts(Vocabulary(items=standard.items, purposes=standard.purposes)),
        registry=Registry(plain, clock=clock),
        platforms={
            name: PlatformRegistration(region=region, items=frozenset(standard.items.held_by(name)))
            for name, region in PLATFORM_REGIONS.items()
        },
        operator=OperatorLicence(licences=from_settings.operator_licences(settings)),
        pseudonyms=pseudonyms,
        entries=entries,
        denials=Denials(plain, entries=entries, time=time_, clock=clock),
        time=time_,
        clock=clock,
        gathering=gathering(counts.admitted),
    )
    signer = load_signer(settings.ledger.signing_key, name=settings.ledger.origin)
    releases = Releases(db, entries=entries, signer=signer, time=time_, gathering=gathering(counts.released))
    return admissions, releases


def _cpu_ns(pids: Sequence[int]) -> int:
    return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) for pid in pids)


def _summary(rig: Rig) -> dict[str, Any]:
    counts = rig.counts
    return {
        "told": rig.way.told,
        "admission_batch": _sizes(counts.admission_batches),
        "release_batch": _sizes(counts.release_batches),
        "waited_for_admission_ms": _quantiles_ms(counts.admission_waits),
        "waited_for_release_ms": _quantiles_ms(counts.release_waits),
        "admission_and_release_ms": _quantiles_ms(counts.took),
        "admission_and_release_idle_ms": _quantiles_ms(counts.idle),
        "postgres_cpu_us": round(statistics.median(counts.postgres_us), 1),
        "postgres_cpu_idle_us": round(statistics.median(counts.postgres_idle_us), 1),
        "python_cpu_us": round(statistics.median(counts.python_us), 1),
        "queries_per_s": round(statistics.median(counts.rates)),
    }


def _sizes(batches: Sequence[int]) -> dict[str, float]:
    return {
        "mean": round(statistics.mean(batches), 2),
        "p50": statistics.median(batches),
        "p99": _quantile(batches, 0.99),
        "most": max(batches),
    }


def _quantiles_ms(seconds: Sequence[float]) -> dict[str, float]:
    return {f"p{share}": round(_quantile(seconds, share / 100) * 1000, 2) for share in (50, 99)}


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


def _ratios(rigs: Sequence[Rig]) -> dict[str, float]:
    """Return the median, over rounds, of each way's PostgreSQL CPU a query to that of what is served."""
    us = {rig.way.name: rig.counts.postgres_us for rig in rigs}
    return {
        f"{SERVED} / {name}": round(
            statistics.median(mine / other for mine, other in zip(us[SERVED], us[name], strict=True)), 3
        )
        for name in us
        if name != SERVED
    }


def _print(kept: dict[str, Any]) -> None:
    console = Console(width=170)
    table = Table(title=f"合并写入 gathering, {CONCURRENT} queries at a time, platforms {kept['platforms_ms']:g} ms")
    for heading in (
        "方式 way",
        "批 admissions mean/p50/most",
        "批 releases mean/p50/most",
        "等待 waited ms p50/p99 (admission)",
        "(release)",
        "两步 both ms p50/p99",
        "空闲 idle ms p50/p99",
        "PostgreSQL CPU us (idle)",
        "Python CPU us",
        "queries/s",
    ):
        table.add_column(heading, justify="left" if "way" in heading else "right")
    for name, row in kept["ways"].items():
        sizes = ("{mean:g}/{p50:g}/{most:g}".format(**row[which]) for which in ("admission_batch", "release_batch"))
        times = (
            "{p50:g}/{p99:g}".format(**row[which])
            for which in (
                "waited_for_admission_ms",
                "waited_for_release_ms",
                "admission_and_release_ms",
                "admission_and_release_idle_ms",
            )
        )
        cost = (
            f"{row['postgres_cpu_us']:g} ({row['postgres_cpu_idle_us']:g})",
            f"{row['python_cpu_us']:g}",
            f"{row['queries_per_s']:g}",
        )
        table.add_row(name, *sizes, *times, *cost)
    console.print(table)
    for name, ratio in kept["postgres_cpu_ratio"].items():
        console.print(f"PostgreSQL CPU a query, {name}: {ratio:g}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
