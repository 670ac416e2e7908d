"""State as a function of facts and time; uses counted in calendar windows of the artefact's zone."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from consent import budget, service
from consent.artefact import Period, Usage, UsageMode
from consent.model import ConsentFacts, ConsentState
from consent.state import REFUSALS, state, state_reason
from core.errors import Reason
from core.ids import uuid7

NBF = datetime(2026, 1, 1, tzinfo=UTC)
EXP = datetime(2026, 3, 1, tzinfo=UTC)
TICK = timedelta(microseconds=1)
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def facts(**changes):
    values = {
        "consent_id": uuid7(),
        "version": 1,
        "institution": "bank-cq",
        "authority": "authority-cq",
        "authority_kid": "authority-1",
        "artefact_hash": bytes(32),
        "subject_kind": "enterprise",
        "id_type": "uscc",
        "commitment": "0" * 64,
        "commitment_kid": "commitment-1",
        "subject_display": "x",
        "purpose": "PRE_LOAN_REVIEW",
        "ends_with_loan": False,
        "plus_days": 0,
        "nbf": NBF,
        "exp": EXP,
        "max_uses": 3,
        "used": 0,
        "last_use": 0,
        "window_key": "",
        "window_used": 0,
        "last_use_at": None,
        "revision": 1,
        "last_event": bytes(32),
        "registered_at": NBF,
    }
    return ConsentFacts(**(values | changes))


@pytest.mark.parametrize(
    ("moment", "reached"),
    [
        (NBF - TICK, ConsentState.PENDING_START),
        (NBF, ConsentState.ACTIVE),
        (EXP - TICK, ConsentState.ACTIVE),
        (EXP, ConsentState.EXPIRED),
    ],
)
def test_the_window_is_half_open(moment, reached):
    assert state(facts(), moment) is reached


MARKS = {
    ConsentState.REVOKED: {"revoked_at": NOW},
    ConsentState.HELD: {"held_count": 1},
    ConsentState.SUPERSEDED: {"superseded_by": uuid7()},
    ConsentState.EXPIRED: {"ended_by_loan": NOW},
    ConsentState.PENDING_START: {"nbf": NOW + TICK},
    ConsentState.PAUSED: {"paused_at": NOW},
    ConsentState.EXHAUSTED: {"used": 3, "last_use": 3},
}


@pytest.mark.parametrize(("stronger", "weaker"), [*itertools.combinations(MARKS, 2)])
def test_precedence_is_as_written(stronger, weaker):
    both = facts(**MARKS[stronger], **MARKS[weaker])
    assert state(both, NOW) is stronger
    assert state(facts(**MARKS[weaker]), NOW) is weaker


def test_every_state_of_a_consent_but_active_has_a_refusal():
    of_requests = {ConsentState.REQUESTED, ConsentState.DENIED, ConsentState.LAPSED}
    assert set(REFUSALS) == set(ConsentState) - of_requests - {ConsentState.ACTIVE}


def test_a_loans_closing_shows_as_expired_with_its_reason():
    ended = facts(ended_by_loan=NOW)
    assert (state(ended, NOW - TICK), state_reason(ended, NOW - TICK)) == (ConsentState.ACTIVE, "")
    assert (state(ended, NOW), state_reason(ended, NOW)) == (ConsentState.EXPIRED, "LOAN_CLOSED")
    assert state_reason(facts(), EXP) == ""
    assert state_reason(replace(ended, revoked_at=NOW), NOW) == ""


def usage(period=Period.DAY, per_window=1, *, tz="Asia/Shanghai", min_interval_s=0, max_uses=100):
    return Usage(
        mode=UsageMode.PERIODIC,
        max_uses=max_uses,
        per_window=per_window,
        period=period,
        min_interval_s=min_interval_s,
        tz=tz,
    )


def at(text, zone="+08:00"):
    return datetime.fromisoformat(text + zone).astimezone(UTC)


@pytest.mark.parametrize(
    ("period", "last", "first"),
    [
        (Period.DAY, "2026-02-28T23:59:59.999999", "2026-03-01T00:00:00"),
        (Period.DAY, "2028-02-28T23:59:59.999999", "2028-02-29T00:00:00"),
        (Period.WEEK, "2026-03-01T23:59:59.999999", "2026-03-02T00:00:00"),
        (Period.WEEK, "2027-01-03T23:59:59.999999", "2027-01-04T00:00:00"),
        (Period.MONTH, "2026-01-31T23:59:59.999999", "2026-02-01T00:00:00"),
        (Period.MONTH, "2028-02-29T23:59:59.999999", "2028-03-01T00:00:00"),
        (Period.MONTH, "2026-12-31T23:59:59.999999", "2027-01-01T00:00:00"),
    ],
)
def test_a_calendar_window_ends_at_local_midnight(period, last, first):
    rule = usage(period)
    before, after = at(last), at(first)
    assert budget.window_key(rule, before) < budget.window_key(rule, after)
    assert budget.window_end(rule, before) == after
    spent = budget.spend(rule, facts(max_uses=100), before)
    refusal = budget.refusal(rule, spent, before)
    assert refusal.reason is Reason.FREQUENCY_EXCEEDED
    assert refusal.retry_after_s == pytest.approx(TICK.total_seconds())
    assert budget.refusal(rule, spent, after) is None


def test_windows_follow_the_zone_of_the_artefact():
    moment = at("2026-02-01T00:30:00")
    assert budget.window_key(usage(), moment) == "2026-02-01"
    assert budget.window_key(usage(tz="UTC"), moment) == "2026-01-31"
    assert budget.window_key(usage(Period.MONTH, tz="UTC"), moment) == "2026-01"


def test_days_of_a_zone_with_summer_time_are_local_days():
    berlin = usage(tz="Europe/Berlin")
    before = datetime(2026, 3, 28, 23, 0, tzinfo=UTC)
    assert budget.window_key(berlin, before) == "2026-03-29"
    assert budget.window_end(berlin, before) - before == timedelta(hours=23)


def test_weeks_of_the_year_that_begins_in_december_sort_by_time():
    keys = [
        budget.window_key(usage(Period.WEEK), at(f"{day}T12:00:00"))
        for day in ("2026-12-27", "2026-12-28", "2027-01-04")
    ]
    assert keys == ["2026-W52", "2026-W53", "2027-W01"]


def test_uses_are_counted_in_all():
    rule = usage(per_window=None, period=None, max_uses=3)
    row = facts()
    for ordinal in (1, 2, 3):
        assert budget.refusal(rule, row, NOW) is None
        row = budget.spend(rule, row, NOW)
        assert (row.used, row.last_use) == (ordinal, ordinal)
    assert budget.refusal(rule, row, NOW).reason is Reason.CONSENT_EXHAUSTED


def test_each_window_counts_from_one():
    rule = usage(per_window=3)
    row = facts(max_uses=100)
    counted = []
    for hours in (0, 1, 24, 25, 48):
        row = budget.spend(rule, row, NOW + timedelta(hours=hours))
        counted.append(row.window_used)
    assert counted == [1, 2, 1, 2, 1]


def test_a_use_given_back_is_free_again_under_a_new_ordinal():
    rule = usage(per_window=5)
    row = budget.spend(rule, facts(), NOW)
    row = replace(row, used=0, window_used=0)
    assert budget.spend(rule, row, NOW).last_use == 2


def test_the_shortest_interval_is_kept_to_the_microsecond():
    rule = usage(per_window=100, min_interval_s=60)
    row = budget.spend(rule, facts(max_uses=100), NOW)
    refusal = budget.refusal(rule, row, NOW + timedelta(seconds=60) - TICK)
    assert refusal.reason is Reason.FREQUENCY_EXCEEDED
    assert budget.refusal(rule, row, NOW + timedelta(seconds=60)) is None


def test_a_clock_that_went_back_opens_no_window_again():
    rule = usage()
    row = budget.spend(rule, facts(max_uses=100), NOW)
    assert budget.refusal(rule, row, NOW - timedelta(days=1)).reason is Reason.FREQUENCY_EXCEEDED


def test_windows_are_those_that_the_log_is_checked_by():
    from ledger.invariants import _window

    moments = [NOW + timedelta(hours=h) for h in range(0, 24 * 70, 5)]
    for period in Period:
        members = {"frequency": {"n": 1, "per": period.value}, "tz": "Asia/Shanghai"}
        ours = [budget.window_key(usage(period), moment) for moment in moments]
        theirs = [_window(members, moment) for moment in moments]
        assert len(set(zip(ours, theirs, strict=True))) == len(set(ours)) == len(set(theirs))


def test_what_time_brought_is_an_event_once_from_the_last_recorded_state():
    standing, ended = facts(), facts(exp=NOW)
    assert service.ended_by_time(standing, recorded=ConsentState.ACTIVE, now=NOW) is None
    event = service.ended_by_time(ended, recorded=ConsentState.PAUSED, now=NOW).transition
    assert (event.from_state, event.to_state, event.reason) == (ConsentState.PAUSED, ConsentState.EXPIRED, "EXPIRED")
    assert (event.revision, event.actor.value) == (ended.revision + 1, "SYSTEM")
    assert service.ended_by_time(ended, recorded=ConsentState.EXPIRED, now=NOW) is None
    by_loan = service.ended_by_time(facts(ended_by_loan=NOW), recorded=ConsentState.ACTIVE, now=NOW)
    assert by_loan.transition.reason == "LOAN_CLOSED"
    spent = facts(used=facts().max_uses)
    assert service.ended_by_time(spent, recorded=ConsentState.ACTIVE, now=NOW).transition.reason == "EXHAUSTED"
    assert service.ended_by_time(spent, recorded=ConsentState.EXHAUSTED, now=NOW) is None
