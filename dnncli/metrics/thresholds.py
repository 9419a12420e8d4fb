"""Thresholds that reach a target recall, and how surely they will on new data.

A row is positive if and only if its score >= the threshold. Candidates are the distinct scores.
Shares that the user gives are exact: 0.9 means nine tenths, not the nearest binary number.
"""

import math
from bisect import bisect_left
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnncli.metrics.counts import in_precision
from dnncli.metrics.curves import Curve, checked, first_reaching
from dnncli.metrics.scores import BETA_LIMITS
from dnncli.metrics.special import binomial_cdf

Share = float | str | Fraction  # 0.95, "0.95" and "19/20" are the same share

_CLOSE = 1e-9  # relative; nearer to the limit than this, floating point may not decide
_EXACT = 20_000  # positives up to which fractions may: they take time with the square
_DIGITS = 60  # of logarithms: enough for shares that are closer to 1 than any double
_EXPONENT_DIGITS = 3  # of a share that is written with one
_STRIDE = 256  # candidates between two whose negatives are counted; each count is one pass


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one threshold does to the rows it was looked up on."""

    threshold: float  # exactly the score it stands for, whatever the precision of the scores
    tp: int | float  # whole rows, or sums of their weights
    fp: int | float
    fn: int | float
    tn: int | float

    @property
    def precision(self) -> float:
        """tp / (tp + fp); NaN if nothing is flagged."""
        return self.tp / self.n_flagged if self.n_flagged else float("nan")

    @property
    def recall(self) -> float:
        """tp / (tp + fn); NaN if there is no positive."""
        positives = self.tp + self.fn
        return self.tp / positives if positives else float("nan")

    @property
    def n_flagged(self) -> int | float:
        """Rows with score >= threshold."""
        return self.tp + self.fp

    @property
    def flagged(self) -> float:
        """Share of all rows in [0, 1] with score >= threshold; NaN if there is no row."""
        rows = self.tp + self.fp + self.fn + self.tn
        return self.n_flagged / rows if rows else float("nan")


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """A threshold whose recall on new data is below the target with probability <= 1 - confidence.

    It holds for data exchangeable with the rows that chose it, and for nothing else.
    """

    feasible: bool
    allowed_misses: int | None  # positives that may lie below the threshold; None: not even 0
    point: Point | None  # None if not feasible
    needed_positives: int | None  # for this target; None if no number suffices (recall 1)
    best_certifiable_recall: float  # with the positives at hand


@dataclass(frozen=True, kw_only=True)
class Targets:
    """The three thresholds for one target recall. Points are None if there is no positive."""

    highest: Point | None  # the highest threshold that reaches it: fewest rows flagged
    max_precision: Point | None  # the best precision among all that reach it
    certified: Certificate
    n_positive: int
    n_negative: int


def exact_share(name: str, value: Share, *, one: bool = True) -> Fraction:
    """`value` as the fraction that it is written as.

    Args:
        name: for the message.
        value: 0 < value <= 1.
        one: whether 1 itself is allowed.

    Raises:
        ValueError: if it is no number or out of range.
    """
    limits = "(0, 1]" if one else "(0, 1)"
    share = Fraction(-1)
    # "1e-999999999" written out as a fraction would fill the memory.
    exponent = str(value).lower().partition("e")[2].strip("+-")
    if len(exponent) <= _EXPONENT_DIGITS:
        with suppress(ValueError, ZeroDivisionError):
            share = Fraction(str(value))
    if not 0 < share <= 1 or (share == 1 and not one):
        raise ValueError(f"{name} must lie in {limits}. Got {value}.")
    return share


def point_at(is_positive: ArrayLike, scores: NDArray[np.floating], threshold: float) -> Point:
    """The counts at any threshold, compared in the scores' own precision.

    Args:
        is_positive: (N,) whether the row belongs to the positive class.
        scores: (N,) of the positive class, finite.
        threshold: any number.
    """
    truth, scores = checked(is_positive, scores)
    return _point(in_precision(threshold, scores.dtype), scores[truth], scores)


def highest(curve: Curve, *, recall: Share) -> Point | None:
    """The highest threshold that reaches a recall; None if there is no positive.

    Args:
        curve: of `curves.curve`.
        recall: target in (0, 1].
    """
    index = first_reaching(curve, exact_share("recall", recall))
    return None if index is None else _curve_point(curve, index)


def max_precision(curve: Curve, *, recall: Share) -> Point | None:
    """The best precision among thresholds that reach a recall; of equal ones the higher recall.

    Precisions are compared exactly below 2^26 rows. None if there is no positive.

    Args:
        curve: of `curves.curve`.
        recall: target in (0, 1].
    """
    index = first_reaching(curve, exact_share("recall", recall))
    if index is None:
        return None
    return _curve_point(curve, index + _last_best(curve.precision[index:]))


def best_f(curve: Curve, *, beta: float) -> Point | None:
    """The threshold with the highest F-beta; of equal ones the one with the higher recall.

    Args:
        curve: of `curves.curve`.
        beta: how many times as much recall counts; within BETA_LIMITS.

    Returns:
        None if there is no positive.
    """
    if not BETA_LIMITS[0] <= beta <= BETA_LIMITS[1]:
        raise ValueError(f"beta must lie in {BETA_LIMITS}. Got {beta}.")
    if curve.positives == 0:
        return None
    # F = (1 + beta^2) tp / (flagged + beta^2 positives): the factor changes no order.
    return _curve_point(
        curve, _last_best(curve.tp / (curve.tp + curve.fp + beta * beta * curve.positives))
    )


def allowed_misses(n: int, *, recall: Share, confidence: Share) -> int | None:
    """How many of n positives may be missed if the recall is to be certified.

    The largest k with BinomCDF(k; n, 1 - recall) <= 1 - confidence: with a true recall below the
    target, as few misses as k would be seen with at most that probability. Sides that differ by
    less than one part in 10^9 are compared as fractions up to 20,000 positives; above, such a k
    is taken for too many, which is on the safe side.

    Args:
        n: positives at hand.
        recall: target in (0, 1].
        confidence: in (0, 1).

    Returns:
        None if even k = 0 fails.

    Source: S. S. Wilks 1941, "Determination of Sample Sizes for Setting Tolerance Limits",
    https://doi.org/10.1214/aoms/1177731788
    """
    share = exact_share("recall", recall)
    doubt = 1 - exact_share("confidence", confidence, one=False)
    if n < 0:
        raise ValueError(f"n must not be negative. Got {n}.")
    if share == 1:
        return None  # no miss ever: no finite sample shows that

    def too_many(k: int) -> bool:
        tail = float(binomial_cdf(k, n, float(1 - share)))
        if abs(tail - doubt) > _CLOSE * doubt:
            return tail > doubt
        return n > _EXACT or _exact_binomial_cdf(k, n, 1 - share) > doubt

    k = bisect_left(range(n + 1), x=True, key=too_many)
    return k - 1 if k > 0 else None


def needed_positives(*, recall: Share, confidence: Share) -> int | None:
    """The fewest positives with which a recall can be certified (no miss allowed).

    The smallest n with recall^n <= 1 - confidence; None for recall 1.

    Args:
        recall: target in (0, 1].
        confidence: in (0, 1).
    """
    share = exact_share("recall", recall)
    doubt = 1 - exact_share("confidence", confidence, one=False)
    if share == 1:
        return None
    with localcontext(prec=_DIGITS):
        ratio = _logarithm(doubt) / _logarithm(share)
    near = round(ratio)
    # Equality needs a denominator that is an n-th power: for larger n no digits are close enough.
    if 0 < near <= doubt.denominator.bit_length() and share**near == doubt:
        return near
    return math.ceil(ratio)


def _logarithm(share: Fraction) -> Decimal:
    """In the precision of the context: that of a double hides how far a share is from 1."""
    return (Decimal(share.numerator) / Decimal(share.denominator)).ln()


def best_certifiable(n: int, *, confidence: Share) -> float:
    """The highest recall that n positives can certify: (1 - confidence)^(1 / n); 0 if n is 0.

    Rounded down: asked for, it is certified.
    """
    doubt = 1 - exact_share("confidence", confidence, one=False)
    return float(doubt) ** (1 / n) * (1 - 2**-52) if n > 0 else 0.0


def certified(
    is_positive: ArrayLike, scores: NDArray[np.floating], *, recall: Share, confidence: Share
) -> Certificate:
    """The threshold that reaches a recall on new data with a stated confidence, or a refusal.

    It is the (k + 1)-th smallest positive score, k = `allowed_misses`. Tied scores only make it
    safer.

    Args:
        is_positive: (N,) whether the row belongs to the positive class.
        scores: (N,) of the positive class, finite.
        recall: target in (0, 1].
        confidence: in (0, 1).

    Source: see `allowed_misses`.
    """
    truth, scores = checked(is_positive, scores)
    positives = scores[truth]
    misses = allowed_misses(len(positives), recall=recall, confidence=confidence)
    if misses is not None:
        positives.partition(misses)
    return _certificate(positives, scores, misses, recall=recall, confidence=confidence)


def target(
    is_positive: ArrayLike, scores: NDArray[np.floating], *, recall: Share, confidence: Share
) -> Targets:
    """All three thresholds for a target recall, without sorting all rows.

    Equal to `highest` and `max_precision` of the curve, and to `certified`.

    Args:
        is_positive: (N,) whether the row belongs to the positive class.
        scores: (N,) of the positive class, finite.
        recall: target in (0, 1].
        confidence: in (0, 1).
    """
    truth, scores = checked(is_positive, scores)
    share = exact_share("recall", recall)
    positives = scores[truth]
    n = len(positives)
    misses = allowed_misses(n, recall=recall, confidence=confidence)
    if n > 0:
        below = n - math.ceil(share * n)  # positives that may lie under the threshold
        positives.partition([below] if misses is None else [below, misses])
    return Targets(
        highest=None if n == 0 else _point(positives[below], positives, scores),
        max_precision=None if n == 0 else _most_precise(positives, below, truth, scores),
        certified=_certificate(positives, scores, misses, recall=recall, confidence=confidence),
        n_positive=n,
        n_negative=len(scores) - n,
    )


def _most_precise(
    positives: NDArray, below: int, truth: NDArray[np.bool_], scores: NDArray
) -> Point:
    """The best precision at or below `positives[below]`, which has `below` of them under it.

    Between two positive scores the upper one flags the fewest negatives, so that only positive
    scores can be best; of those, only the few that reach the recall.
    """
    limit, n = positives[below], len(positives)
    # Positives equal to the limit may stand behind it; they do not add a candidate.
    lowest = np.sort(positives[: below + 1])
    candidates = np.unique(lowest)
    tp = n - np.searchsorted(lowest, candidates)
    n_above = int(np.count_nonzero(scores >= limit)) - int(tp[-1])
    # A lower threshold finds at most n / tp times as many positives: with more than as many times
    # the negatives it cannot be better. What lies deeper need not be sorted.
    most = n_above * n // int(tp[-1])

    def can_be_best(step: int) -> bool:
        index = step * _STRIDE
        return int(np.count_nonzero(scores >= candidates[index])) - int(tp[index]) <= most

    steps = range((len(candidates) - 1) // _STRIDE + 1)
    first = max(bisect_left(steps, x=True, key=can_be_best) - 1, 0) * _STRIDE
    candidates, tp = candidates[first:], tp[first:]
    between = np.sort(scores[(scores >= candidates[0]) & (scores < limit) & ~truth])
    fp = n_above + len(between) - np.searchsorted(between, candidates)
    # The highest recall comes first here, as thresholds rise.
    best = int((tp / (tp + fp)).argmax())
    return _counted(candidates[best], int(tp[best]), int(fp[best]), n, len(scores))


def _certificate(
    positives: NDArray, scores: NDArray, misses: int | None, *, recall: Share, confidence: Share
) -> Certificate:
    """From positives of which the (misses + 1)-th smallest stands in its place."""
    point = None if misses is None else _point(positives[misses], positives, scores)
    return Certificate(
        feasible=misses is not None,
        allowed_misses=misses,
        point=point,
        needed_positives=needed_positives(recall=recall, confidence=confidence),
        best_certifiable_recall=best_certifiable(len(positives), confidence=confidence),
    )


def _point(threshold: np.floating, positives: NDArray, scores: NDArray) -> Point:
    tp = int(np.count_nonzero(positives >= threshold))
    fp = int(np.count_nonzero(scores >= threshold)) - tp
    return _counted(threshold, tp, fp, len(positives), len(scores))


def _counted(threshold: np.floating, tp: int, fp: int, positives: int, rows: int) -> Point:
    return Point(
        threshold=float(threshold), tp=tp, fp=fp, fn=positives - tp, tn=rows - positives - fp
    )


def _curve_point(curve: Curve, index: int) -> Point:
    tp, fp = curve.tp[index].item(), curve.fp[index].item()
    return Point(
        threshold=float(curve.thresholds[index]),
        tp=tp,
        fp=fp,
        fn=curve.positives - tp,
        tn=curve.negatives - fp,
    )


def _last_best(values: NDArray[np.float64]) -> int:
    """Recall rises along a curve, so that the last of the best has the highest."""
    return len(values) - 1 - int(values[::-1].argmax())


def _exact_binomial_cdf(k: int, n: int, p: Fraction) -> Fraction:
    hit, miss = p.numerator, p.denominator - p.numerator
    term = miss**n  # times the denominator to the n, as all terms
    total = term
    for i in range(1, k + 1):
        term = term * (n - i + 1) * hit // (i * miss)
        total += term
    return Fraction(total, p.denominator**n)
