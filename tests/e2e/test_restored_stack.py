"""docs/restore.md, step by step: an older database comes back under a running gateway, which refuses until it caught up."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import quote, urlsplit

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from bashu.client import Bashu
from bashu.errors import BashuCallError
from bashu.profiles import Profile
from bashu.v1 import consent_pb2
from database import Database, open_database
from loadtest.authority import Grant, SigningAuthority
from loadtest.questions import question
from loadtest.stack import Stack, dev_stack

SUBJECT = "91500105XXTT00018M"
PAGE = Path(__file__).parents[2] / "docs" / "restore.md"
WITHIN_S = 60.0


@pytest.fixture(scope="module")
def own_stack() -> Iterator[Stack]:
    with dev_stack() as running:
        yield running


@pytest.fixture
async def superuser(own_stack: Stack) -> AsyncIterator[Database]:
    """The server's administrator, who restores databases."""
    address = urlsplit(own_stack.postgres)
    password = (own_stack.state / "postgres" / "secrets" / "postgres.password").read_text()
    dsn = f"postgresql://postgres:{quote(password)}@127.0.0.1:{address.port}/postgres?sslmode=disable"
    db = await open_database(dsn, max_size=1)
    yield db
    await db.close()


def steps(name: str) -> list[str]:
    """Return the statements of the page's SQL block under the heading ``name``."""
    section = PAGE.read_text(encoding="utf-8").split(f"## {name}\n")[1].split("\n## ")[0]
    block = re.search(r"```sql\n(.*?)```", section, re.DOTALL)
    assert block is not None
    return [line for line in block[1].splitlines() if line and not line.startswith("--")]


async def health(stack: Stack) -> int:
    profile = Profile.of_dev_stack(stack.state, "bank-cq")
    credentials = grpc.ssl_channel_credentials(
        profile.ca.read_bytes(), profile.certificate_key.read_bytes(), profile.certificate.read_bytes()
    )
    async with grpc.aio.secure_channel(stack.grpc, credentials) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
    return int(answer.status)


async def until(stack: Stack, status: int) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                if await health(stack) == status:
                    return
            except grpc.aio.AioRpcError:
                pass
            await asyncio.sleep(0.1)


async def run(db: Database, statements: list[str]) -> None:
    for statement in statements:
        await db.execute(statement)


async def refusal(bank: Bashu, consent_id: str) -> str:
    """Return why a question is refused, by the worker or, once it is back, by its successor."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            with pytest.raises(BashuCallError) as refused:
                await bank.query_credit(question(SUBJECT, consent_id))
            if refused.value.reason != "UNREACHABLE":
                return str(refused.value.reason)
            await asyncio.sleep(0.1)


async def test_an_older_database_is_not_served_until_it_has_caught_up(own_stack: Stack, superuser: Database) -> None:
    serving, not_serving = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING
    grant = Grant(institution="bank-cq", identifier=SUBJECT, items=("enterprise_registration",))
    consent_id = str(grant.consent_id)
    async with Bashu(Profile.of_dev_stack(own_stack.state, "bank-cq")) as bank:
        await bank.register_consent(SigningAuthority(own_stack.authorities["authority-cq"]).sign(grant))
        await bank.query_credit(question(SUBJECT, consent_id))
        await run(superuser, steps("备份 Backup (rehearsal)"))
        # The revocation is in the log, and not in the backup.
        await until(own_stack, serving)
        await bank.revoke_consent(consent_id, reason="LENDER_REQUEST")
        async with asyncio.timeout(WITHIN_S):
            while not await sealed(own_stack):
                await asyncio.sleep(0.1)

        await run(superuser, steps("旧备份 An older database comes back (rehearsal)"))
        await until(own_stack, not_serving)
        assert await refusal(bank, consent_id) == "EVIDENCE_UNAVAILABLE"
        older = await open_database(own_stack.postgres, max_size=1)
        size = await older.fetchval("SELECT size FROM ledger_head")
        log = (own_stack.state / "sealer.log").read_text(encoding="utf-8")
        assert "疑为旧备份" in log
        assert "database_is_older_than_the_log" in (own_stack.state / "gateway.log").read_text(encoding="utf-8")
        assert await older.fetchval("SELECT size FROM ledger_head") == size
        await older.close()

        await run(superuser, steps("追上 It has caught up (rehearsal)"))
        await until(own_stack, serving)
        assert (await bank.get_consent(consent_id)).consent.state == consent_pb2.CONSENT_STATE_REVOKED
        assert await refusal(bank, consent_id) == "CONSENT_REVOKED"


async def sealed(stack: Stack) -> bool:
    """Whether nothing waits for the tree."""
    db = await open_database(stack.postgres, max_size=1)
    try:
        return not await db.fetchval("SELECT EXISTS (SELECT 1 FROM ledger_pending)")
    finally:
        await db.close()
