"""How far several models agree, beyond what chance would give.

A negative vote is no vote. Shapes: M models, C classes, P patterns of votes, U units that were
rated.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import ArrayLike, NDArray

UNDEFINED = float("nan")

_CELLS = 1 << 18  # votes worked on at a time: they stay in the cache
_WHOLE_SINGLE = 1 << 24  # sums up to which float32 is exact


@dataclass(frozen=True, kw_only=True)
class Fleiss:
    """Agreement of a fixed number of votes about each unit. NaN where undefined."""

    observed: float  # share of pairs of votes about the same unit that agree
    expected: float  # the same if votes were drawn from all votes
    kappa: float  # (observed - expected) / (1 - expected)
    reason: str | None  # why kappa is undefined


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Two models on the rows about which both voted. NaN where undefined."""

    n: int  # these rows
    agreement: float  # share of them with the same vote
    cohen_kappa: float
    # With truth, on those of them whose truth is known; without, None.
    double_fault: float | None  # share that both got wrong
    yule_q: float | None  # in [-1, 1]: whether they err on the same rows; 0 is independent
    reasons: dict[str, str]  # score -> why it is undefined


@dataclass(frozen=True, kw_only=True)
class Member:
    """One model among the others."""

    n_votes: int  # rows about which it voted
    agreement: float  # share of all votes of other models about these rows that are the same


@dataclass(frozen=True, kw_only=True)
class Agreement:
    """How far M models agree. NaN where undefined; `reasons` says why."""

    n: int  # rows
    n_compared: int  # rows with two votes or more
    n_complete: int  # rows with a vote of every model
    observed: float  # share of all pairs of votes about the same row that agree
    unanimous: float  # share of the rows with two votes or more in which all votes are the same
    fleiss_kappa: float  # on the rows with a vote of every model
    krippendorff_alpha: float  # nominal, on the rows with two votes or more
    reasons: dict[str, str]  # score -> why it is undefined
    remarks: tuple[str, ...]  # which rows a score leaves out
    members: tuple[Member, ...]  # (M,)
    pairs: dict[tuple[int, int], Pair]  # i < j, all M (M - 1) / 2 of them

    def matrix(self, score: str) -> NDArray[np.float64]:
        """(M, M) one score of all pairs, such as "agreement"; NaN on the diagonal."""
        table = np.full((len(self.members), len(self.members)), np.nan)
        for (first, second), pair in self.pairs.items():
            value = getattr(pair, score)
            table[first, second] = table[second, first] = np.nan if value is None else value
        return table


def fleiss_from_counts(table: ArrayLike) -> Fleiss:
    """Fleiss' kappa of a table that says how many votes each unit got for each class.

    Args:
        table: (U, C) whole numbers >= 0; every row has the same sum, two or more.

    Raises:
        ValueError: if the rows have different sums, or a sum is below two.

    Source: J. L. Fleiss 1971, "Measuring nominal scale agreement among many raters",
    https://doi.org/10.1037/h0031619
    """
    counts = np.asarray(table)
    if counts.ndim != 2 or counts.dtype.kind not in "iu" or (counts < 0).any():
        raise ValueError(f"table must be (U, C) whole numbers >= 0. Got {counts.shape}.")
    sums = counts.sum(axis=1)
    votes = int(sums[0]) if len(sums) else 2
    if votes < 2 or (sums != votes).any():
        raise ValueError(
            "every row of table must have the same number of votes, two or more. "
            f"Got {sums.min()} to {sums.max()}."
        )
    squares = int((counts.astype(np.int64) ** 2).sum())
    totals = [int(total) for total in counts.sum(axis=0)]
    return _fleiss(squares - len(counts) * votes, totals, n_units=len(counts), n_votes=votes)


def agreement(
    patterns: NDArray[np.integer],
    counts: NDArray[np.integer],
    *,
    n_classes: int,
    by_truth: NDArray[np.integer] | None = None,
) -> Agreement:
    """How far M models agree, all together and two by two.

    Every sum is one of whole numbers: no result depends on the order of the rows. The time grows
    with P, M^2 and the classes that stand beside each other, not with the number of rows.

    Args:
        patterns: (P, M) class indices in [0, n_classes), or negative: no vote.
        counts: (P,) rows of each pattern.
        n_classes: C.
        by_truth: (P, C) rows of each pattern by their true class, for the scores that need it.

    Raises:
        ValueError: if shapes or indices do not fit.

    Source: J. Cohen 1960, https://doi.org/10.1177/001316446002000104; Fleiss: see
    `fleiss_from_counts`; K. Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability",
    https://repository.upenn.edu/asc_papers/43; double fault and Q: L. I. Kuncheva and C. J.
    Whitaker 2003, "Measures of Diversity in Classifier Ensembles",
    https://doi.org/10.1023/A:1022859003006
    """
    _check(patterns, counts, by_truth, n_classes=n_classes)
    sums = _Sums(patterns.shape[1], n_classes)
    for block in _blocks(patterns):
        sums.add(patterns[block], counts[block], None if by_truth is None else by_truth[block])
    reasons: dict[str, str] = {}
    fleiss = sums.fleiss()
    if fleiss.reason:
        reasons["fleiss_kappa"] = fleiss.reason
    alpha = _alpha(sums, reasons)
    n, n_compared = int(counts.sum()), sums.n_compared
    if n_compared == 0:
        reasons["observed"] = reasons["unanimous"] = "no row has two votes"
    remarks = []
    if 0 < sums.n_complete < n:
        remarks.append(
            f"fleiss_kappa: {n - sums.n_complete:,} of {n:,} rows lack a vote and are left out"
        )
    if 0 < n_compared < n:
        remarks.append(
            f"krippendorff_alpha, unanimous: {n - n_compared:,} of {n:,} rows have fewer than two "
            "votes and are left out"
        )
    same, both = _without_diagonal(sums.same), _without_diagonal(sums.both)
    return Agreement(
        n=n,
        n_compared=n_compared,
        n_complete=sums.n_complete,
        observed=_share(int(same.sum()), int(both.sum())),
        unanimous=_share(sums.n_unanimous, n_compared),
        fleiss_kappa=fleiss.kappa,
        krippendorff_alpha=alpha,
        reasons=reasons,
        remarks=tuple(remarks),
        members=tuple(
            Member(n_votes=int(sums.both[place, place]), agreement=_share(int(hits), int(votes)))
            for place, (hits, votes) in enumerate(zip(same.sum(axis=1), both.sum(axis=1)))
        ),
        pairs=_pairs(sums, with_truth=by_truth is not None),
    )


class _Sums:
    """Whole numbers from which every score follows."""

    def __init__(self, n_models: int, n_classes: int) -> None:
        square = (n_models, n_models)
        self.both = np.zeros(square, np.int64)  # rows about which both voted
        self.same = np.zeros(square, np.int64)  # ... for the same class
        # [i, j, c]: rows about which both voted, i for class c
        self.voted_for = np.zeros((n_classes, *square), np.int64)
        self.known = np.zeros(square, np.int64)  # of `both`, rows whose truth is known
        self.right = np.zeros(square, np.int64)  # ... and i is right, whatever j says
        self.both_right = np.zeros(square, np.int64)
        self.n_compared = self.n_complete = self.n_unanimous = 0
        self.complete_same = 0  # ordered pairs of equal votes in complete rows
        self.complete_votes = np.zeros(n_classes, np.int64)
        self.compared_votes = np.zeros(n_classes, np.int64)
        # by number of votes of the row: rows, and ordered pairs of equal votes in them
        self.rows_with = np.zeros(n_models + 1, np.int64)
        self.same_with = np.zeros(n_models + 1, np.int64)

    def add(self, patterns: NDArray, counts: NDArray, by_truth: NDArray | None) -> None:
        """Add some patterns."""
        single = int(counts.sum()) < _WHOLE_SINGLE
        kind = np.float32 if single else np.float64  # products of matrices are fast in floats only
        voted = patterns >= 0
        n_votes = voted.sum(axis=1)
        squares = np.zeros(len(patterns), np.int64)
        compared = np.where(n_votes >= 2, counts, 0)
        complete = np.where(n_votes == patterns.shape[1], counts, 0)
        spoke = voted.astype(kind)
        self.both += _whole((spoke.T * counts.astype(kind)) @ spoke)
        if by_truth is not None:
            self.known += _whole((spoke.T * by_truth.sum(axis=1).astype(kind)) @ spoke)
        for place in np.unique(patterns[voted]):
            is_class = patterns == place
            rows = np.flatnonzero(is_class.any(axis=1))
            members, others = is_class[rows].astype(kind), spoke[rows]
            weighted = members.T * counts[rows].astype(kind)
            self.same += _whole(weighted @ members)
            self.voted_for[place] += _whole(weighted @ others)
            votes = is_class[rows].sum(axis=1)
            squares[rows] += votes * votes
            self.compared_votes[place] += int(votes @ compared[rows])
            self.complete_votes[place] += int(votes @ complete[rows])
            if by_truth is not None:
                true = members.T * by_truth[rows, place].astype(kind)
                self.right += _whole(true @ others)
                self.both_right += _whole(true @ members)
        self.n_compared += int(compared.sum())
        self.n_complete += int(complete.sum())
        self.n_unanimous += int(compared[squares == n_votes * n_votes].sum())
        self.complete_same += int((squares - n_votes) @ complete)
        np.add.at(self.rows_with, n_votes, counts)
        np.add.at(self.same_with, n_votes, (squares - n_votes) * counts)

    def fleiss(self) -> Fleiss:
        """Of the rows with a vote of every model."""
        votes = len(self.both)
        if votes < 2 or self.n_complete == 0:
            reason = "one model has nobody to agree with"
            if votes >= 2:
                reason = "no row has a vote of every model"
            return Fleiss(observed=UNDEFINED, expected=UNDEFINED, kappa=UNDEFINED, reason=reason)
        totals = [int(total) for total in self.complete_votes]
        return _fleiss(self.complete_same, totals, n_units=self.n_complete, n_votes=votes)


def _fleiss(same: int, totals: list[int], *, n_units: int, n_votes: int) -> Fleiss:
    """From the ordered pairs of equal votes, and the votes of each class."""
    if n_units == 0:
        return Fleiss(
            observed=UNDEFINED, expected=UNDEFINED, kappa=UNDEFINED, reason="there is no row"
        )
    observed = Fraction(same, n_units * n_votes * (n_votes - 1))
    expected = Fraction(sum(total * total for total in totals), (n_units * n_votes) ** 2)
    kappa, reason = UNDEFINED, None
    if expected == 1:
        reason = _ONE_CLASS
    else:
        kappa = float((observed - expected) / (1 - expected))
    return Fleiss(observed=float(observed), expected=float(expected), kappa=kappa, reason=reason)


_ONE_CLASS = "only one class is voted for, so that chance alone would agree everywhere"


def _alpha(sums: _Sums, reasons: dict[str, str]) -> float:
    """Krippendorff's alpha for names: 1 - observed / expected disagreement."""
    n = int(sums.compared_votes.sum())
    if n == 0:
        reasons["krippendorff_alpha"] = "no row has two votes"
        return UNDEFINED
    equal = sum(int(total) ** 2 for total in sums.compared_votes)
    if equal == n * n:
        reasons["krippendorff_alpha"] = _ONE_CLASS
        return UNDEFINED
    observed = sum(
        Fraction(int(rows) * votes * (votes - 1) - int(same), votes - 1)
        for votes, (rows, same) in enumerate(zip(sums.rows_with, sums.same_with))
        if votes >= 2
    )
    return float(1 - observed * (n - 1) / (n * n - equal))


def _pairs(sums: _Sums, *, with_truth: bool) -> dict[tuple[int, int], Pair]:
    by_chance = np.einsum("cij,cji->ij", sums.voted_for, sums.voted_for)  # times both^2
    pairs = {}
    for i in range(len(sums.both)):
        for j in range(i + 1, len(sums.both)):
            n, same, chance = (int(table[i, j]) for table in (sums.both, sums.same, by_chance))
            reasons: dict[str, str] = {}
            kappa, double_fault, yule_q = UNDEFINED, None, None
            if n == 0:
                reasons = dict.fromkeys(("agreement", "cohen_kappa"), _NO_COMMON)
            elif chance == n * n:
                reasons["cohen_kappa"] = _ONE_CLASS
            else:
                kappa = (n * same - chance) / (n * n - chance)
            if with_truth:
                double_fault, yule_q = _joint_errors(sums, i, j, reasons)
            pairs[i, j] = Pair(
                n=n,
                agreement=_share(same, n),
                cohen_kappa=kappa,
                double_fault=double_fault,
                yule_q=yule_q,
                reasons=reasons,
            )
    return pairs


_NO_COMMON = "they voted about no row in common"


def _joint_errors(sums: _Sums, i: int, j: int, reasons: dict[str, str]) -> tuple[float, float]:
    """Double fault, and Yule's Q = (ad - bc) / (ad + bc) of the table of right and wrong."""
    n, both = int(sums.known[i, j]), int(sums.both_right[i, j])
    only_first, only_second = int(sums.right[i, j]) - both, int(sums.right[j, i]) - both
    neither = n - both - only_first - only_second
    alike, unlike = both * neither, only_first * only_second
    if n == 0:
        reasons["double_fault"] = _NO_COMMON
    if alike + unlike == 0:
        reasons["yule_q"] = (
            _NO_COMMON if n == 0 else "0 / 0: there are too few errors, or too few right votes"
        )
    return _share(neither, n), _share(alike - unlike, alike + unlike)


def _blocks(patterns: NDArray) -> Iterator[slice]:
    rows = max(_CELLS // patterns.shape[1], 1)
    for start in range(0, len(patterns), rows):
        yield slice(start, start + rows)


def _whole(product: NDArray[np.floating]) -> NDArray[np.int64]:
    return np.rint(product).astype(np.int64)


def _without_diagonal(table: NDArray[np.int64]) -> NDArray[np.int64]:
    return table - np.diag(np.diag(table))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else UNDEFINED


def _check(patterns: NDArray, counts: NDArray, by_truth: NDArray | None, *, n_classes: int) -> None:
    if patterns.ndim != 2 or patterns.shape[1] == 0 or counts.shape != patterns.shape[:1]:
        raise ValueError(
            "patterns must be (P, M) with M >= 1, and counts (P,). "
            f"Got {patterns.shape} and {counts.shape}."
        )
    if patterns.size and patterns.max() >= n_classes:
        raise ValueError(f"patterns must be below {n_classes}. Got {patterns.max()}.")
    if by_truth is not None and by_truth.shape != (len(patterns), n_classes):
        raise ValueError(
            f"by_truth must be (P, C) = {(len(patterns), n_classes)}. Got {by_truth.shape}."
        )
