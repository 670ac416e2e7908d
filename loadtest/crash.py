"""Kill -9 a gateway worker while 200 queries run, then compute from the export alone what became of them.

Every answered query has its RELEASE with the digest of the bytes received, every intent is closed, the tree verifies,
the log's rules hold, a receipt saved before still verifies, and the stack answers the next query.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import itertools
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bashu.client import Bashu, QueryAnswer
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import loan_pb2
from bashu.verify import VerificationError
from core.ids import uuid7
from ledger.export import check_export
from ledger.invariants import Severity
from ledger.note import parse_vkey
from loadtest.authority import Grant, SigningAuthority
from loadtest.observation import ledger_reader, sealed_export, until
from loadtest.questions import Wire, question
from loadtest.stack import Stack, dev_stack

QUERIES: Final = 200
CONSENTS: Final = 8
CLIENTS: Final = 8
"""Each opens two connections, which the kernel spreads over the workers: no worker is left without any."""
KILL_AFTER: Final = 60
"""Answers that must have arrived before the kill: work is finished, running and waiting then, on both workers."""
DEADLINE_S: Final = 8.0
CLOSED_WITHIN_S: Final = 45.0
"""An intent expires 5 s after its deadline, the sweeper closes it within 5 s more; a retry may start late."""
NEXT_ANSWER_WITHIN_S: Final = 30.0
SUBJECTS: Final = ("91500105XXTT00018M", "91510107XXTT00026H", "91500105XXTT000501", "91510107XXTT00069Y")
ITEMS: Final = ("enterprise_registration", "administrative_penalty", "tax_credit_grade")
PURPOSE: Final = "POST_LOAN_MANAGEMENT"
CLOSINGS: Final = ("RELEASE", "RELEASE_WITHHELD", "FAILED", "ABANDONED")


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the clients saw: answers, and refusals and errors by reason."""

    answers: list[QueryAnswer] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loan:
    """A consent with many uses, and the loan it stands for."""

    code: str
    consent_id: str
    reference: str


def main() -> int:
    """Run the round; return 0 where everything held."""
    with dev_stack(arguments=("--workers", "2")) as stack:
        return asyncio.run(_round(stack))


async def _round(stack: Stack) -> int:
    loans, seen = await prepare(stack), Seen()
    await _kill_under_load(stack, loans, seen)
    async with ledger_reader(stack) as db:

        async def is_closed() -> bool:
            return not count_closings(entries_of(await sealed_export(db)))["open"]

        faults = []
        try:
            await until(is_closed, within_s=CLOSED_WITHIN_S, what="the closing of every intent")
        except TimeoutError as late:
            faults.append(str(late))
        export = stack.state / "export.jsonl"
        export.write_bytes(b"".join(await sealed_export(db)))
    lines = export.read_bytes().splitlines(keepends=True)
    faults += faults_of(stack, lines, seen)
    faults += [] if seen.errors else ["no query was hit"]
    faults += await _next_answer_fault(stack, loans[0])
    _print(seen, count_closings(entries_of(lines)), faults)
    return 1 if faults else 0


async def prepare(stack: Stack) -> list[Loan]:
    """Register a loan and a consent with many uses for each of a few subjects."""
    authority = SigningAuthority(stack.authorities["authority-cq"])
    today = datetime.now(UTC).date()
    loans = []
    async with Wire.of(stack, "bank-cq") as lender, Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
        for code in itertools.islice(itertools.cycle(SUBJECTS), CONSENTS):
            loan = loan_pb2.RegisterLoanRequest(
                loan_reference=f"LOAN-{uuid7()}",
                subject=question(code, "").subject,
                opened_on=today.isoformat(),
                due_on=(today + timedelta(days=365)).isoformat(),
            )
            await lender.call(lender.loan.RegisterLoan, loan)
            grant = Grant(
                institution="bank-cq",
                identifier=code,
                items=ITEMS,
                purpose=PURPOSE,
                max_uses=10 * QUERIES,
                frequency=(10 * QUERIES, "DAY"),
            )
            await bank.register_consent(authority.sign(grant))
            loans.append(Loan(code=code, consent_id=str(grant.consent_id), reference=loan.loan_reference))
    return loans


async def _kill_under_load(stack: Stack, loans: Sequence[Loan], seen: Seen) -> None:
    enough = asyncio.Event()

    async def ask(bank: Bashu, loan: Loan) -> None:
        try:
            seen.answers.append(await bank.query_credit(loan_question(loan)))
        except BashuCallError as error:
            seen.errors[error.reason] += 1
        if len(seen.answers) >= KILL_AFTER or seen.errors:
            enough.set()

    profile = Profile.of_dev_stack(stack.state, "bank-cq")
    banks = [Bashu(profile, deadline_s=DEADLINE_S) for _ in range(CLIENTS)]
    victim = stack.gateway_pids[0]
    async with asyncio.TaskGroup() as group:
        for _, bank, loan in zip(range(QUERIES), itertools.cycle(banks), itertools.cycle(loans), strict=False):
            group.create_task(ask(bank, loan))
        await enough.wait()
        os.kill(victim, signal.SIGKILL)
    await asyncio.gather(*(bank.close() for bank in banks))


def loan_question(loan: Loan) -> Any:
    """Return one more question about a loan."""
    return question(
        loan.code, loan.consent_id, purpose=PURPOSE, application_reference="", loan_reference=loan.reference
    )


def entries_of(lines: Sequence[bytes]) -> list[dict[str, Any]]:
    """Return the entries of a whole export."""
    return [json.loads(base64.b64decode(json.loads(line)["leaf"])) for line in lines[:-1]]


def count_closings(entries: Sequence[dict[str, Any]]) -> Counter[str]:
    """Count intents and how each was closed, by (institution, request, attempt)."""
    counts: Counter[str] = Counter()
    opened = {_key(entry) for entry in entries if entry["type"] == "QUERY_INTENT"}
    for entry in entries:
        if entry["type"] in CLOSINGS:
            counts[entry["type"]] += 1
            opened.discard(_key(entry))
        elif entry["type"] in {"QUERY_INTENT", "QUERY_DENIED"}:
            counts[entry["type"]] += 1
    counts["open"] = len(opened)
    return counts


def _key(entry: dict[str, Any]) -> tuple[str, str, int]:
    return entry["requester"]["institution"], entry["intent"]["request"], entry["intent"]["attempt"]


def faults_of(stack: Stack, lines: Sequence[bytes], seen: Seen) -> list[str]:
    """Return what does not hold, from the export, the log's key and what the clients received."""
    entries = entries_of(lines)
    released = {_key(entry)[1:]: entry["report_digest"] for entry in entries if entry["type"] == "RELEASE"}
    faults = [] if seen.answers else ["no query was answered"]
    for answer in seen.answers:
        kept = released.get((answer.request_id, answer.effective_scope.attempt))
        if kept != hashlib.sha256(answer.report_bytes).hexdigest():
            faults.append(f"answered query {answer.request_id} has no RELEASE with its digest")
        try:
            answer.verify(stack.ledger_vkey)
        except VerificationError as error:
            faults.append(f"receipt of {answer.request_id}: {error}")
    now = datetime.now(UTC)
    findings = check_export(lines, key=parse_vkey(stack.ledger_vkey), now=now)
    faults += [finding.line() for finding in findings if finding.severity is Severity.ERROR]
    return faults


async def _next_answer_fault(stack: Stack, loan: Loan) -> list[str]:
    async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
        try:
            await bank.query_credit(loan_question(loan), deadline_s=NEXT_ANSWER_WITHIN_S)
        except BashuCallError as error:
            return [f"the next query was not answered: {error}"]
    return []


def _print(seen: Seen, counts: Counter[str], faults: Sequence[str]) -> None:
    console = Console(width=140)
    errors = ", ".join(f"{reason} {count}" for reason, count in sorted(seen.errors.items())) or "none"
    console.print(f"a worker killed under {QUERIES} queries: {len(seen.answers)} answered, errors: {errors}")
    table = Table(title="由导出文件计算 From the export alone")
    for heading in ("意图 intents", "已释放 released", "扣留 withheld", "失败 failed", "放弃 abandoned", "未关闭 open"):
        table.add_column(heading, justify="right")
    table.add_row(*(str(counts[name]) for name in ("QUERY_INTENT", *CLOSINGS, "open")))
    console.print(table)
    for fault in faults:
        console.print(f"DIFFERENT {fault}", markup=False)
    console.print(f"{len(faults)} faults" if faults else "同 same: every answer has its RELEASE, nothing is open")


if __name__ == "__main__":
    sys.exit(main())
