"""How well masks fit where they need not fit to the pixel: outlines and thin classes.

Shapes: N pictures, C classes, H and W in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.scores import Undefined, average, precision

_BITS = 64  # classes worked on at a time


@dataclass(frozen=True, kw_only=True)
class NearCounts:
    """Pixels of each class, and those with a pixel of that class near them in the other mask."""

    predicted: NDArray[np.int64]  # (..., C)
    predicted_near: NDArray[np.int64]  # (..., C) near a true one
    true: NDArray[np.int64]  # (..., C)
    true_near: NDArray[np.int64]  # (..., C) near a predicted one


@dataclass(frozen=True, kw_only=True)
class NearScores:
    """Precision, recall and their harmonic mean, in which pixels only need to be near."""

    f: float
    precision: float
    recall: float
    image_f: float  # mean over the pictures


def near_counts(
    truth: NDArray[np.integer],
    predicted: NDArray[np.integer],
    *,
    values: Sequence[int],
    distance: float,
    outlines: bool,
    void: int = -1,
) -> NearCounts:
    """Count pixels that have one of their class within a distance in the other mask.

    Args:
        truth: (H, W) numbers.
        predicted: (H, W) numbers.
        values: (C,) the number of each class.
        distance: in pixels, >= 0; from centre to centre.
        outlines: only the pixels of a class that touch another number, of whatever class. The
            border of the picture is no outline. False: all pixels of a class.
        void: number of what is not judged in the truth; pixels there count for nothing, and what
            touches them is not an outline because of that.

    Source: G. Csurka, D. Larlus and F. Perronnin 2013, "What is a good evaluation measure for
    semantic segmentation?", https://doi.org/10.5244/C.27.32 (outlines)
    """
    if truth.shape != predicted.shape or truth.ndim != 2:
        raise ValueError(f"masks must be (H, W) of one shape. Got {truth.shape}, {predicted.shape}")
    if not 0 <= distance < np.inf:
        raise ValueError(f"distance must be a number >= 0. Got {distance}.")
    judged = truth != void
    if outlines:
        true_pixels, pixels = _outline(truth, judged), _outline(predicted, judged)
    else:
        true_pixels = pixels = judged
    parts = [
        _counts(
            *(_codes(truth, true_pixels, block), _codes(predicted, pixels, block)),
            size=len(block),
            distance=distance,
        )
        for block in (values[start : start + _BITS] for start in range(0, len(values), _BITS))
    ]
    names = ("predicted", "predicted_near", "true", "true_near")
    return NearCounts(**{name: np.concatenate(part) for name, part in zip(names, zip(*parts))})


def stacked(pictures: Sequence[NearCounts]) -> NearCounts:
    """The counts (C,) of N pictures as (N, C)."""
    names = ("predicted", "predicted_near", "true", "true_near")
    return NearCounts(
        **{name: np.stack([getattr(entry, name) for entry in pictures]) for name in names}
    )


def near_scores(counts: NearCounts, *, undefined: Undefined = "skip") -> tuple[NearScores, ...]:
    """The scores of each class, of all pictures together and as a mean over the pictures.

    F is undefined where a class is neither true nor predicted, and 0 where it is only one of both.

    Args:
        counts: of N pictures, (N, C).
        undefined: what an undefined F of a picture counts as in their mean.
    """
    total = NearCounts(**{name: part.sum(axis=0) for name, part in vars(counts).items()})
    pooled, by_image = _near_f(total), _near_f(counts)
    return tuple(
        NearScores(
            f=float(pooled[place]),
            precision=float(_share(total.predicted_near, total.predicted)[place]),
            recall=float(_share(total.true_near, total.true)[place]),
            image_f=average(by_image[:, place], undefined=undefined),
        )
        for place in range(len(pooled))
    )


def _share(part: NDArray[np.int64], whole: NDArray[np.int64]) -> NDArray[np.float64]:
    return precision(part, whole - part)


def _near_f(counts: NearCounts) -> NDArray[np.float64]:
    right, found = (
        _share(counts.predicted_near, counts.predicted),
        _share(counts.true_near, counts.true),
    )
    total = right + found
    f = np.divide(2 * right * found, total, out=np.zeros(total.shape), where=total > 0)
    return np.where((counts.predicted == 0) & (counts.true == 0), np.nan, f)


def _outline(mask: NDArray[np.integer], judged: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) pixels of which one of the four neighbours has another number; both are judged."""
    found = np.zeros(mask.shape, bool)
    for one, other in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        differ = (mask[one] != mask[other]) & judged[one] & judged[other]
        found[one] |= differ
        found[other] |= differ
    return found


def _codes(
    mask: NDArray[np.integer], pixels: NDArray[np.bool_], values: Sequence[int]
) -> NDArray[np.unsignedinteger]:
    """(H, W) one bit for the class of a pixel; 0 elsewhere."""
    kind = np.min_scalar_type(2 ** len(values) - 1)
    codes = np.zeros(mask.shape, kind)
    for place, value in enumerate(values):
        codes |= (pixels & (mask == value)).astype(kind) << kind.type(place)
    return codes


def _counts(
    truth: NDArray[np.unsignedinteger],
    predicted: NDArray[np.unsignedinteger],
    *,
    size: int,
    distance: float,
) -> list[NDArray[np.int64]]:
    """(size,) each: predicted, those near, true, those near."""
    found = []
    for codes, others in ((predicted, truth), (truth, predicted)):
        near = codes & _grown(others, distance)
        found += [_bits(codes, size), _bits(near, size)]
    return found


def _bits(codes: NDArray[np.unsignedinteger], size: int) -> NDArray[np.int64]:
    one = codes.dtype.type(1)
    places = (codes >> codes.dtype.type(place) & one for place in range(size))
    return np.array([np.count_nonzero(bit) for bit in places], np.int64)


def _grown(codes: NDArray[np.unsignedinteger], distance: float) -> NDArray[np.unsignedinteger]:
    """(H, W) the bits of all pixels within a distance.

    A disc is a stack of rows. Wider rows come from narrower ones, so that the work grows with the
    distance and not with its square.
    """
    reach = min(int(distance), max(codes.shape))
    grown = np.zeros_like(codes)
    row, width = codes.copy(), 0
    for step in range(reach, -1, -1):  # rows far from the centre are narrow
        while width < int(np.sqrt(distance * distance - step * step) + 1e-9):
            width += 1
            if width < codes.shape[1]:
                row[:, width:] |= codes[:, :-width]
                row[:, :-width] |= codes[:, width:]
        if step < codes.shape[0]:
            grown[step:] |= row[: codes.shape[0] - step]
            grown[: codes.shape[0] - step] |= row[step:]
    return grown
