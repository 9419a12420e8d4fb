"""Flips, rotation, shifts, zoom and shear in a row, done as one warp of each picture.

One interpolation instead of five blurs less and is faster. Every matrix maps the (x, y) of an
output pixel to the (x, y) it is read from, in pixels from the centre of the top left one.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import keras  # noqa: TID253
import tensorflow as tf  # noqa: TID253

from dnncli.augmentation.moving import BORDERS, CHANNELS, is_small, move
from dnncli.augmentation.seeds import Draws, Record, graph_layer
from dnncli.augmentation.steps import Step
from dnncli.data.dataset import NO_CLASS

Draw = Callable[[tf.Tensor, Draws], tuple[tf.Tensor, Record]]  # images -> (B, 3, 3), what was drawn

FILL = ("fill_mode", "fill_value", "interpolation")


def is_geometric(step: Step) -> bool:
    """Whether the step only moves pixels about, so that it can share a warp."""
    return step.name in _DRAWS


def fill_of(step: Step) -> tuple[str, float, str]:
    """How pixels from outside the picture are made; steps that agree on it share a warp."""
    options = step.options
    return (
        options.get("fill_mode", "reflect"),
        float(options.get("fill_value", 0.0)),
        options.get("interpolation", "bilinear"),
    )


def product(matrices: Sequence[tf.Tensor]) -> tf.Tensor:
    """(B, 3, 3) maps that do each of the maps in turn.

    Reading through the last map first: with M1 done before M2, out(p) = image(M1 M2 p).
    """
    total = matrices[0]
    for matrix in matrices[1:]:
        total = tf.matmul(total, matrix)
    return total


def warp(images: tf.Tensor, total: tf.Tensor, fill: tuple[str, float, str]) -> tf.Tensor:
    """Images (B, H, W, C), uint8 or float32, after the maps (B, 3, 3), which are affine.

    OpenCV moves what it can, unless it is small: it takes a fifth of the time of TensorFlow's
    kernel, gives the same pixels (8-bit ones rounded), and takes 8-bit pictures as they are.
    """
    mode, _, _ = fill
    is_fit = mode in BORDERS and images.shape[-1] in CHANNELS
    if is_fit and not is_small(*images.shape[1:3]):
        moved = tf.numpy_function(
            lambda pictures, maps: move(pictures, maps, fill),
            [images, total[:, :2]],
            images.dtype,
            stateful=False,
        )
    else:
        moved = _warp_by_tensorflow(images, total, fill)
    return tf.ensure_shape(moved, images.shape)


def _warp_by_tensorflow(
    images: tf.Tensor, total: tf.Tensor, fill: tuple[str, float, str]
) -> tf.Tensor:
    mode, value, interpolation = fill
    # Its result for integers is cut off, not rounded.
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=tf.reshape(total, (-1, 9))[:, :8],
        output_shape=tf.shape(images)[1:3],
        fill_value=value,
        interpolation=interpolation.upper(),
        fill_mode=mode.upper(),
    )
    return tf.cast(tf.round(moved) if images.dtype.is_integer else moved, images.dtype)


def warp_masks(masks: tf.Tensor, total: tf.Tensor, fill: tuple[str, float, str]) -> tf.Tensor:
    """Masks (B, H, W) as `warp` moves their pictures: each pixel is the nearest one.

    What is mirrored or repeated from the picture is so in the mask; a constant is of no class.
    """
    # Class indices are whole numbers far below 2 ** 24: float32 holds them exactly.
    values = masks if masks.dtype == tf.uint8 else tf.cast(masks, tf.float32)
    moved = warp(values[..., tf.newaxis], total, (fill[0], float(NO_CLASS), "nearest"))[..., 0]
    return tf.cast(moved, masks.dtype)


def draw_of(step: Step) -> Draw:
    """The function that draws the step's maps for a batch of pictures."""
    options = {key: value for key, value in step.options.items() if key not in FILL}
    return _DRAWS[step.name](options)


def matrix(a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, *, like: tf.Tensor) -> tf.Tensor:
    """(B, 3, 3) maps x' = a x + b y + c, y' = d x + e y + f; `like` is (B,), the rest may be."""
    entries = (a, b, c, d, e, f, 0.0, 0.0, 1.0)
    rows = [tf.broadcast_to(tf.cast(entry, tf.float32), tf.shape(like)) for entry in entries]
    return tf.reshape(tf.stack(rows, axis=1), (-1, 3, 3))


def _centred(images: tf.Tensor, a: Any, b: Any, d: Any, e: Any, *, like: tf.Tensor) -> tf.Tensor:
    """The map [[a, b], [d, e]] about the middle of the picture."""
    size = tf.cast(tf.shape(images)[1:3], tf.float32)
    y, x = (size[0] - 1) / 2, (size[1] - 1) / 2
    return matrix(a, b, x - a * x - b * y, d, e, y - d * x - e * y, like=like)


def _flip(options: Mapping[str, Any]) -> Draw:
    # Keras' "horizontal_and_vertical" throws one coin for both: it knows the half turn only.
    mode = options.get("mode", "horizontal")
    modes = ("horizontal", "vertical") if mode == "both" else (mode,)
    layers = {each: graph_layer(keras.layers.RandomFlip, mode=each) for each in modes}

    def draw(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, Record]:
        still = tf.zeros((tf.shape(images)[0], 1, 1, 1), tf.bool)
        record = {"horizontal": still, "vertical": still}
        for each, layer in layers.items():
            record[each] = layer.get_random_transformation(images, training=True, seed=draws)[
                "flips"
            ]
        x, y = (tf.where(tf.reshape(flip, (-1,)), -1.0, 1.0) for flip in record.values())
        return _centred(images, x, 0.0, 0.0, y, like=x), record

    return draw


def _rotation(options: Mapping[str, Any]) -> Draw:
    layer = graph_layer(keras.layers.RandomRotation, **options)

    def draw(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, Record]:
        angle = layer.get_random_transformation(images, training=True, seed=draws)["angle"]
        radians = angle * (math.pi / 180)
        cos, sin = tf.cos(radians), tf.sin(radians)
        return _centred(images, cos, -sin, sin, cos, like=angle), {"angle": angle}

    return draw


def _translation(options: Mapping[str, Any]) -> Draw:
    layer = graph_layer(
        keras.layers.RandomTranslation, **{"height_factor": 0.0, "width_factor": 0.0, **options}
    )

    def draw(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, Record]:
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        x, y = tf.unstack(drawn["translations"], axis=1)
        return matrix(1.0, 0.0, -x, 0.0, 1.0, -y, like=x), {"right": x, "down": y}

    return draw


def _pixels(height: float, width: float, *, whole: bool) -> Draw:
    """Shifts drawn in pixels: Keras' layers know shares of the side only."""

    def draw(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, Record]:
        count = (tf.shape(images)[0],)
        if whole:
            y = tf.cast(draws.uniform(count, -int(height), int(height) + 1, tf.int32), tf.float32)
            x = tf.cast(draws.uniform(count, -int(width), int(width) + 1, tf.int32), tf.float32)
        else:
            y, x = draws.uniform(count, -height, height), draws.uniform(count, -width, width)
        return matrix(1.0, 0.0, -x, 0.0, 1.0, -y, like=x), {"right": x, "down": y}

    return draw


def _shift(options: Mapping[str, Any]) -> Draw:
    return _pixels(options.get("height_pixels", 0.0), options.get("width_pixels", 0.0), whole=False)


def _crop(options: Mapping[str, Any]) -> Draw:
    padding = options["padding"]
    sides = (padding, padding) if isinstance(padding, int) else tuple(padding)
    return _pixels(sides[0], sides[-1], whole=True)


def _zoom(options: Mapping[str, Any]) -> Draw:
    layer = graph_layer(keras.layers.RandomZoom, **options)

    def draw(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, Record]:
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        y, x = drawn["height_zoom"][:, 0], drawn["width_zoom"][:, 0]
        return _centred(images, x, 0.0, 0.0, y, like=x), {"height": y, "width": x}

    return draw


def _shear(options: Mapping[str, Any]) -> Draw:
    layer = graph_layer(keras.layers.RandomShear, **options)

    def draw(images: tf.Tensor, draws: Draws) -> tuple[tf.Tensor, Record]:
        # Keras' own matrix shears about the top left corner, which shifts the middle as well.
        drawn = layer.get_random_transformation(images, training=True, seed=draws)
        x, y = tf.unstack(drawn["shear_factor"], axis=1)
        return _centred(images, 1.0, x, y, 1.0, like=x), {"x": x, "y": y}

    return draw


_DRAWS: dict[str, Callable[[Mapping[str, Any]], Draw]] = {
    "flip": _flip,
    "rotation": _rotation,
    "translation": _translation,
    "shift": _shift,
    "crop": _crop,
    "zoom": _zoom,
    "shear": _shear,
}
