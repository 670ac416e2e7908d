"""Ask at 20 queries a second through a bad day of both platforms, then hold everything against what must be true.

No crash, no unclassified error, memory and open sockets at minute 1 and at the end, every report FULL, THIN, EMPTY or
PARTIAL with reasons, every intent closed, fsck clean, and both platforms' own books equal to the log, line by line.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from statistics import fmean
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import loan_pb2
from bashu.v1.common_pb2 import ErrorReason, PlatformStatus
from bashu.v1.report_pb2 import Completeness, CreditReport
from core.clock import SHANGHAI
from core.ids import uuid7
from loadtest.authority import Grant, SigningAuthority
from loadtest.crash import PURPOSE, Loan, loan_question
from loadtest.demo import ITEMS
from loadtest.observation import control, is_alive, ledger_reader, until
from loadtest.questions import Wire, question
from loadtest.stack import Stack, dev_stack

RESULTS: Final = Path(__file__).parent / "results"
LENDER: Final = "bank-cq"
FIRMS: Final = 200
REGISTERING: Final = 16
CHANNELS: Final = 4
FIRST_S: Final = 60.0
"""When memory and sockets are looked at first; a shorter run looks after a third of it."""
LOOK_LASTS_S: Final = 60.0
LOOK_EVERY_S: Final = 0.5
"""A look is a mean over its time, a sixth of a shorter run: connections come and go with the calls under way."""
MOST_GROWTH: Final = 0.05
JUDGED_FROM_S: Final = 600.0
"""A run shorter than this is printed and not judged by its growth: caches are still filling."""
WARM_UP_S: Final = 125.0
"""Of a run that is judged: the platforms review each letter for up to 120 s, until then little is asked of them."""
CLOSED_WITHIN_S: Final = 90.0
PROGRAM_S: Final = 300.0
READS: Final = 4
"""Tries to read a book: the platforms have their bad day for that too."""
ANSWERED: Final = frozenset({"OK", "NO_DATA", "SKIPPED"})
OUR_FAULTS: Final = ("ADAPTER_FAILED", "ADAPTER_OVERDUE", "NO_OUTCOME", "MISSING")
"""Details that say that a program of the gateway failed, and not a platform."""
LATE: Final = "NO_ANSWER_IN_TIME"
"""The client's own reason where its deadline passed before the gateway's OUT_OF_TIME arrived."""
_REASONS: Final = frozenset(ErrorReason.keys())
_OPEN: Final = "SELECT count(*) FROM intent WHERE state = 'OPEN'"


@dataclass(slots=True)
class Seen:
    """What the lender saw."""

    asked: int = 0
    reports: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    unclassified: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    def note(self, report: CreditReport) -> None:
        """Note one report, and whatever in it is not classified."""
        completeness = Completeness.Name(report.completeness).removeprefix("COMPLETENESS_")
        self.reports[completeness] += 1
        if completeness == "UNSPECIFIED":
            self.unclassified["COMPLETENESS"] += 1
        reasons = 0
        for result in report.platform_results:
            status = PlatformStatus.Name(result.status).removeprefix("PLATFORM_STATUS_")
            self.statuses[f"{result.platform_id} {status}"] += 1
            if status not in ANSWERED and not result.detail:
                self.unclassified[f"{result.platform_id} {status} without a reason"] += 1
            if any(fault in result.detail for fault in OUR_FAULTS):
                self.unclassified[f"{result.platform_id} {result.detail}"] += 1
            reasons += status not in ANSWERED
        if completeness == "PARTIAL" and not reasons and not report.withheld:
            self.unclassified["PARTIAL without a reason"] += 1

    def refuse(self, reason: str) -> None:
        """Note a refusal; a reason that the contract does not have, or INTERNAL, is not classified."""
        self.refused[reason] += 1
        if (f"ERROR_REASON_{reason}" not in _REASONS and reason != LATE) or reason == "INTERNAL":
            self.unclassified[reason] += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The gateway's workers at one moment, added up: resident memory and open sockets."""

    at_s: float
    memory_mib: float
    sockets: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, keep; return 0 where everything held."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.bad_day", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="of load (default %(default)s)")
    parser.add_argument("--seconds", type=float, help="of load, instead of minutes")
    parser.add_argument("--rate", type=float, default=20.0, help="questions a second (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="gateway workers (default %(default)s)")
    parser.add_argument("--profile", default="bad-day", help="of the sandbox (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="write bad_day.json into loadtest/results")
    chosen = parser.parse_args(arguments)
    seconds = chosen.seconds or chosen.minutes * 60
    with dev_stack(arguments=("--profile", chosen.profile, "--workers", str(chosen.workers))) as stack:
        result = asyncio.run(_day(stack, seconds=seconds, rate=chosen.rate, seed=chosen.seed))
    _print(result, chosen, seconds)
    if chosen.keep:
        _keep(result, chosen, seconds)
    return 1 if result["faults"] else 0


async def _day(stack: Stack, *, seconds: float, rate: float, seed: int) -> dict[str, Any]:
    loans, seen, pids = await _prepare(stack), Seen(), list(stack.gateway_pids)
    looks = await _ask(stack, loans, seen, seconds=seconds, rate=rate, seed=seed)
    faults = [] if all(is_alive(pid) for pid in pids) else ["a worker died"]
    faults += [f"not classified: {what} × {count}" for what, count in sorted(seen.unclassified.items())]
    faults += await _unclosed(stack)
    faults += _growth(looks, seconds)
    errors = _logged_errors(stack)
    faults += [f"logged as an error: {what} × {count}" for what, count in sorted(errors.items())]
    fsck = await _program("fsck", "--settings", str(stack.state / "gateway.toml"))
    faults += [] if fsck.returncode == 0 else [f"fsck: {fsck.stdout[-500:]}"]
    books = {name: await _reconciled(stack, name) for name in ("chongqing", "sichuan")}
    faults += [f"{name}'s book: {told}" for name, told in books.items() if told.get("unequal")]
    return {"seen": seen, "looks": looks, "fsck": fsck.returncode, "books": books, "faults": faults}


async def _prepare(stack: Stack) -> list[Loan]:
    """Register a loan and a consent of a year for each of many firms, the fixed ones among them."""
    authority = SigningAuthority(stack.authorities["authority-cq"])
    page = await asyncio.to_thread(control, stack, f"subjects?limit={FIRMS}", None)
    codes = [firm["code"] for firm in (*page["fixed"], *page["population"])][:FIRMS]
    slots, today = asyncio.Semaphore(REGISTERING), datetime.now(UTC).date()

    async def register(code: str) -> Loan:
        reference = f"LOAN-{uuid7()}"
        loan = loan_pb2.RegisterLoanRequest(
            loan_reference=reference,
            subject=question(code, "").subject,
            opened_on=today.isoformat(),
            due_on=(today + timedelta(days=365)).isoformat(),
        )
        most = 1_000
        grant = Grant(
            institution=LENDER,
            identifier=code,
            items=ITEMS,
            purpose=PURPOSE,
            max_uses=most,
            frequency=(most, "DAY"),
        )
        async with slots:
            await lender.call(lender.loan.RegisterLoan, loan)
            await bank.register_consent(authority.sign(grant))
        return Loan(code=code, consent_id=str(grant.consent_id), reference=reference)

    async with Wire.of(stack, LENDER) as lender, Bashu(Profile.of_dev_stack(stack.state, LENDER)) as bank:
        return list(await asyncio.gather(*(register(code) for code in codes)))


async def _ask(
    stack: Stack, loans: Sequence[Loan], seen: Seen, *, seconds: float, rate: float, seed: int
) -> list[Look]:
    """Ask at Poisson arrivals whatever the answers do; look at the workers early and at the end, under load."""
    random, profile = Random(seed), Profile.of_dev_stack(stack.state, LENDER)
    banks = [Bashu(profile) for _ in range(CHANNELS)]

    async def ask(bank: Bashu, loan: Loan) -> None:
        began = time.monotonic()
        try:
            seen.note((await bank.query_credit(loan_question(loan))).report)
        except BashuCallError as error:
            seen.refuse(error.reason)
        seen.seconds.append(time.monotonic() - began)

    warm_up_s = WARM_UP_S if seconds >= JUDGED_FROM_S else 0.0
    due = time.monotonic()
    began = due + warm_up_s
    first_at, lasts_s = min(FIRST_S, seconds / 3), min(LOOK_LASTS_S, seconds / 6)
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(_look(stack, began, moment, lasts_s)) for moment in (first_at, seconds - lasts_s)]
        for bank, loan in zip(itertools.cycle(banks), itertools.cycle(loans), strict=False):
            due += random.expovariate(rate)
            if due - began > seconds:
                break
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            seen.asked += 1
            group.create_task(ask(bank, loan))
    await asyncio.gather(*(bank.close() for bank in banks))
    return [look.result() for look in looks]


async def _look(stack: Stack, began: float, moment: float, lasts_s: float) -> Look:
    await asyncio.sleep(max(0.0, began + moment - time.monotonic()))
    samples = []
    for _ in range(round(lasts_s / LOOK_EVERY_S)):
        samples.append((_memory_mib(stack.gateway_pids), _sockets(stack.gateway_pids)))
        await asyncio.sleep(LOOK_EVERY_S)
    memory, sockets = (fmean(values) for values in zip(*samples, strict=True))
    return Look(at_s=round(time.monotonic() - began, 1), memory_mib=round(memory, 1), sockets=round(sockets, 1))


def _memory_mib(pids: Sequence[int]) -> float:
    kib = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            kib += next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
    return kib / 1024


def _sockets(pids: Sequence[int]) -> int:
    found = 0
    for pid in pids:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with contextlib.suppress(OSError):
                found += str(link.readlink()).startswith("socket:")
    return found


def _growth(looks: Sequence[Look], seconds: float) -> list[str]:
    if seconds < JUDGED_FROM_S:
        return []
    first, last = looks
    grown = {"memory": last.memory_mib / first.memory_mib - 1, "sockets": last.sockets / first.sockets - 1}
    return [f"{what} grew by {share:.1%}" for what, share in grown.items() if share > MOST_GROWTH]


async def _unclosed(stack: Stack) -> list[str]:
    async with ledger_reader(stack) as db:

        async def is_closed() -> bool:
            return int(await db.fetchval(_OPEN)) == 0

        try:
            await until(is_closed, within_s=CLOSED_WITHIN_S, what="the closing of every intent")
        except TimeoutError as late:
            return [str(late)]
    return []


def _logged_errors(stack: Stack) -> Counter[str]:
    """Count what the workers logged as an error, by event."""
    found: Counter[str] = Counter()
    for line in (stack.state / "gateway.log").read_text(errors="replace").splitlines():
        if line.startswith("Traceback"):
            found["Traceback"] += 1
        with contextlib.suppress(ValueError):
            told = json.loads(line)
            if isinstance(told, dict) and told.get("level") in {"error", "critical"}:
                found[str(told.get("event"))] += 1
    return found


async def _reconciled(stack: Stack, platform_id: str) -> dict[str, Any]:
    """Compare a platform's books of the run's days with the log; what could not be read says so."""
    day = datetime.now(SHANGHAI).date().isoformat()
    for _ in range(READS):
        done = await _program("reconcile", platform_id, day, "--settings", str(stack.state / "gateway.toml"), "--json")
        if done.returncode == 0:
            told = json.loads(done.stdout)
            counts = {name: len(told[name]) for name in ("only_here", "only_there", "different")}
            return {"both": told["both"], **counts, "unequal": sum(counts.values()), "first": _first(told)}
    return {"not_read": done.stderr.strip()[-200:]}


def _first(told: dict[str, Any]) -> list[str]:
    return [line for name in ("only_here", "only_there", "different") for line in told[name][:3]]


async def _program(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli", *arguments]
    try:
        return await asyncio.to_thread(
            subprocess.run, command, capture_output=True, text=True, check=False, timeout=PROGRAM_S
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, -1, "", f"no end after {PROGRAM_S:g} s")


def _print(result: dict[str, Any], chosen: argparse.Namespace, seconds: float) -> None:
    seen, (first, last) = result["seen"], result["looks"]
    table = Table(title=f"{chosen.profile}: {chosen.rate:g} questions/s for {seconds:g} s, {chosen.workers} worker(s)")
    table.add_column("what")
    table.add_column("found", overflow="fold")
    ordered = sorted(seen.seconds)
    latency = {f"p{share}": ordered[min(len(ordered) - 1, len(ordered) * share // 100)] for share in (50, 95, 99)}
    rows = {
        "asked": seen.asked,
        "reports": _counts(seen.reports),
        "refused, by reason": _counts(seen.refused) or "none",
        "platforms' statuses": _counts(seen.statuses),
        "seconds to the answer": ", ".join(f"{name} {value:.1f}" for name, value in latency.items()),
        "not classified": _counts(seen.unclassified) or "none",
        f"memory MiB at {first.at_s:g} s, {last.at_s:g} s": _change(first.memory_mib, last.memory_mib),
        f"open sockets at {first.at_s:g} s, {last.at_s:g} s": _change(first.sockets, last.sockets),
        "fsck": f"exit code {result['fsck']}",
        **{f"{name}'s book": ", ".join(f"{k} {v}" for k, v in told.items()) for name, told in result["books"].items()},
        "faults": "; ".join(result["faults"]) or "none",
    }
    for what, found in rows.items():
        table.add_row(what, str(found))
    Console(width=140).print(table)


def _change(first: float, last: float) -> str:
    return f"{first:g}, {last:g}: {last / first - 1:+.1%}"


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.most_common())


def _keep(result: dict[str, Any], chosen: argparse.Namespace, seconds: float) -> None:
    RESULTS.mkdir(exist_ok=True)
    seen = result["seen"]
    kept = {
        "command": f"python -m loadtest.bad_day --seconds {seconds:g} --rate {chosen.rate:g} "
        f"--workers {chosen.workers} --profile {chosen.profile} --seed {chosen.seed}",
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg(),
        "python": platform.python_version(),
        "asked": seen.asked,
        **{name: dict(getattr(seen, name)) for name in ("reports", "refused", "statuses", "unclassified")},
        "looks": [asdict(look) for look in result["looks"]],
        "fsck": result["fsck"],
        "books": result["books"],
        "faults": result["faults"],
    }
    path = RESULTS / "bad_day.json"
    path.write_text(json.dumps(kept, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"kept in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    sys.exit(main())
