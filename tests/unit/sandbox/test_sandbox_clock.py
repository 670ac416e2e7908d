from datetime import date, timedelta

import pytest

from sandbox.clock import open_clocks
from sandbox.days import chongqing_tax_day, end_of_previous_month, sichuan_tax_day


def test_the_data_clock_survives_a_restart(sandbox, tmp_path):
    sandbox.clocks.data.advance(3)
    again = open_clocks(sandbox.real, tmp_path).data
    assert (again.first_day, again.day) == (date(2026, 11, 23), date(2026, 11, 26))


def test_the_data_day_follows_real_days_too_and_d0_stays(sandbox, tmp_path):
    sandbox.clocks.data.advance(1)
    sandbox.real.pass_(days=2)
    again = open_clocks(sandbox.real, tmp_path).data
    assert (again.first_day, again.day) == (date(2026, 11, 23), date(2026, 11, 26))


def test_the_data_clock_never_goes_back(sandbox):
    with pytest.raises(ValueError, match="never goes back"):
        sandbox.clocks.data.advance(-1)


def test_job_age_grows_with_the_data_clock_and_protocol_clocks_do_not(sandbox):
    before, chongqing = sandbox.clocks.data.aged_now(), sandbox.clocks.chongqing.now()
    sandbox.clocks.data.advance(1)
    assert sandbox.clocks.data.aged_now() - before == timedelta(days=1)
    assert sandbox.clocks.chongqing.now() == chongqing


def test_protocol_clocks_are_off_as_the_pages_say(sandbox):
    real = sandbox.real.now()
    assert sandbox.clocks.chongqing.now() - real == timedelta(seconds=90)
    assert sandbox.clocks.sichuan.now() - real == timedelta(seconds=-40)


def test_the_beijing_day_decides(sandbox):
    sandbox.real.pass_(hours=15)
    assert sandbox.clocks.data.day == date(2026, 11, 24)


@pytest.mark.parametrize(
    ("day", "tax_day"),
    [
        (date(2026, 11, 23), date(2026, 10, 31)),
        (date(2026, 11, 15), date(2026, 10, 31)),
        (date(2026, 11, 10), date(2026, 9, 30)),
        (date(2026, 1, 14), date(2025, 11, 30)),
    ],
)
def test_chongqing_refreshes_tax_on_the_15th(day, tax_day):
    assert chongqing_tax_day(day) == tax_day


@pytest.mark.parametrize(
    ("day", "tax_day"),
    [
        (date(2026, 11, 23), date(2026, 9, 30)),
        (date(2026, 10, 20), date(2026, 9, 30)),
        (date(2026, 10, 19), date(2026, 6, 30)),
        (date(2026, 1, 1), date(2025, 9, 30)),
    ],
)
def test_sichuan_shows_a_quarter_twenty_days_after_its_end(day, tax_day):
    assert sichuan_tax_day(day) == tax_day


def test_sichuan_months_end_with_the_month_before():
    assert end_of_previous_month(date(2026, 3, 1)) == date(2026, 2, 28)
