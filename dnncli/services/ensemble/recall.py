"""`--target-recall`: the rule that finds so many of the positives at the least work for people.

Shapes: N rows, V rows that choose, K patterns or rows, C classes.
"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError, DataError
from dnncli.metrics.counts import UNDECIDED, decide
from dnncli.results import Progress
from dnncli.services.ensemble.inputs import Inputs, Known
from dnncli.services.ensemble.options import ConsensusOptions, Method
from dnncli.services.ensemble.rule import Ruled, Weighing, pool, pool_how, ruled
from dnncli.voting.ballots import Ballots
from dnncli.voting.recall_target import RuleChoice, choose_rule
from dnncli.voting.rules import Decisions, Status, VoteOptions, majority, positive_votes

_BLOCK = 1 << 18  # rows worked on at a time
_COUNTED = ("k-of-m", "weighted")  # without a single vote for it, nothing speaks for a class
_NO_SCORE = -1.0  # of a row about which no model said anything: below every score
_DIGITS = 12  # significant; sums of the same numbers in another order differ behind them


def reach(
    inputs: Inputs,
    options: ConsensusOptions,
    method: Method,
    weighing: Weighing,
    *,
    progress: Progress,
) -> tuple[Ruled, RuleChoice]:
    """Choose the rule on the rows of --truth-val, and decide every row by it.

    Args:
        inputs: with `choosing` and a positive class.
        options: of the command; without a method, all rules that the files allow are candidates.
        method: what `method_of` gave.
        weighing: what `weigh` gave.
        progress: told about reading.

    Raises:
        ConfigError, DataError: if there is no row to choose by, or the rows taught the weights.
    """
    known, positive = _choosing(inputs, weighing)
    names = _candidates(inputs, options, method, weighing)
    scores = {
        name: _scores(known, name, positive, weighing=weighing, progress=progress) for name in names
    }
    is_positive = known.labels == positive
    if not is_positive.any():
        raise DataError(
            f"{known.name}: no row is '{options.positive}'. Recall needs positives to choose by."
        )
    choice = choose_rule(
        scores,
        is_positive,
        recall=options.target_recall or 1,
        confidence=options.confidence,
    )
    if choice.threshold < 0 or (choice.rule in _COUNTED and choice.threshold == 0):
        raise DataError(
            f"--target-recall {options.target_recall}: only flagging every row reaches it.",
            choice.warnings,
        )
    plain = replace(options, k=choice.k if choice.rule == "k-of-m" else None)
    chosen: Method = choice.rule  # type: ignore[assignment]
    weights = weighing if choice.rule == "weighted" else Weighing(how="equal", weights=None)
    decided = ruled(inputs, plain, chosen, weights, progress=progress)
    if choice.rule == "k-of-m":
        return decided, choice
    return (
        replace(
            decided,
            decisions=_flagged(decided.decisions, positive, threshold=choice.threshold),
        ),
        choice,
    )


def _choosing(inputs: Inputs, weighing: Weighing) -> tuple[Known, int]:
    known, positive, teaching = inputs.choosing, inputs.positive, inputs.teaching
    if known is None or positive is None:
        raise ConfigError("--target-recall: needs --truth-val TRUTH, rows that choose the rule.")
    learned = weighing.how not in ("equal", "given", "confidence")
    if learned and teaching is not None:
        ids, theirs = known.votes.members.ids, teaching.votes.members.ids
        if shared := int(ids.is_in(theirs.implode()).sum()):
            raise ConfigError(
                f"--truth-val {known.name}: {shared} of its rows taught the weights, so they "
                "cannot certify a recall. Give other rows to one of them."
            )
    return known, positive


def _candidates(
    inputs: Inputs, options: ConsensusOptions, method: Method, weighing: Weighing
) -> list[str]:
    """The rules to choose from, those first that are preferred at equal work."""
    if options.method != "auto":
        return [method]
    names = ["k-of-m"]
    if inputs.votes.members.kind != "label":
        names.append("mean")
    if weighing.how != "equal":
        names.append("weighted")
    return names


def _scores(
    known: Known, name: str, positive: int, *, weighing: Weighing, progress: Progress
) -> NDArray:
    """(V,) scores of the positive class by one rule."""
    ballots = known.votes.ballots
    if name == "k-of-m":
        return positive_votes(ballots, positive)[ballots.index]
    used = weighing if name == "weighted" else Weighing(how="equal", weights=None)
    if known.votes.members.kind == "label":
        return _support(ballots, used, positive)
    pooled = pool(known.votes, how=pool_how(name, used), weighing=used, progress=progress)
    return _evened(np.nan_to_num(pooled.probs[:, positive], nan=_NO_SCORE))


def _support(ballots: Ballots, weighing: Weighing, positive: int) -> NDArray[np.float64]:
    found = majority(ballots, weights=weighing.weights, options=VoteOptions())
    return found.support[:, positive][ballots.index]


def _evened(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) scores, where those that differ by the rounding of sums alone are the least of them.

    Means of (.9, .3) and (.7, .5) are tied, but not in the last bit; a threshold between them would
    split them.
    """
    size = np.floor(np.log10(np.maximum(np.abs(scores), np.finfo(np.float64).tiny)))
    scale = 10.0 ** np.clip(_DIGITS - 1 - size, None, 300)
    _, place = np.unique(np.rint(scores * scale) / scale, return_inverse=True)
    least = np.full(int(place.max(initial=-1)) + 1, np.inf)
    np.minimum.at(least, place, scores)
    return least[place]


def _flagged(decisions: Decisions, positive: int, *, threshold: float) -> Decisions:
    """Decisions for the positive class where its support reaches the threshold, else for the best
    of the others; where those are tied, none."""
    decision, status = decisions.decision.copy(), decisions.status.copy()
    judged = np.isin(status, (Status.NO_VOTES, Status.TOO_FEW_VOTES), invert=True)
    for start in range(0, len(decision), _BLOCK):
        part = slice(start, start + _BLOCK)
        others = decisions.support[part].copy()
        is_flagged = others[:, positive] >= threshold
        others[:, positive] = -1
        best, _ = decide(others)
        best[is_flagged] = positive
        rows = judged[part]
        decision[part][rows] = best[rows]
        status[part][rows] = np.where(best[rows] == UNDECIDED, Status.TIE, Status.DECIDED)
    return replace(decisions, decision=decision, status=status)
