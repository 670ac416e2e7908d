"""Codes, divisions and scales by the day that a record is about (R67, R68); purposes are for financing (R46)."""

from datetime import date
from decimal import Decimal

import pytest

from standards.catalogue import load_standard

STANDARD = load_standard()


@pytest.mark.parametrize(
    ("code", "day", "name"),
    [
        ("500110", "2011-01-01", "万盛区"),
        ("500110", "2011-10-21", "万盛区"),
        ("500110", "2011-10-22", "綦江区"),
        ("500110", "2012-01-01", "綦江区"),
        ("500112", "2024-02-29", "渝北区"),
        ("500112", "2025-11-06", "渝北区"),
        ("500112", "2025-11-07", None),
        ("999999", "2025-11-07", None),
    ],
)
def test_a_division_code_means_what_it_meant_on_the_day(code, day, name):
    found = STANDARD.divisions.on(code, date.fromisoformat(day))
    assert (found and found.name) == name


def test_an_abolished_division_is_accepted_in_records_and_codes_of_any_day():
    assert STANDARD.divisions.is_known("500112")
    assert STANDARD.divisions.region_of("500112") == "500000"


@pytest.mark.parametrize(("scale", "grade"), [("customs_2021", "other"), ("customs_2026", "regular")])
def test_a_grade_of_a_scale_that_was_replaced_stays_readable(scale, grade):
    assert STANDARD.scales.resolve(scale, grade).is_known
    assert STANDARD.scales.resolve("customs_2026", "other").is_known is False


@pytest.mark.parametrize("scale", ["environment_chongqing", "environment_sichuan"])
@pytest.mark.parametrize(
    ("score", "grade"),
    [
        ("59.9", "red"), ("60", "yellow"), ("79.9", "yellow"), ("80", "blue"), ("99.5", "blue"),
        ("100", "green"), ("108", "green"),
    ],
)  # fmt: skip
def test_both_regions_environment_bands_are_the_same_half_open_ones(scale, score, grade):
    found = STANDARD.scales.grade_of(scale, Decimal(score))
    assert found is not None
    assert found.code == grade
    assert found.scale_id == scale


def test_a_scale_without_bands_gives_no_grade_for_a_score():
    assert STANDARD.scales.grade_of("environment_five_colour", Decimal(50)) is None
    assert STANDARD.scales.grade_of("no such scale", Decimal(50)) is None
    assert STANDARD.scales.grade_of("environment_chongqing", Decimal(-1)) is None


def test_every_purpose_is_a_financing_one_or_the_subjects_own_right():
    rights = {"SELF_CHECK", "DISPUTE_CHECK"}
    financing = {purpose.purpose_id for purpose in STANDARD.purposes.all()} - rights
    assert financing == {
        "PRE_LOAN_REVIEW", "IN_LOAN_OPERATION", "POST_LOAN_MANAGEMENT", "GUARANTOR_REVIEW", "GUARANTEE_UNDERWRITING",
        "GUARANTEE_MONITORING", "RELATED_PARTY_REVIEW", "KEY_PERSON_REVIEW",
    }  # fmt: skip
    assert STANDARD.purposes.get("MARKETING") is None
