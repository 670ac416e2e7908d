"""Authorisations at chongqing: filed under the consent's artefact, remembered while in force (section 5)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Final

from adapters.chongqing import exchange, serials
from adapters.chongqing.codec import malformed
from adapters.chongqing.exchange import Answer, Exchange
from adapters.kit.failures import Failure, PlatformFailureError
from core.clock import Clock
from core.permit import Permit, Subject, SubjectKind
from standards.days import beijing_day, day
from standards.malformed import MalformedValueError

LONGEST_AUTHORISATION: Final = timedelta(days=180)
CITIZEN_ID_KIND: Final = "10"
"""``ZJLX`` of an identity card."""
KNOWN_GRANTS: Final = 10_000
UNDER_REVIEW, IN_FORCE, REJECTED, REVOKED, EXPIRED = "0", "1", "2", "3", "4"


@dataclass(frozen=True, slots=True, kw_only=True)
class Enquiry:
    """One question in the platform's words: kinds sorted, purpose ``CXYY``, deadline on the monotonic clock."""

    permit: Permit = field(repr=False)
    kinds: tuple[str, ...]
    purpose: str
    deadline: float

    @property
    def subject(self) -> Subject:
        """Return who is asked about."""
        return self.permit.subject

    def named(self) -> tuple[tuple[str, str], ...]:
        """Return the tags that name the subject: code and name of a firm, kind and number of a person's card."""
        if self.subject.kind is SubjectKind.PERSON:
            return ("ZJLX", CITIZEN_ID_KIND), ("ZJHM", self.subject.identifier), ("XM", self.subject.name)
        return ("TYSHXYDM", self.subject.identifier), ("QYMC", self.subject.name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """An authorisation in force: its number ``SQSBH``, its last day ``SQJZRQ`` as the platform wrote it, its kinds."""

    number: str
    last_day: str
    kinds: frozenset[str]


class Grants:
    """A cache and no more: filing again is answered with the authorisation in force."""

    def __init__(self, exchange: Exchange, *, clock: Clock) -> None:
        self._exchange = exchange
        self._clock = clock
        self._known: dict[tuple[str, str, str], Grant] = {}

    async def covering(self, enquiry: Enquiry) -> Grant:
        """Return an authorisation that covers the enquiry, filed now where none is known.

        Raises PlatformFailureError: PENDING while it is under review, DENIED where it was rejected or revoked.
        """
        today = beijing_day(self._clock.now())
        known = self._known.get(_key(enquiry))
        if known is not None and known.kinds.issuperset(enquiry.kinds) and known.last_day >= f"{today:%Y%m%d}":
            return known
        grant = await self._filed(enquiry, today)
        while len(self._known) >= KNOWN_GRANTS:
            self._known.pop(next(iter(self._known)))
        self._known[_key(enquiry)] = grant
        return grant

    def forget(self, enquiry: Enquiry) -> None:
        """Drop what is known: the platform no longer accepts it."""
        self._known.pop(_key(enquiry), None)

    async def _filed(self, enquiry: Enquiry, today: date) -> Grant:
        permit, artefact = enquiry.permit, enquiry.permit.artefact or b""
        digest = hashlib.sha256(artefact).hexdigest()
        last_day = f"{_last_day(permit, today):%Y%m%d}"
        serial = serials.filing_serial(
            institution=permit.institution,
            artefact_digest=digest,
            purpose=enquiry.purpose,
            kinds=enquiry.kinds,
            last_day=last_day,
        )
        fields = (
            *enquiry.named(),
            ("CXYY", enquiry.purpose),
            ("CXJG", permit.institution),
            ("SQMK", ",".join(enquiry.kinds)),
            ("SQJZRQ", last_day),
            ("SQZY", digest),
            ("SQWJ", artefact.decode("ascii", "replace")),
        )
        for suffix in serials.REPEATS:
            answer = await self._exchange.send(
                exchange.FILE,
                serial + suffix,
                fields,
                evidence=permit.intent_leaf_hash,
                deadline=enquiry.deadline,
            )
            if answer.tags.get("SQZT") != EXPIRED:
                return self._granted(answer, enquiry)
        raise PlatformFailureError(Failure.DENIED, f"SQZT {EXPIRED}")

    def _granted(self, answer: Answer, enquiry: Enquiry) -> Grant:
        state, number, last_day = (answer.tags.get(tag, "") for tag in ("SQZT", "SQSBH", "SQJZRQ"))
        if state == UNDER_REVIEW:
            resume = self._clock.now() + timedelta(seconds=max(1.0, answer.seconds_until("YJSHSJ")))
            raise PlatformFailureError(Failure.PENDING, f"SQZT {state}", resume_after=resume)
        if state in {REJECTED, REVOKED}:
            raise PlatformFailureError(Failure.DENIED, f"SQZT {state}")
        try:
            is_dated = len(last_day) == len("yyyyMMdd") and day(last_day, path="BODY/SQJZRQ") is not None
        except MalformedValueError:
            is_dated = False
        if state != IN_FORCE or not number or not is_dated:
            raise malformed("BODY/SQZT")
        return Grant(number=number, last_day=last_day, kinds=frozenset(enquiry.kinds))


def _key(enquiry: Enquiry) -> tuple[str, str, str]:
    artefact = enquiry.permit.artefact or b""
    return enquiry.permit.institution, hashlib.sha256(artefact).hexdigest(), enquiry.purpose


def _last_day(permit: Permit, today: date) -> date:
    """Return the consent's last day, or the longest that the platform takes."""
    longest = today + LONGEST_AUTHORISATION
    if permit.consent_expires_at is None:
        return longest
    return min(longest, beijing_day(permit.consent_expires_at - timedelta(microseconds=1)))
