"""How far an F score, or an average of them, can be off by chance.

They assume that rows are drawn independently from what the model will meet. Shapes: C classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnncli.metrics.counts import Counts
from dnncli.metrics.intervals import F_METHODS, FMethod, wilson
from dnncli.metrics.scores import Undefined, average, beta_name, f_beta
from dnncli.metrics.special import normal_quantile, student_quantile

_PSEUDO = 0.5  # rows added to each count of a class where a variance would else be 0
_CELLS_AT_A_TIME = 1 << 22  # bounds the memory of the bootstrap


@dataclass(frozen=True, kw_only=True)
class FIntervals:
    """Intervals of F scores by the beta's shortest name; NaN where a score is undefined."""

    per_class: Mapping[str, NDArray[np.float64]]  # (C, 2) lower and upper ends
    macro: Mapping[str, NDArray[np.float64]]  # (2,)
    weighted: Mapping[str, NDArray[np.float64]]  # (2,)
    micro: Mapping[str, NDArray[np.float64]]  # (2,)


def f_intervals(
    counts: Counts,
    *,
    betas: Sequence[float] = (1.0,),
    confidence: float = 0.95,
    method: FMethod = "delta",
    undefined: Undefined = "skip",
    replicates: int = 2000,
    seed: int = 0,
) -> FIntervals:
    """Intervals of F-beta of each class and of its averages, from the confusion matrix.

    The cells, undecided rows included, are taken for one multinomial draw.

    "delta": an F score depends on the shares of the cells only, so that with g its gradient by
    the counts n of the cells sum(n g) = 0 and its variance is sum(n g^2). Half a row is added to
    the true positives, false positives and false negatives of each class for this, else a class
    without an error would seem to be certain. The interval is Wilson's for a share with the same
    variance, that is for F (1 - F) / variance rows: it stays in [0, 1] and keeps its confidence
    near the ends. For the mean of the class values, Student's t takes the place of the normal
    quantile, with Satterthwaite's degrees of freedom from the support of the classes, as one rare
    class can make most of its variance; and it is freed from its bias of second order.

    "bootstrap": percentiles over multinomial replicates of the matrix.

    Args:
        counts: of C classes, unweighted.
        betas: of the F scores.
        confidence: in (0, 1).
        method: "delta" or "bootstrap".
        undefined: what an undefined class value counts as in macro and weighted averages.
        replicates: of the bootstrap.
        seed: of the bootstrap.

    Raises:
        ValueError: if counts are sums of weights or an option makes no sense.

    Source: E. Wilson 1927, https://doi.org/10.1080/01621459.1927.10502953; F. Satterthwaite 1946,
    "An Approximate Distribution of Estimates of Variance Components"; E. Korn and B. Graubard
    1998, "Confidence Intervals for Proportions with Small Expected Number of Positive Counts
    Estimated from Survey Data" (the effective number of rows); B. Efron and R. Tibshirani 1993,
    "An Introduction to the Bootstrap", chapter 13.
    """
    if counts.confusion.dtype.kind == "f":
        raise ValueError("Sums of weights have no such intervals: counts must be whole numbers.")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence must lie in (0, 1). Got {confidence}.")
    if method == "delta":
        ends = {beta_name(beta): _delta(counts, beta, confidence, undefined) for beta in betas}
    elif method == "bootstrap":
        ends = _bootstrap(counts, betas, confidence, undefined, replicates, seed)
    else:
        raise ValueError(f"method must be one of {F_METHODS}. Got {method!r}.")
    per_class, macro, weighted, micro = (
        {name: four[place] for name, four in ends.items()} for place in range(4)
    )
    return FIntervals(per_class=per_class, macro=macro, weighted=weighted, micro=micro)


def class_f_interval(
    tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, *, beta: float, confidence: float = 0.95
) -> NDArray[np.float64]:
    """The "delta" interval of `f_intervals` for single classes.

    Args:
        tp, fp, fn: whole numbers, all of one shape (C,).
        beta: of the F score.
        confidence: in (0, 1).

    Returns:
        (C, 2) lower and upper ends; NaN where F is undefined.
    """
    tp, fp, fn = (np.asarray(value, float) for value in (tp, fp, fn))
    slopes = _slopes(tp + _PSEUDO, fp + _PSEUDO, fn + _PSEUDO, beta)
    variance = slopes.variance(tp + _PSEUDO, fp + _PSEUDO, fn + _PSEUDO)
    z = normal_quantile((1 + confidence) / 2)
    return _effective_wilson(f_beta(tp, fp, fn, beta=beta), slopes.f, variance, z)


@dataclass(frozen=True)
class _Slopes:
    """F-beta and its derivatives by the three counts."""

    f: NDArray[np.float64]
    by_tp: NDArray[np.float64]
    by_fp: NDArray[np.float64]
    by_fn: NDArray[np.float64]

    def variance(self, tp: NDArray, fp: NDArray, fn: NDArray) -> NDArray[np.float64]:
        return tp * self.by_tp**2 + fp * self.by_fp**2 + fn * self.by_fn**2


def _slopes(tp: NDArray, fp: NDArray, fn: NDArray, beta: float) -> _Slopes:
    square = beta * beta
    size = (1 + square) * tp + square * fn + fp
    f = (1 + square) * tp / size
    return _Slopes(f, (1 + square) * (1 - f) / size, -f / size, -square * f / size)


def _delta(
    counts: Counts, beta: float, confidence: float, undefined: Undefined
) -> tuple[NDArray[np.float64], ...]:
    """Intervals of each class (C, 2), and of macro, weighted and micro averages (2,)."""
    tp, fp, fn = counts.tp, counts.fp, counts.fn
    f = f_beta(tp, fp, fn, beta=beta)
    per_class = class_f_interval(tp, fp, fn, beta=beta, confidence=confidence)
    defined = ~np.isnan(f)
    if not defined.any():
        nothing = np.full(2, np.nan)
        return per_class, nothing, nothing, nothing
    cells = _padded(counts)
    smooth_tp, smooth_fp, smooth_fn = _one_against_rest(cells)
    slopes = _slopes(smooth_tp, smooth_fp, smooth_fn, beta)
    z = normal_quantile((1 + confidence) / 2)

    share = defined / defined.sum() if undefined == "skip" else np.full(len(f), 1 / len(f))
    inner = np.where(defined, share, 0.0)
    constant = 0.0 if undefined == "skip" else float(undefined) * share[~defined].sum()
    variances = inner**2 * slopes.variance(smooth_tp, smooth_fp, smooth_fn)
    freedom = variances.sum() ** 2 / (variances**2 / (smooth_tp + smooth_fn)).sum()
    bias = _bias(np.where(defined, tp, 1), fp, fn, beta)
    macro = _effective_wilson(
        np.clip((inner * (np.nan_to_num(f) - bias)).sum() + constant, 0, 1),
        (inner * slopes.f).sum() + constant,
        _cell_variance(cells, inner, slopes, offset=0.0),
        student_quantile((1 + confidence) / 2, freedom),
    )

    n = cells.sum()
    support = (smooth_tp + smooth_fn) / n
    mean = (support * slopes.f).sum()
    weighted = _effective_wilson(
        np.asarray(average(f, undefined=undefined, weights=counts.support)),
        mean,
        # The weights are counts, too: a row of a class also moves its weight.
        _cell_variance(cells, support, slopes, offset=((slopes.f - mean) / n)[:, None]),
        z,
    )

    total = _slopes(smooth_tp.sum(), smooth_fp.sum(), smooth_fn.sum(), beta)
    micro = _effective_wilson(
        f_beta(tp.sum(), fp.sum(), fn.sum(), beta=beta),
        total.f,
        _cell_variance(cells, np.ones(len(f)), total, offset=0.0),
        z,
    )
    return per_class, macro, weighted, micro


def _padded(counts: Counts) -> NDArray[np.float64]:
    """(C, C + 1) cells, undecided last, with half a row more of each kind in every class."""
    n_classes = len(counts.undecided)
    cells = np.column_stack([counts.confusion, counts.undecided]).astype(float)
    if n_classes == 1:
        return cells + _PSEUDO
    cells[:, :n_classes] += _PSEUDO / (n_classes - 1)
    np.fill_diagonal(cells, np.diagonal(counts.confusion) + _PSEUDO)
    return cells


def _one_against_rest(cells: NDArray) -> tuple[NDArray, NDArray, NDArray]:
    tp = np.diagonal(cells)
    return tp, cells[:, :-1].sum(axis=0) - tp, cells.sum(axis=1) - tp


def _cell_variance(
    cells: NDArray, weights: NDArray, slopes: _Slopes, *, offset: float | NDArray
) -> NDArray[np.float64]:
    """sum(n g^2) for the sum of weights times F, plus `offset` to each row's gradient."""
    missed = np.broadcast_to(weights * slopes.by_fn, weights.shape)
    gradient = np.broadcast_to(missed[:, None], cells.shape).copy()
    gradient[:, :-1] += weights * slopes.by_fp
    np.fill_diagonal(gradient, weights * slopes.by_tp)
    gradient += offset
    return np.asarray((cells * gradient**2).sum())


def _bias(tp: NDArray, fp: NDArray, fn: NDArray, beta: float) -> NDArray[np.float64]:
    """By how much F is expected to lie below its true value, to second order (negative)."""
    square = beta * beta
    errors = square * fn + fp
    size = (1 + square) * tp + errors
    return (1 + square) * tp * (square * square * fn + fp - (1 + square) * errors) / size**3


def _effective_wilson(
    f: NDArray, smooth: NDArray, variance: NDArray, quantile: ArrayLike
) -> NDArray[np.float64]:
    """Wilson's interval around `f` for as many rows as would give a share this variance."""
    rows = smooth * (1 - smooth) / variance
    low, high = wilson(f * rows, rows, np.asarray(quantile))
    return np.clip(np.stack([low, high], axis=-1), 0, 1)


def _bootstrap(
    counts: Counts,
    betas: Sequence[float],
    confidence: float,
    undefined: Undefined,
    replicates: int,
    seed: int,
) -> dict[str, tuple[NDArray[np.float64], ...]]:
    """As `_delta`, by beta's name."""
    tp, support, predicted = _replicates(counts, replicates, seed)
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    ends = {}
    for beta in betas:
        f = f_beta(tp, predicted - tp, support - tp, beta=beta)
        defined = ~np.isnan(f)
        values = np.where(defined, f, 0.0 if undefined == "skip" else float(undefined))
        counted = defined if undefined == "skip" else np.ones_like(defined)
        micro = f_beta(
            tp.sum(axis=1),
            (predicted - tp).sum(axis=1),
            (support - tp).sum(axis=1),
            beta=beta,
        )
        with np.errstate(invalid="ignore", divide="ignore"):
            macro = values.sum(axis=1) / counted.sum(axis=1)
            weighted = (values * support).sum(axis=1) / support.sum(axis=1)
        ends[beta_name(beta)] = tuple(
            _percentiles(column, tails) for column in (f, macro, weighted, micro)
        )
    return ends


def _replicates(counts: Counts, replicates: int, seed: int) -> tuple[NDArray, NDArray, NDArray]:
    """(replicates, C) true positives, supports and decisions of multinomial draws."""
    n_classes = len(counts.undecided)
    cells = np.column_stack([counts.confusion, counts.undecided])
    rows, columns = np.nonzero(cells)
    filled = cells[rows, columns]
    sums = [np.zeros((replicates, n_classes + 1), np.int64) for _ in range(3)]
    if len(filled) == 0:
        return sums[0][:, :-1], sums[1][:, :-1], sums[2][:, :-1]
    n = int(filled.sum())
    generator = np.random.default_rng(seed)
    by_column = np.argsort(columns, kind="stable")
    right = np.flatnonzero(rows == columns)
    first_of_row = np.flatnonzero(np.diff(rows, prepend=-1))
    first_of_column = np.flatnonzero(np.diff(columns[by_column], prepend=-1))
    step = max(1, _CELLS_AT_A_TIME // len(filled))
    for start in range(0, replicates, step):
        part = slice(start, min(start + step, replicates))
        drawn = generator.multinomial(n, (filled / n).astype(float), size=part.stop - start)
        sums[0][part, rows[right]] = drawn[:, right]
        sums[1][part, rows[first_of_row]] = np.add.reduceat(drawn, first_of_row, axis=1)
        sums[2][part, columns[by_column[first_of_column]]] = np.add.reduceat(
            drawn[:, by_column], first_of_column, axis=1
        )
    return sums[0][:, :-1], sums[1][:, :-1], sums[2][:, :-1]


def _percentiles(values: NDArray, tails: Sequence[float]) -> NDArray[np.float64]:
    """(..., 2) of (replicates, ...), over the replicates in which a value is defined."""
    ordered = np.sort(values, axis=0)  # NaN comes last
    last = np.maximum((~np.isnan(ordered)).sum(axis=0) - 1, 0)
    ends = []
    for tail in tails:
        place = tail * last
        low = np.floor(place).astype(int)
        below, above = (
            np.take_along_axis(ordered, at[None], axis=0)[0]
            for at in (low, np.minimum(low + 1, last))
        )
        ends.append(below + (place - low) * (above - below))
    return np.stack(ends, axis=-1)
