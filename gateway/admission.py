"""Admission: decide on facts read from the primary, reserve a use, make the intent durable. The only maker of permits.

One read, one guarded statement, no transaction block; what arrives while a statement runs is decided together. Who is
missing from the statement's answer (a consent changed, a hold was placed) is read and decided again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol
from uuid import UUID

from consent import budget
from consent.artefact import Act, ParsedArtefact
from consent.checks import OLDEST_PENDING_S, check_form, decide
from consent.model import AccessFact, Ask, ConsentFacts, HoldKind, LicenceFact, PlatformFact, Refusal, Scope
from consent.scope import Case, Rulebook
from consent.witnessing import WitnessBudgets
from core.clock import SHANGHAI, Clock
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from core.permit import Permit
from database import Database, LockLost, UniqueConflict
from gateway import store
from gateway.artefacts import Artefacts
from gateway.batcher import AS_SERVED, Batcher, Gathering
from gateway.clock.watch import ClockWatch
from gateway.database_time import DatabaseTime
from gateway.denials import Denials
from gateway.entries import Attempted, Entries
from gateway.identity.model import Licence, Snapshot
from gateway.intents import IntentKey, Repeat, outstanding, resolve
from gateway.pseudonyms import Pseudonyms
from ledger.model import Entry

MOST_DEADLINE_S: Final = 60.0
"""Longest time a query may take, whatever the client allows."""
GRACE: Final = timedelta(seconds=5)
"""What an intent outlives its deadline by, so that a late release is refused by a row and not by luck."""
MOST_ROUNDS: Final = 8
"""How often a question is decided again after its consent changed under it."""
_RETRY_AFTER_S: Final = 0.1


class RegistrySource(Protocol):
    """Where the registry's snapshot comes from; ``gateway.identity.registry.Registry`` is one."""

    async def snapshot(self) -> Snapshot:
        """Return a snapshot confirmed against the primary within the last second."""


class WhoAsks(Protocol):
    """The part of ``gateway.identity.model.Caller`` that a refusal records."""

    @property
    def institution(self) -> str:
        """Institution of the caller."""

    @property
    def operator(self) -> str:
        """Staff number acting, empty where the role needs none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRegistration:
    """A platform that an adapter serves: what it holds, where, and under which licences.

    Region and licences of the registry, where it knows the platform, stand before these.
    """

    region: str
    items: frozenset[str]
    kind: str = ""
    licences: tuple[Licence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorLicence:
    """The licences of the gateway's own operator (settings ``[operator]``)."""

    licences: tuple[Licence, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """An admitted question. ``permit.targets`` holds only what this attempt still has to ask.

    ``subject_commitment``: the subject's, as the consent has it, or its pseudonym where there is no consent.
    ``acts``: what the consent allows, empty without one.
    ``outcomes``: the last status of each platform and item of earlier attempts (``platform/item/STATUS``).
    """

    permit: Permit
    scope: Scope
    attempt: int
    consent_revision: int
    subject_commitment: str
    acts: frozenset[Act] = frozenset()
    outcomes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """An ask with what was computed from it once: its id for good, its subject's pseudonym.

    ``is_of_anybody``: whose the consent is, is not known yet; its own subject is taken to be the one asked about.
    """

    ask: Ask
    request_id: UUID
    pseudonym: str
    is_of_anybody: bool = False

    @property
    def key(self) -> tuple[UUID, str]:
        return self.request_id, self.ask.institution


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A granted question and the intent that is to be written for it."""

    question: _Question
    intent: store.NewIntent
    admitted: Admitted


@dataclass(frozen=True, slots=True, kw_only=True)
class _Granted:
    """What a granted question comes to; ``row`` is its consent after this use, None without a consent."""

    question: _Question
    repeat: Repeat
    scope: Scope
    targets: Mapping[str, frozenset[str]]
    row: ConsentFacts | None
    parsed: ParsedArtefact | None
    use: int | None
    trace: str
    policy_version: int
    now: datetime
    expires_at: datetime

    @property
    def key(self) -> IntentKey:
        return IntentKey(
            request_id=self.question.request_id,
            institution=self.question.ask.institution,
            attempt=self.repeat.number,
        )


@dataclass(slots=True)
class _Round:
    """One round of decisions: facts as read, and as they are after the uses granted so far."""

    facts: store.Facts
    snapshot: Snapshot
    spent: dict[UUID, ConsentFacts]
    taken: set[tuple[UUID, str]] = field(default_factory=set)


class Admissions:
    """Admits questions; one per worker. :meth:`run` belongs to the worker's task group."""

    def __init__(
        self,
        db: Database,
        *,
        rules: Rulebook,
        artefacts: Artefacts,
        registry: RegistrySource,
        platforms: Mapping[str, PlatformRegistration],
        operator: OperatorLicence,
        pseudonyms: Pseudonyms,
        entries: Entries,
        denials: Denials,
        time: DatabaseTime,
        clock: Clock,
        gathering: Gathering = AS_SERVED,
        witness_budgets: WitnessBudgets | None = None,
        clock_watch: ClockWatch | None = None,
        stale_s: float = OLDEST_PENDING_S,
    ) -> None:
        self._db = db
        self._rules = rules
        self._witness_budgets = witness_budgets
        self._clock_watch = clock_watch
        self._stale_s = stale_s
        self._artefacts = artefacts
        self._registry = registry
        self._platforms = dict(platforms)
        self._operator_licences = _licence_facts(operator.licences)
        self._pseudonyms = pseudonyms
        self._entries = entries
        self._denials = denials
        self._time = time
        self._clock = clock
        self._batcher: Batcher[_Question, Admitted | Refusal] = Batcher(self._decide, gathering)

    async def run(self) -> None:
        """Decide what gathers until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._batcher.run())
            group.create_task(self._denials.run())

    async def admit(self, ask: Ask) -> Admitted:
        """Admit a question, or raise why not; a refusal is in the ledger by then.

        Raises:
            BashuError: the refusal, or what kept it from being decided or recorded.
        """
        pseudonym = self._pseudonyms.subject(ask.subject)
        question = _Question(ask=ask, request_id=ask.request_id or uuid7(), pseudonym=pseudonym)
        outcome = check_form(ask, self._rules) or await self._batcher.submit(question)
        if isinstance(outcome, Admitted):
            return outcome
        refused = outcome.error()
        await self.refuse(ask, refused, pseudonym=pseudonym)
        raise refused

    async def foresee(self, asks: Sequence[Ask]) -> list[BashuError | None]:
        """Tell of each question why it would be refused whoever its consent's subject is, None where it would not be.

        Nothing is written. Holds on a subject are not among it, since they are found by an identifier.
        """
        round_ = await self._read(
            questions := [
                _Question(ask=ask, request_id=ask.request_id or uuid7(), pseudonym="", is_of_anybody=True)
                for ask in asks
            ]
        )
        outcomes = [check_form(one.ask, self._rules) or self._judge(one, round_) for one in questions]
        return [outcome.error() if isinstance(outcome, Refusal) else None for outcome in outcomes]

    async def refuse(self, ask: Ask, refused: BashuError, *, pseudonym: str | None = None) -> None:
        """Record the refusal of a question; ``pseudonym`` its subject's, where that is known."""
        # A purpose that nobody knows is the caller's own words, which no leaf may hold.
        purpose = ask.purpose if self._rules.purposes.get(ask.purpose) else ""
        await self._denials.record(_attempted(ask, pseudonym, purpose), refused)

    async def deny(self, caller: WhoAsks, request_digest: bytes | None, error: BashuError) -> None:
        """Record a refusal found before a question could be made of the message."""
        attempted = Attempted(institution=caller.institution, operator=caller.operator, request_digest=request_digest)
        await self._denials.record(attempted, error)

    async def _decide(self, questions: list[_Question]) -> Sequence[Admitted | Refusal | BashuError]:
        answers: dict[int, Admitted | Refusal | BashuError] = {}
        left = dict(enumerate(questions))
        for _ in range(MOST_ROUNDS):
            await self._round(left, answers)
            left = {number: question for number, question in left.items() if number not in answers}
            if not left:
                break
        for number in left:
            answers[number] = _contended()
        return [answers[number] for number in range(len(questions))]

    async def _round(self, left: Mapping[int, _Question], answers: dict[int, Admitted | Refusal | BashuError]) -> None:
        """Read, decide one after the other, write; whoever is then in no answer is decided again."""
        round_ = await self._read(list(left.values()))
        plans: dict[int, _Plan] = {}
        for number, question in left.items():
            outcome = self._judge(question, round_)
            if isinstance(outcome, Refusal):
                answers[number] = outcome
            else:
                plans[number] = outcome
        if not plans:
            return
        try:
            done = await store.admit(
                self._db, [plan.intent for plan in plans.values()], round_.facts.consents, round_.spent
            )
        except (LockLost, UniqueConflict) as met:
            # One of them met a lock or a request id of another worker's: each alone, once.
            if len(plans) > 1:
                for number, plan in plans.items():
                    await self._round({number: plan.question}, answers)
            elif isinstance(met, LockLost):
                answers.update(dict.fromkeys(plans, _contended()))
            return
        answers.update((number, plan.admitted) for number, plan in plans.items() if plan.intent.entry.entry_id in done)

    async def _read(self, questions: Sequence[_Question]) -> _Round:
        asks = [question.ask for question in questions]
        snapshot = await self._registry.snapshot()
        facts = await store.read(
            self._db,
            consent_ids=sorted({ask.consent_id for ask in asks if ask.consent_id is not None}),
            request_ids=sorted({question.request_id for question in questions}),
            institutions=sorted({ask.institution for ask in asks}),
            pseudonyms=sorted({question.pseudonym for question in questions}),
            loan_references=sorted({ask.loan_reference for ask in asks if ask.loan_reference}),
            purposes=sorted({ask.purpose for ask in asks}),
        )
        self._time.observe(facts.now)
        if self._clock_watch is not None:
            await self._clock_watch.heed(facts.now)
        # Only of consents that a caller may know of: another's must not cost a read more than none.
        mine = {(ask.consent_id, ask.institution) for ask in asks}
        known = [row for row in facts.consents.values() if (row.consent_id, row.institution) in mine]
        await self._artefacts.load(self._db, known)
        return _Round(facts=facts, snapshot=snapshot, spent=dict(facts.consents))

    def _judge(self, question: _Question, round_: _Round) -> _Plan | Refusal:
        ask, now = question.ask, round_.facts.now
        if self._clock_watch is not None and not self._clock_watch.is_sound:
            # Before any check: by a clock that jumped a good consent is expired, or not begun.
            return Refusal(
                reason=Reason.EVIDENCE_STALE,
                message="the database's clock jumped: nothing is dated until it is sound again",
                rule="15-evidence",
                turn=Turn.OPERATOR,
                retry_after_s=OLDEST_PENDING_S,
                metadata={"clock": "JUMPED"},
            )
        if question.key in round_.taken:
            return Refusal(
                reason=Reason.IN_PROGRESS,
                message="this request is under way",
                rule="3-request-id",
                field="request_id",
                retry_after_s=_RETRY_AFTER_S,
            )
        repeat = resolve(ask, round_.facts.attempts.get(question.key), now)
        if isinstance(repeat, Refusal):
            return repeat
        row = round_.spent.get(ask.consent_id) if ask.consent_id is not None else None
        is_mine = row is not None and row.institution == ask.institution
        parsed = self._artefacts.get(row.artefact_hash) if row is not None and is_mine else None
        decision = decide(self._case(question, round_, row=row, parsed=parsed, is_free=repeat.is_free))
        if decision.refusal is not None:
            return decision.refusal
        assert decision.scope is not None
        trace = " ".join(decision.trace)
        plan = self._grant(question, round_, repeat, scope=decision.scope, parsed=parsed, trace=trace)
        round_.taken.add(question.key)
        return plan

    def _case(
        self,
        question: _Question,
        round_: _Round,
        *,
        row: ConsentFacts | None,
        parsed: ParsedArtefact | None,
        is_free: bool,
    ) -> Case:
        ask, facts = question.ask, round_.facts
        key = None if row is None else round_.snapshot.keys.get(row.authority_kid)
        return Case(
            ask=ask,
            now=facts.now,
            rules=self._rules,
            consent=row,
            artefact=None if parsed is None else parsed.artefact,
            is_key_compromised=key is not None and key.compromised_at is not None,
            commitment=None if row is None else self._commitment(question, row),
            pseudonym=question.pseudonym,
            platforms=self._platform_facts(round_.snapshot),
            access=_access(round_.snapshot, self._platforms, ask.institution, facts.now),
            operator_licences=self._operator_licences,
            loan=facts.loans.get((ask.institution, ask.loan_reference)),
            holds=frozenset(HoldKind(kind) for kind in facts.holds.get(question.pseudonym, ())),
            is_free=is_free,
            policy=facts.policy,
            oldest_pending_s=facts.freshness.oldest_pending_s,
            heartbeat_s=facts.freshness.heartbeat_s,
            stale_s=self._stale_s,
            witnessed_s=facts.freshness.witnessed_s,
            witness_budgets=self._witness_budgets,
        )

    def _grant(
        self,
        question: _Question,
        round_: _Round,
        repeat: Repeat,
        *,
        scope: Scope,
        parsed: ParsedArtefact | None,
        trace: str,
    ) -> _Plan:
        ask, now = question.ask, round_.facts.now
        row = round_.spent[parsed.artefact.consent_id] if parsed else None
        use = None
        if parsed and row and not repeat.is_free:
            row = round_.spent[row.consent_id] = budget.spend(parsed.artefact.usage, row, now)
            use = row.last_use
        granted = _Granted(
            question=question,
            repeat=repeat,
            scope=scope,
            targets=outstanding(repeat, scope.targets),
            row=row,
            parsed=parsed,
            use=use,
            trace=trace,
            policy_version=round_.facts.policy.version,
            now=now,
            expires_at=now + timedelta(seconds=min(max(ask.deadline_s, 0.0), MOST_DEADLINE_S)) + GRACE,
        )
        entry = self._entries.intent(
            ask,
            key=granted.key,
            entry_id=uuid7(),
            pseudonym=question.pseudonym,
            facts=row,
            use=use,
            scope=scope,
            policy_version=granted.policy_version,
            first=repeat.previous.first_entry_id if repeat.previous else None,
            ts=now,
            expires_at=granted.expires_at,
        )
        operator = self._pseudonyms.operator(ask.institution, ask.operator) or ""
        return _Plan(
            question=question,
            intent=_new_intent(granted, entry, operator_commitment=operator),
            admitted=_admitted(granted, entry),
        )

    def _commitment(self, question: _Question, row: ConsentFacts) -> str | None:
        if question.is_of_anybody:
            return row.commitment
        return self._pseudonyms.commitment(question.ask.subject, row.commitment_kid)

    def _platform_facts(self, snapshot: Snapshot) -> dict[str, PlatformFact]:
        facts = {}
        for platform_id, served in self._platforms.items():
            known = snapshot.platforms.get(platform_id)
            facts[platform_id] = PlatformFact(
                region=known.region if known else served.region,
                licences=_licence_facts(known.licences if known else served.licences),
                items=served.items,
            )
        return facts


def _new_intent(granted: _Granted, entry: Entry, *, operator_commitment: str) -> store.NewIntent:
    ask, row, previous = granted.question.ask, granted.row, granted.repeat.previous
    pairs = sorted(f"{name}/{item}" for name, items in granted.targets.items() for item in items)
    return store.NewIntent(
        key=granted.key,
        consent_id=row.consent_id if row else None,
        consent_revision=row.revision if row else 0,
        artefact_hash=row.artefact_hash if row else None,
        pseudonym=granted.question.pseudonym,
        operator_commitment=operator_commitment,
        purpose=ask.purpose,
        loan_reference=ask.loan_reference or None,
        request_digest=ask.request_digest,
        admitted_at=granted.now,
        expires_at=granted.expires_at,
        stands_until=min(row.end, granted.expires_at) if row else granted.expires_at,
        consent_end=row.end if row else None,
        uses=0 if granted.use is None else 1,
        use_ordinal=granted.use,
        window_key=row.window_key if row and granted.use is not None else "",
        first_entry_id=previous.first_entry_id if previous else entry.entry_id,
        first_admitted_at=previous.first_admitted_at if previous else granted.now,
        resends=(previous.resends if previous else 0) + (1 if granted.repeat.is_resend else 0),
        paid=granted.use is not None or granted.repeat.is_free,
        outcomes=" ".join(previous.outcomes) if previous else "",
        targets=" ".join(pairs),
        trace=granted.trace,
        policy_version=granted.policy_version,
        entry=entry,
    )


def _admitted(granted: _Granted, entry: Entry) -> Admitted:
    ask, row, previous = granted.question.ask, granted.row, granted.repeat.previous
    permit = Permit(
        request_id=granted.key.request_id,
        institution=ask.institution,
        attempt=granted.key.attempt,
        subject=ask.subject,
        purpose=ask.purpose,
        targets=granted.targets,
        look_from=granted.scope.look_from,
        look_to=granted.scope.look_to,
        expires_at=granted.expires_at,
        intent_leaf_hash=entry.leaf_hash,
        consent_id=row.consent_id if row else None,
        consent_revision=row.revision if row else 0,
        consent_expires_at=row.end if row else None,
        artefact=granted.parsed.raw if granted.parsed else None,
        keeps_counterparties=bool(ask.related_consent_ids),
    )
    return Admitted(
        permit=permit,
        scope=granted.scope,
        attempt=permit.attempt,
        consent_revision=permit.consent_revision,
        subject_commitment=row.commitment if row else granted.question.pseudonym,
        acts=granted.parsed.artefact.acts if granted.parsed else frozenset(),
        outcomes=previous.outcomes if previous else (),
    )


def _access(snapshot: Snapshot, platforms: Iterable[str], institution: str, now: datetime) -> dict[str, AccessFact]:
    today = now.astimezone(SHANGHAI).date()
    rows = {name: snapshot.access.get((name, institution)) for name in platforms}
    return {
        name: AccessFact(items=row.data_items, purposes=row.purposes)
        for name, row in rows.items()
        if row is not None and row.is_valid_on(today)
    }


def _licence_facts(licences: Sequence[Licence]) -> tuple[LicenceFact, ...]:
    return tuple(
        LicenceFact(kind=licence.kind, valid_from=licence.valid_from, valid_to=licence.valid_to) for licence in licences
    )


def _attempted(ask: Ask, pseudonym: str | None, purpose: str) -> Attempted:
    return Attempted(
        institution=ask.institution,
        operator=ask.operator,
        request_id=ask.request_id,
        consent_id=ask.consent_id,
        purpose=purpose,
        request_digest=ask.request_digest,
        pseudonym=pseudonym,
    )


def _contended() -> BashuError:
    return BashuError(
        Reason.OVERLOADED,
        "the consent changed while the question was decided, again and again",
        turn=Turn.CALLER,
        retry_after_s=_RETRY_AFTER_S,
    )
