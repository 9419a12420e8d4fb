"""Live scores of a training run: argmax decisions, counted in 64-bit integers."""

from typing import Any

import keras  # noqa: TID253
from keras import ops  # noqa: TID253


class ClassScores(keras.metrics.Metric):
    """Accuracy, and precision, recall and F_beta averaged over the classes that define them.

    Keras' own Precision and Recall cut every softmax entry at 0.5 instead of taking the argmax,
    and count in float32, which stops at 2^24. Here a picture counts for the class with the largest
    logit (with one logit: positive if and only if it is >= 0).

    Args:
        n_classes: C.
        beta: beta of the F score; it is logged as `f<beta>`.
    """

    def __init__(self, *, n_classes: int, beta: float = 1.0, name: str = "scores") -> None:
        super().__init__(name=name)
        self.n_classes = n_classes
        self.beta = beta
        self.hits, self.support, self.predicted = (
            self.add_weight(shape=(n_classes,), initializer="zeros", dtype="int64", name=count)
            for count in ("hits", "support", "predicted")
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # noqa: ARG002
        """Count one batch.

        Args:
            y_true: (B, C) one-hot or mixed targets.
            y_pred: (B, C) logits, or (B, 1) for a binary network with one logit.
            sample_weight: not used: counts are counts.
        """
        truth = ops.argmax(y_true, axis=-1)
        if y_pred.shape[-1] == 1:
            decided = ops.cast(y_pred[:, 0] >= 0, truth.dtype)
        else:
            decided = ops.argmax(y_pred, axis=-1)
        truth_hot = ops.one_hot(truth, self.n_classes, dtype="int64")
        decided_hot = ops.one_hot(decided, self.n_classes, dtype="int64")
        self.hits.assign_add(ops.sum(truth_hot * decided_hot, axis=0))
        self.support.assign_add(ops.sum(truth_hot, axis=0))
        self.predicted.assign_add(ops.sum(decided_hot, axis=0))

    def result(self) -> dict[str, Any]:
        """Scalars by log name; an average over no defined class is NaN."""
        hits, support, predicted = (
            ops.cast(count, "float64") for count in (self.hits, self.support, self.predicted)
        )
        square = self.beta**2
        f_score = _mean_ratio((1 + square) * hits, square * support + predicted)
        total = ops.sum(support)
        values = {
            "accuracy": ops.sum(hits) / ops.maximum(total, 1.0),
            "precision": _mean_ratio(hits, predicted),
            "recall": _mean_ratio(hits, support),
            f"f{self.beta:g}": f_score,
        }
        return {name: ops.cast(value, "float32") for name, value in values.items()}

    def get_config(self) -> dict[str, Any]:
        """Settings, for saving."""
        return {"name": self.name, "n_classes": self.n_classes, "beta": self.beta}


def _mean_ratio(above: Any, below: Any) -> Any:
    """Mean of above / below over the classes where `below` is not 0."""
    defined = ops.cast(below > 0, "float64")
    return ops.sum(above / ops.maximum(below, 1.0) * defined) / ops.sum(defined)
