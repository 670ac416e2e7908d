from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from standards import days, money, quantities
from standards.days import EndDay
from standards.malformed import MalformedValueError
from standards.money import Money

GOLDEN_MONEY = [
    (money.wan_yuan, "1,250.00", "12500000.00"),
    (money.wan_yuan, "18.35", "183500.00"),
    (money.wan_yuan, "18.35万元", "183500.00"),
    (money.wan_yuan, "１，２５０．００", "12500000.00"),
    (money.wan_yuan, "-3.5", "-35000.00"),
    (money.wan_yuan, "0", "0.00"),
    (money.wan_yuan, "", None),
    (money.wan_yuan, None, None),
    (money.fen, 18345000, "183450.00"),
    (money.fen, "1", "0.01"),
    (money.fen, Decimal("1E+5"), "1000.00"),
    (money.yuan, Decimal(183450), "183450.00"),
    (money.yuan, Decimal("0.10"), "0.10"),
    (money.yuan, "12.5元", "12.50"),
]


@pytest.mark.parametrize(("convert", "given_value", "expected"), GOLDEN_MONEY)
def test_amount_is_translated_as_documented(convert, given_value, expected):
    assert convert(given_value, path="p") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("500万元人民币", Money(amount="5000000.00", currency="CNY")),
        ("100万美元", Money(amount="1000000.00", currency="USD")),
        ("1,000.5万元", Money(amount="10005000.00", currency="CNY")),
        ("人民币500万元", Money(amount="5000000.00", currency="CNY")),
        ("２亿元（人民币）", Money(amount="200000000.00", currency="CNY")),
        ("3000000港币", Money(amount="3000000.00", currency="HKD")),
        (" ", None),
        (None, None),
    ],
)
def test_registered_capital_text_gives_amount_and_currency(text, expected):
    assert money.capital_text(text, path="p") == expected


@pytest.mark.parametrize(
    "text", ["500万", "500", "万元", "100万比索", "美元100万元人民币", "500,00万元", "500万元人民币100"]
)
def test_registered_capital_without_clear_amount_or_currency_is_malformed(text):
    with pytest.raises(MalformedValueError) as caught:
        money.capital_text(text, path="JBXX/ZCZB")
    assert caught.value.path == "JBXX/ZCZB"
    assert caught.value.message in {
        "JBXX/ZCZB: expected an amount with its currency, for example 500万元人民币",
        "JBXX/ZCZB: expected a decimal number",
    }


@pytest.mark.parametrize(
    ("convert", "value"),
    [
        (money.wan_yuan, "12,50.00"),
        (money.wan_yuan, "1.2.3"),
        (money.wan_yuan, "12.5元"),
        (money.wan_yuan, "1E9"),
        (money.wan_yuan, "NaN"),
        (money.wan_yuan, "0.0000001"),
        (money.wan_yuan, "9" * 17),
        (money.fen, Decimal("0.5")),
        (money.fen, True),
        (money.fen, 1.5),
        (money.yuan, Decimal("1E+999999")),
        (money.yuan, Decimal("1E-999999")),
        (money.yuan, Decimal("Infinity")),
        (money.yuan, "12.345"),
        (quantities.percent, "100.01"),
        (quantities.ratio, Decimal("1.1")),
        (quantities.ratio, "-0.1"),
        (quantities.count, "3.5"),
        (quantities.count, -1),
        (quantities.flag, "maybe"),
        (quantities.score, "83.555"),
        (days.day, "20260230"),
        (days.day, "99991231"),
        (days.day, "2026-13-01"),
        (days.day, "2026"),
        (days.month, "202613"),
        (days.year, "26"),
        (days.day_of_epoch_ms, -1),
        (days.moment_of_compact, "20261123"),
        (days.moment_of_compact, "20261123250000"),
    ],
)
def test_value_of_another_shape_is_malformed_with_its_path(convert, value):
    with pytest.raises(MalformedValueError) as caught:
        convert(value, path="$.a")
    assert caught.value.metadata == {"path": "$.a"}


def test_share_is_the_same_from_both_platforms():
    assert quantities.percent("12.50", path="p") == "0.125"
    assert quantities.ratio(Decimal("0.125"), path="p") == "0.125"
    assert quantities.ratio(Decimal(0), path="p") == "0"
    assert quantities.percent("100%", path="p") == "1"


def test_score_stays_on_its_scale():
    assert quantities.score("83.5", path="p") == "83.5"
    assert quantities.score(782, path="p") == "782"


def test_flag_and_count_are_read_in_every_spelling():
    assert [quantities.flag(text, path="p") for text in ("1", "是", "Y", True)] == [True] * 4
    assert [quantities.flag(text, path="p") for text in ("0", "否", "N", False)] == [False] * 4
    assert quantities.flag("", path="p") is None
    assert quantities.count("37", path="p") == 37


@pytest.mark.parametrize("text", ["20160308", "2016-03-08", "2016/3/8", "2016年03月08日", "2016年3月8日"])
def test_day_is_read_in_every_spelling(text):
    assert days.day(text, path="p") == "2016-03-08"


def test_unknown_day_is_none_and_open_end_is_said():
    assert days.day("00000000", path="p") is None
    assert days.end_day("00000000", path="p") == EndDay(day=None, no_fixed_term=None)
    assert days.end_day("", path="p") == EndDay(day=None, no_fixed_term=None)
    for open_end in ("99991231", "2099-12-31", None):
        assert days.end_day(open_end, path="p") == EndDay(day=None, no_fixed_term=True)
    assert days.end_day("20360611", path="p") == EndDay(day="2036-06-11", no_fixed_term=False)


def test_month_and_moments():
    assert days.month("202610", path="p") == "2026-10"
    assert days.month("2026-10", path="p") == "2026-10"
    assert days.month("2026年1月", path="p") == "2026-01"
    assert days.day_of_epoch_ms(1795325400000, path="p") == "2026-11-22"
    assert days.moment_of_compact("20261123090000", path="p") == datetime(2026, 11, 23, 1, tzinfo=UTC)
    assert days.start_of_day("2026-11-23") == datetime(2026, 11, 22, 16, tzinfo=UTC)


def test_timestamp_after_beijing_midnight_belongs_to_the_next_day():
    moment = int(datetime(2026, 11, 22, 16, 0, tzinfo=UTC).timestamp() * 1000)
    assert days.day_of_epoch_ms(moment, path="p") == "2026-11-23"
    assert days.day_of_epoch_ms(moment - 1, path="p") == "2026-11-22"


TEXTS = st.one_of(
    st.text(max_size=20),
    st.text(alphabet="0123456789０１２,，.．-万元分年月日人民币美 %", max_size=16),
    st.from_regex(r"-?[0-9]{1,4}(,[0-9]{3})*(\.[0-9]{1,3})?(万元|元|分)?", fullmatch=True),
)


@given(TEXTS)
def test_no_text_crashes_a_conversion(text):
    for convert in (
        money.wan_yuan,
        money.yuan,
        money.fen,
        money.capital_text,
        quantities.percent,
        quantities.ratio,
        quantities.count,
        quantities.flag,
        quantities.score,
        days.day,
        days.end_day,
        days.month,
        days.year,
        days.moment_of_compact,
    ):
        with suppress(MalformedValueError):
            convert(text, path="p")


@given(st.decimals(min_value=-(10**11), max_value=10**11, places=2))
def test_wan_yuan_is_exactly_ten_thousand_times(number):
    text = money.wan_yuan(f"{number:,.2f}", path="p")
    assert Decimal(text) == number * 10_000
    assert "E" not in text
