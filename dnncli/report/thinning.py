"""Fewer points of a curve, chosen so that the eye and the area under it see no difference.

Shapes: T thresholds.
"""

from dataclasses import replace

import numpy as np

from dnncli.metrics.curves import Curve


def thinned(curve: Curve, *, limit: int) -> Curve:
    """At most `limit` of a curve's points, each of them exact; both ends are kept.

    Half of the points are spread evenly along the ROC curve, half evenly in the logarithm of the
    flagged rows: there precision changes fastest where few rows are flagged. At 2,000 points the
    areas under the curves change by less than 0.002.

    Args:
        limit: of points, >= 4.

    Raises:
        ValueError: if the limit is too small.
    """
    if limit < 4:
        raise ValueError(f"limit must be at least 4. Got {limit}.")
    if len(curve.thresholds) <= limit:
        return curve
    flagged = (curve.tp + curve.fp).astype(np.float64)
    along = curve.tp / max(curve.positives, 1e-300) + curve.fp / max(curve.negatives, 1e-300)
    decades = np.log(np.maximum(flagged, flagged[flagged > 0][0]))  # rows of weight 0 flag nothing
    spread = [
        np.searchsorted(steps, np.linspace(steps[0], steps[-1], limit // 2))
        for steps in (along, decades)
    ]
    kept = np.unique([*spread[0], *spread[1], len(flagged) - 1])  # both hold the first point
    return replace(curve, thresholds=curve.thresholds[kept], tp=curve.tp[kept], fp=curve.fp[kept])
