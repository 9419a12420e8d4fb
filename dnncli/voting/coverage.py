"""What asking for more agreement costs: rows left to people, and positives among them.

Shapes: K items (patterns of votes, or rows), C classes, P patterns, M models, L levels.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.voting.ballots import Ballots
from dnncli.voting.rules import NO_DECISION, Decisions, Status, positive_votes

Share = Literal["all", "voted", "support"]
SHARES: tuple[Share, ...] = ("all", "voted", "support")  # the default comes first

_MOST_LEVELS = 100  # distinct shares up to which each one is a level


@dataclass(frozen=True, kw_only=True)
class CoverageLevel:
    """What happens if the leading class needs this share; NaN is 0 / 0, None is not asked for."""

    agree: float  # in [0, 1], inclusive
    needed: str | None  # "4 of 5" models, where each counts as one
    coverage: float  # share of the rows that are decided
    decided_rows: int
    review: float  # share of the rows that are left to people
    review_rows: int
    accuracy_decided: float | None  # of the decided rows
    recall_excluding: float | None  # positives found among those that are decided
    recall_missed: float | None  # ... among all: what is left to people is missed
    recall_caught: float | None  # ... among all: people find what is left to them


@dataclass(frozen=True, kw_only=True)
class KLevel:
    """What happens if k votes are enough for the positive class; NaN is 0 / 0."""

    k: int
    flagged: float  # share of the rows with k votes or more
    flagged_rows: int
    recall: float | None  # None: no truth
    precision: float | None
    tp: int | None
    fp: int | None
    fn: int | None


def coverage_table(
    decisions: Decisions,
    rows: NDArray[np.integer],
    *,
    right: NDArray[np.integer] | None = None,
    positives: NDArray[np.integer] | None = None,
    positive: int | None = None,
    share: Share = "all",
    levels: Sequence[float | Fraction] | None = None,
    n_models: int | None = None,
    tolerance: float = 0.0,
) -> list[CoverageLevel]:
    """Coverage, accuracy and recall at every level of agreement, in one pass.

    A row is decided for its leading class if that has the share, unless the rule lets no
    agreement decide it: a tie, no votes, too few votes.

    Args:
        decisions: of K items, made without `agree`.
        rows: (K,) rows of each item.
        right: (K,) rows of each item whose true class is the leading one; only looked at where
            there is one. None: no truth.
        positives: (K,) rows of each item whose true class is the positive one.
        positive: class index; needed with `positives`.
        share: of the leading class: "all" or "voted" of the agreement, or its "support", which
            is its probability where probabilities were averaged.
        levels: of agreement; none: every share that occurs, or steps of 0.01 if there are more
            than 100.
        n_models: if given, levels are also told as numbers of these models; they must have equal
            weights, and `share` must be "all".
        tolerance: relative; a share that is smaller than a level by less than it reaches it.

    Returns:
        Levels, rising.

    Raises:
        ValueError: if shapes or options do not fit.
    """
    _check(decisions, rows, right, positives, positive, share=share)
    shares = _shares(decisions, share)
    steps = _levels(shares[rows > 0], levels)
    # An item is decided at the first `reached` levels.
    reached = np.searchsorted(steps, shares * (1 + tolerance), side="right")

    def decided(numbers: NDArray) -> NDArray[np.int64]:
        """(L,) sum of numbers of the items that are decided at each level."""
        sums = np.bincount(reached, numbers, minlength=len(steps) + 1)
        return np.cumsum(sums[::-1])[::-1][1:].astype(np.int64)

    n, covered = int(rows.sum()), decided(rows)
    nothing: list[float | None] = [None] * len(steps)
    accuracy = nothing if right is None else _ratios(decided(right), covered)
    excluding = missed = caught = nothing
    if positives is not None:
        n_positive, there = int(positives.sum()), decided(positives)
        tp = decided(np.where(decisions.leader == positive, positives, 0))
        excluding, missed = _ratios(tp, there), _ratios(tp, n_positive)
        caught = _ratios(tp + n_positive - there, n_positive)
    return [
        CoverageLevel(
            agree=step,
            needed=None if n_models is None else f"{_least(step, n_models)} of {n_models}",
            coverage=_ratio(decided_rows, n),
            decided_rows=decided_rows,
            review=_ratio(n - decided_rows, n),
            review_rows=n - decided_rows,
            accuracy_decided=accuracy[place],
            recall_excluding=excluding[place],
            recall_missed=missed[place],
            recall_caught=caught[place],
        )
        for place, (step, decided_rows) in enumerate(zip(steps.tolist(), covered.tolist()))
    ]


def k_table(
    ballots: Ballots, positive: int, by_truth: NDArray[np.integer] | None = None
) -> list[KLevel]:
    """What every number of votes for the positive class would flag, k = 1 to M.

    Args:
        ballots: hard votes.
        positive: class index.
        by_truth: (P, C) of `Ballots.by_truth`; None: no truth.

    Raises:
        ValueError: if `positive` is no class.
    """
    votes, n_models = positive_votes(ballots, positive), len(ballots.models)
    n, flagged = int(ballots.counts.sum()), _at_least(votes, ballots.counts, n_models)
    if by_truth is None:
        return [
            KLevel(
                k=k,
                flagged=_ratio(rows, n),
                flagged_rows=rows,
                recall=None,
                precision=None,
                tp=None,
                fp=None,
                fn=None,
            )
            for k, rows in enumerate(flagged[1:], 1)
        ]
    true = _at_least(votes, by_truth[:, positive], n_models)
    known = _at_least(votes, by_truth.sum(axis=1), n_models)
    return [
        KLevel(
            k=k,
            flagged=_ratio(rows, n),
            flagged_rows=rows,
            recall=_ratio(true[k], true[0]),
            precision=_ratio(true[k], known[k]),
            tp=true[k],
            fp=known[k] - true[k],
            fn=true[0] - true[k],
        )
        for k, rows in enumerate(flagged[1:], 1)
    ]


def remarks(
    *,
    n_models: int,
    agree: Fraction | None = None,
    positive: str | None = None,
    method: str = "majority",
    recall: float | None = None,
    member_recalls: Mapping[str, float] | None = None,
    ks: Sequence[KLevel] = (),
) -> list[str]:
    """What a user may not expect of a rule; each sentence only where it is true.

    Args:
        n_models: M.
        agree: share of the models that must agree; only if they have equal weights, and the
            share is of all of them.
        positive: name of the positive class; without it nothing is said about recall.
        method: the rule that made the decisions, as the user calls it.
        recall: of the decisions; what is left to people counts as missed.
        member_recalls: name of a model -> recall of its votes on the same rows.
        ks: of `k_table`, with truth.
    """
    lines = []
    if agree is not None and (needed := math.ceil(agree * n_models)) != agree * n_models:
        models = f"all {n_models}" if needed == n_models else f"{needed} of them"
        lines.append(f"{_percent(agree)} of {n_models} models means {models}.")
    known = {name: value for name, value in (member_recalls or {}).items() if value == value}
    if positive is None or recall is None or recall != recall or not known:
        return lines
    best = max(sorted(known), key=known.__getitem__)
    mean = math.fsum(known.values()) / len(known)
    if recall >= known[best]:
        return lines
    even = f", {_percent(mean)} in the mean of all models" if recall < mean else ""
    lines.append(
        f"{method} lowers the recall of '{positive}': it finds {_percent(recall)} by itself, "
        f"{best} alone {_percent(known[best])}{even}."
    )
    for level in reversed(ks):
        if level.recall is not None and level.recall >= known[best]:
            votes = "1 vote is" if level.k == 1 else f"{level.k} votes are"
            lines.append(
                f"{votes} enough to find {_percent(level.recall)} of '{positive}', flagging "
                f"{_percent(level.flagged)} of the rows: --method k-of-m --k {level.k}."
            )
            break
    return lines


def _check(
    decisions: Decisions,
    rows: NDArray,
    right: NDArray | None,
    positives: NDArray | None,
    positive: int | None,
    *,
    share: Share,
) -> None:
    for name, numbers in (("rows", rows), ("right", right), ("positives", positives)):
        if numbers is not None and numbers.shape != (len(decisions),):
            raise ValueError(f"{name} must be ({len(decisions)},). Got {numbers.shape}.")
    if positives is not None and positive is None:
        raise ValueError("positives need the index of the positive class.")
    if share not in SHARES:
        raise ValueError(f"share must be one of {SHARES}. Got {share!r}.")


def _shares(decisions: Decisions, share: Share) -> NDArray[np.float64]:
    """(K,) of the leading class, at least 0; -1 where no agreement can decide."""
    if share == "support":
        leader = np.maximum(decisions.leader, 0)[:, None]
        shares = np.take_along_axis(decisions.support, leader, axis=1)[:, 0]
    else:
        shares = decisions.agreement_all if share == "all" else decisions.agreement_voted
    # A rule that was given `agree` after all says so in the status; the leader is the same.
    can_decide = (decisions.leader != NO_DECISION) & np.isin(decisions.status, _DECIDABLE)
    return np.where(can_decide, shares, -1.0)


_DECIDABLE = (Status.DECIDED, Status.TIE_BROKEN, Status.BELOW_THRESHOLD)


def _levels(
    shares: NDArray[np.float64], levels: Sequence[float | Fraction] | None
) -> NDArray[np.float64]:
    """(L,) rising."""
    if levels is not None:
        return np.unique(np.array([float(level) for level in levels], np.float64))
    shares = shares[shares >= 0]
    for part in (shares[: 10 * _MOST_LEVELS], shares):  # millions need not be sorted for a grid
        found = np.unique(part)
        if len(found) > _MOST_LEVELS:
            return np.arange(math.floor(100 * shares.min()), 101) / 100
    return found


def _least(share: float, n_models: int) -> int:
    """The fewest models that are this share of all; a share in a double may be too high by one
    bit."""
    return math.ceil(share * n_models * (1 - 1e-12))


def _at_least(votes: NDArray[np.integer], rows: NDArray[np.integer], n_models: int) -> list[int]:
    """(M + 1,) rows with 0, 1, ... M votes or more."""
    sums = np.bincount(votes, rows, minlength=n_models + 1)
    return np.cumsum(sums[::-1])[::-1].astype(np.int64).tolist()


def _ratios(parts: NDArray[np.int64], wholes: NDArray[np.int64] | int) -> list[float | None]:
    pairs = np.broadcast_arrays(parts, wholes)
    return [_ratio(part, whole) for part, whole in zip(*(column.tolist() for column in pairs))]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _percent(share: float | Fraction) -> str:
    return f"{100 * float(share):.4g} %"
