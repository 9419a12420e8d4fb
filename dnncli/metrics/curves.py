"""Precision, recall and false alarms at every threshold, from the scores themselves.

Shapes: N rows, T distinct scores.
"""

from bisect import bisect_left
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Definition = Literal["step", "envelope", "voc11"]
DEFINITIONS: tuple[Definition, ...] = ("step", "envelope", "voc11")  # the default comes first


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Counts at every threshold that changes a decision, from the highest down.

    Integers are 64-bit; sums of weights are float64.
    """

    thresholds: NDArray[np.floating]  # (T,) the distinct scores, falling; positive iff score >= it
    tp: NDArray[np.int64] | NDArray[np.float64]  # (T,) positives with score >= threshold
    fp: NDArray[np.int64] | NDArray[np.float64]  # (T,) negatives with score >= threshold
    positives: int | float  # all rows of the class
    negatives: int | float  # all others

    @property
    def precision(self) -> NDArray[np.float64]:
        """(T,) tp / (tp + fp); every threshold flags at least one row."""
        return self.tp / (self.tp + self.fp)

    @property
    def recall(self) -> NDArray[np.float64]:
        """(T,) tp / positives; NaN if there is no positive."""
        return _share(self.tp, self.positives)

    @property
    def fpr(self) -> NDArray[np.float64]:
        """(T,) fp / negatives, the false positive rate; NaN if there is no negative."""
        return _share(self.fp, self.negatives)


def curve(
    is_positive: ArrayLike,
    scores: NDArray[np.floating],
    weights: NDArray[np.floating] | None = None,
) -> Curve:
    """Counts at every distinct score; equal scores enter together.

    Args:
        is_positive: (N,) whether the row belongs to the positive class.
        scores: (N,) of the positive class, finite; compared in their own precision.
        weights: (N,) sample weights >= 0; rows of weight 0 are left out.

    Raises:
        ValueError: if the shapes do not fit or a score is not finite.
    """
    truth, scores = checked(is_positive, scores)
    if weights is not None:
        return _weighted_curve(truth, scores, weights)
    if len(scores) and scores.min() < 0:
        falling = np.sort(scores)[::-1]
        last = _last_of_equals(falling)
        positives = np.sort(scores[truth])
        thresholds = falling[last]
        tp = len(positives) - np.searchsorted(positives, thresholds)
    else:
        # Numbers without a sign sort like their bits, which leaves one bit for the truth.
        bits = np.dtype(f"u{scores.itemsize}").type
        packed = (scores + scores.dtype.type(0)).view(bits)  # -0.0 becomes 0.0
        packed <<= bits(1)
        packed |= truth
        packed.sort()
        falling = packed[::-1] >> bits(1)
        last = _last_of_equals(falling)
        thresholds = falling[last].view(scores.dtype)
        tp = np.cumsum(packed[::-1] & bits(1), dtype=np.int64)[last]
    n_positive = int(np.count_nonzero(truth))
    return Curve(
        thresholds=thresholds,
        tp=tp.astype(np.int64, copy=False),
        fp=last + 1 - tp,
        positives=n_positive,
        negatives=len(truth) - n_positive,
    )


def checked(
    is_positive: ArrayLike, scores: NDArray[np.floating]
) -> tuple[NDArray[np.bool_], NDArray[np.floating]]:
    """Truth and scores as arrays of a fitting kind.

    Raises:
        ValueError: if the shapes do not fit or a score is not finite.
    """
    truth, scores = np.asarray(is_positive, dtype=bool), np.asarray(scores)
    if truth.shape != scores.shape or truth.ndim != 1:
        raise ValueError(f"is_positive {truth.shape} and scores {scores.shape} must be (N,).")
    if scores.dtype.kind in "iub":
        scores = scores.astype(np.float64)
    scores = scores.astype(scores.dtype.newbyteorder("="), copy=False)  # bits are looked at
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite.")
    return truth, scores


def first_reaching(points: Curve, recall: Fraction) -> int | None:
    """Index of the highest threshold with tp / positives >= recall, in exact arithmetic.

    Args:
        points: of `curve`.
        recall: in [0, 1].

    Returns:
        None if there is no positive.
    """
    if points.positives == 0:
        return None
    needed = recall * Fraction(points.positives)
    if points.tp.dtype.kind == "f":
        needed *= 1 - Fraction(1, 10**12)  # sums of weights are rounded
    return bisect_left(
        range(len(points.tp)), x=True, key=lambda index: Fraction(points.tp[index].item()) >= needed
    )


def average_precision(points: Curve, definition: Definition = "step") -> float:
    """Area under the precision-recall curve, which depends on how the points are joined.

    Args:
        points: of `curve`.
        definition: "step" sums precision times the gain in recall; "envelope" does so with the
            best precision at this or any higher recall; "voc11" is the mean of the latter at the
            recalls 0, 0.1, ..., 1.

    Returns:
        A fraction in [0, 1]; NaN if there is no positive or no negative.

    Raises:
        ValueError: if the definition is none of these.

    Source: M. Everingham et al. 2010, "The Pascal Visual Object Classes (VOC) Challenge", 4.2
    ("voc11"; "envelope" is its later form), https://doi.org/10.1007/s11263-009-0275-4; "step":
    G. Salton and M. McGill 1983, "Introduction to Modern Information Retrieval".
    """
    if definition not in DEFINITIONS:
        raise ValueError(f"definition must be one of {DEFINITIONS}. Got {definition!r}.")
    if points.positives == 0 or points.negatives == 0:
        return float("nan")
    precision = points.precision
    if definition != "step":
        precision = np.maximum.accumulate(precision[::-1])[::-1]
    if definition == "voc11":
        places = [first_reaching(points, Fraction(tenth, 10)) for tenth in range(11)]
        return float(np.mean([precision[place] for place in places]))
    return float(np.sum(np.diff(points.tp, prepend=0) * precision) / points.positives)


def roc_auc(points: Curve) -> float:
    """Probability that a positive scores higher than a negative; ties count one half.

    Args:
        points: of `curve`.

    Returns:
        A fraction in [0, 1]; NaN if there is no positive or no negative.

    Source: J. Hanley and B. McNeil 1982, "The Meaning and Use of the Area under a Receiver
    Operating Characteristic (ROC) Curve", https://doi.org/10.1148/radiology.143.1.7063747
    """
    if points.positives == 0 or points.negatives == 0:
        return float("nan")
    # Each step of false alarms lies under the mean of the true positives before and after it.
    before = points.tp - np.diff(points.tp, prepend=0) / 2
    area = np.sum(np.diff(points.fp, prepend=0) * before)
    return float(area / points.positives / points.negatives)


def _weighted_curve(
    truth: NDArray[np.bool_], scores: NDArray[np.floating], weights: NDArray[np.floating]
) -> Curve:
    if weights.shape != truth.shape:
        raise ValueError(f"weights must be (N,) = {truth.shape}. Got {weights.shape}.")
    counted = weights > 0
    truth, scores, weights = truth[counted], scores[counted], weights[counted].astype(np.float64)
    # Floating point sums depend on their order; sorted, they do not depend on the rows' order.
    order = np.lexsort((weights, truth, scores))[::-1]
    truth, falling, weights = truth[order], scores[order], weights[order]
    last = _last_of_equals(falling)
    tp = np.cumsum(np.where(truth, weights, 0.0))[last]
    fp = np.cumsum(np.where(truth, 0.0, weights))[last]
    return Curve(
        thresholds=falling[last],
        tp=tp,
        fp=fp,
        positives=float(tp[-1]) if len(tp) else 0.0,
        negatives=float(fp[-1]) if len(fp) else 0.0,
    )


def _last_of_equals(ordered: NDArray) -> NDArray[np.int64]:
    return np.flatnonzero(np.append(ordered[1:] != ordered[:-1], len(ordered) > 0))


def _share(counts: NDArray, total: float) -> NDArray[np.float64]:
    return counts / total if total else np.full(len(counts), np.nan)
