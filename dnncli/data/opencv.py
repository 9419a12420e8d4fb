"""OpenCV, imported on first use, and arrays that TensorFlow takes without copying them."""

from collections.abc import Sequence
from functools import cache
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

_ALIGNMENT = 64  # bytes; arrays that begin elsewhere are copied on their way into a tensor


@cache
def opencv() -> Any:
    """The module cv2, with one thread for each call: pictures are handled at the same time here."""
    import cv2

    cv2.setNumThreads(1)
    return cv2


def aligned(shape: Sequence[int], dtype: Any) -> NDArray:
    """An array like `np.empty` gives it, to be returned from a `tf.numpy_function`.

    Memory of NumPy may come in huge pages, of which the first use costs less than of TensorFlow's.
    """
    size = prod(shape) * np.dtype(dtype).itemsize
    room = np.empty(size + _ALIGNMENT, np.uint8)
    start = -room.ctypes.data % _ALIGNMENT
    return room[start : start + size].view(dtype).reshape(shape)
