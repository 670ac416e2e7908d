"""What of a question is granted: platforms, items, look-back. Pure; checks 8 and 10 say what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final

from consent.artefact import Artefact, Assurance
from consent.limits import NO_TABLE, PolicyTable
from consent.model import AccessFact, Ask, ConsentFacts, HoldKind, LicenceFact, Loan, PlatformFact, Scope
from consent.witnessing import WitnessBudgets
from core.clock import SHANGHAI
from core.permit import Subject, SubjectKind
from standards.items import ItemDictionary
from standards.licences import LicenceKinds
from standards.purposes import Purposes

PUBLIC_LOOKBACK_DAYS: Final = 5 * 366
"""Longest look-back for public items without a consent; a working value, unverified."""
_SOLE_PROPRIETOR: Final = "92"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rulebook:
    """The parts of the standard that decisions rest on."""

    items: ItemDictionary
    purposes: Purposes
    licences: LicenceKinds


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Everything one decision rests on: the question, the time, and facts read together with it.

    ``consent`` None: no such row (or no consent named: ``ask.consent_id`` None). ``artefact`` is None until its bytes
    were found to have the registered hash. ``commitment``: recomputed from the identifier, None without its key.
    ``pseudonym``: the gateway's own name of the subject, the one on its loans.
    ``is_free``: a repeat whose first attempt paid, so no use is reserved.
    ``policy``: the operator's table in force when the facts were read.
    ``stale_s``: how old the evidence may be.
    ``witness_budgets``: None where no outside witnesses are configured; ``witnessed_s``: age of what they cosigned.
    """

    ask: Ask
    now: datetime
    rules: Rulebook
    consent: ConsentFacts | None = None
    artefact: Artefact | None = None
    is_key_compromised: bool = False
    commitment: str | None = None
    pseudonym: str = ""
    platforms: Mapping[str, PlatformFact]
    access: Mapping[str, AccessFact]
    operator_licences: tuple[LicenceFact, ...] = ()
    loan: Loan | None = None
    holds: frozenset[HoldKind] = frozenset()
    is_free: bool = False
    policy: PolicyTable = NO_TABLE
    oldest_pending_s: float | None = None
    heartbeat_s: float = 0.0
    stale_s: float = 30.0
    witnessed_s: float | None = None
    witness_budgets: WitnessBudgets | None = None

    @property
    def today(self) -> date:
        """The calendar day of the decision, Asia/Shanghai."""
        return self.now.astimezone(SHANGHAI).date()


def target_platforms(case: Case) -> tuple[str, ...]:
    """Return the platforms that the question goes to, sorted: granted (or, without a consent, known) and asked for."""
    granted = [provider.platform_id for provider in case.artefact.providers] if case.artefact else list(case.platforms)
    known = [name for name in granted if name in case.platforms]
    asked = case.ask.regions
    return tuple(sorted(name for name in known if not asked or case.platforms[name].region in asked))


def granted_items(case: Case) -> frozenset[str]:
    """Return the items granted; to the subject itself all that is held.

    Restricted ones of whoever has a person behind only where the warning was given (条例 Art. 14, R7), and never by a
    lender's own letter: which firms are a person's is in the identifier, which no artefact shows.
    """
    items = case.rules.items
    if case.ask.is_self:
        held = {name for platform in case.platforms.values() for name in platform.items}
        return frozenset(name for name in held if items.is_about(name, case.ask.subject.kind))
    if case.artefact is None:
        return frozenset(
            name
            for name in {*case.ask.items, *_public_beside(case)}
            if items.public_by_law(name) and items.is_about(name, case.ask.subject.kind)
        )
    granted = frozenset(case.artefact.items) | _public_beside(case)
    is_warned = case.artefact.has_restricted_ack and case.artefact.assurance is not Assurance.LENDER_ATTESTED
    if is_warned or not has_person_behind(case.ask.subject):
        return granted
    return frozenset(name for name in granted if not items.is_restricted(name))


def has_person_behind(subject: Subject) -> bool:
    """Tell whether the subject is a person or a sole proprietor (codes 92…), behind whom stands one."""
    return subject.kind is SubjectKind.PERSON or subject.identifier.startswith(_SOLE_PROPRIETOR)


def asked_items(case: Case) -> frozenset[str]:
    """Return the items asked for, defaults filled in."""
    asked = frozenset(case.ask.items)
    return asked | _public_beside(case) if asked else granted_items(case)


def _public_beside(case: Case) -> frozenset[str]:
    """Return what an evaluation's hard stops rest on: items public by law, which need no grant."""
    return frozenset(name for name in case.ask.public_items if case.rules.items.public_by_law(name))


def granted_range(case: Case) -> tuple[date, date]:
    """Return the first and last day granted."""
    if case.artefact is None:
        return case.today - timedelta(days=PUBLIC_LOOKBACK_DAYS), case.today
    if case.artefact.lookback_range is not None:
        return case.artefact.lookback_range
    assert case.artefact.lookback_days is not None
    return case.today - timedelta(days=case.artefact.lookback_days), case.today


def asked_range(case: Case) -> tuple[date, date]:
    """Return the first and last day asked for, defaults filled in."""
    match case.ask.lookback:
        case None:
            return granted_range(case)
        case int(days):
            return case.today - timedelta(days=days), case.today
        case (first, last):
            return first, last


def effective_scope(case: Case) -> Scope:
    """Return what may be asked: everything asked for that is granted. Meaningful once checks 8 and 10 passed."""
    granted, asked = granted_items(case), asked_items(case)
    items = asked & granted
    platforms = target_platforms(case)
    (from_asked, to_asked), (from_granted, to_granted) = asked_range(case), granted_range(case)
    look_from, look_to = max(from_asked, from_granted), min(to_asked, to_granted)
    narrowed = items != asked or (look_from, look_to) != (from_asked, to_asked)
    targets = {name: case.platforms[name].items & items for name in platforms}
    return Scope(
        items=tuple(sorted(items)),
        platforms=platforms,
        targets={name: held for name, held in targets.items() if held},
        look_from=look_from,
        look_to=look_to,
        narrowed=narrowed,
        dropped_items=tuple(sorted(asked - granted)),
        asked_from=from_asked if narrowed else None,
        asked_to=to_asked if narrowed else None,
    )
