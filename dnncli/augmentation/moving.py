"""Moving the pixels of pictures by affine maps, by OpenCV.

Shapes: B pictures of height H, width W and C channels.
"""

import numpy as np
from numpy.typing import NDArray

from dnncli.data.opencv import aligned, opencv

# Fill modes, as TensorFlow names them, and OpenCV's numbers for the same. "wrap" is not among them:
# what comes in differs between the two, by up to the whole range.
BORDERS = {"constant": 0, "nearest": 1, "reflect": 2}
CHANNELS = (1, 2, 3, 4)  # that OpenCV moves
# Pixels a picture has at least: a call for each picture costs more than it saves of smaller ones.
SMALLEST = 2048

_INVERSE_MAP = 16
_INTERPOLATIONS = {"nearest": 0, "bilinear": 1}


def is_small(height: int | None, width: int | None) -> bool:
    """Whether TensorFlow is as quick with such pictures; False if their size is not known."""
    return height is not None and width is not None and height * width < SMALLEST


def move(images: NDArray, maps: NDArray[np.floating], fill: tuple[str, float, str]) -> NDArray:
    """Pictures as the maps read them.

    OpenCV computes in float32 from version 5 on (before, with 5 bits for the fraction of a pixel),
    and rounds 8-bit results: they are within 0.51 grey levels of TensorFlow's
    `ImageProjectiveTransformV3` on floats, float32 ones within 0.01 of 255.

    Args:
        images: (B, H, W, C) uint8 or float32.
        maps: (B, 2, 3), from (x, y) of an output pixel to the (x, y) it is read from.
        fill: mode (one of `BORDERS`), value and interpolation (nearest, bilinear).

    Returns:
        (B, H, W, C) of the same type.
    """
    mode, value, interpolation = fill
    cv2 = opencv()
    flags = _INTERPOLATIONS[interpolation] | _INVERSE_MAP
    border = {"borderMode": BORDERS[mode], "borderValue": (value,) * 4}
    size = images.shape[2:0:-1]
    out = aligned(images.shape, images.dtype)
    for picture, matrix, into in zip(images, maps, out, strict=True):
        cv2.warpAffine(picture, matrix, size, dst=into, flags=flags, **border)
    return out
