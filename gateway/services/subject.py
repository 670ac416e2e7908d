"""SubjectService: what a subject's agent does for the one subject that its token speaks for."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace

from bashu.v1 import common_pb2, subject_pb2, subject_pb2_grpc
from bashu.v1.common_pb2 import Subject as SubjectMessage
from consent import store as consent_store
from core.clock import SHANGHAI, Clock
from core.commitments import same_commitment
from core.errors import BashuError, Reason
from core.permit import Subject
from database import Database
from gateway.accesses import AccessLists, days
from gateway.identity.model import Caller, Role, current_caller, current_deadline
from gateway.interceptors import Context
from gateway.officers import Holds
from gateway.pseudonyms import Pseudonyms
from gateway.question import read_subject
from gateway.reviews import by_caller
from gateway.rights.erasures import Erasures
from gateway.rights.mine import Mine
from gateway.rights.own_report import OwnReports, refuse_unfit_mandate
from gateway.services.accesses import access_message
from gateway.services.credit import receipt_message
from gateway.services.disputes import DisputeCalls
from gateway.services.erasures import erasure_message
from gateway.services.paging import page_size
from gateway.validation import validate
from ledger.access.model import AccessFilter
from standards.catalogue import Standard


class SubjectServicer(subject_pb2_grpc.SubjectServiceServicer):
    """What a subject may do about its file; disputes also for lenders and compliance."""

    def __init__(
        self,
        *,
        db: Database,
        lists: AccessLists,
        own_reports: OwnReports,
        mine: Mine,
        holds: Holds,
        erasures: Erasures,
        disputes: DisputeCalls,
        pseudonyms: Pseudonyms,
        standard: Standard,
        clock: Clock,
    ) -> None:
        self._db = db
        self._lists = lists
        self._own_reports = own_reports
        self._mine = mine
        self._holds = holds
        self._erasures = erasures
        self._disputes = disputes
        self._pseudonyms = pseudonyms
        self._standard = standard
        self._clock = clock

    async def ListAccesses(  # noqa: N802 - the contract's name
        self, request: subject_pb2.ListAccessesRequest, _context: Context
    ) -> subject_pb2.ListAccessesResponse:
        """List who asked, when, what for, with what outcome; staff masked, the newest first."""
        validate(request)
        caller = current_caller()
        wanted = AccessFilter(**days(request.from_day, request.to_day))
        if request.HasField("subject"):
            wanted = replace(wanted, pseudonym=self._pseudonyms.subject(self._own(caller, request.subject)))
        else:
            ids = await consent_store.ids_of_subject(self._db, [caller.subject_commitment or ""])
            wanted = replace(wanted, consent_ids=tuple(ids))
        page = await self._lists.page(wanted, token=request.page.page_token, size=page_size(request.page))
        return subject_pb2.ListAccessesResponse(
            accesses=[access_message(shown) for shown in page.accesses],
            page=common_pb2.PageResponse(next_page_token=page.next_token),
            under_consents_only=not request.HasField("subject"),
        )

    async def ExportMine(  # noqa: N802
        self, request: subject_pb2.ExportMineRequest, _context: Context
    ) -> AsyncIterator[subject_pb2.ExportMineResponse]:
        """Stream everything the gateway keeps about the subject; the EXPORT entry is durable before the first line."""
        validate(request)
        caller = current_caller()
        subject = self._own(caller, request.subject)
        async for line in self._mine.lines(subject, by=by_caller(caller)):
            yield subject_pb2.ExportMineResponse(line=line)

    async def RequestOwnReport(  # type: ignore[override]  # noqa: N802 - the twin has the same bytes
        self, request: subject_pb2.RequestOwnReportRequest, _context: Context
    ) -> subject_pb2.RequestOwnReportResponseBytes:
        """Answer the subject's own query, by the way of every report: admission, release gate, receipt."""
        validate(request)
        caller = current_caller()
        try:
            subject = self._own(caller, request.subject)
            refuse_unfit_mandate(subject, caller)
        except BashuError as refused:
            await self._own_reports.deny(caller, request, refused)
            raise
        own = await self._own_reports.ask(request, subject=subject, caller=caller, deadline=current_deadline())
        if late := own.answer.too_late():
            raise late
        return subject_pb2.RequestOwnReportResponseBytes(
            request_id=str(own.answer.permit.request_id),
            report=own.answer.report,
            receipt=receipt_message(own.answer.receipt),
            free_of_charge=own.is_free,
        )

    async def AddStatement(  # noqa: N802
        self, request: subject_pb2.AddStatementRequest, _context: Context
    ) -> subject_pb2.AddStatementResponse:
        """Add a statement of the subject; every report that shows the record carries it from now on."""
        validate(request)
        caller = current_caller()
        return await self._disputes.add_statement(request, self._own(caller, request.subject), caller)

    async def OpenDispute(  # noqa: N802
        self, request: subject_pb2.OpenDisputeRequest, _context: Context
    ) -> subject_pb2.OpenDisputeResponse:
        """Open a dispute on one record at one platform; every report that shows the record says so from now on."""
        validate(request)
        caller = current_caller()
        is_agent = caller.role is Role.SUBJECT_AGENT
        subject = self._own(caller, request.subject) if is_agent else self._read(request.subject)
        return await self._disputes.open(request, subject, caller)

    async def GetDispute(  # noqa: N802
        self, request: subject_pb2.GetDisputeRequest, _context: Context
    ) -> subject_pb2.GetDisputeResponse:
        """Show one dispute, whole."""
        validate(request)
        return await self._disputes.get(request, current_caller())

    async def ListCorrections(  # noqa: N802
        self, request: subject_pb2.ListCorrectionsRequest, _context: Context
    ) -> subject_pb2.ListCorrectionsResponse:
        """List what was corrected of what the caller's institution got."""
        validate(request)
        return await self._disputes.corrections(request, current_caller())

    async def FreezeFile(  # noqa: N802 - the contract's name
        self, request: subject_pb2.FreezeFileRequest, _context: Context
    ) -> subject_pb2.FreezeFileResponse:
        """Stop every query about the subject, whatever its consents say; a second freeze changes nothing."""
        validate(request)
        caller = current_caller()
        subject = self._own(caller, request.subject)
        placed = await self._holds.freeze(subject, reason=request.reason, by=by_caller(caller))
        answer = subject_pb2.FreezeFileResponse(withheld_queries=placed.withheld)
        answer.frozen_at.FromDatetime(placed.at)
        return answer

    async def ThawFile(  # noqa: N802
        self, request: subject_pb2.ThawFileRequest, _context: Context
    ) -> subject_pb2.ThawFileResponse:
        """End the freeze; consents that still stand may be used again."""
        validate(request)
        caller = current_caller()
        subject = self._own(caller, request.subject)
        answer = subject_pb2.ThawFileResponse()
        answer.thawed_at.FromDatetime(await self._holds.thaw(subject, by=by_caller(caller)))
        return answer

    async def RequestErasure(  # noqa: N802
        self, request: subject_pb2.RequestErasureRequest, _context: Context
    ) -> subject_pb2.RequestErasureResponse:
        """Restrict what is sealed about the subject, and erase it where no retention period runs."""
        validate(request)
        caller = current_caller()
        subject = self._own(caller, request.subject)
        row = await self._erasures.request(subject, reason=request.reason, by=by_caller(caller))
        return subject_pb2.RequestErasureResponse(erasure=await erasure_message(self._erasures, row))

    async def GetErasure(  # noqa: N802
        self, request: subject_pb2.GetErasureRequest, _context: Context
    ) -> subject_pb2.GetErasureResponse:
        """Say where the latest erasure stands, and when the last backup that may hold its key lapses."""
        validate(request)
        subject = self._own(current_caller(), request.subject)
        row = await self._erasures.latest(subject)
        if row is None:
            raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no erasure was asked for")
        return subject_pb2.GetErasureResponse(erasure=await erasure_message(self._erasures, row))

    def _own(self, caller: Caller, message: SubjectMessage) -> Subject:
        """Return the subject named, which must be the one the token speaks for, under any authority's key."""
        subject = self._read(message)
        mine = caller.subject_commitment
        known = self._pseudonyms.commitments(subject)
        if mine is None or not any(same_commitment(commitment, mine) for commitment in known):
            raise BashuError(Reason.SUBJECT_MISMATCH, "the token speaks for another subject (sbj)", field="subject")
        return subject

    def _read(self, message: SubjectMessage) -> Subject:
        return read_subject(message, standard=self._standard, today=self._clock.now().astimezone(SHANGHAI).date())
