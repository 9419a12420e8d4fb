"""What masks score that say the same class everywhere: what every model has to beat.

Shapes: N pictures, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dnncli.metrics.masks import MaskCounts
from dnncli.metrics.scores import Undefined, average, dice, iou, precision


@dataclass(frozen=True, kw_only=True)
class BaselineScores:
    """Scores of one class, or their mean over the classes."""

    dice: float  # pooled
    iou: float
    image_dice: float  # means by picture
    image_iou: float


@dataclass(frozen=True, kw_only=True)
class Baseline:
    """Scores of one class everywhere."""

    accuracy: float  # share of pixels with the right number
    macro: BaselineScores
    per_class: dict[str, BaselineScores]


def baselines(
    counts: MaskCounts,
    *,
    values: Sequence[int],
    classes: Sequence[str],
    rest: str,
    undefined: Undefined = "skip",
) -> dict[str, Baseline]:
    """Scores of the background everywhere, and of the most frequent class everywhere.

    Args:
        counts: of the pictures; only what is true is used.
        values: (C,) the number of each class; 0 is the background.
        classes: (C,) their names.
        rest: what pixels of no class are called, if 0 is none.
        undefined: what an undefined score counts as in a mean over pictures or classes.

    Returns:
        By the name of the class that is everywhere.
    """
    support = counts.tp + counts.fn  # (N, C)
    constants = [list(values).index(0)] if 0 in values else [-1]
    if support.any():
        constants.append(int(support.sum(axis=0).argmax()))
    return {
        rest if place < 0 else classes[place]: _baseline(counts, place, classes, undefined)
        for place in dict.fromkeys(constants)
    }


def _baseline(
    counts: MaskCounts, constant: int, classes: Sequence[str], undefined: Undefined
) -> Baseline:
    """Scores of the class in column `constant` everywhere; -1: of no class."""
    support = counts.tp + counts.fn
    is_constant = np.arange(len(classes)) == constant
    tp = np.where(is_constant, support, 0)
    fp = np.where(is_constant, counts.pixels[:, None] - support, 0)
    fn = np.where(is_constant, 0, support)
    right = tp.sum() if constant >= 0 else (counts.pixels.sum() - support.sum())
    total = [part.sum(axis=0) for part in (tp, fp, fn)]
    images = dice(tp, fp, fn), iou(tp, fp, fn)
    scores = [
        BaselineScores(
            dice=float(dice(*total)[place]),
            iou=float(iou(*total)[place]),
            image_dice=average(images[0][:, place], undefined=undefined),
            image_iou=average(images[1][:, place], undefined=undefined),
        )
        for place in range(len(classes))
    ]
    return Baseline(
        accuracy=float(precision(right, counts.pixels.sum() - right)),
        macro=BaselineScores(
            **{
                name: average(
                    np.array([getattr(entry, name) for entry in scores]), undefined=undefined
                )
                for name in vars(scores[0])
            }
        ),
        per_class=dict(zip(classes, scores)),
    )
