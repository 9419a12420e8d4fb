"""How far a score can be off by chance: exact intervals of one proportion.

They assume that rows are drawn independently from what the model will meet; a data set of many
pictures of few things, or one that was searched for hard cases, is not such a draw.
"""

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnncli.metrics.special import beta_quantile, normal_quantile

FMethod = Literal["delta", "bootstrap"]  # see f_intervals
F_METHODS: tuple[FMethod, ...] = ("delta", "bootstrap")  # the default comes first
ProportionMethod = Literal["clopper-pearson", "wilson"]
PROPORTION_METHODS: tuple[ProportionMethod, ...] = ("clopper-pearson", "wilson")  # default first


def proportion_interval(
    successes: ArrayLike,
    trials: ArrayLike,
    *,
    confidence: float = 0.95,
    method: ProportionMethod = "clopper-pearson",
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Two-sided interval of a proportion, such as precision or recall.

    Clopper-Pearson is exact: at every true proportion it holds it with at least the confidence.
    Wilson is narrower and holds it with about the confidence, on average over proportions.

    Args:
        successes: whole numbers in [0, trials].
        trials: whole numbers >= 0, of any shape that fits.
        confidence: in (0, 1).
        method: "clopper-pearson" or "wilson".

    Returns:
        Lower and upper ends in [0, 1]; NaN where trials is 0.

    Raises:
        ValueError: if a count is not whole or out of range, or an option is unknown.

    Source: C. Clopper and E. Pearson 1934, https://doi.org/10.1093/biomet/26.4.404;
    E. Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953
    """
    k, n = _counts(successes, trials, confidence)
    some = n > 0
    n_some = np.where(some, n, 1.0)
    if method == "wilson":
        low, high = wilson(k, n_some, normal_quantile((1 + confidence) / 2))
    elif method == "clopper-pearson":
        tail = (1 - confidence) / 2
        low, rest = _exact_end(np.stack([k, n_some - k]), n_some, tail)
        high = 1 - rest
    else:
        raise ValueError(f"method must be one of {PROPORTION_METHODS}. Got {method!r}.")
    return np.where(some, low, np.nan), np.where(some, high, np.nan)


def lower_bound(
    successes: ArrayLike, trials: ArrayLike, *, confidence: float = 0.95
) -> NDArray[np.float64]:
    """One-sided exact bound: the proportion is at least this, with at least the confidence.

    Args:
        successes: whole numbers in [0, trials].
        trials: whole numbers >= 0.
        confidence: in (0, 1).

    Returns:
        In [0, 1]; NaN where trials is 0.

    Source: C. Clopper and E. Pearson 1934, https://doi.org/10.1093/biomet/26.4.404
    """
    k, n = _counts(successes, trials, confidence)
    return np.where(n > 0, _exact_end(k, np.where(n > 0, n, 1.0), 1 - confidence), np.nan)


def _exact_end(k: NDArray, n: NDArray, tail: float) -> NDArray[np.float64]:
    """The proportion at which k or more successes of n have the probability `tail`."""
    some = k > 0
    k_some = np.where(some, k, 1.0)
    return np.where(some, beta_quantile(tail, k_some, n - k_some + 1), 0.0)


def wilson(k: NDArray, n: NDArray, z: float | NDArray) -> tuple[NDArray, NDArray]:
    """Wilson's interval of k successes in n > 0 trials, neither of them necessarily whole."""
    square = z * z
    centre = (k + square / 2) / (n + square)
    half = z / (n + square) * np.sqrt(k * ((n - k) / n) + square / 4)
    # Without rounding noise at the ends.
    return np.where(k == 0, 0.0, centre - half), np.where(k == n, 1.0, centre + half)


def _counts(
    successes: ArrayLike, trials: ArrayLike, confidence: float
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1). Got {confidence}.")
    k, n = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
    if not ((k >= 0) & (k <= n) & (k % 1 == 0) & (n % 1 == 0)).all():
        raise ValueError("successes and trials must be whole numbers, 0 <= successes <= trials.")
    return k, n
