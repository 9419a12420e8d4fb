"""Binomial probabilities and beta quantiles, for exact intervals and certificates.

Only whole parameters occur here, so that no general incomplete beta function is needed: the
density is then a polynomial, and Gauss-Legendre quadrature of its short tail is exact for small
samples and accurate to about 1e-13 of the tail for large ones. Arguments are broadcast against
each other.
"""

import math
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

_FALL = 45.0  # the tail is cut where the density has fallen by exp(-45)
_NODES = 64
_HALVINGS = 45  # of the unit interval, to find that place
_NEARLY_NORMAL = 1e5  # degrees of freedom from which a series is better than quadrature

# ln n! less Stirling's formula, for n = 0 (never used) to 15.
_STIRLING_ERROR = np.array(
    [0.0]
    + [
        math.lgamma(n + 1) - (0.5 * math.log(2 * math.pi * n) + n * math.log(n) - n)
        for n in range(1, 16)
    ]
)


def normal_quantile(share: float) -> float:
    """The value that a standard normal variable stays below with probability `share`."""
    return NormalDist().inv_cdf(share)


def binomial_pmf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> NDArray[np.float64]:
    """Probability of exactly k successes in n trials, 0 < p < 1, 0 <= k <= n, n >= 0.

    Source: C. Loader 2000, "Fast and Accurate Computation of Binomial Probabilities".
    """
    k, n, p = np.broadcast_arrays(*(np.asarray(value, float) for value in (k, n, p)))
    inner = (k > 0) & (k < n)
    k_in, n_in = np.where(inner, k, 1.0), np.where(inner, n, 2.0)
    rest = n_in - k_in
    log_pmf = (
        _stirling_error(n_in)
        - _stirling_error(k_in)
        - _stirling_error(rest)
        - _deviance(k_in, n_in * p)
        - _deviance(rest, n_in * (1 - p))
        - 0.5 * np.log(2 * np.pi * k_in * (rest / n_in))
    )
    edge = np.where(k == 0, n * np.log1p(-p), n * np.log(p))
    return np.exp(np.where(inner, log_pmf, edge))


def binomial_cdf(k: ArrayLike, n: ArrayLike, p: ArrayLike) -> NDArray[np.float64]:
    """Probability of at most k successes in n trials that succeed with probability p.

    Args:
        k: whole; below 0 the result is 0, from n on it is 1.
        n: whole, >= 0.
        p: in [0, 1].
    """
    k, n, p = np.broadcast_arrays(*(np.asarray(value, float) for value in (k, n, p)))
    inner = (k >= 0) & (k < n)
    k_in, n_in = np.where(inner, k, 0.0), np.where(inner, n, 1.0)
    return np.where(inner, beta_cdf(1 - p, n_in - k_in, k_in + 1), np.where(k < 0, 0.0, 1.0))


def beta_cdf(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """The regularised incomplete beta function I_x(a, b) for whole a, b >= 1.

    The tail on the far side of the mean is integrated; the other one is its complement.

    Args:
        x: in [0, 1].
        a: whole, >= 1.
        b: whole, >= 1.

    Source: Abramowitz and Stegun 1964, 26.5.1.
    """
    x, a, b = np.broadcast_arrays(*(np.asarray(value, float) for value in (x, a, b)))
    inner = (x > 0) & (x < 1)
    at = np.where(inner, x, 0.5)
    lower = at * (a + b) <= a
    side = np.where(lower, -1.0, 1.0)
    length = np.where(lower, at, 1 - at)
    near, far = np.zeros_like(at), np.ones_like(at)
    for _ in range(_HALVINGS):
        middle = (near + far) / 2
        deep = _log_ratio(side * length * middle, at, a, b) < -_FALL
        near, far = np.where(deep, near, middle), np.where(deep, middle, far)
    nodes, weights = _quadrature()
    width = (length * far)[..., None]
    steps = side[..., None] * width * nodes
    ratio = np.exp(_log_ratio(steps, at[..., None], a[..., None], b[..., None]))
    tail = beta_density(at, a, b) * width[..., 0] * (ratio * weights).sum(axis=-1)
    inside = np.clip(np.where(lower, tail, 1 - tail), 0.0, 1.0)
    return np.where(inner, inside, np.where(x <= 0, 0.0, 1.0))


def beta_density(x: ArrayLike, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """Density of the beta distribution at 0 < x < 1 for whole a, b >= 1."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    return (a + b - 1) * binomial_pmf(a - 1, a + b - 2, x)


def beta_quantile(share: ArrayLike, a: ArrayLike, b: ArrayLike) -> NDArray[np.float64]:
    """The x with I_x(a, b) = share, for whole a, b >= 1 and 0 < share < 1.

    Newton's method for the logarithms of both, which are nearly a straight line in the lower
    tail, from the mean, with halving where it would leave the bracket.
    """
    share, a, b = np.broadcast_arrays(*(np.asarray(value, float) for value in (share, a, b)))
    x = a / (a + b)
    low, high = np.zeros_like(x), np.ones_like(x)
    for _ in range(200):
        reached = beta_cdf(x, a, b)
        low, high = np.where(reached < share, x, low), np.where(reached > share, x, high)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            slope = x * beta_density(x, a, b) / reached
            following = x * np.exp(np.log(share / reached) / slope)
        close = np.abs(following - x) <= 1e-11 * x  # each step squares the error
        inside = (following >= low) & (following <= high)
        x = np.where(inside | close, following, (low + high) / 2)
        if close.all():
            break
    return x


def _log_ratio(step: NDArray, x: NDArray, a: NDArray, b: NDArray) -> NDArray:
    """ln of the beta density at x + step over that at x."""
    return (a - 1) * np.log1p(step / x) + (b - 1) * np.log1p(-step / (1 - x))


@lru_cache(maxsize=1)
def _quadrature() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    nodes, weights = np.polynomial.legendre.leggauss(_NODES)
    return (nodes + 1) / 2, weights / 2


def _stirling_error(n: NDArray) -> NDArray:
    square = n * n
    series = (1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680) / square) / square) / square) / n
    return np.where(n < 16, _STIRLING_ERROR[np.minimum(n, 15).astype(int)], series)


def _deviance(x: NDArray, mean: NDArray) -> NDArray:
    """x ln(x / mean) + mean - x, without cancellation of large terms."""
    relative = (mean - x) / x
    near = relative > -0.5
    logarithm = np.where(near, np.log1p(np.where(near, relative, 0.0)), np.log(mean / x))
    return x * (relative - logarithm)


def student_quantile(share: float, freedom: ArrayLike) -> NDArray[np.float64]:
    """The value that Student's t stays below with probability `share`.

    With t = sqrt(freedom) tan(angle) the density becomes a power of the cosine, whose integral
    from 0 is found by quadrature, and the angle by Newton's method. From _NEARLY_NORMAL on it is
    the normal quantile with the first terms of a series. Good to 1e-7, relative, for shares up to
    0.9995.

    Args:
        share: in [0.5, 1).
        freedom: degrees of freedom, >= 1, not necessarily whole.

    Source: Abramowitz and Stegun 1964, 26.7.5 (the series).
    """
    degrees = np.asarray(freedom, float)
    z = normal_quantile(share)
    series = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    few = np.minimum(degrees, _NEARLY_NORMAL)
    nodes, weights = _quadrature()
    lgamma = np.vectorize(math.lgamma, otypes=[float])
    # Half of the beta function B(1/2, freedom / 2), over which the density sums to one half.
    half = np.exp(lgamma(few / 2) - lgamma((few + 1) / 2)) * math.sqrt(math.pi) / 2
    # The normal quantile is the lower one, and from below Newton's method never overshoots here.
    angle = np.arctan(z / np.sqrt(few))
    for _ in range(100):
        powers = np.cos(angle[..., None] * nodes) ** (few[..., None] - 1)
        missing = 2 * half * (share - 0.5) - angle * (powers * weights).sum(axis=-1)
        step = missing / np.cos(angle) ** (few - 1)
        angle = angle + step
        if (np.abs(step) <= 1e-9 * angle).all():
            break
    return np.where(degrees >= _NEARLY_NORMAL, series, np.sqrt(few) * np.tan(angle))
