"""Bilinear resizing with antialias of 8-bit pictures: what `tf.image.resize` gives, sooner.

Shapes: H height and W width in pixels, C channels.
"""

from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.opencv import aligned, opencv

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_LINES = 56  # of a resized picture that are made at a time
_KEPT = 4096  # tables of weights, of two numbers for each pixel of a side


def resize(image: NDArray[np.uint8], height_width: Any) -> NDArray[np.uint8]:
    """A picture of another size, rounded: `tf.image.resize(..., antialias=True)` to the bit.

    Rows and then columns are weighted sums of a few neighbours: two products with sparse matrices
    take a third of the time of TensorFlow's kernel.

    Args:
        image: (H, W, C).
        height_width: wanted height and width in pixels.

    Returns:
        (h, w, C).
    """
    height, width = (int(side) for side in height_width)
    out = aligned((height, width, image.shape[2]), np.uint8)
    across = _weights(image.shape[1], width)
    for first, last, down, lines in _strips(image.shape[0], height):
        out[first:last] = _strip(image[lines], down, across)
    return out


def _strip(image: NDArray[np.uint8], down: "csr_array", across: "csr_array") -> NDArray[np.uint8]:
    """Some lines of a picture as lines of the resized one."""
    high, wide, channels = image.shape
    cv2 = opencv()
    lines = down @ image.reshape(high, -1).astype(np.float32)
    columns = _transposed(cv2, lines.reshape(-1, wide, channels))
    values = across @ columns.reshape(wide, -1)
    rounded = np.rint(np.minimum(values, 255, out=values), out=values).astype(np.uint8)
    return _transposed(cv2, rounded.reshape(across.shape[0], -1, channels))


@lru_cache(maxsize=_KEPT)
def _strips(present: int, wanted: int) -> list[tuple[int, int, "csr_array", slice]]:
    """Lines of the resized picture, first and last; their weights, and the lines they weigh.

    What is in the works then stays in the cache of the processor, and in memory that is used again.
    """
    weights, found = _weights(present, wanted), []
    for first in range(0, wanted, _LINES):
        some = weights[first : first + _LINES]
        lines = slice(int(some.indices.min()), int(some.indices.max()) + 1)
        found.append((first, first + some.shape[0], some[:, lines], lines))
    return found


def _transposed(cv2: Any, image: NDArray) -> NDArray:
    """(W, H, C) of (H, W, C); OpenCV takes a fifth of NumPy's time."""
    return cv2.transpose(image).reshape(image.shape[1], image.shape[0], -1)


@lru_cache(maxsize=_KEPT)
def _weights(present: int, wanted: int) -> "csr_array":
    """(wanted, present): what each pixel of a side adds to each of the resized one.

    The arithmetic of TensorFlow's `ScaleAndTranslate` with a triangle kernel, in float32 as there.
    """
    from scipy.sparse import csr_array

    one = np.float32(1)
    step = one / (np.float32(wanted) / np.float32(present))
    scale = max(step, one)  # antialias: the kernel is as wide as the pixels that become one
    middles = (np.arange(wanted, dtype=np.float32) + np.float32(0.5)) * step
    first = np.maximum(np.ceil(middles - scale - np.float32(0.5)).astype(np.int64), 0)
    last = np.minimum(np.floor(middles + scale - np.float32(0.5)).astype(np.int64), present - 1)
    columns = first[:, None] + np.arange((last - first).max() + 1)
    distance = columns.astype(np.float32) + np.float32(0.5) - middles[:, None]
    weights = np.maximum(one - np.abs(distance * (one / scale)), 0)
    weights[columns > last[:, None]] = 0
    total = np.zeros(wanted, np.float32)
    for column in weights.T:  # in TensorFlow's order
        total += column
    weights *= (one / total)[:, None]
    kept = weights != 0
    ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))])
    return csr_array((weights[kept], columns[kept], ends), shape=(wanted, present))
