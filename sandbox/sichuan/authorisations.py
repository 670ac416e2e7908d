"""Authorisations filed at sichuan, their states and what a query must show (docs/platforms/sichuan.md section 5)."""

from __future__ import annotations

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from core.clock import SHANGHAI
from sandbox.books import Book, Filing
from sandbox.clock import ProtocolClock
from sandbox.facts import PlatformId
from sandbox.letter_words import MODULE_ITEMS, SICHUAN_PURPOSES
from sandbox.letters import Claim, Fault, SecondChecker
from sandbox.sichuan.modules import MODULES
from sandbox.sichuan.purposes import checked_purpose
from sandbox.sichuan.refusals import (
    AUTHORIZATION_REQUIRED,
    SCOPE_EXCEEDED,
    SUBJECT_MISMATCH,
    Refusal,
    forbidden,
    invalid,
)
from sandbox.sichuan.requests import AuthorisationBody, check_authorisation_body

LONGEST: Final = timedelta(days=366)
AUTHORISATIONS_KEPT: Final = 100_000


_REFUSALS: Final = {
    Fault.UNTRUSTED: "authorization rejected",
    Fault.OVER: "authorization expired",
    Fault.OTHER: SUBJECT_MISMATCH,
    Fault.SCOPE: SCOPE_EXCEEDED,
}


class State(StrEnum):
    """States; REJECTED, REVOKED and EXPIRED are final."""

    PENDING = "PENDING"
    ACTIVE = "ACTIVE"
    REJECTED = "REJECTED"
    REVOKED = "REVOKED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorisation:
    """One authorisation; ``valid_to`` is its last day, inside."""

    authorisation_id: str
    subject: str
    reason: str
    modules: tuple[str, ...]
    institution: str
    valid_to: date
    artefact_digest: str
    state: State
    changed_at: datetime
    reviewed_at: datetime

    def as_json(self) -> dict[str, Any]:
        """Return the object that filing and reading answer with."""
        return {
            "authorizationId": self.authorisation_id,
            "state": self.state.value,
            "validTo": self.valid_to,
            "modules": list(self.modules),
            "changedAt": int(self.changed_at.timestamp() * 1000),
        }


class Authorisations:
    """All authorisations, in memory, oldest dropped first. ``on_change`` hears of every later change of state."""

    def __init__(
        self,
        *,
        clock: ProtocolClock,
        book: Book,
        on_change: Callable[[Authorisation], None],
        review: Callable[[], timedelta] = timedelta,
        checker: SecondChecker | None = None,
    ) -> None:
        self._checker = checker
        self._review = review
        self._clock = clock
        self._book = book
        self._on_change = on_change
        self._by_id: OrderedDict[str, Authorisation] = OrderedDict()
        self._by_letter: OrderedDict[tuple[str, str, str, str], list[str]] = OrderedDict()
        # Numbers go on after a restart instead of naming another letter than they did before.
        now = clock.now().astimezone(SHANGHAI)
        self._number = (now.hour * 3600 + now.minute * 60 + now.second) * 10

    def file(self, body: AuthorisationBody) -> tuple[Authorisation, bool]:
        """Return the authorisation of a letter and whether it is new; an equal one in force is answered again."""
        check_authorisation_body(body)
        if not hmac.compare_digest(hashlib.sha256(body.artefact.encode()).hexdigest(), body.artefact_digest):
            raise invalid("artefactDigest")
        today = self._clock.today()
        if not today <= body.valid_to <= today + LONGEST:
            raise invalid("validTo")
        purpose = checked_purpose(body.query_reason)
        self._check_letter(body, purpose)
        equal = self._equal_in_force(body)
        return (equal, False) if equal is not None else (self._new(body), True)

    def get(self, authorisation_id: str) -> Authorisation:
        """Return an authorisation in its present state, or refuse with 404."""
        found = self._find(authorisation_id)
        if found is None:
            raise Refusal(HTTPStatus.NOT_FOUND, "authorization not found")
        return found

    def revoke(self, authorisation_id: str) -> None:
        """Turn an active authorisation REVOKED."""
        found = self._find(authorisation_id)
        if found is not None and found.state is State.ACTIVE:
            self._change(found, State.REVOKED)

    def check_intent(self, evidence: str | None, *, enquiry: str) -> None:
        """Refuse a question under a letter without an intent, or with one of another enquiry; no checker: nothing."""
        if self._checker is not None and not self._checker.is_intent_of(evidence, PlatformId.SICHUAN, enquiry):
            raise forbidden(SUBJECT_MISMATCH) if evidence else invalid("X-Evidence-Hash")

    def _check_letter(self, body: AuthorisationBody, purpose: str) -> None:
        if self._checker is None:
            return
        claim = Claim(
            platform_id=PlatformId.SICHUAN,
            subject=body.subject,
            institution=body.institution,
            purpose=SICHUAN_PURPOSES[purpose],
            kinds=[frozenset(MODULE_ITEMS[m].split()) for m in body.modules if not MODULES[m].is_public],
            last_day=body.valid_to,
        )
        fault = self._checker.fault(body.artefact, claim, now=self._clock.now())
        if fault is not None:
            raise forbidden(_REFUSALS[fault])

    def check(
        self, authorisation_id: str | None, *, code: str, institution: str, reason: str, module: str, is_public: bool
    ) -> None:
        """Refuse a module whose authorisation does not carry it; a public one needs none, but one sent must be good."""
        if authorisation_id is None:
            if is_public:
                return
            raise forbidden(AUTHORIZATION_REQUIRED)
        found = self._find(authorisation_id)
        if found is None:
            raise forbidden(AUTHORIZATION_REQUIRED)
        if (found.subject, found.institution, found.reason) != (code, institution, reason):
            raise forbidden(SUBJECT_MISMATCH)
        if found.state is not State.ACTIVE:
            raise forbidden(f"authorization {found.state.lower()}")
        if not is_public and module not in found.modules:
            raise forbidden(SCOPE_EXCEEDED)

    def _find(self, authorisation_id: str) -> Authorisation | None:
        found = self._by_id.get(authorisation_id)
        if found is not None and found.state is State.PENDING and self._clock.now() >= found.reviewed_at:
            found = self._change(found, State.ACTIVE)
        if found is not None and found.state is State.ACTIVE and self._clock.today() > found.valid_to:
            return self._change(found, State.EXPIRED)
        return found

    def _equal_in_force(self, body: AuthorisationBody) -> Authorisation | None:
        for known_id in self._by_letter.get(_letter(body), []):
            known = self._find(known_id)
            if (
                known is not None
                and known.state in (State.PENDING, State.ACTIVE)
                and set(body.modules) <= set(known.modules)
            ):
                return known
        return None

    def _new(self, body: AuthorisationBody) -> Authorisation:
        self._number += 1
        now, review = self._clock.now(), self._review()
        fresh = Authorisation(
            authorisation_id=f"SCA{now.astimezone(SHANGHAI):%Y%m%d}{self._number:06d}",
            subject=body.subject,
            reason=body.query_reason,
            modules=tuple(body.modules),
            institution=body.institution,
            valid_to=body.valid_to,
            artefact_digest=body.artefact_digest,
            state=State.PENDING if review else State.ACTIVE,
            changed_at=now,
            reviewed_at=now + review,
        )
        self._keep(fresh)
        self._by_letter.setdefault(_letter(body), []).append(fresh.authorisation_id)
        if len(self._by_letter) > AUTHORISATIONS_KEPT:
            self._by_letter.popitem(last=False)
        return fresh

    def _change(self, found: Authorisation, state: State) -> Authorisation:
        changed = replace(found, state=state, changed_at=self._clock.now())
        self._keep(changed)
        self._on_change(changed)
        return changed

    def _keep(self, row: Authorisation) -> None:
        self._by_id[row.authorisation_id] = row
        if len(self._by_id) > AUTHORISATIONS_KEPT:
            self._by_id.popitem(last=False)
        self._book.file(
            Filing(
                key=row.authorisation_id,
                institution=row.institution,
                subject=row.subject,
                purpose=row.reason,
                kinds=row.modules,
                at=row.changed_at,
                state=row.state.value,
                artefact_digest=row.artefact_digest,
            )
        )


def _letter(body: AuthorisationBody) -> tuple[str, str, str, str]:
    return body.subject, body.query_reason, body.institution, body.artefact_digest
