"""What a platform's operator decides: admit (two persons), stop and let go on (one, at once). Each leaves an entry.

Default deny: a lender that no two persons admitted gets nothing (platforms.md, the operator's own controls).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from core.clock import SHANGHAI
from core.errors import BashuError, Reason, Turn
from database import Database, Transaction
from gateway.identity import store as registry_store
from gateway.identity.admin import Actor, Administration
from gateway.identity.model import PlatformAccess, PlatformState
from gateway.platform import store
from gateway.platform.store import AccessProposal

PROPOSAL_LASTS: Final = timedelta(hours=24)
"""How long a first person's wish waits for the second."""
LENDER_STATES: Final = frozenset({PlatformState.RUNNING, PlatformState.STOPPED})


class PlatformControls:
    """The changes, each in a transaction of its own."""

    def __init__(self, db: Database, *, administration: Administration) -> None:
        self._db = db
        self._administration = administration

    async def set_state(self, platform_id: str, state: PlatformState, *, reason: str, actor: Actor) -> datetime:
        """Say whether a platform takes enquiries, and return since when; other workers know within a second.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS.
        """
        async with self._db.transaction() as tx:
            now = await registry_store.read_now(tx)
            known = await store.lock_platform(tx, platform_id)
            if known is None:
                raise _unknown("platform_id")
            await store.set_state(tx, platform_id, state)
            await self._administration.platform_state(
                tx, platform_id, was=known.state.value, to=state.value, details={"reason": reason}, actor=actor
            )
        return now

    async def set_lender(
        self, platform_id: str, institution: str, state: PlatformState, *, reason: str, actor: Actor
    ) -> datetime:
        """Stop one lender at a platform, or let it go on with what two persons granted it.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS where the platform never admitted it, MALFORMED for another state.
        """
        if state not in LENDER_STATES:
            raise BashuError(Reason.MALFORMED, "of one lender: RUNNING or STOPPED", field="state")
        async with self._db.transaction() as tx:
            now = await registry_store.read_now(tx)
            known = await store.lock_access(tx, platform_id, institution)
            if known is None:
                raise _unknown("lender")
            since = now if state is PlatformState.STOPPED else None
            await store.stop_access(tx, platform_id, institution, since=since)
            was = PlatformState.RUNNING if known.stopped_at is None else PlatformState.STOPPED
            await self._administration.platform_state(
                tx,
                platform_id,
                was=f"LENDER_{was.value}",
                to=f"LENDER_{state.value}",
                details={"institution": institution, "reason": reason},
                actor=actor,
            )
        return now

    async def set_access(self, access: PlatformAccess, *, actor: Actor) -> PlatformAccess:
        """Admit a lender to something, or keep the wish: it takes two persons of the platform within 24 h.

        ``confirmed`` of what is returned tells which; until then what was admitted before goes on.

        Raises:
            BashuError: NOT_FOUND_OR_NOT_YOURS for an unknown platform or lender.
        """
        async with self._db.transaction() as tx:
            now = await registry_store.read_now(tx)
            if await store.lock_platform(tx, access.platform_id) is None:
                raise _unknown("platform_id")
            if not await registry_store.institution_roles(tx, access.institution):
                raise _unknown("lender")
            if access.valid_to is not None and access.valid_to < now.astimezone(SHANGHAI).date():
                raise BashuError(Reason.MALFORMED, "valid_to is today or later", field="valid_to")
            return await self._wished(tx, access, actor=actor, now=now)

    async def page(self, platform_id: str, *, after: str, limit: int) -> Sequence[PlatformAccess]:
        """Return what a platform admits lenders to, by institution."""
        return await store.access_page(self._db, platform_id, after=after, limit=limit)

    async def _wished(self, tx: Transaction, access: PlatformAccess, *, actor: Actor, now: datetime) -> PlatformAccess:
        first = await store.lock_proposal(tx, access.platform_id, access.institution)
        wished = replace(access, confirmed=False, stopped_at=None)
        if first is not None and is_seconded(first, wished, actor, now):
            confirmed = replace(access, confirmed=True, stopped_at=None)
            await store.decide(tx, access.platform_id, access.institution, at=now)
            await self._administration.set_access(tx, confirmed, actor=actor)
            return confirmed
        wish = AccessProposal(
            access=wished, proposed_by=actor.participant_id, proposed_operator=actor.operator, proposed_at=now
        )
        await store.propose(tx, wish)
        await self._administration.access_proposed(tx, wished, actor=actor)
        return wished


def is_seconded(first: AccessProposal, wished: PlatformAccess, actor: Actor, now: datetime) -> bool:
    """Tell whether ``actor`` seconds exactly the first wish: another person, within 24 h."""
    is_same = first.access == wished
    return is_same and first.proposed_operator != actor.operator and now - first.proposed_at <= PROPOSAL_LASTS


def _unknown(field: str) -> BashuError:
    return BashuError(
        Reason.NOT_FOUND_OR_NOT_YOURS, "no such platform or lender, or not yours", field=field, turn=Turn.CALLER
    )
