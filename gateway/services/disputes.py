"""How disputes look in the contract, and who may read which."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from adapters.kit.protocol import PlatformInfo
from bashu.v1 import compliance_pb2, subject_pb2
from core.commitments import same_commitment
from core.errors import BashuError, Reason
from core.permit import Subject
from gateway.disputes.letter import render_letter
from gateway.disputes.model import Channel, Dispute, Opener, State
from gateway.disputes.service import Disputes, Opening, Step, no_such_dispute
from gateway.disputes.store import CorrectionRow
from gateway.identity.model import Caller, Role
from gateway.pseudonyms import Pseudonyms
from gateway.reviews import Reviews, by_caller
from gateway.services.paging import after_id, page_size, read_id

OPENERS = {
    Role.SUBJECT_AGENT: Opener.SUBJECT,
    Role.LENDER: Opener.LENDER,
    Role.COMPLIANCE: Opener.COMPLIANCE,
}


def dispute_message(dispute: Dispute, now: datetime) -> subject_pb2.Dispute:
    """Return the message without what people wrote."""
    message = subject_pb2.Dispute(
        dispute_id=str(dispute.dispute_id),
        record_id=dispute.record_id,
        platform_id=dispute.platform_id,
        data_item=dispute.data_item,
        state=subject_pb2.DisputeState.Value(f"DISPUTE_STATE_{dispute.state.value}"),
        outcome=dispute.outcome or "",
        opened_by=dispute.opened_by.value,
        entry_id=str(dispute.entry_id),
        platform_reference=dispute.platform_reference or "",
        channel=dispute.channel.value,
        task=dispute.task(now).value,
        seen_in_release=dispute.seen_in_release,
        overdue=dispute.is_overdue(now),
    )
    message.received_at.FromDatetime(dispute.received_at)
    message.due_at.FromDatetime(dispute.due_at)
    return message


async def whole_message(disputes: Disputes, dispute: Dispute) -> subject_pb2.Dispute:
    """Return the message with what opener, platform and officer wrote, as far as it was not erased."""
    message = dispute_message(dispute, await disputes.now())
    message.text = await disputes.opener_text(dispute.entry_id)
    message.explanation = await disputes.text_of(dispute.explanation_entry_id)
    message.answer = await disputes.text_of(dispute.answer_entry_id)
    return message


def correction_message(row: CorrectionRow) -> subject_pb2.Correction:
    """Return the message of one correction."""
    message = subject_pb2.Correction(
        correction_id=str(row.correction_id),
        record_id=row.record_id,
        platform_id=row.platform_id,
        data_item=row.data_item,
        outcome=row.outcome,
        request_ids=[str(request) for request in row.request_ids],
    )
    message.corrected_at.FromDatetime(row.checked_at)
    return message


class DisputeCalls:
    """The calls about disputes and statements, for both services."""

    def __init__(
        self,
        disputes: Disputes,
        *,
        reviews: Reviews,
        pseudonyms: Pseudonyms,
        platforms: Mapping[str, PlatformInfo],
        operator: str,
    ) -> None:
        self._disputes = disputes
        self._reviews = reviews
        self._pseudonyms = pseudonyms
        self._platforms = platforms
        self._operator = operator

    async def open(
        self, request: subject_pb2.OpenDisputeRequest, subject: Subject, caller: Caller
    ) -> subject_pb2.OpenDisputeResponse:
        """Open a dispute about ``subject``; that an agent speaks for it, the caller has checked."""
        opening = Opening(
            record_id=request.record_id,
            platform_id=request.platform_id,
            data_item=request.data_item,
            locator=request.record_locator,
            text=request.text,
        )
        dispute = await self._disputes.open(subject, opening, opener=OPENERS[caller.role], by=by_caller(caller))
        return subject_pb2.OpenDisputeResponse(dispute=dispute_message(dispute, await self._disputes.now()))

    async def get(self, request: subject_pb2.GetDisputeRequest, caller: Caller) -> subject_pb2.GetDisputeResponse:
        """Show a dispute to its subject, the institution that opened it, or compliance, whose view is recorded."""
        dispute = await self._disputes.find(read_id(request.dispute_id, "dispute_id"))
        is_subject = caller.role is Role.SUBJECT_AGENT and await self._speaks_for(caller, dispute)
        refuse_strangers(caller, dispute, is_subject=is_subject)
        await self._reviews.record(caller, "GetDispute", count=1, request=dispute.dispute_id)
        answer = subject_pb2.GetDisputeResponse(dispute=await whole_message(self._disputes, dispute))
        if caller.role is Role.COMPLIANCE and dispute.channel is Channel.LETTER:
            answer.letter = await self._letter(dispute)
        return answer

    async def add_statement(
        self, request: subject_pb2.AddStatementRequest, subject: Subject, caller: Caller
    ) -> subject_pb2.AddStatementResponse:
        """Add a statement of the caller's own subject."""
        statement_id = await self._disputes.add_statement(
            subject, record_id=request.record_id, text=request.text, by=by_caller(caller)
        )
        return subject_pb2.AddStatementResponse(statement_id=str(statement_id))

    async def corrections(
        self, request: subject_pb2.ListCorrectionsRequest, caller: Caller
    ) -> subject_pb2.ListCorrectionsResponse:
        """List the corrections that concern the caller's institution, the oldest first."""
        size = page_size(request.page)
        found = await self._disputes.corrections(caller.institution, after=after_id(request.page), limit=size + 1)
        answer = subject_pb2.ListCorrectionsResponse(corrections=[correction_message(row) for row in found[:size]])
        answer.page.next_page_token = str(found[size - 1].correction_id) if len(found) > size else ""
        return answer

    async def page(
        self, request: compliance_pb2.ListDisputesRequest, caller: Caller
    ) -> compliance_pb2.ListDisputesResponse:
        """List disputes without anybody's words, the oldest first; the view is recorded."""
        size, states = page_size(request.page), [state_of(value) for value in request.states]
        found = await self._disputes.page(after=after_id(request.page), limit=size + 1, states=states)
        await self._reviews.record(caller, "ListDisputes", count=len(found[:size]))
        now = await self._disputes.now()
        answer = compliance_pb2.ListDisputesResponse(disputes=[dispute_message(one, now) for one in found[:size]])
        answer.page.next_page_token = str(found[size - 1].dispute_id) if len(found) > size else ""
        return answer

    async def update(
        self, request: compliance_pb2.UpdateDisputeRequest, caller: Caller
    ) -> compliance_pb2.UpdateDisputeResponse:
        """Move a dispute on by one step: sent, checked with its outcome, answered in writing."""
        step = Step(
            to=state_of(request.state), actor="COMPLIANCE", outcome=request.outcome or None, words=request.answer
        )
        dispute = await self._disputes.step(read_id(request.dispute_id, "dispute_id"), step, by=by_caller(caller))
        return compliance_pb2.UpdateDisputeResponse(dispute=await whole_message(self._disputes, dispute))

    async def _speaks_for(self, caller: Caller, dispute: Dispute) -> bool:
        try:
            subject = (await self._disputes.words(dispute)).subject
        except BashuError:
            return False
        mine = caller.subject_commitment
        return mine is not None and any(same_commitment(one, mine) for one in self._pseudonyms.commitments(subject))

    async def _letter(self, dispute: Dispute) -> str:
        platform = self._platforms.get(dispute.platform_id)
        if platform is None:
            return ""
        words = await self._disputes.words(dispute)
        return render_letter(dispute, words, platform=platform, operator=self._operator)


def refuse_strangers(caller: Caller, dispute: Dispute, *, is_subject: bool) -> None:
    """Refuse who is neither the subject, nor the institution that opened it, nor compliance.

    Raises:
        BashuError: NOT_FOUND_OR_NOT_YOURS, the same as for a dispute that is not there.
    """
    is_opener = dispute.opened_by is Opener.LENDER and dispute.institution == caller.institution
    allowed = {Role.SUBJECT_AGENT: is_subject, Role.LENDER: is_opener, Role.COMPLIANCE: True}
    if not allowed.get(caller.role, False):
        raise no_such_dispute()


def state_of(value: subject_pb2.DisputeState.ValueType) -> State:
    """Return a state of the contract as the gateway's.

    Raises:
        BashuError: MALFORMED for the unspecified one, and for a number that names no state.
    """
    if value == subject_pb2.DISPUTE_STATE_UNSPECIFIED or value not in subject_pb2.DisputeState.values():
        raise BashuError(Reason.MALFORMED, "name one of the contract's states", field="state")
    return State(subject_pb2.DisputeState.Name(value).removeprefix("DISPUTE_STATE_"))
