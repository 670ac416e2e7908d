"""One query, from question to receipt, on one screen. The order is the product.

    1 normalise   2 admit   3 plan   4 ask   5 check   6 merge, annotate   7 evaluate, if asked   8 release   9 answer

Admission makes the intent durable before a platform is asked; the release is durable before a byte leaves. A call that
dies in between leaves an open intent, which the sweeper closes as ABANDONED: nothing here needs cleaning up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from uuid import uuid4

from adapters.kit.checked import check_answers
from adapters.kit.protocol import Adapter
from bashu.v1.common_pb2 import GatewayOperator
from bashu.v1.credit_pb2 import QueryCreditRequest
from bashu.v1.report_pb2 import CreditReport
from consent.model import Ask
from core.clock import Clock
from core.errors import BashuError, Reason
from core.permit import Permit, Receipt, SubjectKind
from gateway.admission import Admissions, Admitted
from gateway.disputes.annotations import Annotations
from gateway.enquiries import Enquiries
from gateway.fan_out import ask_platforms, release_reserve_s
from gateway.identity.model import Caller
from gateway.limits.service import QueryLimits
from gateway.outcomes import nobody_answered, not_asked, outcome_lines, unavailable
from gateway.platform.disclosures import Disclosures
from gateway.platform.health import PlatformHealth
from gateway.platform.quotas import SharedQuotas
from gateway.platform.standing import Controls
from gateway.question import read_question, request_digest
from gateway.related import Related, Relations
from gateway.release import Part, Releases
from gateway.validation import validate
from standards.answer import ItemAnswer
from standards.catalogue import Standard
from standards.merge import ReportFrame, evaluate_into, merge

SEND_WITHIN_S: Final = 2.0
"""How long after its release an answer may begin to leave (consent-and-ledger: released means committed)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the pipeline works with; made by the composition root."""

    admissions: Admissions
    releases: Releases
    related: Related
    adapters: Mapping[str, Adapter]
    controls: Controls
    disclosures: Disclosures
    standard: Standard
    operator: GatewayOperator
    clock: Clock
    health: PlatformHealth = field(default_factory=lambda: PlatformHealth(time.monotonic))
    annotations: Annotations | None = None
    enquiries: Enquiries | None = None
    quotas: SharedQuotas | None = None
    limits: QueryLimits | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A released report, or the evaluation alone: exactly these bytes were recorded as released.

    ``send_by``: on the loop's clock; whoever has not begun to send by then drops it (:meth:`too_late`).
    """

    admitted: Admitted
    report: bytes
    receipt: Receipt
    send_by: float

    @property
    def permit(self) -> Permit:
        """The permission it was asked under."""
        return self.admitted.permit

    def too_late(self) -> BashuError | None:
        """Return why sending may no longer begin, None while it may.

        A worker that was stopped, or whose client does not read, must not send what may be revoked by now.
        """
        if time.monotonic() <= self.send_by:
            return None
        return BashuError(Reason.OUT_OF_TIME, "released and not sent in time, so dropped; ask again with resend_all")


async def answer_query(
    engine: Engine, request: QueryCreditRequest, *, caller: Caller, deadline: float, evaluation_alone: bool = False
) -> Answer:
    """Answer one question; ``deadline`` is on the loop's (monotonic) clock.

    ``evaluation_alone``: release only the evaluation, which the request must ask for; the report never leaves.

    Raises:
        BashuError: every refusal and failure of the contract; a refusal is in the ledger as QUERY_DENIED by then.
    """
    remaining_s = deadline - time.monotonic()
    try:
        if engine.limits is not None:
            await engine.limits.count(caller)
        validate(request)
        ask = read_question(
            request, caller=caller, standard=engine.standard, clock=engine.clock, deadline_s=remaining_s
        )
    except BashuError as refused:
        await engine.admissions.deny(caller, request_digest(request), refused)
        raise
    admitted = await engine.admissions.admit(ask)
    permit = admitted.permit
    shown = await _answers(engine, permit, is_self=ask.is_self, deadline=deadline)
    if nobody_answered(shown, earlier=admitted.outcomes):
        failure = unavailable(shown)
        await engine.releases.fail(permit, failure, request_digest=ask.request_digest, platforms=outcome_lines(shown))
        raise failure
    counted = [] if engine.enquiries is None else await engine.enquiries.answers(admitted)
    relations = await _relations(engine, ask, admitted, shown, deadline=deadline)
    own = Part(permit=permit, platforms=outcome_lines(shown))
    while True:
        answers = [*(relations.shown() if relations else shown), *counted, *_skipped(engine, admitted)]
        report = await _reported(engine, admitted, answers, relations, is_evaluated=request.include_evaluation)
        content = _content(report, evaluation_alone=evaluation_alone)
        # Taken before the statement: a worker stopped between commit and answer cannot tell when the commit was.
        send_by = time.monotonic() + SEND_WITHIN_S
        released = await _release(engine, own, relations, content, request_digest=ask.request_digest)
        if isinstance(released, Receipt):
            return Answer(admitted=admitted, report=content, receipt=released, send_by=send_by)
        # A related consent ended meanwhile: the report is made again without what rests on it.
        relations = released


async def _answers(engine: Engine, permit: Permit, *, is_self: bool, deadline: float) -> list[ItemAnswer]:
    """Ask a permit's platforms, check what they answered, and keep back what their operators do not let out."""
    standing = await engine.controls.standing(permit, is_self=is_self)
    closed = {**standing.closed, **(await engine.quotas.spent(permit, standing) if engine.quotas else {})}
    answers = await ask_platforms(engine.adapters, permit, closed=closed, deadline=deadline)
    engine.health.note(answers)
    checked = check_answers(permit, answers)
    engine.disclosures.note(checked.findings)
    return engine.controls.exported(standing, checked.answers)


async def _relations(
    engine: Engine, ask: Ask, admitted: Admitted, own: list[ItemAnswer], *, deadline: float
) -> Relations | None:
    """Ask under the related consents named, None without one; what the release needs of the deadline is kept back."""
    if not ask.related_consent_ids:
        return None
    until = deadline - release_reserve_s(ask.deadline_s)
    return await engine.related.ask(
        ask,
        admitted,
        own,
        platforms=lambda permit, deadline: _answers(engine, permit, is_self=False, deadline=deadline),
        deadline=until,
    )


async def _reported(
    engine: Engine,
    admitted: Admitted,
    answers: list[ItemAnswer],
    relations: Relations | None,
    *,
    is_evaluated: bool,
) -> CreditReport:
    report = _merged(engine, admitted, answers)
    if engine.annotations is not None:
        await engine.annotations.annotate(report, admitted.permit.subject)
    network = relations.judge_into(report) if relations else None
    if is_evaluated:
        evaluate_into(report, standard=engine.standard, granted=admitted.scope.items, network=network)
    return report


def _content(report: CreditReport, *, evaluation_alone: bool) -> bytes:
    """Return the exact bytes that are released."""
    if evaluation_alone and report.HasField("guarantee_network"):
        report.evaluation.guarantee_network.CopyFrom(report.guarantee_network)
    return (report.evaluation if evaluation_alone else report).SerializeToString(deterministic=True)


async def _release(
    engine: Engine, own: Part, relations: Relations | None, content: bytes, *, request_digest: bytes
) -> Receipt | Relations:
    report_digest = hashlib.sha256(content).digest()
    if relations and relations.covered:
        return await engine.related.release(relations, own, report_digest=report_digest)
    return await engine.releases.release(
        own.permit, report_digest=report_digest, request_digest=request_digest, platforms=own.platforms
    )


def _skipped(engine: Engine, admitted: Admitted) -> list[ItemAnswer]:
    scope = admitted.scope
    return not_asked(scope.items, platforms=scope.platforms, targets=admitted.permit.targets, adapters=engine.adapters)


def _merged(engine: Engine, admitted: Admitted, answers: list[ItemAnswer]) -> CreditReport:
    subject = admitted.permit.subject
    frame = ReportFrame(
        report_id=str(uuid4()),
        generated_at=engine.clock.now(),
        operator=engine.operator,
        subject_key=subject.identifier if subject.kind is SubjectKind.ENTERPRISE else admitted.subject_commitment,
        subject_kind=subject.kind,
        home_region=subject.home_region,
    )
    return merge(answers, frame=frame, standard=engine.standard)
