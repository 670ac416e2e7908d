"""Related consents of a question: found by who guarantees whom, each admitted, asked and released on its own (XN02).

A consent holds no identifier, so whose it is shows only when a guarantee names its subject: the records answered for
the question come first, and from them outward everybody whose consent was named. Each has its own intent in the ledger,
its own use, its own release. A consent that is refused covers nothing and fails nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import UUID, uuid5

from adapters.kit.answering import without_counterparties
from bashu.v1.common_pb2 import GatewayOperator
from bashu.v1.report_pb2 import CreditRecord, CreditReport, RelatedConsent
from consent.model import Ask, ConsentFacts, HoldKind
from core.clock import Clock
from core.commitments import same_commitment
from core.errors import BashuError, Reason
from core.permit import Permit, Receipt, Subject, SubjectKind
from database import Database
from gateway import store
from gateway.admission import Admissions, Admitted
from gateway.outcomes import nobody_answered, outcome_lines, unavailable
from gateway.pseudonyms import Pseudonyms
from gateway.question import USCC
from gateway.release import Part, Releases
from standards.answer import ItemAnswer
from standards.catalogue import Standard
from standards.guarantees import GUARANTEE, Judged, judge, network_message, read_seen
from standards.identifiers import IdentifierFailure, parse_uscc
from standards.merge import ReportFrame, merge
from standards.scorecard.stops import hard_stops_of

COVERED: Final = "COVERED"
NOT_REACHED: Final = "NOT_REACHED"
ALREADY_ASKED: Final = "ALREADY_ASKED"
"""Outcomes of a related consent beside the contract's reasons."""
ANYBODY: Final = Subject(kind=SubjectKind.ENTERPRISE, id_type=USCC, identifier="", name="")
"""Stands for the subject of a consent until a guarantee names it."""
HELD: Final = {HoldKind.HOLD: Reason.CONSENT_HELD, HoldKind.FREEZE: Reason.SUBJECT_FROZEN}
REVIEWS: Final = frozenset({"GUARANTOR_REVIEW", "RELATED_PARTY_REVIEW"})
"""Purposes that a related consent may have beside the question's own; under another it is PURPOSE_MISMATCH (R79)."""
MOST_PARTIES: Final = 500
"""Parties looked at in one step outward; those beyond it are counted as not covered."""

AskPlatforms = Callable[[Permit, float], Awaitable[list[ItemAnswer]]]
"""Ask a permit's platforms before a deadline and check the answers, as the pipeline does for the question itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """A related subject whose platforms answered under its own consent; ``report`` never leaves."""

    admitted: Admitted
    answers: tuple[ItemAnswer, ...]
    report: CreditReport
    stops: tuple[str, ...]

    @property
    def permit(self) -> Permit:
        """The permission it was asked under."""
        return self.admitted.permit

    @property
    def code(self) -> str:
        """Its unified social credit code."""
        return self.permit.subject.identifier


@dataclass(frozen=True, slots=True, kw_only=True)
class Relations:
    """What the related consents of one question came to; ``outcomes``: why by consent id, of those not covered."""

    ask: Ask
    own: tuple[ItemAnswer, ...] = ()
    covered: tuple[Covered, ...] = ()
    outcomes: Mapping[UUID, str]

    def shown(self) -> list[ItemAnswer]:
        """Return the question's own answers without the codes and names that no consent covers."""
        codes = self._codes()
        return [_without_others(answer, codes) if answer.item == GUARANTEE else answer for answer in self.own]

    def judge_into(self, report: CreditReport) -> Judged:
        """Judge the guarantees over the covered edges, and say in the question's report what the consents brought."""
        subject, codes = self.ask.subject.identifier, self._codes()
        own = read_seen(report, subject=subject, covered=codes)
        others = {
            one.code: read_seen(one.report, subject=one.code, covered=codes, stops=one.stops) for one in self.covered
        }
        found = judge(subject, {**others, subject: own})
        message = network_message(found, report)
        message.related_consents.extend(self._said(consent_id) for consent_id in self.ask.related_consent_ids)
        report.guarantee_network.CopyFrom(message)
        return found

    def _codes(self) -> frozenset[str]:
        return frozenset({self.ask.subject.identifier, *(one.code for one in self.covered)})

    def _said(self, consent_id: UUID) -> RelatedConsent:
        for one in self.covered:
            if one.permit.consent_id == consent_id:
                return RelatedConsent(
                    consent_id=str(consent_id),
                    outcome=COVERED,
                    unified_social_credit_code=one.code,
                    request_id=str(one.permit.request_id),
                    attempt=one.permit.attempt,
                    hard_stops=one.stops,
                )
        return RelatedConsent(consent_id=str(consent_id), outcome=self.outcomes.get(consent_id, NOT_REACHED))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Inquiry:
    """What all related consents of one question share; ``permit`` is the question's, ``outcomes`` is filled."""

    ask: Ask
    permit: Permit
    platforms: AskPlatforms
    deadline: float
    outcomes: dict[UUID, str]


class Related:
    """Asks under related consents, and releases a report under all the permits that it rests on; one per worker."""

    def __init__(
        self,
        db: Database,
        *,
        admissions: Admissions,
        releases: Releases,
        pseudonyms: Pseudonyms,
        standard: Standard,
        clock: Clock,
    ) -> None:
        self._db = db
        self._admissions = admissions
        self._releases = releases
        self._pseudonyms = pseudonyms
        self._standard = standard
        self._clock = clock

    async def ask(
        self, ask: Ask, admitted: Admitted, own: Sequence[ItemAnswer], *, platforms: AskPlatforms, deadline: float
    ) -> Relations:
        """Follow the guarantees from the question's own answers outward, as far as consents of the lender cover them.

        ``deadline``: on the loop's clock; whoever was not asked by then is not covered.
        """
        inquiry = _Inquiry(ask=ask, permit=admitted.permit, platforms=platforms, deadline=deadline, outcomes={})
        waiting = await self._standing(inquiry)
        covered: dict[str, Covered] = {}
        ahead, met = _parties(own), {ask.subject.identifier}
        while ahead:
            if time.monotonic() >= deadline:
                # All alike, so that this says of nobody whether a guarantee led there.
                inquiry.outcomes.update((one.consent_id, Reason.OUT_OF_TIME.value) for one in waiting)
                break
            matched = self._matched(ahead.keys() - met, ahead, waiting)
            met |= ahead.keys()
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._one(inquiry, subject, consents)) for subject, consents in matched]
            found = [one for task in tasks if (one := task.result()) is not None]
            covered |= {one.code: one for one in found}
            ahead = {code: name for one in found for code, name in _parties(one.answers).items()}
        return Relations(ask=ask, own=tuple(own), covered=tuple(covered.values()), outcomes=inquiry.outcomes)

    async def release(self, relations: Relations, own: Part, *, report_digest: bytes) -> Receipt | Relations:
        """Release a report under all its permits at once; or return what is left, for a report without what was lost.

        Raises:
            BashuError: the question's own permission ended; then the others' intents are closed too.
        """
        parts = [own, *(Part(permit=one.permit, platforms=outcome_lines(one.answers)) for one in relations.covered)]
        digest = relations.ask.request_digest
        try:
            outcome = await self._releases.release_together(parts, report_digest=report_digest, request_digest=digest)
        except BashuError as refused:
            # The others' subjects see this in their own lists, and are not told that somebody else's consent ended.
            why = Reason.OUT_OF_TIME if refused.reason is Reason.OUT_OF_TIME else Reason.REVISION_CHANGED
            for one in relations.covered:
                await self._fail(one.permit, why, one.answers, digest)
            raise
        if isinstance(outcome, Receipt):
            return outcome
        return await self._left(relations, outcome)

    async def _left(self, relations: Relations, gone: Mapping[UUID, Reason]) -> Relations:
        """Drop whose permission ended, and whoever was reached through them alone: that is told by their data."""
        outcomes = dict(relations.outcomes)
        standing = []
        for one in relations.covered:
            if (why := gone.get(one.permit.request_id)) is None:
                standing.append(one)
            elif one.permit.consent_id is not None:
                outcomes[one.permit.consent_id] = why.value
        left = _reached(relations.own, standing)
        for one in standing:
            if one not in left:
                await self._fail(one.permit, Reason.REVISION_CHANGED, one.answers, relations.ask.request_digest)
        return replace(relations, covered=left, outcomes=outcomes)

    async def _standing(self, inquiry: _Inquiry) -> list[ConsentFacts]:
        """Return the consents named under which it may be asked, whoever their subjects are, in the question's order.

        All others are refused here, before anybody is looked for: whether a refused one's subject guarantees or is
        guaranteed is told only under a consent that stands.
        """
        ask, named = inquiry.ask, inquiry.ask.related_consent_ids
        rows = await store.named(self._db, named, institution=ask.institution)
        mine = {facts.consent_id: (facts, hold) for facts, hold in rows}
        if len(mine) < len(named):
            await self._admissions.deny(ask, ask.request_digest, _refused(Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS))
        ours = [mine[consent_id] for consent_id in named if consent_id in mine]
        asks = [_ask_of(inquiry, ANYBODY, facts) for facts, _ in ours]
        foreseen = await self._admissions.foresee(asks) if asks else []
        inquiry.outcomes.update((one, Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS.value) for one in named if one not in mine)
        standing = []
        for (facts, hold), one, refused in zip(ours, asks, foreseen, strict=True):
            why = refused or (None if hold is None else _refused(HELD[hold]))
            if why is None:
                standing.append(facts)
            else:
                inquiry.outcomes[facts.consent_id] = why.reason.value
                await self._admissions.refuse(one, why)
        return standing

    def _matched(
        self, codes: Collection[str], names: Mapping[str, str], waiting: Sequence[ConsentFacts]
    ) -> list[tuple[Subject, list[ConsentFacts]]]:
        """Return whose consents were named among parties of guarantees: the commitment is of exactly that code."""
        matched = []
        for code in sorted(codes)[:MOST_PARTIES]:
            parsed = parse_uscc(code, divisions=self._standard.divisions)
            if isinstance(parsed, IdentifierFailure):
                continue
            subject = Subject(
                kind=SubjectKind.ENTERPRISE,
                id_type=USCC,
                identifier=parsed.normalised,
                name=names[code],
                home_region=self._standard.divisions.region_of(parsed.division),
            )
            consents = [one for one in waiting if self._is_of(subject, one)]
            if consents:
                matched.append((subject, consents))
        return matched

    def _is_of(self, subject: Subject, facts: ConsentFacts) -> bool:
        if facts.id_type != subject.id_type:
            return False
        commitment = self._pseudonyms.commitment(subject, facts.commitment_kid)
        return commitment is not None and same_commitment(facts.commitment, commitment)

    async def _one(self, inquiry: _Inquiry, subject: Subject, consents: Sequence[ConsentFacts]) -> Covered | None:
        """Ask about one subject under the first of its consents that is admitted."""
        for position, facts in enumerate(consents):
            ask = _ask_of(inquiry, subject, facts)
            try:
                admitted = await self._admissions.admit(ask)
            except BashuError:
                # Foreseen by nobody, so it came meanwhile: why is in the ledger, and here no more than NOT_REACHED.
                continue
            inquiry.outcomes.update((other.consent_id, ALREADY_ASKED) for other in consents[position + 1 :])
            try:
                return await self._asked(inquiry, ask, admitted)
            except BashuError as failure:
                inquiry.outcomes[facts.consent_id] = failure.reason.value
                break
        return None

    async def _asked(self, inquiry: _Inquiry, ask: Ask, admitted: Admitted) -> Covered:
        answers: list[ItemAnswer] = []
        try:
            answers = await inquiry.platforms(admitted.permit, inquiry.deadline)
            if nobody_answered(answers):
                raise unavailable(answers)
        except BashuError as failure:
            await self._fail(admitted.permit, failure, answers, ask.request_digest)
            raise
        frame = ReportFrame(
            report_id="",
            generated_at=self._clock.now(),
            operator=GatewayOperator(),
            subject_key=ask.subject.identifier,
            subject_kind=ask.subject.kind,
            home_region=ask.subject.home_region,
        )
        report = merge(answers, frame=frame, standard=self._standard)
        stops = hard_stops_of(self._standard.card, report, self._standard.status_effects)
        return Covered(admitted=admitted, answers=tuple(answers), report=report, stops=stops)

    async def _fail(
        self, permit: Permit, failure: BashuError | Reason, answers: Sequence[ItemAnswer], request_digest: bytes
    ) -> None:
        lines = outcome_lines(answers)
        await self._releases.fail(permit, failure, request_digest=request_digest, platforms=lines)


def _refused(reason: Reason) -> BashuError:
    return BashuError(reason, f"a related consent: {reason.value}", field="related_consent_ids")


def _ask_of(inquiry: _Inquiry, subject: Subject, facts: ConsentFacts) -> Ask:
    """Return the question about a related subject: its guarantees, and what hard stops rest on, under its own purpose.

    Its id follows from the question's, so that a repeat is one too, there and in the platforms' books; its digest is
    the question's, so that an auditor finds what belongs together.
    """
    return replace(
        inquiry.ask,
        request_id=uuid5(inquiry.permit.request_id, str(facts.consent_id)),
        subject=subject,
        purpose=facts.purpose if facts.purpose in REVIEWS else inquiry.ask.purpose,
        consent_id=facts.consent_id,
        deadline_s=max(inquiry.deadline - time.monotonic(), 0.0),
        items=(GUARANTEE,),
        regions=(),
        lookback=None,
        allow_narrowing=False,
        min_consent_revision=0,
        # A repeat asks it again whole: what was answered before is kept nowhere.
        resend_all=True,
    )


def _parties(answers: Iterable[ItemAnswer]) -> dict[str, str]:
    """Return the other parties of guarantees that still run, by code, with the name told."""
    guarantees = (
        record.financing_guarantee for answer in answers if answer.item == GUARANTEE for record in answer.records
    )
    return {
        one.counterparty_uscc: one.counterparty_name
        for one in guarantees
        if one.counterparty_uscc and not one.HasField("released_on")
    }


def _reached(own: Sequence[ItemAnswer], covered: Sequence[Covered]) -> tuple[Covered, ...]:
    """Return whom guarantees lead to from the question's own answers through others that are reached."""
    by_code = {one.code: one for one in covered}
    left, reached = list(_parties(own)), dict[str, Covered]()
    while left:
        code = left.pop()
        if code in by_code and code not in reached:
            reached[code] = by_code[code]
            left.extend(_parties(by_code[code].answers))
    return tuple(one for one in covered if one.code in reached)


def _without_others(answer: ItemAnswer, codes: frozenset[str]) -> ItemAnswer:
    """Return a copy of an answer without the parties that are not among ``codes``; the original is judged again."""
    records = []
    for record in answer.records:
        copy = CreditRecord()
        copy.CopyFrom(record)
        records.append(copy)
    kept, withheld = without_counterparties(records, related=codes)
    note = f"COUNTERPARTY_WITHHELD {withheld}"
    detail = "; ".join(part for part in (answer.detail, note if withheld else "") if part)
    return replace(answer, records=kept, detail=detail)
