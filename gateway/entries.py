"""Transitions and verdicts as ledger entries: the one place where a leaf's members are chosen. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from consent.artefact import Artefact
from consent.model import Ask, ConsentFacts, Loan, Scope, Transition
from core.clock import rfc3339
from core.errors import Reason
from core.ids import uuid7
from core.permit import Permit
from gateway.intents import IntentKey, OpenIntent
from gateway.pseudonyms import Pseudonyms
from gateway.vault.model import Sealed
from ledger.model import Entry, EntryType, build_entry

Members = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempted:
    """What a refused call wanted, as far as it was understood; ``pseudonym`` is the subject's."""

    institution: str
    operator: str = ""
    request_id: UUID | None = None
    consent_id: UUID | None = None
    purpose: str = ""
    request_digest: bytes | None = None
    pseudonym: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformLine:
    """How one platform's answer to one item is kept: codes and digests only.

    ``status`` is a ``PLATFORM_STATUS_X`` without its prefix. ``was_sent`` False: not a byte of the question left.
    """

    platform_id: str
    item: str
    status: str
    records: int
    raw_digest: bytes | None = None
    was_sent: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class By:
    """Who acts on a hold or looks: participant, its institution, and the staff number (empty where none is needed)."""

    participant: str
    institution: str
    operator: str = ""


class Entries:
    """Builds entries in the name of one log (``origin``)."""

    def __init__(self, *, origin: str, pseudonyms: Pseudonyms) -> None:
        self.origin = origin
        self._pseudonyms = pseudonyms

    def registered(self, event: Transition, artefact: Artefact, *, standing: Sequence[UUID], carried: int = 0) -> Entry:
        """CONSENT_REGISTERED, with what its invariants are checked against; ``carried``: uses of what it supersedes."""
        usage = artefact.usage
        frequency = None if usage.period is None else {"n": usage.per_window, "per": usage.period.value}
        lookback: Members = {}
        if artefact.lookback_range is not None:
            lookback = _days(*artefact.lookback_range)
        elif artefact.lookback_days is not None:
            lookback = {"days": artefact.lookback_days}
        fields = {
            "scope": {
                "purpose": artefact.purpose,
                "acts": sorted(artefact.acts),
                "items": sorted(artefact.items),
                "platforms": sorted(provider.platform_id for provider in artefact.providers),
                "lookback": lookback,
            },
            "usage": {
                "mode": usage.mode.value,
                "max_uses": usage.max_uses,
                "frequency": frequency,
                "min_interval_s": usage.min_interval_s,
                "tz": usage.tz,
            },
            "window": {"nbf": rfc3339(artefact.nbf), "exp": rfc3339(artefact.exp)},
            "standing": [str(entry_id) for entry_id in standing] or None,
            "supersedes": None
            if artefact.supersedes is None
            else {
                "consent_id": str(artefact.supersedes.consent_id),
                "artefact_hash": artefact.supersedes.artefact_hash.hex(),
                "uses": carried,
            },
        }
        return self._event(EntryType.CONSENT_REGISTERED, event, fields)

    def status(self, event: Transition, *, sealed: Sealed | None = None) -> Entry:
        """CONSENT_STATUS: one step in a consent's life; of what is ``sealed`` the leaf holds the digest alone."""
        return self._event(EntryType.CONSENT_STATUS, event, {"detail_sha256": sealed and sealed.sha256}, sealed=sealed)

    def intent(
        self,
        ask: Ask,
        *,
        key: IntentKey,
        entry_id: UUID,
        pseudonym: str,
        facts: ConsentFacts | None,
        use: int | None,
        scope: Scope,
        policy_version: int,
        first: UUID | None,
        ts: datetime,
        expires_at: datetime,
    ) -> Entry:
        """QUERY_INTENT: what is going to be asked; ``use`` is the ordinal of the use reserved, None for none."""
        asked = None
        if scope.narrowed:
            assert scope.asked_from is not None
            assert scope.asked_to is not None
            items = sorted({*scope.items, *scope.dropped_items})
            asked = {"items": items, "lookback": _days(scope.asked_from, scope.asked_to)}
        fields = {
            "consent": None
            if facts is None
            else _present(
                id=str(facts.consent_id),
                artefact_hash=facts.artefact_hash.hex(),
                revision=facts.revision,
                use=use,
            ),
            "requester": self._requester(ask.institution, ask.operator),
            "intent": {
                **_named(key),
                "uses": 0 if use is None else 1,
                "expires_at": rfc3339(expires_at),
                **({} if first is None else {"first": str(first)}),
            },
            "scope": _present(
                purpose=ask.purpose,
                acts=sorted(ask.acts),
                items=list(scope.items),
                platforms=list(scope.platforms),
                lookback=_days(scope.look_from, scope.look_to),
                legal_basis=ask.legal_basis or None,
                asked=asked,
            ),
            "subject_commitment": self._pseudonyms.in_entry(pseudonym, entry_id),
            "request_digest": self._pseudonyms.request(ask.request_digest),
            "decision": {"outcome": "ADMITTED", "policy_version": policy_version},
        }
        return build_entry(EntryType.QUERY_INTENT, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def denied(
        self, attempted: Attempted, reason: Reason, *, rule: str, ts: datetime, policy_version: int | None = None
    ) -> Entry:
        """QUERY_DENIED: a refusal of an authenticated caller. The consent is named as the caller named it, no more.

        ``policy_version``: the table's, where one of its rules refused.
        """
        entry_id = uuid7()
        request, consent_id = attempted.request_id, attempted.consent_id
        fields = {
            "requester": self._requester(attempted.institution, attempted.operator),
            "decision": _present(
                outcome="DENIED", reason=reason.value, rule=rule or None, policy_version=policy_version
            ),
            "consent": None if consent_id is None else {"id": str(consent_id)},
            "intent": None if request is None else {"request": str(request)},
            "subject_commitment": self._subject(attempted.pseudonym, entry_id),
            "scope": {"purpose": attempted.purpose} if attempted.purpose else None,
            "request_digest": self._pseudonyms.request(attempted.request_digest),
        }
        return build_entry(EntryType.QUERY_DENIED, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def denied_count(self, institution: str, reason: Reason, count: int, *, ts: datetime) -> Entry:
        """QUERY_DENIED for the refusals of one minute that were too many to write one by one."""
        fields = {
            "requester": {"institution": institution},
            "decision": {"outcome": "DENIED", "reason": reason.value},
            "count": count,
        }
        return build_entry(EntryType.QUERY_DENIED, origin=self.origin, ts=ts, fields=fields)

    def disclosure(self, platform_id: str, item: str, kind: str, *, ts: datetime) -> Entry:
        """PLATFORM_EVENT: a platform sent what it should not have, first seen on that day; counts stand elsewhere."""
        fields = {
            "object": platform_id,
            "status": {"to": "OVER_DISCLOSURE", "reason": kind, "actor": "SYSTEM"},
            "scope": {"items": [item]},
        }
        return build_entry(EntryType.PLATFORM_EVENT, origin=self.origin, ts=ts, fields=fields)

    def release(
        self,
        permit: Permit,
        *,
        platforms: Sequence[PlatformLine],
        request_digest: bytes,
        report_digest: bytes,
        artefact_hash: bytes | None,
        ts: datetime,
    ) -> Entry:
        """RELEASE: the answer with this digest leaves."""
        entry_id = uuid7()
        fields = {
            **self._closing(_permit_intent(permit, request_digest, artefact_hash, self._pseudonyms), entry_id),
            "platforms": _lines(platforms),
            "report_digest": report_digest.hex(),
        }
        return build_entry(EntryType.RELEASE, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def failed(
        self,
        permit: Permit,
        *,
        reason: Reason,
        platforms: Sequence[PlatformLine],
        request_digest: bytes,
        artefact_hash: bytes | None,
        ts: datetime,
    ) -> Entry:
        """FAILED: there is nothing to release."""
        entry_id = uuid7()
        fields = {
            **self._closing(_permit_intent(permit, request_digest, artefact_hash, self._pseudonyms), entry_id),
            "decision": {"outcome": "FAILED", "reason": reason.value},
            "platforms": _lines(platforms),
        }
        return build_entry(EntryType.FAILED, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def refunded(self, permit: Permit, *, artefact_hash: bytes | None, ts: datetime) -> Entry:
        """USE_REFUNDED: the use that the named intent reserved is given back."""
        entry_id = uuid7()
        fields = self._closing(_permit_intent(permit, b"", artefact_hash, self._pseudonyms), entry_id)
        del fields["request_digest"]
        return build_entry(EntryType.USE_REFUNDED, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def withheld(self, intent: OpenIntent, reason: Reason, *, ts: datetime) -> Entry:
        """RELEASE_WITHHELD: permission ended while platforms were answering."""
        entry_id = uuid7()
        decision = {"outcome": "WITHHELD", "reason": reason.value}
        fields = {**self._closing(intent, entry_id), "decision": decision}
        return build_entry(EntryType.RELEASE_WITHHELD, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def abandoned(self, intent: OpenIntent, *, ts: datetime) -> Entry:
        """ABANDONED: nobody closed the intent in its time."""
        entry_id = uuid7()
        decision = {"outcome": "ABANDONED", "reason": Reason.OUT_OF_TIME.value}
        fields = {**self._closing(intent, entry_id), "decision": decision}
        return build_entry(EntryType.ABANDONED, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def loan_event(
        self, loan: Loan, *, step: tuple[str, str], reason: str, affects: Members | None, ts: datetime
    ) -> Entry:
        """LOAN_EVENT: a loan was registered or closed; ``step`` is (from, to)."""
        entry_id = uuid7()
        fields = {
            "requester": {"institution": loan.institution},
            "status": {"from": step[0], "to": step[1], "reason": reason, "actor": "LENDER"},
            "object": self._pseudonyms.loan(loan.institution, loan.loan_reference),
            "affects": affects,
            "subject_commitment": self._pseudonyms.in_entry(loan.pseudonym, entry_id),
        }
        return build_entry(EntryType.LOAN_EVENT, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def subject_held(
        self,
        kind: EntryType,
        *,
        hold_id: UUID,
        pseudonym: str,
        reason: str,
        affects: Members,
        ts: datetime,
        by: By | None = None,
        sealed: Sealed | None = None,
    ) -> Entry:
        """HOLD_PLACED or FILE_FROZEN on a subject; ``reason`` is a code, what people wrote is ``sealed``."""
        entry_id = sealed.entry_id if sealed else uuid7()
        actor = "SUBJECT" if kind is EntryType.FILE_FROZEN else "COMPLIANCE"
        fields = {
            "affects": affects,
            "object": str(hold_id),
            "requester": self._by(by),
            "status": {"from": "NONE", "to": "STANDING", "reason": reason, "actor": actor},
            "subject_commitment": self._pseudonyms.in_entry(pseudonym, entry_id),
            "detail_sha256": sealed and sealed.sha256,
        }
        return build_entry(kind, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def subject_lifted(
        self,
        kind: EntryType,
        *,
        hold_id: UUID,
        lifts: UUID,
        pseudonym: str,
        affects: Members,
        ts: datetime,
        by: By | None = None,
        sealed: Sealed | None = None,
    ) -> Entry:
        """HOLD_LIFTED or FILE_THAWED: the hold that the entry ``lifts`` placed ends."""
        entry_id = sealed.entry_id if sealed else uuid7()
        actor = "SUBJECT" if kind is EntryType.FILE_THAWED else "COMPLIANCE"
        fields = {
            "affects": affects,
            "lifts": str(lifts),
            "object": str(hold_id),
            "requester": self._by(by),
            "status": {"from": "STANDING", "to": "LIFTED", "reason": "LIFTED", "actor": actor},
            "subject_commitment": self._pseudonyms.in_entry(pseudonym, entry_id),
            "detail_sha256": sealed and sealed.sha256,
        }
        return build_entry(kind, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def review_view(
        self,
        what: str,
        *,
        by: By,
        count: int,
        ts: datetime,
        consent_id: UUID | None = None,
        request: UUID | None = None,
        reviewed: Members | None = None,
        pseudonym: str | None = None,
        kind: EntryType = EntryType.REVIEW_VIEW,
    ) -> Entry:
        """REVIEW_VIEW or EXPORT: a reviewer is about to see, or take away, ``count`` rows of ``what`` (an RPC's name).

        ``reviewed`` says which part of the ledger was asked for, ``pseudonym`` about whom where it is one subject.
        """
        entry_id = uuid7()
        fields = {
            "subject_commitment": self._subject(pseudonym, entry_id),
            "requester": self._by(by),
            "object": what if request is None else f"{what}/{request}",
            "count": count,
            "consent": None if consent_id is None else {"id": str(consent_id)},
            "reviewed": reviewed,
        }
        return build_entry(kind, origin=self.origin, ts=ts, fields=fields, entry_id=entry_id)

    def tally(
        self, institution: str, *, hour: datetime, from_index: int, to_index: int, count: int, ts: datetime
    ) -> Entry:
        """TALLY of an hour: ``count`` entries of an institution stand in ``[from_index, to_index)``, no tallies."""
        tally = {
            "institution": institution,
            "hour": rfc3339(hour),
            "from_index": from_index,
            "to_index": to_index,
            "count": count,
        }
        return build_entry(EntryType.TALLY, origin=self.origin, ts=ts, fields={"tally": tally})

    def about(
        self,
        kind: EntryType,
        *,
        ts: datetime,
        status: tuple[str, str, str, str] | None = None,
        obj: str | None = None,
        by: By | None = None,
        pseudonym: str | None = None,
        detail_sha256: str | None = None,
        entry_id: UUID | None = None,
    ) -> Entry:
        """Build an entry that is about one object, such as ERASURE or UNMASK; ``status`` is (from, to, reason, actor).

        Of what people wrote it holds the digest of the sealed bytes alone.
        """
        number = entry_id or uuid7()
        fields = {
            "object": obj,
            "requester": self._by(by),
            "status": None if status is None else dict(zip(("from", "to", "reason", "actor"), status, strict=True)),
            "subject_commitment": self._subject(pseudonym, number),
            "detail_sha256": detail_sha256,
        }
        return build_entry(kind, origin=self.origin, ts=ts, fields=fields, entry_id=number)

    def reconciled(
        self, platform_id: str, day: date, *, by: By, actor: str, unequal: int, detail_sha256: str, ts: datetime
    ) -> Entry:
        """RECONCILIATION: a day was compared with a platform's book; ``unequal`` lines do not agree."""
        fields = {
            "object": f"{platform_id}/{day.isoformat()}",
            "requester": self._by(by),
            "status": {"to": "DIFFERS" if unequal else "AGREES", "actor": actor},
            "count": unequal,
            "detail_sha256": detail_sha256,
        }
        return build_entry(EntryType.RECONCILIATION, origin=self.origin, ts=ts, fields=fields)

    def _by(self, by: By | None) -> Members | None:
        return None if by is None else self._requester(by.institution, by.operator)

    def _event(
        self, kind: EntryType, event: Transition, fields: Mapping[str, Any], *, sealed: Sealed | None = None
    ) -> Entry:
        entry_id = sealed.entry_id if sealed else uuid7()
        members = {
            "consent": _present(
                id=str(event.consent_id),
                artefact_hash=event.artefact_hash.hex(),
                revision=event.revision,
                previous=None if event.previous is None else event.previous.hex(),
            ),
            "requester": {"institution": event.institution},
            "subject_commitment": self._pseudonyms.in_entry(f"{event.commitment_kid}:{event.commitment}", entry_id),
            "status": {
                "from": event.from_state.value,
                "to": event.to_state.value,
                "reason": event.reason,
                "actor": event.actor.value,
            },
            **fields,
        }
        return build_entry(kind, origin=self.origin, ts=event.at, fields=members, entry_id=entry_id)

    def _closing(self, intent: OpenIntent, entry_id: UUID) -> Members:
        consent = None
        if intent.consent_id is not None:
            assert intent.artefact_hash is not None
            consent = {
                "id": str(intent.consent_id),
                "artefact_hash": intent.artefact_hash.hex(),
                "revision": intent.consent_revision,
            }
        return {
            "requester": {"institution": intent.key.institution},
            "intent": _named(intent.key),
            "consent": consent,
            "subject_commitment": self._pseudonyms.in_entry(intent.pseudonym, entry_id),
            "request_digest": self._pseudonyms.request(intent.request_digest),
        }

    def _requester(self, institution: str, operator: str) -> Members:
        return _present(institution=institution, operator_commitment=self._pseudonyms.operator(institution, operator))

    def _subject(self, pseudonym: str | None, entry_id: UUID) -> str | None:
        return None if pseudonym is None else self._pseudonyms.in_entry(pseudonym, entry_id)


def affected(consents: Sequence[UUID], intents: Sequence[OpenIntent]) -> Members:
    """Return ``affects``: ids of consents, and (institution, request, attempt) of the open intents touched."""
    return {
        "consents": [str(consent_id) for consent_id in consents],
        "intents": [{"institution": intent.key.institution, **_named(intent.key)} for intent in intents],
    }


def _permit_intent(
    permit: Permit, request_digest: bytes, artefact_hash: bytes | None, pseudonyms: Pseudonyms
) -> OpenIntent:
    return OpenIntent(
        key=IntentKey(request_id=permit.request_id, institution=permit.institution, attempt=permit.attempt),
        consent_id=permit.consent_id,
        consent_revision=permit.consent_revision,
        artefact_hash=artefact_hash,
        pseudonym=pseudonyms.subject(permit.subject),
        request_digest=request_digest,
        expires_at=permit.expires_at,
    )


def _lines(lines: Sequence[PlatformLine]) -> list[Members]:
    """Sum up what one answer of one platform brought: one line each, so that leaves stay small."""
    records: Counter[tuple[str, str, str]] = Counter()
    for line in lines:
        digest = "" if line.raw_digest is None else line.raw_digest.hex()
        records[line.platform_id, line.status, digest] += line.records
    return [
        _present(id=platform_id, status=status, records=count, raw_digest=digest or None)
        for (platform_id, status, digest), count in sorted(records.items())
    ]


def _named(key: IntentKey) -> Members:
    return {"request": str(key.request_id), "attempt": key.attempt}


def _days(first: Any, last: Any) -> Members:
    return {"from": first.isoformat(), "to": last.isoformat()}


def _present(**members: Any) -> Members:
    return {name: value for name, value in members.items() if value is not None}
