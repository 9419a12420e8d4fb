"""Comparing two models on the same rows."""

import numpy as np
import pytest
from scipy import stats

from dnncli.metrics.intervals import proportion_interval
from dnncli.metrics.paired import difference, mcnemar


def test_values_worked_out_by_hand():
    # 2 (C(5, 0) + C(5, 1)) / 2^5
    assert mcnemar(1, 4) == pytest.approx(2 * 6 / 32, abs=1e-15)
    assert mcnemar(4, 1) == mcnemar(1, 4)
    assert mcnemar(0, 0) == mcnemar(7, 7) == 1
    assert difference(10, 3, 100).difference == pytest.approx(0.07, abs=1e-15)


@pytest.mark.parametrize("first", [0, 1, 13, 200])
@pytest.mark.parametrize("second", [0, 2, 13, 350])
def test_the_p_value_agrees_with_scipy(first, second):
    if first + second:
        expected = stats.binomtest(first, first + second).pvalue
        assert mcnemar(first, second) == pytest.approx(expected, abs=1e-12)


def test_the_p_value_holds_its_level_whatever_the_number_of_disagreements():
    for n in range(1, 40):
        chance = stats.binom.pmf(np.arange(n + 1), n, 0.5)
        below = np.array([mcnemar(k, n - k) <= 0.05 for k in range(n + 1)])
        assert chance[below].sum() <= 0.05


@pytest.mark.parametrize(("first", "second", "n"), [(10, 3, 100), (0, 5, 40), (30, 1, 60)])
def test_the_ends_are_where_the_score_test_gives_the_limit(first, second, n):
    found = difference(first, second, n)
    assert found.low < found.difference < found.high
    for end in (found.low, found.high):
        # The likeliest cell shares with that difference, by plain search.
        grid = np.linspace(max(0, -end), (1 - end) / 2, 200_001)[1:-1]
        both = first * np.log(grid + end) + second * np.log(grid)
        likelihood = both + (n - first - second) * np.log(1 - 2 * grid - end)
        share = grid[likelihood.argmax()]
        variance = n * (2 * share + end - end * end)
        statistic = (first - second - n * end) / np.sqrt(variance)
        assert abs(statistic) == pytest.approx(1.959964, abs=2e-3)


def test_a_difference_turned_round_has_the_interval_turned_round():
    one, two = difference(9, 2, 50), difference(2, 9, 50)
    assert (one.low, one.high) == pytest.approx((-two.high, -two.low), abs=1e-12)


def test_models_that_always_disagree_have_the_interval_of_one_share():
    # Then the difference is 2 p - 1, and Tango's interval is Wilson's.
    low, high = proportion_interval(18, 20, method="wilson")
    found = difference(18, 2, 20)
    assert (found.low, found.high) == pytest.approx((2 * low - 1, 2 * high - 1), abs=1e-9)


def test_the_interval_holds_the_true_difference_about_as_often_as_it_says():
    rng = np.random.default_rng(0)
    draws = rng.multinomial(80, [0.15, 0.07, 0.78], size=2000)
    found = [difference(int(first), int(second), 80) for first, second, _ in draws]
    held = np.mean([pair.low <= 0.08 <= pair.high for pair in found])
    assert held == pytest.approx(0.95, abs=0.015 + 0.012)


def test_equal_models_are_equal_and_no_row_tells_nothing():
    same = difference(0, 0, 10)
    assert same.low < 0 == same.difference < same.high
    assert np.isnan(difference(0, 0, 0).low)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="must not be negative"):
        mcnemar(-1, 2)
    with pytest.raises(ValueError, match="5 and 6 of 10"):
        difference(5, 6, 10)
    with pytest.raises(ValueError, match="confidence must lie in"):
        difference(1, 1, 10, confidence=0)
