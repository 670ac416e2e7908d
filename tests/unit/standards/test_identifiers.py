from datetime import date

import msgspec
import pytest

from standards.catalogue import load_standard
from standards.divisions import CHONGQING, SICHUAN
from standards.identifiers import (
    CitizenId,
    IdentifierError,
    IdentifierFailure,
    Uscc,
    identifier_line,
    matches_old_citizen_id,
    parse_citizen_id,
    parse_uscc,
)

TODAY = date(2026, 11, 23)
DIVISIONS = load_standard().divisions


def line(text):
    return msgspec.to_builtins(identifier_line(text, divisions=DIVISIONS, today=TODAY))


def test_eighteen_zeros_pass_the_arithmetic_and_are_refused():
    result = parse_uscc("0" * 18, divisions=DIVISIONS)
    assert isinstance(result, IdentifierFailure)
    assert result.error is IdentifierError.ALL_ZEROS


@pytest.mark.parametrize(
    ("code", "is_sole", "region"),
    [
        ("91500105XXTT00018M", False, CHONGQING),
        ("91510107XXTT00026H", False, SICHUAN),
        ("92500112XXTT00130M", True, CHONGQING),
        ("11500228733970274Y", False, CHONGQING),  # 500228 retired in 2016
        ("914403001922038216", False, None),
    ],
)
def test_code_tells_home_region_and_sole_proprietor(code, is_sole, region):
    parsed = parse_uscc(code, divisions=DIVISIONS)
    assert isinstance(parsed, Uscc)
    assert parsed.is_sole_proprietor is is_sole
    assert DIVISIONS.region_of(parsed.division) == region


@pytest.mark.parametrize(
    ("division", "region"),
    [("510211", CHONGQING), ("512201", CHONGQING), ("519005", CHONGQING), ("510122", SICHUAN), ("110000", None)],
)
def test_division_that_chongqing_took_over_in_1997_belongs_to_chongqing(division, region):
    assert DIVISIONS.region_of(division) == region


def test_division_is_found_by_the_names_a_platform_sends():
    assert DIVISIONS.by_names("四川省", "成都市", "武侯区") == "510107"
    assert DIVISIONS.by_names("重庆市", "重庆市", "江北区") == "500105"
    assert DIVISIONS.by_names("四川省", "成都市", "双流县") == "510122"
    assert DIVISIONS.by_names("四川省", "成都市", "无此区") is None


def test_future_is_a_matter_of_the_given_day():
    born = "510000201510017891"
    assert isinstance(parse_citizen_id(born, divisions=DIVISIONS, today=date(2015, 10, 1)), CitizenId)
    early = parse_citizen_id(born, divisions=DIVISIONS, today=date(2015, 9, 30))
    assert isinstance(early, IdentifierFailure)
    assert early.error is IdentifierError.FUTURE_DATE


def test_age_counts_completed_years():
    person = parse_citizen_id("510000201510017891", divisions=DIVISIONS, today=TODAY)
    assert isinstance(person, CitizenId)
    assert person.age_on(date(2033, 9, 30)) == 17
    assert person.age_on(date(2033, 10, 1)) == 18


def test_fifteen_digits_match_only_their_own_eighteen():
    person = parse_citizen_id("510107190101010014", divisions=DIVISIONS, today=TODAY)
    assert isinstance(person, CitizenId)
    assert matches_old_citizen_id("510107010101001", person)
    assert not matches_old_citizen_id("510107010101002", person)


def test_line_answers_an_accepted_value():
    assert line('{"kind": "uscc", "value": " 91500105xxtt00018m"}') == {
        "ok": True,
        "normalised": "91500105XXTT00018M",
        "warnings": ["WHITE_SPACE", "CASE"],
        "error": None,
    }


def test_line_answers_a_refused_value_with_what_normalisation_changed():
    assert line('{"kind": "citizen_id", "value": "50010319010101001 "}') == {
        "ok": False,
        "normalised": None,
        "warnings": ["WHITE_SPACE"],
        "error": "LENGTH",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '"x"',
        '{"kind": "uscc"}',
        '{"kind": "passport", "value": "x"}',
        '{"kind": "uscc", "value": 9}',
        b"\xff\xfe",
        b'{"kind": "uscc", "value": "\xff"}',
    ],
)
def test_line_that_is_no_question_is_malformed(text):
    assert line(text) == {"ok": False, "normalised": None, "warnings": [], "error": "MALFORMED"}
