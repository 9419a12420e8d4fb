"""What several hard votes decide, and how far the models agree: exact at every boundary.

Shapes: N rows, M models, C classes, P patterns of votes, K patterns or rows.
"""

import dataclasses
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from fractions import Fraction
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError
from dnncli.voting.ballots import NO_VOTE, Ballots
from dnncli.voting.weights import integers

NO_DECISION = -1  # the decision of an item that is left to people

VoteTie = Literal["abstain", "positive", "class-order"]
VOTE_TIES: tuple[VoteTie, ...] = ("abstain", "positive", "class-order")  # the default comes first

Denominator = Literal["all", "voted"]
DENOMINATORS: tuple[Denominator, ...] = ("all", "voted")  # the default comes first

_BLOCK = 1 << 17  # numbers worked on at a time: they stay in the cache
_EXACT = 1 << 53  # integers up to which every double is one


class Status(IntEnum):
    """Why an item has a decision or has none; the first two have one."""

    DECIDED = 0
    TIE_BROKEN = 1
    TIE = 2
    BELOW_THRESHOLD = 3
    TOO_FEW_VOTES = 4
    NO_VOTES = 5

    @property
    def word(self) -> str:
        """As it stands in files: "decided", "tie_broken", ..."""
        return self.name.lower()


@dataclass(frozen=True, kw_only=True)
class VoteOptions:
    """When votes are enough for a decision.

    Checked in this order: no votes, too few votes, tie, agreement. A broken tie must still reach
    `agree`.

    Raises:
        ValueError: if a value is out of range.
    """

    agree: Fraction | None = None  # share in (0, 1] that the leading class must reach, inclusive
    tie: VoteTie = "abstain"  # "positive" breaks only ties that the positive class is part of
    positive: int | None = None  # class index
    min_votes: int = 1  # models that said anything, whatever their weight
    denominator: Denominator = "all"  # share of the weight of all models, or of those that voted

    def __post_init__(self) -> None:
        if self.agree is not None and not 0 < self.agree <= 1:
            raise ValueError(f"agree must lie in (0, 1]. Got {self.agree}.")
        if self.min_votes < 1:
            raise ValueError(f"min_votes must be at least 1. Got {self.min_votes}.")
        if self.tie not in VOTE_TIES or self.denominator not in DENOMINATORS:
            raise ValueError(
                f"tie must be one of {VOTE_TIES} and denominator one of {DENOMINATORS}. "
                f"Got {self.tie!r} and {self.denominator!r}."
            )
        if self.tie == "positive" and self.positive is None:
            raise ValueError("tie='positive' needs the index of the positive class.")


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """What was decided about K patterns or rows.

    Without votes, `agreement_voted` and `entropy` are NaN.
    """

    decision: NDArray[np.int32]  # (K,) class indices or NO_DECISION
    status: NDArray[np.uint8]  # (K,) Status
    leader: NDArray[np.int32]  # (K,) class in front, whatever is asked of it; NO_DECISION if none
    agreement_all: NDArray[np.float64]  # (K,) in [0, 1]: leading or tied class among all models
    agreement_voted: NDArray[np.float64]  # (K,) in [0, 1]: among the models that voted
    entropy: NDArray[np.float64]  # (K,) nats, of the shares of the classes
    support: NDArray[np.float64]  # (K, C) weight of the votes, or probability
    n_votes: NDArray[np.int32]  # (K,) models that voted
    member_entropy: NDArray[np.float64] | None = None  # (K,) nats, mean over the members
    mutual_information: NDArray[np.float64] | None = None  # (K,) nats >= 0

    def __len__(self) -> int:
        return len(self.decision)

    def take(self, index: NDArray[np.integer]) -> "Decisions":
        """The items of `index`, in its order: from patterns to rows with `ballots.index`."""
        parts: dict[str, Any] = {}
        for field in dataclasses.fields(self):
            values = getattr(self, field.name)
            parts[field.name] = None if values is None else values[index]
        return Decisions(**parts)


def majority(
    ballots: Ballots, *, weights: Sequence[Fraction] | None = None, options: VoteOptions
) -> Decisions:
    """The class with the highest weight of votes, of each pattern (K = P).

    Shares are compared as whole numbers: eight of ten weights of 0.1 reach 0.8.

    Args:
        ballots: hard votes.
        weights: (M,) >= 0, at least one above 0; none: all 1.
        options: when votes are enough.

    Raises:
        ValueError: if weights do not fit, or options.positive is no class.
    """
    if weights is None:
        weights = [Fraction(1)] * len(ballots.models)
    if len(weights) != len(ballots.models):
        raise ValueError(f"weights must be ({len(ballots.models)},). Got ({len(weights)},).")
    check_positive(options.positive, n_classes=len(ballots.class_names))
    whole, unit = integers(weights)
    total = int(whole.sum())
    result = blank(len(ballots.patterns), len(ballots.class_names))
    for part, columns, n_votes in _supports(ballots, whole):
        voted = columns.sum(axis=0)
        highest = columns.max(axis=0)
        front = in_front(columns, highest, positive=options.positive)
        needed = _needed(options, total=total, voted=voted)
        _fill(result, part, columns, unit=unit, total=total, n_votes=n_votes, leading=highest)
        settle(result, part, front, voted=voted > 0, enough=highest >= needed, options=options)
    return result


def k_of_m(ballots: Ballots, *, k: int, options: VoteOptions) -> Decisions:
    """At least k models must say so, of each pattern (K = P); every vote counts as one.

    With a positive class: it is decided if and only if it has k votes or more, however many
    another class has. Else the plurality of the other classes decides, whose ties are broken by
    "class-order" only; without a vote for another class, the item is below the threshold.
    Without a positive class: the leading class is decided if it has k votes or more.

    Args:
        ballots: hard votes.
        k: in [1, M].
        options: `agree` must be None: k stands in its place.

    Raises:
        ConfigError: if k does not lie in [1, M].
        ValueError: if options.agree is given, or options.positive is no class.
    """
    n_models, positive = len(ballots.models), options.positive
    if not 1 <= k <= n_models:
        raise ConfigError(f"k must lie in [1, {n_models}]: there are {n_models} models. Got {k}.")
    if options.agree is not None:
        raise ValueError("options.agree must be None: k stands in its place.")
    check_positive(positive, n_classes=len(ballots.class_names))
    result = blank(len(ballots.patterns), len(ballots.class_names))
    whole = np.ones(n_models, np.int64)
    for part, columns, n_votes in _supports(ballots, whole):
        counted = columns
        if positive is None:
            enough = columns.max(axis=0) >= k
        else:
            flagged, alone = columns[positive] >= k, columns[positive] == n_votes
            counted = np.where(flagged | alone, 0, columns)
            counted[positive] = np.where(flagged | alone, columns[positive], 0)
            enough = flagged | ~alone
        leading = counted.max(axis=0)
        front = in_front(counted, leading)
        _fill(
            result,
            part,
            columns,
            unit=Fraction(1),
            total=n_models,
            n_votes=n_votes,
            leading=leading,
        )
        settle(result, part, front, voted=n_votes > 0, enough=enough, options=options)
    return result


def positive_votes(ballots: Ballots, positive: int) -> NDArray[np.int32]:
    """(P,) models that voted for a class."""
    check_positive(positive, n_classes=len(ballots.class_names))
    return (ballots.patterns == positive).sum(axis=1, dtype=np.int32)


@dataclass(frozen=True, kw_only=True)
class Front:
    """The classes in front of each of K items."""

    first: NDArray[np.int32]  # (K,) the first of them in class order
    is_tied: NDArray[np.bool_]  # (K,) whether there are several
    has_positive: NDArray[np.bool_]  # (K,) whether the positive class is one of them


def in_front(columns: NDArray, lowest: NDArray, *, positive: int | None = None) -> Front:
    """The classes whose support reaches `lowest`.

    Args:
        columns: (C, K) support.
        lowest: (K,) support that counts as the highest.
        positive: index of the positive class.
    """
    first = np.zeros(len(lowest), np.int32)
    seen = np.zeros(len(lowest), bool)
    is_tied = np.zeros(len(lowest), bool)
    for place in reversed(range(len(columns))):
        reached = columns[place] >= lowest
        is_tied |= seen & reached
        seen |= reached
        np.copyto(first, place, where=reached)
    none = np.zeros(len(lowest), bool)
    has_positive = none if positive is None else columns[positive] >= lowest
    return Front(first=first, is_tied=is_tied, has_positive=has_positive)


def settle(
    result: Decisions,
    part: slice,
    front: Front,
    *,
    voted: NDArray[np.bool_],
    enough: NDArray[np.bool_],
    options: VoteOptions,
) -> None:
    """Write decision, status and leader of some items; their `n_votes` must stand there already.

    Args:
        result: gets the values.
        part: its items.
        front: of these items.
        voted: (K,) whether the votes have any weight.
        enough: (K,) whether the classes in front have the agreement that is asked for.
        options: how ties are broken, and how many votes are needed.
    """
    broken, leader = np.zeros(len(voted), bool), front.first
    if options.tie == "class-order":
        broken = front.is_tied
    elif options.tie == "positive" and options.positive is not None:
        broken = front.is_tied & front.has_positive
        leader = np.where(broken, np.int32(options.positive), leader)
    open_tie = front.is_tied & ~broken
    leader = np.where(open_tie | ~voted, np.int32(NO_DECISION), leader)
    status = np.where(broken, np.uint8(Status.TIE_BROKEN), np.uint8(Status.DECIDED))
    status[~enough] = Status.BELOW_THRESHOLD
    status[open_tie] = Status.TIE
    status[result.n_votes[part] < options.min_votes] = Status.TOO_FEW_VOTES
    status[~voted] = Status.NO_VOTES
    result.leader[part] = leader
    result.status[part] = status
    result.decision[part] = np.where(status <= Status.TIE_BROKEN, leader, np.int32(NO_DECISION))


def blank(n_items: int, n_classes: int, *, support: NDArray[np.float64] | None = None) -> Decisions:
    """Decisions to be filled part by part; the support of a class lies in one piece."""
    return Decisions(
        decision=np.empty(n_items, np.int32),
        status=np.empty(n_items, np.uint8),
        leader=np.empty(n_items, np.int32),
        agreement_all=np.empty(n_items),
        agreement_voted=np.empty(n_items),
        entropy=np.empty(n_items),
        support=np.empty((n_classes, n_items)).T if support is None else support,
        n_votes=np.empty(n_items, np.int32),
    )


def blocks(n_items: int, n_classes: int) -> Iterator[slice]:
    """The items in parts that are small enough for the cache."""
    size = max(1, _BLOCK // max(n_classes, 1))
    for start in range(0, n_items, size):
        yield slice(start, start + size)


def entropies(shares: NDArray[np.floating]) -> NDArray[np.float64]:
    """(K,) entropy in nats of (C, K) shares; NaN where one of them is.

    Logarithms have the precision of the shares.
    """
    logs = shares + np.finfo(shares.dtype).tiny  # 0 ln 0 is 0; other shares stay as they are
    np.log(logs, out=logs)
    logs *= shares
    return np.maximum(-logs.sum(axis=0, dtype=np.float64), 0)


def check_positive(positive: int | None, *, n_classes: int) -> None:
    """Raise ValueError if there is no class of this index."""
    if positive is not None and not 0 <= positive < n_classes:
        raise ValueError(f"positive must lie in [0, {n_classes}). Got {positive}.")


def _supports(
    ballots: Ballots, whole: NDArray
) -> Iterator[tuple[slice, NDArray, NDArray[np.int32]]]:
    """Some patterns at a time: which, (C, K) whole weights of their votes, (K,) number of votes."""
    for part in blocks(len(ballots.patterns), len(ballots.class_names)):
        patterns = ballots.patterns[part]
        columns = np.zeros((len(ballots.class_names), len(patterns)), whole.dtype)
        for votes, weight in zip(patterns.T, whole):
            rows = np.flatnonzero(votes != NO_VOTE)
            columns[votes[rows], rows] += weight
        yield part, columns, (patterns != NO_VOTE).sum(axis=1, dtype=np.int32)


def _needed(options: VoteOptions, *, total: int, voted: NDArray) -> NDArray:
    """(K,) the least whole weight of votes whose share reaches `agree`.

    Rounding up the exact product loses nothing, as weights are whole, and cannot overflow.
    """
    agree = options.agree or Fraction(0)
    if options.denominator == "all":
        return np.full(len(voted), math.ceil(agree * total), voted.dtype)
    distinct, place = np.unique(voted, return_inverse=True)
    needed = [math.ceil(agree * int(weight)) for weight in distinct]
    return np.array(needed, voted.dtype)[place]


def _fill(
    result: Decisions,
    part: slice,
    columns: NDArray,
    *,
    unit: Fraction,
    total: int,
    n_votes: NDArray[np.int32],
    leading: NDArray,
) -> None:
    """Write what does not depend on options; `leading` is the support of the class in front."""
    voted = columns.sum(axis=0)
    without = np.where(voted == 0, np.nan, 0.0)
    shares = (columns / np.where(voted == 0, 1, voted)).astype(np.float64)
    result.support[part] = _in_units(columns, unit).T
    result.n_votes[part] = n_votes
    result.agreement_all[part] = (leading / total).astype(np.float64)
    result.agreement_voted[part] = (leading / np.where(voted == 0, 1, voted)).astype(
        np.float64
    ) + without
    result.entropy[part] = entropies(shares) + without


def _in_units(columns: NDArray, unit: Fraction) -> NDArray[np.float64]:
    """Whole weights as the weights that they stand for, rounded once: 3 tenths are 0.3."""
    if columns.dtype != object and max(unit.numerator, unit.denominator) <= _EXACT:
        return columns * float(unit.numerator) / unit.denominator
    return np.frompyfunc(lambda whole: float(whole * unit), 1, 1)(columns).astype(np.float64)
