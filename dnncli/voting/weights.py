"""How much the vote of each model counts, as exact fractions.

Shapes: M models, C classes.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError, DataError
from dnncli.metrics.scores import average, f_beta
from dnncli.registry import suggest

Weight = str | float | Fraction  # "0.1", 0.1 and "1/10" are the same weight

_DECIMALS = 12  # of weights that are worked out: their sums are exact from here on
_MOST_MAGNITUDE = 300  # of a weight, in powers of ten
_MOST_INTEGER = 1 << 62


def exact_weights(given: Mapping[str, Weight], models: Sequence[str]) -> tuple[Fraction, ...]:
    """The weights of the models, exactly as they are written, in the order of the models.

    Args:
        given: weight >= 0 by model. A number stands for its shortest decimal text.
        models: (M,) names.

    Raises:
        ConfigError: naming every model that is unknown, without a weight, or whose weight is no
            number >= 0; or that all weights are 0.
    """
    weights, problems = {}, []
    for name, value in given.items():
        if name not in models:
            known = ", ".join(models)
            problems.append(
                f"{name}: there is no such model.{suggest(name, models)} Models: {known}."
            )
            continue
        try:
            weights[name] = _exact(value)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    problems += [
        f"{name}: has no weight. Give one, 0 to leave the model out."
        for name in models
        if name not in given
    ]
    if problems:
        raise ConfigError("weights:", problems)
    if not any(weights.values()):
        raise ConfigError("weights: all are 0. At least one model needs a weight above 0.")
    return tuple(weights[name] for name in models)


def _exact(value: Weight) -> Fraction:
    text = str(value).strip()
    try:
        # Written out, 1e999999999 would fill the memory; as a decimal number it is small.
        if "/" not in text and abs(Decimal(text).adjusted()) > _MOST_MAGNITUDE:
            text = "out of range"
        weight = Fraction(text)
    except (ArithmeticError, ValueError):
        weight = Fraction(-1)
    if weight < 0:
        raise ValueError(
            f"the weight must be a number >= 0 below 1e{_MOST_MAGNITUDE}, such as 2, 0.5 or 1/3. "
            f"Got {value}."
        )
    return weight


def integers(weights: Sequence[Fraction]) -> tuple[NDArray, Fraction]:
    """Weights as whole multiples of their largest common unit: sums and ties become exact.

    Args:
        weights: (M,) >= 0, not all 0.

    Returns:
        (M,) integers, int64 if their sum surely fits and Python's own (dtype object) if not, and
        the unit: weight = integer * unit.

    Raises:
        ValueError: if a weight is negative or all are 0.
    """
    if any(weight < 0 for weight in weights) or not any(weights):
        raise ValueError(f"weights must be >= 0, at least one above 0. Got {tuple(weights)}.")
    denominator = math.lcm(*(weight.denominator for weight in weights))
    whole = [weight.numerator * (denominator // weight.denominator) for weight in weights]
    common = math.gcd(*whole)
    whole = [number // common for number in whole]
    kind = np.int64 if sum(whole) <= _MOST_INTEGER else object
    return np.array(whole, kind), Fraction(common, denominator)


def log_odds(
    right: NDArray[np.integer], voted: NDArray[np.integer], *, n_classes: int
) -> tuple[Fraction, ...]:
    """Weights that make the weighted vote the likeliest class, if models err independently.

    With a the accuracy of a model, smoothed as (right + 1) / (voted + 2), and C classes:

        weight = ln((C - 1) a / (1 - a)), rounded to 12 decimals; 0 for a model below chance

    Args:
        right: (M,) rows that a model decided rightly.
        voted: (M,) rows that it voted on, >= right.
        n_classes: C >= 2.

    Raises:
        DataError: if no model is better than chance, or C < 2.
        ValueError: if the counts do not fit.

    Source: S. Nitzan and J. Paroush 1982, "Optimal Decision Rules in Uncertain Dichotomous Choice
    Situations", https://doi.org/10.2307/2526438 (C = 2).
    """
    right, voted = np.asarray(right), np.asarray(voted)
    if n_classes < 2:
        raise DataError(f"weights: log-odds need at least 2 classes. Got {n_classes}.")
    if right.shape != voted.shape or (right < 0).any() or (right > voted).any():
        raise ValueError(f"right must lie in [0, voted]. Got {right} of {voted}.")
    odds = (n_classes - 1) * (right + 1) / (voted - right + 1)
    weights = _rounded(np.maximum(np.log(odds), 0))
    if not any(weights):
        best = ", ".join(f"{hits} of {rows}" for hits, rows in zip(right, voted))
        raise DataError(
            f"weights: no model is better than chance on the rows that should weigh them: {best} "
            f"right, with {n_classes} classes. Use equal weights, or look at the class names."
        )
    return weights


def f_beta_weights(
    tp: NDArray[np.integer], fp: NDArray[np.integer], fn: NDArray[np.integer], *, beta: float
) -> tuple[Fraction, ...]:
    """The macro F-beta of each model as its weight, rounded to 12 decimals.

    Args:
        tp: (M, C) counts of each model and class, like `fp` and `fn`.
        beta: how many times as much recall counts; within scores.BETA_LIMITS.

    Returns:
        (M,) weights; the mean leaves undefined classes out, and is 0 if no class is defined.

    Raises:
        DataError: if all weights are 0.
    """
    values = np.array([average(row) for row in f_beta(tp, fp, fn, beta=beta)])
    weights = _rounded(np.nan_to_num(values, nan=0.0))
    if not any(weights):
        raise DataError(
            "weights: every model has an F-beta of 0 on the rows that should weigh them. "
            "Use equal weights, or look at the class names."
        )
    return weights


def _rounded(values: NDArray[np.float64]) -> tuple[Fraction, ...]:
    scale = 10**_DECIMALS
    return tuple(Fraction(round(value * scale), scale) for value in values.tolist())
