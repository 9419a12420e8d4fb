"""What predictions decide for each row, and what a reader should know about it.

Shapes: N rows, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import SHOWN
from dnncli.metrics.counts import UNDECIDED, Tie, decide, decide_score, in_precision
from dnncli.predictions import Predictions

DEFAULT_THRESHOLD = 0.5  # of a single score column; positive if and only if score >= threshold

Nan = Literal["error", "positive"]
NAN: tuple[Nan, ...] = ("error", "positive")  # the default comes first

_NAMED = 5  # ids named in a note


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """One decision for each of N rows."""

    classes: NDArray[np.integer]  # (N,) class indices, or UNDECIDED
    tied: NDArray[np.bool_]  # (N,) the highest score belonged to several classes
    threshold: float | None  # the score from which a row is decided for the positive class
    notes: tuple[str, ...]


def decisions_of(
    predictions: Predictions,
    *,
    tie: Tie = "abstain",
    positive: str | None = None,
    threshold: float | None = None,
    nan: Nan = "error",
) -> Decisions:
    """The label, the positive class where its score is enough, or the class with the best score.

    For kind "score", class 0 is the scored class, class 1 the rest, and 0.5 the threshold unless
    one is given. For probabilities with a threshold, the positive class is decided for if and only
    if its score >= threshold, compared in the scores' own precision; else the best of the others.

    Args:
        predictions: not multi-label.
        positive: name of the class that `threshold` and `nan` are about.
        nan: "positive" decides rows that hold NaN for the positive class; else they are undecided.

    Raises:
        ValueError: if there is nothing to decide on, or a threshold without its class.
    """
    if predictions.labels is not None:
        if threshold is not None:
            raise ValueError("labels have no score to compare with a threshold.")
        return _given(predictions, predictions.labels)
    if predictions.probs is None:
        raise ValueError("predictions must hold labels or probs.")
    tied = np.zeros(len(predictions), dtype=bool)
    notes: list[str] = []
    index = 0 if predictions.kind == "score" or positive is None else _index(predictions, positive)
    if predictions.kind == "score":
        if threshold is None:
            threshold = DEFAULT_THRESHOLD
            notes.append(f"Decided for '{predictions.class_names[0]}' where score >= {threshold}.")
        classes: NDArray[np.integer] = decide_score(predictions.probs[:, 0], threshold=threshold)
    elif threshold is not None:
        if positive is None:
            raise ValueError("a threshold needs the name of its class.")
        classes, tied = _from_threshold(predictions.probs, index, threshold=threshold, tie=tie)
    else:
        classes, tied = decide(predictions.probs, tie=tie)
    if tied.any():
        done = "were decided by class order"
        if tie == "abstain":
            done = "count as wrong (undecided); --tie class-order decides them"
        what = f"have their highest score in several classes and {done}"
        notes.append(_rows(predictions, tied, what))
    if nan == "positive" and (missing := np.isnan(predictions.probs).any(axis=1)).any():
        classes[missing] = index
        what = f"hold NaN and count as '{predictions.class_names[index]}'"
        notes.append(_rows(predictions, missing, what, named=SHOWN))
    return Decisions(classes=classes, tied=tied, threshold=threshold, notes=tuple(notes))


def decide_members(predictions: Predictions, *, thresholds: Sequence[float]) -> NDArray[np.bool_]:
    """(N, C) whether each row belongs to each class: if and only if score >= the class's threshold.

    Args:
        predictions: multi-label.
        thresholds: (C,) compared in the scores' own precision.

    Raises:
        ValueError: if there are no scores, or not one threshold for each class.
    """
    if predictions.probs is None or len(thresholds) != predictions.probs.shape[1]:
        raise ValueError("predictions must hold (N, C) probs, and thresholds be (C,).")
    probs = predictions.probs
    return probs >= np.array([in_precision(limit, probs.dtype) for limit in thresholds])


def _given(predictions: Predictions, labels: NDArray[np.integer]) -> Decisions:
    notes: list[str] = []
    if (empty := labels == UNDECIDED).any():
        what = "have no label in the predictions and count as wrong (undecided)"
        notes.append(_rows(predictions, empty, what))
    tied = np.zeros(len(predictions), dtype=bool)
    return Decisions(classes=labels, tied=tied, threshold=None, notes=tuple(notes))


def _index(predictions: Predictions, positive: str) -> int:
    if positive not in predictions.class_names:
        raise ValueError(f"'{positive}' is none of {predictions.class_names}.")
    return predictions.class_names.index(positive)


def _from_threshold(
    probs: NDArray[np.floating], index: int, *, threshold: float, tie: Tie
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Class `index` where its score is enough; else the best of the others, and where that ties."""
    others = np.delete(np.arange(probs.shape[1]), index)
    classes = np.full(len(probs), index, dtype=np.int64)
    tied = np.zeros(len(probs), dtype=bool)
    rest = np.flatnonzero(~(probs[:, index] >= in_precision(threshold, probs.dtype)))
    best, tied[rest] = decide(probs[np.ix_(rest, others)], tie=tie)
    classes[rest] = np.where(best == UNDECIDED, UNDECIDED, others[best])
    return classes, tied


def _rows(
    predictions: Predictions, where: NDArray[np.bool_], what: str, *, named: int = _NAMED
) -> str:
    rows = np.flatnonzero(where)
    some = ", ".join(f"'{predictions.ids[row]}'" for row in rows[:named].tolist())
    more = ", ..." if len(rows) > named else ""
    return f"{len(rows)} of {len(predictions)} rows {what}: {some}{more}."
