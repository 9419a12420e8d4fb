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


def closest_pairs(pairs: "csr_array") -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of all largest sets of pairs, one with the least sum of distances.

    As an assignment problem of P + R rows and columns: a pixel without a partner is assigned to a
    column, or a row, of its own, which costs more than all pairs together could save; what is left
    of these own ones costs nothing wherever there is a pair. Solved by Jonker and Volgenant's
    algorithm for sparse costs: SciPy's solvers need up to a thousand times as long for the chains
    that the pixels of an edge make (docs/log.md).

    Args:
        pairs: (P, R) as `near_pairs` gives them.

    Returns:
        Rows and columns of the pairs.

    Source: R. Jonker and A. Volgenant 1987, "A shortest augmenting path algorithm for dense and
    sparse linear assignment problems", https://doi.org/10.1007/BF02278710
    """
    nothing = np.zeros(0, np.int64)
    if not pairs.nnz:
        return nothing, nothing
    import lap
    from scipy.sparse import block_array, csr_array, diags_array

    n_rows, n_columns = pairs.shape
    alone = float(pairs.data.max()) * (min(pairs.shape) + 1)
    costs = block_array(
        [
            [pairs, diags_array(np.full(n_rows, alone))],
            [diags_array(np.full(n_columns, alone)), csr_array(pairs.T)],
        ],
        format="csr",
    )
    costs.sort_indices()
    rows = np.repeat(np.arange(costs.shape[0]), np.diff(costs.indptr))
    costs.data[(rows >= n_rows) & (costs.indices >= n_columns)] = 0
    partner, _ = lap.lapmod(
        costs.shape[0], costs.data, costs.indptr, costs.indices, return_cost=False
    )
    chosen = np.flatnonzero(partner[:n_rows] < n_columns)
    return chosen, partner[chosen].astype(np.int64)
