"""Two workers, a sealer and a sweeper at work while consents are revoked, paused and held, subjects frozen: the log holds."""

from __future__ import annotations

import asyncio
import random

from consent.model import Actor, HoldKind
from core.errors import BashuError, Reason
from tests.admission_stage import FIRM, OTHER_FIRM, an_ask, open_stage

EXPECTED = {
    Reason.CONSENT_REVOKED,
    Reason.CONSENT_HELD,
    Reason.CONSENT_PAUSED,
    Reason.SUBJECT_FROZEN,
    Reason.CONSENT_EXHAUSTED,
    Reason.FREQUENCY_EXCEEDED,
    Reason.OVERLOADED,
}
QUESTIONS = 160
CHANGES = 24


async def test_nothing_is_released_after_permission_was_taken_away(fresh_database, tmp_path):
    (tmp_path / "b").mkdir()
    async with (
        open_stage(fresh_database, tmp_path) as one,
        open_stage(fresh_database, tmp_path / "b") as two,
    ):
        workers, chance = (one, two), random.Random(7)
        consents = [(subject, await one.grant(subject=subject)) for subject in (FIRM, OTHER_FIRM) for _ in range(20)]
        released = []

        async def question(worker, subject, consent):
            ask = an_ask(consent_id=consent.consent_id, subject=subject)
            admitted = await worker.admissions.admit(ask)
            await asyncio.sleep(chance.random() * 0.03)
            released.append(await worker.release(admitted))

        async def change(worker, subject, consent):
            await asyncio.sleep(chance.random() * 0.5)
            match chance.randrange(4):
                case 0:
                    await worker.consents.revoke(consent.consent_id, reason="X", actor=Actor.SUBJECT)
                case 1:
                    await worker.consents.hold(consent.consent_id, reason="X")
                    await worker.consents.lift(consent.consent_id, reason="X")
                case 2:
                    try:
                        await worker.consents.pause(consent.consent_id)
                        await worker.consents.resume(consent.consent_id)
                    except BashuError as refused:
                        not_paused.append(refused.reason)
                case _:
                    kind = chance.choice(list(HoldKind))
                    await worker.holds.lift(await worker.holds.place(subject, kind, reason="X"))

        async def asked_in_turn(worker):
            for _ in range(QUESTIONS // 16):
                try:
                    await question(worker, *chance.choice(consents))
                except BashuError as refused:
                    reasons.append(refused.reason)

        reasons, not_paused = [], []
        stop = asyncio.Event()
        sealing = asyncio.create_task(one.sealer.run(stop))
        async with asyncio.TaskGroup() as group:
            for number in range(16):
                group.create_task(asked_in_turn(workers[number % 2]))
            for number in range(CHANGES):
                group.create_task(change(workers[number % 2], *chance.choice(consents)))
        stop.set()
        await sealing
        assert len(released) + len(reasons) == QUESTIONS
        assert released
        assert set(reasons) <= EXPECTED
        assert set(not_paused) <= {Reason.CONSENT_REVOKED}
        counted = await one.count()
        assert counted["RELEASE"] == len(released)
        one.shift(seconds=36)
        await one.sweeper.sweep()
        assert await one.check_log() == []
