"""A sealer that stands still, over real sockets: real queries are refused with EVIDENCE_STALE, and served once it caught up."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator

import pytest

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from database import Database, open_database
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.questions import question
from loadtest.stack import Stack, dev_stack
from tests.fault.conftest import LENDER

SUBJECT = "91500105XXTT00018M"
BOUND_S = 3
WAITING = "SELECT extract(epoch FROM clock_timestamp() - min(appended_at))::float8 FROM ledger_pending JOIN ledger_entry USING (seq)"
REFUSED = """SELECT count(*) FROM ledger_entry WHERE convert_from(body, 'UTF8')::jsonb @>
    '{"type": "QUERY_DENIED", "decision": {"reason": "EVIDENCE_STALE"}}'"""
PENDING = "SELECT count(*) FROM ledger_pending"


@pytest.fixture
def bounded() -> Iterator[Stack]:
    """A stack of its own with a small bound."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BASHU_LEDGER__STALE_S", str(BOUND_S))
        with dev_stack() as running:
            yield running


async def until(db: Database, sql: str, holds: object) -> None:
    async with asyncio.timeout(60):
        while not holds(await db.fetchval(sql)):  # type: ignore[operator]
            await asyncio.sleep(0)


async def test_a_query_is_refused_while_the_sealer_stands_still_and_served_once_it_caught_up(bounded: Stack) -> None:
    authority = SigningAuthority(bounded.authorities["authority-cq"])
    db = await open_database(bounded.postgres, min_size=1, max_size=1, application_name="stale-evidence")
    async with Bashu(Profile.of_dev_stack(bounded.state, LENDER)) as bank:

        async def consented() -> str:
            grant = Grant(institution=LENDER, identifier=SUBJECT, items=ITEMS)
            await bank.register_consent(authority.sign(grant))
            return str(grant.consent_id)

        consent = await consented()
        os.kill(bounded.pids["sealer"], signal.SIGSTOP)
        try:
            other = await consented()
            await until(db, WAITING, lambda age: age is not None and age > BOUND_S)
            for consent_id in (consent, other):
                with pytest.raises(BashuCallError) as refused:
                    await bank.query_credit(question(SUBJECT, consent_id))
                assert (refused.value.reason, refused.value.turn) == ("EVIDENCE_STALE", "OPERATOR")
            # What takes permission away works meanwhile.
            await bank.revoke_consent(other)
        finally:
            os.kill(bounded.pids["sealer"], signal.SIGCONT)
        await until(db, PENDING, lambda waiting: waiting == 0)
        answer = await bank.query_credit(question(SUBJECT, consent))
        answer.verify(bounded.ledger_vkey)
        # Each of the two calls, and each try that the client made of it.
        assert await db.fetchval(REFUSED) >= 2
        uses = await db.fetchval("SELECT used FROM consent WHERE consent_id = $1", consent)
    await db.close()
    assert uses == 1
