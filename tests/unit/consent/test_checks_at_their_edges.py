"""The edges of the admission's checks: each test dies with a small change that the rest of the suite would not notice."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from consent import budget
from consent.artefact import Period
from consent.checks import check_form, decide
from consent.model import AccessFact, ConsentState
from consent.scope import effective_scope
from consent.state import state, state_reason
from core.errors import Reason
from tests.admission_stage import GRANTED, RULES, an_ask
from tests.unit.consent.test_admission_checks import (
    ACCESS,
    EXPIRED_LICENCE,
    PLATFORMS,
    TODAY,
    a_case,
    a_public_case,
    providers,
    reason,
)
from tests.unit.consent.test_consent_state_and_budget import EXP, NOW, TICK, facts, usage


def refusal(case):
    found = decide(case).refusal
    assert found is not None
    return found


@pytest.mark.parametrize("other", ["aaa", "zzz"])
def test_another_institution_is_another_whatever_its_name(other):
    assert reason(a_case(ask={"institution": other})) is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS


@pytest.mark.parametrize("other", ["aaa", "zzz"])
def test_a_row_that_names_another_institution_than_its_artefact_is_nobodys(other):
    case = a_case(facts={"institution": other}, ask={"institution": other})
    assert reason(case) is Reason.CONSENT_NOT_FOUND_OR_NOT_YOURS


def public(legal_basis):
    return an_ask(consent_id=None, items=("enterprise_registration",), legal_basis=legal_basis)


def test_a_legal_basis_may_hold_ten_digits_and_no_more():
    basis = "条例 Art. 12345 67890"
    assert check_form(public(basis), RULES) is None
    assert check_form(public(f"{basis} 1"), RULES) is not None


@pytest.mark.parametrize("other", [uuid.UUID(int=0), uuid.UUID(int=2**128 - 1)])
def test_an_artefact_of_another_consent_is_another_whatever_its_id(other):
    assert reason(a_case(ask={"consent_id": other})) is Reason.LEDGER_INCONSISTENT


def test_the_first_region_that_is_not_granted_is_named():
    case = a_case(artefact={"providers": providers(only="chongqing")}, ask={"regions": ("500000", "510000", "520000")})
    assert refusal(case).metadata == {"region": "510000"}


def test_the_first_item_that_is_not_granted_is_named():
    beyond = ("bankruptcy", "court_judgment")
    assert not set(GRANTED) & set(beyond)
    assert refusal(a_case(ask={"items": (*sorted(GRANTED), *beyond)})).metadata == {"data_item": "bankruptcy"}


def test_a_lender_admitted_to_exactly_what_it_asks_is_admitted():
    wanted = frozenset(GRANTED)
    exact = {
        name: AccessFact(items=wanted & platform.items, purposes=ACCESS[name].purposes)
        for name, platform in PLATFORMS.items()
    }
    assert decide(a_case(access=exact)).refusal is None


def test_a_platform_without_its_licence_is_named():
    bare = {name: replace(platform, licences=(EXPIRED_LICENCE,)) for name, platform in PLATFORMS.items()}
    assert refusal(a_case(platforms=bare)).metadata == {"platform_id": "chongqing"}


def test_a_state_says_why_only_where_there_is_a_why():
    assert refusal(a_case(facts={"revoked_at": NOW})).metadata == {}


def test_one_day_in_common_is_a_range():
    days = (TODAY - timedelta(days=30), TODAY)
    items = [{"id": item, "necessity": "required"} for item in sorted(GRANTED)]
    day = days[0].isoformat()
    case = a_case(
        artefact={"data": {"items": items, "from": day, "to": day, "lookback_days": None}},
        ask={"lookback": days, "allow_narrowing": True},
    )
    scope = effective_scope(case)
    assert (scope.look_from, scope.look_to) == (days[0], days[0])
    assert decide(case).refusal is None


def test_public_items_reach_back_five_leap_years_and_no_day_more():
    longest = 5 * 366
    assert decide(a_public_case(lookback=longest)).refusal is None
    assert reason(a_public_case(lookback=longest + 1)) is Reason.RANGE_EXCEEDED


def test_what_was_narrowed_is_told_apart_from_what_was_not():
    whole = effective_scope(a_case())
    assert (whole.narrowed, whole.dropped_items, whole.asked_from, whole.asked_to) == (False, (), None, None)
    fewer = effective_scope(a_case(ask={"items": (*sorted(GRANTED), "bankruptcy"), "allow_narrowing": True}))
    assert (fewer.narrowed, fewer.dropped_items) == (True, ("bankruptcy",))
    assert fewer.items == tuple(sorted(GRANTED))
    assert fewer.asked_from is not None
    other = effective_scope(a_case(ask={"items": (GRANTED[0], "bankruptcy"), "allow_narrowing": True}))
    assert (other.items, other.dropped_items) == ((GRANTED[0],), ("bankruptcy",))
    longer = (date(1999, 1, 1), TODAY)
    shorter = effective_scope(a_case(ask={"lookback": longer, "allow_narrowing": True}))
    assert (shorter.narrowed, shorter.dropped_items, shorter.asked_from, shorter.asked_to) == (True, (), *longer)


@pytest.mark.parametrize(
    ("moment", "end"),
    [
        (datetime(2026, 11, 15, tzinfo=UTC), datetime(2026, 11, 30, 16, tzinfo=UTC)),
        (datetime(2026, 12, 15, tzinfo=UTC), datetime(2026, 12, 31, 16, tzinfo=UTC)),
        (datetime(2027, 12, 15, tzinfo=UTC), datetime(2027, 12, 31, 16, tzinfo=UTC)),
        (datetime(2028, 2, 29, tzinfo=UTC), datetime(2028, 2, 29, 16, tzinfo=UTC)),
    ],
)
def test_a_month_ends_where_the_next_begins_over_new_year_and_leap_day(moment, end):
    assert budget.window_end(usage(Period.MONTH), moment) == end


def test_an_interval_that_has_passed_binds_no_more():
    last = facts(window_key="2026-01-31", used=1, last_use=1, last_use_at=NOW - timedelta(seconds=601))
    assert budget.refusal(usage(min_interval_s=600), last, NOW) is None
    assert budget.refusal(usage(min_interval_s=602), last, NOW) is not None


@pytest.mark.parametrize("day", range(23, 30))
def test_a_week_ends_at_the_next_monday_in_its_own_zone(day):
    moment = datetime(2026, 11, day, 4, tzinfo=UTC)
    assert budget.window_end(usage(Period.WEEK), moment) == datetime(2026, 11, 29, 16, tzinfo=UTC)


def test_a_clock_that_went_back_tells_when_to_come_again():
    later = facts(window_key="2026-02-05", window_used=1, last_use_at=NOW + timedelta(days=3))
    for interval, wait in ((0, 1.0), (600, 600.0)):
        told = budget.refusal(usage(min_interval_s=interval), later, NOW)
        assert told is not None
        assert told.retry_after_s == wait


def test_a_count_of_another_day_does_not_bind_today():
    yesterday = facts(window_key="2026-01-31", window_used=1, used=1, last_use=1, last_use_at=NOW - timedelta(days=1))
    assert budget.refusal(usage(), yesterday, NOW) is None


def test_a_loan_that_would_end_a_consent_after_its_own_end_is_not_why_it_ended():
    assert state_reason(facts(ended_by_loan=EXP), EXP) == "LOAN_CLOSED"
    after = facts(ended_by_loan=EXP + TICK)
    assert (state(after, EXP + TICK), state_reason(after, EXP + TICK)) == (ConsentState.EXPIRED, "")


def test_more_uses_than_there_may_be_is_exhausted_too():
    assert state(facts(used=4, last_use=4), NOW) is ConsentState.EXHAUSTED
