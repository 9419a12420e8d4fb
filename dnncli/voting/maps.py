"""What several maps of one picture say together, pixel by pixel.

Shapes: M maps of one picture, H and W in pixels, C classes, P patterns of votes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS
from dnncli.voting.ballots import NO_VOTE, Ballots, encode
from dnncli.voting.dawid_skene import DawidSkene, decide_learned
from dnncli.voting.pooling import average
from dnncli.voting.rules import NO_DECISION, Decisions, Status, VoteOptions, k_of_m, majority
from dnncli.voting.staple import staple_votes

MaskMethod = Literal["majority", "at-least", "staple"]
MASK_METHODS: tuple[MaskMethod, ...] = get_args(MaskMethod)  # the default comes first

_VOTES = np.arange(NO_CLASS + 1, dtype=np.int16)
_VOTES[NO_CLASS] = NO_VOTE


@dataclass(frozen=True, kw_only=True)
class MaskRule:
    """How masks become one mask.

    Raises:
        ValueError: if the method is unknown, or `k` does not belong to it.
    """

    method: MaskMethod = "majority"
    k: int | None = None  # maps that must say so; for "at-least" only
    weights: tuple[Fraction, ...] | None = None  # (M,) of the maps; for "majority" only
    options: VoteOptions = field(default_factory=VoteOptions)
    ignore_zone: bool = False  # pixels that the maps do not agree on are left undecided

    def __post_init__(self) -> None:
        if self.method not in MASK_METHODS:
            raise ValueError(f"method must be one of {MASK_METHODS}. Got {self.method!r}.")
        if (self.k is not None) != (self.method == "at-least"):
            raise ValueError(f"k is for 'at-least', which needs it. Got {self.k}, {self.method!r}.")
        if self.weights is not None and self.method != "majority":
            raise ValueError(f"weights are for 'majority'. Got {self.method!r}.")


@dataclass(frozen=True, kw_only=True)
class MaskConsensus:
    """One mask out of M, and what the maps said about its pixels."""

    mask: NDArray[np.uint8]  # (H, W) class indices or NO_CLASS
    ballots: Ballots  # N = H * W, row by row
    decisions: Decisions  # of the P patterns
    learned: DawidSkene | None = None  # of staple: the quality of each map

    @property
    def status_counts(self) -> dict[str, int]:
        """Pixels of each status, those without pixels included."""
        status, pixels = self.decisions.status, self.ballots.counts
        return {kind.word: int(pixels[status == kind].sum()) for kind in Status}

    @property
    def agreement(self) -> float:
        """Mean over the pixels of the share of maps that are for the class in front, in [0, 1].

        That is the class that most name, or the positive one where at-least marks it. Maps that
        say nothing of a pixel do not count for it, nor do pixels that no map speaks of; NaN if none
        is left.
        """
        shares, pixels = self.decisions.agreement_voted, self.ballots.counts
        known = np.isfinite(shares)
        total = int(pixels[known].sum())
        return float(shares[known] @ pixels[known] / total) if total else float("nan")


def mask_consensus(
    masks: Sequence[NDArray[np.uint8]],
    *,
    models: Sequence[str],
    class_names: Sequence[str],
    rule: MaskRule,
) -> MaskConsensus:
    """Merge masks of one picture.

    - majority: the class that most maps name. A tie is undecided unless `rule.options` break it.
    - at-least: `k_of_m`. The positive class needs k maps; without one, any class does.
    - staple: the most probable class if maps are weighed by their estimated quality.

    With `ignore_zone`, pixels on which the maps differ become undecided. Those of at-least stay if
    k maps name their class: between all-agreed background and agreed foreground lies what training
    should not look at (Liu et al. 2017, section 3.2).

    Args:
        masks: M arrays (H, W) of class indices in [0, C), or NO_CLASS.
        models: (M,) names.
        class_names: (C,) names, at most 255.
        rule: how to merge.

    Raises:
        ConfigError: if k does not lie in [1, M].
        ValueError: if masks differ in shape or hold other values.

    Source: Liu et al. 2017, "Richer Convolutional Features for Edge Detection",
    https://arxiv.org/abs/1612.02103
    """
    shape = _one_shape(masks)
    votes = [_VOTES[np.asarray(mask, np.uint8).ravel()] for mask in masks]
    ballots = encode(votes, models, class_names)
    learned = staple_votes(ballots) if rule.method == "staple" else None
    decisions = _decide(ballots, rule, learned)
    if rule.ignore_zone:
        decisions = _without(decisions, _in_ignore_zone(decisions, rule))
    table = np.where(decisions.decision == NO_DECISION, NO_CLASS, decisions.decision)
    mask = table.astype(np.uint8)[ballots.index].reshape(shape)
    return MaskConsensus(mask=mask, ballots=ballots, decisions=decisions, learned=learned)


@dataclass(frozen=True, kw_only=True)
class MeanMap:
    """Weighted mean of M maps of values, and how far they are from it."""

    mean: NDArray[np.float64]  # (H, W); NaN where no map has a value
    spread: NDArray[np.float64]  # (H, W) standard deviation around the mean


def mean_map(
    maps: Sequence[NDArray[np.floating]], *, weights: Sequence[Fraction] | None = None
) -> MeanMap:
    """Average maps of edges, probabilities or other values of one picture.

    Args:
        maps: M arrays (H, W) in one unit; NaN: no value.
        weights: (M,) >= 0; none: all 1.

    Raises:
        ValueError: if there is no map, or shapes do not fit.
    """
    shape = _one_shape(maps)
    averages = average([map_.ravel() for map_ in maps], weights=weights)
    return MeanMap(mean=averages.mean.reshape(shape), spread=averages.spread.reshape(shape))


def _one_shape(maps: Sequence[NDArray]) -> tuple[int, int]:
    shapes = sorted({map_.shape for map_ in maps})
    if len(shapes) != 1 or len(shapes[0]) != 2:
        raise ValueError(f"maps must all be of one shape (H, W). Got {shapes}.")
    return shapes[0]


def _decide(ballots: Ballots, rule: MaskRule, learned: DawidSkene | None) -> Decisions:
    if learned is not None:
        return decide_learned(learned, ballots, options=rule.options)
    if rule.k is not None:
        return k_of_m(ballots, k=rule.k, options=rule.options)
    return majority(ballots, weights=rule.weights, options=rule.options)


def _in_ignore_zone(decisions: Decisions, rule: MaskRule) -> NDArray[np.bool_]:
    """(P,) patterns that the ignore zone takes."""
    differ = decisions.agreement_voted < 1
    if rule.k is None:
        return differ
    enough = decisions.support.max(axis=1, initial=0) >= rule.k
    if rule.options.positive is not None:
        enough = decisions.decision == rule.options.positive
    return differ & ~enough


def _without(decisions: Decisions, taken: NDArray[np.bool_]) -> Decisions:
    """The same without decisions for some patterns: their agreement is too low."""
    taken = taken & (decisions.decision != NO_DECISION)
    return replace(
        decisions,
        decision=np.where(taken, np.int32(NO_DECISION), decisions.decision),
        status=np.where(taken, np.uint8(Status.BELOW_THRESHOLD), decisions.status),
    )
