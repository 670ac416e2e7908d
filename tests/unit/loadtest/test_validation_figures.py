"""The figures of a validation, by hand and by definition."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.validation_figures import auc, brier, curve, deciles, design_probability, ks, psi, rises_never

PAIRS = st.lists(st.tuples(st.integers(300, 850), st.booleans()), min_size=1, max_size=60)


def test_perfect_useless_and_inverted_scores() -> None:
    perfect = [(500, True), (510, True), (700, False), (800, False)]
    assert (auc(perfect), ks(perfect)) == (1.0, 1.0)
    assert auc([(600, True), (600, False)]) == 0.5
    assert ks([(600, True), (600, False)]) == 0.0
    assert auc([(800, True), (500, False)]) == 0.0
    assert (auc([(600, False)]), ks([(600, False)]), brier([])) == (None, None, None)


@given(PAIRS)
def test_the_area_is_the_share_of_pairs_in_order(pairs: list[tuple[int, bool]]) -> None:
    bad = [score for score, is_bad in pairs if is_bad]
    good = [score for score, is_bad in pairs if not is_bad]
    if not bad or not good:
        assert auc(pairs) is None
        return
    in_order = sum((g > b) + (g == b) / 2 for g in good for b in bad)
    assert auc(pairs) == pytest.approx(in_order / len(bad) / len(good))
    distance = max(
        abs(sum(b <= s for b in bad) / len(bad) - sum(g <= s for g in good) / len(good)) for s in {*bad, *good}
    )
    assert ks(pairs) == pytest.approx(distance)
    assert curve(pairs)[-1][1:] == (1.0, 1.0)


def test_the_design_is_odds_of_1_to_19_at_600_and_50_points_double_them() -> None:
    odds = [(1 - design_probability(score)) / design_probability(score) for score in (600, 650)]
    assert odds[0] == pytest.approx(19, rel=0.01)
    assert odds[1] / odds[0] == pytest.approx(2, rel=0.01)
    assert brier([(600, False)]) == pytest.approx(0.05**2, rel=0.01)


def test_deciles_hold_everybody_once_lowest_first() -> None:
    pairs = [(300 + n, n < 7) for n in range(103)]
    bands = deciles(pairs)
    assert (len(bands), sum(band.count for band in bands)) == (10, 103)
    assert [band.bad for band in bands][:2] == [7, 0]
    assert bands[0].name == "300-309"


def test_stability_is_zero_of_the_same_and_grows_with_a_shift() -> None:
    scores = [500, 600, 700, 800]
    assert psi(scores, scores, [550, 650, 750]) == 0
    assert psi([500, 700], [500, 500, 500, 700], [600]) == pytest.approx(0.25 * math.log(1.5) - 0.25 * math.log(0.5))
    assert psi([], scores, [600]) is None


def test_rates_that_rise_towards_better_bands_are_told() -> None:
    assert rises_never([0.3, 0.3, 0.1])
    assert not rises_never([0.1, 0.2])
