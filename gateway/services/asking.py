"""The messages of asking for consents: drafts in, bundles out, and what follows from a decision in words."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from bashu.v1 import common_pb2, consent_pb2
from consent.bundle import Bundle, BundleState, Draft
from consent.policy import WORKING_TERMS, Terms
from core.clock import SHANGHAI, Clock
from core.errors import BashuError, Reason, Turn
from core.ids import uuid7
from core.permit import Subject
from gateway.admission import RegistrySource
from gateway.asking.bundles import Bundles, Decision
from gateway.asking.evidence import Evidence
from gateway.asking.store import ConsentText, EvidenceRequest
from gateway.asking.texts import Texts
from gateway.identity.model import Caller, Role
from gateway.question import read_lookback, read_subject
from gateway.services.paging import page_size, read_id
from standards.catalogue import Standard

BEFORE_THE_DECISION: Final = (
    "同意后：信息使用机构可在所列期限、次数和用途内，经本网关向所列平台查询所列信息，每次查询都记入您的访问记录；"
    "可选信息可以不同意，不影响其他各项；您可随时暂停或撤回，撤回不影响此前已放行的查询（个人信息保护法第十五条）。"
    "拒绝或逾期未处理：不提供任何信息，信息使用机构将获知，可能影响授信办理。"
    " If you grant: the lender may ask the platforms listed for the items listed, for the purpose, time and number of"
    " uses listed; each query stands in your access log. Optional items may be left out, the others do not depend on"
    " them. You may pause or withdraw at any time; what was released before stays lawful (PIPL Art. 15). If you refuse"
    " or let it lapse: nothing is provided; the lender is told, and an application that depends on it may not go on."
)
AFTER_GRANTING: Final = (
    "已同意：所列授权即时登记并记入访问日志，可随时暂停或撤回。"
    " Granted: the consents are registered, with an entry each; you may pause or withdraw them at any time."
)
AFTER_REFUSING: Final = (
    "已拒绝：不提供任何信息；信息使用机构将获知，如需要须另行请求。"
    " Refused: nothing is provided; the lender is told, and must ask anew if it needs to."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What the consent service needs for asking. ``decision_url`` None: the operator named no portal."""

    bundles: Bundles
    texts: Texts
    evidence: Evidence
    registry: RegistrySource
    standard: Standard
    clock: Clock
    decision_url: str | None = None
    terms: Terms = WORKING_TERMS

    async def request(
        self, request: consent_pb2.RequestConsentRequest, caller: Caller
    ) -> consent_pb2.RequestConsentResponse:
        """Keep a bundle and say where it is decided.

        Raises:
            BashuError: IDENTIFIER_INVALID, MALFORMED, PURPOSE_MISSING, PURPOSE_MISMATCH, ROLE_NOT_ALLOWED,
                UNKNOWN_DATA_ITEM, ITEMS_REQUIRED, POLICY_LIMIT; of :meth:`Bundles.ask`.
        """
        today = self.clock.now().astimezone(SHANGHAI).date()
        subject = read_subject(request.subject, standard=self.standard, today=today)
        platforms = frozenset((await self.registry.snapshot()).platforms)
        drafts = [self._draft(draft, caller, subject, platforms, today) for draft in request.drafts]
        if len({draft.purpose for draft in drafts}) != len(drafts):
            raise BashuError(Reason.MALFORMED, "two drafts have one purpose", field="drafts.purpose")
        bundle = await self.bundles.ask(
            read_id(request.bundle_id, "bundle_id") if request.bundle_id else uuid7(),
            institution=caller.institution,
            subject=subject,
            drafts=drafts,
            notice_sha256=request.notice_sha256,
        )
        answer = consent_pb2.RequestConsentResponse(
            bundle_id=str(bundle.bundle_id),
            decision_url=f"{self.decision_url}/{bundle.bundle_id}" if self.decision_url else "",
            consequences=BEFORE_THE_DECISION,
        )
        answer.expires_at.FromDatetime(bundle.expires_at)
        return answer

    async def show(
        self, request: consent_pb2.GetConsentBundleRequest, caller: Caller
    ) -> consent_pb2.GetConsentBundleResponse:
        """Read a bundle as its lender or its subject's agent."""
        institution = caller.institution if caller.role is Role.LENDER else None
        bundle, now = await self.bundles.find(
            read_id(request.bundle_id, "bundle_id"), institution=institution, commitment=caller.subject_commitment
        )
        answer = consent_pb2.GetConsentBundleResponse(
            bundle_id=str(bundle.bundle_id),
            institution=bundle.institution,
            state=consent_pb2.BundleState.Value(f"BUNDLE_STATE_{bundle.state(now).value}"),
            drafts=[_draft_message(draft) for draft in bundle.drafts],
            notice=notice_message(await self.texts.get(bundle.notice_sha256)),
            consent_ids=[str(consent_id) for consent_id in bundle.consent_ids],
            consequences=BEFORE_THE_DECISION,
        )
        answer.requested_at.FromDatetime(bundle.requested_at)
        answer.expires_at.FromDatetime(bundle.expires_at)
        if bundle.decided_at is not None:
            answer.decided_at.FromDatetime(bundle.decided_at)
        return answer

    async def bundles_of(
        self, request: consent_pb2.ListConsentBundlesRequest, caller: Caller
    ) -> consent_pb2.ListConsentBundlesResponse:
        """List what a lender asked borrowers for."""
        size, token = page_size(request.page), request.page.page_token
        names = [consent_pb2.BundleState.Name(value).removeprefix("BUNDLE_STATE_") for value in request.states]
        found = await self.bundles.page(
            caller.institution,
            after=read_id(token, "page.page_token") if token else None,
            states=[BundleState(name) for name in names] or list(BundleState),
            limit=size + 1,
        )
        answer = consent_pb2.ListConsentBundlesResponse(bundles=[_row(bundle, now) for bundle, now in found[:size]])
        answer.page.next_page_token = str(found[size - 1][0].bundle_id) if len(found) > size else ""
        return answer

    async def evidence_of(
        self, request: consent_pb2.ListEvidenceRequestsRequest, caller: Caller
    ) -> consent_pb2.ListEvidenceRequestsResponse:
        """List the papers that a lender owes, or for a reviewer all of them."""
        size, token = page_size(request.page), request.page.page_token
        found = await self.evidence.page(
            caller.institution if caller.role is Role.LENDER else None,
            after=read_id(token, "page.page_token") if token else None,
            with_received=request.with_received,
            limit=size + 1,
        )
        answer = consent_pb2.ListEvidenceRequestsResponse(requests=[_asked_paper(*each) for each in found[:size]])
        answer.page.next_page_token = str(found[size - 1][0].consent_id) if len(found) > size else ""
        return answer

    async def decide(self, request: consent_pb2.DecideConsentRequest, caller: Caller) -> Bundle:
        """Record a decision of the caller's subject.

        Raises:
            BashuError: MALFORMED for a grant without artefacts or a refusal with some; of :meth:`Bundles.decide`.
        """
        if request.grant is not bool(request.artefacts):
            message = "a grant carries what the authority signed, a refusal nothing"
            raise BashuError(Reason.MALFORMED, message, field="artefacts")
        assert caller.subject_commitment is not None
        decision = Decision(
            artefacts=list(request.artefacts),
            commitment=caller.subject_commitment,
            actor=caller.actor_commitment or "",
        )
        return await self.bundles.decide(read_id(request.bundle_id, "bundle_id"), decision)

    def _draft(
        self,
        draft: consent_pb2.ConsentDraft,
        caller: Caller,
        subject: Subject,
        platforms: frozenset[str],
        today: date,
    ) -> Draft:
        self._check_purpose(draft, caller, subject, today)
        self._check_items(draft, subject)
        if not set(draft.platform_ids) <= platforms:
            raise BashuError(Reason.MALFORMED, "no such platform", field="drafts.platform_ids")
        lookback = read_lookback(draft.lookback)
        if lookback is None:
            raise BashuError(Reason.MALFORMED, "lookback: say how far back, or two days", field="drafts.lookback")
        return Draft(
            purpose=draft.purpose,
            platforms=tuple(sorted(set(draft.platform_ids))),
            required_items=tuple(sorted(set(draft.required_items))),
            optional_items=tuple(sorted(set(draft.optional_items))),
            days=draft.days,
            max_uses=draft.max_uses,
            lookback_days=lookback if isinstance(lookback, int) else None,
            lookback_range=lookback if isinstance(lookback, tuple) else None,
        )

    def _check_purpose(self, draft: consent_pb2.ConsentDraft, caller: Caller, subject: Subject, today: date) -> None:
        purpose = self.standard.purposes.get(draft.purpose, on=today)
        if purpose is None:
            raise BashuError(Reason.PURPOSE_MISSING, "no such purpose today", field="drafts.purpose")
        if subject.kind not in purpose.subject_kinds:
            message = "the purpose is not offered for this kind of subject"
            raise BashuError(Reason.PURPOSE_MISMATCH, message, field="drafts.purpose")
        if caller.institution_kind.value not in purpose.institution_kinds:
            message = "this kind of institution may not ask for this purpose"
            raise BashuError(Reason.ROLE_NOT_ALLOWED, message, field="drafts.purpose", turn=Turn.LENDER)
        limit = self.terms.of(purpose.needs)
        if draft.days > limit.longest.days or draft.max_uses > limit.most_uses:
            message = f"for this purpose at most {limit.longest.days} days and {limit.most_uses} uses"
            raise BashuError(Reason.POLICY_LIMIT, message, field="drafts.days")

    def _check_items(self, draft: consent_pb2.ConsentDraft, subject: Subject) -> None:
        required, optional = set(draft.required_items), set(draft.optional_items)
        if not required | optional:
            raise BashuError(Reason.ITEMS_REQUIRED, "a draft names what it asks for", field="drafts.required_items")
        if required & optional:
            message = "an item is required or optional, not both"
            raise BashuError(Reason.MALFORMED, message, field="drafts.optional_items")
        items = self.standard.items
        for item in sorted(required | optional):
            if not items.exists(item) or not items.is_about(item, subject.kind):
                message = "an item does not exist for this kind of subject"
                raise BashuError(Reason.UNKNOWN_DATA_ITEM, message, field="drafts.required_items")


def _row(bundle: Bundle, now: datetime) -> consent_pb2.ConsentBundleRow:
    message = consent_pb2.ConsentBundleRow(
        bundle_id=str(bundle.bundle_id),
        state=consent_pb2.BundleState.Value(f"BUNDLE_STATE_{bundle.state(now).value}"),
        purposes=[draft.purpose for draft in bundle.drafts],
        consent_ids=[str(consent_id) for consent_id in bundle.consent_ids],
    )
    message.requested_at.FromDatetime(bundle.requested_at)
    message.expires_at.FromDatetime(bundle.expires_at)
    if bundle.decided_at is not None:
        message.decided_at.FromDatetime(bundle.decided_at)
    return message


def _asked_paper(asked: EvidenceRequest, now: datetime) -> consent_pb2.EvidenceRequestRow:
    message = consent_pb2.EvidenceRequestRow(
        consent_id=str(asked.consent_id),
        institution=asked.institution,
        late=asked.received_at is None and asked.due_at <= now,
    )
    message.requested_at.FromDatetime(asked.requested_at)
    message.due_at.FromDatetime(asked.due_at)
    if asked.received_at is not None:
        message.received_at.FromDatetime(asked.received_at)
    return message


def notice_message(text: ConsentText) -> consent_pb2.Notice:
    """Return a registered text as the contract's message."""
    message = consent_pb2.Notice(
        sha256=text.sha256,
        institution=text.institution,
        notice_id=text.notice_id,
        version=text.version,
        lang=text.lang,
        text=text.body,
        entry_id=str(text.entry_id),
    )
    message.registered_at.FromDatetime(text.registered_at)
    return message


def _draft_message(draft: Draft) -> consent_pb2.ConsentDraft:
    message = consent_pb2.ConsentDraft(
        purpose=draft.purpose,
        platform_ids=draft.platforms,
        required_items=draft.required_items,
        optional_items=draft.optional_items,
        days=draft.days,
        max_uses=draft.max_uses,
    )
    if draft.lookback_days is not None:
        message.lookback.days = draft.lookback_days
    if draft.lookback_range is not None:
        first, last = (day.isoformat() for day in draft.lookback_range)
        # `from` is a word of Python's own.
        message.lookback.dates.CopyFrom(common_pb2.DateRange(**{"from": first, "to": last}))
    return message
