"""Kill -9 a worker, the sealer or a PostgreSQL server process at a random moment under load, round after round.

A PostgreSQL backend killed so makes the postmaster drop every connection and recover from its log, as after a crash.
After each round: fsck finds no error, every acknowledged answer has its RELEASE and its receipt verifies, every intent
is closed, and a watcher from outside (`bashu ledger watch`) has nothing to say.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import random
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from rich.console import Console

from bashu.alarms import LogAlarm
from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.verify import VerifierKey
from bashu.watch import LogWatch
from core.errors import BashuError
from database import Database
from ledger.fsck import fsck
from ledger.invariants import Severity
from ledger.note import parse_vkey
from loadtest.crash import DEADLINE_S, Loan, Seen, count_closings, entries_of, faults_of, loan_question, prepare
from loadtest.observation import ledger_reader, sealed_export, until
from loadtest.stack import Stack, dev_stack, read_stack

RESULTS: Final = Path(__file__).parent / "results" / "kill.json"
VICTIMS: Final = ("worker", "sealer", "postgres")
CLIENTS: Final = 4
PAUSE_S: Final = 0.1
"""Between two questions of one client: the platforms' daily quotas must outlast the rounds."""
CLOSED_WITHIN_S: Final = 60.0
RECOVERED_WITHIN_S: Final = 60.0
_BACKEND: Final = "SELECT pg_backend_pid()"

Round = dict[str, Any]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the rounds, keep the result, return 0 where everything held in each."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.killing", description=__doc__)
    parser.add_argument("--rounds", type=int, default=20, help="how many (default %(default)s)")
    parser.add_argument("--seconds", type=float, default=6.0, help="of load in each (default %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="of victims and moments (default %(default)s)")
    parser.add_argument("--keep", action="store_true", help=f"write {RESULTS.name} into loadtest/results")
    chosen = parser.parse_args(arguments)
    with dev_stack(arguments=("--workers", "2")) as stack:
        rounds = asyncio.run(_rounds(stack, chosen.rounds, chosen.seconds, random.Random(chosen.seed)))
    faults = sum(len(one["faults"]) for one in rounds)
    if chosen.keep:
        RESULTS.parent.mkdir(exist_ok=True)
        command = f"python -m loadtest.killing {' '.join(sys.argv[1:] if arguments is None else arguments)}"
        kind = f"{platform.system()} {platform.machine()}"
        machine = {"cpus": os.cpu_count(), "system": kind, "python": platform.python_version()}
        kept = {"command": command, "at": datetime.now(UTC).isoformat(), "machine": machine, "rounds": rounds}
        RESULTS.write_text(json.dumps(kept, ensure_ascii=False, indent=1) + "\n")
    Console().print(f"{len(rounds)} 轮 rounds, {faults} 处不符 faults")
    return 1 if faults else 0


async def _rounds(stack: Stack, rounds: int, seconds: float, chance: random.Random) -> list[Round]:
    loans, seen, found = await prepare(stack), Seen(), []
    watch = LogWatch(stack.state / "watched", VerifierKey.parse(stack.ledger_vkey))
    for number in range(1, rounds + 1):
        victim = VICTIMS[(number - 1) % len(VICTIMS)]
        answered = len(seen.answers)
        began = time.monotonic()
        await _load(stack, loans, seen, seconds=seconds, victim=victim, after=chance.uniform(0.2, 0.8) * seconds)
        faults, entries = await _check(stack, seen, watch)
        one = {
            "round": number,
            "victim": victim,
            "answered": len(seen.answers) - answered,
            "entries": entries,
            "took_s": round(time.monotonic() - began, 1),
            "faults": faults,
        }
        found.append(one)
        Console(width=160).print(json.dumps(one, ensure_ascii=False), markup=False)
    return found


async def _load(stack: Stack, loans: Sequence[Loan], seen: Seen, *, seconds: float, victim: str, after: float) -> None:
    end = time.monotonic() + seconds

    async def ask(bank: Bashu, own: Sequence[Loan]) -> None:
        for loan in itertools.cycle(own):
            if time.monotonic() > end:
                return
            try:
                seen.answers.append(await bank.query_credit(loan_question(loan)))
            except BashuCallError as error:
                seen.errors[error.reason] += 1
            await asyncio.sleep(PAUSE_S)

    profile = Profile.of_dev_stack(stack.state, "bank-cq")
    banks = [Bashu(profile, deadline_s=DEADLINE_S) for _ in range(CLIENTS)]
    try:
        async with asyncio.TaskGroup() as group:
            for number, bank in enumerate(banks):
                group.create_task(ask(bank, loans[number::CLIENTS]))
            await asyncio.sleep(after)
            await _kill(stack, victim)
    finally:
        await asyncio.gather(*(bank.close() for bank in banks))


async def _kill(stack: Stack, victim: str) -> None:
    # Read anew: who was killed before came back under another number.
    now = read_stack(stack.state)
    if victim == "worker":
        os.kill(now.gateway_pids[0], signal.SIGKILL)
    elif victim == "sealer":
        os.kill(now.pids["sealer"], signal.SIGKILL)
    else:
        async with ledger_reader(stack) as db:
            os.kill(await db.fetchval(_BACKEND), signal.SIGKILL)


async def _check(stack: Stack, seen: Seen, watch: LogWatch) -> tuple[list[str], int]:
    """Return what does not hold after a round, and how many entries the log has."""
    await until(lambda: _is_back(stack), within_s=RECOVERED_WITHIN_S, what="PostgreSQL's recovery")
    async with ledger_reader(stack) as db:

        async def is_closed() -> bool:
            try:
                return not count_closings(entries_of(await sealed_export(db)))["open"]
            except TimeoutError:
                return False

        faults = []
        try:
            await until(is_closed, within_s=CLOSED_WITHIN_S, what="the closing of every intent")
        except TimeoutError as late:
            faults.append(str(late))
        lines = await sealed_export(db)
        faults += faults_of(stack, lines, seen)
        faults += await _fsck_errors(stack, db)
    async with Bashu(Profile.of_dev_stack(stack.state, "auditor-1")) as auditor:
        try:
            await watch.look(auditor)
        except LogAlarm as alarm:
            faults.append(f"watch: {alarm}")
    return faults, len(lines) - 1


async def _is_back(stack: Stack) -> bool:
    try:
        async with ledger_reader(stack) as db:
            return bool(await db.fetchval("SELECT true"))
    except BashuError:
        return False


async def _fsck_errors(stack: Stack, db: Database) -> list[str]:
    findings = [finding async for finding in fsck(db, key=parse_vkey(stack.ledger_vkey), now=datetime.now(UTC))]
    return [finding.line() for finding in findings if finding.severity is Severity.ERROR]


if __name__ == "__main__":
    sys.exit(main())
