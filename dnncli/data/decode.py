"""From an encoded picture to 8-bit pixels: one decoder for training, evaluation and prediction.

Shapes: H height and W width in pixels, C channels (1 or 3), B pictures of a batch.
"""

from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import Route
from dnncli.data.header import GREY_MODES, PILLOW_ERRORS, opened, orientation, sniff, what_else
from dnncli.data.resize import resize
from dnncli.errors import DataError

if TYPE_CHECKING:
    from PIL.Image import Image

Resize = Literal["stretch", "crop", "pad"]

_JPEG = b"\xff\xd8"  # its first bytes
_RATIOS = (1, 2, 4, 8)  # at which a JPEG can be decoded

# ITU-R BT.601 luma in units of 1/65536, as Pillow's conversion to "L" has it.
LUMA = (19595, 38470, 7471)


def decode_pillow(data: bytes, *, channels: int) -> NDArray[np.uint8]:
    """Decode any supported picture: (H, W, C) uint8, upright.

    The first frame or page is taken, the EXIF orientation applied, transparent parts put on white,
    16-bit values shifted down to their high byte; float and 32-bit values: see `scaled`. Colour
    turns grey as 0.299 R + 0.587 G + 0.114 B.

    Args:
        data: the encoded picture.
        channels: 1 for grey, 3 for RGB.

    Raises:
        DataError: if it cannot be decoded.
    """
    form = sniff(data)
    if not form:
        raise DataError(what_else(data))
    try:
        image = opened(data, form)
        image.load()
        image = eight_bit(upright(image)).convert("L" if channels == 1 else "RGB")
    except PILLOW_ERRORS as error:
        raise DataError(f"damaged {form}: {error or type(error).__name__}.") from error
    return np.asarray(image).reshape(image.height, image.width, channels)


def upright(image: "Image") -> "Image":
    """The picture turned and mirrored as its EXIF orientation says."""
    from PIL.Image import Transpose

    turns = {
        2: Transpose.FLIP_LEFT_RIGHT,
        3: Transpose.ROTATE_180,
        4: Transpose.FLIP_TOP_BOTTOM,
        5: Transpose.TRANSPOSE,
        6: Transpose.ROTATE_270,
        7: Transpose.TRANSVERSE,
        8: Transpose.ROTATE_90,
    }
    turn = turns.get(orientation(image))
    return image if turn is None else image.transpose(turn)


def eight_bit(image: "Image") -> "Image":
    """The picture in mode "L" or "RGB", transparent parts put on white."""
    from PIL import Image

    if image.mode.startswith("I") or image.mode == "F":
        return Image.fromarray(scaled(np.asarray(image)))
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        # Pillow has no way from premultiplied grey to RGBA but through LA.
        image = (image.convert("LA") if image.mode == "La" else image).convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return Image.alpha_composite(white, image).convert("RGB")
    return image.convert("L" if image.mode in GREY_MODES else "RGB")


def scaled(values: NDArray) -> NDArray[np.uint8]:
    """Values of more than 8 bits as 8-bit ones.

    16-bit integers keep their high byte. Floats in [0, 1] are multiplied by 255. Floats and 32-bit
    integers in [0, 255] are rounded, 32-bit integers in [0, 65535] keep their high byte. Anything
    else is stretched from its own minimum and maximum to 0 and 255. What is not finite becomes 0.
    """
    if values.dtype.itemsize == 2:
        return (values >> 8).astype(np.uint8)
    is_float = values.dtype.kind == "f"
    finite = np.isfinite(values)
    floats = np.where(finite, values, 0).astype(np.float64)
    low, high = floats.min(where=finite, initial=np.inf), floats.max(where=finite, initial=-np.inf)
    if is_float and low >= 0 and high <= 1:
        floats *= 255
    elif not is_float and low >= 0 and 255 < high <= 65535:
        floats = np.floor(floats / 256)
    elif low < 0 or high > 255:
        floats = np.where(finite, (floats - low) * (255 / max(high - low, 1e-300)), 0)
    return np.round(floats).astype(np.uint8)


def load(
    encoded: Any,
    route: Any,
    *,
    channels: int,
    height_width: tuple[int, int],
    how: Resize,
    may_reduce: bool = True,
) -> Any:
    """In-graph: an encoded picture as uint8 (H, W, C) of the wanted size.

    A JPEG whose sides are at least four times the wanted ones is decoded at 1/2, 1/4 or 1/8, so
    that each side is still at least twice what is wanted; only at a scale that divides both sides,
    because the rounded ones would move the picture. That is up to twice as fast, and on average
    within a grey level of resizing the whole picture. With `may_reduce` False, for pictures known
    to be smaller, nobody looks.
    """
    # What "crop" cuts off is rounded to whole pixels, which reduced ones would make coarser.
    at_least = height_width if may_reduce and how != "crop" else None
    image = decode(encoded, route, channels=channels, at_least=at_least)
    return fit_to(image, height_width=height_width, how=how)


def decode(
    encoded: Any, route: Any, *, channels: int, at_least: tuple[int, int] | None = None
) -> Any:
    """In-graph `decode_pillow`: the same pixels, by TensorFlow's own decoder where it gives them.

    Args:
        encoded: () tf.string, the encoded picture.
        route: a `Route`, or a () integer tensor of its values.
        channels: 1 or 3.
        at_least: height and width, twice of which is enough of a JPEG; None: all of it.

    Returns:
        (H, W, C) tf.uint8.
    """
    import tensorflow as tf

    def in_graph() -> Any:
        image = _decode_jpeg(encoded, 1) if at_least is None else _reduced(encoded, at_least)
        return change_channels(image, channels=channels)

    def by_pillow() -> Any:
        return tf.numpy_function(
            lambda data: decode_pillow(data, channels=channels), [encoded], tf.uint8, stateful=False
        )

    if isinstance(route, Route):
        image = in_graph() if route is Route.TENSORFLOW else by_pillow()
    else:
        image = tf.cond(tf.equal(tf.cast(route, tf.int32), Route.TENSORFLOW), in_graph, by_pillow)
    return tf.ensure_shape(image, (None, None, channels))


def _decode_jpeg(encoded: Any, ratio: int) -> Any:
    """In-graph: (H, W, 3) tf.uint8 of a JPEG at 1/ratio, or of a PNG as it is."""
    import tensorflow as tf

    # The default, faster transform is about 0.8 grey levels darker than Pillow.
    return tf.io.decode_jpeg(encoded, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def _reduced(encoded: Any, at_least: tuple[int, int]) -> Any:
    """In-graph: `_decode_jpeg` at the smallest scale that has twice the pixels a side."""
    import tensorflow as tf

    is_jpeg = tf.equal(tf.strings.substr(encoded, 0, len(_JPEG)), _JPEG)
    size = tf.cond(
        is_jpeg, lambda: tf.image.extract_jpeg_shape(encoded)[:2], lambda: tf.zeros(2, tf.int32)
    )
    ratios = tf.constant(_RATIOS[1:])
    is_enough = tf.reduce_min(size // tf.constant(at_least)) // 2 >= ratios
    is_whole = tf.reduce_all(size[:, None] % ratios == 0, axis=0)
    index = tf.reduce_sum(tf.cast(is_enough & is_whole, tf.int32))  # what 8 divides, 4 does too
    return tf.switch_case(index, [partial(_decode_jpeg, encoded, ratio) for ratio in _RATIOS])


def change_channels(images: Any, *, channels: int) -> Any:
    """In-graph: grey to RGB by repeating, RGB to grey by ITU-R BT.601 luma.

    Args:
        images: (..., 1 or 3) tf.uint8, or floats in any range.
        channels: 1 or 3.
    """
    import tensorflow as tf

    if images.shape[-1] == channels:
        return images
    if channels == 3:
        return tf.repeat(images, 3, axis=-1)
    if images.dtype == tf.uint8:
        # (3 * 255 * 38470) fits easily into 32 bits; the added half rounds.
        luma = tf.reduce_sum(tf.cast(images, tf.int32) * tf.constant(LUMA), -1, keepdims=True)
        return tf.cast(tf.bitwise.right_shift(luma + 0x8000, 16), tf.uint8)
    weights = tf.constant(LUMA, images.dtype) / 65536
    return tf.reduce_sum(images * weights, -1, keepdims=True)


def fit_to(images: Any, *, height_width: tuple[int, int], how: Resize) -> Any:
    """In-graph: pictures of any size as pictures of one size; bilinear with antialias.

    Pictures that have the size already are returned as they are. 8-bit pictures are rounded.

    Args:
        images: (H, W, C) or (B, H, W, C), tf.uint8 or float.
        height_width: wanted height and width in pixels.
        how: "stretch" changes the aspect ratio, "crop" cuts off the longer side's ends, "pad" adds
            zeros (black).
    """
    import tensorflow as tf

    wanted = (height_width[0], height_width[1])
    rank = len(images.shape)
    known = images.shape[rank - 3 : rank - 1]
    if known.is_fully_defined():
        return images if tuple(known) == wanted else _resized(images, wanted, how)
    size = tf.shape(images)[rank - 3 : rank - 1]
    image = tf.cond(
        tf.reduce_all(tf.equal(size, wanted)),
        lambda: images,
        lambda: _resized(images, wanted, how),
    )
    return tf.ensure_shape(image, (*images.shape[: rank - 3], *wanted, images.shape[-1]))


def _resized(images: Any, wanted: tuple[int, int], how: Resize) -> Any:
    import tensorflow as tf

    rank = len(images.shape)
    present = tf.shape(images)[rank - 3 : rank - 1]
    scales = tf.constant(wanted, tf.float64) / tf.cast(present, tf.float64)
    size: Any = wanted
    values = images
    if how == "crop":  # cut first: a 4000 x 3 picture must not become a giant on its way
        kept = tf.cast(tf.round(tf.constant(wanted, tf.float64) / tf.reduce_max(scales)), tf.int32)
        kept = tf.clip_by_value(kept, 1, present)
        top, left = tf.unstack((present - kept) // 2)
        values = values[..., top : top + kept[0], left : left + kept[1], :]
    elif how == "pad":
        size = tf.cast(tf.cast(present, tf.float64) * tf.reduce_min(scales) + 0.5, tf.int32)
        size = tf.clip_by_value(size, 1, wanted)
    if images.dtype == tf.uint8 and rank == 3:
        values = _resized_one(values, size)
    else:
        values = tf.image.resize(values, size, method="bilinear", antialias=True)
    if how == "pad":
        values = tf.image.resize_with_crop_or_pad(values, *wanted)
    if values.dtype != images.dtype and images.dtype == tf.uint8:
        values = tf.round(tf.clip_by_value(values, 0, 255))
    return tf.cast(values, images.dtype)


def _resized_one(image: Any, size: Any) -> Any:
    """In-graph: (H, W, C) uint8 in another size (height, width)."""
    import tensorflow as tf

    resized = tf.numpy_function(resize, [image, tf.cast(size, tf.int32)], tf.uint8, stateful=False)
    return tf.ensure_shape(resized, (None, None, image.shape[-1]))
