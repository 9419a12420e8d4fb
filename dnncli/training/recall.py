"""Precision at the recall that must be reached, on the validation rows after every epoch."""

from collections.abc import Callable

import keras  # noqa: TID253
import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnncli.metrics import curves, thresholds
from dnncli.training.averaging import averaged_weights

PRECISION_AT_RECALL = "val_precision_at_recall"
AVERAGE_PRECISION = "val_average_precision"


def recall_scores(
    is_positive: ArrayLike, scores: NDArray[np.floating], *, recall: thresholds.Share
) -> dict[str, float]:
    """How well scores rank one class, by log name.

    Args:
        is_positive: (N,) whether a row is of the class.
        scores: (N,) of the class.
        recall: share of the positives that must be found, in (0, 1].

    Returns:
        The best precision among all thresholds that reach the recall, and the step-wise average
        precision. Both NaN without a positive row, or where a score is no number.
    """
    truth = np.asarray(is_positive, dtype=bool)
    best = None
    if np.isfinite(scores).all():
        curve = curves.curve(truth, scores)
        best = thresholds.max_precision(curve, recall=recall)
    if best is None:
        return dict.fromkeys((PRECISION_AT_RECALL, AVERAGE_PRECISION), float("nan"))
    return {
        PRECISION_AT_RECALL: best.precision,
        AVERAGE_PRECISION: float(curves.average_precision(curve)),
    }


class RecallJudge(keras.callbacks.Callback):
    """Adds `recall_scores` of the validation rows to the logs of every validated epoch.

    Keras' PrecisionAtRecall looks at 200 thresholds, evenly spaced in [0, 1]; here every score is
    one. Must come before the callbacks that read the scores.

    Args:
        predict: gives the (N,) scores of the validation rows by the network as it is now.
        is_positive: (N,) whether each of these rows is of the class.
        recall: share of the positives that must be found, in (0, 1].
    """

    def __init__(
        self,
        predict: Callable[[], NDArray[np.floating]],
        is_positive: NDArray[np.bool_],
        *,
        recall: thresholds.Share,
    ) -> None:
        super().__init__()
        self.predict = predict
        self.is_positive = is_positive
        self.recall = recall

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Score the epoch, unless it was not validated."""
        if logs is None or "val_loss" not in logs:
            return
        with averaged_weights(self.model):
            scores = self.predict()
        logs.update(recall_scores(self.is_positive, scores, recall=self.recall))
