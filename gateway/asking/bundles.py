"""Bundles of drafts with one signing: asked by a lender, decided by the borrower's agent in one step.

Until it is decided a bundle is no consent and has no entry in the ledger; what is granted is registered as any artefact
is, all of it and the decision in one transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from consent import store as consent_store
from consent.artefact import ParsedArtefact
from consent.bundle import Bundle, BundleState, Draft, check_granted
from core.errors import BashuError, Reason, Turn
from core.permit import Subject
from database import Database, Transaction
from gateway.asking import store
from gateway.asking.texts import Texts
from gateway.consents import Consents, Registered, retrying
from gateway.pseudonyms import Pseudonyms
from ledger import store as ledger_store
from ledger.model import Entry


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What a borrower's agent decides: artefacts, or none to refuse; for which subject, and who acts."""

    artefacts: Sequence[bytes]
    commitment: str
    actor: str


class Bundles:
    """Keeps what lenders ask for and records what borrowers decide. Who may call is the role table's."""

    def __init__(
        self, db: Database, *, consents: Consents, texts: Texts, pseudonyms: Pseudonyms, lasts: timedelta
    ) -> None:
        self._db = db
        self._consents = consents
        self._texts = texts
        self._pseudonyms = pseudonyms
        self._lasts = lasts

    async def ask(
        self, bundle_id: UUID, *, institution: str, subject: Subject, drafts: Sequence[Draft], notice_sha256: bytes
    ) -> Bundle:
        """Keep what a lender asks for; the same again answers alike, with the time it lapses as it was.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS for a notice that nobody registered, IDEMPOTENCY_CONFLICT.
        """
        await self._texts.get(notice_sha256)
        now = await consent_store.now(self._db)
        bundle = Bundle(
            bundle_id=bundle_id,
            institution=institution,
            pseudonym=self._pseudonyms.subject(subject),
            commitments=tuple(self._pseudonyms.commitments(subject)),
            drafts=tuple(drafts),
            notice_sha256=notice_sha256,
            requested_at=now,
            expires_at=now + self._lasts,
        )
        if await store.insert_bundle(self._db, bundle):
            return bundle
        known = await store.find_bundle(self._db, bundle_id)
        if known is None or _asked(known) != _asked(bundle):
            raise BashuError(
                Reason.IDEMPOTENCY_CONFLICT, "this bundle id was used for something else", field="bundle_id"
            )
        return known

    async def find(
        self, bundle_id: UUID, *, institution: str | None = None, commitment: str | None = None
    ) -> tuple[Bundle, datetime]:
        """Return a lender's or a subject's bundle and the time its state is computed for.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS.
        """
        bundle = await store.find_bundle(self._db, bundle_id)
        if bundle is None or not (bundle.institution == institution or bundle.is_about(commitment)):
            raise _no_such()
        return bundle, await consent_store.now(self._db)

    async def page(
        self, institution: str, *, after: UUID | None, states: Collection[BundleState], limit: int
    ) -> Sequence[tuple[Bundle, datetime]]:
        """Return a lender's bundles in these states, the newest first, each with the time of its state."""
        return await store.bundle_page(self._db, institution, after=after, states=states, limit=limit)

    async def decide(self, bundle_id: UUID, decision: Decision) -> Bundle:
        """Grant with signed artefacts, or refuse with none; the same decision again answers alike.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS; CONSENT_EXPIRED once it lapsed; IDEMPOTENCY_CONFLICT after another
                decision; of :func:`consent.bundle.check_granted` and :meth:`gateway.consents.Consents.register`.
        """
        bundle, now = await self.find(bundle_id, commitment=decision.commitment)
        parsed = [await self._consents.checked(raw, only_for=bundle.institution) for raw in decision.artefacts]
        check_granted(bundle, [each.artefact for each in map(_parsed, parsed)], now=bundle.decided_at or now)
        return await retrying(lambda: self._decide(bundle_id, decision, parsed))

    async def _decide(
        self, bundle_id: UUID, decision: Decision, checked: Sequence[ParsedArtefact | Registered]
    ) -> Bundle:
        async with self._db.transaction() as tx:
            bundle = await store.lock_bundle(tx, bundle_id)
            assert bundle is not None
            now = await consent_store.now(tx)
            decided = replace(
                bundle,
                granted=bool(checked),
                consent_ids=tuple(sorted(_parsed(each).artefact.consent_id for each in checked)),
                decided_by=decision.actor,
                decided_at=now,
            )
            match bundle.state(now):
                case BundleState.LAPSED:
                    raise BashuError(Reason.CONSENT_EXPIRED, "the request has lapsed: ask anew", turn=Turn.LENDER)
                case BundleState.GRANTED | BundleState.DENIED:
                    same_ids = bundle.consent_ids == decided.consent_ids
                    if not (same_ids and await _are_registered(tx, checked)):
                        raise BashuError(
                            Reason.IDEMPOTENCY_CONFLICT, "the bundle was decided otherwise", field="bundle_id"
                        )
                    return bundle
                case BundleState.REQUESTED:
                    entries = await self._register(tx, checked)
            await store.decide(tx, decided)
            await ledger_store.append(tx, entries)
        return decided

    async def _register(self, tx: Transaction, checked: Sequence[ParsedArtefact | Registered]) -> list[Entry]:
        entries: list[Entry] = []
        new = [each for each in checked if isinstance(each, ParsedArtefact)]
        for parsed in sorted(new, key=_lock_order):
            entries += (await self._consents.register_in(tx, parsed))[1]
        return entries


def _parsed(checked: ParsedArtefact | Registered) -> ParsedArtefact:
    return checked.parsed if isinstance(checked, Registered) else checked


async def _are_registered(tx: Transaction, checked: Sequence[ParsedArtefact | Registered]) -> bool:
    """Tell whether just these bytes are registered: an id alone could come with others."""
    hashes = {_parsed(each).artefact.consent_id: _parsed(each).sha256 for each in checked}
    found = [await consent_store.find(tx, consent_id) for consent_id in hashes]
    return all(facts is not None and facts.artefact_hash == hashes[facts.consent_id] for facts in found)


def _lock_order(parsed: ParsedArtefact) -> UUID:
    """Order by the consent that a registration locks: the one superseded, else none but its own new one."""
    artefact = parsed.artefact
    return artefact.supersedes.consent_id if artefact.supersedes else artefact.consent_id


def _asked(bundle: Bundle) -> tuple[object, ...]:
    return bundle.institution, bundle.pseudonym, bundle.drafts, bundle.notice_sha256


def _no_such() -> BashuError:
    return BashuError(Reason.NOT_FOUND_OR_NOT_YOURS, "no such bundle, or not yours", field="bundle_id")
