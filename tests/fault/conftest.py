"""One dev stack for the fault tests that need the whole path, apart from the one that shows the path healthy."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from bashu.client import Bashu
from bashu.profiles import Profile
from loadtest.authority import SigningAuthority
from loadtest.stack import Stack, dev_stack

LENDER = "bank-cq"


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
def authority(stack: Stack) -> SigningAuthority:
    """The consent authority that borrowers sign with."""
    return SigningAuthority(stack.authorities["authority-cq"])


@pytest.fixture
def lender() -> str:
    """The participant id of ``bank``."""
    return LENDER
