"""Keras layers whose random numbers follow from one seed tensor alone."""

from collections.abc import Callable
from typing import Any

import keras  # noqa: TID253
import tensorflow as tf  # noqa: TID253

Record = dict[str, tf.Tensor]  # what was drawn, each (B,)


class Draws(keras.random.SeedGenerator):
    """A Keras SeedGenerator without state: its n-th seed is a function of `seed` and n only.

    Keras' own keeps its count in a variable, so the numbers a batch gets depend on which thread of
    a parallel `map` comes first, and start over when a run is resumed. Make one per call (or
    trace) of a function: n counts the draws within it.

    Args:
        seed: (2,) integer tensor; another seed gives unrelated numbers.
    """

    def __init__(self, seed: tf.Tensor) -> None:  # the base would make a variable
        self._base = tf.random.stateless_uniform(
            (), seed=seed, minval=None, maxval=None, dtype=tf.int32
        )
        self._count = 0

    def next(self, ordered: bool = True) -> tf.Tensor:  # noqa: ARG002
        """The seed of the next draw, (2,) int32."""
        self._count += 1
        return tf.stack([self._base, self._count])

    def uniform(
        self, shape: tuple, low: float = 0.0, high: float = 1.0, dtype: tf.DType = tf.float32
    ) -> tf.Tensor:
        """Numbers in [low, high)."""
        return tf.random.stateless_uniform(
            shape, seed=self.next(), minval=low, maxval=high, dtype=dtype
        )


def graph_layer(kind: Callable[..., Any], **options: Any) -> Any:
    """A layer for float32 pictures in `tf.data`, whatever Keras' back end and precision are."""
    layer = kind(**options, dtype="float32")
    layer.backend.set_backend("tensorflow")
    return layer
