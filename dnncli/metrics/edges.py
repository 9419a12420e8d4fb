"""How well edge maps fit the edges people drew: ODS, OIS, average precision and R50.

Every score is NaN where there is nothing to work it out from. Shapes: N pictures, T thresholds.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

_STEPS = 100  # between two thresholds
_RECALLS = np.arange(101) / 100


@dataclass(frozen=True, kw_only=True)
class BestF:
    """The highest F, and where it is."""

    f: float
    precision: float
    recall: float
    threshold: float


@dataclass(frozen=True, kw_only=True)
class PooledF:
    """F of the counts of all pictures, each at its own best threshold."""

    f: float
    precision: float
    recall: float


@dataclass(frozen=True, kw_only=True)
class EdgeCurve:
    """Pooled scores at every threshold."""

    threshold: NDArray[np.float64]  # (T,)
    precision: NDArray[np.float64]  # (T,)
    recall: NDArray[np.float64]  # (T,)
    f: NDArray[np.float64]  # (T,)


@dataclass(frozen=True, kw_only=True)
class EdgeScores:
    """Everything that follows from the counts of N pictures at T thresholds."""

    ods: BestF  # one threshold for all pictures, interpolated between the T
    ods_plain: BestF  # the best of the T thresholds themselves
    ois: PooledF  # the best threshold of each picture
    ap: float  # average precision
    r50: float  # recall at a precision of one half
    curve: EdgeCurve
    images: tuple[BestF, ...]  # (N,) each picture at its own best threshold


def edge_scores(
    thresholds: ArrayLike,
    count_r: ArrayLike,
    sum_r: ArrayLike,
    count_p: ArrayLike,
    sum_p: ArrayLike,
) -> EdgeScores:
    """The scores of the Berkeley benchmark (BSDS).

        recall = count_r / sum_r,  precision = count_p / sum_p,  F = 2 P R / (P + R)

    ODS (optimal data set scale) sums counts over the pictures at each threshold and takes the best
    F; between two thresholds precision and recall are interpolated in 100 steps. OIS (optimal image
    scale) takes the counts of each picture at its own best threshold, and F of their sums: it is
    not a mean of F. AP is the mean precision at the recalls 0, 0.01, ..., 1, interpolated between
    the T points and 0 where the curve has no such recall; the sum over these 101 recalls is divided
    by 100, as the benchmark does, and cut at 1. R50 is the highest recall at which precision is
    still one half, interpolated where it falls below; 0 if it never is.

    Args:
        thresholds: (T,) rising.
        count_r: (N, T) true pixels with a partner.
        sum_r: (N, T) true pixels.
        count_p: (N, T) predicted pixels with a partner.
        sum_p: (N, T) predicted pixels.

    Raises:
        ValueError: if the shapes do not fit together or thresholds do not rise.

    Source: P. Arbeláez et al. 2011, "Contour Detection and Hierarchical Image Segmentation",
    https://doi.org/10.1109/TPAMI.2010.161; interpolation and AP as in the code published with
    P. Dollár and C. L. Zitnick 2015, "Fast Edge Detection Using Structured Forests",
    https://doi.org/10.1109/TPAMI.2014.2377715
    """
    steps = np.asarray(thresholds, np.float64)
    counts = [np.asarray(part, np.int64) for part in (count_r, sum_r, count_p, sum_p)]
    shapes = [part.shape for part in counts]
    if steps.ndim != 1 or len(set(shapes)) != 1 or shapes[0][1:] != steps.shape or not len(steps):
        raise ValueError(f"thresholds must be (T,) and counts (N, T). Got {steps.shape}, {shapes}.")
    if (np.diff(steps) <= 0).any():
        raise ValueError(f"thresholds must rise. Got {steps.tolist()}.")
    curve = _curve(steps, *(part.sum(axis=0) for part in counts))
    plain = _best(curve)
    images = [_curve(steps, *row) for row in zip(*counts)]
    places = [_own_place(image, flagged) for image, flagged in zip(images, counts[3])]
    best = [part[np.arange(len(images)), places].sum(keepdims=True) for part in counts]
    ois = _curve(np.zeros(1), *best)
    return EdgeScores(
        ods=_best(_interpolated(curve), otherwise=plain),
        ods_plain=plain,
        ois=PooledF(
            f=float(ois.f[0]), precision=float(ois.precision[0]), recall=float(ois.recall[0])
        ),
        ap=_average_precision(curve),
        r50=_recall_at_half(curve),
        curve=curve,
        images=tuple(map(_at, images, places)),
    )


def _curve(
    steps: NDArray, count_r: NDArray, sum_r: NDArray, count_p: NDArray, sum_p: NDArray
) -> EdgeCurve:
    recall, precision = _share(count_r, sum_r), _share(count_p, sum_p)
    return EdgeCurve(
        threshold=steps,
        precision=precision,
        recall=recall,
        # Where only one of the two is 0/0, everything is missed or everything is a false alarm.
        f=np.where((sum_r > 0) != (sum_p > 0), 0, _f(precision, recall)),
    )


def _share(part: ArrayLike, whole: ArrayLike) -> NDArray[np.float64]:
    """part / whole, NaN where whole is 0."""
    part, whole = np.asarray(part, np.float64), np.asarray(whole, np.float64)
    return np.divide(part, whole, out=np.full(part.shape, np.nan), where=whole > 0)


def _f(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    total = np.asarray(precision + recall)
    product = np.asarray(2 * precision * recall)
    # Both 0: there are edges and predictions, and none of them fit.
    return np.divide(product, total, out=np.where(total == 0, 0.0, np.nan), where=total > 0)


def _own_place(curve: EdgeCurve, sum_p: NDArray[np.int64]) -> int:
    """Index of a picture's best threshold: of the highest F, or the fewest false alarms."""
    f = np.nan_to_num(curve.f)
    # Where nothing is right at any threshold, a choice of thresholds should cost the least.
    return int(f.argmax() if f.any() else sum_p.argmin())


def _at(curve: EdgeCurve, place: int) -> BestF:
    """One point of a curve; NaN throughout where F is undefined."""
    if np.isnan(curve.f[place]):
        return BestF(f=np.nan, precision=np.nan, recall=np.nan, threshold=np.nan)
    return BestF(
        f=float(curve.f[place]),
        precision=float(curve.precision[place]),
        recall=float(curve.recall[place]),
        threshold=float(curve.threshold[place]),
    )


def _best(curve: EdgeCurve, *, otherwise: BestF | None = None) -> BestF:
    """The point of the highest F, the first of equal ones; `otherwise` if none is higher."""
    if np.isnan(curve.f).all():
        return otherwise or _at(curve, 0)
    place = int(np.nanargmax(curve.f))
    if otherwise is not None and not curve.f[place] > otherwise.f:
        return otherwise
    return _at(curve, place)


def _interpolated(curve: EdgeCurve) -> EdgeCurve:
    """Precision and recall between neighbouring thresholds, and F of these."""
    share = np.linspace(0, 1, _STEPS)

    def between(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return (np.outer(values[:-1], 1 - share) + np.outer(values[1:], share)).ravel()

    precision, recall = between(curve.precision), between(curve.recall)
    return EdgeCurve(
        threshold=between(curve.threshold),
        precision=precision,
        recall=recall,
        f=_f(precision, recall),
    )


def _average_precision(curve: EdgeCurve) -> float:
    is_defined = ~np.isnan(curve.recall)
    if not is_defined.any():
        return float("nan")
    recall = curve.recall[is_defined]
    precision = np.nan_to_num(curve.precision[is_defined])  # nothing predicted: 0
    order = np.lexsort((precision, recall))
    recall, precision = recall[order], precision[order]
    is_last = np.append(recall[1:] != recall[:-1], True)  # of equal recalls the best precision
    values = np.interp(_RECALLS, recall[is_last], precision[is_last], left=0, right=0)
    return min(float(values.sum()) / 100, 1.0)


def _recall_at_half(curve: EdgeCurve) -> float:
    """The highest recall at which precision crosses one half."""
    is_defined = ~(np.isnan(curve.recall) | np.isnan(curve.precision))
    recall, precision = curve.recall[is_defined], curve.precision[is_defined]
    if not len(recall):
        return float("nan")
    found = [0.0, *recall[precision >= 0.5]]
    low, high = precision[:-1], precision[1:]
    for place in np.flatnonzero((low < 0.5) != (high < 0.5)):
        share = (0.5 - low[place]) / (high[place] - low[place])
        found.append((1 - share) * recall[place] + share * recall[place + 1])
    return float(max(found))
