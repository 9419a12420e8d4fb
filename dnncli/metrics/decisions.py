"""What predictions decide for each row, and what a reader should know about it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.counts import UNDECIDED, Tie, decide, decide_score
from dnncli.predictions import Predictions

DEFAULT_THRESHOLD = 0.5  # of a single score column; positive if and only if score >= threshold

_NAMED = 5  # ids named in a note


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """One decision for each of N rows."""

    classes: NDArray[np.integer]  # (N,) class indices, or UNDECIDED
    tied: NDArray[np.bool_]  # (N,) the highest score belonged to several classes
    threshold: float | None  # of kind "score"
    notes: tuple[str, ...]


def decisions_of(predictions: Predictions, *, tie: Tie = "abstain") -> Decisions:
    """The label, the class with the highest probability, or class 0 where its score is enough.

    For kind "score", class 0 is the scored class and class 1 the rest.
    """
    tied = np.zeros(len(predictions), dtype=bool)
    notes: list[str] = []
    threshold = None
    if predictions.labels is not None:
        classes: NDArray[np.integer] = predictions.labels
        if (empty := classes == UNDECIDED).any():
            what = "have no label in the predictions and count as wrong (undecided)"
            notes.append(_rows(predictions, empty, what))
    elif predictions.probs is None:
        raise ValueError("predictions must hold labels or probs.")
    elif predictions.kind == "score":
        threshold = DEFAULT_THRESHOLD
        classes = decide_score(predictions.probs[:, 0], threshold=threshold)
        notes.append(f"Decided for '{predictions.class_names[0]}' where score >= {threshold}.")
    else:
        classes, tied = decide(predictions.probs, tie=tie)
        if tied.any():
            done = "were decided by class order"
            if tie == "abstain":
                done = "count as wrong (undecided); --tie class-order decides them"
            what = f"have their highest score in several classes and {done}"
            notes.append(_rows(predictions, tied, what))
    return Decisions(classes=classes, tied=tied, threshold=threshold, notes=tuple(notes))


def _rows(predictions: Predictions, where: NDArray[np.bool_], what: str) -> str:
    rows = np.flatnonzero(where)
    some = ", ".join(f"'{predictions.ids[row]}'" for row in rows[:_NAMED])
    more = ", ..." if len(rows) > _NAMED else ""
    return f"{len(rows)} of {len(predictions)} rows {what}: {some}{more}."
