"""Matches pixels of predicted edges with pixels of true edges, one to one.

Shapes: P predicted pixels, R true pixels, H and W in pixels.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from scipy.sparse import csr_array


def match(
    predicted: NDArray[np.bool_], truth: NDArray[np.bool_], *, max_distance: float
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """As many pairs of a predicted and a true pixel as possible; of these, the closest.

    Every pixel is in one pair at most, and the two are at most `max_distance` apart.

    Args:
        predicted: (H, W) whether a pixel is of a predicted edge.
        truth: (H, W) the same of true edges.
        max_distance: in pixels, >= 0.

    Returns:
        (H, W) the predicted pixels that have a partner, and the true ones that have.

    Source: D. Martin, C. Fowlkes and J. Malik 2004, "Learning to Detect Natural Image Boundaries",
    https://doi.org/10.1109/TPAMI.2004.1273918
    """
    if predicted.shape != truth.shape or predicted.ndim != 2:
        raise ValueError(
            f"edges must be (H, W) of one shape. Got {predicted.shape} and {truth.shape}."
        )
    places, true_places = np.argwhere(predicted), np.argwhere(truth)
    rows, columns = closest_pairs(near_pairs(places, true_places, max_distance=max_distance))
    matched, found = np.zeros(predicted.shape, bool), np.zeros(truth.shape, bool)
    matched[tuple(places[rows].T)] = True
    found[tuple(true_places[columns].T)] = True
    return matched, found


def near_pairs(
    places: NDArray[np.integer], true_places: NDArray[np.integer], *, max_distance: float
) -> "csr_array":
    """All pairs of pixels that may be matched.

    Args:
        places: (P, 2) predicted pixels.
        true_places: (R, 2) true pixels.
        max_distance: in pixels.

    Returns:
        (P, R) sparse: distance in pixels + 1, as sparse graphs have no edge of weight 0.
    """
    from scipy.sparse import csr_array
    from scipy.spatial import cKDTree

    shape = (len(places), len(true_places))
    if not all(shape):
        return csr_array(shape)
    pairs = cKDTree(places).sparse_distance_matrix(
        cKDTree(true_places), max_distance, output_type="ndarray"
    )
    return csr_array((pairs["v"] + 1, (pairs["i"], pairs["j"])), shape=shape)


def count_pairs(pairs: "csr_array") -> int:
    """How many pairs there are at most if every pixel is in one at most."""
    return int((_largest(pairs) >= 0).sum())


def closest_pairs(pairs: "csr_array") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of all largest sets of pairs, one with the least sum of distances.

    The shortest way to it: any largest set says which predicted pixels compete for true ones that
    are too few (A), and that in all others (B) every pixel finds a partner. No largest set pairs
    a pixel of A's competition with a true one outside of it, nor the reverse (Dulmage and
    Mendelsohn). So A and B are separate problems in which one side is matched altogether, for
    which there are fast sparse solvers.

    Args:
        pairs: (P, R) as `near_pairs` gives them.

    Returns:
        Rows and columns of the pairs.

    Source: A. Dulmage and N. Mendelsohn 1958, "Coverings of bipartite graphs",
    https://doi.org/10.4153/CJM-1958-052-0
    """
    from scipy.sparse.csgraph import min_weight_full_bipartite_matching

    competes = _competing(pairs, _largest(pairs))
    wanted = np.zeros(pairs.shape[1], bool)
    wanted[pairs[np.flatnonzero(competes)].indices] = True
    rows, columns = [], []
    for is_row, is_column in ((competes, wanted), (~competes, ~wanted)):
        places, true_places = np.flatnonzero(is_row), np.flatnonzero(is_column)
        if len(places) and len(true_places):
            part = pairs[places][:, true_places]
            row, column = min_weight_full_bipartite_matching(part)
            rows.append(places[row])
            columns.append(true_places[column])
    return np.concatenate([*rows, []]).astype(int), np.concatenate([*columns, []]).astype(int)


def _largest(pairs: "csr_array") -> NDArray[np.integer]:
    """(P,) the column that each row is paired with in some largest set of pairs, or -1."""
    from scipy.sparse.csgraph import maximum_bipartite_matching

    return maximum_bipartite_matching(pairs, perm_type="column")


def _competing(pairs: "csr_array", partner: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(P,) rows that some largest set of pairs leaves out.

    These are the rows without a partner, those whose partners they could have, and so on.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import breadth_first_order

    size = len(partner)
    nobody, start = size, size + 1  # nodes besides the rows
    holder = np.full(pairs.shape[1], nobody)
    is_paired = partner >= 0
    holder[partner[is_paired]] = np.flatnonzero(is_paired)
    alone = np.flatnonzero(~is_paired)
    ends = [*pairs.indptr, pairs.nnz, pairs.nnz + len(alone)]
    targets = np.concatenate([holder[pairs.indices], alone])
    graph = csr_array((np.ones(len(targets), np.int8), targets, ends), shape=(size + 2, size + 2))
    reached = breadth_first_order(graph, start, return_predecessors=False)
    competes = np.zeros(size + 2, bool)
    competes[reached] = True
    return competes[:size]
