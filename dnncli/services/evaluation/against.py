"""`--against`: another model on the same rows, compared row by row."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.paired import difference, mcnemar


@dataclass(frozen=True, kw_only=True)
class Paired:
    """One share of two models on the same rows: how far they are apart, and whether by chance."""

    n: int  # rows compared
    value: float  # of this model; NaN without rows
    other: float
    difference: float  # value - other
    interval: list[float] | None  # of the difference
    only_this: int  # rows that only this model has right
    only_other: int
    p_value: float  # exact McNemar, two-sided; NaN without rows


@dataclass(frozen=True, kw_only=True)
class Against:
    """Comparison with another model; every row counts as one."""

    target: str
    confidence: float
    accuracy: Paired
    recall: Paired | None  # of the positive class; None without one


def compare(
    labels: NDArray[np.integer],
    decided: NDArray[np.integer],
    other: NDArray[np.integer],
    *,
    target: str,
    positive: int | None,
    confidence: float,
) -> Against:
    """Compare two models' decisions on the same rows.

    Args:
        labels: (N,) true class indices.
        decided: (N,) decisions of this model.
        other: (N,) decisions of the other one.
        target: name of the other one.
        positive: index of the positive class.
        confidence: of the intervals, in (0, 1).
    """
    right, other_right = decided == labels, other == labels
    members = None if positive is None else labels == positive
    return Against(
        target=target,
        confidence=confidence,
        accuracy=_paired(right, other_right, confidence=confidence),
        recall=None
        if members is None
        else _paired(right[members], other_right[members], confidence=confidence),
    )


def _paired(right: NDArray[np.bool_], other: NDArray[np.bool_], *, confidence: float) -> Paired:
    n = len(right)
    only_this, only_other = int((right & ~other).sum()), int((other & ~right).sum())
    apart = difference(only_this, only_other, n, confidence=confidence)
    return Paired(
        n=n,
        value=float(right.mean()) if n else float("nan"),
        other=float(other.mean()) if n else float("nan"),
        difference=apart.difference,
        interval=[apart.low, apart.high] if n else None,
        only_this=only_this,
        only_other=only_other,
        p_value=mcnemar(only_this, only_other) if n else float("nan"),
    )
