"""The gradient of a convolution by its input: TensorFlow's kernel, and as a convolution.

    python benchmarks/gradients.py

In turns, medians of five; float32, padding "same".
"""

import os
import time
from collections.abc import Callable
from statistics import median
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf  # noqa: TID253
import turns

from dnncli.networks.gradients import input_gradient

_SHAPES = (  # pictures, pixels a side, channels in and out, kernel, stride
    *((64, 28, 32, 32, 3, 1), (64, 14, 64, 64, 3, 1), (64, 7, 64, 128, 3, 1)),
    *((64, 8, 128, 128, 3, 1), (64, 4, 256, 256, 3, 1), (64, 2, 512, 512, 3, 1)),
    *((16, 56, 64, 64, 3, 1), (16, 14, 256, 256, 3, 1), (16, 7, 512, 512, 3, 1)),
    *((16, 14, 1024, 256, 1, 1), (16, 7, 512, 2048, 1, 1), (8, 64, 128, 128, 3, 1)),
    *((64, 4, 256, 512, 3, 2), (64, 7, 128, 128, 3, 2), (64, 8, 128, 256, 3, 2)),
    *((64, 14, 64, 64, 3, 2), (64, 16, 64, 128, 3, 2)),
)


def main() -> None:
    """Print the table."""
    rows = []
    for shape in _SHAPES:
        theirs, ours = _both(*shape)
        rows.append((", ".join(map(str, shape)), theirs, ours, theirs / ours))
    head = ("B, pixels, in, out, kernel, stride", "Conv2DBackpropInput, ms", "ours, ms", "ratio")
    turns.report("gradients", head, rows)


def _both(
    pictures: int, side: int, channels: int, filters: int, kernel: int, stride: int
) -> tuple[float, float]:
    """Milliseconds of TensorFlow's kernel, and of the convolution."""
    weights = tf.random.normal((kernel, kernel, channels, filters))
    made = -(-side // stride)
    dy = tf.random.normal((pictures, made, made, filters))

    @tf.function
    def theirs(weights: Any, dy: Any) -> Any:
        return tf.raw_ops.Conv2DBackpropInput(
            input_sizes=(pictures, side, side, channels),
            filter=weights,
            out_backprop=dy,
            strides=(1, stride, stride, 1),
            padding="SAME",
        )

    @tf.function
    def ours(weights: Any, dy: Any) -> Any:
        return input_gradient(dy, weights, size=(side, side), stride=stride, same=True)

    took: dict[Callable, list[float]] = {theirs: [], ours: []}
    for turn in range(6):
        for function, seconds in took.items():
            began = time.perf_counter()
            function(weights, dy).numpy()
            if turn:  # the first traces
                seconds.append(time.perf_counter() - began)
    return 1000 * median(took[theirs]), 1000 * median(took[ours])


if __name__ == "__main__":
    main()
