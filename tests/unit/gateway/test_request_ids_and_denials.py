"""What a repeated request id means, which use is given back, and how many refusals are written."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consent.model import Refusal
from core.errors import Reason
from gateway.denials import DenialLimit
from gateway.entries import PlatformLine
from gateway.intents import Attempt, IntentKey, outstanding, read_outcomes, resolve, write_outcomes
from gateway.release import may_refund
from tests.admission_stage import an_ask

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TARGETS = {"chongqing": frozenset({"a", "b"}), "sichuan": frozenset({"a"})}
ASK = an_ask()


def before(**changes):
    values = {
        "key": IntentKey(request_id=ASK.request_id, institution="bank-cq", attempt=1),
        "state": "RELEASED",
        "request_digest": ASK.request_digest,
        "expires_at": NOW,
        "first_entry_id": uuid.uuid4(),
        "first_admitted_at": NOW - timedelta(hours=1),
        "resends": 0,
        "paid": True,
        "outcomes": (),
    }
    return Attempt(**(values | changes))


def test_a_new_id_is_a_first_attempt_that_costs():
    repeat = resolve(ASK, None, NOW)
    assert (repeat.number, repeat.is_free, outstanding(repeat, TARGETS)) == (1, False, TARGETS)


def test_a_repeat_is_free_only_while_somebody_paid():
    assert resolve(ASK, before(), NOW).is_free
    assert not resolve(ASK, before(paid=False), NOW).is_free


WRONG = {
    "another request": (before(request_digest=b"x" * 32), Reason.IDEMPOTENCY_CONFLICT),
    "another request under way": (before(request_digest=b"x" * 32, state="OPEN"), Reason.IDEMPOTENCY_CONFLICT),
    "a day later": (before(first_admitted_at=NOW - timedelta(hours=24)), Reason.IDEMPOTENCY_CONFLICT),
    "under way": (before(state="OPEN", expires_at=NOW + timedelta(seconds=9)), Reason.IN_PROGRESS),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_repeat_that_cannot_be_is_refused(name):
    previous, reason = WRONG[name]
    refusal = resolve(ASK, previous, NOW)
    assert isinstance(refusal, Refusal)
    assert refusal.reason is reason
    assert (refusal.retry_after_s is not None) is (reason is Reason.IN_PROGRESS)


def test_a_microsecond_before_a_day_is_over_is_in_time():
    assert resolve(ASK, before(first_admitted_at=NOW - timedelta(hours=24, microseconds=-1)), NOW).number == 2


def test_everything_is_sent_again_three_times_at_most():
    again = replace(ASK, resend_all=True)
    assert resolve(again, before(resends=2), NOW).is_resend
    assert resolve(again, before(resends=3), NOW).reason is Reason.RATE_LIMITED
    assert resolve(ASK, before(resends=3), NOW).number == 2


@pytest.mark.parametrize(
    ("status", "is_asked_again"),
    [
        ("OK", False), ("NO_DATA", False), ("DENIED", False), ("MALFORMED", False), ("SKIPPED", False),
        ("PENDING", True), ("TIMEOUT", True), ("UNAVAILABLE", True), ("MAINTENANCE", True), ("QUOTA_EXHAUSTED", True),
    ],
)  # fmt: skip
def test_only_what_may_still_come_is_asked_again(status, is_asked_again):
    repeat = resolve(ASK, before(outcomes=("chongqing/a/OK", "chongqing/b/OK", f"sichuan/a/{status}")), NOW)
    assert outstanding(repeat, TARGETS) == ({"sichuan": frozenset({"a"})} if is_asked_again else {})


def test_the_last_status_of_a_pair_counts():
    repeat = resolve(ASK, before(outcomes=("sichuan/a/TIMEOUT", "sichuan/a/OK")), NOW)
    assert outstanding(repeat, TARGETS) == {"chongqing": frozenset({"a", "b"})}


def test_what_was_never_answered_is_asked():
    assert outstanding(resolve(ASK, before(), NOW), TARGETS) == TARGETS


def test_outcomes_are_written_and_read_alike():
    outcomes = {("sichuan", "a"): "OK", ("chongqing", "b"): "TIMEOUT"}
    assert read_outcomes(tuple(write_outcomes(outcomes))) == outcomes


def line(status, **changes):
    return PlatformLine(platform_id="sichuan", item="a", status=status, records=0, **changes)


@pytest.mark.parametrize(
    ("lines", "is_given_back"),
    [
        ([line("SKIPPED"), line("QUOTA_EXHAUSTED"), line("MAINTENANCE")], True),
        ([line("UNAVAILABLE", was_sent=False)], True),
        ([line("UNAVAILABLE")], False),
        ([line("TIMEOUT", was_sent=False)], False),
        ([line("NO_DATA")], False),
        ([line("MAINTENANCE"), line("OK")], False),
        ([], False),
    ],
)
def test_a_use_is_given_back_only_when_certainly_nothing_came(lines, is_given_back):
    assert may_refund(lines) is is_given_back


KIND = ("bank-cq", Reason.SCOPE_EXCEEDED)


def test_refusals_beyond_the_limit_of_a_minute_are_counted_once():
    limit = DenialLimit(most=3)
    assert [limit.admits(KIND, 0.0) for _ in range(5)] == [True, True, True, False, False]
    assert limit.admits(("bank-sc", Reason.SCOPE_EXCEEDED), 0.0)
    assert limit.admits(("bank-cq", Reason.RANGE_EXCEEDED), 0.0)
    assert limit.drain(59.9) == []
    assert limit.drain(60.0) == [(KIND, 2)]
    assert limit.admits(KIND, 60.0)
    assert limit.drain(200.0) == []


def test_a_new_minute_begins_without_anybody_draining():
    limit = DenialLimit(most=1)
    assert limit.admits(KIND, 0.0)
    assert limit.admits(KIND, 60.0)
    assert not limit.admits(KIND, 61.0)


def test_counts_of_a_minute_that_is_not_over_are_not_lost_at_the_end():
    limit = DenialLimit(most=0)
    assert not limit.admits(KIND, 0.0)
    assert limit.drain(1.0, everything=True) == [(KIND, 1)]
