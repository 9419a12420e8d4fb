"""Counts the pixels of an edge map that match the edges people drew, at many thresholds.

Shapes: T thresholds, A annotators, H and W in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics import edge_maps
from dnncli.metrics.edge_matching import closest_pairs, near_pairs

THRESHOLDS = tuple(k / 100 for k in range(1, 100))  # as the Berkeley benchmark has them
TOLERANCE = 0.0075  # of the diagonal


@dataclass(frozen=True, kw_only=True)
class EdgeCounts:
    """Pixels of one picture at every threshold."""

    count_r: NDArray[np.int64]  # (T,) true pixels with a partner, summed over the annotators
    sum_r: NDArray[np.int64]  # (T,) true pixels, summed over the annotators
    count_p: NDArray[np.int64]  # (T,) predicted pixels that match one annotator at least
    sum_p: NDArray[np.int64]  # (T,) predicted pixels


def edge_counts(
    edge_map: NDArray[np.floating],
    truths: Sequence[NDArray[np.bool_]],
    *,
    thresholds: Sequence[float] = THRESHOLDS,
    tolerance: float = TOLERANCE,
    nms: bool = True,
    thin: bool = True,
    judged: NDArray[np.bool_] | None = None,
) -> EdgeCounts:
    """Compare a map with the edges of one or several annotators.

    At every threshold the pixels that reach it are thinned and matched with each annotator by
    itself. Recall and precision have counts of their own: recall sums over the annotators, while a
    predicted pixel is right as soon as anybody drew it.

    Args:
        edge_map: (H, W) how sure an edge is, in [0, 1].
        truths: A times (H, W): whether a pixel is of an edge.
        thresholds: (T,) in (0, 1].
        tolerance: how far partners may be apart, see `pixels_of`.
        nms: keep the ridges of the map only.
        thin: thin what reaches a threshold, and the truth, to lines one pixel wide.
        judged: (H, W) pixels that count; edges elsewhere are left out. None: all.

    Source: P. Arbeláez et al. 2011, "Contour Detection and Hierarchical Image Segmentation",
    https://doi.org/10.1109/TPAMI.2010.161
    """
    wrong = [part.shape for part in (*truths, judged) if part is not None]
    if any(shape != edge_map.shape for shape in wrong):
        raise ValueError(f"edge_map is {edge_map.shape}, but of truths and judged are {wrong}.")
    if not all(0 < threshold <= 1 for threshold in thresholds):
        raise ValueError(f"thresholds must lie in (0, 1]. Got {thresholds}.")
    ridges = edge_maps.nms(edge_map) if nms else edge_map
    lines = [_lines(ridges >= threshold, thin, judged) for threshold in thresholds]
    drawn = [_lines(truth, thin, judged) for truth in truths]
    places = np.unique(np.concatenate([*lines, []])).astype(np.int64)
    rows = [np.searchsorted(places, line) for line in lines]
    matched = [np.zeros(len(line), bool) for line in lines]
    count_r = np.zeros(len(lines), np.int64)
    for true_places in drawn:
        found, matched_here = 0, np.zeros(0, bool)
        pairs = near_pairs(
            _points(places, edge_map.shape),
            _points(true_places, edge_map.shape),
            max_distance=pixels_of(tolerance, edge_map.shape),
        )
        for step, line in enumerate(rows):
            if step and np.array_equal(line, rows[step - 1]):  # as in maps of few levels
                count_r[step] += found
                matched[step] |= matched_here
                continue
            matched_here = np.zeros(len(line), bool)
            partners, _ = closest_pairs(pairs[line])
            found = len(partners)
            matched_here[partners] = True
            count_r[step] += found
            matched[step] |= matched_here
    return EdgeCounts(
        count_r=count_r,
        sum_r=np.full(len(lines), sum(map(len, drawn)), np.int64),
        count_p=np.array([part.sum() for part in matched], np.int64),
        sum_p=np.array([len(line) for line in lines], np.int64),
    )


def pixels_of(tolerance: float, shape: tuple[int, ...]) -> float:
    """A tolerance in pixels: below 1 it is a share of the diagonal of the picture.

    Args:
        tolerance: >= 0; from 1 on, pixels.
        shape: H, W.

    Raises:
        ValueError: if it is negative or no number.
    """
    if not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance must be a number >= 0. Got {tolerance}.")
    return tolerance if tolerance >= 1 else tolerance * float(np.hypot(shape[0], shape[1]))


def _lines(
    edges: NDArray[np.bool_], thin: bool, judged: NDArray[np.bool_] | None
) -> NDArray[np.int64]:
    """Places of the edge pixels that count, rising."""
    lines = edge_maps.thin(edges) if thin else edges
    return np.flatnonzero(lines if judged is None else lines & judged)


def _points(places: NDArray[np.int64], shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.stack(np.unravel_index(places, shape), axis=1)
