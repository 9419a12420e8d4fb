"""Counting decisions where a row can belong to several classes, or to none.

Shapes: N rows, C classes, P patterns.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.counts import order_free_sums

_BLOCK = 1 << 16  # rows worked on at a time


@dataclass(frozen=True, kw_only=True)
class MemberCounts:
    """Counts of each class by itself, and how often rows had how many rights and wrongs.

    Integers are 64-bit; sums of weights are float64.
    """

    tp: NDArray[np.int64] | NDArray[np.float64]  # (C,) rows of a class, decided for it
    fp: NDArray[np.int64] | NDArray[np.float64]  # (C,) rows not of it, decided for it
    fn: NDArray[np.int64] | NDArray[np.float64]  # (C,) rows of it, not decided for it
    tn: NDArray[np.int64] | NDArray[np.float64]  # (C,) all others
    patterns: NDArray[np.int64]  # (P, 3) different numbers of tp, fp, fn within one row
    rows: NDArray[np.int64] | NDArray[np.float64]  # (P,) how many rows have them

    @property
    def support(self) -> NDArray:
        """(C,) rows of a class."""
        return self.tp + self.fn

    @property
    def predicted(self) -> NDArray:
        """(C,) rows decided for a class."""
        return self.tp + self.fp

    @property
    def subset_accuracy(self) -> float:
        """Share of rows in which every class is right; NaN if there is no row."""
        total = self.rows.sum()
        right = self.rows[(self.patterns[:, 1:] == 0).all(axis=1)].sum()
        return float(right / total) if total > 0 else float("nan")

    @property
    def hamming_loss(self) -> float:
        """Share of all answers (rows times classes) that are wrong; NaN if there is no row.

        Source: R. Schapire and Y. Singer 2000, "BoosTexter", section 3,
        https://doi.org/10.1023/A:1007649029923
        """
        total = self.rows.sum() * len(self.tp)
        wrong = (self.rows * self.patterns[:, 1:].sum(axis=1)).sum()
        return float(wrong / total) if total > 0 else float("nan")


def count_members(
    truth: NDArray[np.bool_],
    decided: NDArray[np.bool_],
    weights: NDArray[np.floating] | None = None,
) -> MemberCounts:
    """Count every class by itself, and every row by itself.

    Args:
        truth: (N, C) whether a row belongs to a class, C >= 1.
        decided: (N, C) whether it was decided for it.
        weights: (N,) sample weights >= 0; the counts are then float64, unless all weights are 1.

    Raises:
        ValueError: if the shapes do not fit.
    """
    if truth.ndim != 2 or truth.shape[1] == 0 or decided.shape != truth.shape:
        raise ValueError(
            "truth and decided must both be (N, C) with C >= 1. "
            f"Got truth {truth.shape} and decided {decided.shape}."
        )
    if weights is not None and weights.shape != truth.shape[:1]:
        raise ValueError(f"weights must be (N,) = {truth.shape[:1]}. Got {weights.shape}.")
    if weights is not None and (weights == 1).all():
        weights = None
    n_rows, n_classes = truth.shape
    base = n_classes + 1
    codes = np.empty(n_rows, np.int64)
    by_class: NDArray = np.zeros((3, n_classes), np.int64 if weights is None else np.float64)
    for start in range(0, n_rows, _BLOCK):
        part = slice(start, start + _BLOCK)
        # Column by column is what a CPU does fast.
        member = np.ascontiguousarray(truth[part].T, dtype=bool)
        chosen = np.ascontiguousarray(decided[part].T, dtype=bool)
        code = np.zeros(member.shape[1], np.int64)
        for kind, which in enumerate((member & chosen, chosen > member, member > chosen)):
            code *= base
            for column in which:
                code += column
            if weights is None:
                by_class[kind] += np.count_nonzero(which, axis=1)
        codes[part] = code
    if weights is None:
        found, repeated = np.unique(codes, return_counts=True)
        rows: NDArray = repeated.astype(np.int64, copy=False)
    else:
        found, place = np.unique(codes, return_inverse=True)
        rows = order_free_sums(place, weights, minlength=len(found))
        for column in range(n_classes):
            # 0 = tn, 1 = fp, 2 = fn, 3 = tp
            answers = truth[:, column] * np.int64(2) + decided[:, column]
            by_class[:, column] = order_free_sums(answers, weights, minlength=4)[[3, 1, 2]]
    tp, fp, fn = by_class
    patterns = np.stack([found // base**2, found // base % base, found % base], axis=1)
    return MemberCounts(
        tp=tp,
        fp=fp,
        fn=fn,
        tn=np.maximum(rows.sum() - tp - fp - fn, 0),
        patterns=patterns,
        rows=rows,
    )
