"""Rules of law that name, count and bound; boundary days around leap days."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bashu.v1 import items_pb2 as items
from core.permit import SubjectKind
from standards.catalogue import load_standard
from standards.forbidden import names_c3_information, names_prohibited_information
from standards.law import (
    dispute_due_at,
    five_class_floor,
    is_better_than_floor,
    is_hidden_one_off,
    says_more_than_verified,
)
from standards.rules import (
    Boundary,
    RecordFacts,
    deleted_from,
    is_older_than_five_years,
    is_publication_over,
    months_later,
)

STANDARD = load_standard()


@pytest.mark.parametrize(
    ("ended_on", "gone_from"),
    [
        ("2021-11-23", "2026-11-23"),
        ("2021-02-28", "2026-02-28"),
        ("2020-02-29", "2025-02-28"),
        ("2019-02-28", "2024-02-28"),
        ("2019-03-01", "2024-03-01"),
        ("2023-02-28", "2028-02-28"),
        ("2019-12-31", "2024-12-31"),
    ],
)
def test_five_years_end_on_the_anniversary(ended_on, gone_from):
    gone = date.fromisoformat(gone_from)
    assert deleted_from(date.fromisoformat(ended_on)) == gone
    assert (deleted_from(date.fromisoformat(ended_on), Boundary.DAY_AFTER) - gone).days == 1
    body = items.JudgmentDebtor(closed_on=ended_on)
    for day, is_gone in ((date.fromordinal(gone.toordinal() - 1), False), (gone, True)):
        facts = RecordFacts(
            item="judgment_debtor", body=body, marks=frozenset(), subject_kind=SubjectKind.PERSON, today=day
        )
        assert is_older_than_five_years(facts) is is_gone


@pytest.mark.parametrize(
    ("decided_on", "severity", "last_day"),
    [
        ("2023-11-30", "minor", "2024-02-29"),
        ("2024-11-30", "minor", "2025-02-28"),
        ("2024-02-29", "general", "2025-02-28"),
        ("2023-03-01", "general", "2024-03-01"),
        ("2024-02-29", "serious", "2027-02-28"),
        ("2021-02-28", "serious", "2024-02-28"),
    ],
)
def test_publication_ends_after_the_last_day_of_its_severity(decided_on, severity, last_day):
    body = items.AdministrativePenalty(decided_on=decided_on, severity=severity)
    last = date.fromisoformat(last_day)
    for day, is_over in ((last, False), (date.fromordinal(last.toordinal() + 1), True)):
        facts = RecordFacts(
            item="administrative_penalty", body=body, marks=frozenset(), subject_kind=SubjectKind.ENTERPRISE, today=day
        )
        assert is_publication_over(facts) is is_over


def test_four_years_of_months_from_a_leap_day_end_on_a_leap_day():
    assert months_later(date(2024, 2, 29), 48) == date(2028, 2, 29)


@pytest.mark.parametrize(
    ("amount", "repaid_on", "national", "hidden"),
    [
        ("10000", date(2026, 3, 31), True, True),
        ("10000.01", date(2026, 3, 31), True, False),
        ("10001", date(2026, 3, 1), True, False),
        ("10000", date(2026, 4, 1), True, False),
        ("10000", None, True, False),
        ("10000", date(2026, 3, 31), False, False),
    ],
)
def test_small_arrears_repaid_in_time_are_hidden_in_the_national_database_alone(amount, repaid_on, national, hidden):
    arisen = date(2025, 12, 31)
    assert is_hidden_one_off(arisen, Decimal(amount), repaid_on, is_of_national_database=national) is hidden
    assert not is_hidden_one_off(date(2026, 1, 1), Decimal(1), repaid_on, is_of_national_database=national)
    assert not is_hidden_one_off(date(2019, 12, 31), Decimal(1), repaid_on, is_of_national_database=national)


@pytest.mark.parametrize(
    ("days", "floor"), [(0, 1), (1, 2), (90, 2), (91, 3), (270, 3), (271, 4), (360, 4), (361, 5), (-1, 1)]
)
def test_overdue_days_bound_the_class(days, floor):
    assert five_class_floor(days) == floor
    assert is_better_than_floor(floor - 1, days)
    assert not is_better_than_floor(floor, days)


def test_seven_technical_days_may_stay_normal_and_eight_not():
    assert not is_better_than_floor(1, 7, is_technical=True)
    assert is_better_than_floor(1, 8, is_technical=True)
    assert is_better_than_floor(1, 7)


def test_a_dispute_is_due_twenty_days_after_receipt_over_a_leap_day_too():
    assert dispute_due_at(datetime(2028, 2, 20, 4, tzinfo=UTC)) == datetime(2028, 3, 11, 4, tzinfo=UTC)
    assert dispute_due_at(datetime(2027, 2, 20, 4, tzinfo=UTC)) == datetime(2027, 3, 12, 4, tzinfo=UTC)


@pytest.mark.parametrize("name", ["password", "userPwd", "cvv2", "card_track2", "登录密码", "CVV", "短信验证码"])
def test_names_of_c3_information_are_recognised(name):
    assert names_c3_information(name)


@pytest.mark.parametrize("name", ["religion", "bloodType", "DNA", "disease_history", "宗教信仰", "既往病史"])
def test_names_of_prohibited_information_are_recognised(name):
    assert names_prohibited_information(name)


def test_no_field_of_the_standard_has_such_a_name():
    for item in STANDARD.items.all():
        for field in item.fields:
            for name in (field.field_id, field.name_zh):
                assert not names_c3_information(name), (item.item_id, name)
                assert not names_prohibited_information(name), (item.item_id, name)


def test_a_verification_says_yes_no_or_unknown():
    title = STANDARD.items.get("real_estate_registration")
    given = {"unit_no": "1", "owner_name": "甲"}
    assert says_more_than_verified(title, given | {"matches": "YES", "seized": "UNKNOWN"}) == ()
    assert says_more_than_verified(title, given | {"matches": "300万元"}) == ("matches",)
    assert says_more_than_verified(title, {"price": "1.00"}) == ("price",)
    assert says_more_than_verified(STANDARD.items.get("tax_payment"), {"amount": "1.00"}) == ()
