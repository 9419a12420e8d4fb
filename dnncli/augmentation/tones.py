"""Brightness, gain and contrast of 8-bit pictures in a row, done as one table for each picture.

What such steps make of a pixel depends on its value alone, and there are 256 of these: the steps
are done to a table of all values, and each picture is looked up in its table once. That rounds no
more than doing them one by one in float32.

Shapes: B pictures of height H, width W and C channels.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

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


@dataclass(frozen=True)
class _Tone:
    """One such step: what it draws, and what it makes of float32 pictures."""

    name: str  # in the record
    kind: str  # one of TONES
    recorded: str  # what the drawn amounts are called there
    draw: Callable[[tf.Tensor, Draws], tf.Tensor]  # pictures -> amounts (B, 1, 1, 1)
    change: Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # pictures, amounts -> pictures


def tones(members: Sequence[tuple[str, Step]], *, value_range: tuple[float, float]) -> Part:
    """One part for neighbouring steps of `TONES`, given with their names; it returns float32."""
    steps = [_tone(name, step, value_range) for name, step in members]
    kinds = tuple(step.kind for step in steps)

    def by_table(pixels: NDArray[np.uint8], amounts: NDArray[np.floating]) -> NDArray[np.float32]:
        return toned(pixels, kinds, amounts, value_range=value_range)

    def part(images: tf.Tensor, targets: tf.Tensor, draws: Draws) -> tuple:
        record: Record = {}
        amounts = []
        for step in steps:
            drawn = step.draw(images, draws)
            amounts.append(tf.reshape(drawn, (-1,)))
            record |= named(step.name, {step.recorded: drawn})
            if images.dtype != tf.uint8:
                images = step.change(images, drawn)
        if images.dtype == tf.uint8:
            amounts = tf.stack(amounts)
            shape = images.shape
            images = tf.numpy_function(by_table, [images, amounts], tf.float32, stateful=False)
            images = tf.ensure_shape(images, shape)
        return images, targets, record

    return part


def _tone(name: str, step: Step, value_range: tuple[float, float]) -> _Tone:
    factor = step.options["factor"]
    if step.name == "gain":
        return _gain(name, both(factor), value_range)
    if step.name == "brightness":
        kind, source, recorded = keras.layers.RandomBrightness, "rgb_delta", "added"
    else:
        kind, source, recorded = keras.layers.RandomContrast, "contrast_factor", "factor"
        # A single number f means [0, f] to Keras: contrast would only ever be raised.
        factor = both(factor)
    layer = graph_layer(kind, factor=factor, value_range=value_range)

    def draw(images: tf.Tensor, draws: Draws) -> tf.Tensor:
        return layer.get_random_transformation(images, training=True, seed=draws)[source]

    def change(images: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
        return layer.transform_images(images, {source: drawn})

    return _Tone(name, step.name, recorded, draw, change)


def _gain(name: str, factor: tuple[float, float], value_range: tuple[float, float]) -> _Tone:
    """Multiplies what lies above black; Keras' RandomBrightness adds instead."""
    black, white = value_range

    def draw(images: tf.Tensor, draws: Draws) -> tf.Tensor:
        return draws.uniform((tf.shape(images)[0], 1, 1, 1), *factor)

    def change(images: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
        return tf.clip_by_value(black + (images - black) * drawn, black, white)

    return _Tone(name, "gain", "factor", draw, change)


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
