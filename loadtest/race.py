"""Race what takes permission away against queries under way; then a program that reads the export alone judges.

Two workers, 64 queries at a time on 50 consents, and at random: revocations, amendments, pauses, holds of consents and
of subjects with two officers to lift, freezes. `bashu verify export` finds no RELEASE after what took the permission
away, no budget overspent, by amendments neither, and every answer that a client received has its RELEASE. With
``--broken`` the gateway believes what it read up to a second ago (loadtest/broken): then the run must fail, and prints
the two entries that prove it.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import itertools
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from bashu.client import Bashu, QueryAnswer
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import compliance_pb2, loan_pb2, subject_pb2
from bashu.verify.export import ExportVerdict, verify_export
from bashu.verify.note import VerifierKey
from bashu.verify.rules import Finding
from core.ids import uuid7
from loadtest.agent import agent_profile
from loadtest.authority import Grant, SigningAuthority
from loadtest.observation import ledger_reader, sealed_export, until
from loadtest.questions import Wire, question
from loadtest.stack import Stack, dev_stack

CONSENTS: Final = 50
CONCURRENT: Final = 64
ACTORS: Final = 6
CLIENTS: Final = 8
DEADLINE_S: Final = 8.0
CLOSED_WITHIN_S: Final = 45.0
ACTS: Final = ("pause", "revoke", "amend", "hold", "hold subject", "freeze")
PAUSE_S: Final = (0.01, 0.15)
"""How long an actor waits between two acts, and how long what it took away stays away."""
SUBJECTS: Final = (
    "91500105XXTT00018M", "91510107XXTT00026H", "91500105XXTT00034B", "91510107XXTT000427", "91500105XXTT000501",
    "91510107XXTT00069Y", "91500105XXTT00077Q", "91500105XXTT00114Y", "91510107XXTT00122T", "91500105XXTT00157C",
)  # fmt: skip
ITEMS: Final = ("enterprise_registration", "administrative_penalty", "tax_credit_grade")
PURPOSE: Final = "POST_LOAN_MANAGEMENT"
EXPECTED: Final = frozenset(
    {
        "CONSENT_REVOKED", "CONSENT_PAUSED", "CONSENT_HELD", "SUBJECT_FROZEN", "CONSENT_EXHAUSTED",
        "CONSENT_SUPERSEDED", "FREQUENCY_EXCEEDED", "OVERLOADED", "REVISION_CHANGED",
    }
)  # fmt: skip
"""Refusals that the race itself brings about; any other is a fault."""
BROKEN: Final = Path(__file__).parent / "broken"
_CLOSINGS: Final = ("RELEASE", "RELEASE_WITHHELD", "FAILED", "ABANDONED")


@dataclass(slots=True, kw_only=True)
class Consent:
    """One consent in the race; ``is_over`` once it was revoked or amended and another took its place."""

    grant: Grant
    artefact: bytes
    reference: str
    is_over: bool = False

    @property
    def code(self) -> str:
        """Whose information it is about."""
        return self.grant.identifier

    @property
    def consent_id(self) -> str:
        """Its id as text."""
        return str(self.grant.consent_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What the clients saw: answers, refusals by reason, acts by name, and what nobody expected."""

    answers: list[QueryAnswer] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    acts: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Race:
    """Everything the tasks share. ``ends`` is on the monotonic clock."""

    stack: Stack
    banks: Sequence[Bashu]
    agents: Mapping[str, Bashu]
    portals: Mapping[str, Wire]
    officers: Sequence[Wire]
    lender: Wire
    authority: SigningAuthority
    random: random.Random
    ends: float
    consents: list[Consent] = field(default_factory=list)
    seen: Seen = field(default_factory=Seen)

    def is_over(self) -> bool:
        """Tell whether the time is up."""
        return time.monotonic() >= self.ends

    async def grant(self, code: str) -> Consent:
        """Register a loan and a consent that rests on it, with few enough uses to run out."""
        today = datetime.now(UTC).date()
        loan = loan_pb2.RegisterLoanRequest(
            loan_reference=f"LOAN-{uuid7()}",
            subject=question(code, "").subject,
            opened_on=today.isoformat(),
            due_on=(today + timedelta(days=365)).isoformat(),
        )
        await self.lender.call(self.lender.loan.RegisterLoan, loan)
        uses = self.random.choice((5, 40, 400))
        grant = Grant(
            institution="bank-cq",
            identifier=code,
            items=ITEMS,
            purpose=PURPOSE,
            max_uses=uses,
            frequency=(self.random.choice((uses, max(3, uses // 2))), "DAY"),
        )
        return await self.register(grant, loan.loan_reference)

    async def register(self, grant: Grant, reference: str) -> Consent:
        """Sign and register a consent that rests on the loan ``reference``."""
        artefact = self.authority.sign(grant)
        await self.banks[0].register_consent(artefact)
        return Consent(grant=grant, artefact=artefact, reference=reference)

    def replace(self, old: Consent, fresh: Consent) -> None:
        """Ask under ``fresh`` from now on, where ``old`` was asked under."""
        self.consents[self.consents.index(old)] = fresh


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the race; return 0 where everything held, 1 where something did not."""
    parser = argparse.ArgumentParser(prog="python -m loadtest.race", description="race permission against queries")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default %(default)s)")
    parser.add_argument("--seed", type=int, default=None, help="seed of what is chosen (default: a new one, printed)")
    parser.add_argument("--broken", action="store_true", help="believe state of up to a second ago: must fail")
    chosen = parser.parse_args(arguments)
    seed = chosen.seed if chosen.seed is not None else random.SystemRandom().randrange(10**6)
    if chosen.broken:
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, (str(BROKEN), os.environ.get("PYTHONPATH", ""))))
    with dev_stack(arguments=("--workers", "2")) as stack:
        return asyncio.run(_run(stack, seconds=chosen.seconds, seed=seed))


async def _run(stack: Stack, *, seconds: float, seed: int) -> int:
    async with AsyncExitStack() as opened:
        race = await _prepared(stack, opened, seconds=seconds, seed=seed)
        async with asyncio.TaskGroup() as group:
            for number in range(CONCURRENT):
                group.create_task(_ask(race, race.banks[number % CLIENTS]))
            for _ in range(ACTORS):
                group.create_task(_act(race))
    lines = await _closed_export(stack)
    verdict = verify_export(lambda: iter(lines), VerifierKey.parse(stack.ledger_vkey), now=datetime.now(UTC))
    entries = [json.loads(base64.b64decode(json.loads(line)["leaf"])) for line in lines[:-1]]
    return _report(race.seen, entries, verdict, seed=seed, seconds=seconds)


async def _prepared(stack: Stack, opened: AsyncExitStack, *, seconds: float, seed: int) -> Race:
    bank = Profile.of_dev_stack(stack.state, "bank-cq")
    banks = [await opened.enter_async_context(Bashu(bank, deadline_s=DEADLINE_S)) for _ in range(CLIENTS)]
    profiles = {code: agent_profile(stack, code) for code in SUBJECTS}
    race = Race(
        stack=stack,
        banks=banks,
        agents={code: await opened.enter_async_context(Bashu(profile)) for code, profile in profiles.items()},
        portals={code: await opened.enter_async_context(Wire(profile)) for code, profile in profiles.items()},
        officers=[await opened.enter_async_context(_officer(stack, number)) for number in (1, 2)],
        lender=await opened.enter_async_context(Wire.of(stack, "bank-cq")),
        authority=SigningAuthority(stack.authorities["authority-cq"]),
        random=random.Random(seed),
        ends=0.0,
    )
    for code in itertools.islice(itertools.cycle(SUBJECTS), CONSENTS):
        race.consents.append(await race.grant(code))
    race.ends = time.monotonic() + seconds
    return race


def _officer(stack: Stack, number: int) -> Wire:
    """Connect an officer with a staff number of its own: two participants with one number count as one."""
    return Wire(Profile.of_dev_stack(stack.state, f"officer-{number}", operator=f"000{number}"))


async def _ask(race: Race, bank: Bashu) -> None:
    while not race.is_over():
        consent = race.random.choice(race.consents)
        asked = question(
            consent.code,
            consent.consent_id,
            purpose=PURPOSE,
            application_reference="",
            loan_reference=consent.reference,
        )
        try:
            race.seen.answers.append(await bank.query_credit(asked))
        except BashuCallError as error:
            race.seen.refusals[error.reason] += 1
            if error.reason not in EXPECTED:
                race.seen.faults.append(f"a query ended with {error.reason or 'no reason'}: {error}")
            # Who is refused asks again at once, as impatient programs do; a little later than at once.
            await asyncio.sleep(race.random.uniform(*PAUSE_S))


async def _act(race: Race) -> None:
    acts: Sequence[tuple[str, Callable[[Race, Consent], Awaitable[None]]]] = (
        ("pause", _pause), ("revoke", _revoke), ("amend", _amend), ("hold", _hold_consent),
        ("hold subject", _hold_subject), ("freeze", _freeze),
    )  # fmt: skip
    while not race.is_over():
        await asyncio.sleep(race.random.uniform(*PAUSE_S))
        consent = race.random.choice(race.consents)
        name, act = race.random.choices(acts, weights=(4, 2, 3, 4, 1, 1))[0]
        try:
            await act(race, consent)
            race.seen.acts[name] += 1
        except BashuCallError as error:
            # Two actors met at one consent or subject: the later one found it paused, revoked or held already.
            race.seen.acts[f"{name}: {error.reason}"] += 1


async def _pause(race: Race, consent: Consent) -> None:
    await race.agents[consent.code].pause_consent(consent.consent_id)
    await asyncio.sleep(race.random.uniform(*PAUSE_S))
    await race.agents[consent.code].resume_consent(consent.consent_id)


async def _revoke(race: Race, consent: Consent) -> None:
    if consent.is_over:
        return
    consent.is_over = True
    await race.agents[consent.code].revoke_consent(consent.consent_id)
    fresh = await race.grant(consent.code)
    await asyncio.sleep(race.random.uniform(*PAUSE_S))
    # Until now the revoked one was still asked under.
    race.replace(consent, fresh)


async def _amend(race: Race, consent: Consent) -> None:
    """Supersede a consent by one of as many uses or a few more; what was spent carries over."""
    if consent.is_over:
        return
    named = {"consent_id": consent.consent_id, "artefact_hash": hashlib.sha256(consent.artefact).hexdigest()}
    amended = replace(
        consent.grant,
        consent_id=uuid7(),
        max_uses=consent.grant.max_uses + race.random.choice((0, 3)),
        overrides={"supersedes": named},
    )
    consent.is_over = True
    try:
        fresh = await race.register(amended, consent.reference)
    except BashuCallError:
        # A held one is not superseded: it stays in the race.
        consent.is_over = False
        raise
    await asyncio.sleep(race.random.uniform(*PAUSE_S))
    race.replace(consent, fresh)


async def _hold_consent(race: Race, consent: Consent) -> None:
    await _held(race, compliance_pb2.PlaceHoldRequest(consent_id=consent.consent_id, reason="race"))


async def _hold_subject(race: Race, consent: Consent) -> None:
    await _held(race, compliance_pb2.PlaceHoldRequest(subject=question(consent.code, "").subject, reason="race"))


async def _held(race: Race, request: compliance_pb2.PlaceHoldRequest) -> None:
    first, second = race.officers
    placed = await first.call(first.compliance.PlaceHold, request)
    await asyncio.sleep(race.random.uniform(*PAUSE_S))
    lift = compliance_pb2.LiftHoldRequest(hold_id=placed.hold.hold_id, reason="race")
    wish, lifted = [await officer.call(officer.compliance.LiftHold, lift) for officer in (first, second)]
    if wish.lifted or not lifted.lifted:
        # What stays held is asked under in vain: the race would die down unseen.
        race.seen.faults.append(f"two officers lift: {wish.lifted}, {lifted.lifted}")


async def _freeze(race: Race, consent: Consent) -> None:
    portal, subject = race.portals[consent.code], question(consent.code, "").subject
    await portal.call(portal.subject.FreezeFile, subject_pb2.FreezeFileRequest(subject=subject))
    await asyncio.sleep(race.random.uniform(*PAUSE_S))
    await portal.call(portal.subject.ThawFile, subject_pb2.ThawFileRequest(subject=subject))


async def _closed_export(stack: Stack) -> list[bytes]:
    async with ledger_reader(stack) as db:

        async def is_closed() -> bool:
            found = verify_export(_lines_of(await sealed_export(db)), VerifierKey.parse(stack.ledger_vkey))
            return not found.open_intents

        await until(is_closed, within_s=CLOSED_WITHIN_S, what="the closing of every intent")
        return await sealed_export(db)


def _lines_of(lines: Sequence[bytes]) -> Callable[[], Iterator[bytes]]:
    return lambda: iter(lines)


def _report(
    seen: Seen, entries: Sequence[Mapping[str, Any]], verdict: ExportVerdict, *, seed: int, seconds: float
) -> int:
    console = Console(width=140)
    _tables(console, seen, entries, seed=seed, seconds=seconds)
    broken = [finding for finding in verdict.findings if finding.is_error]
    # What left is worse than what was only admitted, or counted wrongly.
    broken.sort(key=lambda finding: not finding.code.startswith("RELEASE_"))
    faults = [*seen.faults[:20], *_unreleased(seen, entries), *_idle(seen)]
    for fault in faults:
        console.print(f"DIFFERENT {fault}", markup=False)
    for finding in broken[:20]:
        console.print(finding.text(), markup=False)
    proof = next((f for f in broken if f.leaf_index is not None and f.code.startswith("RELEASE_")), None)
    if proof is not None:
        _prove(console, entries, proof)
    if faults or broken:
        console.print(f"不一致 {len(broken)} violations in the export, {len(faults)} faults")
        return 1
    console.print(
        "一致 same: no release after what took permission away, no budget overspent, every answer has its RELEASE"
    )
    return 0


def _tables(console: Console, seen: Seen, entries: Sequence[Mapping[str, Any]], *, seed: int, seconds: float) -> None:
    counts = Counter(entry["type"] for entry in entries)
    console.print(f"竞态 race: {seconds:g} s, seed {seed}, {len(seen.answers)} answered, {len(entries)} entries")
    table = Table(title="由导出文件计算 From the export alone")
    for heading in ("意图 intents", "已释放 released", "扣留 withheld", "失败 failed", "放弃 abandoned", "拒绝 denied"):
        table.add_column(heading, justify="right")
    table.add_row(*(str(counts[name]) for name in ("QUERY_INTENT", *_CLOSINGS, "QUERY_DENIED")))
    console.print(table)
    withheld = Counter(entry["decision"]["reason"] for entry in entries if entry["type"] == "RELEASE_WITHHELD")
    told = (("扣留 withheld", withheld), ("拒绝 refused", seen.refusals), ("动作 acts", seen.acts))
    for title, counter in told:
        line = ", ".join(f"{name} {count}" for name, count in sorted(counter.items())) or "none"
        console.print(f"{title}: {line}", markup=False)


def _unreleased(seen: Seen, entries: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the answers that clients received without a RELEASE of exactly those bytes."""
    released = {
        (entry["intent"]["request"], entry["intent"]["attempt"]): entry["report_digest"]
        for entry in entries
        if entry["type"] == "RELEASE"
    }
    return [
        f"answered query {answer.request_id} has no RELEASE with its digest"
        for answer in seen.answers
        if released.get((answer.request_id, answer.effective_scope.attempt))
        != hashlib.sha256(answer.report_bytes).hexdigest()
    ]


def _idle(seen: Seen) -> list[str]:
    """Return what did not happen: a race in which nothing met proves nothing."""
    missing = [name for name in ACTS if not seen.acts[name]]
    return [f"no {name} took place" for name in missing] + ([] if seen.answers else ["no query was answered"])


def _prove(console: Console, entries: Sequence[Mapping[str, Any]], finding: Finding) -> None:
    """Print the entry that took the permission away and the one that went on all the same."""
    assert finding.leaf_index is not None
    late = entries[finding.leaf_index]
    consent_id = late.get("consent", {}).get("id", "")
    before = range(finding.leaf_index - 1, -1, -1)
    taken = next((index for index in before if _takes(entries[index], consent_id)), None)
    console.print("证据 the two entries that prove it:")
    for index in (taken, finding.leaf_index):
        if index is not None:
            console.print(
                f"leaf {index} {json.dumps(entries[index], ensure_ascii=False, sort_keys=True)}", markup=False
            )


def _takes(entry: Mapping[str, Any], consent_id: str) -> bool:
    if entry["type"] == "CONSENT_STATUS":
        return bool(entry["consent"]["id"] == consent_id and entry["status"]["to"] != "ACTIVE")
    return entry["type"] in {"HOLD_PLACED", "FILE_FROZEN"} and consent_id in entry["affects"]["consents"]


if __name__ == "__main__":
    sys.exit(main())
