"""Questions about firms of the seeded population, under consents registered beforehand, as they go on the wire."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from bashu.client import Bashu
from bashu.profiles import Profile
from loadtest.authority import Grant, SigningAuthority
from loadtest.driver import Prepared
from loadtest.observation import control
from loadtest.questions import question
from loadtest.stack import Stack

USES: Final = 3
"""Uses of one consent: the most that a purpose before a loan allows."""
REGISTERING: Final = 16
"""Registrations under way at a time while preparing."""


async def prepared(stack: Stack, count: int, *, lender: str, items: Sequence[str], **fields: Any) -> list[Prepared]:
    """Register a consent for every three questions, each of another firm of the population; return the questions.

    ``fields`` are further ones of every question.
    """
    authority = SigningAuthority(stack.authorities["authority-cq"])
    page = await asyncio.to_thread(control, stack, f"subjects?limit={-(-count // USES)}", None)
    slots = asyncio.Semaphore(REGISTERING)
    consents: dict[str, str] = {}

    async def register(code: str) -> None:
        grant = Grant(institution=lender, identifier=code, items=items, max_uses=USES)
        async with slots:
            await bank.register_consent(authority.sign(grant))
        consents[code] = str(grant.consent_id)

    async with Bashu(Profile.of_dev_stack(stack.state, lender)) as bank, asyncio.TaskGroup() as group:
        for firm in page["population"]:
            group.create_task(register(firm["code"]))
    requests = [question(code, consent_id, **fields) for _ in range(USES) for code, consent_id in consents.items()]
    return [Prepared(request_id=request.request_id, frame=request.SerializeToString()) for request in requests[:count]]
