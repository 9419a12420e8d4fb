"""Binomial and beta functions against SciPy, and against exact fractions."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from scipy import stats

from dnncli.metrics.special import (
    beta_cdf,
    beta_density,
    beta_quantile,
    binomial_cdf,
    binomial_pmf,
    normal_quantile,
    student_quantile,
)

SIZES = [1, 2, 5, 30, 1000, 10**5, 10**7]


def some_counts(n):
    return np.unique(np.clip([0, 1, 2, n // 3, n // 2, n - 2, n - 1], 0, n - 1))


@pytest.mark.parametrize("p", [Fraction(1, 20), Fraction(1, 2), Fraction(99, 100)])
@pytest.mark.parametrize("n", [1, 7, 60])
def test_binomial_probabilities_equal_exact_fractions(n, p):
    exact = [comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(n + 1)]
    k = np.arange(n + 1)
    np.testing.assert_allclose(binomial_pmf(k, n, float(p)), np.array(exact, float), rtol=1e-12)
    sums = np.cumsum(np.array(exact, object)).astype(float)
    np.testing.assert_allclose(binomial_cdf(k, n, float(p)), sums, rtol=1e-12, atol=0)


@pytest.mark.parametrize("n", SIZES)
def test_binomial_probabilities_agree_with_scipy(n):
    k = some_counts(n)[:, None]
    p = np.array([1e-6, 0.01, 0.3, 0.5, 0.95, 1 - 1e-6])
    np.testing.assert_allclose(binomial_cdf(k, n, p), stats.binom.cdf(k, n, p), atol=1e-12)
    np.testing.assert_allclose(binomial_pmf(k, n, p), stats.binom.pmf(k, n, p), atol=1e-12)


def test_outside_the_possible_counts_the_binomial_sum_is_zero_or_one():
    assert binomial_cdf([-1, 5, 6], 5, 0.3).tolist() == [0, 1, 1]
    assert binomial_cdf(0, 0, 0.3) == 1
    assert binomial_cdf([0, 3], 5, [0.0, 1.0]).tolist() == [1, 0]


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("share", [1e-6, 0.005, 0.025, 0.5, 0.975])
def test_beta_quantiles_agree_with_scipy(n, share):
    k = some_counts(n)
    ours = beta_quantile(share, k + 1, n - k)
    np.testing.assert_allclose(ours, stats.beta.ppf(share, k + 1, n - k), rtol=0, atol=1e-11)
    np.testing.assert_allclose(beta_cdf(ours, k + 1, n - k), share, rtol=1e-7)


@pytest.mark.parametrize("n", [2, 10, 10**4, 10**6])
def test_tiny_tails_keep_their_relative_accuracy(n):
    # I_x(1, n) = 1 - (1 - x)^n and I_x(n, 1) = x^n
    share = 5e-13
    one = beta_quantile(share, [1, n], [n, 1])
    expected = [-np.expm1(np.log1p(-share) / n), share ** (1 / n)]
    np.testing.assert_allclose(one, expected, rtol=1e-10)
    k = np.array([2, n // 2 + 1])
    found = beta_quantile(share, k, n - k + 1)
    np.testing.assert_allclose(found, stats.beta.ppf(share, k, n - k + 1), rtol=1e-9)


def test_the_beta_function_has_its_closed_forms():
    x = np.linspace(0, 1, 11)
    np.testing.assert_allclose(beta_cdf(x, 1, 1), x, atol=1e-15)
    np.testing.assert_allclose(beta_cdf(x, 3, 1), x**3, atol=1e-15)
    np.testing.assert_allclose(beta_cdf(x, 1, 4), 1 - (1 - x) ** 4, atol=1e-15)
    np.testing.assert_allclose(beta_density([0.25], 2, 1), [0.5], rtol=1e-14)


def test_the_two_tails_of_the_beta_distribution_sum_to_one():
    x = np.random.default_rng(0).random(200)
    a, b = np.random.default_rng(1).integers(1, 500, size=(2, 200))
    np.testing.assert_allclose(beta_cdf(x, a, b) + beta_cdf(1 - x, b, a), 1, atol=1e-13)


@pytest.mark.parametrize("share", [0.9, 0.975, 0.995])
def test_quantiles_of_normal_and_student_agree_with_scipy(share):
    assert normal_quantile(share) == pytest.approx(stats.norm.ppf(share), abs=1e-13)
    freedom = np.array([1, 1.5, 2, 3.3, 10, 50.5, 1000, 9e4, 1e5, 1e7, 1e9, 1e13])
    expected = stats.t.ppf(share, freedom)
    np.testing.assert_allclose(student_quantile(share, freedom), expected, rtol=1e-7)
