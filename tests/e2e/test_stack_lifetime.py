"""The dev stack's life: stopped without a trace, started again on the same data, killed and started again."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bashu.client import Bashu
from bashu.profiles import Profile
from bashu.v1 import consent_pb2
from loadtest.authority import Grant, SigningAuthority
from loadtest.observation import all_pids, wait_until_gone
from loadtest.questions import question
from loadtest.stack import Stack, dev_stack

SUBJECT = "91500105XXTT00018M"
GONE_WITHIN_S = 15.0


@dataclass(slots=True, kw_only=True)
class Lives:
    """Three lives of one state folder: the first ended by SIGTERM, the second by SIGKILL, the third to look."""

    left_by_term: list[int] = field(default_factory=list)
    left_by_kill: list[int] = field(default_factory=list)
    left_by_next_start: list[int] = field(default_factory=list)
    states: list[int] = field(default_factory=list)
    used: list[int] = field(default_factory=list)
    described_after_stop: bool = True


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    seen = Lives()
    with TemporaryDirectory(prefix="bashu-") as folder:
        state = Path(folder)
        with dev_stack(state=state) as stack:
            first = all_pids(stack)
            consent_id = asyncio.run(register_and_ask(stack))
        seen.left_by_term = wait_until_gone(first, within_s=GONE_WITHIN_S)
        seen.described_after_stop = (state / "dev.json").exists()
        with dev_stack(state=state) as stack:
            second, postmaster = all_pids(stack), stack.pids["postgres"]
            asyncio.run(look(stack, consent_id, seen))
            os.kill(stack.pids["dev"], signal.SIGKILL)
            # PostgreSQL stays until the next start finds and stops it: killed itself it would have to recover.
            seen.left_by_kill = wait_until_gone([pid for pid in second if pid != postmaster], within_s=GONE_WITHIN_S)
        with dev_stack(state=state) as stack:
            seen.left_by_next_start = wait_until_gone([postmaster], within_s=GONE_WITHIN_S)
            asyncio.run(look(stack, consent_id, seen))
        yield seen


async def register_and_ask(stack: Stack) -> str:
    grant = Grant(institution="bank-cq", identifier=SUBJECT, items=("enterprise_registration",))
    async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
        await bank.register_consent(SigningAuthority(stack.authorities["authority-cq"]).sign(grant))
        await bank.query_credit(question(SUBJECT, str(grant.consent_id)))
    return str(grant.consent_id)


async def look(stack: Stack, consent_id: str, seen: Lives) -> None:
    async with Bashu(Profile.of_dev_stack(stack.state, "bank-cq")) as bank:
        consent = (await bank.get_consent(consent_id)).consent
        seen.states.append(consent.state)
        seen.used.append(consent.used)
        await bank.query_credit(question(SUBJECT, consent_id))


def test_a_stopped_stack_leaves_no_process_and_no_description_behind(lives: Lives) -> None:
    assert lives.left_by_term == []
    assert not lives.described_after_stop


def test_a_killed_stack_leaves_nothing_but_a_postmaster_that_the_next_start_stops(lives: Lives) -> None:
    assert lives.left_by_kill == []
    assert lives.left_by_next_start == []


def test_the_next_start_goes_on_with_the_same_data_after_a_stop_and_after_a_kill(lives: Lives) -> None:
    assert lives.states == [consent_pb2.CONSENT_STATE_ACTIVE] * 2
    assert lives.used == [1, 2]
