"""Every row that was decided wrongly, the worst first.

Ids and class names stand in these tables exactly as they are, so that they can be joined.

Shapes: N rows, C classes, M mistakes.
"""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.counts import UNDECIDED, in_precision
from dnncli.predictions import Predictions

if TYPE_CHECKING:
    import polars as pl


def missed_and_false_alarms(
    predictions: Predictions,
    truth: Predictions,
    decisions: NDArray,
    *,
    positive: str,
    threshold: float | None,
) -> tuple["pl.DataFrame", "pl.DataFrame"]:
    """The rows of the positive class that were not decided for it, and the others that were.

    `distance` >= 0 says how wrong the score was: how far from the threshold, or, where the class
    with the best score is decided for, from the best score of the other classes. Without scores
    (hard labels) it is empty, as is the threshold where there is none.

    Args:
        predictions: with the rows and classes of the truth.
        truth: of N rows.
        decisions: (N,) class indices or UNDECIDED; multi-label: (N, C) bool.
        positive: one of the classes.
        threshold: on the score of the positive class; for one score column, on that column.

    Returns:
        Two tables id, truth, decision, score, threshold, distance; the largest distance comes
        first, equal ones by id.
    """
    index = truth.class_names.index(positive)
    is_positive, is_flagged = against_rest(truth, decisions, index)
    return tuple(  # type: ignore[return-value]
        _distances(
            predictions, truth, decisions, np.flatnonzero(where), index=index, threshold=threshold
        )
        for where in (is_positive & ~is_flagged, ~is_positive & is_flagged)
    )


def against_rest(
    truth: Predictions, decisions: NDArray, index: int
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """(N,) which rows belong to a class, and which were decided for it."""
    if truth.members is not None:
        return truth.members[:, index], decisions[:, index]
    return np.asarray(truth.labels) == index, decisions == index


def mistakes(predictions: Predictions, truth: Predictions, decisions: NDArray) -> "pl.DataFrame":
    """All wrong decisions: id, truth, decision, score_truth, score_decision, row.

    Those whose truth had the lowest score come first, equal ones by id. An undecided row has no
    decision. A score column of one class against the rest counts as 1 - score for the rest. In
    multi-label tables every wrong pair of row and class is a mistake of its own, and the decision
    against a class is called "not" and its name.

    Args:
        predictions, truth, decisions: as in `missed_and_false_alarms`.
    """
    import polars as pl

    if truth.members is not None:
        rows, columns = np.nonzero(truth.members != decisions)
    else:
        rows = np.flatnonzero(truth.labels != decisions)
        columns = np.zeros(len(rows), np.int64)
    true, decided = _pairs(truth, decisions, rows, columns)
    table = pl.DataFrame(
        {
            "id": truth.ids.gather(rows),
            "truth": _names(truth, true),
            "decision": _names(truth, decided),
            "score_truth": _scores(predictions, rows, true),
            "score_decision": _scores(predictions, rows, decided),
            "row": rows,
        }
    )
    return table.fill_nan(None).sort(["score_truth", "id"], nulls_last=True)


def _pairs(
    truth: Predictions, decisions: NDArray, rows: NDArray[np.int64], columns: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(M,) truth and decision of each mistake: a class, C + a class for "not", or UNDECIDED."""
    if truth.members is None:
        return np.asarray(truth.labels)[rows].astype(np.int64), decisions[rows].astype(np.int64)
    against = columns + len(truth.class_names)
    is_member = truth.members[rows, columns]
    return np.where(is_member, columns, against), np.where(is_member, against, columns)


def _names(truth: Predictions, codes: NDArray[np.int64]) -> "pl.Series":
    import polars as pl

    names = [*truth.class_names, *(f"not {name}" for name in truth.class_names), None]
    return pl.Series(names, dtype=pl.String).gather(codes % len(names))  # UNDECIDED: the last


def _scores(
    predictions: Predictions, rows: NDArray[np.int64], codes: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(M,) the score that a row gave to the class of a code; NaN without a score."""
    if predictions.probs is None:
        return np.full(len(rows), np.nan)
    n_columns = predictions.probs.shape[1]
    scores = predictions.probs[rows, codes % n_columns].astype(np.float64)
    scores = np.where(codes < n_columns, scores, 1 - scores)
    return np.where(codes == UNDECIDED, np.nan, scores)


def _distances(
    predictions: Predictions,
    truth: Predictions,
    decisions: NDArray,
    rows: NDArray[np.int64],
    *,
    index: int,
    threshold: float | None,
) -> "pl.DataFrame":
    """The table of `rows`, which were wrongly decided about class `index`."""
    import polars as pl

    columns = np.full(len(rows), index)
    true, decided = _pairs(truth, decisions, rows, columns)
    scores = _scores(predictions, rows, columns)
    boundary = _best_other(predictions, rows, index)
    limit = np.full(len(rows), np.nan)
    if threshold is not None and predictions.probs is not None:
        # The threshold as it was compared: in the precision of the scores.
        exact = float(in_precision(threshold, predictions.probs.dtype))
        is_rest = predictions.probs.shape[1] == 1 and index == 1
        boundary = limit = np.full(len(rows), 1 - exact if is_rest else exact)
    table = pl.DataFrame(
        {
            "id": truth.ids.gather(rows),
            "truth": _names(truth, true),
            "decision": _names(truth, decided),
            "score": scores,
            "threshold": limit,
            "distance": np.abs(scores - boundary),
        }
    )
    return table.fill_nan(None).sort(["distance", "id"], descending=[True, False], nulls_last=True)


def _best_other(
    predictions: Predictions, rows: NDArray[np.int64], index: int
) -> NDArray[np.float64]:
    """(M,) the highest score of another class than `index`; NaN if there is none."""
    if predictions.probs is None or predictions.probs.shape[1] == 1:
        return np.full(len(rows), np.nan)
    others = np.delete(predictions.probs[rows], index, axis=1)
    return others.max(axis=1).astype(np.float64)
