"""What the probabilities of several models say together, one model in memory at a time.

Shapes: N rows, M models, C classes, K items (rows or patterns).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.voting.ballots import NO_VOTE
from dnncli.voting.rules import (
    NO_DECISION,
    Decisions,
    VoteOptions,
    blank,
    blocks,
    check_positive,
    entropies,
    in_front,
    settle,
)
from dnncli.voting.weights import integers

PoolHow = Literal["mean", "geometric", "confidence"]
POOL_HOWS: tuple[PoolHow, ...] = ("mean", "geometric", "confidence")  # the default comes first


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """The probabilities of several models as those of one."""

    probs: NDArray[np.float64]  # (N, C); NaN where no model with a weight above 0 said anything
    n_votes: NDArray[np.int32]  # (N,) models that said something, whatever their weight
    n_models: int
    member_entropy: NDArray[np.float64]  # (N,) nats, weighted mean over these models; NaN if none
    how: PoolHow
    precision: np.dtype  # the lowest of the members

    def decide(
        self,
        *,
        options: VoteOptions,
        votes: Sequence[NDArray[np.integer]] | None = None,
        weights: Sequence[Fraction] | None = None,
    ) -> Decisions:
        """`decide_probs` of these probabilities; a mean also has a mutual information."""
        return decide_probs(
            self.probs,
            n_votes=self.n_votes,
            n_models=self.n_models,
            member_entropy=self.member_entropy,
            is_mean=self.how == "mean",
            votes=votes,
            weights=weights,
            options=options,
            precision=self.precision,
        )


class Pool:
    """Sums of the members' probabilities; a member is forgotten as soon as it is added.

    - mean: the weighted arithmetic mean.
    - geometric: the weighted geometric mean, scaled to sum to 1. One member with probability 0
      excludes a class; where that happens to every class, all probabilities are 0.
    - confidence: every member votes for its top class with that class's probability (tied top
      classes share it); the votes are scaled to sum to 1.

    Args:
        n_rows: N.
        n_classes: C.
        how: one of POOL_HOWS.

    Source: R. F. Bordley 1982, "A Multiplicative Formula for Aggregating Probability Assessments",
    https://doi.org/10.1287/mnsc.28.10.1137 (geometric).
    """

    def __init__(self, n_rows: int, n_classes: int, *, how: PoolHow) -> None:
        if how not in POOL_HOWS:
            raise ValueError(f"how must be one of {POOL_HOWS}. Got {how!r}.")
        self.how = how
        # A class lies in one piece, as in predictions files: additions go at the speed of memory.
        self._sums = np.zeros((n_classes, n_rows))
        self._entropy = np.zeros(n_rows)
        self._weight = np.zeros(n_rows)
        self._n_votes = np.zeros(n_rows, np.int32)
        self._n_models = 0
        self._precision: np.dtype = np.dtype(np.float64)
        self._done = False

    def add(self, probs: NDArray[np.floating], *, weight: float | Fraction = 1) -> None:
        """Add one member.

        Args:
            probs: (N, C), of each row all in [0, 1], or all NaN: the member said nothing.
            weight: finite, >= 0.

        Raises:
            ValueError: if the shape or the weight does not fit, or after `result`.
        """
        n_classes, n_rows = self._sums.shape
        if self._done or probs.shape != (n_rows, n_classes):
            raise ValueError(
                f"probs must be ({n_rows}, {n_classes}) and come before the result. "
                f"Got {probs.shape}."
            )
        factor = float(weight)
        if not 0 <= factor < float("inf"):
            raise ValueError(f"weight must be finite and >= 0. Got {weight}.")
        self._precision = min(self._precision, probs.dtype, key=lambda dtype: dtype.itemsize)
        self._n_models += 1
        for part in blocks(n_rows, n_classes):
            self._add(part, np.ascontiguousarray(probs[part].T), factor)

    def _add(self, part: slice, columns: NDArray[np.floating], weight: float) -> None:
        entropy = entropies(columns)
        missing = np.isnan(entropy)
        weights: float | NDArray = weight
        if missing.any():
            weights = np.where(missing, 0.0, weight)
            # Of weight 0, and without a logarithm of 0.
            columns, entropy = np.where(missing, 1, columns), np.where(missing, 0, entropy)
        self._n_votes[part] += ~missing
        if weight == 0:
            return
        self._weight[part] += weights
        self._entropy[part] += weights * entropy
        sums = self._sums[:, part]
        if self.how == "mean":
            one = isinstance(weights, float) and weights == 1
            # In double precision: float32 times a number would be rounded to float32.
            sums += columns if one else np.multiply(columns, weights, dtype=np.float64)
        elif self.how == "geometric":
            with np.errstate(divide="ignore"):  # -inf excludes the class
                sums += weights * np.log(columns, dtype=np.float64)
        else:
            top = columns.max(axis=0)
            is_top = columns == top
            share = np.multiply(top, weights, dtype=np.float64) / is_top.sum(axis=0)
            np.add(sums, share, out=sums, where=is_top)

    def result(self) -> Pooled:
        """The pooled probabilities; the sums become them, so that nothing can be added any more.

        Raises:
            ValueError: if nothing was added, or at the second call.
        """
        if self._done or not self._n_models:
            raise ValueError("result needs at least one member, and can be had once.")
        self._done = True
        weight = np.where(self._weight > 0, self._weight, np.nan)
        for part in blocks(*self._sums.shape[::-1]):
            sums = self._sums[:, part]
            if self.how == "confidence":
                # The weight only says where there is a vote: two NaNs stay one.
                sums /= sums.sum(axis=0) + 0 * weight[part]
                continue
            sums /= weight[part]
            if self.how == "geometric":
                _exponentiate(sums)
        return Pooled(
            probs=self._sums.T,
            n_votes=self._n_votes,
            n_models=self._n_models,
            member_entropy=self._entropy / weight,
            how=self.how,
            precision=self._precision,
        )


def _exponentiate(logs: NDArray[np.float64]) -> None:
    """(C, K) logarithms become probabilities in their place; 0 where all are -inf."""
    highest = logs.max(axis=0)
    highest[np.isneginf(highest)] = 0
    logs -= highest
    np.exp(logs, out=logs)
    total = logs.sum(axis=0)
    total[total == 0] = 1
    logs /= total


def tolerance(precision: np.dtype) -> float:
    """How far apart two probabilities may be, relatively, and still count as equal.

    A probability that stands for 0.8 is 0.8 only up to the rounding of its own precision, of the
    sum that scaled its row to 1, and of the mean: four units in the last place of float32, 4.8e-7.
    In double precision 1e-12 is far above such rounding and far below what is written to files.
    """
    return 1e-12 if precision.itemsize >= 8 else 4 * float(np.finfo(precision).eps)


def decide_probs(
    probs: NDArray[np.floating],
    *,
    n_votes: NDArray[np.integer],
    n_models: int,
    member_entropy: NDArray[np.floating] | None = None,
    is_mean: bool = True,
    votes: Sequence[NDArray[np.integer]] | None = None,
    weights: Sequence[Fraction] | None = None,
    options: VoteOptions,
    precision: np.dtype,
) -> Decisions:
    """The class with the highest probability, where it reaches `options.agree`.

    Ties and `agree` are compared up to `tolerance`. `agree` is a share of probability here: of
    the models that said something, whatever `options.denominator`. Where all probabilities are 0,
    all classes are tied.

    Args:
        probs: (K, C); a row with NaN has no votes. They become `support`, uncopied if float64.
        n_votes: (K,) models that said something.
        n_models: M.
        member_entropy: (K,) nats, mean over these models.
        is_mean: whether probs are the arithmetic mean of the members; only then the entropy that
            they have more than their members is their mutual information.
        votes: M arrays (K,), the top class of each model or NO_VOTE. They make the agreement:
            the share of them that is for the leading class, of tied classes for that with most.
            Without votes it is NaN.
        weights: (M,) of the votes, >= 0, at least one above 0; none: all 1.
        options: when votes are enough.
        precision: of the numbers that probs were made from.

    Raises:
        ValueError: if shapes do not fit, or options.positive is no class.

    Source: A. Malinin and M. Gales 2018, "Predictive Uncertainty Estimation via Prior Networks",
    eq. 4, https://arxiv.org/abs/1802.10501 (mutual information).
    """
    n_items, n_classes = probs.shape
    factors = _factors(weights, n_models)
    if n_votes.shape != (n_items,) or (votes is not None and len(votes) != n_models):
        raise ValueError(
            f"n_votes must be ({n_items},) and votes of {n_models} models. "
            f"Got {n_votes.shape} and {None if votes is None else len(votes)}."
        )
    check_positive(options.positive, n_classes=n_classes)
    slack = tolerance(precision)
    agree = 0.0 if options.agree is None else float(options.agree) * (1 - slack)
    result = blank(n_items, n_classes, support=probs.astype(np.float64, copy=False))
    result.n_votes[:] = n_votes
    for part in blocks(n_items, n_classes):
        columns = np.ascontiguousarray(result.support[part].T)
        highest = columns.max(axis=0)  # NaN if one is
        lowest = highest * (1 - slack)
        front = in_front(columns, lowest, positive=options.positive)
        voted = ~np.isnan(highest) & (result.n_votes[part] > 0)
        settle(result, part, front, voted=voted, enough=highest >= agree, options=options)
        result.entropy[part] = entropies(columns)
        result.entropy[part][~voted | (highest == 0)] = np.nan
        agreeing, heard = _agreeing(result, part, votes, columns >= lowest, factors)
        with np.errstate(invalid="ignore"):  # 0 of 0
            result.agreement_voted[part] = agreeing / heard
        result.agreement_all[part] = agreeing / factors.sum()
    return _with_members(result, member_entropy, is_mean=is_mean, slack=slack)


def _factors(weights: Sequence[Fraction] | None, n_models: int) -> NDArray[np.float64]:
    """(M,) whole weights: their sums are exact as long as they stay below 2^53."""
    if weights is None:
        return np.ones(n_models)
    if len(weights) != n_models:
        raise ValueError(f"weights must be ({n_models},). Got ({len(weights)},).")
    return integers(weights)[0].astype(np.float64)


def _agreeing(
    result: Decisions,
    part: slice,
    votes: Sequence[NDArray[np.integer]] | None,
    is_front: NDArray[np.bool_],
    factors: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """(K,) weight of the votes for the leading class, and (K,) of all votes.

    Where several classes are in front, the one with the most weight counts.
    """
    leader = result.leader[part]
    if votes is None:
        return np.full(len(leader), np.nan), np.full(len(leader), np.nan)
    agreeing, heard = np.zeros(len(leader)), np.zeros(len(leader))
    for column, factor in zip(votes, factors):
        agreeing += factor * (column[part] == leader)
        heard += factor * (column[part] != NO_VOTE)
    agreeing[leader == NO_DECISION] = 0  # NO_VOTE equals it
    tied = np.flatnonzero((leader == NO_DECISION) & (heard > 0))
    if len(tied):
        theirs = [column[part][tied] for column in votes]
        for place, in_tie in enumerate(is_front[:, tied]):
            weight = sum(factor * (column == place) for column, factor in zip(theirs, factors))
            agreeing[tied] = np.maximum(agreeing[tied], weight * in_tie)
    return agreeing, heard


def _with_members(
    result: Decisions, member_entropy: NDArray | None, *, is_mean: bool, slack: float
) -> Decisions:
    if member_entropy is None:
        return result
    mutual = None
    if is_mean:
        mutual = result.entropy - member_entropy
        mutual[mutual < slack] = 0  # rounding of equal members, which would rank rows at random
    return replace(
        result, member_entropy=member_entropy.astype(np.float64), mutual_information=mutual
    )


@dataclass(frozen=True, kw_only=True)
class Averages:
    """Weighted mean of the values of several models, and how far they are from it."""

    mean: NDArray[np.float64]  # (N,) NaN where no model with a weight above 0 has a value
    spread: NDArray[np.float64]  # (N,) standard deviation around the mean, in the same unit
    n_votes: NDArray[np.int32]  # (N,) models with a value, whatever their weight


def average(
    values: Sequence[NDArray[np.floating]], *, weights: Sequence[Fraction] | None = None
) -> Averages:
    """Average scores of any unit and range, as those of a regression.

    Args:
        values: M arrays (N,); NaN: no value.
        weights: (M,) >= 0; none: all 1.

    Returns:
        Per row, over the models that have a value; the spread is sqrt(sum w (x - mean)^2 / sum w).

    Raises:
        ValueError: if there is no model, or shapes do not fit.
    """
    shapes = {column.shape for column in values}
    if len(shapes) != 1 or (weights is not None and len(weights) != len(values)):
        raise ValueError(
            f"values must be M >= 1 arrays (N,) and weights (M,). Got {len(values)} of "
            f"{sorted(shapes)} and {None if weights is None else len(weights)} weights."
        )
    (shape,) = shapes
    factors = [1.0] * len(values) if weights is None else [float(weight) for weight in weights]
    total, sums, squares = np.zeros(shape), np.zeros(shape), np.zeros(shape)
    n_votes = np.zeros(shape, np.int32)
    for column, factor in zip(values, factors):
        missing = np.isnan(column)
        n_votes += ~missing
        total += np.where(missing, 0, factor)
        sums += np.where(missing, 0, factor * column)
    total[total == 0] = np.nan
    mean = sums / total
    # Around the mean, not from sums of squares: those would lose the digits of large values.
    for column, factor in zip(values, factors):
        squares += np.where(np.isnan(column), 0, factor * (column - mean) ** 2)
    return Averages(mean=mean, spread=np.sqrt(squares / total), n_votes=n_votes)
