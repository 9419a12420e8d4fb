"""Weights of models, chosen greedily so that their mean fits rows with known truth.

Shapes: V rows, M models, C classes, P patterns of votes, K rows or patterns, R rounds.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dnncli.voting.ballots import NO_VOTE, Ballots

SelectionMetric = Literal["log_loss", "brier"]
SELECTION_METRICS: tuple[SelectionMetric, ...] = get_args(SelectionMetric)  # the default first

_CLIP = 1e-15  # a certain mistake would else cost an infinite log loss
_SAME = 1e-12  # losses nearer than this differ by the order of sums only

# (M,) loss of the mean if each model is added to picks (M,) made so far
_Losses = Callable[[NDArray[np.int64]], Sequence[float]]


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which models were picked, how often, and what that did to the loss on the rows given."""

    weights: tuple[Fraction, ...]  # (M,) shares of the picks that count; they sum to 1
    sequence: tuple[int, ...]  # (R,) model picked in each round
    losses: tuple[float, ...]  # (R,) of the mean after each round
    best_prefix: int  # rounds that count: the fewest that reach the lowest loss
    best_single: int  # model with the lowest loss; the first pick
    best_single_loss: float


def select(
    probs: Sequence[NDArray[np.floating]],
    labels: NDArray[np.integer],
    *,
    rounds: int = 50,
    metric: SelectionMetric = "log_loss",
) -> Selection:
    """Pick models with replacement, each time the one that lowers the loss of the mean most.

    Picks up to the lowest loss count; how often a model was picked is its weight. On the rows
    given, the result is never worse than the best single model; on others it may be. Of equal
    models the first is picked: give them in an order that means something, such as by name.

    Args:
        probs: M arrays (V, C) of class probabilities; a row of NaN: that model said nothing, and
            the mean is that of the others, even if there are none.
        labels: (V,) true class indices in [0, C).
        rounds: picks to make, >= 1.
        metric: "log_loss" (probabilities clipped to [1e-15, 1 - 1e-15]) or "brier" (sum of squares
            over the classes, in [0, 2]).

    Raises:
        ValueError: if shapes or labels do not fit, or there is no model, row or round.

    Source: Caruana et al. 2004, "Ensemble Selection from Libraries of Models",
    https://doi.org/10.1145/1015330.1015432
    """
    if metric not in SELECTION_METRICS:
        raise ValueError(f"metric must be one of {SELECTION_METRICS}. Got {metric!r}.")
    shapes = sorted({array.shape for array in probs})
    if len(shapes) != 1 or len(shapes[0]) != 2 or np.shape(labels) != shapes[0][:1]:
        raise ValueError(
            "probs must be M >= 1 arrays of one shape (V, C) and labels (V,). "
            f"Got {shapes} and {np.shape(labels)}."
        )
    n_rows, n_classes = shapes[0]
    if n_rows == 0 or not 0 <= labels.min() <= labels.max() < n_classes:
        raise ValueError(f"labels must be at least one index in [0, {n_classes}). Got {labels}.")
    true = np.stack([array[np.arange(n_rows), labels] for array in probs]).astype(np.float64)
    spoken = ~np.isnan(true)
    true[~spoken] = 0
    if metric == "log_loss":
        losses = _log_losses(true, spoken, n_classes)
    else:
        losses = _brier_losses([np.nan_to_num(array) for array in probs], true, spoken)
    return _greedy(losses, len(probs), rounds)


def select_votes(ballots: Ballots, labels: NDArray[np.integer], *, rounds: int = 50) -> Selection:
    """`select` for hard votes, by the Brier score of their shares.

    Accuracy takes few values, so that many sets of models share the best by luck; the log loss of
    a share of 0 is as good as infinite. Works on patterns: the cost does not depend on the rows.

    Args:
        ballots: votes of V rows. If no picked model voted for a row, its shares are even.
        labels: (V,) true class indices in [0, C); rows with a negative label are not counted.
        rounds: picks to make, >= 1.

    Raises:
        ValueError: if there is no row with a label, or no round.

    Source: see `select`.
    """
    by_truth = ballots.by_truth(labels).astype(np.float64)
    counted = by_truth.any(axis=1)
    if not counted.any():
        raise ValueError("labels must name the true class of at least one row.")
    by_truth, votes = by_truth[counted], ballots.patterns[counted].T
    at, spoken = np.arange(len(by_truth)), votes != NO_VOTE

    def products(sums: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        for of_model, voted in zip(votes, spoken):
            yield sums[at, of_model] * voted

    brier = _Brier(
        rows=by_truth.sum(axis=1),
        spoken=spoken,
        true=np.stack(list(products(by_truth))),
        squares=spoken.astype(np.float64),
        products=products,
    )

    def losses(picks: NDArray[np.int64]) -> Sequence[float]:
        support = np.zeros_like(by_truth)
        for of_model, voted, pick in zip(votes, spoken, picks):
            support[at, of_model] += pick * voted
        return brier.losses(picks, support)

    return _greedy(losses, len(votes), rounds)


def _greedy(losses: _Losses, n_models: int, rounds: int) -> Selection:
    if rounds < 1:
        raise ValueError(f"rounds must be at least 1. Got {rounds}.")
    picks = np.zeros(n_models, np.int64)
    sequence, reached = [], []
    for _ in range(rounds):
        found = np.asarray(losses(picks))
        best = _first_lowest(found)
        picks[best] += 1
        sequence.append(best)
        reached.append(float(found[best]))
    prefix = _first_lowest(np.array(reached)) + 1
    counts = np.bincount(sequence[:prefix], minlength=n_models).tolist()
    return Selection(
        weights=tuple(Fraction(count, prefix) for count in counts),
        sequence=tuple(sequence),
        losses=tuple(reached),
        best_prefix=prefix,
        best_single=sequence[0],
        best_single_loss=reached[0],
    )


def _first_lowest(losses: NDArray[np.float64]) -> int:
    return int((losses <= losses.min() + _SAME).argmax())


def _log_losses(true: NDArray[np.float64], spoken: NDArray[np.bool_], n_classes: int) -> _Losses:
    """From the probabilities (M, V) of the true classes, 0 where nothing was said."""

    def losses(picks: NDArray[np.int64]) -> Sequence[float]:
        total, n = picks @ true, picks @ spoken
        found = []
        for of_model, voted in zip(true, spoken):
            members = n + voted
            mean = np.where(members > 0, (total + of_model) / np.maximum(members, 1), 1 / n_classes)
            found.append(-float(np.log(np.clip(mean, _CLIP, 1 - _CLIP)).mean()))
        return found

    return losses


def _brier_losses(
    probs: Sequence[NDArray[np.floating]], true: NDArray[np.float64], spoken: NDArray[np.bool_]
) -> _Losses:
    """From probabilities (V, C), 0 where nothing was said."""

    def products(sums: NDArray[np.float64]) -> Iterator[NDArray[np.float64]]:
        for array in probs:
            yield np.einsum("vc,vc->v", array, sums)

    brier = _Brier(
        rows=np.ones(len(probs[0])),
        spoken=spoken,
        true=true,
        squares=np.stack([(array.astype(np.float64) ** 2).sum(axis=1) for array in probs]),
        products=products,
    )

    def losses(picks: NDArray[np.int64]) -> Sequence[float]:
        sums = np.zeros(probs[0].shape)
        for array, pick in zip(probs, picks):
            if pick:
                sums += float(pick) * array
        return brier.losses(picks, sums)

    return losses


@dataclass(frozen=True, kw_only=True)
class _Brier:
    """What the Brier score of any mean of models is made of.

    With s the sum of the picked models' probabilities of a row, n models that said anything, and y
    the truth as 0 and 1, a row costs sum((s / n - y)^2) = sum(s^2) / n^2 - 2 s[true] / n + 1.
    """

    rows: NDArray[np.float64]  # (K,) rows of each item
    spoken: NDArray[np.bool_]  # (M, K)
    true: NDArray[np.float64]  # (M, K) probability of the true class, summed over those rows
    squares: NDArray[np.float64]  # (M, K) sum over the classes of squared probabilities
    products: Callable[[NDArray], Iterator[NDArray]]  # each model's inner products with (K, C)

    def losses(self, picks: NDArray[np.int64], sums: NDArray[np.float64]) -> Sequence[float]:
        """(M,) Brier score if each model is added to `picks`, whose sum is (K, C)."""
        square, true, n = (sums * sums).sum(axis=1), picks @ self.true, picks @ self.spoken
        even = 1 / sums.shape[1]  # if nobody said anything
        found = []
        for product, spoken, of_true, own in zip(
            self.products(sums), self.spoken, self.true, self.squares
        ):
            members = np.maximum(n + spoken, 1)
            some = n + spoken > 0
            squares = np.where(some, (square + 2 * product + own) / members**2, even)
            trues = np.where(some, (true + of_true) / members, even * self.rows)
            found.append(float((self.rows * (squares + 1) - 2 * trues).sum() / self.rows.sum()))
        return found
