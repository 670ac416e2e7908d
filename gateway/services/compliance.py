"""ComplianceService: holds, which take two officers to lift, and why a request was decided as it was."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

from bashu.v1 import common_pb2, compliance_pb2, compliance_pb2_grpc
from consent.model import HoldRecord
from core.clock import SHANGHAI, Clock
from core.errors import BashuError, Reason
from database import Database
from gateway.accesses import days
from gateway.asking.evidence import LATE
from gateway.asking.store import ClockHold
from gateway.decisions import explain
from gateway.desk.desk import Desk
from gateway.desk.preservation import Scope
from gateway.desk.store import Preservation
from gateway.desk.unmask import Unmasking
from gateway.identity.model import Role, current_caller
from gateway.interceptors import Context
from gateway.officers import Holds, hold_key
from gateway.question import read_subject
from gateway.reviews import Reviews, by_caller
from gateway.rights.erasures import Erasures
from gateway.services.accesses import access_message, anomaly_message, institution_filter, sample_message, trace_message
from gateway.services.disputes import DisputeCalls
from gateway.services.erasures import erasure_message
from gateway.services.paging import after_id, page_size, read_id
from gateway.validation import validate
from ledger.access.model import AccessFilter
from ledger.fsck import fsck
from ledger.note import parse_vkey
from ledger.reproject.check import Commitment, check_projections
from standards.catalogue import Standard
from standards.days import beijing_day


class ComplianceServicer(compliance_pb2_grpc.ComplianceServiceServicer):
    """The officers' desk; RPCs not written yet answer UNIMPLEMENTED."""

    def __init__(
        self,
        *,
        db: Database,
        holds: Holds,
        reviews: Reviews,
        erasures: Erasures,
        unmasking: Unmasking,
        desk: Desk,
        disputes: DisputeCalls,
        vkey: str,
        commitment: Commitment,
        standard: Standard,
        clock: Clock,
    ) -> None:
        self._db = db
        self._commitment = commitment
        self._holds = holds
        self._erasures = erasures
        self._unmasking = unmasking
        self._desk = desk
        self._disputes = disputes
        self._vkey = vkey
        self._reviews = reviews
        self._standard = standard
        self._clock = clock

    async def RunFsck(  # noqa: N802 - the contract's name
        self, request: compliance_pb2.RunFsckRequest, _context: Context
    ) -> AsyncIterator[compliance_pb2.RunFsckResponse]:
        """Check the ledger from ``from_index`` on; a line for each finding, and how far it is."""
        validate(request)
        await self._reviews.record(current_caller(), "RunFsck", count=0)
        told: list[int] = []
        findings = fsck(
            self._db,
            key=parse_vkey(self._vkey),
            from_index=request.from_index,
            progress=lambda done, _size: told.append(done),
        )
        projections = check_projections(self._db, commitment=self._commitment)
        for found in (findings, projections):
            async for finding in found:
                yield compliance_pb2.RunFsckResponse(
                    checked=told[-1] if told else request.from_index, severity=finding.severity, finding=finding.line()
                )
        yield compliance_pb2.RunFsckResponse(checked=told[-1] if told else request.from_index)

    async def SearchAccess(  # noqa: N802 - the contract's name
        self, request: compliance_pb2.SearchAccessRequest, _context: Context
    ) -> compliance_pb2.SearchAccessResponse:
        """Search the access list, the newest first."""
        validate(request)
        wanted = AccessFilter(
            institution=institution_filter(request.institution),
            consent_id=read_id(request.consent_id, "consent_id") if request.consent_id else None,
            request_id=read_id(request.request_id, "request_id") if request.request_id else None,
            **days(request.from_day, request.to_day),
        )
        page = await self._desk.reports.search(
            current_caller(),
            wanted,
            operator=request.operator,
            token=request.page.page_token,
            size=page_size(request.page),
        )
        return compliance_pb2.SearchAccessResponse(
            accesses=[access_message(shown) for shown in page.accesses],
            page=common_pb2.PageResponse(next_page_token=page.next_token),
        )

    async def TraceConsent(  # noqa: N802
        self, request: compliance_pb2.TraceConsentRequest, _context: Context
    ) -> compliance_pb2.TraceConsentResponse:
        """Follow one consent from its registration to every access under it."""
        validate(request)
        consent_id = read_id(request.consent_id, "consent_id")
        return trace_message(await self._desk.reports.trace(current_caller(), consent_id))

    async def ReportSubject(  # noqa: N802
        self, request: compliance_pb2.ReportSubjectRequest, _context: Context
    ) -> compliance_pb2.ReportSubjectResponse:
        """Show everything about one subject to the second officer who asks for it."""
        validate(request)
        today = self._clock.now().astimezone(SHANGHAI).date()
        subject = read_subject(request.subject, standard=self._standard, today=today)
        report = await self._desk.reports.subject(current_caller(), subject, reason=request.reason)
        return compliance_pb2.ReportSubjectResponse(
            accesses=[access_message(shown) for shown in report.accesses],
            consent_ids=[str(consent_id) for consent_id in report.consent_ids],
            truncated=report.is_truncated,
        )

    async def PreserveRecords(  # noqa: N802
        self, request: compliance_pb2.PreserveRecordsRequest, _context: Context
    ) -> compliance_pb2.PreserveRecordsResponse:
        """Preserve a subject's records, or those of an institution's queries in a period."""
        validate(request)
        caller, pseudonym = current_caller(), None
        scope = days(request.from_day, request.to_day)
        institution = institution_filter(request.institution) or ""
        if request.HasField("subject"):
            if institution or scope["since"] or scope["before"]:
                raise BashuError(Reason.MALFORMED, "a subject, or an institution and days, not both", field="subject")
            today = self._clock.now().astimezone(SHANGHAI).date()
            pseudonym = self._desk.reports.pseudonym(
                read_subject(request.subject, standard=self._standard, today=today)
            )
        preservation_id = await self._desk.preservations.place(
            Scope(pseudonym=pseudonym, institution=institution, **scope),
            reason=request.reason,
            by=by_caller(caller),
            is_regulator=caller.role is Role.REGULATOR,
        )
        return compliance_pb2.PreserveRecordsResponse(preservation_id=str(preservation_id))

    async def ReleasePreservation(  # noqa: N802
        self, request: compliance_pb2.ReleasePreservationRequest, _context: Context
    ) -> compliance_pb2.ReleasePreservationResponse:
        """End a preservation; officers need two, a regulator releases its own alone."""
        validate(request)
        preservation_id, caller = read_id(request.preservation_id, "preservation_id"), current_caller()
        released = await self._desk.preservations.release(
            preservation_id, by=by_caller(caller), is_regulator=caller.role is Role.REGULATOR
        )
        return compliance_pb2.ReleasePreservationResponse(released=released)

    async def ListPreservations(  # noqa: N802
        self, request: compliance_pb2.ListPreservationsRequest, _context: Context
    ) -> compliance_pb2.ListPreservationsResponse:
        """List the preservations that stand, the oldest first."""
        validate(request)
        size = page_size(request.page)
        found = await self._desk.preservations.standing(after=after_id(request.page), limit=size + 1)
        await self._reviews.record(current_caller(), "ListPreservations", count=len(found[:size]))
        answer = compliance_pb2.ListPreservationsResponse(preservations=[_preservation(row) for row in found[:size]])
        answer.page.next_page_token = str(found[size - 1].preservation_id) if len(found) > size else ""
        return answer

    async def DrawSample(  # noqa: N802
        self, request: compliance_pb2.DrawSampleRequest, _context: Context
    ) -> compliance_pb2.DrawSampleResponse:
        """Draw accesses and letters for review; the same seed and frame give the same sample."""
        validate(request)
        drawn = await self._desk.sampling.draw(
            institution=institution_filter(request.institution) or "",
            period=days(request.from_day, request.to_day),
            size=request.size,
            seed=request.seed,
            by=by_caller(current_caller()),
        )
        return sample_message(drawn)

    async def RecordVerdict(  # noqa: N802
        self, request: compliance_pb2.RecordVerdictRequest, _context: Context
    ) -> compliance_pb2.RecordVerdictResponse:
        """Record what was found about one drawn access or letter."""
        validate(request)
        sample_id, drawn = read_id(request.sample_id, "sample_id"), read_id(request.entry_id, "entry_id")
        entry_id = await self._desk.sampling.decide(
            sample_id,
            drawn,
            verdict=request.verdict,
            note=request.note,
            by=by_caller(current_caller()),
        )
        return compliance_pb2.RecordVerdictResponse(entry_id=str(entry_id))

    async def ListAnomalies(  # noqa: N802
        self, request: compliance_pb2.ListAnomaliesRequest, _context: Context
    ) -> compliance_pb2.ListAnomaliesResponse:
        """List what looks unusual in the last 30 days, the latest first; a hint, never a finding."""
        validate(request)
        size = page_size(request.page)
        found = await self._desk.anomalies.page(below=request.page.page_token, limit=size + 1)
        await self._reviews.record(current_caller(), "ListAnomalies", count=len(found[:size]))
        answer = compliance_pb2.ListAnomaliesResponse(anomalies=[anomaly_message(one) for one in found[:size]])
        answer.page.next_page_token = found[size - 1].key if len(found) > size else ""
        return answer

    async def ListDisputes(  # noqa: N802
        self, request: compliance_pb2.ListDisputesRequest, _context: Context
    ) -> compliance_pb2.ListDisputesResponse:
        """List disputes and what is to be done about each, the oldest first."""
        validate(request)
        return await self._disputes.page(request, current_caller())

    async def UpdateDispute(  # noqa: N802
        self, request: compliance_pb2.UpdateDisputeRequest, _context: Context
    ) -> compliance_pb2.UpdateDisputeResponse:
        """Move a dispute on by one step."""
        validate(request)
        return await self._disputes.update(request, current_caller())

    async def PlaceHold(  # noqa: N802 - the contract's name
        self, request: compliance_pb2.PlaceHoldRequest, _context: Context
    ) -> compliance_pb2.PlaceHoldResponse:
        """Hold one consent, or everything about a subject, at once and by one officer."""
        validate(request)
        by = by_caller(current_caller())
        if bool(request.consent_id) == request.HasField("subject"):
            raise BashuError(Reason.MALFORMED, "name a consent or a subject, not both", field="consent_id")
        if request.consent_id:
            consent_id = read_id(request.consent_id, "consent_id")
            record, withheld = await self._holds.hold_consent(consent_id, reason=request.reason, by=by)
        else:
            today = self._clock.now().astimezone(SHANGHAI).date()
            subject = read_subject(request.subject, standard=self._standard, today=today)
            record, withheld = await self._holds.hold_subject(subject, reason=request.reason, by=by)
        return compliance_pb2.PlaceHoldResponse(hold=hold_message(record), withheld_queries=withheld)

    async def LiftHold(  # noqa: N802
        self, request: compliance_pb2.LiftHoldRequest, _context: Context
    ) -> compliance_pb2.LiftHoldResponse:
        """Propose to lift a hold, or lift it as the second officer within 24 h."""
        validate(request)
        hold_id = read_id(request.hold_id, "hold_id")
        lifted = await self._holds.lift(hold_id, reason=request.reason, by=by_caller(current_caller()))
        return compliance_pb2.LiftHoldResponse(lifted=lifted)

    async def ListHolds(  # noqa: N802
        self, request: compliance_pb2.ListHoldsRequest, _context: Context
    ) -> compliance_pb2.ListHoldsResponse:
        """List the holds and freezes that stand, the oldest first."""
        validate(request)
        size = page_size(request.page)
        found = await self._holds.standing(after=after_id(request.page), limit=size + 1)
        await self._reviews.record(current_caller(), "ListHolds", count=len(found[:size]))
        answer = compliance_pb2.ListHoldsResponse(holds=[hold_message(record) for record in found[:size]])
        answer.page.next_page_token = str(hold_key(found[size - 1])) if len(found) > size else ""
        return answer

    async def ExplainDecision(  # noqa: N802
        self, request: compliance_pb2.ExplainDecisionRequest, _context: Context
    ) -> compliance_pb2.ExplainDecisionResponse:
        """List the admission checks of the latest decision on a request; a lender reads its own requests'."""
        validate(request)
        caller = current_caller()
        request_id = read_id(request.request_id, "request_id")
        institution = request.institution or caller.institution
        if caller.role is Role.LENDER and institution != caller.institution:
            raise BashuError(
                Reason.NOT_FOUND_OR_NOT_YOURS, "no decision on such a request, or not yours", field="request_id"
            )
        explained = await explain(self._db, request_id, institution)
        await self._reviews.record(caller, "ExplainDecision", count=1, request=request_id)
        steps = [
            compliance_pb2.DecisionStep(
                number=step.number, name=step.name, passed=step.has_passed, reason=step.reason, rule=step.rule
            )
            for step in explained.steps
        ]
        version = explained.policy_version
        return compliance_pb2.ExplainDecisionResponse(
            steps=steps, outcome=explained.outcome, policy_version="" if version is None else str(version)
        )

    async def ListErasures(  # noqa: N802
        self, request: compliance_pb2.ListErasuresRequest, _context: Context
    ) -> compliance_pb2.ListErasuresResponse:
        """List the erasures that subjects asked for."""
        validate(request)
        size = page_size(request.page)
        found = await self._erasures.page(after=after_id(request.page), limit=size + 1, with_erased=request.with_erased)
        await self._reviews.record(current_caller(), "ListErasures", count=len(found[:size]))
        shown = [await erasure_message(self._erasures, row) for row in found[:size]]
        answer = compliance_pb2.ListErasuresResponse(erasures=shown)
        answer.page.next_page_token = str(found[size - 1].erasure_id) if len(found) > size else ""
        return answer

    async def DecideErasure(  # noqa: N802
        self, request: compliance_pb2.DecideErasureRequest, _context: Context
    ) -> compliance_pb2.DecideErasureResponse:
        """Propose to erase before the retention period ends, or do so as the second officer within 24 h."""
        validate(request)
        erasure_id = read_id(request.erasure_id, "erasure_id")
        row = await self._erasures.decide(erasure_id, reason=request.reason, by=by_caller(current_caller()))
        return compliance_pb2.DecideErasureResponse(erasure=await erasure_message(self._erasures, row))

    async def Unmask(  # noqa: N802
        self, request: compliance_pb2.UnmaskRequest, _context: Context
    ) -> compliance_pb2.UnmaskResponse:
        """Show one masked value; the entry that says who saw it, and why, is durable before."""
        validate(request)
        entry_id = read_id(request.entry_id, "entry_id")
        value = await self._unmasking.unmask(
            entry_id, request.field, reason=request.reason, by=by_caller(current_caller())
        )
        return compliance_pb2.UnmaskResponse(value=value)


def hold_message(record: HoldRecord | ClockHold) -> compliance_pb2.Hold:
    """Return what is shown of a hold."""
    if isinstance(record, ClockHold):
        held = compliance_pb2.Hold(
            hold_id=str(record.consent_id),
            consent_id=str(record.consent_id),
            subject_display=record.display,
            kind=LATE,
        )
        held.placed_by.at.FromDatetime(record.placed_at)
        return held
    message = compliance_pb2.Hold(
        hold_id=str(record.hold_id),
        consent_id="" if record.consent_id is None else str(record.consent_id),
        subject_display=record.display,
        kind=record.kind.value,
        reason=record.reason,
        placed_by=common_pb2.Actor(participant=record.placed_by, operator=record.placed_operator),
    )
    message.placed_by.at.FromDatetime(record.placed_at)
    if record.proposal is not None:
        message.lift_proposed_by.participant = record.proposal.participant
        message.lift_proposed_by.operator = record.proposal.operator
        message.lift_proposed_by.at.FromDatetime(record.proposal.at)
    return message


def _preservation(row: Preservation) -> compliance_pb2.PreservationRow:
    message = compliance_pb2.PreservationRow(
        preservation_id=str(row.preservation_id),
        of_subject=row.pseudonym is not None,
        institution=row.institution,
        from_day=beijing_day(row.since).isoformat() if row.since else "",
        # The end is half-open: its last day is the one before.
        to_day=(beijing_day(row.before) - timedelta(days=1)).isoformat() if row.before else "",
        by_regulator=row.by_regulator,
        placed_by=row.placed_by,
        entry_id=str(row.entry_id),
    )
    message.placed_at.FromDatetime(row.placed_at)
    return message
