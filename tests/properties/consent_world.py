"""A small world of two firms, two lenders and two workers on a real PostgreSQL, in which anything may happen.

Every operation takes a number and picks with it what it is about; one that finds nothing to do does nothing. What the
gateway refuses with a reason of :data:`REFUSED` is part of life; any other error is a fault.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import partial
from typing import Any, Final

from bashu.verify.export import ExportVerdict, verify_export
from bashu.verify.note import VerifierKey
from consent.model import Actor, ConsentFacts, HoldKind, LoanEnd
from core.errors import BashuError, Reason
from core.ids import uuid7
from core.permit import Receipt, Subject
from gateway.admission import Admitted
from gateway.endings import Endings
from gateway.release import Part
from ledger.export import export_lines
from tests.admission_stage import FIRM, OTHER_FIRM, POST_LOAN, SIGNER, Stage, a_payload, an_ask, lines, signed

REFUSED: Final = frozenset(
    {
        Reason.CONSENT_REVOKED, Reason.CONSENT_HELD, Reason.CONSENT_PAUSED, Reason.CONSENT_SUPERSEDED,
        Reason.CONSENT_EXPIRED, Reason.CONSENT_EXHAUSTED, Reason.FREQUENCY_EXCEEDED,
        Reason.SUBJECT_FROZEN, Reason.LOAN_CLOSED, Reason.OUT_OF_TIME, Reason.IN_PROGRESS, Reason.OVERLOADED,
        Reason.IDEMPOTENCY_CONFLICT, Reason.NOT_FOUND_OR_NOT_YOURS, Reason.RATE_LIMITED,
    }
)  # fmt: skip
FIRMS: Final = (FIRM, OTHER_FIRM)
LENDERS: Final = ("bank-cq", "bank-sc")
USAGES: Final[tuple[dict[str, Any], ...]] = (
    {"mode": "ONE_TIME", "max_uses": 1, "frequency": {"n": 1, "per": "DAY"}},
    {"max_uses": 8, "frequency": {"n": 4, "per": "DAY"}},
    {"max_uses": 9, "frequency": {"n": 5, "per": "WEEK"}, "tz": "America/New_York"},
    {"max_uses": 9, "frequency": {"n": 7, "per": "MONTH"}, "min_interval_s": 60},
    {"max_uses": 6, "frequency": {"n": 6, "per": "DAY"}},
)
STEPS: Final = (
    timedelta(seconds=1), timedelta(seconds=61), timedelta(minutes=20), timedelta(hours=7), timedelta(days=1),
    timedelta(days=8),
)  # fmt: skip
REFUNDED: Final = ("SKIPPED", "MAINTENANCE", "QUOTA_EXHAUSTED")
COSTLY: Final = ("NO_DATA", "TIMEOUT")
DEADLINE_S: Final = 30.0
MOST_SEALED: Final = 100


@dataclass(slots=True, kw_only=True)
class Granted:
    """A consent as its lender knows it."""

    facts: ConsentFacts
    lender: str
    firm: Subject
    usage: dict[str, Any]
    loan: str = ""
    holds: int = 0

    @property
    def purpose(self) -> dict[str, Any]:
        """What its artefact names as purpose, and what ends it."""
        return {**POST_LOAN, "term": {"until": "LOAN_CLOSED", "plus_days": 0}} if self.loan else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class UnderWay:
    """A query whose platforms have not answered yet; ``asked`` is what was asked, to be asked again."""

    admitted: Admitted
    asked: dict[str, Any]


@dataclass(slots=True)
class World:
    """What stands, and what the lenders have seen. Both ``workers`` serve the same database."""

    workers: tuple[Stage, Stage]
    granted: list[Granted] = field(default_factory=list)
    loans: list[tuple[str, str]] = field(default_factory=list)
    under_way: list[UnderWay] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    holds: list[Any] = field(default_factory=list)
    answers: list[tuple[str, str, int, str]] = field(default_factory=list)
    shift: timedelta = timedelta()
    did: list[str] = field(default_factory=list)
    is_faulty: bool = False

    @property
    def stage(self) -> Stage:
        """The worker that does what only one needs to do."""
        return self.workers[0]

    # How consents come and go

    async def register(self, n: int) -> None:
        """A new consent, before a loan or resting on one."""
        firm, lender = FIRMS[n % 2], LENDERS[n // 2 % 2]
        loan = ""
        if n % 3:
            loan = f"LOAN-{uuid7()}"
            await self.stage.loans.register(
                lender,
                loan,
                subject=firm,
                application_reference="",
                opened_on=date(2026, 1, 1),
                due_on=date(2030, 1, 1),
            )
            self.loans.append((lender, loan))
        usage = USAGES[n % len(USAGES)]
        if not loan:
            usage = usage | {"max_uses": min(usage["max_uses"], 3)}
        await self._register(Granted(facts=None, lender=lender, firm=firm, usage=usage, loan=loan), days=1 + n % 30)  # type: ignore[arg-type]

    async def supersede(self, n: int) -> None:
        """An amendment, of as many uses or of other windows; refused where the old one ended or is held."""
        old = self._pick(n)
        if old is None or old.usage.get("mode") == "ONE_TIME":
            return
        usage = old.usage | ({"frequency": {"n": 3, "per": "WEEK"}} if n % 4 == 3 else {})
        fresh = Granted(facts=old.facts, lender=old.lender, firm=old.firm, usage=usage, loan=old.loan)
        named = {"consent_id": str(old.facts.consent_id), "artefact_hash": old.facts.artefact_hash.hex()}
        await self._register(fresh, days=1 + n % 30, supersedes=named)

    async def _register(self, made: Granted, *, days: int, **changes: Any) -> None:
        now = datetime.now(UTC) + self.shift
        payload = a_payload(
            subject=made.firm,
            now=now,
            requester={"institution": made.lender},
            usage=made.usage,
            exp=int(now.timestamp()) + days * 86_400,
            **made.purpose,
            **changes,
        )
        made.facts = (await self.stage.consents.register(signed(payload))).facts
        self.granted.append(made)

    async def pause(self, n: int) -> None:
        """The subject pauses."""
        if picked := self._pick(n):
            await self.stage.consents.pause(picked.facts.consent_id)

    async def resume(self, n: int) -> None:
        """The subject resumes."""
        if picked := self._pick(n):
            await self.stage.consents.resume(picked.facts.consent_id)

    async def revoke(self, n: int) -> None:
        """The subject withdraws."""
        if picked := self._pick(n):
            await self.stage.consents.revoke(picked.facts.consent_id, reason="", actor=Actor.SUBJECT)

    async def hold(self, n: int) -> None:
        """Compliance holds one consent."""
        if picked := self._pick(n):
            await self.stage.consents.hold(picked.facts.consent_id, reason="H")

    async def lift(self, n: int) -> None:
        """Compliance lifts one hold from a consent."""
        if picked := self._pick(n):
            await self.stage.consents.lift(picked.facts.consent_id, reason="H")

    async def hold_subject(self, n: int) -> None:
        """Compliance holds everything about a firm."""
        self.holds.append(await self.stage.holds.place(FIRMS[n % 2], HoldKind.HOLD, reason="H"))

    async def freeze(self, n: int) -> None:
        """A firm freezes its file."""
        self.holds.append(await self.stage.holds.place(FIRMS[n % 2], HoldKind.FREEZE, reason=""))

    async def thaw(self, n: int) -> None:
        """A hold on a firm, or its freeze, ends."""
        if self.holds:
            await self.stage.holds.lift(self.holds.pop(n % len(self.holds)))

    async def recover(self, n: int) -> None:
        """Whatever can be ended ends, so that life goes on."""
        while self.holds:
            await self.stage.holds.lift(self.holds.pop())
        for granted in self.granted[-3:]:
            for again in (self.stage.consents.resume, partial(self.stage.consents.lift, reason="H")):
                with suppress(BashuError):
                    await again(granted.facts.consent_id)
        await self.register(n)

    async def close_loan(self, n: int) -> None:
        """A loan is paid back."""
        if self.loans:
            among = self.loans[-2:]
            await self.stage.loans.close(*among[n % len(among)], reason=LoanEnd.SETTLED)

    # Queries

    async def ask(self, n: int) -> None:
        """A query begins; its platforms take their time."""
        if (picked := self._pick(n)) is not None:
            asked = {
                "request_id": uuid7(),
                "institution": picked.lender,
                "participant": picked.lender,
                "subject": picked.firm,
                "consent_id": picked.facts.consent_id,
                "deadline_s": DEADLINE_S,
            }
            if picked.loan:
                asked |= {"purpose": "POST_LOAN_MANAGEMENT", "loan_reference": picked.loan}
                asked |= {"application_reference": ""}
            self.asked.append(asked)
            await self._ask(n, asked)

    async def ask_again(self, n: int) -> None:
        """A lender repeats a request, at whichever worker."""
        if self.asked:
            await self._ask(n, self.asked[n % len(self.asked)])

    async def _ask(self, n: int, asked: dict[str, Any]) -> None:
        admitted = await self.workers[n // 5 % 2].admissions.admit(an_ask(**asked))
        self.under_way.append(UnderWay(admitted=admitted, asked=asked))

    async def answer(self, n: int) -> None:
        """The platforms answer, and the report leaves if it still may."""
        if self.under_way:
            await self.release(self.under_way.pop(n % len(self.under_way)), n)

    async def release(self, query: UnderWay, n: int) -> None:
        """Release one answer and keep what the lender then has in its hands."""
        permit, digest = query.admitted.permit, hashlib.sha256(f"report {n}".encode()).digest()
        await self.workers[n // 2 % 2].releases.release(
            permit, report_digest=digest, request_digest=bytes(32), platforms=lines(permit)
        )
        self.answers.append((permit.institution, str(permit.request_id), permit.attempt, digest.hex()))

    async def answer_together(self, n: int) -> None:
        """One report rests on up to three permits of one lender: it leaves under all of them or not at all."""
        lender = LENDERS[n % 2]
        parts = [query for query in self.under_way if query.asked["institution"] == lender][: 2 + n // 2 % 2]
        if len(parts) < 2:
            return
        for query in parts:
            self.under_way.remove(query)
        permits, digest = [query.admitted.permit for query in parts], hashlib.sha256(f"together {n}".encode()).digest()
        outcome = await self.workers[n // 4 % 2].releases.release_together(
            [Part(permit=permit, platforms=lines(permit)) for permit in permits],
            report_digest=digest,
            request_digest=bytes(32),
        )
        if isinstance(outcome, Receipt):
            self.answers += [
                (permit.institution, str(permit.request_id), permit.attempt, digest.hex()) for permit in permits
            ]
        else:
            # What stands is still under way, for a report without the others.
            self.under_way += [query for query in parts if query.admitted.permit.request_id not in outcome]

    async def fail(self, n: int) -> None:
        """No platform answers, certainly or perhaps without having been asked."""
        if self.under_way:
            permit = self.under_way.pop(n % len(self.under_way)).admitted.permit
            status = (*REFUNDED, *COSTLY)[n % (len(REFUNDED) + len(COSTLY))]
            await self.stage.releases.fail(
                permit, Reason.PLATFORMS_UNAVAILABLE, platforms=lines(permit, status) if permit.targets else ()
            )

    # Time and those who work in the background

    async def pass_time(self, n: int) -> None:
        """Time passes, for the database too."""
        await self._set_shift(self.shift + STEPS[n % len(STEPS)])

    async def wait_for_an_end(self, n: int) -> None:
        """Time passes until just before a consent ends, or just behind that."""
        if (picked := self._pick(n)) is not None:
            until = picked.facts.exp - datetime.now(UTC) + timedelta(milliseconds=-50 if n % 2 else 1)
            await self._set_shift(max(self.shift, until))

    async def _set_shift(self, shift: timedelta) -> None:
        # The database's clock goes first: nothing is signed in what is its future.
        sql = "UPDATE bashu_time_shift SET shift = greatest(shift, $1) RETURNING shift"
        self.shift = await self.stage.owner.fetchval(sql, shift)

    async def sweep(self, n: int) -> None:
        """What nobody closed is closed; what time ended is written down."""
        await self.workers[n % 2].sweeper.sweep()
        await Endings(self.workers[n % 2].db, entries=self.stage.entries).walk()

    async def seal(self, _: int) -> None:
        """The sealer integrates what it finds."""
        await self.stage.sealer.run_round()

    # Several at once, and the end

    async def do(self, *acts: tuple[str, int]) -> None:
        """Do all of these at the same time; raises what no refusal explains."""
        self.did.append(" | ".join(f"{name} {n}" for name, n in acts))
        results = await asyncio.gather(*(self._named(name)(n) for name, n in acts), return_exceptions=True)
        for (name, n), result in zip(acts, results, strict=True):
            if isinstance(result, BaseException) and not (
                isinstance(result, BashuError) and result.reason in REFUSED | _OF_ITS_OWN.get(name, frozenset())
            ):
                self.is_faulty = True
                raise AssertionError(f"{name} {n} in: {'; '.join(self.did)}") from result

    def _named(self, name: str) -> Callable[[int], Awaitable[None]]:
        method: Callable[[int], Awaitable[None]] = getattr(self, name)
        return method

    def _pick(self, n: int) -> Granted | None:
        """Any consent, but mostly one of the latest two: the older ones are mostly over."""
        if not self.granted:
            return None
        among = self.granted if n % 4 == 0 else self.granted[-2:]
        return among[n // 4 % len(among)]

    async def end(self) -> tuple[list[bytes], ExportVerdict]:
        """Let everything under way run out, seal, export; return the export and what its verifier says of it."""
        await self._set_shift(self.shift + timedelta(seconds=2 * DEADLINE_S + 10))
        while await self.stage.sweeper.sweep():
            pass
        for _ in range(MOST_SEALED):
            if not await self.stage.sealer.run_round():
                break
        exported = [line async for line in export_lines(self.stage.owner)]
        return exported, verify_export(lambda: iter(exported), VerifierKey.parse(SIGNER.vkey))


_OF_ITS_OWN: Final = dict.fromkeys(("register", "recover", "supersede"), frozenset({Reason.ARTEFACT_MALFORMED}))
"""An amendment of fewer uses than are spent; an artefact whose end passed while it was on its way."""
ACTS: Final = (
    *("register",) * 3, *("supersede",) * 3, "pause", "resume", "resume", "revoke", "hold", "lift", "lift",
    "hold_subject", "freeze", *("thaw",) * 3, *("recover",) * 2, "close_loan", *("ask",) * 6, *("ask_again",) * 3,
    *("answer",) * 5, *("answer_together",) * 2, *("fail",) * 2, *("pass_time",) * 2, "wait_for_an_end", "sweep", "seal",
)  # fmt: skip
