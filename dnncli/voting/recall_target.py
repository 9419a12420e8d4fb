"""The rule and threshold that reach a target recall at the least work for people.

Shapes: V validation rows, G candidate rules.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnncli.metrics.threshold_words import refusal_sentence, share_text
from dnncli.metrics.thresholds import Point, Share, Targets, exact_share, target


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """What one rule can do for the target; points are None if there is no such threshold."""

    rule: str
    targets: Targets  # certified at the confidence that each of G candidates needs
    k: int | None  # votes that are enough at `point` (0: for every row); None: no numbers of votes
    point: Point | None  # the certified one, or the highest if nothing can be certified


@dataclass(frozen=True, kw_only=True)
class RuleChoice:
    """A row is positive if and only if the score of `rule` >= `threshold`."""

    rule: str
    threshold: float
    k: int | None  # votes that are enough (0: every row is flagged); None: no numbers of votes
    certified: bool  # whether the recall on new rows is promised
    point: Point  # what it does to the validation rows
    targets: Targets  # of the chosen rule
    candidate_confidence: float  # of each certificate, so that the choice has the one asked for
    table: tuple[Candidate, ...]  # all candidates, in the order given
    warnings: tuple[str, ...]


def choose_rule(
    candidates: Mapping[str, NDArray[np.floating] | NDArray[np.integer]],
    is_positive: ArrayLike,
    *,
    recall: Share,
    confidence: Share,
) -> RuleChoice:
    """Of several scores, the one that reaches a recall with the fewest rows flagged.

    Each of G certificates may be wrong with probability (1 - confidence) / G at most. So all of
    them hold together with the confidence, and with them the one that is chosen, however it is
    chosen (Bonferroni). Without that, choosing the cheapest would choose the luckiest. It needs
    scores that were made without these rows: weights learned from them break it.

    If nothing can be certified, the fewest rows flagged among the highest thresholds,
    which reach the target on these rows and promise nothing for new ones.

    Args:
        candidates: rule -> (V,) its scores of the positive class, finite. Whole numbers are
            taken for numbers of votes.
        is_positive: (V,) whether the row belongs to the positive class.
        recall: target in (0, 1].
        confidence: in (0, 1).

    Raises:
        ValueError: if there is no candidate or no positive, or shapes or shares do not fit.
    """
    if not candidates:
        raise ValueError("candidates must hold at least one rule.")
    sure = exact_share("confidence", confidence, one=False)
    each = 1 - (1 - sure) / len(candidates)
    table = tuple(
        _candidate(rule, scores, is_positive, recall=recall, confidence=each)
        for rule, scores in candidates.items()
    )
    best, point = _least_work(table)
    warnings = []
    if not best.targets.certified.feasible:
        sentence = refusal_sentence(
            best.targets.certified,
            n_positive=best.targets.n_positive,
            recall=recall,
            confidence=confidence,
            among=f" for the best of {len(table)} rules" if len(table) > 1 else "",
        )
        warnings.append(f"{sentence}. Chosen: highest, which promises nothing for new rows.")
    if best.targets.n_negative == 0:
        warnings.append("no row belongs to the rest: what a threshold costs cannot be seen.")
    elif point.n_flagged == best.targets.n_positive + best.targets.n_negative:
        warnings.append(_flags_all(best, candidates[best.rule], is_positive, recall))
    return RuleChoice(
        rule=best.rule,
        threshold=point.threshold,
        k=best.k,
        certified=best.targets.certified.feasible,
        point=point,
        targets=best.targets,
        candidate_confidence=float(each),
        table=table,
        warnings=tuple(warnings),
    )


def _candidate(
    rule: str, scores: NDArray, is_positive: ArrayLike, *, recall: Share, confidence: Share
) -> Candidate:
    targets = target(is_positive, scores, recall=recall, confidence=confidence)
    point = targets.certified.point or targets.highest
    is_count = np.asarray(scores).dtype.kind in "iu"
    return Candidate(
        rule=rule,
        targets=targets,
        k=int(point.threshold) if is_count and point is not None else None,
        point=point,
    )


def _least_work(table: tuple[Candidate, ...]) -> tuple[Candidate, Point]:
    """The fewest rows flagged; of equal ones the higher recall, then the first given."""
    # The number of positives decides what can be certified: it is the same for all.
    options = [(entry, entry.point) for entry in table if entry.point is not None]
    if not options:
        raise ValueError("is_positive must hold a positive: recall needs one.")
    return min(options, key=lambda option: (option[1].n_flagged, -option[1].tp))


def _flags_all(chosen: Candidate, scores: NDArray, is_positive: ArrayLike, recall: Share) -> str:
    if chosen.k != 0:
        return (
            f"{chosen.rule} flags every row: at recall {share_text(recall)} no candidate tells the "
            "classes apart."
        )
    votes = np.asarray(scores)[np.asarray(is_positive, bool)]
    n_without = int(np.count_nonzero(votes == 0))
    return (
        f"{chosen.rule} flags every row: {n_without:,} of the {len(votes):,} positives have no "
        f"vote at all, so that 1 vote finds {1 - n_without / len(votes):.4g} of them, which is "
        f"too few for recall {share_text(recall)}."
    )
