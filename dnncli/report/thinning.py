"""Fewer points of a curve, chosen so that the eye and the area under it see no difference.

Shapes: T thresholds.
"""

from dataclasses import dataclass, replace

import numpy as np

from dnncli.metrics.curves import Curve, average_precision, roc_auc

POINTS = 100_000  # kept of all curves of an evaluation together
_LEAST_POINTS = 200  # kept of one curve, however many classes there are


@dataclass(frozen=True, kw_only=True)
class ClassCurve:
    """The curve of one class as files and pictures show it; areas are those of all its points."""

    points: Curve  # perhaps thinned
    n_points: int  # before it was thinned
    average_precision: float  # NaN without a positive row
    roc_auc: float  # NaN without a positive or without a negative row


def class_curve(curve: Curve, *, n_classes: int) -> ClassCurve:
    """A curve with its areas, in so few points that the curves of all classes fit into memory.

    Up to 100,000 points of all classes together are kept, and at least 200 of each.
    """
    return ClassCurve(
        points=thinned(curve, limit=max(_LEAST_POINTS, POINTS // n_classes)),
        n_points=len(curve.thresholds),
        average_precision=average_precision(curve),
        roc_auc=roc_auc(curve),
    )


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
