"""Brightness, gain and contrast of 8-bit pictures in a row, done as one table for each picture.

What such steps make of a pixel depends on its value alone, and there are 256 of these: the steps
are done to a table of all values, and each picture is looked up in its table once. That rounds no
more than doing them one by one in float32.

Shapes: B pictures of height H, width W and C channels.
"""

from collections.abc import Callable, Sequence
from typing import Any

import keras  # noqa: TID253
import numpy as np
import tensorflow as tf  # noqa: TID253
from numpy.typing import NDArray

from dnncli.augmentation.parts import Part, both, named
from dnncli.augmentation.seeds import Draws, Record, graph_layer
from dnncli.augmentation.steps import Step
from dnncli.data.opencv import aligned, opencv

TONES = ("brightness", "gain", "contrast")
_VALUES = 256

Draw = Callable[[tf.Tensor, Draws], tf.Tensor]  # images -> what was drawn, (B, 1, 1, 1)


def tones(members: Sequence[tuple[str, Step, Part]], *, value_range: tuple[float, float]) -> Part:
    """One part for neighbouring steps of `TONES`: name, step and its own part, for floats, of each.

    Pictures become float32.
    """
    drawing = [(name, step.name, _draw_of(step, value_range)) for name, step, _ in members]

    def part(images: tf.Tensor, targets: tf.Tensor, draws: Draws) -> tuple:
        record: Record = {}
        if images.dtype != tf.uint8:
            for _, _, own in members:
                images, targets, drawn = own(images, targets, draws)
                record |= drawn
            return images, targets, record
        amounts = []
        for name, kind, draw in drawing:
            amounts.append(tf.reshape(draw(images, draws), (-1,)))
            record |= named(name, {_RECORDED[kind]: amounts[-1]})
        kinds = tuple(kind for _, kind, _ in drawing)
        changed = tf.numpy_function(
            lambda pixels, drawn: toned(pixels, kinds, drawn, value_range=value_range),
            [images, tf.stack(amounts)],
            tf.float32,
            stateful=False,
        )
        return tf.ensure_shape(changed, images.shape), targets, record

    return part


def toned(
    images: NDArray[np.uint8],
    kinds: Sequence[str],
    amounts: NDArray[np.floating],
    *,
    value_range: tuple[float, float],
) -> NDArray[np.float32]:
    """Pictures after steps of `TONES`, each cut off at the range of the values.

    Args:
        images: (B, H, W, C).
        kinds: names of the S steps.
        amounts: (S, B); brightness adds it, gain multiplies what lies above black by it, contrast
            multiplies the distance to the mean of the picture, by channel, by it.
        value_range: black and white.

    Returns:
        (B, H, W, C).
    """
    cv2 = opencv()
    tables = _tables(images, kinds, amounts, value_range)
    out = aligned(images.shape, np.float32)
    for picture, table, into in zip(images, tables, out, strict=True):
        cv2.LUT(picture, table, dst=into)
    return out


def _tables(
    images: NDArray[np.uint8],
    kinds: Sequence[str],
    amounts: NDArray[np.floating],
    value_range: tuple[float, float],
) -> NDArray[np.float32]:
    """(B, 256, 1, C) what becomes of each value."""
    black, white = value_range
    channels = images.shape[3]
    values = np.arange(_VALUES, dtype=np.float32)[:, None]
    table = np.broadcast_to(values, (len(images), _VALUES, channels))
    shares = _shares(images) if "contrast" in kinds else None
    for kind, drawn in zip(kinds, amounts.astype(np.float32)[:, :, None, None], strict=True):
        if kind == "brightness":
            table = table + drawn
        elif kind == "gain":
            table = black + (table - black) * drawn
        elif shares is not None:
            mean = (shares * table).sum(axis=1, keepdims=True, dtype=np.float32)
            table = (table - mean) * drawn + mean
        table = np.clip(table, np.float32(black), np.float32(white))
    return np.ascontiguousarray(table[:, :, None, :])


def _shares(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(B, 256, C) share of the pixels that have each value."""
    cv2 = opencv()
    channels = range(images.shape[3])
    counts = [
        [cv2.calcHist([each], [channel], None, [_VALUES], [0, _VALUES]) for channel in channels]
        for each in images
    ]
    pixels = images.shape[1] * images.shape[2]
    counted = np.array(counts, np.float64).reshape(len(images), -1, _VALUES)
    return counted.transpose(0, 2, 1) / pixels


_RECORDED = {"brightness": "added", "gain": "factor", "contrast": "factor"}


def _draw_of(step: Step, value_range: tuple[float, float]) -> Draw:
    """The function that draws the amounts of a step, as its own part does."""
    factor = step.options["factor"]
    if step.name == "gain":
        low, high = both(factor)
        return lambda images, draws: draws.uniform((tf.shape(images)[0], 1, 1, 1), low, high)
    layer: Any
    if step.name == "brightness":
        layer, drawn = graph_layer(keras.layers.RandomBrightness, factor=factor), "rgb_delta"
    else:
        layer, drawn = (
            graph_layer(keras.layers.RandomContrast, factor=both(factor)),
            "contrast_factor",
        )
    layer.value_range = value_range
    return lambda images, draws: layer.get_random_transformation(images, training=True, seed=draws)[
        drawn
    ]
