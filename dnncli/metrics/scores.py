"""Precision, recall and F-beta from counts, and their averages over classes.

Every value is NaN where its denominator is 0, and only there. Shapes: C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Undefined = Literal["skip", "0", "1"]
UNDEFINED: tuple[Undefined, ...] = ("skip", "0", "1")  # the default comes first

BETA_LIMITS = (1e-6, 1e6)  # beyond them F-beta is precision or recall, and beta^2 overflows


class OneAgainstRest(Protocol):
    """The counts of each class by itself, (C,) each."""

    @property
    def tp(self) -> NDArray: ...
    @property
    def fp(self) -> NDArray: ...
    @property
    def fn(self) -> NDArray: ...


@dataclass(frozen=True, kw_only=True)
class Scores:
    """Precision, recall and F-beta of the same rows: (C,) arrays, or () for averages."""

    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f: Mapping[str, NDArray[np.float64]]  # by the beta's shortest name: "0.5", "1", "2"


def precision(tp: ArrayLike, fp: ArrayLike) -> NDArray[np.float64]:
    """tp / (tp + fp): the share of decisions for a class that were right.

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7.
    """
    tp, fp = np.asarray(tp), np.asarray(fp)
    return _divide(tp, tp + fp)


def recall(tp: ArrayLike, fn: ArrayLike) -> NDArray[np.float64]:
    """tp / (tp + fn): the share of a class that was found.

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7.
    """
    tp, fn = np.asarray(tp), np.asarray(fn)
    return _divide(tp, tp + fn)


def f_beta(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, *, beta: float) -> NDArray[np.float64]:
    """Weighted harmonic mean of precision and recall; recall counts beta times as much.

        F = (1 + beta^2) tp / ((1 + beta^2) tp + beta^2 fn + fp)

    Defined as soon as one count is not 0, even where precision or recall alone is not.

    Raises:
        ValueError: if beta lies outside BETA_LIMITS.

    Source: van Rijsbergen 1979, "Information Retrieval", chapter 7 (E = 1 - F).
    """
    if not BETA_LIMITS[0] <= beta <= BETA_LIMITS[1]:
        raise ValueError(f"beta must lie in {BETA_LIMITS}. Got {beta}.")
    tp, fp, fn = np.asarray(tp), np.asarray(fp), np.asarray(fn)
    square = beta * beta
    found = (1 + square) * tp
    return _divide(found, found + square * fn + fp)


def dice(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> NDArray[np.float64]:
    """2 tp / (2 tp + fp + fn): twice what both masks have, as a share of the sum of both.

    Source: L. Dice 1945, "Measures of the Amount of Ecologic Association Between Species",
    https://doi.org/10.2307/1932409
    """
    return f_beta(tp, fp, fn, beta=1)


def iou(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike) -> NDArray[np.float64]:
    """tp / (tp + fp + fn): what both masks have, as a share of what one of them has.

    Source: P. Jaccard 1901, "Étude comparative de la distribution florale dans une portion des
    Alpes et du Jura", https://doi.org/10.5169/seals-266450
    """
    return precision(tp, np.asarray(fp) + np.asarray(fn))


def average(
    values: NDArray[np.float64],
    *,
    undefined: Undefined = "skip",
    weights: NDArray[np.floating] | NDArray[np.integer] | None = None,
) -> float:
    """Mean of class values, in which undefined (NaN) ones are left out or count as 0 or 1.

    Args:
        values: (C,) one value per class; NaN = undefined.
        undefined: "skip" leaves undefined values and their weights out.
        weights: (C,) weights >= 0; none: all alike.

    Returns:
        The mean; NaN if no value with a weight above 0 is left.
    """
    weights = np.ones(len(values)) if weights is None else weights
    missing = np.isnan(values)
    if undefined == "skip":
        values, weights = values[~missing], weights[~missing]
    else:
        values = np.where(missing, float(undefined), values)
    total = weights.sum()
    return float((values * weights).sum() / total) if total > 0 else float("nan")


def beta_name(beta: float) -> str:
    """The shortest way to write a beta: "0.5", "1", "2"."""
    return repr(float(beta)).removesuffix(".0")


def class_scores(counts: OneAgainstRest, *, betas: Sequence[float]) -> Scores:
    """Precision, recall and every F-beta of each class, as (C,) arrays."""
    return _scores(counts.tp, counts.fp, counts.fn, betas)


def micro_scores(counts: OneAgainstRest, *, betas: Sequence[float]) -> Scores:
    """Scores of the counts summed over classes; equal to accuracy when nothing is undecided."""
    return _scores(counts.tp.sum(), counts.fp.sum(), counts.fn.sum(), betas)


def _scores(tp: NDArray, fp: NDArray, fn: NDArray, betas: Sequence[float]) -> Scores:
    return Scores(
        precision=precision(tp, fp),
        recall=recall(tp, fn),
        f={beta_name(beta): f_beta(tp, fp, fn, beta=beta) for beta in betas},
    )


def average_scores(
    scores: Scores,
    *,
    undefined: Undefined = "skip",
    weights: NDArray[np.floating] | NDArray[np.integer] | None = None,
) -> Scores:
    """`average` of each of the class scores: macro without weights, weighted with the supports."""

    def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(average(values, undefined=undefined, weights=weights))

    return Scores(
        precision=mean(scores.precision),
        recall=mean(scores.recall),
        f={name: mean(values) for name, values in scores.f.items()},
    )


def _divide(numerator: NDArray, denominator: NDArray) -> NDArray[np.float64]:
    undefined = np.full(np.shape(denominator), np.nan)
    return np.divide(numerator, denominator, out=undefined, where=np.not_equal(denominator, 0))
