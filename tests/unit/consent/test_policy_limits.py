"""The operator's table in check 11: the most specific rule decides an item, over several items the strictest."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consent.checks import decide
from consent.limits import Effect, PolicyRule, PolicyTable, strictest
from consent.policy_check import check_policy
from core.errors import Reason
from tests.admission_stage import FIRM
from tests.unit.consent.test_admission_checks import a_case, a_persons_case, a_public_case
from tests.unit.consent.test_own_query_checks import own

BANK = {"subject_kind": "enterprise", "institution_kind": "bank", "purpose": "PRE_LOAN_REVIEW"}


def deny(name, **selectors):
    return PolicyRule(rule_id=name, effect=Effect.DENY, **selectors)


def allow(name, **selectors):
    return PolicyRule(rule_id=name, effect=Effect.ALLOW, **selectors)


def days(name, limit, **selectors):
    return PolicyRule(rule_id=name, effect=Effect.LOOKBACK, lookback_days=limit, **selectors)


def refusal(*rules, case=None, **ask):
    case = replace(case or a_case(ask=ask), policy=PolicyTable(version=7, rules=rules))
    return decide(case).refusal


def decided_by(*rules, items=("tax_payment",), **asked):
    found = strictest(rules, items=items, **(BANK | asked))
    return found and found[1].rule_id


DECIDED = {
    "no rule": ([], None),
    "a rule about another purpose": ([deny("A", purpose="GUARANTOR_REVIEW")], None),
    "a rule about another item": ([deny("A", data_item="cash_flow_monthly")], None),
    "a rule about another kind of institution": ([deny("A", institution_kind="amc")], None),
    "a rule about another kind of subject": ([deny("A", subject_kind="person")], None),
    "a rule about everything": ([deny("A")], "A"),
    "an exception more specific than the denial": ([deny("A"), allow("B", data_item="tax_payment")], "B"),
    "a denial more specific than the exception": ([allow("A", purpose="PRE_LOAN_REVIEW"), deny("B", **BANK)], "B"),
    "two selectors before one": ([deny("A", purpose="PRE_LOAN_REVIEW"), days("B", 9, **BANK)], "B"),
    "of equally specific ones the denial": ([deny("A", data_item="tax_payment"), allow("B", institution_kind="bank")], "A"),
    "of equally specific ones fewer days": ([days("A", 9, data_item="tax_payment"), days("B", 8, institution_kind="bank")], "B"),
    "of equally specific ones today alone before a day": ([days("A", 0, data_item="tax_payment"), days("B", 1, institution_kind="bank")], "A"),
    "of equally specific ones the denial before today alone": ([deny("A", data_item="tax_payment"), days("B", 0, institution_kind="bank")], "A"),
    "of equally specific ones a limit before none": ([allow("A", data_item="tax_payment"), days("B", 8, institution_kind="bank")], "B"),
}  # fmt: skip


@pytest.mark.parametrize("name", DECIDED)
def test_the_most_specific_rule_decides_about_an_item(name):
    rules, expected = DECIDED[name]
    assert {decided_by(*order) for order in itertools.permutations(rules)} == {expected}


def test_over_several_items_the_strictest_decides_although_another_item_has_an_exception():
    rules = [days("ALL", 400), days("TAX", 90, data_item="tax_payment"), allow("GRADE", data_item="tax_credit_grade")]
    assert decided_by(*rules, items=("tax_credit_grade", "tax_payment", "cash_flow_monthly")) == "TAX"
    assert decided_by(*rules, items=("tax_credit_grade", "cash_flow_monthly")) == "ALL"
    assert decided_by(*rules, items=("tax_credit_grade",)) == "GRADE"


def test_a_denied_item_is_refused_with_rule_version_and_item_and_nothing_of_the_subject():
    found = refusal(deny("NO_TAX", data_item="tax_payment"))
    assert (found.reason, found.field, found.rule) == (Reason.POLICY_LIMIT, "data_items", "11-policy")
    assert dict(found.metadata) == {"policy_rule": "NO_TAX", "policy_version": "7", "data_item": "tax_payment"}
    assert FIRM.identifier not in repr(found)


def test_an_item_that_is_not_asked_for_refuses_nothing():
    assert refusal(deny("NO_TAX", data_item="tax_payment"), items=("tax_credit_grade",)) is None


def test_a_granted_item_dropped_by_narrowing_refuses_nothing():
    asked = {"items": ("tax_credit_grade", "cash_flow_monthly"), "allow_narrowing": True}
    assert refusal(deny("NO_CASH", data_item="cash_flow_monthly"), **asked) is None


@pytest.mark.parametrize(("lookback", "is_refused"), [(89, False), (90, False), (91, True), (None, True)])
def test_a_look_back_is_held_to_the_day_and_refused_not_clamped(lookback, is_refused):
    found = refusal(days("RECENT", 90, data_item="tax_payment"), lookback=lookback, allow_narrowing=True)
    assert (found is not None) is is_refused
    if found is not None:
        assert (found.reason, found.field) == (Reason.POLICY_LIMIT, "lookback")
        assert found.metadata["lookback_days"] == "90"


def test_a_range_of_days_is_held_to_its_first_day():
    case = a_case()
    first = case.today - timedelta(days=91)
    assert refusal(days("RECENT", 90), lookback=(first, first)).reason is Reason.POLICY_LIMIT
    assert refusal(days("RECENT", 91), lookback=(first, first)) is None


def test_a_rule_about_persons_spares_firms_and_the_other_way_round():
    rule = deny("NO_PERSONS", subject_kind="person")
    assert refusal(rule) is None
    assert refusal(rule, case=a_persons_case()).reason is Reason.POLICY_LIMIT


def test_public_items_without_a_consent_are_limited_too():
    rule = deny("NO_REGISTER", data_item="enterprise_registration")
    assert refusal(rule, case=a_public_case()).reason is Reason.POLICY_LIMIT


def test_a_firms_code_that_reads_like_a_late_birth_makes_it_no_minor():
    firm = replace(FIRM, identifier="91500221MA99999999")
    assert check_policy(replace(a_case(), ask=replace(a_case().ask, subject=firm))) is None


def test_no_table_limits_a_subjects_own_query():
    assert refusal(deny("NOTHING"), case=own()) is None


SELECTORS = st.fixed_dictionaries(
    {
        "subject_kind": st.sampled_from(["", "enterprise", "person"]),
        "institution_kind": st.sampled_from(["", "bank", "amc"]),
        "purpose": st.sampled_from(["", "PRE_LOAN_REVIEW", "GUARANTOR_REVIEW"]),
        "data_item": st.sampled_from(["", "tax_payment", "cash_flow_monthly"]),
    }
)
RULES = st.lists(
    st.tuples(SELECTORS, st.sampled_from([None, -1, 0, 90, 400])), max_size=12, unique_by=lambda pair: str(pair[0])
).map(lambda pairs: [made(number, *pair) for number, pair in enumerate(pairs)])
ITEMS = st.sets(st.sampled_from(["tax_payment", "cash_flow_monthly", "tax_credit_grade"]), min_size=1)


def made(number, selectors, limit):
    name = f"R{number}"
    if limit is None:
        return deny(name, **selectors)
    return allow(name, **selectors) if limit < 0 else days(name, limit, **selectors)


def as_written(rules, item):
    """The rule in its own words: of those that fit, the most selectors; of those, the strictest."""
    given = BANK | {"data_item": item}
    fits = [r for r in rules if all(getattr(r, name) in ("", value) for name, value in given.items())]
    named = [sum(getattr(r, name) != "" for name in given) for r in fits]
    top = [r for r, count in zip(fits, named, strict=True) if count == max(named)]
    return allowed_days(top)


def allowed_days(rules):
    """Days that all of ``rules`` allow together: -1 none at all, a million without limit."""
    return min(({"DENY": -1, "ALLOW": 10**6}.get(r.effect, r.lookback_days) for r in rules), default=10**6)


@given(RULES, ITEMS, st.randoms(use_true_random=False))
def test_what_decides_is_what_the_words_say_whatever_the_order(rules, items, random):
    expected = min(as_written(rules, item) for item in items)
    random.shuffle(rules)
    found = strictest(rules, items=items, **BANK)
    assert allowed_days([found[1]] if found else []) == expected


@given(RULES, ITEMS, st.sampled_from(["tax_payment", "cash_flow_monthly", "tax_credit_grade"]))
def test_asking_for_one_item_more_never_loosens_a_limit(rules, items, more):
    def limit(asked):
        found = strictest(rules, items=asked, **BANK)
        return allowed_days([found[1]] if found else [])

    assert limit(items | {more}) <= limit(items)
