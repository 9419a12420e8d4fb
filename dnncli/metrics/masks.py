"""How well masks fit their truth: counts of pixels, Dice and IoU, by picture and pooled.

Masks are (H, W) whole numbers, one class a pixel. Every score is NaN where its denominator is 0,
and only there. Shapes: N pictures, C classes, K distinct pairs of true and predicted number.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnncli.data.dataset import NO_CLASS
from dnncli.data.map_codes import VOID
from dnncli.metrics.mask_intervals import mask_intervals
from dnncli.metrics.mask_result import (
    ClassMasks,
    ImageMask,
    ImageMeans,
    ImageReport,
    MaskIntervals,
    MaskMeans,
    MaskReport,
    MaskScores,
    PooledMasks,
)
from dnncli.metrics.report import Confusion, Interval
from dnncli.metrics.scores import (
    Undefined,
    average,
    beta_name,
    dice,
    f_beta,
    iou,
    precision,
    recall,
)

_BYTE = 256  # numbers of 8 bits


@dataclass(frozen=True, kw_only=True)
class PixelPairs:
    """How often each pair of true and predicted number occurs in one picture."""

    truth: NDArray[np.int64]  # (K,)
    predicted: NDArray[np.int64]  # (K,)
    counts: NDArray[np.int64]  # (K,) > 0


@dataclass(frozen=True, kw_only=True)
class MaskCounts:
    """Pixels of N pictures. Void pixels of the truth count for nothing.

    An undecided pixel is a false negative of its true class and a false positive of none.
    """

    tp: NDArray[np.int64]  # (N, C)
    fp: NDArray[np.int64]  # (N, C)
    fn: NDArray[np.int64]  # (N, C)
    right: NDArray[np.int64]  # (N,) the numbers are equal, whether they are of a class or not
    pixels: NDArray[np.int64]  # (N,) that count
    ignored: NDArray[np.int64]  # (N,) void in the truth
    undecided: NDArray[np.int64]  # (N,) of those that count


def pixel_pairs(truth: NDArray[np.integer], predicted: NDArray[np.integer]) -> PixelPairs:
    """Count the pairs of true and predicted number.

    Args:
        truth: (H, W) numbers.
        predicted: (H, W) numbers.

    Raises:
        ValueError: if the shapes differ.
    """
    if truth.shape != predicted.shape:
        raise ValueError(f"masks must have one shape. Got {truth.shape} and {predicted.shape}.")
    low = min(int(mask.min(initial=0)) for mask in (truth, predicted))
    high = max(int(mask.max(initial=0)) for mask in (truth, predicted))
    if high - low <= _BYTE:  # bytes, and one number for what is void
        values = np.arange(low, high + 1)
        return _cells(
            truth.astype(np.int64) - low, predicted.astype(np.int64) - low, values, values
        )
    true_values, true_codes = np.unique(truth, return_inverse=True)
    values, codes = np.unique(predicted, return_inverse=True)
    return _cells(true_codes, codes, true_values, values)


def index_pairs(truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> PixelPairs:
    """Pairs of class indices, with the VOID of the scores where a mask is NO_CLASS."""
    pairs = pixel_pairs(truth, predicted)
    return PixelPairs(
        truth=np.where(pairs.truth == NO_CLASS, VOID, pairs.truth),
        predicted=np.where(pairs.predicted == NO_CLASS, VOID, pairs.predicted),
        counts=pairs.counts,
    )


def _cells(
    true_codes: NDArray, codes: NDArray, true_values: NDArray, values: NDArray
) -> PixelPairs:
    cells = true_codes.ravel().astype(np.int64)  # a copy
    cells *= len(values)
    cells += codes.ravel()
    if len(true_values) * len(values) <= max(_BYTE**2, cells.size):
        counts = np.bincount(cells)
        found = np.flatnonzero(counts)
        counts = counts[found]
    else:  # a table of all pairs would be far larger than the masks
        found, counts = np.unique(cells, return_counts=True)
    return PixelPairs(
        truth=true_values[found // len(values)].astype(np.int64),
        predicted=values[found % len(values)].astype(np.int64),
        counts=counts,
    )


def mask_counts(pictures: Sequence[PixelPairs], *, values: Sequence[int]) -> MaskCounts:
    """Counts of each class in each picture.

    Args:
        pictures: (N,) pairs. VOID marks what is not to be judged, or undecided.
        values: (C,) the number of each class.
    """
    shape = (len(pictures), len(values))
    tp, fp, fn = (np.zeros(shape, np.int64) for _ in range(3))
    right, pixels, ignored, undecided = (np.zeros(len(pictures), np.int64) for _ in range(4))
    for row, pairs in enumerate(pictures):
        judged = pairs.truth != VOID
        counts = np.where(judged, pairs.counts, 0)
        equal = pairs.truth == pairs.predicted
        pixels[row] = counts.sum()
        ignored[row] = pairs.counts.sum() - pixels[row]
        right[row] = counts[equal].sum()
        undecided[row] = counts[pairs.predicted == VOID].sum()
        is_true = pairs.truth[:, None] == np.asarray(values, np.int64)  # (K, C)
        is_predicted = pairs.predicted[:, None] == np.asarray(values, np.int64)
        tp[row] = counts @ (is_true & is_predicted)
        fp[row] = counts @ (~is_true & is_predicted)
        fn[row] = counts @ (is_true & ~is_predicted)
    return MaskCounts(
        tp=tp, fp=fp, fn=fn, right=right, pixels=pixels, ignored=ignored, undecided=undecided
    )


def mask_confusion(
    pictures: Sequence[PixelPairs], *, values: Sequence[int], classes: Sequence[str], rest: str
) -> Confusion:
    """Who was taken for whom, in pixels of all pictures together.

    Args:
        pictures: (N,) pairs; void pixels of the truth are left out.
        values: (C,) the number of each class.
        classes: (C,) their names.
        rest: name of a first row and column for pixels of no class; added if there are any.
    """
    size = len(values) + 1
    places = {value: place for place, value in enumerate(values, start=1)} | {VOID: size}
    counts = np.zeros((size, size + 1), np.int64)
    for pairs in pictures:
        for true, predicted, count in zip(
            pairs.truth.tolist(), pairs.predicted.tolist(), pairs.counts.tolist()
        ):
            if true != VOID:
                counts[places.get(true, 0), places.get(predicted, 0)] += count
    first = 0 if counts[0].any() or counts[:, 0].any() else 1
    return Confusion(
        classes=(rest, *classes)[first:],
        counts=counts[first:, first:size].tolist(),
        undecided=counts[first:, size].tolist(),
    )


def mask_report(
    counts: MaskCounts,
    *,
    ids: Sequence[str],
    classes: Sequence[str],
    betas: Sequence[float] = (1.0,),
    undefined: Undefined = "skip",
    confidence: float = 0.95,
) -> MaskReport:
    """All scores of `counts`.

    Args:
        counts: of N pictures and C classes.
        ids: (N,) of the pictures.
        classes: (C,) their names.
        betas: of the F scores.
        undefined: what an undefined score counts as in a mean over pictures or classes.
        confidence: of the intervals, in (0, 1).
    """
    shape = (len(ids), len(classes))
    if counts.tp.shape != shape:
        raise ValueError(f"counts must be (N, C) = {shape}. Got {counts.tp.shape}.")
    tp, fp, fn = (part.sum(axis=0) for part in (counts.tp, counts.fp, counts.fn))
    by_image = [_image_means(counts, column, undefined) for column in range(len(classes))]
    pooled = [_scores(*cells, betas) for cells in zip(tp, fp, fn)]
    total = int(counts.pixels.sum())
    ends = mask_intervals(
        counts.tp, counts.fp, counts.fn, betas=betas, undefined=undefined, confidence=confidence
    )
    return MaskReport(
        per_class={
            name: ClassMasks(
                tp=int(tp[i]),
                fp=int(fp[i]),
                fn=int(fn[i]),
                tn=total - int(tp[i] + fp[i] + fn[i]),
                support=int(tp[i] + fn[i]),
                predicted=int(tp[i] + fp[i]),
                images=by_image[i],
                intervals=None if ends is None else _intervals(ends, i, betas),
                **vars(pooled[i]),
            )
            for i, name in enumerate(classes)
        },
        pooled=PooledMasks(
            accuracy=float(precision(counts.right.sum(), total - counts.right.sum())),
            macro=_mean_scores(pooled, undefined),
            micro=_scores(tp.sum(), fp.sum(), fn.sum(), betas),
            undefined_classes=sum(_has_undefined(scores) for scores in pooled),
        ),
        images=MaskMeans(
            dice=average(np.array([entry.dice for entry in by_image]), undefined=undefined),
            iou=average(np.array([entry.iou for entry in by_image]), undefined=undefined),
        ),
        per_image=_images(counts, ids, classes),
    )


def _scores(tp: ArrayLike, fp: ArrayLike, fn: ArrayLike, betas: Sequence[float]) -> MaskScores:
    return MaskScores(
        dice=float(dice(tp, fp, fn)),
        iou=float(iou(tp, fp, fn)),
        precision=float(precision(tp, fp)),
        recall=float(recall(tp, fn)),
        f={beta_name(beta): float(f_beta(tp, fp, fn, beta=beta)) for beta in betas},
    )


def _intervals(
    ends: Mapping[str, NDArray[np.float64]], column: int, betas: Sequence[float]
) -> MaskIntervals:
    def pair(name: str) -> Interval | None:
        low, high = ends[name][:, column].tolist()
        return None if low != low else (low, high)

    return MaskIntervals(
        dice=pair("dice"),
        iou=pair("iou"),
        precision=pair("precision"),
        recall=pair("recall"),
        f={beta_name(beta): pair(f"f{beta_name(beta)}") for beta in betas},
        image_dice=pair("image_dice"),
        image_iou=pair("image_iou"),
    )


def _mean_scores(scores: Sequence[MaskScores], undefined: Undefined) -> MaskScores:
    def mean(values: list[float]) -> float:
        return average(np.array(values), undefined=undefined)

    return MaskScores(
        dice=mean([entry.dice for entry in scores]),
        iou=mean([entry.iou for entry in scores]),
        precision=mean([entry.precision for entry in scores]),
        recall=mean([entry.recall for entry in scores]),
        f={beta: mean([entry.f[beta] for entry in scores]) for beta in scores[0].f},
    )


def _has_undefined(scores: MaskScores) -> bool:
    values = (scores.dice, scores.iou, scores.precision, scores.recall, *scores.f.values())
    return any(value != value for value in values)


def _image_means(counts: MaskCounts, column: int, undefined: Undefined) -> ImageMeans:
    tp, fp, fn = counts.tp[:, column], counts.fp[:, column], counts.fn[:, column]
    is_there, is_predicted = tp + fn > 0, tp + fp > 0
    return ImageMeans(
        dice=average(dice(tp, fp, fn), undefined=undefined),
        iou=average(iou(tp, fp, fn), undefined=undefined),
        n_defined=int((is_there | is_predicted).sum()),
        n_correctly_empty=int((~is_there & ~is_predicted).sum()),
        n_missed=int((is_there & (tp == 0)).sum()),
        n_false_alarms=int((~is_there & is_predicted).sum()),
    )


def _images(
    counts: MaskCounts, ids: Sequence[str], classes: Sequence[str]
) -> tuple[ImageReport, ...]:
    cells = {name: getattr(counts, name).tolist() for name in ("tp", "fp", "fn")}
    dices = dice(counts.tp, counts.fp, counts.fn).tolist()
    ious = iou(counts.tp, counts.fp, counts.fn).tolist()
    accuracies = precision(counts.right, counts.pixels - counts.right).tolist()
    return tuple(
        ImageReport(
            id=map_id,
            pixels=int(counts.pixels[row]),
            ignored=int(counts.ignored[row]),
            undecided=int(counts.undecided[row]),
            accuracy=accuracies[row],
            per_class={
                name: ImageMask(
                    **{key: values[row][i] for key, values in cells.items()},
                    dice=dices[row][i],
                    iou=ious[row][i],
                )
                for i, name in enumerate(classes)
            },
        )
        for row, map_id in enumerate(ids)
    )
