"""The moving average of the weights that an optimizer keeps, in the place of the weights.

Keras puts the average into the network when training ends, after the best epoch was chosen. Here
validation, the best epoch and the saved networks all have it.
"""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras  # noqa: TID253
from numpy.typing import NDArray

from dnncli.training import backup


def averages(model: keras.Model) -> list[tuple[Any, Any]]:
    """Each weight that is averaged, with its average; empty if the optimizer keeps none."""
    optimizer = getattr(model.optimizer, "inner_optimizer", model.optimizer)  # loss scaling wraps
    if not getattr(optimizer, "use_ema", False):
        return []
    # Keras names no public place for them; its own SwapEMAWeights reads these two.
    pairs = zip(
        optimizer._trainable_variables,
        optimizer._model_variables_moving_average,
        strict=True,
    )
    return [(weight, average) for weight, average in pairs if average is not None]


def averaged_values(model: keras.Model) -> list[NDArray]:
    """Copies of a network's variables, with the averages for those that are averaged."""
    by_weight = {id(weight): average for weight, average in averages(model)}
    return backup.values([by_weight.get(id(value), value) for value in model.variables])


@contextmanager
def averaged_weights(model: keras.Model) -> Iterator[None]:
    """Let a network have its averages for weights; afterwards its weights again, bit for bit.

    Keras' SwapEMAWeights swaps by adding and subtracting on TensorFlow, which rounds.
    """
    pairs = averages(model)
    weights = backup.values([weight for weight, _ in pairs])
    try:
        for weight, average in pairs:
            # A copy: JAX would let both share one array, and give it away with the weight.
            weight.assign(keras.ops.copy(average))
        yield
    finally:
        for (weight, _), value in zip(pairs, weights, strict=True):
            weight.assign(value)


class ValidateAverages(keras.callbacks.Callback):
    """Validate the averages of the weights instead of the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.swap: AbstractContextManager | None = None

    def on_test_begin(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Put the averages in."""
        self.swap = averaged_weights(self.model)
        self.swap.__enter__()

    def on_test_end(self, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Put the weights back."""
        if self.swap is not None:
            self.swap.__exit__(None, None, None)
            self.swap = None
