"""Authorisations at sichuan: filed under the consent's artefact, remembered while in force (section 5)."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec

from adapters.kit.failures import Failure, PlatformFailureError
from adapters.sichuan import messages as sc
from adapters.sichuan.exchange import Exchange, Query
from adapters.sichuan.modules import PERSONAL_ITEMS, modules_of
from adapters.sichuan.refusals import REVIEW_TAKES
from core.clock import Clock
from core.permit import Permit, Subject, SubjectKind
from standards.days import beijing_day

LONGEST: Final = timedelta(days=365)
"""One day less than the platform takes: its clock is behind, so its day may still be yesterday."""
CITIZEN_ID_KIND: Final = "10"
"""``idType`` of an identity card."""
KNOWN: Final = 10_000
FILINGS: Final = 2
"""A filing that is answered with an expired one is sent once more; then the platform contradicts itself."""


class _Item(msgspec.Struct):
    id: str


class _Data(msgspec.Struct):
    items: list[_Item]


class _Consent(msgspec.Struct):
    data: _Data


_CONSENT: Final = msgspec.json.Decoder(_Consent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorised:
    """An authorisation in force."""

    authorization_id: str
    modules: frozenset[str]
    last_day: str


class Authorisations:
    """A cache and no more: filing again is answered with the authorisation in force."""

    def __init__(self, exchange: Exchange, *, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._known: dict[tuple[str, str, str], Authorised] = {}

    async def covering(self, permit: Permit, query: Query, modules: frozenset[str]) -> str:
        """Return the id of an authorisation for these modules, filed now where none is known.

        It is filed for all that the consent grants, so that every question under the consent has the same one: the
        platform counts enquiries by authorisation and request id, and a repeat asks fewer modules than its first call.

        Raises PlatformFailureError: PENDING while it is under review, DENIED where it was rejected or revoked.
        """
        today = beijing_day(self._clock.now())
        known = self._known.get(_key(permit, query))
        if known is not None and known.modules >= modules and known.last_day >= today.isoformat():
            return known.authorization_id
        filed = await self._filed(permit, query, modules | _grantable(permit), today)
        while len(self._known) >= KNOWN:
            self._known.pop(next(iter(self._known)))
        self._known[_key(permit, query)] = filed
        return filed.authorization_id

    def forget(self, permit: Permit, query: Query) -> None:
        """Drop what is known: the platform no longer accepts it."""
        self._known.pop(_key(permit, query), None)

    async def _filed(self, permit: Permit, query: Query, modules: frozenset[str], today: date) -> Authorised:
        artefact = permit.artefact or b""
        body = msgspec.json.encode(
            {
                **named(permit.subject),
                "queryReason": query.reason,
                "modules": sorted(modules),
                "institution": query.institution,
                "validTo": _last_day(permit, today).isoformat(),
                "artefactDigest": hashlib.sha256(artefact).hexdigest(),
                "artefact": artefact.decode("ascii", "replace"),
            }
        )
        for _ in range(FILINGS):
            answer = await self._exchange.plain(
                "POST", "/v2/authorizations", query=query, body=body, shape=sc.Authorization
            )
            if answer.state != "EXPIRED":
                return self._granted(answer, modules)
        raise PlatformFailureError(Failure.DENIED, "authorization EXPIRED")

    def _granted(self, answer: sc.Authorization, modules: frozenset[str]) -> Authorised:
        match answer.state:
            case "ACTIVE" if modules.issubset(answer.modules):
                return Authorised(
                    authorization_id=answer.authorization_id,
                    modules=frozenset(answer.modules),
                    last_day=answer.valid_to,
                )
            case "PENDING":
                resume = self._clock.now() + REVIEW_TAKES
                raise PlatformFailureError(Failure.PENDING, "authorization PENDING", resume_after=resume)
            case "REJECTED" | "REVOKED":
                raise PlatformFailureError(Failure.DENIED, f"authorization {answer.state}")
            case _:
                raise PlatformFailureError(Failure.MALFORMED, "authorization.state")


def _grantable(permit: Permit) -> frozenset[str]:
    granted = consented_modules(permit.artefact or b"")
    if permit.subject.kind is SubjectKind.ENTERPRISE:
        return granted
    return granted & {module.name for module in modules_of(PERSONAL_ITEMS)}


def named(subject: Subject) -> dict[str, object]:
    """Return the members of a body that name the subject: a firm's code, or a person's card."""
    if subject.kind is SubjectKind.PERSON:
        return {"person": {"idType": CITIZEN_ID_KIND, "idNo": subject.identifier, "name": subject.name}}
    return {"creditCode": subject.identifier}


def consented_modules(artefact: bytes) -> frozenset[str]:
    """Return the modules of the items that a consent grants; none where the artefact cannot be read.

    It was verified when it was registered; here nothing hangs on it but how many letters are filed.
    """
    parts = artefact.split(b".")
    try:
        payload = base64.urlsafe_b64decode(parts[1] + b"=" * (-len(parts[1]) % 4))
        consent = _CONSENT.decode(payload)
    except (IndexError, ValueError):
        return frozenset()
    return frozenset(module.name for module in modules_of(frozenset(item.id for item in consent.data.items)))


def _key(permit: Permit, query: Query) -> tuple[str, str, str]:
    return query.institution, hashlib.sha256(permit.artefact or b"").hexdigest(), query.reason


def _last_day(permit: Permit, today: date) -> date:
    """Return the consent's last day, or the longest that is sent."""
    longest = today + LONGEST
    if permit.consent_expires_at is None:
        return longest
    return min(longest, beijing_day(permit.consent_expires_at - timedelta(microseconds=1)))
