"""Whether one model is better than another on the same rows, or only luckier."""

from dataclasses import dataclass

import numpy as np

from dnncli.metrics.special import binomial_cdf, normal_quantile


@dataclass(frozen=True, kw_only=True)
class Difference:
    """Share of the first model less that of the second, and how far it can be off by chance."""

    difference: float  # in [-1, 1]
    low: float
    high: float


def mcnemar(only_first: int, only_second: int) -> float:
    """How likely at least so unequal a split of the disagreements is if both are equally good.

    Rows that both models got right, or both wrong, say nothing about which is better.

    Args:
        only_first: rows that only the first model got right.
        only_second: rows that only the second got right.

    Returns:
        The exact two-sided p-value: twice the smaller binomial tail at one half, at most 1.

    Raises:
        ValueError: if a count is negative.

    Source: Q. McNemar 1947, "Note on the sampling error of the difference between correlated
    proportions or percentages", https://doi.org/10.1007/BF02295996
    """
    if min(only_first, only_second) < 0:
        raise ValueError(f"counts must not be negative. Got {only_first} and {only_second}.")
    if only_first == only_second:
        return 1.0
    tail = binomial_cdf(min(only_first, only_second), only_first + only_second, 0.5)
    return min(1.0, 2 * float(tail))


def difference(
    only_first: int, only_second: int, n: int, *, confidence: float = 0.95
) -> Difference:
    """Difference of two accuracies, or recalls, on the same n rows, by Tango's score interval.

    It holds every difference that a score test of the paired counts would not reject. For
    recalls, count the positives only.

    Args:
        only_first: rows that only the first model got right.
        only_second: rows that only the second got right.
        n: all rows.
        confidence: in (0, 1).

    Returns:
        NaN if n is 0.

    Raises:
        ValueError: if the counts do not fit together, or the confidence makes no sense.

    Source: T. Tango 1998, "Equivalence test and confidence interval for the difference in
    proportions for the paired-sample design",
    https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<891::AID-SIM780>3.0.CO;2-B
    """
    if min(only_first, only_second) < 0 or only_first + only_second > n:
        raise ValueError(
            "only_first and only_second must be counts of n rows. "
            f"Got {only_first} and {only_second} of {n}."
        )
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1). Got {confidence}.")
    if n == 0:
        return Difference(difference=float("nan"), low=float("nan"), high=float("nan"))
    z = normal_quantile((1 + confidence) / 2)
    observed = (only_first - only_second) / n
    return Difference(
        difference=observed,
        low=_end(only_first, only_second, n, inside=observed, outside=-1.0, z=z),
        high=_end(only_first, only_second, n, inside=observed, outside=1.0, z=z),
    )


def _end(
    only_first: int, only_second: int, n: int, *, inside: float, outside: float, z: float
) -> float:
    """Where the score statistic reaches z between the observed and an impossible difference."""
    for _ in range(100):
        middle = (inside + outside) / 2
        if abs(_statistic(only_first, only_second, n, middle)) <= z:
            inside = middle
        else:
            outside = middle
    return inside


def _statistic(only_first: int, only_second: int, n: int, delta: float) -> float:
    """How many standard errors the observed difference lies from `delta`."""
    distance = only_first - only_second - n * delta
    # The likeliest share of `only_second` rows if the true difference were delta.
    linear = (2 * n - only_first + only_second) * delta - only_first - only_second
    constant = -only_second * delta * (1 - delta)
    share = (np.sqrt(max(linear * linear - 8 * n * constant, 0.0)) - linear) / (4 * n)
    variance = n * (2 * share + delta * (1 - delta))
    if variance <= 0:
        return 0.0 if distance == 0 else float("inf")
    return float(distance / np.sqrt(variance))
