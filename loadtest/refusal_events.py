"""Wrong requests that something has to happen to first: an amendment, a stolen key, a sealer that stands still."""

from __future__ import annotations

import hashlib
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from bashu.errors import BashuCallError
from bashu.v1 import admin_pb2
from consent.checks import OLDEST_PENDING_S
from core.errors import Reason
from core.ids import uuid7
from ledger import store
from loadtest.authority import Grant, SigningAuthority
from loadtest.observation import ledger_reader, until
from loadtest.refusal_world import ITEM, LENDER, STATE_WITHIN_S, SUBJECT, Attempt, World
from loadtest.stack import read_stack

STOLEN_FROM: Final = "authority-sc"
"""No other case asks under a consent that it signed."""
SEALED_LATELY_S: Final = 5.0


async def superseded(world: World) -> Attempt:
    """Ask under a consent that another took the place of."""
    old = Grant(institution=LENDER, identifier=SUBJECT, items=(ITEM,))
    artefact = world.authority.sign(old)
    await world.register(artefact)
    named = {"consent_id": str(old.consent_id), "artefact_hash": hashlib.sha256(artefact).hexdigest()}
    fresh = replace(old, consent_id=uuid7(), overrides={"supersedes": named})
    await world.register(world.authority.sign(fresh))
    return world.ask(str(old.consent_id))


async def key_compromised(world: World) -> Attempt:
    """Ask under a consent whose authority has since reported its key as compromised."""
    stolen = world.stack.authorities[STOLEN_FROM]
    signer = SigningAuthority(stolen)
    grant = Grant(institution=LENDER, identifier=SUBJECT, items=(ITEM,))
    await world.register(signer.sign(grant))
    await world.administer(
        "RevokeKey", admin_pb2.RevokeKeyRequest(participant_id=STOLEN_FROM, kid=stolen.kid, compromised=True)
    )

    async def is_known() -> bool:
        try:
            await world.register(signer.sign(replace(grant, consent_id=uuid7())))
        except BashuCallError as error:
            return error.reason == Reason.ARTEFACT_UNKNOWN_KEY
        return False

    await until(is_known, within_s=STATE_WITHIN_S, what="the registry to reach the workers")
    return world.ask(str(grant.consent_id))


async def evidence_stale(world: World) -> Attempt:
    """Ask while the sealer has stood still for longer than admissions bear; it goes on afterwards."""
    # As it is now: a sealer that ended since the stack was ready came back under another number.
    sealer = read_stack(world.stack.state).pids["sealer"]
    attempt = world.ask(await world.grant())
    os.kill(sealer, signal.SIGSTOP)
    try:
        await _heartbeat(world, lambda age_s: age_s > OLDEST_PENDING_S)
    except TimeoutError:
        os.kill(sealer, signal.SIGCONT)
        raise

    async def call() -> None:
        try:
            await attempt.call()
        finally:
            os.kill(sealer, signal.SIGCONT)
            await _heartbeat(world, lambda age_s: age_s < SEALED_LATELY_S)

    return replace(attempt, call=call)


async def _heartbeat(world: World, is_so: Callable[[float], bool]) -> None:
    async with ledger_reader(world.stack) as db:

        async def happened() -> bool:
            return is_so((await store.freshness(db)).heartbeat_s)

        await until(happened, within_s=2 * OLDEST_PENDING_S, what="the age of the sealer's last sign of life")
