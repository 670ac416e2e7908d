"""The validation's page says what it does not prove, and holds every figure the cases give."""

from __future__ import annotations

import pytest

from loadtest.validation import main, render
from loadtest.validation_figures import Case
from sandbox.population import DEFAULT_RATES, Population


def case(number: int, score: int | None, *, bad: bool) -> Case:
    home = ("重庆 Chongqing", "四川 Sichuan")[number % 2]
    grade = "XYD-S" if score is None else "XYD-3"
    return Case(code=f"C{number:03}", grade=grade, score=score, coverage=0.7, bad=bad, province=home, size="<small>")


def test_the_page_says_first_that_it_proves_no_predictive_power_and_escapes_text() -> None:
    cases = [case(n, 600 + n, bad=n < 5) for n in range(40)] + [case(99, None, bad=True)]
    page = render(cases, failed=2, day="2026-11-27")
    assert page.index("不能说明预测能力") < page.index("KS")
    assert "<small>" not in page
    assert "&lt;small&gt;" in page
    assert "41 家企业" in page
    assert "2 家失败" in page
    assert "40 家有分数" in page
    assert "<td>AUC</td><td>1.000</td>" in page
    assert page.count("<svg") == 2


@pytest.mark.parametrize("firms", ["0", "-1", "10001", "x"])
def test_a_number_of_firms_out_of_range_is_named_before_anything_starts(
    firms: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--firms", firms])
    assert "--firms" in capsys.readouterr().err


def test_a_page_without_a_bad_firm_has_no_invented_figure() -> None:
    page = render([case(n, 600 + n, bad=False) for n in range(10)], failed=0, day="2026-11-27")
    assert "<td>AUC</td><td>无 none</td>" in page
    assert page.count("<svg") == 1


def test_outcomes_are_seeded_and_come_at_their_grades_rates() -> None:
    firms = Population(seed=7, enterprises=20_000, persons=1)
    outcomes = [firms.defaulted(index) for index in range(4_000)]
    assert outcomes == [Population(seed=7, enterprises=20_000, persons=1).defaulted(index) for index in range(4_000)]
    grades = [firms.grade(index) for index in range(4_000)]
    rates = {
        grade: sum(o for o, g in zip(outcomes, grades, strict=True) if g is grade) / grades.count(grade)
        for grade in DEFAULT_RATES
    }
    assert sorted(rates, key=rates.__getitem__) == sorted(DEFAULT_RATES, key=DEFAULT_RATES.__getitem__)
