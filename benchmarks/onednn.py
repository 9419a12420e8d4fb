"""A convolution and its two gradients with TensorFlow's own kernels and with oneDNN's.

    python benchmarks/onednn.py [--rounds 3]

Float32, padding "same". The choice is made when TensorFlow starts, so every turn is a process.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Any

import turns

# Pictures, pixels a side, channels in and out, kernel, stride.
_SHAPES = (
    (64, 14, 32, 64, 3, 1),
    (64, 7, 64, 128, 3, 1),
    (64, 14, 64, 64, 3, 2),
    (64, 7, 128, 128, 3, 2),
    (64, 16, 64, 64, 3, 1),
    (64, 8, 128, 128, 3, 1),
    (64, 4, 256, 256, 3, 1),
    (64, 2, 512, 512, 3, 1),
    (16, 56, 64, 64, 3, 1),
    (16, 14, 256, 256, 3, 1),
    (16, 14, 1024, 256, 1, 1),
)
_KINDS = ("convolution", "gradient by input", "gradient by filters")


def main() -> None:
    """Print the table, or be one of the contenders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turn", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.turn:
        print(json.dumps({f"{shape} {kind}": ms for shape in _SHAPES for kind, ms in _turn(shape)}))
        return
    command = [sys.executable, __file__, "--turn"]
    took = turns.alternate(
        {
            name: partial(turns.run, command, env={"TF_ENABLE_ONEDNN_OPTS": name})
            for name in ("0", "1")
        },
        rounds=asked.rounds,
    )
    rows = []
    for shape in _SHAPES:
        cells = []
        for kind in _KINDS:
            off, on = (took[name][f"{shape} {kind}"] for name in ("0", "1"))
            cells += [on, off / on]
        rows.append([", ".join(map(str, shape)), *cells])
    columns = [cell for kind in _KINDS for cell in (f"{kind}, ms", "own / oneDNN")]
    turns.report("onednn", ("B, pixels a side, in, out, kernel, stride", *columns), rows)


def _turn(shape: tuple[int, ...]) -> list[tuple[str, float]]:
    import tensorflow as tf

    count, side, channels, filters, kernel, stride = shape
    steps = (1, stride, stride, 1)
    x = tf.random.normal((count, side, side, channels))
    w = tf.random.normal((kernel, kernel, channels, filters))
    dy = tf.random.normal((count, -(-side // stride), -(-side // stride), filters))
    made = (
        lambda: tf.nn.conv2d(x, w, stride, "SAME"),
        lambda: tf.raw_ops.Conv2DBackpropInput(
            input_sizes=x.shape, filter=w, out_backprop=dy, strides=steps, padding="SAME"
        ),
        lambda: tf.raw_ops.Conv2DBackpropFilter(
            input=x, filter_sizes=w.shape, out_backprop=dy, strides=steps, padding="SAME"
        ),
    )
    return [(kind, _milliseconds(tf.function(call))) for kind, call in zip(_KINDS, made)]


def _milliseconds(call: Callable[[], Any]) -> float:
    for _ in range(3):
        call()
    times = []
    for _ in range(10):
        began = time.perf_counter()
        call().numpy()
        times.append(time.perf_counter() - began)
    return 1000 * median(times)


if __name__ == "__main__":
    main()
