"""Cuts windows of one size out of pictures and their masks.

Shapes: H, W of a picture, h, w of a window, all in pixels; c channels.
"""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS

Pair = tuple[NDArray, NDArray[np.uint8]]  # a picture (H, W, c) and its mask (H, W)
# Windows of pictures as they are, or whole ones made to fit one.
Fit = Literal["tile", "stretch", "pad"]

DRAWS = 5  # numbers that `place` uses


def count(height_width: tuple[int, int], window: tuple[int, int]) -> int:
    """How many windows `side_by_side` cuts out of a picture."""
    return -(-height_width[0] // window[0]) * -(-height_width[1] // window[1])


def side_by_side(picture: NDArray, mask: NDArray[np.uint8], window: tuple[int, int]) -> Pair:
    """Windows that show every pixel of the mask once.

    The last ones of a line begin early enough to lie within the picture; what they repeat, and what
    is added to a picture smaller than a window, is NO_CLASS.

    Returns:
        (n, h, w, c) pictures and (n, h, w) masks, line by line.
    """
    height, width = mask.shape
    pictures, masks = [], []
    for y in range(0, height, window[0]):
        for x in range(0, width, window[1]):
            top = min(y, max(height - window[0], 0))
            left = min(x, max(width - window[1], 0))
            image, truth = cut(picture, mask, (top, left), window)
            truth[: y - top] = NO_CLASS
            truth[:, : x - left] = NO_CLASS
            pictures.append(image)
            masks.append(truth)
    return np.stack(pictures), np.stack(masks)


def cut(
    picture: NDArray, mask: NDArray[np.uint8], place: tuple[int, int], window: tuple[int, int]
) -> Pair:
    """A copy of the window at (top, left).

    What lies below and right of the picture is its mirror image, and NO_CLASS.
    """
    (top, left), (height, width) = place, window
    image = picture[top : top + height, left : left + width]
    truth = mask[top : top + height, left : left + width]
    missing = ((0, height - truth.shape[0]), (0, width - truth.shape[1]))
    if not any(after for _, after in missing):
        return image.copy(), truth.copy()
    return (
        np.pad(image, (*missing, (0, 0)), mode="symmetric"),
        np.pad(truth, missing, constant_values=NO_CLASS),
    )


def place(
    mask: NDArray[np.uint8],
    window: tuple[int, int],
    draws: NDArray[np.floating],
    *,
    foreground: float = 0.0,
) -> tuple[int, int]:
    """Where a random window lies: its top and left.

    With a chance of `foreground` it is one that shows a pixel of a class other than the background:
    the class is drawn first, each that occurs being as likely, then one of its pixels, then the
    window around it. Otherwise the middle of the window is drawn from the whole picture, and the
    window moved inside: all windows that lie anywhere would show the margins hardly ever.

    Args:
        mask: (H, W) class indices.
        window: (h, w).
        draws: (DRAWS,) numbers in [0, 1) that decide.
        foreground: in [0, 1]; makes no difference where there is nothing but background.
    """
    if draws[0] < foreground:
        seen = np.bincount(mask.ravel(), minlength=NO_CLASS + 1)
        classes = np.flatnonzero(seen[1:NO_CLASS]) + 1
        if len(classes):
            chosen = classes[int(draws[1] * len(classes))]
            pixel = int(draws[2] * seen[chosen])
            y, x = divmod(int(np.flatnonzero(mask.ravel() == chosen)[pixel]), mask.shape[1])
            return (
                _around(y, mask.shape[0], window[0], draws[3]),
                _around(x, mask.shape[1], window[1], draws[4]),
            )
    return (
        _anywhere(mask.shape[0], window[0], draws[3]),
        _anywhere(mask.shape[1], window[1], draws[4]),
    )


def _around(pixel: int, side: int, window: int, draw: float) -> int:
    """The begin of a window that holds a pixel, each within the picture being as likely."""
    first = max(0, pixel - window + 1)
    last = max(first, min(pixel, side - window))
    return first + int(draw * (last - first + 1))


def _anywhere(side: int, window: int, draw: float) -> int:
    return min(max(int(draw * side) - window // 2, 0), max(side - window, 0))


def fit_mask(mask: NDArray[np.uint8], window: tuple[int, int], how: Fit) -> NDArray[np.uint8]:
    """A mask at the size of a window, each pixel the nearest one; as `decode.fit_to` does pictures.

    Args:
        mask: (H, W).
        window: (h, w).
        how: "stretch" changes the aspect ratio, "pad" adds NO_CLASS around.
    """
    if mask.shape == tuple(window):
        return mask
    if how == "stretch":
        return _nearest(mask, window)
    scale = min(window[0] / mask.shape[0], window[1] / mask.shape[1])
    sides = [
        min(max(int(side * scale + 0.5), 1), most)
        for side, most in zip(mask.shape, window, strict=True)
    ]
    top, left = (window[0] - sides[0]) // 2, (window[1] - sides[1]) // 2
    padded = np.full(window, NO_CLASS, np.uint8)
    padded[top : top + sides[0], left : left + sides[1]] = _nearest(mask, (sides[0], sides[1]))
    return padded


def _nearest(mask: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    y, x = (
        # The pixel that holds the middle of the new one; whole numbers, so that nothing is rounded.
        (2 * np.arange(new) + 1) * old // (2 * new)
        for new, old in zip(size, mask.shape, strict=True)
    )
    return mask[y[:, np.newaxis], x]
