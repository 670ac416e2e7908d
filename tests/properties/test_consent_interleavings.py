"""Anything, in any order and several at once, and the exported log still keeps every promise.

The machine registers, pauses, resumes, revokes, supersedes, holds, lifts, freezes, thaws, closes loans, asks, repeats,
answers late, by one report under several permits too, fails, lets time pass, on a real PostgreSQL through two workers' own services. The judge reads nothing but
the export, with `bashu verify`'s code, which shares none with the gateway: no release after permission ended or under a
hold or freeze, revisions and uses gapless, events chained, no budget overspent, every answer with its RELEASE.
``make properties EXAMPLES=500`` runs many more, at random. It can fail: with the gate broken, below, it does.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import tempfile
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.errors import FlakyFailure
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from consent import budget
from database import RightMissing, StatementFailed
from gateway import store
from tests.admission_stage import open_stage
from tests.properties.consent_world import ACTS, World

EXAMPLES = int(os.environ.get("BASHU_PROPERTY_EXAMPLES", "0"))
QUICK = 20
STEPS = 25
SETTINGS = settings(
    max_examples=EXAMPLES or QUICK,
    stateful_step_count=STEPS if not EXAMPLES else 2 * STEPS,
    derandomize=not EXAMPLES,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    report_multiple_bugs=False,
    suppress_health_check=list(HealthCheck),
)
"""Without shrinking: two workers race in earnest, and the story of the first failure is in its message."""
BROKEN = settings(SETTINGS, max_examples=200, derandomize=True)
numbers = st.integers(0, 10_000)
acts = st.tuples(st.sampled_from(ACTS), numbers)


class Interleavings(RuleBasedStateMachine):
    """One run on a database of its own; the judge speaks at its end."""

    cluster = None

    def __init__(self):
        super().__init__()
        self.loop = asyncio.Runner()
        self.opened = AsyncExitStack()
        self.fresh = self.cluster.create()
        self.folder = tempfile.TemporaryDirectory(prefix="bashu-properties-")
        self.world = None

    def run(self, work):
        return self.loop.run(work)

    @initialize(first=numbers, second=numbers)
    def begin(self, first, second):
        self.run(self._open())
        self.run(self.world.do(("register", first)))
        self.run(self.world.do(("register", second)))

    async def _open(self):
        folders = [Path(self.folder.name) / name for name in ("one", "two")]
        for folder in folders:
            folder.mkdir()
        stages = [await self.opened.enter_async_context(open_stage(self.fresh, folder)) for folder in folders]
        self.world = World(workers=tuple(stages))

    @rule(act=acts)
    def one(self, act):
        self.run(self.world.do(act))

    @rule(n=numbers)
    def ask(self, n):
        self.run(self.world.do(("ask", n)))

    @rule(n=numbers)
    def answer(self, n):
        self.run(self.world.do(("answer", n)))

    @rule(act=st.sampled_from(["fail", "ask_again", "supersede", "close_loan", "wait_for_an_end", "sweep"]), n=numbers)
    def less_often(self, act, n):
        self.run(self.world.do(("ask", n)))
        self.run(self.world.do((act, n)))

    @rule(several=st.lists(acts, min_size=2, max_size=5))
    def together(self, several):
        self.run(self.world.do(*several))

    @rule(n=numbers, many=st.integers(2, 6))
    def ask_in_parallel(self, n, many):
        # The same consent for all of them, at either worker.
        granted = len(self.world.granted)
        self.run(self.world.do(*(("ask", n + 20 * granted * number) for number in range(many))))

    @rule(n=numbers, m=numbers, taken=st.sampled_from(["revoke", "pause", "hold", "freeze", "seal", "sweep"]))
    def one_report_under_several_permits(self, n, m, taken):
        self.run(self.world.do(("ask", n), ("ask", m), ("ask", n + 1)))
        self.run(self.world.do((taken, m), *(("answer_together", lender) for lender in (0, 1))))

    @rule(n=numbers, taken=st.sampled_from(["revoke", "pause", "hold", "supersede", "freeze", "hold_subject"]))
    def take_away_while_answers_come(self, n, taken):
        # What was asked last, so that most often it is the consent picked that is taken away.
        self.run(self.world.do(("ask", n)))
        queries = min(len(self.world.under_way), 4)
        self.run(self.world.do((taken, n), *(("answer", -1) for _ in range(queries))))
        self.run(self.world.do(("recover", n)))

    def teardown(self):
        try:
            if self.world is not None and not self.world.is_faulty:
                self.judge()
        finally:
            self.run(self.opened.aclose())
            self.loop.close()
            self.cluster.drop(self.fresh)
            self.folder.cleanup()

    def judge(self):
        exported, verdict = self.run(self.world.end())
        said = [finding.text() for finding in verdict.findings if finding.is_error]
        assert not said, f"{said} after {'; '.join(self.world.did)}"
        assert verdict.is_whole
        assert verdict.open_intents == 0
        entries = [json.loads(base64.b64decode(json.loads(line)["leaf"])) for line in exported[:-1]]
        released = {
            (e["requester"]["institution"], e["intent"]["request"], e["intent"]["attempt"], e["report_digest"])
            for e in entries
            if e["type"] == "RELEASE"
        }
        assert set(self.world.answers) == released


def run(cluster, how=SETTINGS):
    machine = type("Machine", (Interleavings,), {"cluster": cluster})
    run_state_machine_as_test(machine, settings=how)


def test_whatever_happens_the_exported_log_keeps_its_promises(postgres_cluster):
    run(postgres_cluster)


async def nothing_open(*_args):
    return []


def break_the_release(monkeypatch):
    """What was closed is released all the same."""
    guard = "l.state = 'OPEN' AND "
    assert guard in store.RELEASE
    monkeypatch.setattr(store, "RELEASE", store.RELEASE.replace(guard, ""))


def break_the_budget(monkeypatch):
    """No use is one too many."""
    monkeypatch.setattr(budget, "refusal", lambda *_: None)


def first_fault(cluster):
    """Run with something broken until it shows; two workers race in earnest, so a second run may find another."""
    with pytest.raises((AssertionError, FlakyFailure)) as caught:
        run(cluster, BROKEN)
    found = caught.value
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return found


def test_the_judge_finds_a_permission_that_was_taken_away_with_queries_left_open(postgres_cluster, monkeypatch):
    monkeypatch.setattr(store, "lock_open_of_consents", nothing_open)
    monkeypatch.setattr(store, "lock_open_of_subject", nothing_open)
    fault = str(first_fault(postgres_cluster))
    assert "RELEASE_AFTER_" in fault or "RELEASE_UNDER_" in fault


@pytest.mark.parametrize(("broken", "error"), [(break_the_release, RightMissing), (break_the_budget, StatementFailed)])
def test_the_database_refuses_what_a_broken_gate_would_write(postgres_cluster, monkeypatch, broken, error):
    broken(monkeypatch)
    assert isinstance(first_fault(postgres_cluster).__cause__, error)
