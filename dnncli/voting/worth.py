"""Whether a consensus is worth its cost: compared with its members on rows of known truth.

Shapes: N rows, M models, C classes, P patterns of votes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.agreement import Agreement
from dnncli.metrics.intervals import proportion_interval
from dnncli.metrics.paired import Difference, difference, mcnemar
from dnncli.voting.ballots import NO_VOTE, Ballots
from dnncli.voting.rules import NO_DECISION, VoteOptions, VoteTie, check_positive, majority

NEAR = Fraction(999, 1000)  # models that agree more often are near duplicates

_BLOCK = 1 << 16  # rows worked on at a time: they stay in the cache
_NAMED = 5  # duplicates named in a warning


@dataclass(frozen=True, kw_only=True)
class Score:
    """What one source of decisions gets right; NaN is 0 / 0.

    Of all rows, one without a decision is wrong; of the decided rows, it is left out.
    """

    decided_rows: int
    right_rows: int
    coverage: float  # share of the rows that are decided
    accuracy: float  # of all rows
    accuracy_decided: float
    accuracy_interval: tuple[float, float]  # Clopper-Pearson, of all rows
    recall: float | None  # of the positives; None if there is no positive class
    precision: float | None  # of the rows decided for the positive class


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """The consensus against one of its members on the same rows."""

    member: str
    n: int  # rows compared
    only_consensus: int  # rows that only the consensus got right
    only_member: int  # rows that only the member got right
    difference: Difference  # of the accuracies, by Tango's interval
    p_value: float  # exact McNemar test


@dataclass(frozen=True, kw_only=True)
class Worth:
    """A consensus of M models beside what a user would have without it."""

    n: int  # rows whose truth is known
    consensus: Score
    members: dict[str, Score]
    best_single: str  # most rows right; of equal ones the first by name
    mean_single: float  # mean of the members' accuracies of all rows
    mean_recall: float | None  # mean of the members' recalls; None if there is no positive class
    majority: Score  # each model one vote, ties as asked
    against_best: Comparison  # on all rows
    against_best_decided: Comparison  # on the rows that the consensus decided
    against_best_positives: Comparison | None  # on the positives: of the recalls
    effective_models: float  # independent models whose errors would cancel out as well
    predictions_per_row: float  # that the consensus costs
    warnings: tuple[str, ...]


def worth(
    ballots: Ballots,
    labels: NDArray[np.integer],
    decision: NDArray[np.integer],
    *,
    positive: int | None = None,
    confidence: float = 0.95,
    used: Sequence[bool] | None = None,
    per_row: float | None = None,
    tie: VoteTie = "abstain",
) -> Worth:
    """Compare decisions about rows of known truth with the models that they are made of.

    The best single model is the best of these same rows, which flatters it: the comparison is
    cautious.

    Args:
        ballots: votes of the members; a probability votes for its highest class.
        labels: (N,) true class indices; rows with a negative label are left out.
        decision: (N,) class indices or NO_DECISION, by whatever rule.
        positive: class index, for recall and precision.
        confidence: of the intervals, in (0, 1).
        used: (M,) whether the decisions need a model; None: all. The cost is that of these.
        per_row: predictions that the consensus costs; None: the votes of the used models.
        tie: of the majority beside them, so that it decides as many rows as they may.

    Raises:
        ValueError: if shapes or indices do not fit.
    """
    n_classes = len(ballots.class_names)
    check_positive(positive, n_classes=n_classes)
    for name, indices in (("labels", labels), ("decision", decision)):
        if indices.shape != (len(ballots),):
            raise ValueError(f"{name} must be ({len(ballots)},). Got {indices.shape}.")
    by_truth = ballots.by_truth(labels)
    plain = majority(ballots, options=VoteOptions(tie=tie, positive=positive))
    hits = [
        _of_patterns(by_truth, votes, positive) for votes in (*ballots.patterns.T, plain.decision)
    ]
    rights = [source.right for source in hits[: len(ballots.models)]]
    place = min(range(len(rights)), key=lambda model: (-rights[model], ballots.models[model]))
    best = ballots.models[place]
    cells = _cells(ballots, place, labels, decision, positive)
    hits.append(_of_cells(cells, has_positive=positive is not None))
    *single, equal, consensus = _scores(hits, confidence=confidence)
    members = dict(zip(ballots.models, single))
    on_all = _compared(cells, best, confidence=confidence)
    on_decided = _compared(cells[1:], best, confidence=confidence)
    on_positives = None
    if positive is not None:
        on_positives = _compared(cells[:, :, :, 1:], best, confidence=confidence)
    if per_row is None:
        asked = ballots.patterns if used is None else ballots.patterns[:, np.asarray(used, bool)]
        n_votes = int((asked != NO_VOTE).sum(axis=1) @ ballots.counts)
        per_row = _ratio(n_votes, len(ballots))
    recalls = [score.recall for score in members.values() if score.recall is not None]
    return Worth(
        n=int(by_truth.sum()),
        consensus=consensus,
        members=members,
        best_single=best,
        mean_single=math.fsum(score.accuracy for score in members.values()) / len(members),
        mean_recall=math.fsum(recalls) / len(recalls) if recalls else None,
        majority=equal,
        against_best=on_all,
        against_best_decided=on_decided,
        against_best_positives=on_positives,
        effective_models=_effective_models(ballots.patterns, by_truth),
        predictions_per_row=per_row,
        warnings=_verdict(on_all, on_decided, per_row, confidence=confidence),
    )


@dataclass(frozen=True, kw_only=True)
class _Hits:
    """Rows of known truth."""

    n: int
    decided: int
    right: int
    positives: int | None  # None: there is no positive class
    flagged: int  # decided for the positive class
    tp: int  # ... and right


def _scores(sources: list[_Hits], *, confidence: float) -> list[Score]:
    # All intervals at once: they are solved for step by step.
    low, high = proportion_interval(
        [hits.right for hits in sources], [hits.n for hits in sources], confidence=confidence
    )
    return [
        Score(
            decided_rows=hits.decided,
            right_rows=hits.right,
            coverage=_ratio(hits.decided, hits.n),
            accuracy=_ratio(hits.right, hits.n),
            accuracy_decided=_ratio(hits.right, hits.decided),
            accuracy_interval=interval,
            recall=None if hits.positives is None else _ratio(hits.tp, hits.positives),
            precision=None if hits.positives is None else _ratio(hits.tp, hits.flagged),
        )
        for hits, interval in zip(sources, zip(low.tolist(), high.tolist()))
    ]


def _of_patterns(by_truth: NDArray, votes: NDArray, positive: int | None) -> _Hits:
    """Of a source that says `votes` (P,) about the patterns."""
    rows, voted = by_truth.sum(axis=1), np.flatnonzero(votes != NO_DECISION)
    flags = votes == positive
    return _Hits(
        n=int(rows.sum()),
        decided=int(rows[voted].sum()),
        right=int(by_truth[voted, votes[voted]].sum()),
        positives=None if positive is None else int(by_truth[:, positive].sum()),
        flagged=0 if positive is None else int(rows[flags].sum()),
        tp=0 if positive is None else int(by_truth[flags, positive].sum()),
    )


def _cells(
    ballots: Ballots, model: int, labels: NDArray, decision: NDArray, positive: int | None
) -> NDArray[np.int64]:
    """(2, 2, 2, 2, 2) rows of known truth, by five questions about each, 1 for yes: decided;
    consensus right; member right; of the positive class; decided for the positive class."""
    sums = np.zeros(1 << 5, np.int64)
    votes = np.ascontiguousarray(ballots.patterns[:, model])
    wanted = -2 if positive is None else positive  # no label, and no decision
    for start in range(0, len(labels), _BLOCK):
        part = slice(start, start + _BLOCK)
        truth, said = labels[part], decision[part]
        code = np.zeros(len(truth), np.uint8)
        for is_so in (
            said != NO_DECISION,
            said == truth,
            votes[ballots.index[part]] == truth,
            truth == wanted,
            said == wanted,
        ):
            code <<= 1
            code |= is_so
        sums += np.bincount(code[truth >= 0], minlength=len(sums))
    return sums.reshape((2,) * 5)


def _of_cells(cells: NDArray[np.int64], *, has_positive: bool) -> _Hits:
    """Of the consensus."""
    return _Hits(
        n=int(cells.sum()),
        decided=int(cells[1].sum()),
        right=int(cells[:, 1].sum()),
        positives=int(cells[:, :, :, 1].sum()) if has_positive else None,
        flagged=int(cells[..., 1].sum()),
        tp=int(cells[:, :, :, 1, 1].sum()),
    )


def _compared(cells: NDArray[np.int64], member: str, *, confidence: float) -> Comparison:
    """On the rows of these cells."""
    n, first, second = (int(rows.sum()) for rows in (cells, cells[:, 1, 0], cells[:, 0, 1]))
    return Comparison(
        member=member,
        n=n,
        only_consensus=first,
        only_member=second,
        difference=difference(first, second, n, confidence=confidence),
        p_value=mcnemar(first, second),
    )


def _effective_models(patterns: NDArray, by_truth: NDArray) -> float:
    """M times the variance of the members' errors, over the variance of their number.

    M if the errors are independent, 1 if all members err on the same rows; NaN if the number of
    errors is the same on every row.
    """
    n, n_models = int(by_truth.sum()), patterns.shape[1]
    right = np.zeros(by_truth.shape, np.int64)  # members that are right if this is the truth
    one_by_one = 0  # n^2 times the sum of the variances of the members
    for votes in patterns.T:
        voted = np.flatnonzero(votes != NO_VOTE)
        right[voted, votes[voted]] += 1
        hits = int(by_truth[voted, votes[voted]].sum())
        one_by_one += hits * (n - hits)
    total, squares = int((right * by_truth).sum()), int((right * right * by_truth).sum())
    return _ratio(n_models * one_by_one, n * squares - total * total)


def near_duplicates(
    models: Sequence[str], agreed: Agreement, *, near: Fraction = NEAR
) -> tuple[tuple[str, str, float], ...]:
    """Pairs of models that agree on more than `near` of the rows, with that share, highest first.

    Args:
        models: (M,) names.
        agreed: how far they agree.
        near: share of the rows that both voted on.
    """
    found = [
        (models[first], models[second], pair.agreement)
        for (first, second), pair in agreed.pairs.items()
        if pair.agreement > near
    ]
    return tuple(sorted(found, key=lambda pair: (-pair[2], pair)))


def _verdict(
    on_all: Comparison, on_decided: Comparison, per_row: float, *, confidence: float
) -> tuple[str, ...]:
    """A sentence, unless the consensus is shown to be better than the best member."""
    gap = on_all.difference
    if on_all.n == 0 or gap.low > 0:
        return ()
    found = (
        f"{_points(gap.difference)} points of accuracy ({100 * confidence:g} % interval "
        f"{_points(gap.low)} to {_points(gap.high)}) on {on_all.n:,} rows"
    )
    if on_decided.n not in (0, on_all.n):
        found += (
            f", where a row left to people counts as wrong; on the {on_decided.n:,} decided rows "
            f"{_points(on_decided.difference.difference)}"
        )
    verdict = "is worse than" if gap.high < 0 else "is not shown to be better than"
    cost = f"It costs {per_row:.3g} predictions a row instead of 1."
    return (f"the consensus {verdict} '{on_all.member}' alone: {found}. {cost}",)


def duplicates_sentence(
    duplicates: Sequence[tuple[str, str, float]], *, near: Fraction = NEAR
) -> tuple[str, ...]:
    """What `near_duplicates` means for a vote; nothing if there are none."""
    if not duplicates:
        return ()
    named = [f"'{a}' and '{b}' ({share:.6g})" for a, b, share in duplicates[:_NAMED]]
    more = len(duplicates) - _NAMED
    tail = f" and {more} more" if more > 0 else ""
    return (
        f"models that agree on more than {float(near):g} of the rows are near duplicates, and "
        f"count twice: {', '.join(named)}{tail}.",
    )


def _points(share: float) -> str:
    return f"{100 * share:+.2f}"


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")
