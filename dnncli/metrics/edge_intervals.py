"""How far scores of edge maps can be off by chance: whole pictures are drawn again.

Shapes: N pictures, T thresholds, B draws.
"""

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.report import Interval

FEWEST = 10  # pictures; of fewer, draws are too much alike to say anything

_DRAWS = 2000


def edge_intervals(
    count_r: NDArray[np.int64],
    sum_r: NDArray[np.int64],
    count_p: NDArray[np.int64],
    sum_p: NDArray[np.int64],
    *,
    best: NDArray[np.int64],
    confidence: float,
    seed: int = 0,
) -> dict[str, Interval] | None:
    """Percentile bootstrap intervals of ODS (of the T thresholds themselves) and OIS.

    Args:
        count_r: (N, T), as are the other counts; see `edge_scores`.
        sum_r: true pixels.
        count_p: predicted pixels with a partner.
        sum_p: predicted pixels.
        best: (N,) the best threshold of each picture.
        confidence: in (0, 1).
        seed: of the draws.

    Returns:
        "ods" and "ois"; None for fewer than 10 pictures or where nothing is true.

    Source: B. Efron 1979, "Bootstrap Methods: Another Look at the Jackknife",
    https://doi.org/10.1214/aos/1176344552
    """
    size = len(best)
    if size < FEWEST or not sum_r.any():
        return None
    times = np.random.default_rng(seed).multinomial(size, np.full(size, 1 / size), size=_DRAWS)
    parts = (count_r, sum_r, count_p, sum_p)
    of_all = _f(*(times @ part for part in parts)).max(axis=1)
    own = (part[np.arange(size), best] for part in parts)
    of_each = _f(*(times @ part for part in own))
    ends = (1 - confidence) / 2, (1 + confidence) / 2
    return {
        name: (float(low), float(high))
        for name, (low, high) in (
            ("ods", np.quantile(of_all, ends)),
            ("ois", np.quantile(of_each, ends)),
        )
    }


def _f(
    count_r: NDArray[np.int64],
    sum_r: NDArray[np.int64],
    count_p: NDArray[np.int64],
    sum_p: NDArray[np.int64],
) -> NDArray[np.float64]:
    """F, 0 where nothing fits."""
    recall, precision = count_r / np.maximum(sum_r, 1), count_p / np.maximum(sum_p, 1)
    total = recall + precision
    return 2 * recall * precision / np.where(total > 0, total, 1)
