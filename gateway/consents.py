"""Consents as the services use them: each change with its event, its ledger entry and the closings it causes.

One transaction a change, in the lock order: hold table, consents by id, intents by key, ledger numbers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, TypeVar
from uuid import UUID

from consent import registration, service
from consent import store as consent_store
from consent.artefact import Artefact, ParsedArtefact, Vocabulary, parse_artefact
from consent.model import Actor, ConsentEvent, ConsentFacts, ConsentState
from consent.policy import UNLIMITED_TERMS
from consent.service import Change
from consent.state import state
from consent.store import Party
from core.errors import BashuError, Reason
from database import Database, LockLost, Statements, Transaction
from gateway import store
from gateway.admission import RegistrySource
from gateway.authorities import RegisteredKeys
from gateway.entries import Entries
from gateway.intents import OpenIntent
from gateway.pseudonyms import Pseudonyms
from gateway.vault.model import Sealed
from ledger import store as ledger_store
from ledger.model import Entry

LOCK_TRIES: Final = 20
"""Of at most 250 ms each: a hold must get its table within seconds, whatever the load."""

MOST_LOOKED_AT: Final = 5_000
"""Rows looked at for one page of a listing by state."""

ChangeOf = Callable[[ConsentFacts, datetime], Change | None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """A registered consent; ``entry_id`` is its CONSENT_REGISTERED. ``is_new`` False on a repetition."""

    facts: ConsentFacts
    parsed: ParsedArtefact
    entry_id: UUID
    is_new: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A consent after a change; ``withheld`` counts the queries under way that it stopped."""

    facts: ConsentFacts
    entry_id: UUID
    withheld: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A consent as read: its facts, the time its state is computed for, its bytes and events in order."""

    facts: ConsentFacts
    now: datetime
    parsed: ParsedArtefact
    events: Sequence[ConsentEvent]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """One page of consents; ``after`` is where the next one starts, None on the last."""

    consents: Sequence[Shown]
    after: UUID | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parent:
    """A locked consent about to be superseded, and what its artefact says."""

    facts: ConsentFacts
    artefact: Artefact


class Consents:
    """Registers, reads, lists, pauses, revokes and holds consents."""

    def __init__(
        self,
        db: Database,
        *,
        vocabulary: Vocabulary,
        registry: RegistrySource,
        pseudonyms: Pseudonyms,
        entries: Entries,
        audience: str,
        commitment_holders: Mapping[str, frozenset[str]],
    ) -> None:
        self._db = db
        self._vocabulary = vocabulary
        # A later policy must not make unreadable what one of its time accepted.
        self._reading = replace(vocabulary, terms=UNLIMITED_TERMS)
        self._registry = registry
        self._pseudonyms = pseudonyms
        self._entries = entries
        self._audience = audience
        self._commitment_holders = commitment_holders

    async def register(
        self, raw: bytes, *, only_for: str | None = None, is_party: Callable[[Artefact], bool] | None = None
    ) -> Registered:
        """Register a signed artefact; the same bytes again answer alike.

        ``only_for``: the one requester allowed; ``is_party`` tells whether another caller is a party of it.

        Raises:
            BashuError: ARTEFACT_MALFORMED, ARTEFACT_SIGNATURE, ARTEFACT_UNKNOWN_KEY, CONSENT_ID_TAKEN, or
                CONSENT_NOT_FOUND_OR_NOT_YOURS for another institution's.
        """
        parsed = await self.checked(raw, only_for=only_for, is_party=is_party)
        if isinstance(parsed, Registered):
            return parsed

        async def once() -> Registered:
            async with self._db.transaction() as tx:
                registered, entries = await self.register_in(tx, parsed)
                await ledger_store.append(tx, entries)
            return registered

        return await retrying(once)

    async def checked(
        self, raw: bytes, *, only_for: str | None = None, is_party: Callable[[Artefact], bool] | None = None
    ) -> ParsedArtefact | Registered:
        """Return a signed artefact whose signature and parties are right, or the consent it was registered as before.

        Raises:
            BashuError: see :meth:`register`.
        """
        parsed = parse_artefact(raw, self._vocabulary)
        if only_for is not None and parsed.artefact.institution != only_for:
            raise BashuError(
                Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS, "the artefact names another institution as requester"
            )
        if is_party is not None and not is_party(parsed.artefact):
            raise service.not_yours()
        known_hash = await self._known_hash(parsed)
        if known_hash == parsed.sha256:
            return await self._registered_before(self._db, parsed)
        snapshot = await self._registry.snapshot()
        registration.verify(
            parsed,
            keys=RegisteredKeys(snapshot=snapshot),
            origin=self._audience,
            now=await consent_store.now(self._db),
            commitment_holders=self._commitment_holders,
        )
        if known_hash is not None:
            # Said only of a rightly signed artefact: unsigned ones would tell which ids of others exist.
            raise _taken()
        return parsed

    async def register_in(self, tx: Transaction, parsed: ParsedArtefact) -> tuple[Registered, list[Entry]]:
        """Write a checked artefact's consent; return what to append, nothing where another call registered it first.

        Raises:
            BashuError: CONSENT_ID_TAKEN; of what it supersedes, see :func:`consent.service.superseded`.
        """
        standing = await consent_store.standing_holds(tx, parsed.artefact.subject.commitment)
        parent = await self._parent(tx, parsed)
        change = service.registered(parsed, now=await consent_store.now(tx))
        if parent is not None:
            if parent.facts.superseded_by == change.facts.consent_id:
                return await self._registered_before(tx, parsed), []
            same = _windows(parent.artefact) == _windows(parsed.artefact)
            replaced = _superseded(parent.facts, change, parsed)
            change = service.carried_over(change, parent.facts, same_windows=same)
        entry = self._entries.registered(
            change.transition, parsed.artefact, standing=standing, carried=change.facts.carried
        )
        facts = await service.record_registration(
            tx, change, parsed.raw, entry_id=entry.entry_id, leaf_hash=entry.leaf_hash
        )
        if facts is None:
            return await self._registered_before(tx, parsed), []
        before = [] if parent is None else (await _stop(tx, self._entries, replaced, Reason.CONSENT_SUPERSEDED))[1]
        return Registered(facts=facts, parsed=parsed, entry_id=entry.entry_id, is_new=True), [*before, entry]

    async def show(
        self, consent_id: UUID, *, institution: str | None, is_party: Callable[[ConsentFacts], bool] | None = None
    ) -> Shown:
        """Read a consent; ``institution`` None for whoever is told to be its party by ``is_party`` or was before.

        Raises:
            BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS.
        """
        facts = await service.get(self._db, consent_id, institution=institution)
        if is_party is not None and not is_party(facts):
            # Before its bytes are read: not-yours must not cost more than not-found.
            raise service.not_yours()
        raw = (await consent_store.artefacts(self._db, [consent_id]))[consent_id]
        return Shown(
            facts=facts,
            now=await consent_store.now(self._db),
            parsed=parse_artefact(raw, self._reading),
            events=await consent_store.events(self._db, consent_id),
        )

    async def revoke(self, consent_id: UUID, *, reason: str, actor: Actor, expected_revision: int = 0) -> Changed:
        """Withdraw a consent: nothing admitted under it is released once this returned. Who may is the caller's check.

        Raises:
            BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS, REVISION_CHANGED.
        """

        def withdraw(facts: ConsentFacts, now: datetime) -> Change | None:
            return service.revoked(
                facts, reason=reason or "WITHDRAWN", actor=actor, now=now, expected_revision=expected_revision
            )

        return await retrying(lambda: self._take_away(consent_id, withdraw, Reason.CONSENT_REVOKED))

    async def pause(self, consent_id: UUID, *, expected_revision: int = 0) -> Changed:
        """Pause a consent for its subject: what is under way is withheld with CONSENT_PAUSED.

        Raises:
            BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS, REVISION_CHANGED; the state's reason where it has ended.
        """

        def pause(facts: ConsentFacts, now: datetime) -> Change | None:
            return service.paused(facts, now=now, expected_revision=expected_revision)

        return await retrying(lambda: self._take_away(consent_id, pause, Reason.CONSENT_PAUSED))

    async def resume(self, consent_id: UUID, *, expected_revision: int = 0) -> Changed:
        """End a pause.

        Raises:
            BashuError: CONSENT_NOT_FOUND_OR_NOT_YOURS, REVISION_CHANGED; the state's reason where it has ended.
        """

        def resume(facts: ConsentFacts, now: datetime) -> Change | None:
            return service.resumed(facts, now=now, expected_revision=expected_revision)

        return await retrying(lambda: self._give_back(consent_id, resume))

    async def page(
        self, party: Party | None, name: str, *, after: UUID, size: int, states: frozenset[ConsentState]
    ) -> Page:
        """Return up to ``size`` consents of a party (None: everybody's), those in ``states`` or all, by id.

        A page may hold fewer and yet not be the last: states are no column, so no more than :data:`MOST_LOOKED_AT`
        rows are looked at for one page.
        """
        now, found, looked_at = await consent_store.now(self._db), list[ConsentFacts](), 0
        while True:
            rows = await self._rows(party, name, after=after, limit=size + 1)
            for row in rows[:size]:
                after, looked_at = row.consent_id, looked_at + 1
                if not states or state(row, now) in states:
                    found.append(row)
                if len(found) == size or looked_at == MOST_LOOKED_AT:
                    break
            is_last = len(rows) <= size and (not rows or after == rows[-1].consent_id)
            if is_last or len(found) == size or looked_at >= MOST_LOOKED_AT:
                return Page(consents=await self._shown(found, now), after=None if is_last else after)

    async def hold(self, consent_id: UUID, *, reason: str) -> Changed:
        """Place compliance's hold on one consent; it works like a revocation until it is lifted."""

        def place(facts: ConsentFacts, now: datetime) -> Change | None:
            return service.held(facts, reason=reason, now=now)

        return await retrying(lambda: self._take_away(consent_id, place, Reason.CONSENT_HELD))

    async def lift(self, consent_id: UUID, *, reason: str) -> Changed:
        """Lift one hold of compliance from a consent."""

        def lift(facts: ConsentFacts, now: datetime) -> Change | None:
            return service.unheld(facts, reason=reason, now=now)

        return await retrying(lambda: self._give_back(consent_id, lift))

    async def _parent(self, tx: Transaction, parsed: ParsedArtefact) -> _Parent | None:
        """Lock the consent that the artefact supersedes; of two amendments the second finds it superseded."""
        named = parsed.artefact.supersedes
        if named is None:
            return None
        facts = await service.lock_parent(tx, named.consent_id)
        raw = (await consent_store.artefacts(tx, [named.consent_id]))[named.consent_id]
        return _Parent(facts=facts, artefact=parse_artefact(raw, self._reading).artefact)

    async def _known_hash(self, parsed: ParsedArtefact) -> bytes | None:
        facts = await consent_store.find(self._db, parsed.artefact.consent_id)
        return None if facts is None else facts.artefact_hash

    async def _registered_before(self, db: Statements, parsed: ParsedArtefact) -> Registered:
        facts = await consent_store.find(db, parsed.artefact.consent_id)
        assert facts is not None
        if facts.artefact_hash != parsed.sha256:
            raise _taken()
        first = (await consent_store.events(db, facts.consent_id))[0]
        return Registered(facts=facts, parsed=parsed, entry_id=first.entry_id, is_new=False)

    async def _take_away(self, consent_id: UUID, change_of: ChangeOf, reason: Reason) -> Changed:
        async with self._db.transaction() as tx:
            changed, entries = await take_away(tx, self._entries, consent_id, change_of, reason)
            await ledger_store.append(tx, entries)
        return changed

    async def _give_back(self, consent_id: UUID, change_of: ChangeOf) -> Changed:
        async with self._db.transaction() as tx:
            changed, entries = await give_back(tx, self._entries, consent_id, change_of)
            await ledger_store.append(tx, entries)
        return changed

    async def _rows(self, party: Party | None, name: str, *, after: UUID, limit: int) -> list[ConsentFacts]:
        if party is None:
            return await consent_store.page_of_all(self._db, after=after, limit=limit)
        return await consent_store.page_of(self._db, party, name, after=after, limit=limit)

    async def _shown(self, found: Sequence[ConsentFacts], now: datetime) -> list[Shown]:
        raw = await consent_store.artefacts(self._db, [facts.consent_id for facts in found])
        shown = []
        for facts in found:
            parsed = parse_artefact(raw[facts.consent_id], self._reading)
            shown.append(Shown(facts=facts, now=now, parsed=parsed, events=()))
            # A page of 500 must not keep the queries of this worker waiting.
            await asyncio.sleep(0)
        return shown


async def take_away(
    tx: Transaction,
    entries: Entries,
    consent_id: UUID,
    change_of: ChangeOf,
    reason: Reason,
    *,
    sealed: Sealed | None = None,
) -> tuple[Changed, list[Entry]]:
    """Lock a consent, change it, close what is open under it; return what to append, last and in this order."""
    facts = await service.lock_one(tx, consent_id)
    change = change_of(facts, await consent_store.now(tx))
    if change is None:
        return await _unchanged(tx, facts)
    return await _stop(tx, entries, change, reason, sealed=sealed)


async def give_back(
    tx: Transaction,
    entries: Entries,
    consent_id: UUID,
    change_of: ChangeOf,
    *,
    sealed: Sealed | None = None,
) -> tuple[Changed, list[Entry]]:
    """Lock a consent and change it where that takes nothing away; return what to append."""
    facts = await service.lock_one(tx, consent_id)
    change = change_of(facts, await consent_store.now(tx))
    if change is None:
        return await _unchanged(tx, facts)
    entry = entries.status(change.transition, sealed=sealed)
    after = await service.record(tx, change, entry_id=entry.entry_id, leaf_hash=entry.leaf_hash)
    return Changed(facts=after, entry_id=entry.entry_id, withheld=0), [entry]


async def _unchanged(tx: Transaction, facts: ConsentFacts) -> tuple[Changed, list[Entry]]:
    events = await consent_store.events(tx, facts.consent_id)
    return Changed(facts=facts, entry_id=events[-1].entry_id, withheld=0), []


def _superseded(parent: ConsentFacts, change: Change, parsed: ParsedArtefact) -> Change:
    assert parsed.artefact.supersedes is not None
    named = parsed.artefact.supersedes.artefact_hash
    return service.superseded(parent, by=change.facts, artefact_hash=named, now=change.transition.at)


def _windows(artefact: Artefact) -> tuple[object, str]:
    return artefact.usage.period, artefact.usage.tz


async def _stop(
    tx: Transaction, entries: Entries, change: Change, reason: Reason, *, sealed: Sealed | None = None
) -> tuple[Changed, list[Entry]]:
    """Write a change of a locked consent that takes permission away, and close what is open under it."""
    intents = await store.lock_open_of_consents(tx, [change.facts.consent_id])
    closings = await close_open(tx, entries, intents, reason=reason, now=change.transition.at)
    entry = entries.status(change.transition, sealed=sealed)
    after = await service.record(tx, change, entry_id=entry.entry_id, leaf_hash=entry.leaf_hash)
    return Changed(facts=after, entry_id=entry.entry_id, withheld=len(closings)), [*closings, entry]


def _taken() -> BashuError:
    return BashuError(Reason.CONSENT_ID_TAKEN, "this consent id was registered with other bytes")


async def close_open(
    tx: Transaction, entries: Entries, intents: Sequence[OpenIntent], *, reason: Reason, now: datetime
) -> list[Entry]:
    """Close locked open intents; return their RELEASE_WITHHELD entries, to be appended before one's own."""
    closings = [
        store.Closing(key=intent.key, reason=reason.value, entry=entries.withheld(intent, reason, ts=now))
        for intent in intents
    ]
    await store.close_locked(tx, closings, reason=reason.value)
    return [closing.entry for closing in closings]


async def retrying(work: Callable[[], Awaitable[T]]) -> T:
    """Do a transaction again when it lost a lock, up to :data:`LOCK_TRIES` times."""
    for attempt in range(LOCK_TRIES - 1):
        try:
            return await work()
        except LockLost:
            await asyncio.sleep(0.005 * (attempt + 1))
    return await work()
