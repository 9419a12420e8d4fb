"""Live scores of the training of a network of masks: decided pixels, counted in 64-bit integers."""

from typing import Any

import keras  # noqa: TID253
from keras import ops  # noqa: TID253

from dnncli.data.dataset import NO_CLASS


@keras.saving.register_keras_serializable("dnncli")
class PixelScores(keras.metrics.Metric):
    """Accuracy of all pixels; precision, recall, F_beta and IoU of the classes but the background.

    Counts are pooled over all pictures, never averaged over them. With more than two classes a
    score is the mean over the classes that define it; of none it is NaN. A pixel counts for the
    class with the largest logit (with one logit: for the second if and only if it is >= 0).

    Args:
        n_classes: C.
        beta: beta of the F score; it is logged as `f<beta>`.
        first: index of the first class that counts; those below are background.
    """

    def __init__(
        self,
        *,
        n_classes: int,
        beta: float = 1.0,
        first: int = 1,
        name: str = "scores",
        dtype: Any = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        self.n_classes = n_classes
        self.first = first
        self.beta = beta
        self.hits, self.support, self.predicted = (
            self.add_weight(shape=(n_classes,), initializer="zeros", dtype="int64", name=count)
            for count in ("hits", "support", "predicted")
        )

    def update_state(self, y_true: Any, y_pred: Any, sample_weight: Any = None) -> None:  # noqa: ARG002
        """Count one batch.

        Args:
            y_true: (B, H, W) class indices; pixels with 255 are not counted.
            y_pred: (B, H, W, M * K) logits; the last K, 1 of two classes and else C, decide.
            sample_weight: not used: counts are counts.
        """
        truth = ops.cast(y_true, "int32")
        if self.n_classes == 2:
            decided = ops.cast(y_pred[..., -1] >= 0, "int32")
        else:
            decided = ops.cast(ops.argmax(y_pred[..., -self.n_classes :], axis=-1), "int32")
        decided = ops.where(truth == NO_CLASS, self.n_classes, decided)  # of no class either
        truth_hot = ops.one_hot(ops.minimum(truth, self.n_classes), self.n_classes, dtype="float32")
        decided_hot = ops.one_hot(decided, self.n_classes, dtype="float32")
        self.hits.assign_add(_count(truth_hot * decided_hot))
        self.support.assign_add(_count(truth_hot))
        self.predicted.assign_add(_count(decided_hot))

    def result(self) -> dict[str, Any]:
        """Scalars by log name."""
        hits, support, predicted = (
            ops.cast(count, "float64") for count in (self.hits, self.support, self.predicted)
        )
        accuracy = ops.sum(hits) / ops.sum(support)
        hits, support, predicted = (count[self.first :] for count in (hits, support, predicted))
        square = self.beta**2
        values = {
            "accuracy": accuracy,
            "precision": _mean_ratio(hits, predicted),
            "recall": _mean_ratio(hits, support),
            f"f{self.beta:g}": _mean_ratio((1 + square) * hits, square * support + predicted),
            "iou": _mean_ratio(hits, support + predicted - hits),
        }
        return {name: ops.cast(value, "float32") for name, value in values.items()}

    def get_config(self) -> dict[str, Any]:
        """Settings, for saving."""
        own = {"n_classes": self.n_classes, "beta": self.beta, "first": self.first}
        return {**super().get_config(), **own}


def _count(hot: Any) -> Any:
    """(C,) int64 sums of (B, H, W, C) zeros and ones, exact beyond what float32 can count."""
    return ops.sum(ops.cast(ops.sum(hot, axis=2), "int64"), axis=(0, 1))


def _mean_ratio(above: Any, below: Any) -> Any:
    """Mean of above / below over the classes where `below` is not 0."""
    defined = ops.cast(below > 0, "float64")
    return ops.sum(above / ops.maximum(below, 1.0) * defined) / ops.sum(defined)
