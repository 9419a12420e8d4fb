"""How far scores of masks can be off by chance: whole pictures are drawn again.

Pixels of one picture are not independent, so intervals of counts would be far too narrow. Shapes:
N pictures, C classes, B draws.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.scores import Undefined, beta_name, dice, f_beta, iou, precision, recall

FEWEST = 10  # pictures; of fewer, draws are too much alike to say anything

_DRAWS = 2000
_BLOCK = 1 << 20  # drawn pictures worked on at a time


def mask_intervals(
    tp: NDArray[np.integer],
    fp: NDArray[np.integer],
    fn: NDArray[np.integer],
    *,
    betas: Sequence[float],
    undefined: Undefined,
    confidence: float,
    seed: int = 0,
) -> Mapping[str, NDArray[np.float64]] | None:
    """Percentile bootstrap intervals of pooled scores and of means by picture.

    N pictures are drawn from the N with replacement, 2,000 times. Draws in which a score is
    undefined are left out of its interval.

    Args:
        tp: (N, C) pixels of each class in each picture that were found.
        fp: (N, C) others that were taken for it.
        fn: (N, C) that were not found.
        betas: of the F scores.
        undefined: what an undefined Dice or IoU of a picture counts as in their mean.
        confidence: in (0, 1).
        seed: of the draws.

    Returns:
        Score -> (2, C) lower and upper ends, NaN where none is defined. The scores are "dice",
        "iou", "precision", "recall", "f1" and so on, "image_dice", "image_iou". None for fewer
        than 10 pictures.

    Source: B. Efron 1979, "Bootstrap Methods: Another Look at the Jackknife",
    https://doi.org/10.1214/aos/1176344552
    """
    if len(tp) < FEWEST:
        return None
    columns: list[NDArray] = [tp, fp, fn]
    for values in (dice(tp, fp, fn), iou(tp, fp, fn)):
        if undefined != "skip":
            values = np.where(np.isnan(values), float(undefined), values)
        columns += [np.nan_to_num(values), ~np.isnan(values)]
    sums = _drawn_sums(np.concatenate(columns, axis=1).astype(np.float64), seed)
    parts = np.split(sums, len(columns), axis=1)
    found, false, lost, dices, n_dices, ious, n_ious = parts
    with np.errstate(invalid="ignore"):  # 0/0 is undefined
        draws = {
            "dice": dice(found, false, lost),
            "iou": iou(found, false, lost),
            "precision": precision(found, false),
            "recall": recall(found, lost),
            **{f"f{beta_name(beta)}": f_beta(found, false, lost, beta=beta) for beta in betas},
            "image_dice": dices / n_dices,
            "image_iou": ious / n_ious,
        }
    tail = (1 - confidence) / 2
    return {name: _ends(values, tail) for name, values in draws.items()}


def _drawn_sums(columns: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """(B, columns) sums over the pictures of each draw."""
    rng = np.random.default_rng(seed)
    size = len(columns)
    step = max(1, _BLOCK // size)
    sums = []
    for start in range(0, _DRAWS, step):
        rows = min(step, _DRAWS - start)
        drawn = rng.integers(0, size, size=(rows, size))
        drawn += np.arange(rows)[:, None] * size
        times = np.bincount(drawn.ravel(), minlength=rows * size).reshape(rows, size)
        sums.append(times.astype(np.float64) @ columns)
    return np.concatenate(sums)


def _ends(values: NDArray[np.float64], tail: float) -> NDArray[np.float64]:
    ends = np.full((2, values.shape[1]), np.nan)
    for column in range(values.shape[1]):
        known = values[~np.isnan(values[:, column]), column]
        if len(known):
            ends[:, column] = np.quantile(known, [tail, 1 - tail])
    return ends
