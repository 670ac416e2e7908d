"""P9: what one platform that stalls does to the other one's answers, its own calls in flight, and the memory.

Two open loops run side by side: one asks Sichuan alone, the other Chongqing alone, with a short deadline. Blocks with
a healthy Chongqing and with one that answers nothing take turns in one run, so that neighbours of the machine disturb
both alike. Calls in flight are the worker's open connections to Chongqing (one call a connection); memory is its
resident set.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from hdrh.histogram import HdrHistogram
from rich.console import Console
from rich.table import Table

from adapters.kit.caller import IN_FLIGHT
from bashu.profiles import Profile
from loadtest.driver import DIGITS, LONGEST_US, UnaryAsker, drive
from loadtest.observation import control
from loadtest.prepared import prepared
from loadtest.stack import Stack, dev_stack

RESULTS: Final = Path(__file__).parent / "results"
CHART: Final = RESULTS / "stalled.svg"
LENDER: Final = "bank-cq"
ITEMS: Final = ("enterprise_registration", "tax_arrears", "administrative_penalty")
REGIONS: Final = {"sichuan": "510000", "chongqing": "500000"}
STALLED_DEADLINE_S: Final = 2.0
GOAL: Final = 1.2
_LOOK_S: Final = 0.05
_ESTABLISHED: Final = "01"


@dataclass(kw_only=True)
class Seen:
    """What the blocks of one condition came to; latencies of Sichuan's questions, microseconds from the due time."""

    latencies: Any = field(default_factory=lambda: HdrHistogram(1, LONGEST_US, DIGITS))
    offered: int = 0
    answered: int = 0
    refused_by_chongqing: int = 0
    most_in_flight: int = 0
    memory_mib: list[float] = field(default_factory=list)

    def ms(self, percentile: float) -> float:
        """Return a percentile of the answered, milliseconds."""
        return float(self.latencies.get_value_at_percentile(percentile)) / 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One condition as kept."""

    chongqing: str
    offered: int
    answered: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    chongqing_not_answered: int
    most_in_flight: int
    memory_first_mib: float
    memory_last_mib: float


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, print, chart, keep; return 1 where a goal of P9 was missed."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.stalled", description=__doc__)
    parser.add_argument(
        "--rate", type=float, default=10.0, help="questions a second to each region (default %(default)s)"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="of each block (default %(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="pairs of blocks (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help="write loadtest/results/stalled.json and .svg")
    chosen = parser.parse_args(arguments)
    if min(chosen.rate, chosen.seconds, chosen.rounds) <= 0:
        parser.error("--rate, --seconds and --rounds are above 0")
    with dev_stack() as stack:
        seen = asyncio.run(_measure(stack, chosen))
    rows = [_row(name, one) for name, one in seen.items()]
    verdict = _print(rows)
    if chosen.keep:
        _keep(rows, chosen)
        CHART.write_text(_chart(seen), encoding="utf-8")
    return verdict


async def _measure(stack: Stack, chosen: argparse.Namespace) -> dict[str, Seen]:
    block = max(1, round(chosen.rate * chosen.seconds))
    blocks = 2 * chosen.rounds + 1
    asked = {
        name: iter(await prepared(stack, block * blocks, lender=LENDER, items=ITEMS, regions=[region]))
        for name, region in REGIONS.items()
    }
    seen = {"healthy": Seen(), "stalled": Seen()}
    profile = Profile.of_dev_stack(stack.state, LENDER)
    patient, hasty = UnaryAsker(profile), UnaryAsker(profile, deadline_s=STALLED_DEADLINE_S)
    async with patient, hasty:
        for number in range(blocks):
            # The first block warms up; the order inside a pair alternates.
            name = "healthy" if number == 0 or number % 4 in {1, 0} else "stalled"
            one = Seen() if number == 0 else seen[name]
            await asyncio.to_thread(_stall, stack, is_on=name == "stalled")
            looking = asyncio.create_task(_look(stack, one))
            other, own = await asyncio.gather(
                drive(
                    patient,
                    list(islice(asked["sichuan"], block)),
                    rate_per_s=chosen.rate,
                    seed=number,
                    into=one.latencies,
                ),
                drive(hasty, list(islice(asked["chongqing"], block)), rate_per_s=chosen.rate, seed=number + 1_000),
            )
            looking.cancel()
            one.offered += other.offered
            one.answered += other.answered
            one.refused_by_chongqing += own.offered - own.answered
            one.memory_mib.append(_memory_mib(stack))
            print(
                f"{number}/{blocks - 1} {name}: p99 {other.p99_ms:.0f} ms, in flight {one.most_in_flight}", flush=True
            )
    return seen


def _stall(stack: Stack, *, is_on: bool) -> None:
    request = urllib.request.Request(f"{stack.sandbox_control}/control/faults", method="DELETE")  # noqa: S310 - our own
    with urllib.request.urlopen(request, timeout=10):  # noqa: S310
        pass
    if is_on:
        control(stack, "faults", {"platform": "chongqing", "kind": "stall"})


async def _look(stack: Stack, one: Seen) -> None:
    port = f"{urlsplit(stack.platforms['chongqing']).port:04X}"
    while True:
        one.most_in_flight = max(one.most_in_flight, _connections(stack.gateway_pids[0], port))
        await asyncio.sleep(_LOOK_S)


def _connections(pid: int, port: str) -> int:
    """Count the established connections of the host to a remote port (hex): only the worker asks there."""
    lines = Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]
    return sum(line.split()[2].endswith(f":{port}") and line.split()[3] == _ESTABLISHED for line in lines)


def _memory_mib(stack: Stack) -> float:
    pages = int(Path(f"/proc/{stack.gateway_pids[0]}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def _row(name: str, one: Seen) -> Row:
    return Row(
        chongqing=name,
        offered=one.offered,
        answered=one.answered,
        p50_ms=one.ms(50),
        p99_ms=one.ms(99),
        max_ms=one.latencies.get_max_value() / 1000,
        chongqing_not_answered=one.refused_by_chongqing,
        most_in_flight=one.most_in_flight,
        memory_first_mib=one.memory_mib[0],
        memory_last_mib=one.memory_mib[-1],
    )


def _print(rows: Sequence[Row]) -> int:
    table = Table(title="四川的答复，重庆健康或停住 Sichuan's answers while Chongqing is healthy or stalls")
    for heading in (
        "chongqing",
        "offered",
        "answered",
        "p50 ms",
        "p99 ms",
        "max ms",
        "in flight to chongqing",
        "memory MiB",
    ):
        table.add_column(heading, justify="right")
    for row in rows:
        memory = f"{row.memory_first_mib:.0f} → {row.memory_last_mib:.0f}"
        latencies = (f"{value:.1f}" for value in (row.p50_ms, row.p99_ms, row.max_ms))
        table.add_row(row.chongqing, str(row.offered), str(row.answered), *latencies, str(row.most_in_flight), memory)
    Console(width=150).print(table)
    healthy, stalled = rows
    ratio = stalled.p99_ms / healthy.p99_ms
    print(
        f"p99 stalled / healthy {ratio:.2f} (goal ≤ {GOAL}); in flight {stalled.most_in_flight} (bulkhead {IN_FLIGHT})"
    )
    return 0 if ratio <= GOAL and stalled.most_in_flight <= IN_FLIGHT else 1


def _keep(rows: Sequence[Row], chosen: argparse.Namespace) -> None:
    kept = {
        "command": f"python -m loadtest.stalled --rate {chosen.rate:g} --seconds {chosen.seconds:g} "
        f"--rounds {chosen.rounds}",
        "cpus": os.cpu_count(),
        "python": platform.python_version(),
        "bulkhead": IN_FLIGHT,
        "p99_stalled_to_healthy": rows[1].p99_ms / rows[0].p99_ms,
        "results": [asdict(row) for row in rows],
    }
    (RESULTS / "stalled.json").write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def _chart(seen: dict[str, Seen]) -> str:
    """Draw the latencies of both conditions by percentile: the wider apart the lines, the more a stall hurts others."""
    shown = (50, 75, 90, 95, 98, 99, 100)
    most = max(one.ms(percentile) for one in seen.values() for percentile in shown)
    step, height = 90, 240
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {step * len(shown) + 80} {height + 90}">',
        "<style>text{font:13px sans-serif}</style>",
        '<text x="60" y="20">四川的答复时间，重庆健康或停住 Sichuan, ms by percentile</text>',
        f'<path d="M60 40V{height + 40}H{step * len(shown) + 40}" fill="none" stroke="#888"/>',
    ]
    for place, (name, colour) in enumerate((("healthy", "#1b7f4b"), ("stalled", "#b3261e"))):
        points = [
            (60 + step * (at + 0.5), 40 + height * (1 - seen[name].ms(percentile) / most))
            for at, percentile in enumerate(shown)
        ]
        line = " ".join(f"{x:.0f},{y:.0f}" for x, y in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>')
        above = -8 if place else 18
        middle = f'fill="{colour}" text-anchor="middle"'
        parts += [
            f'<text x="{x:.0f}" y="{y + above:.0f}" {middle}>{seen[name].ms(percentile):.0f}</text>'
            for (x, y), percentile in zip(points, shown, strict=True)
        ]
        parts.append(f'<text x="{70 + 110 * place}" y="{height + 84}" fill="{colour}">{name}</text>')
    parts += [
        f'<text x="{60 + step * (at + 0.5):.0f}" y="{height + 58}" text-anchor="middle">p{percentile}</text>'
        for at, percentile in enumerate(shown)
    ]
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
