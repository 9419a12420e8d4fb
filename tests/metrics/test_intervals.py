"""Intervals of a proportion: equal to others', and as sure as they say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from dnncli.metrics.intervals import lower_bound, proportion_interval

SIZES = [1, 2, 10, 59, 1000, 123_456, 10**7]


def grid(n):
    return np.unique(np.clip([0, 1, n // 10, n // 2, n - 1, n], 0, n))


def test_all_of_three_worked_out_by_hand():
    # (alpha / 2)^(1 / 3) from below, and nothing from above
    low, high = proportion_interval(3, 3, confidence=0.95)
    assert low == pytest.approx(0.025 ** (1 / 3), abs=1e-14)
    assert high == 1
    assert lower_bound(3, 3, confidence=0.95) == pytest.approx(0.05 ** (1 / 3), abs=1e-14)
    low, high = proportion_interval(0, 3, confidence=0.95)
    assert low == 0
    assert high == pytest.approx(1 - 0.025 ** (1 / 3), abs=1e-14)


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
def test_agree_with_scipy(n, confidence):
    for k in grid(n):
        test = stats.binomtest(int(k), n)
        for method, theirs in (("clopper-pearson", "exact"), ("wilson", "wilson")):
            expected = test.proportion_ci(confidence, method=theirs)
            ours = proportion_interval(k, n, confidence=confidence, method=method)
            np.testing.assert_allclose(ours, [expected.low, expected.high], rtol=0, atol=1e-10)
        one_sided = stats.binomtest(int(k), n, alternative="greater").proportion_ci(confidence)
        assert lower_bound(k, n, confidence=confidence) == pytest.approx(one_sided.low, abs=1e-10)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
@pytest.mark.parametrize("n", [1, 5, 30, 101])
def test_the_exact_interval_holds_every_true_share_as_often_as_it_says(n, confidence):
    # Not simulated: the probabilities of all counts whose interval holds the share.
    k = np.arange(n + 1)
    low, high = proportion_interval(k, n, confidence=confidence)
    bound = lower_bound(k, n, confidence=confidence)
    for share in np.linspace(0.001, 0.999, 333):
        chance = stats.binom.pmf(k, n, share)
        assert chance[(low <= share) & (share <= high)].sum() >= confidence - 1e-12
        assert chance[bound <= share].sum() >= confidence - 1e-12


def test_wilson_holds_the_share_about_as_often_as_it_says():
    k, shares = np.arange(61), np.linspace(0.005, 0.995, 300)
    low, high = proportion_interval(k, 60, method="wilson")
    held = [stats.binom.pmf(k, 60, p)[(low <= p) & (p <= high)].sum() for p in shares]
    assert np.mean(held) == pytest.approx(0.95, abs=0.005)


@settings(deadline=None)  # no timed assertions
@given(st.integers(0, 500), st.integers(0, 500), st.floats(0.5, 0.999))
def test_what_holds_for_successes_holds_for_failures_turned_round(successes, failures, confidence):
    n = successes + failures
    low, high = proportion_interval(successes, n, confidence=confidence)
    if n == 0:
        assert np.isnan([low, high]).all()
        return
    assert 0 <= low <= successes / n <= high <= 1
    mirrored = proportion_interval(failures, n, confidence=confidence)
    np.testing.assert_allclose([1 - high, 1 - low], mirrored, atol=1e-12)


def test_arrays_of_any_shape_are_worked_on_at_once():
    low, high = proportion_interval([[0, 5], [1, 0]], [[0, 5], [2, 7]])
    assert low.shape == high.shape == (2, 2)
    assert np.isnan(low).tolist() == [[True, False], [False, False]]


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match="0 <= successes <= trials"):
        proportion_interval(3, 2)
    with pytest.raises(ValueError, match="whole numbers"):
        lower_bound(0.5, 2)
    with pytest.raises(ValueError, match=r"confidence must lie in \(0, 1\). Got 1.0"):
        proportion_interval(1, 2, confidence=1.0)
    with pytest.raises(ValueError, match="method must be one of"):
        proportion_interval(1, 2, method="wald")
