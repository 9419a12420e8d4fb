"""Decides the rows of a consensus by the rule that the options name.

Shapes: N rows, P patterns of votes, K of them, M models, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial

import numpy as np
from numpy.typing import NDArray

from dnncli.data.members import Members
from dnncli.errors import ConfigError
from dnncli.metrics.counts import count
from dnncli.results import Progress
from dnncli.services.ensemble.inputs import Inputs, Known, Pooling, Votes
from dnncli.services.ensemble.options import ConsensusOptions, Method
from dnncli.services.ensemble.weights import parse_weights
from dnncli.voting import rules
from dnncli.voting.dawid_skene import DawidSkene, dawid_skene, decide_learned
from dnncli.voting.pooling import Pool, Pooled, PoolHow
from dnncli.voting.rules import Decisions, VoteOptions
from dnncli.voting.selection import Selection, select, select_votes
from dnncli.voting.weights import exact_weights, f_beta_weights, log_odds

_ITERATIONS = 1000  # of Dawid-Skene: votes that say anything need a hundred or two
_LEARNING = ("weighted", "selection")  # methods that rows with known truth may teach
_POOLED = ("mean", "geometric", "weighted")  # methods that average probabilities
_PROBABILITIES = ("mean", "geometric")  # methods that labels are not enough for


@dataclass(frozen=True, kw_only=True)
class Weighing:
    """How much each model counts, and why."""

    how: str  # "equal", "given", "confidence", "log-odds", "f-beta", "selection"
    weights: tuple[Fraction, ...] | None  # (M,); None: all alike
    selection: Selection | None = None


@dataclass(frozen=True, kw_only=True)
class Ruled:
    """What the rule decided about K patterns or rows."""

    method: Method
    decisions: Decisions  # (K,)
    index: NDArray[np.int32] | None  # (N,) pattern of each row; None: K = N
    weighing: Weighing
    probs: NDArray[np.float64] | None = None  # (N, C) of pooled probabilities
    # Of the numbers that the probabilities were made from.
    precision: np.dtype = field(default_factory=lambda: np.dtype(np.float64))
    learned: DawidSkene | None = None

    @property
    def by_probability(self) -> bool:
        """Whether `agree` is a share of probability, not of votes."""
        return self.probs is not None or self.learned is not None

    def rows(self, rows: NDArray[np.int64] | None = None) -> NDArray[np.int32]:
        """(V,) decisions of some rows; of all, without an argument."""
        found = self.decisions.decision
        found = found if self.index is None else found[self.index]
        return found if rows is None else found[rows]


def method_of(options: ConsensusOptions, *, kind: str) -> Method:
    """The method that "auto" stands for.

    Args:
        options: of the command.
        kind: of the models' files, "label" or "probability".

    Raises:
        ConfigError: if the method needs what the files do not hold.
    """
    method = options.method
    if kind == "label" and options.weight_by == "confidence":
        raise ConfigError("--weight-by confidence: needs probabilities; the files hold labels.")
    if method == "auto":
        if options.k is not None:
            return "k-of-m"
        if options.weights or options.weights_from or options.weight_by:
            return "weighted"
        return "majority" if kind == "label" else "mean"
    if method == "staple":
        raise ConfigError("--method staple: is for masks. For labels, dawid-skene is its equal.")
    if kind == "label" and method in _PROBABILITIES:
        raise ConfigError(
            f"--method {method}: needs probabilities, and the files hold labels. Use majority."
        )
    return method


def vote_options(options: ConsensusOptions, inputs: Inputs) -> VoteOptions:
    """What the voting rules need of the options."""
    return VoteOptions(
        agree=options.agree,
        tie=options.tie,
        positive=inputs.positive,
        min_votes=options.min_votes,
        denominator=options.denominator,
    )


def weigh(inputs: Inputs, options: ConsensusOptions, method: Method) -> Weighing:
    """The weights that were given, or that the rows with known truth teach.

    Raises:
        ConfigError, DataError: if they make no sense, or nothing can be learned.
    """
    known = inputs.teaching
    if known is None or method not in _LEARNING:
        return _unlearned(options, inputs.votes.members.names)
    if method == "selection":
        found = _selected(known, rounds=options.rounds)
        return Weighing(how="selection", weights=found.weights, selection=found)
    if options.by == "f-beta":
        return Weighing(how="f-beta", weights=_by_f(known, beta=options.betas[0]))
    right, voted = _right(known)
    weights = log_odds(right, voted, n_classes=len(inputs.class_names))
    return Weighing(how="log-odds", weights=weights)


def _unlearned(options: ConsensusOptions, models: Sequence[str]) -> Weighing:
    if options.weights:
        given = exact_weights(parse_weights(options.weights, models), models)
        return Weighing(how="given", weights=given)
    how = "confidence" if options.weight_by == "confidence" else "equal"
    return Weighing(how=how, weights=None)


def early_pooling(options: ConsensusOptions, members: Members) -> Pooling | None:
    """How probabilities can be summed while they are read; None if that is learned from them.

    Raises:
        ConfigError: if method or weights do not fit the models.
    """
    method = method_of(options, kind=members.kind)
    weighing = _unlearned(options, members.names)
    learned = method in _LEARNING and options.weights_from is not None
    if members.kind == "label" or learned or method not in _POOLED:
        return None
    return Pooling(how=pool_how(method, weighing), weights=weighing.weights)


def _selected(known: Known, *, rounds: int) -> Selection:
    members = known.votes.members
    if members.kind == "label":
        return select_votes(known.votes.ballots, known.labels, rounds=rounds)
    probs = [probs for _, probs in members.probs()]
    return select(probs, known.labels, rounds=rounds)


def _right(known: Known) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(M,) rows that each model decided rightly, and rows that it voted on."""
    ballots = known.votes.ballots
    table = ballots.by_truth(known.labels)
    votes = ballots.patterns
    places = np.arange(len(votes))[:, None]
    right = np.where(votes >= 0, table[places, votes], 0).sum(axis=0)
    voted = ((votes >= 0) * table.sum(axis=1)[:, None]).sum(axis=0)
    return right, voted


def _by_f(known: Known, *, beta: float) -> tuple[Fraction, ...]:
    ballots = known.votes.ballots
    n_classes = len(ballots.class_names)
    counts = [
        count(known.labels, ballots.votes(model), n_classes=n_classes)
        for model in range(len(ballots.models))
    ]
    tp, fp, fn = (np.array([getattr(one, name) for one in counts]) for name in ("tp", "fp", "fn"))
    return f_beta_weights(tp, fp, fn, beta=beta)


def ruled(
    inputs: Inputs,
    options: ConsensusOptions,
    method: Method,
    weighing: Weighing,
    *,
    progress: Progress,
) -> Ruled:
    """Decide every row.

    Args:
        inputs: the votes.
        options: of the command.
        method: what `method_of` gave.
        weighing: what `weigh` gave.
        progress: told about reading.
    """
    settings, ballots = vote_options(options, inputs), inputs.votes.ballots
    of_patterns = partial(Ruled, method=method, index=ballots.index, weighing=weighing)
    if method == "k-of-m" and options.k is not None:
        plain = replace(settings, agree=None)
        return of_patterns(decisions=rules.k_of_m(ballots, k=options.k, options=plain))
    if method == "dawid-skene":
        learned = dawid_skene(ballots, most_iterations=_ITERATIONS, progress=progress)
        decided = decide_learned(learned, ballots, options=settings)
        return of_patterns(decisions=decided, learned=learned)
    if method == "majority" or inputs.votes.members.kind == "label":
        decided = rules.majority(ballots, weights=weighing.weights, options=settings)
        return of_patterns(decisions=decided)
    pooled = pool(
        inputs.votes, how=pool_how(method, weighing), weighing=weighing, progress=progress
    )
    votes = [ballots.votes(model) for model in range(len(ballots.models))]
    return Ruled(
        method=method,
        decisions=pooled.decide(options=settings, votes=votes, weights=weighing.weights),
        index=None,
        weighing=weighing,
        probs=pooled.probs,
        precision=pooled.precision,
    )


def pool_how(method: str, weighing: Weighing) -> PoolHow:
    """How the probabilities are summed."""
    if weighing.how == "confidence":
        return "confidence"
    return "geometric" if method == "geometric" else "mean"


def pool(votes: Votes, *, how: PoolHow, weighing: Weighing, progress: Progress) -> Pooled:
    """The models' probabilities as those of one; a model is in memory only while it is added."""
    asked = Pooling(how=how, weights=weighing.weights)
    if votes.pooled is not None and votes.pooled[0] == asked:
        return votes.pooled[1]
    names = votes.members.names
    weights = weighing.weights or (Fraction(1),) * len(names)
    pooled = Pool(len(votes.ballots), len(votes.ballots.class_names), how=how)
    for place, probs in votes.members.probs(progress=progress):
        pooled.add(probs, weight=weights[place])
    return pooled.result()
