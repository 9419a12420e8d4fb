"""True classes and every model's habits, estimated together from votes alone.

Shapes: P patterns of votes, M models, C classes.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.results import Progress, no_progress
from dnncli.voting.ballots import NO_VOTE, Ballots
from dnncli.voting.pooling import decide_probs
from dnncli.voting.rules import Decisions, VoteOptions

_FLOOR = 1e-10  # of shares: a habit never seen is unlikely, not impossible


@dataclass(frozen=True, kw_only=True)
class DawidSkene:
    """What the votes say about rows and models if models err independently of each other."""

    posteriors: NDArray[np.float64]  # (P, C) how likely a row with these votes is of each class
    prior: NDArray[np.float64]  # (C,) share of rows of each class
    confusion: NDArray[np.float64]  # (M, C, C) share of votes; rows = truth, each sums to 1
    iterations: int
    converged: bool

    @property
    def rounded(self) -> NDArray[np.float64]:
        """(P, C) posteriors to nine decimals, so that equal ones compare equal.

        Beyond those, floors, the end of the iteration and the order of sums decide.
        """
        return self.posteriors.round(9)


def dawid_skene(
    ballots: Ballots,
    *,
    prior: Literal["estimated", "votes"] = "estimated",
    tolerance: float = 1e-12,
    most_iterations: int = 10_000,
    progress: Progress = no_progress,
) -> DawidSkene:
    """Likeliest classes, class shares and confusion matrices, by expectation maximisation.

    With n_p the rows of pattern p, v_pm its votes, and q its posteriors, which begin as shares of
    votes, two steps take turns until no posterior moves by more than `tolerance`:

        prior[c] = sum_p n_p q[p, c] / n,   confusion[m, c, v] = share of v in m's votes,
                                            rows weighted by n_p q[p, c]
        q[p, c]  = prior[c] * prod_m confusion[m, c, v_pm],  made to sum to 1

    Shares are floored at 1e-10, but a class that nobody votes for anywhere stays impossible.
    A missing vote says nothing: a pattern without votes counts for nothing, and its posterior is
    the prior. The cost of an iteration depends on the patterns, not on the rows.

    At least three models are needed to tell their habits apart. Models that err together are
    believed too much, and if most are worse than chance, classes change places: compare with the
    majority.

    Args:
        ballots: votes.
        prior: "votes" keeps the class shares that the posteriors begin with.
        tolerance: the largest change of a posterior that ends it.
        most_iterations: at least 1; votes that are noise need thousands.
        progress: told of every iteration.

    Returns:
        Without any vote the prior is even. The habits of a model towards a class that no row is
        thought to belong to are even, too.

    Raises:
        ValueError: if there is no iteration.

    Source: A. P. Dawid, A. M. Skene 1979, "Maximum Likelihood Estimation of Observer Error-Rates
    Using the EM Algorithm", https://doi.org/10.2307/2346806
    """
    if most_iterations < 1:
        raise ValueError(f"most_iterations must be at least 1. Got {most_iterations}.")
    counted = (ballots.counts > 0) & (ballots.patterns != NO_VOTE).any(axis=1)
    rows = ballots.counts[counted].astype(np.float64)
    votes = _by_model(ballots.patterns[counted])
    posteriors = _vote_shares(votes, len(ballots.class_names))
    possible = np.asarray(posteriors.any(axis=1)) | (len(rows) == 0)
    shares = _prior(rows * posteriors, possible)
    converged, iterations = False, 0
    while not converged and iterations < most_iterations:
        progress("estimating habits", iterations, most_iterations)
        iterations += 1
        joint = rows * posteriors
        if prior == "estimated":
            shares = _prior(joint, possible)
        confusion = _confusion(joint, votes)
        last, posteriors = posteriors, _posteriors(votes, shares, confusion)
        converged = bool(np.abs(posteriors - last).max(initial=0.0) < tolerance)
    return DawidSkene(
        posteriors=_posteriors(_by_model(ballots.patterns), shares, confusion).T.copy(),
        prior=shares,
        confusion=confusion,
        iterations=iterations,
        converged=converged,
    )


def decide_learned(learned: DawidSkene, ballots: Ballots, *, options: VoteOptions) -> Decisions:
    """The likeliest class of each pattern (K = P), by the rules of `decide_probs`.

    Args:
        learned: from the votes of `ballots`.
        ballots: the votes.
        options: when they are enough.
    """
    patterns = ballots.patterns
    return decide_probs(
        learned.rounded,
        n_votes=(patterns != NO_VOTE).sum(axis=1),
        n_models=patterns.shape[1],
        votes=list(patterns.T),
        options=options,
        precision=np.dtype(np.float64),
    )


def _by_model(patterns: NDArray[np.int32]) -> NDArray[np.intp]:
    """(M, P) votes counted from 1, so that a missing one has a place of its own in tables."""
    return np.ascontiguousarray(patterns.T).astype(np.intp) - NO_VOTE


def _vote_shares(votes: NDArray[np.intp], n_classes: int) -> NDArray[np.float64]:
    """(C, P) shares of the classes in the votes of each pattern."""
    support = np.stack([(votes == c).sum(axis=0) for c in range(1, n_classes + 1)])
    return support / support.sum(axis=0)


def _prior(joint: NDArray[np.float64], possible: NDArray[np.bool_]) -> NDArray[np.float64]:
    """(C,) shares of the expected rows (C, P) of each class and pattern."""
    shares = _shares(joint.sum(axis=1)) * possible
    return shares / shares.sum()


def _confusion(joint: NDArray[np.float64], votes: NDArray[np.intp]) -> NDArray[np.float64]:
    """(M, C, C) from the expected rows (C, P) of each class and pattern."""
    size = len(joint) + 1
    seen = [[np.bincount(of_model, row, size)[1:] for row in joint] for of_model in votes]
    return _shares(np.array(seen))


def _shares(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Shares along the last axis, none of them 0; even where all sums are 0."""
    totals = sums.sum(axis=-1, keepdims=True)
    shares = np.maximum(sums / np.where(totals > 0, totals, 1), _FLOOR)
    return shares / shares.sum(axis=-1, keepdims=True)


def _posteriors(
    votes: NDArray[np.intp], prior: NDArray[np.float64], confusion: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(C, P); in logarithms, because a product over many models is too small for a double."""
    tables = np.log(np.insert(confusion, 0, 1.0, axis=2))  # a missing vote changes nothing
    with np.errstate(divide="ignore"):
        log_prior = np.log(prior)
    logs = np.repeat(log_prior[:, None], votes.shape[1], axis=1)
    for table, of_model in zip(tables, votes):
        for row, of_class in zip(logs, table):
            row += of_class[of_model]
    logs -= logs.max(axis=0)
    np.exp(logs, out=logs)
    logs /= logs.sum(axis=0)
    return logs
