"""One dev stack for every test here: the programs as a user starts them, over real sockets with mutual TLS."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from bashu.client import Bashu
from bashu.profiles import Profile
from loadtest.authority import Grant, SigningAuthority
from loadtest.demo import ITEMS
from loadtest.stack import Stack, dev_stack

LENDER = "bank-cq"
SUBJECT = "91500105XXTT00018M"

Consented = Callable[..., Awaitable[str]]


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """A running dev stack."""
    with dev_stack() as running:
        yield running


@pytest.fixture
async def bank(stack: Stack) -> AsyncIterator[Bashu]:
    """The lender's client."""
    async with Bashu(Profile.of_dev_stack(stack.state, LENDER)) as client:
        yield client


@pytest.fixture
def consented(stack: Stack, bank: Bashu) -> Consented:
    """Register a borrower's consent and return its id; arguments replace what it grants by default."""
    authority = SigningAuthority(stack.authorities["authority-cq"])

    async def register(**terms: Any) -> str:
        grant = Grant(**{"institution": LENDER, "identifier": SUBJECT, "items": ITEMS, **terms})
        await bank.register_consent(authority.sign(grant))
        return str(grant.consent_id)

    return register
