"""PlatformService: what the operator of a platform decides and sees; its own platforms alone."""

from __future__ import annotations

from datetime import date, datetime

from google.protobuf.timestamp_pb2 import Timestamp

from bashu.v1 import platform_pb2, platform_pb2_grpc
from core.errors import BashuError, Reason
from core.ids import is_external_reference
from gateway.entries import By
from gateway.identity.admin import Actor
from gateway.identity.model import (
    Caller,
    ExportPolicy,
    PlatformAccess,
    PlatformState,
    current_caller,
    current_deadline,
)
from gateway.identity.registry import Registry
from gateway.interceptors import Context
from gateway.platform.disclosures import Disclosures
from gateway.platform.quotas import SharedQuotas
from gateway.platform.reconciliation import LISTED, Reconciliation
from gateway.platform.service import PlatformControls
from gateway.services.paging import page_size
from gateway.validation import validate
from standards.catalogue import Standard


class PlatformServicer(platform_pb2_grpc.PlatformServiceServicer):
    """Admits lenders, stops them or everything, and lists who is admitted to what."""

    def __init__(
        self,
        *,
        controls: PlatformControls,
        disclosures: Disclosures,
        reconciliation: Reconciliation,
        quotas: SharedQuotas | None = None,
        registry: Registry,
        standard: Standard,
    ) -> None:
        self._reconciliation = reconciliation
        self._quotas = quotas
        self._controls = controls
        self._disclosures = disclosures
        self._registry = registry
        self._standard = standard

    async def SetPlatformState(  # noqa: N802 - the contract's name
        self, request: platform_pb2.SetPlatformStateRequest, _context: Context
    ) -> platform_pb2.SetPlatformStateResponse:
        """Stop a platform, or one lender at it, or let it go on; every worker knows within a second."""
        validate(request)
        actor = _operator_of(request.platform_id)
        state = _state(request.state)
        if request.lender:
            at = await self._controls.set_lender(
                request.platform_id, request.lender, state, reason=request.reason, actor=actor
            )
        else:
            at = await self._controls.set_state(request.platform_id, state, reason=request.reason, actor=actor)
        await self._registry.refresh(older_than_s=0)
        return platform_pb2.SetPlatformStateResponse(effective_at=_stamp(at))

    async def SetPlatformAccess(  # noqa: N802
        self, request: platform_pb2.SetPlatformAccessRequest, _context: Context
    ) -> platform_pb2.SetPlatformAccessResponse:
        """Admit a lender; ``confirmed`` tells whether a second person asked for exactly the same."""
        validate(request)
        actor = _operator_of(request.platform_id)
        access = await self._controls.set_access(self._access(request), actor=actor)
        await self._registry.refresh(older_than_s=0)
        return platform_pb2.SetPlatformAccessResponse(access=_message(access))

    async def ListPlatformAccess(  # noqa: N802
        self, request: platform_pb2.ListPlatformAccessRequest, _context: Context
    ) -> platform_pb2.ListPlatformAccessResponse:
        """List who is admitted to what, by institution; the page token is the last institution of the page before."""
        validate(request)
        _operator_of(request.platform_id)
        token, size = request.page.page_token, page_size(request.page)
        if token and not is_external_reference(token):
            raise BashuError(Reason.MALFORMED, "a page token that an answer gave", field="page.page_token")
        found = await self._controls.page(request.platform_id, after=token, limit=size + 1)
        response = platform_pb2.ListPlatformAccessResponse(accesses=[_message(access) for access in found[:size]])
        taken = await self._quotas.taken() if self._quotas else {}
        for access in response.accesses:
            access.daily_quota_taken = taken.get((access.platform_id, access.lender), 0)
        if len(found) > size:
            response.page.next_page_token = found[size - 1].institution
        return response

    async def ReconcileDay(  # noqa: N802
        self, request: platform_pb2.ReconcileDayRequest, _context: Context
    ) -> platform_pb2.ReconcileDayResponse:
        """Compare the platform's own book of a day with the ledger, line by line."""
        validate(request)
        actor = _operator_of(request.platform_id)
        day = _day(request.date, field="date")
        assert day is not None
        by = By(participant=actor.participant_id, institution=actor.institution, operator=actor.operator)
        done = await self._reconciliation.of_day(request.platform_id, day, by=by, deadline=current_deadline())
        found = done.compared
        return platform_pb2.ReconcileDayResponse(
            both=found.both,
            only_here=found.only_here[:LISTED],
            only_there=found.only_there[:LISTED],
            different=found.different[:LISTED],
            only_here_count=len(found.only_here),
            only_there_count=len(found.only_there),
            different_count=len(found.different),
            book_digest=done.book_digest,
            signature=done.signature,
            entry_id=str(done.entry_id),
        )

    async def ListDisclosureFindings(  # noqa: N802
        self, request: platform_pb2.ListDisclosureFindingsRequest, _context: Context
    ) -> platform_pb2.ListDisclosureFindingsResponse:
        """List what the platform sent that it should not have, the newest day first."""
        validate(request)
        _operator_of(request.platform_id)
        size = page_size(request.page)
        found = await self._disclosures.page(
            request.platform_id, before=_behind(request.page.page_token), limit=size + 1
        )
        response = platform_pb2.ListDisclosureFindingsResponse(
            findings=[
                platform_pb2.DisclosureFinding(
                    data_item=one.data_item, kind=one.kind, count=one.count, last_seen=_stamp(one.last_seen)
                )
                for one in found[:size]
            ]
        )
        if len(found) > size:
            last = found[size - 1]
            response.page.next_page_token = f"{last.day.isoformat()}/{last.data_item}/{last.kind}"
        return response

    def _access(self, request: platform_pb2.SetPlatformAccessRequest) -> PlatformAccess:
        for item in request.data_items:
            if not self._standard.items.exists(item):
                raise BashuError(
                    Reason.UNKNOWN_DATA_ITEM, "no such data item", field="data_items", metadata={"item": item}
                )
        known = {purpose.purpose_id for purpose in self._standard.purposes.all()}
        if not known.issuperset(request.purposes):
            raise BashuError(Reason.PURPOSE_MISSING, "a purpose of the standard", field="purposes")
        policy = platform_pb2.ExportPolicy.Name(request.export_policy).removeprefix("EXPORT_POLICY_")
        return PlatformAccess(
            platform_id=request.platform_id,
            institution=request.lender,
            data_items=frozenset(request.data_items),
            purposes=frozenset(request.purposes),
            export_policy=ExportPolicy(policy),
            daily_quota=request.daily_quota,
            valid_to=_day(request.valid_to),
            confirmed=False,
        )


def _operator_of(platform_id: str) -> Actor:
    """Return the acting person of a platform's operator; another's platform is as if it were not there."""
    caller: Caller = current_caller()
    if platform_id not in caller.platform_ids:
        raise BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such platform, or not yours", field="platform_id")
    return Actor.of(caller)


def _behind(token: str) -> tuple[date, str, str]:
    """Read a page token: the last finding of the page before."""
    if not token:
        return date.max, "", ""
    try:
        day, item, kind = token.split("/")
        return date.fromisoformat(day), item, kind
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, "a page token that an answer gave", field="page.page_token") from error


def _state(text: str) -> PlatformState:
    try:
        return PlatformState(text)
    except ValueError as error:
        names = ", ".join(state.value for state in PlatformState)
        raise BashuError(Reason.MALFORMED, f"state is one of {names}", field="state") from error


def _stamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp


def _day(text: str, *, field: str = "valid_to") -> date | None:
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, "a day of the calendar, YYYY-MM-DD", field=field) from error


def _message(access: PlatformAccess) -> platform_pb2.PlatformAccess:
    return platform_pb2.PlatformAccess(
        platform_id=access.platform_id,
        lender=access.institution,
        data_items=sorted(access.data_items),
        purposes=sorted(access.purposes),
        export_policy=platform_pb2.ExportPolicy.Value(f"EXPORT_POLICY_{access.export_policy.value}"),
        daily_quota=access.daily_quota,
        valid_to="" if access.valid_to is None else access.valid_to.isoformat(),
        confirmed=access.confirmed,
        stopped=access.stopped_at is not None,
    )
