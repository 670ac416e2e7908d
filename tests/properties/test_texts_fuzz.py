"""Texts as platforms and people write them: a typed value that an oracle written apart agrees with, or MALFORMED.

The oracles share no code with ``standards``: fractions instead of decimals, splitting instead of patterns, congruences
instead of check characters. ``make fuzz`` runs many more examples (``BASHU_FUZZ_EXAMPLES``).
"""

from __future__ import annotations

import csv
import os
from datetime import date
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from core.errors import Reason
from standards import days, money, quantities
from standards.catalogue import load_standard
from standards.codes import INDUSTRY_SECTION, REGISTRATION_STATUS
from standards.identifiers import CitizenId, IdentifierFailure, Uscc, parse_citizen_id, parse_uscc
from standards.malformed import MalformedValueError

EXAMPLES = int(os.environ.get("BASHU_FUZZ_EXAMPLES", "250"))
STANDARD = load_standard()
TODAY = date(2026, 11, 23)
PATH = "BODY/X"
DATA = Path(__file__).parents[2] / "standards" / "data"
MALFORMED = object()
fuzz = settings(max_examples=EXAMPLES, deadline=None)

ODD = "0123456789０１２９,，.．-－+ \t\u3000\u00a0\ufeff万亿元分角年月日/／%％美港人民币NaNeEIfinX²٣零一"
noise = st.text(alphabet=ODD, max_size=24) | st.text(max_size=12)
blanks = st.sampled_from(["", " ", "\u3000", "\t"])
WIDE = {ord(char): ord(char) + 0xFEE0 for char in map(chr, range(0x21, 0x7F))}


def half(text: str) -> str:
    return "".join(chr(ord(char) - 0xFEE0) if "！" <= char <= "～" else char for char in text)


def is_digits(text: str) -> bool:
    return bool(text) and all("0" <= char <= "9" for char in text)


@st.composite
def dressed(draw: st.DrawFn, plain: st.SearchStrategy[str]) -> str:
    """A plain text with blanks around it, full-width here and there."""
    text = draw(plain)
    if draw(st.booleans()):
        text = text.translate(WIDE)
    return draw(blanks) + text + draw(blanks)


@st.composite
def numerals(draw: st.DrawFn) -> str:
    whole = str(draw(st.integers(0, 10 ** draw(st.integers(1, 20)))))
    if draw(st.booleans()):
        whole = f"{int(whole):,}"
    part = draw(st.sampled_from(["", ".5", ".50", ".05", ".005", ".123456789", ".00", "."]))
    return draw(st.sampled_from(["", "", "", "-", "+"])) + whole + part


def read_number(text: str) -> Fraction | object | None:
    """Oracle of a number: None for a blank."""
    text = half(text).strip()
    if not text:
        return None
    sign, digits = (-1, text[1:]) if text.startswith("-") else (1, text)
    whole, dot, part = digits.partition(".")
    groups = whole.split(",")
    well_grouped = len(groups) == 1 or (1 <= len(groups[0]) <= 3 and all(len(group) == 3 for group in groups[1:]))
    if len(text) > 64 or not well_grouped or not all(map(is_digits, groups)) or (dot and not is_digits(part)):
        return MALFORMED
    return sign * (Fraction(int("".join(groups))) + (Fraction(int(part), 10 ** len(part)) if dot else 0))


def yuan_text(number: Fraction | object | None, exponent: int) -> str | object | None:
    """Oracle of an amount in yuan: never rounded, at most 16 digits before the point."""
    if number is None or number is MALFORMED:
        return number
    assert isinstance(number, Fraction)
    amount = number * Fraction(10) ** exponent
    if abs(number) >= 10**20 or abs(amount) >= 10**16 or (amount * 100).denominator != 1:
        return MALFORMED
    fen = abs(int(amount * 100))
    return ("-" if amount < 0 else "") + f"{fen // 100}.{fen % 100:02d}"


def without(text: str, units: tuple[str, ...]) -> str:
    text = text.strip()
    unit = next((unit for unit in units if text.endswith(unit) and text != unit), "")
    return text[: len(text) - len(unit)]


def outcome(read, text: str) -> object:
    """What the code says: a value, or MALFORMED; nothing else may come out, and the value never shows."""
    caught: MalformedValueError | None = None
    try:
        return read(text, path=PATH)
    except MalformedValueError as error:
        caught = error
    assert (caught.reason, caught.path) == (Reason.MALFORMED, PATH)
    assert str(caught) == f"{PATH}: expected {caught.expected}"
    return MALFORMED


@pytest.mark.parametrize(
    ("read", "units", "exponent"),
    [(money.wan_yuan, ("万元", "万"), 4), (money.yuan, ("元",), 0), (money.fen, ("分",), -2)],
    ids=["wan_yuan", "yuan", "fen"],
)
@fuzz
@given(
    text=noise
    | dressed(st.builds(str.__add__, numerals(), st.sampled_from(["", "元", "万元", "万", "分", "亿元", " 元"])))
)
@example(text="1，250．00万元")
@example(text="-0")
@example(text="12万万元")
def test_an_amount_is_what_it_says_to_the_fen_or_malformed(read, units, exponent, text):
    assert outcome(read, text) == yuan_text(read_number(without(text, units)), exponent)


@fuzz
@given(
    before=st.sampled_from(["", "", "人民币", "美元"]),
    number=numerals(),
    scale=st.sampled_from(["", "万", "亿", "千"]),
    after=st.sampled_from(["", "元", "元人民币", "美元", "港元", "卢布", "人民币"]),
)
def test_registered_capital_names_its_currency_or_is_malformed(before, number, scale, after):
    names = {"元": "CNY", "元人民币": "CNY", "人民币": "CNY", "美元": "USD", "港元": "HKD"}
    ahead = names.get(before)
    agrees = not before or after in {"", "元"} or names.get(after) == ahead
    currency = ahead or names.get(after)
    figure = read_number(number) if "-" not in number and agrees and currency else MALFORMED
    expected = yuan_text(figure, {"": 0, "万": 4, "亿": 8}.get(scale, 0)) if scale != "千" else MALFORMED
    found = outcome(money.capital_text, before + number + scale + after)
    if expected is MALFORMED:
        assert found is MALFORMED
    else:
        assert isinstance(found, money.Money)
        assert (found.amount, found.currency) == (expected, currency)


@fuzz
@given(text=noise)
def test_capital_of_any_text_is_typed_or_malformed(text):
    found = outcome(money.capital_text, text)
    if isinstance(found, money.Money):
        # Whatever was read has no other digits than the text has, but for zeros of the scale and of the fen.
        wanted = [char for char in half(text) if "1" <= char <= "9"]
        assert [char for char in found.amount if "1" <= char <= "9"] == wanted
    else:
        assert found is MALFORMED or not "".join(half(text).split()).strip("()")


def read_day(text: str) -> date | object | None:
    """Oracle of a day."""
    text = half(text).strip()
    if text in {"", "00000000", "0000-00-00"}:
        return None
    parts = None
    if len(text) == 8 and is_digits(text):
        parts = [text[:4], text[4:6], text[6:]]
    elif text.endswith("日") and text.count("年") == text.count("月") == text.count("日") == 1:
        parts = text[:-1].replace("年", "月").split("月")
        parts = parts if text.index("年") < text.index("月") else None
    else:
        parts = next((text.split(mark) for mark in "-/" if text.count(mark) == 2), None)
    if parts is None or not all(map(is_digits, parts)) or len(parts[0]) != 4 or any(len(p) > 2 for p in parts[1:]):
        return MALFORMED
    try:
        return date(*map(int, parts))
    except ValueError:
        return MALFORMED


ymd = st.tuples(st.integers(0, 9999), st.integers(0, 13), st.integers(0, 32))
day_texts = st.one_of(
    [
        ymd.map(lambda d, form=form: form.format(*d))
        for form in (
            "{:04d}{:02d}{:02d}", "{:04d}-{:02d}-{:02d}", "{:04d}/{}/{}", "{:04d}年{}月{}日", "{:04d}-{:02d}/{:02d}",
            "{:04d}年{:02d}-{:02d}",
        )
    ]
)  # fmt: skip


@fuzz
@given(text=noise | dressed(day_texts))
@example(text="2100-02-29")
@example(text="2024年02月30日")
@example(text="99991231")
def test_a_day_is_the_day_it_names_or_malformed(text):
    expected = read_day(text)
    is_far = isinstance(expected, date) and not 1800 <= expected.year <= 2098
    wanted = MALFORMED if is_far else expected.isoformat() if isinstance(expected, date) else expected
    assert outcome(days.day, text) == wanted
    end = outcome(days.end_day, text)
    if expected in {date(9999, 12, 31), date(2099, 12, 31)}:
        assert end == days.EndDay(day=None, no_fixed_term=True)
    elif wanted is MALFORMED:
        assert end is MALFORMED
    else:
        assert end == days.EndDay(day=wanted, no_fixed_term=None if wanted is None else False)


def read_month(text: str) -> str | object | None:
    """Oracle of a month."""
    text = half(text).strip()
    if text in {"", "000000"}:
        return None
    text = text.removesuffix("月")
    year, rest = text[:4], text[4:]
    number = rest[1:] if rest[:1] in {"-", "/", "年"} and rest[:1] else rest
    is_short = len(number) == 1 and number != rest
    if not is_digits(year) or len(year) != 4 or not is_digits(number) or not (len(number) == 2 or is_short):
        return MALFORMED
    return f"{year}-{int(number):02d}" if 1 <= int(number) <= 12 and 1800 <= int(year) <= 2098 else MALFORMED


months = st.tuples(st.integers(1799, 2100), st.integers(0, 13))
month_texts = st.one_of(
    [
        months.map(lambda m, form=form: form.format(*m))
        for form in ("{}{:02d}", "{}-{:02d}", "{}年{}月", "{}/{}", "{}{}")
    ]
)


@fuzz
@given(text=noise | dressed(month_texts))
def test_a_month_is_the_month_it_names_or_malformed(text):
    assert outcome(days.month, text) == read_month(text)


@fuzz
@given(text=noise | dressed(numerals()))
def test_counts_shares_and_points_are_exact_or_malformed(text):
    number = read_number(text)
    is_there = isinstance(number, Fraction)
    is_count = is_there and number.denominator == 1 and 0 <= number < 2**31
    assert outcome(quantities.count, text) == (int(number) if is_count else None if number is None else MALFORMED)
    share = outcome(quantities.ratio, text)
    if is_there and 0 <= number <= 1:
        assert abs(Fraction(share) - number) <= Fraction(1, 2_000_000)
    else:
        assert share is (None if number is None else MALFORMED)
    points = outcome(quantities.score, text)
    if is_there and (number * 100).denominator == 1 and abs(number) < 10**20:
        assert Fraction(points) == number
    else:
        assert points is (None if number is None else MALFORMED)


@fuzz
@given(text=noise | dressed(st.builds(str.__add__, numerals(), st.sampled_from(["", "%", "％", "%%"]))))
def test_per_cent_is_a_hundredth_or_malformed(text):
    number = read_number(half(text).strip().removesuffix("%"))
    found = outcome(quantities.percent, text)
    if isinstance(number, Fraction) and 0 <= number <= 100:
        assert abs(Fraction(found) - number / 100) <= Fraction(1, 2_000_000)
    elif half(text).strip() == "%":
        assert found in {None, MALFORMED}
    else:
        assert found is (None if number is None else MALFORMED)


ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
bare_codes = st.text(alphabet=ALPHABET, min_size=17, max_size=17)


def clean(text: str) -> str:
    """Oracle of normalisation: outer blanks, full-width forms, ASCII letters' case."""
    while text and (text[0].isspace() or text[0] == "\ufeff"):
        text = text[1:]
    while text and (text[-1].isspace() or text[-1] == "\ufeff"):
        text = text[:-1]
    return "".join(char.upper() if "a" <= char <= "z" else char for char in half(text))


@fuzz
@given(text=noise | dressed(st.text(alphabet=ALPHABET + "IOSVZaz", min_size=16, max_size=19) | st.builds(
    lambda head, body, last: head + body + last,
    st.sampled_from(["91", "92", "12"]), st.from_regex(r"[0-9]{6}[0-9A-HJ-NPQRTUWXY]{9}", fullmatch=True),
    st.sampled_from(ALPHABET),
)))  # fmt: skip
def test_a_credit_code_is_accepted_exactly_when_its_weighted_sum_vanishes(text):
    value = clean(text)
    shaped = len(value) == 18 and all(char in ALPHABET for char in value) and is_digits(value[2:8])
    total = sum(ALPHABET.index(char) * 3**i for i, char in enumerate(value[:17])) if shaped else 1
    is_good = shaped and value != "0" * 18 and (total + ALPHABET.index(value[17])) % 31 == 0
    found = parse_uscc(text, divisions=STANDARD.divisions)
    assert isinstance(found, Uscc) is (is_good or value == "91350211M00013FA1N")
    assert getattr(found, "normalised", value) == value
    assert len(value) < 15 or value not in repr(found)


@fuzz
@given(text=noise | dressed(st.builds(
    lambda place, born, rest: place + born + rest,
    st.sampled_from(["500103", "510107", "990101", "810000"]),
    st.dates(date(1850, 1, 1), date(2030, 12, 31)).map(lambda day: f"{day:%Y%m%d}") | st.just("20230230"),
    st.from_regex(r"[0-9]{3}[0-9Xx]", fullmatch=True),
)))  # fmt: skip
def test_a_citizen_id_is_accepted_exactly_when_place_day_and_congruence_hold(text):
    value = clean(text)
    shaped = len(value) == 18 and is_digits(value[:17]) and (is_digits(value[17]) or value[17] == "X")
    places = {*range(11, 16), *range(21, 24), *range(31, 38), *range(41, 47), *range(50, 55), *range(61, 66), 71}
    is_good = shaped and int(value[:2]) in places | {81, 82, 83}
    if is_good:
        born = read_day(value[6:14])
        total = sum((10 if char == "X" else int(char)) * 2 ** (17 - i) for i, char in enumerate(value))
        is_good = isinstance(born, date) and born <= TODAY and total % 11 == 1
    found = parse_citizen_id(text, divisions=STANDARD.divisions, today=TODAY)
    assert isinstance(found, CitizenId if is_good else IdentifierFailure)
    assert len(value) < 15 or value not in repr(found)


def known_texts(list_id: str) -> dict[str, str]:
    """Oracle of a list: what the files say, read here."""
    table, column = {REGISTRATION_STATUS: ("code_registration_status", "canonical"), INDUSTRY_SECTION: (
        "code_gb4754_2017_sections", "code")}[list_id]  # fmt: skip
    found: dict[str, str] = {}
    with (DATA / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            for text in (row[column], row["name_zh"]):
                found.setdefault(plain_brackets(text), row[column])
    with (DATA / "code_aliases.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            if row["code_set"] == list_id:
                found.setdefault(plain_brackets(row["text"]), row["code"])
    return found


def plain_brackets(text: str) -> str:
    for wide, plain in zip("（）〔〕【】", "()[][]", strict=True):
        text = text.replace(wide, plain)
    return half(text).strip()


STATUSES = known_texts(REGISTRATION_STATUS)


@fuzz
@given(
    text=noise | dressed(st.sampled_from(sorted(STATUSES))) | st.sampled_from(sorted(STATUSES)).map(lambda t: t + "?")
)
def test_a_code_text_is_a_listed_code_or_kept_as_it_came(text):
    found = STANDARD.codes.resolve(REGISTRATION_STATUS, text)
    expected = STATUSES.get(plain_brackets(text))
    assert found.is_known is (expected is not None)
    assert found.value == (text if expected is None else expected)
    section = STANDARD.codes.industry_section(text)
    assert section.is_known or section.value == text


@fuzz
@given(text=noise | dressed(st.sampled_from(["1", "0", "是", "否", "Y", "N", "y", "n", "true", "false", "真", "2"])))
def test_a_flag_is_one_of_the_spellings_or_malformed(text):
    value = half(text).strip()
    yes, no = {"1", "是", "Y", "y", "true"}, {"0", "否", "N", "n", "false"}
    expected = None if not value else True if value in yes else False if value in no else MALFORMED
    assert outcome(quantities.flag, text) is expected
