"""Make one wrong request for every reason and compare: the reason, what the ledger keeps of it, what platforms saw.

Each reason of the contract stands in :data:`~loadtest.refusal_cases.CASES` or :data:`ELSEWHERE`.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bashu.errors import BashuCallError
from bashu.v1 import credit_pb2
from core.errors import Reason
from loadtest.observation import books, ledger_reader, sealed_export
from loadtest.refusal_cases import CASES, Case, Trail
from loadtest.refusal_world import Attempt, World
from loadtest.stack import Stack, dev_stack

ANSWERED: Final = "answered"

ELSEWHERE: Final = {
    Reason.OVERLOADED: "tests/integration/test_gateway_edge.py",
    Reason.OUT_OF_TIME: "tests/integration/test_gateway_edge.py",
    Reason.DRAINING: "tests/integration/test_gateway_edge.py",
    Reason.EVIDENCE_UNAVAILABLE: "tests/integration/test_gateway_edge.py",
    Reason.INTERNAL: "tests/integration/test_gateway_edge.py",
    Reason.LEDGER_INCONSISTENT: "tests/integration/test_ledger_end_to_end.py",
    Reason.PLATFORM_KIND_TAKEN: "tests/integration/test_platform_registration.py",
    Reason.PRESERVED: "tests/integration/test_erasures.py",
}
"""Reasons that have no door yet, or that no single request brings about: the test that proves each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one case came to."""

    case: Case
    got: str
    request_id: str
    request_digest: str | None
    unread_from: str
    moved_books: bool


def main() -> int:
    """Run every case on a fresh stack; return 0 where everything is as expected."""
    with dev_stack() as stack:
        outcomes, entries = asyncio.run(_run(stack))
    return _print([(outcome, _differences(outcome, entries)) for outcome in outcomes])


async def _run(stack: Stack) -> tuple[list[Outcome], list[dict[str, Any]]]:
    world = World(stack)
    try:
        outcomes = [await _outcome(world, case) for case in CASES]
    finally:
        await world.close()
    async with ledger_reader(stack) as db:
        lines = await sealed_export(db)
    leaves = (json.loads(line) for line in lines[:-1])
    return outcomes, [json.loads(base64.b64decode(leaf["leaf"])) for leaf in leaves]


async def _outcome(world: World, case: Case) -> Outcome:
    try:
        attempt = await case.prepare(world)
    except (BashuCallError, TimeoutError) as error:
        return Outcome(
            case=case,
            got=f"preparation: {error}",
            request_id="",
            request_digest=None,
            unread_from="",
            moved_books=False,
        )
    before = await books(world.stack)
    got = await _reason(attempt)
    return Outcome(
        case=case,
        got=got,
        request_id=attempt.request.request_id if attempt.request else "",
        request_digest=_digest(attempt, world.stack),
        unread_from=attempt.unread_from,
        moved_books=case.trail is not Trail.FAILED and await books(world.stack) != before,
    )


async def _reason(attempt: Attempt) -> str:
    try:
        await attempt.call()
    except BashuCallError as error:
        return error.reason
    return ANSWERED


def _digest(attempt: Attempt, stack: Stack) -> str | None:
    """Return what entries call ``request_digest``: keyed over the SHA-256 of the bytes with ``resend_all`` unset."""
    if attempt.request is None:
        return None
    request = credit_pb2.QueryCreditRequest()
    request.CopyFrom(attempt.request)
    request.resend_all = False
    asked = hashlib.sha256(request.SerializeToString(deterministic=True)).hexdigest()
    key = bytes.fromhex((stack.state / "keys" / "subject_commitment.key").read_text())
    return hmac.digest(key, f"request:{asked}".encode(), "sha256").hex()


def _differences(outcome: Outcome, entries: Sequence[dict[str, Any]]) -> Iterator[str]:
    case = outcome.case
    if outcome.got != case.reason:
        yield outcome.got
        return
    if outcome.moved_books:
        yield "a platform's books changed"
    if outcome.request_digest is None:
        return
    kept = Counter(
        (entry["type"], entry["decision"]["reason"])
        for entry in entries
        if (entry["type"] == "QUERY_DENIED" and _is_about(entry, outcome))
        or (
            # Another attempt of the same request may have failed by itself where this one was to be denied.
            case.trail is Trail.FAILED
            and entry["type"] == "FAILED"
            and entry["intent"]["request"] == outcome.request_id
        )
    )
    match case.trail:
        case Trail.NOTHING:
            wanted = Counter[tuple[str, str]]()
        case Trail.DENIED:
            wanted = Counter([("QUERY_DENIED", case.reason.value)])
        case Trail.FAILED:
            wanted = Counter([("FAILED", case.reason.value)])
    if kept != wanted:
        yield f"entries {_entries_text(kept)}, not {_entries_text(wanted)}"


def _is_about(entry: dict[str, Any], outcome: Outcome) -> bool:
    if outcome.unread_from:
        return bool(entry["requester"]["institution"] == outcome.unread_from and "request_digest" not in entry)
    return bool(entry.get("request_digest") == outcome.request_digest)


def _entries_text(kept: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{count} {kind} {reason}" for (kind, reason), count in sorted(kept.items())) or "none"


def _print(results: Sequence[tuple[Outcome, Iterator[str]]]) -> int:
    table = Table(title="拒绝原因 Reasons", show_lines=False)
    for heading in ("错误请求 wrong request", "预期 expected", "得到 got", "留痕 kept", "结论"):
        table.add_column(heading, overflow="fold")
    different = 0
    for outcome, found in results:
        differences = list(found)
        different += bool(differences)
        verdict = "DIFFERENT" if differences else "same"
        got = "; ".join(differences) or outcome.got
        table.add_row(outcome.case.name, outcome.case.reason, got, _kept_text(outcome.case), verdict)
    for reason, proof in ELSEWHERE.items():
        table.add_row("无单一请求入口 no single request", reason, f"由测试证明 proven by {proof}", "", "")
    console = Console(width=170)
    console.print(table)
    console.print(f"{len(results)} wrong requests, {different} different; {len(ELSEWHERE)} reasons proven by tests")
    return 1 if different else 0


def _kept_text(case: Case) -> str:
    return {Trail.NOTHING: "", Trail.DENIED: "QUERY_DENIED", Trail.FAILED: "FAILED"}[case.trail]


if __name__ == "__main__":
    sys.exit(main())
