"""Who was taken for whom: decisions from scores, and exact counts of them.

Shapes: N rows, C classes.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

UNDECIDED = -1  # the decision of a row whose highest score belongs to several classes

Tie = Literal["abstain", "class-order"]
TIES: tuple[Tie, ...] = ("abstain", "class-order")  # the default comes first

_BLOCK = 1 << 15  # rows worked on at a time: they stay in the cache


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A confusion matrix, and the rows that no column of it can hold.

    An undecided row is a true positive of no class: it counts as a false negative of its true
    class and as a false positive of none. So `confusion.sum() + undecided.sum()` is the number of
    rows (or the sum of their weights). Integers are 64-bit; weighted counts are float64.
    """

    confusion: NDArray[np.int64] | NDArray[np.float64]  # (C, C) rows = truth, columns = decision
    undecided: NDArray[np.int64] | NDArray[np.float64]  # (C,) by true class

    @property
    def tp(self) -> NDArray:
        """(C,) rows of a class that were decided for it."""
        return np.diagonal(self.confusion)

    @property
    def fp(self) -> NDArray:
        """(C,) rows of other classes that were decided for this one."""
        return _off_diagonal(self.confusion).sum(axis=0)

    @property
    def fn(self) -> NDArray:
        """(C,) rows of a class that were not decided for it."""
        return _off_diagonal(self.confusion).sum(axis=1) + self.undecided

    @property
    def tn(self) -> NDArray:
        """(C,) rows of other classes that were not decided for this one."""
        total = self.confusion.sum() + self.undecided.sum()
        return np.maximum(total - self.support - self.fp, 0)  # weighted sums are rounded

    @property
    def support(self) -> NDArray:
        """(C,) rows of a class."""
        return self.tp + self.fn

    @property
    def predicted(self) -> NDArray:
        """(C,) rows decided for a class."""
        return self.tp + self.fp

    @property
    def accuracy(self) -> float:
        """Share of rows decided for their true class; NaN if there is no row."""
        right = self.tp.sum()
        # Weighted sums are rounded, each in its own way: a share of their sum is never above 1.
        total = right + _off_diagonal(self.confusion).sum() + self.undecided.sum()
        return float(right / total) if total > 0 else float("nan")


def decide(
    probs: NDArray[np.floating], *, tie: Tie = "abstain"
) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The class with the highest score of each row, and where several share it.

    Scores are compared in their own precision. A row that holds NaN is undecided, but no tie.

    Args:
        probs: (N, C) scores, C >= 1.
        tie: what a tied row is decided for: nothing, or the first of its classes in class order.

    Returns:
        (N,) class indices or UNDECIDED, and (N,) whether the row was tied.

    Raises:
        ValueError: if the shape is wrong.
    """
    if probs.ndim != 2 or probs.shape[1] == 0:
        raise ValueError(f"probs must be (N, C) with C >= 1. Got {probs.shape}.")
    n_rows, n_classes = probs.shape
    decisions = np.empty(n_rows, np.int32)
    tied = np.empty(n_rows, bool)
    # Sums of class indices stand for the index where only one class reaches the highest score.
    kind: Any = np.uint8 if n_classes <= 255 else np.int32
    for start in range(0, n_rows, _BLOCK):
        part = slice(start, start + _BLOCK)
        columns = np.ascontiguousarray(probs[part].T)  # column by column is what a CPU does fast
        highest = columns.max(axis=0)  # NaN if the row holds one, and NaN equals nothing
        reached = np.zeros(len(highest), kind)
        index = np.zeros(len(highest), kind)
        for place, column in enumerate(columns):
            equal = (column == highest).view(np.uint8)
            reached += equal
            index += equal * kind(place)
        decisions[part] = np.where(reached == 1, index, np.int32(UNDECIDED))
        tied[part] = reached > 1
    if tie == "class-order" and tied.any():
        decisions[tied] = probs[tied].argmax(axis=1)
    return decisions, tied


def in_precision(threshold: float, dtype: np.dtype) -> np.floating:
    """A threshold in the precision of scores; infinite beyond their largest number."""
    with np.errstate(over="ignore"):
        return dtype.type(threshold)


def decide_score(scores: NDArray[np.floating], *, threshold: float) -> NDArray[np.int32]:
    """0 (the scored class) where score >= threshold, else 1 (the rest); UNDECIDED where NaN.

    Args:
        scores: (N,) scores of one class against the rest.
        threshold: compared in the scores' own precision.
    """
    decisions = np.where(scores >= in_precision(threshold, scores.dtype), np.int32(0), np.int32(1))
    decisions[np.isnan(scores)] = UNDECIDED
    return decisions


def count(
    labels: NDArray[np.integer],
    decisions: NDArray[np.integer],
    *,
    n_classes: int,
    weights: NDArray[np.floating] | None = None,
) -> Counts:
    """Count the pairs of true class and decision.

    Weighted sums do not depend on the order of the rows.

    Args:
        labels: (N,) true class indices in [0, n_classes).
        decisions: (N,) class indices in [0, n_classes), or UNDECIDED.
        n_classes: C.
        weights: (N,) sample weights >= 0; the counts are then float64, unless all weights are 1.

    Raises:
        ValueError: if shapes or indices do not fit.
    """
    if labels.ndim != 1 or decisions.shape != labels.shape:
        raise ValueError(
            "labels and decisions must both be (N,). "
            f"Got labels {labels.shape} and decisions {decisions.shape}."
        )
    if weights is not None and weights.shape != labels.shape:
        raise ValueError(f"weights must be (N,) = {labels.shape}. Got {weights.shape}.")
    _check_indices("labels", labels, lowest=0, n_classes=n_classes)
    _check_indices("decisions", decisions, lowest=UNDECIDED, n_classes=n_classes)
    # Undecided rows are the first of C + 1 columns, so that one pass counts everything.
    n_cells = n_classes * (n_classes + 1)
    if weights is not None and (weights != 1).any():
        places = _cells(labels, decisions, n_classes)
        return _split(order_free_sums(places, weights, minlength=n_cells), n_classes)
    sums = np.zeros(n_cells, np.int64)
    for start in range(0, len(labels), _BLOCK):
        part = slice(start, start + _BLOCK)
        sums += np.bincount(_cells(labels[part], decisions[part], n_classes), minlength=n_cells)
    return _split(sums, n_classes)


def order_free_sums(
    places: NDArray[np.integer], weights: NDArray[np.floating], *, minlength: int
) -> NDArray[np.float64]:
    """Sums of the weights of each place, the same to the last bit in any order of the rows.

    Each weight is cut into parts that are whole multiples of ever smaller powers of two, coarse
    enough for the sum of each part to be exact. Three parts hold at least 75 bits below the
    highest weight; what is left is dropped.

    Args:
        places: (N,) whole numbers >= 0.
        weights: (N,) finite, >= 0.
        minlength: of the result.

    Source: J. Demmel and H. D. Nguyen 2013, "Fast Reproducible Floating-Point Summation",
    https://doi.org/10.1109/ARITH.2013.9
    """
    sums = np.zeros(max(minlength, int(places.max(initial=-1)) + 1))
    highest = weights.max(initial=0)
    if highest == 0:
        return sums
    scale = 2.0 ** np.ceil(np.log2(highest))
    rest = weights / scale
    quantum = 1.0
    for _ in range(3):
        quantum *= 2.0 ** (len(weights).bit_length() - 52)
        part = np.rint(rest / quantum) * quantum
        sums += np.bincount(places, part, minlength=len(sums))
        rest = rest - part
    return sums * scale


def _split(sums: NDArray, n_classes: int) -> Counts:
    cells = sums.reshape(n_classes, n_classes + 1)
    return Counts(confusion=cells[:, 1:], undecided=cells[:, 0])


def _cells(labels: NDArray, decisions: NDArray, n_classes: int) -> NDArray[np.int64]:
    cells = labels.astype(np.int64)
    cells *= n_classes + 1
    cells += decisions
    cells += 1  # UNDECIDED is -1
    return cells


def confusion(
    labels: NDArray[np.integer],
    decisions: NDArray[np.integer],
    *,
    n_classes: int,
    weights: NDArray[np.floating] | None = None,
) -> NDArray[np.int64] | NDArray[np.float64]:
    """The (C, C) confusion matrix, rows = truth; undecided rows are in none of its cells.

    Arguments and errors are those of `count`.
    """
    return count(labels, decisions, n_classes=n_classes, weights=weights).confusion


def _off_diagonal(matrix: NDArray) -> NDArray:
    # Subtracting the diagonal from a sum would leave rounding noise where a weighted 0 belongs.
    return np.where(np.eye(len(matrix), dtype=bool), 0, matrix)


def _check_indices(name: str, indices: NDArray, *, lowest: int, n_classes: int) -> None:
    if len(indices) and not lowest <= indices.min() <= indices.max() < n_classes:
        raise ValueError(
            f"{name} must lie in [{lowest}, {n_classes}). "
            f"Got values from {indices.min()} to {indices.max()}."
        )
