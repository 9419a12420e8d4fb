"""Makes thick edge maps thin, as edges must be before they can be matched one to one.

Shapes: H and W in pixels, K pixels of edges.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray

_SMOOTH = 1  # radius of the triangle that the map itself is smoothed with, in pixels
_COARSE = 4  # radius before second derivatives are taken
_SLACK = 1.01  # a neighbour must exceed a pixel by this to remove it
_FLAT = 1e-5  # added to a second derivative that may be 0
_FADE = 5  # pixels along the border of the picture

# Counterclockwise from the east, as steps in y and x.
_AROUND = ((0, 1), (-1, 1), (-1, 0), (-1, -1), (0, -1), (1, -1), (1, 0), (1, 1))


def nms(edge_map: NDArray[np.floating]) -> NDArray[np.float64]:
    """Keep the ridges of an edge map: pixels that no neighbour across the edge exceeds.

    The map is smoothed a little; the direction across an edge is the one of the largest second
    derivative of a coarser copy. Between pixels, values are interpolated. Towards the border, where
    networks see less, values fade to 0 over five pixels.

    Args:
        edge_map: (H, W) how sure an edge is, in [0, 1].

    Returns:
        (H, W) the smoothed values on the ridges, 0 elsewhere.

    Source: the steps and constants of P. Dollár and C. L. Zitnick 2015, "Fast Edge Detection Using
    Structured Forests", https://doi.org/10.1109/TPAMI.2014.2377715, and their published code;
    lines that are exactly horizontal, which that code leaves thick, become thin here.
    """
    if edge_map.ndim != 2:
        raise ValueError(f"edge_map must be (H, W). Got {edge_map.shape}.")
    if not edge_map.size:
        return np.zeros(edge_map.shape)
    smooth = _triangle(edge_map.astype(np.float64), _SMOOTH)
    across_y, across_x = _across(_triangle(smooth, _COARSE))
    ys, xs = np.nonzero(smooth > 0)
    step_y, step_x = across_y[ys, xs], across_x[ys, xs]
    values = smooth[ys, xs]
    is_kept = np.ones(len(ys), bool)
    for side in (-1, 1):
        beside = _between(smooth, ys + side * step_y, xs + side * step_x)
        is_kept &= values * _SLACK >= beside
    ridges = np.zeros(smooth.shape)
    ridges[ys[is_kept], xs[is_kept]] = values[is_kept]
    return ridges * np.multiply.outer(*map(_fading, smooth.shape))


def _triangle(values: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    from scipy.ndimage import correlate1d

    rising = np.arange(1, radius + 1)
    kernel = np.array([*rising, radius + 1, *rising[::-1]], np.float64) / (radius + 1) ** 2
    return correlate1d(correlate1d(values, kernel, axis=0), kernel, axis=1)


def _across(smooth: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Unit vectors (y, x), (H, W) each, across an edge: towards the largest second derivative.

    The angle is that of the benchmark, arctan of the ratio of the two second derivatives: its
    tangent is the square of the true one, so it is exact for multiples of 45 degrees and at most
    12 degrees off between them. Scores would not be comparable with an exact one.
    """
    slope_y, slope_x = _slope(smooth, 0), _slope(smooth, 1)
    yy, xx, xy = _slope(slope_y, 0), _slope(slope_x, 1), _slope(slope_x, 0)
    angle = np.arctan(np.where(xy > 0, -yy, yy) / (xx + _FLAT))
    return np.sin(angle), np.cos(angle)


def _slope(values: NDArray[np.float64], axis: int) -> NDArray[np.float64]:
    return np.gradient(values, axis=axis) if values.shape[axis] > 1 else np.zeros(values.shape)


def _between(
    values: NDArray[np.float64], ys: NDArray[np.float64], xs: NDArray[np.float64]
) -> NDArray[np.float64]:
    """(K,) bilinear values at places inside or just outside of the picture."""
    from scipy.ndimage import map_coordinates

    return map_coordinates(values, (ys, xs), order=1, mode="nearest")


def _fading(size: int) -> NDArray[np.float64]:
    """(size,) 1 in the middle, falling to 0 over the last five pixels of both ends."""
    place, reach = np.arange(size), max(min(_FADE, size // 2), 1)
    return np.minimum(np.minimum(place, size - 1 - place) / reach, 1) if size > 1 else np.ones(1)


def thin(edges: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Take pixels away from both sides until lines are one pixel wide.

    What is connected stays connected, and no line becomes shorter than its width made it.

    Args:
        edges: (H, W) whether a pixel is of an edge.

    Source: Z. Guo and R. W. Hall 1989, "Parallel thinning with two-subiteration algorithms",
    https://doi.org/10.1145/62065.62074, algorithm A1
    """
    if edges.ndim != 2 or edges.dtype != bool:
        raise ValueError(f"edges must be (H, W) of bool. Got {edges.shape} of {edges.dtype}.")
    framed = np.ascontiguousarray(np.pad(edges, 1), np.uint8)
    width = framed.shape[1]
    flat = framed.ravel()  # a view
    steps = np.array([y * width + x for y, x in _AROUND])
    pixels = np.flatnonzero(flat)
    is_changed = True
    while is_changed:
        is_changed = False
        for table in _removable():
            codes = np.packbits(flat[pixels[:, None] + steps], axis=1, bitorder="little")[:, 0]
            is_removed = table[codes]
            flat[pixels[is_removed]] = 0
            is_changed |= bool(is_removed.any())
            pixels = pixels[~is_removed]
    return framed[1:-1, 1:-1].astype(bool)


@cache
def _removable() -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(256,) whether a pixel with these neighbours goes, in the first and the second pass."""
    codes = np.arange(256)
    east, north_east, north, north_west, west, south_west, south, south_east = (
        (codes >> bit & 1).astype(bool) for bit in range(8)
    )
    around = (east, north_east, north, north_west, west, south_west, south, south_east, east)
    odd, even, after = around[0:8:2], around[1:8:2], around[2:9:2]
    parts = sum((~a & (b | c)).astype(int) for a, b, c in zip(odd, even, after))
    first = sum((a | b).astype(int) for a, b in zip(odd, even))
    second = sum((b | c).astype(int) for b, c in zip(even, after))
    fewest = np.minimum(first, second)
    is_simple = (parts == 1) & (fewest >= 2) & (fewest <= 3)
    return (
        is_simple & ~((north_east | north | ~south_east) & east),
        is_simple & ~((south_west | south | ~north_west) & west),
    )
