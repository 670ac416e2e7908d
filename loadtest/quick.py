"""Measure the whole path for a few seconds on a dev stack of its own, open loop: one run unary, one by the stream.

Says what one machine did in one run; only ratios inside one run are worth comparing.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bashu.profiles import Profile
from loadtest.demo import ITEMS
from loadtest.driver import Measurement, StreamAsker, UnaryAsker, drive
from loadtest.observation import cpu_seconds
from loadtest.prepared import prepared
from loadtest.stack import Stack, dev_stack

RESULTS: Final = Path(__file__).parent / "results"
WARM_UP_S: Final = 2.0
LENDER: Final = "bank-cq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One run and the CPU that gateway and platforms used for it, milliseconds a question offered."""

    way: str
    measurement: Measurement
    gateway_cpu_ms: float
    sandbox_cpu_ms: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, keep; return 0 unless nothing at all was answered."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.quick", description=__doc__)
    parser.add_argument("--rate", type=float, default=10.0, help="questions a second (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each run (default %(default)s)")
    parser.add_argument("--workers", type=int, default=1, help="gateway workers (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of the arrivals (default %(default)s)")
    chosen = parser.parse_args(arguments)
    with dev_stack(arguments=("--workers", str(chosen.workers))) as stack:
        results = asyncio.run(_measure(stack, rate=chosen.rate, seconds=chosen.seconds, seed=chosen.seed))
    _print(results, chosen)
    _keep(results, chosen)
    return 0 if all(result.measurement.answered for result in results) else 1


async def _measure(stack: Stack, *, rate: float, seconds: float, seed: int) -> list[Result]:
    warm_up, run = max(1, round(rate * WARM_UP_S)), max(1, round(rate * seconds))
    questions = iter(await prepared(stack, 2 * (warm_up + run), lender=LENDER, items=ITEMS))
    profile = Profile.of_dev_stack(stack.state, LENDER)
    results = []
    for way, asker in (("QueryCredit", UnaryAsker(profile)), ("QueryCreditStream", StreamAsker(profile))):
        async with asker:
            await drive(asker, list(islice(questions, warm_up)), rate_per_s=rate, seed=seed)
            before = cpu_seconds(stack.gateway_pids), cpu_seconds(stack.pids["sandbox"])
            measured = await drive(asker, list(islice(questions, run)), rate_per_s=rate, seed=seed)
            after = cpu_seconds(stack.gateway_pids), cpu_seconds(stack.pids["sandbox"])
        gateway, sandbox = ((end - begin) * 1000 / measured.offered for begin, end in zip(before, after, strict=True))
        results.append(Result(way=way, measurement=measured, gateway_cpu_ms=gateway, sandbox_cpu_ms=sandbox))
    return results


def _print(results: Sequence[Result], chosen: argparse.Namespace) -> None:
    title = f"{chosen.rate:g} questions/s for {chosen.seconds:g} s, {chosen.workers} worker(s), {os.cpu_count()} CPUs"
    table = Table(title=title)
    for heading in ("way", "offered", "answered", "refused", "p50 ms", "p95 ms", "p99 ms", "max ms"):
        table.add_column(heading, justify="right")
    table.add_column("gateway CPU ms/query", justify="right")
    table.add_column("sandbox CPU ms/query", justify="right")
    for result in results:
        seen = result.measurement
        refused = ", ".join(f"{reason} {count}" for reason, count in sorted(seen.refused.items())) or "0"
        latencies = (seen.p50_ms, seen.p95_ms, seen.p99_ms, seen.max_ms, result.gateway_cpu_ms, result.sandbox_cpu_ms)
        counts = (result.way, str(seen.offered), str(seen.answered), refused)
        table.add_row(*counts, *(f"{value:.1f}" for value in latencies))
    Console(width=150).print(table)


def _keep(results: Sequence[Result], chosen: argparse.Namespace) -> None:
    RESULTS.mkdir(exist_ok=True)
    kept: dict[str, Any] = {
        "command": f"python -m loadtest.quick --rate {chosen.rate:g} --seconds {chosen.seconds:g} "
        f"--workers {chosen.workers} --seed {chosen.seed}",
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "results": [asdict(result) for result in results],
    }
    path = RESULTS / "quick.json"
    path.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")
    print(f"kept in {path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path}")


if __name__ == "__main__":
    sys.exit(main())
