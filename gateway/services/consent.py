"""ConsentService: register, read and withdraw consents. Each party sees its own; not-found and not-yours are one."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from bashu.v1 import consent_pb2, consent_pb2_grpc
from consent import service
from consent.artefact import Artefact, Assurance
from consent.model import Actor, ConsentEvent, ConsentFacts, ConsentState
from consent.state import state, state_reason
from consent.store import Party
from core.commitments import same_commitment
from core.errors import BashuError, Reason
from gateway.consents import Consents, Shown
from gateway.identity.model import Caller, Role, current_caller
from gateway.interceptors import Context
from gateway.reviews import REVIEWERS, Reviews, by_caller
from gateway.services.asking import AFTER_GRANTING, AFTER_REFUSING, Asking, notice_message
from gateway.services.paging import after_id, page_size
from gateway.validation import validate

CONSEQUENCES: Final = (
    "撤回后，凭此授权不再提供任何信息；此前已放行的查询仍然有效并保留在访问记录中；信息使用机构将获知，可能影响授信办理。"
    " From now on nothing is released under this consent. What was released before stays lawful and stays in the access"
    " log (PIPL Art. 15). The lender is told; an application that depends on it may not go on."
)
_LONG_NUMBER: Final = re.compile(r"\d{4}")
"""The reason stands in the consent's leaf, which no identifier may enter."""
_ACTORS: Final = {
    Role.SUBJECT_AGENT: Actor.SUBJECT,
    Role.CONSENT_AUTHORITY: Actor.AUTHORITY,
    Role.LENDER: Actor.LENDER,
}


class ConsentServicer(consent_pb2_grpc.ConsentServiceServicer):
    """Asking and deciding, registering, reading, pausing and withdrawing, and the paper behind letters."""

    def __init__(self, *, consents: Consents, asking: Asking, reviews: Reviews) -> None:
        self._consents = consents
        self._asking = asking
        self._reviews = reviews

    async def RegisterNotice(  # noqa: N802 - the contract's name
        self, request: consent_pb2.RegisterNoticeRequest, _context: Context
    ) -> consent_pb2.RegisterNoticeResponse:
        """Register the text of a notice or a purpose; the same again answers alike."""
        validate(request)
        caller = current_caller()
        text = await self._asking.texts.register(
            request.text,
            notice_id=request.notice_id,
            version=request.version,
            lang=request.lang,
            by=by_caller(caller),
            actor=_ACTORS[caller.role].value,
        )
        return consent_pb2.RegisterNoticeResponse(sha256=text.sha256, entry_id=str(text.entry_id))

    async def GetNotice(  # noqa: N802
        self, request: consent_pb2.GetNoticeRequest, _context: Context
    ) -> consent_pb2.GetNoticeResponse:
        """Read a registered text by its hash; it names nobody, so a reviewer's look is no view of a record."""
        validate(request)
        return consent_pb2.GetNoticeResponse(notice=notice_message(await self._asking.texts.get(request.sha256)))

    async def RegisterConsent(  # noqa: N802
        self, request: consent_pb2.RegisterConsentRequest, _context: Context
    ) -> consent_pb2.RegisterConsentResponse:
        """Register a signed artefact; the same bytes again answer alike."""
        validate(request)
        caller = current_caller()
        only_for = caller.institution if caller.role is Role.LENDER else None
        registered = await self._consents.register(
            request.artefact, only_for=only_for, is_party=lambda artefact: _signs_or_gives(caller, artefact)
        )
        if registered.parsed.artefact.assurance is Assurance.LENDER_ATTESTED:
            # A lender whose paper is late adds no letter that could be used before the clock looks again.
            await self._asking.evidence.hold_if_late(registered.facts.consent_id)
        shown = await self._consents.show(registered.facts.consent_id, institution=None)
        return consent_pb2.RegisterConsentResponse(consent=_consent(shown), entry_id=str(registered.entry_id))

    async def RequestConsent(  # noqa: N802
        self, request: consent_pb2.RequestConsentRequest, _context: Context
    ) -> consent_pb2.RequestConsentResponse:
        """Ask a borrower for a bundle of consents with one signing."""
        validate(request)
        return await self._asking.request(request, current_caller())

    async def GetConsentBundle(  # noqa: N802
        self, request: consent_pb2.GetConsentBundleRequest, _context: Context
    ) -> consent_pb2.GetConsentBundleResponse:
        """Read what a borrower is asked for."""
        validate(request)
        return await self._asking.show(request, current_caller())

    async def ListConsentBundles(  # noqa: N802
        self, request: consent_pb2.ListConsentBundlesRequest, _context: Context
    ) -> consent_pb2.ListConsentBundlesResponse:
        """List what the caller asked borrowers for."""
        validate(request)
        return await self._asking.bundles_of(request, current_caller())

    async def DecideConsent(  # noqa: N802
        self, request: consent_pb2.DecideConsentRequest, _context: Context
    ) -> consent_pb2.DecideConsentResponse:
        """Record the borrower's decision: every consent of it, or none."""
        validate(request)
        bundle = await self._asking.decide(request, current_caller())
        shown = [await self._consents.show(consent_id, institution=None) for consent_id in bundle.consent_ids]
        return consent_pb2.DecideConsentResponse(
            consents=[_consent(each) for each in shown],
            consequences=AFTER_GRANTING if bundle.granted else AFTER_REFUSING,
        )

    async def GetConsent(  # noqa: N802
        self, request: consent_pb2.GetConsentRequest, _context: Context
    ) -> consent_pb2.GetConsentResponse:
        """Read a consent that the caller is a party of."""
        validate(request)
        caller = current_caller()
        shown = await self._mine(caller, _consent_id(request.consent_id))
        await self._reviews.record(caller, "GetConsent", count=1, consent_id=shown.facts.consent_id)
        answer = consent_pb2.GetConsentResponse(consent=_consent(shown))
        if request.with_history:
            answer.artefact = shown.parsed.raw
            answer.events.extend(_event(event) for event in shown.events)
            answer.notices.extend(map(notice_message, await self._asking.texts.of_artefact(shown.parsed.artefact)))
        return answer

    async def RevokeConsent(  # noqa: N802
        self, request: consent_pb2.RevokeConsentRequest, _context: Context
    ) -> consent_pb2.RevokeConsentResponse:
        """Withdraw a consent; once this answered, nothing is released under it."""
        validate(request)
        if _LONG_NUMBER.search(request.reason):
            raise BashuError(Reason.MALFORMED, "reason is a code, never a number of somebody", field="reason")
        caller = current_caller()
        consent_id = _consent_id(request.consent_id)
        await self._mine(caller, consent_id)
        changed = await self._consents.revoke(
            consent_id,
            reason=request.reason,
            actor=_ACTORS[caller.role],
            expected_revision=request.expected_revision,
        )
        shown = await self._consents.show(consent_id, institution=None)
        return consent_pb2.RevokeConsentResponse(
            consent=_consent(shown),
            withheld_queries=changed.withheld,
            entry_id=str(changed.entry_id),
            consequences=CONSEQUENCES,
        )

    async def PauseConsent(  # noqa: N802
        self, request: consent_pb2.PauseConsentRequest, _context: Context
    ) -> consent_pb2.PauseConsentResponse:
        """Pause a consent for its subject; once this answered, nothing is released under it until it is resumed."""
        validate(request)
        consent_id = _consent_id(request.consent_id)
        await self._mine(current_caller(), consent_id)
        await self._consents.pause(consent_id, expected_revision=request.expected_revision)
        shown = await self._consents.show(consent_id, institution=None)
        return consent_pb2.PauseConsentResponse(consent=_consent(shown))

    async def ResumeConsent(  # noqa: N802
        self, request: consent_pb2.ResumeConsentRequest, _context: Context
    ) -> consent_pb2.ResumeConsentResponse:
        """End a pause."""
        validate(request)
        consent_id = _consent_id(request.consent_id)
        await self._mine(current_caller(), consent_id)
        await self._consents.resume(consent_id, expected_revision=request.expected_revision)
        shown = await self._consents.show(consent_id, institution=None)
        return consent_pb2.ResumeConsentResponse(consent=_consent(shown))

    async def ListConsents(  # noqa: N802
        self, request: consent_pb2.ListConsentsRequest, _context: Context
    ) -> consent_pb2.ListConsentsResponse:
        """List the caller's consents by id, so by age; a page may be short and yet not the last."""
        validate(request)
        caller = current_caller()
        party, name = _listed_by(caller)
        page = await self._consents.page(
            party, name, after=after_id(request.page), size=page_size(request.page), states=_states(request.states)
        )
        await self._reviews.record(caller, "ListConsents", count=len(page.consents))
        answer = consent_pb2.ListConsentsResponse(consents=[_consent(shown) for shown in page.consents])
        answer.page.next_page_token = "" if page.after is None else str(page.after)
        return answer

    async def RequestEvidence(  # noqa: N802
        self, request: consent_pb2.RequestEvidenceRequest, _context: Context
    ) -> consent_pb2.RequestEvidenceResponse:
        """Ask a lender for the paper behind a letter that it signed itself."""
        validate(request)
        caller = current_caller()
        letter = await self._mine(caller, _consent_id(request.consent_id))
        answer = consent_pb2.RequestEvidenceResponse()
        answer.due_at.FromDatetime(await self._asking.evidence.request(letter, by=by_caller(caller)))
        return answer

    async def SubmitEvidence(  # noqa: N802
        self, request: consent_pb2.SubmitEvidenceRequest, _context: Context
    ) -> consent_pb2.SubmitEvidenceResponse:
        """Take the paper that was asked for; it is sealed before it is stored."""
        validate(request)
        letter = await self._mine(current_caller(), _consent_id(request.consent_id))
        answer = consent_pb2.SubmitEvidenceResponse()
        answer.received_at.FromDatetime(await self._asking.evidence.submit(letter, request.document))
        return answer

    async def ListEvidenceRequests(  # noqa: N802
        self, request: consent_pb2.ListEvidenceRequestsRequest, _context: Context
    ) -> consent_pb2.ListEvidenceRequestsResponse:
        """List papers that were asked for; a reviewer's look is recorded."""
        validate(request)
        caller = current_caller()
        answer = await self._asking.evidence_of(request, caller)
        await self._reviews.record(caller, "ListEvidenceRequests", count=len(answer.requests))
        return answer

    async def _mine(self, caller: Caller, consent_id: UUID) -> Shown:
        institution = caller.institution if caller.role is Role.LENDER else None
        return await self._consents.show(
            consent_id, institution=institution, is_party=lambda facts: _is_party(caller, facts)
        )


def _signs_or_gives(caller: Caller, artefact: Artefact) -> bool:
    """Tell whether an authority brings its own artefact and a subject's agent its subject's."""
    match caller.role:
        case Role.CONSENT_AUTHORITY:
            return artefact.issuer == caller.participant_id
        case Role.SUBJECT_AGENT:
            mine = caller.subject_commitment
            return mine is not None and same_commitment(artefact.subject.commitment, mine)
        case _:
            return True


def _is_party(caller: Caller, facts: ConsentFacts) -> bool:
    match caller.role:
        case Role.LENDER:
            return facts.institution == caller.institution
        case Role.CONSENT_AUTHORITY:
            return facts.authority == caller.participant_id
        case Role.SUBJECT_AGENT:
            return caller.subject_commitment is not None and same_commitment(
                facts.commitment, caller.subject_commitment
            )
        case _:
            return caller.role in REVIEWERS


def _listed_by(caller: Caller) -> tuple[Party | None, str]:
    """Return by whom a caller's consents are found; reviewers list everybody's."""
    match caller.role:
        case Role.LENDER:
            return Party.LENDER, caller.institution
        case Role.CONSENT_AUTHORITY:
            return Party.AUTHORITY, caller.participant_id
        case Role.SUBJECT_AGENT if caller.subject_commitment:
            return Party.SUBJECT, caller.subject_commitment
        case role if role in REVIEWERS:
            return None, ""
        case _:
            raise service.not_yours()


def _states(wanted: Sequence[consent_pb2.ConsentState.ValueType]) -> frozenset[ConsentState]:
    """Return the states asked for; empty: all.

    Raises:
        BashuError: MALFORMED for a number that names no state.
    """
    if not set(wanted) <= set(consent_pb2.ConsentState.values()) - {consent_pb2.CONSENT_STATE_UNSPECIFIED}:
        raise BashuError(Reason.MALFORMED, "states: no such state", field="states")
    return frozenset(ConsentState(consent_pb2.ConsentState.Name(v).removeprefix("CONSENT_STATE_")) for v in wanted)


def _consent_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError as error:
        raise BashuError(Reason.MALFORMED, "consent_id is not a UUID", field="consent_id") from error


def _consent(shown: Shown) -> consent_pb2.Consent:
    facts, artefact = shown.facts, shown.parsed.artefact
    message = consent_pb2.Consent(
        consent_id=str(facts.consent_id),
        state=_state(state(facts, shown.now)),
        state_reason=state_reason(facts, shown.now),
        revision=facts.revision,
        artefact_hash=facts.artefact_hash,
        authority=facts.authority,
        institution=facts.institution,
        subject_display=facts.subject_display,
        subject_kind=facts.subject_kind,
        purpose=facts.purpose,
        platform_ids=[provider.platform_id for provider in artefact.providers],
        data_items=sorted(_item_ids(artefact)),
        usage_mode=artefact.usage.mode.value,
        max_uses=facts.max_uses,
        used=facts.used,
    )
    _set_times(message, facts.nbf, facts.end, facts.registered_at)
    return message


def _item_ids(artefact: Artefact) -> list[str]:
    return [str(item) for item in artefact.items]


def _set_times(message: consent_pb2.Consent, start: datetime, end: datetime, registered: datetime) -> None:
    message.not_before.FromDatetime(start)
    message.expires_at.FromDatetime(end)
    message.registered_at.FromDatetime(registered)


def _event(event: ConsentEvent) -> consent_pb2.ConsentEvent:
    message = consent_pb2.ConsentEvent(
        revision=event.revision,
        from_state=_state(event.from_state),
        to_state=_state(event.to_state),
        reason=event.reason,
        actor=event.actor.value,
        entry_id=str(event.entry_id),
    )
    message.at.FromDatetime(event.at)
    return message


def _state(value: ConsentState) -> consent_pb2.ConsentState.ValueType:
    return consent_pb2.ConsentState.Value(f"CONSENT_STATE_{value.value}")
