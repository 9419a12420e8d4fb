"""Puts the answer for a picture of any size together from answers for windows of it.

Shapes: H height, W width in pixels, c channels, C classes; B windows of h x w pixels.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.windows import Fit

Call = Callable[[NDArray[np.float32]], NDArray[np.float32]]  # (B, h, w, c) -> (B, h, w, C)

_GRID = 16  # pixels; what networks halve four times keeps its place at its multiples
_PIXELS = 2**19  # that a network is given at a time: eight windows of 256 x 256


@dataclass(frozen=True, kw_only=True)
class Tiling:
    """How a picture meets a network that was trained on windows."""

    window: tuple[int, int]  # height, width in pixels
    overlap: float  # of neighbouring windows, share of their sides in [0, 1)
    fit: Fit  # windows of the picture, or the whole of it scaled to one window

    @classmethod
    def of_card(cls, card: Mapping[str, Any]) -> "Tiling":
        """As the card of a model says."""
        height, width = card["window"]
        return cls(window=(height, width), overlap=card["overlap"], fit=card["resize"])


def starts(length: int, size: int, *, overlap: float) -> list[int]:
    """Where windows begin along one side.

    They are spread evenly; neighbours share at least `overlap` of a window. All begin at multiples
    of 16 pixels, or of a smaller power of two if 16 is too far, because networks that halve maps
    answer otherwise for a picture moved by less. The last window reaches the end and is up to 15
    pixels longer for it; a side that is hardly longer than a window is one window.

    Args:
        length: of the side, in pixels.
        size: of a window.
        overlap: share of a window, in [0, 1).
    """
    step = max(1, size - round(overlap * size))
    grid = min(_GRID, 2 ** (step.bit_length() - 1))
    last, step = max(length - size, 0) // grid, step // grid
    count = max(-(-last // step), 1)
    return sorted({last * place // count * grid for place in range(count + 1)})


def shares(length: int, size: int, *, overlap: float) -> list[NDArray[np.float32]]:
    """How much each window counts at its pixels: one array per window, as long as it.

    Towards an end it counts less and less, as its network saw less around the pixels there. At
    every pixel the shares of all windows add up to 1.
    """
    begins = starts(length, size, overlap=overlap)
    ramps = []
    total = np.zeros(length)
    for begin in begins:
        end = length if begin == begins[-1] else begin + size
        distance = np.arange(1, end - begin + 1)
        ramp = np.minimum(distance, distance[::-1])
        ramp = np.minimum(ramp, max(1, round(overlap * size))).astype(np.float64)
        total[begin:end] += ramp
        ramps.append(ramp)
    return [
        (ramp / total[begin : begin + len(ramp)]).astype(np.float32)
        for begin, ramp in zip(begins, ramps)
    ]


def predict_picture(
    call: Call, picture: NDArray, *, card: Mapping[str, Any], batch_size: int = 128
) -> NDArray[np.float32]:
    """The answer for one picture, at its own size.

    Args:
        call: the network.
        picture: (H, W, c) raw pixels.
        card: of the model: `window`, `overlap` and `resize`.
        batch_size: windows at a time, at most; memory only.

    Returns:
        (H, W, C) probabilities.
    """
    tiling = Tiling.of_card(card)
    return np.concatenate(list(strips(call, picture, tiling=tiling, batch_size=batch_size)))


def strips(
    call: Call, picture: NDArray, *, tiling: Tiling, batch_size: int = 128
) -> Iterator[NDArray[np.float32]]:
    """The answer for one picture in strips (n, W, C) from top to bottom.

    Only about a window's height of it is held at a time, so that pictures may be far larger than
    their answer in floats.
    """
    if tiling.fit == "tile":
        yield from _tiled(call, picture, tiling=tiling, batch_size=batch_size)
    else:
        yield from _scaled(call, picture, tiling=tiling)


def _tiled(
    call: Call, picture: NDArray, *, tiling: Tiling, batch_size: int
) -> Iterator[NDArray[np.float32]]:
    height, width = picture.shape[:2]
    (high, wide), overlap = tiling.window, tiling.overlap
    tops, lefts = starts(height, high, overlap=overlap), starts(width, wide, overlap=overlap)
    down, across = shares(height, high, overlap=overlap), shares(width, wide, overlap=overlap)
    carried: NDArray[np.float32] | None = None  # what the rows above added to the rows below
    for place, top in enumerate(tops):
        high = len(down[place])
        band: NDArray[np.float32] | None = None
        for some in _batches([len(share) for share in across], high, at_most=batch_size):
            wide = len(across[some[0]])
            tiles = [picture[top : top + high, lefts[one] : lefts[one] + wide] for one in some]
            answers = call(np.stack(tiles).astype(np.float32, copy=False))
            if band is None:
                band = np.zeros((high, width, answers.shape[-1]), np.float32)
            for one, answer in zip(some, answers):
                band[:, lefts[one] : lefts[one] + wide] += answer * across[one][:, None]
        if band is None:
            raise ValueError("a picture must have a pixel.")
        band *= down[place][:, None, None]
        if carried is not None:
            band[: len(carried)] += carried
        end = tops[place + 1] - top if place + 1 < len(tops) else high
        yield np.clip(band[:end], 0, 1)
        carried = band[end:]


def _batches(widths: Sequence[int], height: int, *, at_most: int) -> Iterator[Sequence[int]]:
    """Places of windows of one width that a network is given together."""
    for width, same in groupby(range(len(widths)), key=lambda place: widths[place]):
        places = list(same)
        at_once = max(1, min(at_most, _PIXELS // (height * width)))
        for first in range(0, len(places), at_once):
            yield places[first : first + at_once]


def _scaled(call: Call, picture: NDArray, *, tiling: Tiling) -> Iterator[NDArray[np.float32]]:
    """The whole picture in one window, and the answer back at its own size."""
    height, width = picture.shape[:2]
    fitted = _fitted(picture, tiling)
    answer = call(fitted[None].astype(np.float32, copy=False))[0]
    top, left, inner_height, inner_width = content(height, width, tiling=tiling)
    answer = answer[top : top + inner_height, left : left + inner_width]
    low, high, part = _between(width, inner_width)
    wide = answer[:, low] * (1 - part)[:, None] + answer[:, high] * part[:, None]
    low, high, part = _between(height, inner_height)
    step = max(1, _PIXELS // width)
    for first in range(0, height, step):
        rows = slice(first, first + step)
        weight = part[rows, None, None]
        yield np.clip(wide[low[rows]] * (1 - weight) + wide[high[rows]] * weight, 0, 1)


def content(height: int, width: int, *, tiling: Tiling) -> tuple[int, int, int, int]:
    """Where in its window a scaled picture lies: top, left, height and width in pixels."""
    high, wide = tiling.window
    if tiling.fit == "stretch":
        return 0, 0, high, wide
    scale = min(high / height, wide / width)
    inner_height = min(max(int(height * scale + 0.5), 1), high)
    inner_width = min(max(int(width * scale + 0.5), 1), wide)
    return (high - inner_height) // 2, (wide - inner_width) // 2, inner_height, inner_width


def _fitted(picture: NDArray, tiling: Tiling) -> NDArray:
    """The picture as training saw it: (h, w, c)."""
    import tensorflow as tf

    from dnncli.data.decode import fit_to

    with tf.device("CPU:0"):  # as the pictures of training are made
        return fit_to(
            tf.constant(picture),
            height_width=tiling.window,
            how="stretch" if tiling.fit == "stretch" else "pad",
        ).numpy()


def _between(
    length: int, size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For `length` places among `size` values: the two values around each, and the way between."""
    place = np.clip((np.arange(length) + 0.5) * (size / length) - 0.5, 0, size - 1)
    low = np.floor(place).astype(np.int64)
    return low, np.minimum(low + 1, size - 1), (place - low).astype(np.float32)
