"""Precision and recall at every threshold, from the scores themselves.

Shapes: N rows, T distinct scores.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray


@dataclass(frozen=True, kw_only=True)
class Curve:
    """Counts at every threshold that changes a decision, from the highest down."""

    thresholds: NDArray[np.floating]  # (T,) the distinct scores, falling; positive iff score >= it
    tp: NDArray[np.int64]  # (T,)
    fp: NDArray[np.int64]  # (T,)
    positives: int

    @property
    def precision(self) -> NDArray[np.float64]:
        """(T,) tp / (tp + fp); every threshold flags at least one row."""
        return self.tp / (self.tp + self.fp)

    @property
    def recall(self) -> NDArray[np.float64]:
        """(T,) tp / positives; NaN if there is no positive."""
        if self.positives == 0:
            return np.full(len(self.tp), np.nan)
        return self.tp / self.positives


def curve(is_positive: ArrayLike, scores: NDArray[np.floating]) -> Curve:
    """Counts at every distinct score; equal scores enter together.

    Args:
        is_positive: (N,) whether the row belongs to the positive class.
        scores: (N,) of the positive class, finite; compared in their own precision.

    Raises:
        ValueError: if the shapes do not fit or a score is not finite.
    """
    truth = np.asarray(is_positive, dtype=bool)
    if truth.shape != scores.shape or truth.ndim != 1:
        raise ValueError(f"is_positive {truth.shape} and scores {scores.shape} must be (N,).")
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite.")
    order = np.argsort(-scores, kind="stable")
    falling = scores[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], len(falling) > 0))
    tp = np.cumsum(truth[order], dtype=np.int64)[last]
    return Curve(
        thresholds=falling[last], tp=tp, fp=last + 1 - tp, positives=int(truth.sum(dtype=np.int64))
    )


def precision_at_recall(points: Curve, *, recall: float) -> tuple[float, float]:
    """The best precision among thresholds that reach a recall, and that threshold.

    Of equal precisions the one with the higher recall wins.

    Args:
        points: of `curve`.
        recall: in [0, 1].

    Returns:
        (precision, threshold); both NaN if there is no positive.
    """
    feasible = np.flatnonzero(points.recall >= recall)
    if len(feasible) == 0:
        return float("nan"), float("nan")
    precision = points.precision[feasible]
    # Recall rises along the curve, so the last of the best has the highest.
    best = feasible[np.flatnonzero(precision == precision.max())[-1]]
    return float(points.precision[best]), float(points.thresholds[best])
