"""One query, from question to receipt, on one screen. The order is the product.

    1 normalise   2 admit   3 plan   4 ask   5 check   6 merge, annotate   7 evaluate, if asked   8 release   9 answer

Admission makes the intent durable before a platform is asked; the release is durable before a byte leaves. A call that
dies in between leaves an open intent, which the sweeper closes as ABANDONED: nothing here needs cleaning up.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final
from uuid import uuid4

import structlog

from adapters.kit.checked import FindingKind, check_answers
from adapters.kit.protocol import Adapter
from bashu.v1.common_pb2 import GatewayOperator, PlatformStatus
from bashu.v1.credit_pb2 import QueryCreditRequest
from bashu.v1.report_pb2 import CreditReport
from core.clock import Clock
from core.errors import BashuError, Reason
from core.permit import Permit, Receipt, SubjectKind
from gateway.admission import Admissions, Admitted
from gateway.disputes.annotations import Annotations
from gateway.enquiries import Enquiries
from gateway.identity.model import Caller
from gateway.outcomes import nobody_answered, not_asked, outcome_lines, unanswered, unavailable
from gateway.platform.disclosures import Disclosures
from gateway.platform.health import PlatformHealth
from gateway.platform.quotas import SharedQuotas
from gateway.platform.standing import Closed, Controls
from gateway.question import read_question, request_digest
from gateway.release import Releases
from gateway.validation import validate
from standards.answer import ItemAnswer
from standards.catalogue import Standard
from standards.merge import ReportFrame, evaluate_into, merge

RELEASE_RESERVE_S: Final = 0.5
"""Kept back from the caller's deadline for check, merge and release; a tenth of a short one."""
ADAPTER_FAILED: Final = "ADAPTER_FAILED"
ADAPTER_OVERDUE: Final = "ADAPTER_OVERDUE"
"""Details of items whose adapter raised, or did not keep its deadline."""

SEND_WITHIN_S: Final = 2.0
"""How long after its release an answer may begin to leave (consent-and-ledger: released means committed)."""


_LOG: Final = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What the pipeline works with; made by the composition root."""

    admissions: Admissions
    releases: Releases
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
        validate(request)
        ask = read_question(
            request, caller=caller, standard=engine.standard, clock=engine.clock, deadline_s=remaining_s
        )
    except BashuError as refused:
        await engine.admissions.deny(caller, request_digest(request), refused)
        raise
    admitted = await engine.admissions.admit(ask)
    permit = admitted.permit
    standing = await engine.controls.standing(permit, is_self=ask.is_self)
    closed = {**standing.closed, **(await engine.quotas.spent(permit, standing) if engine.quotas else {})}
    answers = await ask_platforms(engine.adapters, permit, closed=closed, deadline=deadline)
    engine.health.note(answers)
    checked = check_answers(permit, answers)
    engine.disclosures.note(checked.findings)
    shown = engine.controls.exported(standing, checked.answers)
    if nobody_answered(shown, earlier=admitted.outcomes):
        failure = unavailable(shown)
        await engine.releases.fail(permit, failure, request_digest=ask.request_digest, platforms=outcome_lines(shown))
        raise failure
    counted = [] if engine.enquiries is None else await engine.enquiries.answers(admitted)
    report = _merged(engine, admitted, [*shown, *counted, *_skipped(engine, admitted)])
    if engine.annotations is not None:
        await engine.annotations.annotate(report, permit.subject)
    if request.include_evaluation:
        evaluate_into(report, standard=engine.standard, granted=admitted.scope.items)
    content = (report.evaluation if evaluation_alone else report).SerializeToString(deterministic=True)
    # Taken before the statement: a worker stopped between commit and answer cannot tell when the commit was.
    send_by = time.monotonic() + SEND_WITHIN_S
    receipt = await engine.releases.release(
        permit,
        report_digest=hashlib.sha256(content).digest(),
        request_digest=ask.request_digest,
        platforms=outcome_lines(shown),
    )
    return Answer(admitted=admitted, report=content, receipt=receipt, send_by=send_by)


async def ask_platforms(
    adapters: Mapping[str, Adapter], permit: Permit, *, closed: Mapping[str, Closed], deadline: float
) -> list[ItemAnswer]:
    """Ask every platform of the permit at once, inside the deadline; who does not answer is named, not waited for.

    ``closed``: platforms that their operators stopped; nothing is sent there, and the answers say so.
    """
    reserve_s = min(RELEASE_RESERVE_S, (deadline - time.monotonic()) / 10)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(_ask_one(adapters[platform_id], permit, items, deadline - reserve_s, reserve_s / 2))
            for platform_id, items in sorted(permit.targets.items())
            if platform_id not in closed
        ]
    return [
        *(answer for task in tasks for answer in task.result()),
        *(answer for name, why in sorted(closed.items()) for answer in _not_sent(adapters[name], permit, why)),
    ]


def _not_sent(adapter: Adapter, permit: Permit, why: Closed) -> list[ItemAnswer]:
    items = permit.targets[adapter.platform.platform_id]
    return [
        replace(answer, was_sent=False) for answer in unanswered(adapter, items, status=why.status, detail=why.detail)
    ]


async def _ask_one(
    adapter: Adapter, permit: Permit, items: frozenset[str], deadline: float, grace_s: float
) -> list[ItemAnswer]:
    """Ask one platform. Adapters promise to raise nothing and to keep the deadline; no promise is relied on here."""
    answers: list[ItemAnswer] = []
    status, detail = PlatformStatus.PLATFORM_STATUS_UNAVAILABLE, FindingKind.MISSING.value
    try:
        async with asyncio.timeout(deadline + grace_s - time.monotonic()):
            answers = await adapter.ask(permit, items, deadline=deadline)
    except TimeoutError:
        status, detail = PlatformStatus.PLATFORM_STATUS_TIMEOUT, ADAPTER_OVERDUE
    except Exception as error:  # noqa: BLE001 - one platform's program must not fail the query
        # The type alone: an error's text may quote what the platform sent.
        _LOG.error("adapter_failed", platform=adapter.platform.platform_id, error=type(error).__name__)
        detail = ADAPTER_FAILED
    answered = {answer.item for answer in answers}
    return [*answers, *unanswered(adapter, items - answered, status=status, detail=detail)]


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
