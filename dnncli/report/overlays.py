"""Pictures with what a network made of them laid over, and bars of its gates.

Shapes: H x W pixels of a picture, h x w places of a map, C channels of a gate, N pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.decode import LUMA, scaled
from dnncli.report.canvas import COLOURS, FAINT, drawn
from dnncli.results import written

_STRONGEST = 0.75  # share of the colour where the map is 1; the rest is the picture
_COLOURS = "inferno"  # brightens steadily, also for the colour-blind
_COLUMNS = 3  # of bar charts beside each other


@dataclass(frozen=True)
class Box:
    """A part of a picture: its upper left pixel, and its size."""

    top: int
    left: int
    height: int
    width: int

    def cut(self, values: NDArray) -> NDArray:
        """The part of (H, W, ...) values that lies in the box."""
        return values[self.top : self.top + self.height, self.left : self.left + self.width]


@dataclass(frozen=True, kw_only=True)
class Placement:
    """How a picture became what a network saw, to bring its maps back."""

    picture: tuple[int, int]  # height and width in pixels
    shown: Box  # the part of the picture that the network saw
    seen: tuple[int, int]  # height and width of what the network was given
    inside: Box  # where in it the picture lies


def placement(picture: tuple[int, int], wanted: tuple[int, int], *, resize: str) -> Placement:
    """How `data.decode.fit_to` brings a picture to the size that a network takes.

    Args:
        picture: height and width in pixels.
        wanted: those of the network.
        resize: stretch, crop or pad.
    """
    shown, inside = Box(0, 0, *picture), Box(0, 0, *wanted)
    scales = [want / have for want, have in zip(wanted, picture)]
    if resize == "crop":
        height, width = (
            min(max(round(want / max(scales)), 1), have) for want, have in zip(wanted, picture)
        )
        shown = Box((picture[0] - height) // 2, (picture[1] - width) // 2, height, width)
    elif resize == "pad":
        height, width = (
            min(max(int(have * min(scales) + 0.5), 1), want) for want, have in zip(wanted, picture)
        )
        inside = Box((wanted[0] - height) // 2, (wanted[1] - width) // 2, height, width)
    return Placement(picture=picture, shown=shown, seen=wanted, inside=inside)


def at_picture(values: NDArray[np.floating], place: Placement) -> NDArray[np.float32]:
    """A map over what the network saw, (h, w), as one over the picture, (H, W).

    Bilinear. NaN where the network did not see the picture.
    """
    over_seen = resized(values, place.seen)
    over_shown = resized(place.inside.cut(over_seen), (place.shown.height, place.shown.width))
    out = np.full(place.picture, np.nan, np.float32)
    place.shown.cut(out)[:] = over_shown
    return out


def resized(values: NDArray[np.floating], height_width: tuple[int, int]) -> NDArray[np.float32]:
    """(h, w) values at another size, bilinear; the values at the border are continued."""
    from PIL import Image

    if values.shape == height_width:
        return values.astype(np.float32)
    image = Image.fromarray(np.ascontiguousarray(values, np.float32))
    return np.asarray(image.resize(height_width[::-1], Image.Resampling.BILINEAR), np.float32)


def to_unit(values: NDArray[np.floating], *, lowest: float | None = 0.0) -> NDArray[np.float32]:
    """Values stretched to [0, 1]; NaN stays, and where all are the same they are 0.

    Args:
        lowest: what becomes 0; None: the smallest value.
    """
    finite = values[np.isfinite(values)]
    low = float(finite.min(initial=np.inf)) if lowest is None else lowest
    high = float(finite.max(initial=-np.inf))
    if not high > low:
        return np.where(np.isfinite(values), 0, np.nan).astype(np.float32)
    return ((values - low) / (high - low)).astype(np.float32)


def overlay(picture: NDArray, heat: NDArray[np.floating]) -> NDArray[np.uint8]:
    """The picture in grey, the more coloured the larger the map: (H, W, 3) of its own size.

    In grey, because the yellow of a flower could not be told from that of a large value.

    Args:
        picture: (H, W) or (H, W, 1 or 3); other than 8-bit values are scaled.
        heat: (H, W) in [0, 1]; there is no colour where it is 0 or NaN.
    """
    from matplotlib import colormaps

    base = grey(picture).astype(np.float32)[..., None]
    level = np.nan_to_num(np.clip(heat, 0, 1))
    colour = colormaps[_COLOURS](level)[..., :3].astype(np.float32) * 255
    share = (_STRONGEST * level)[..., None]
    return np.round(base * (1 - share) + colour * share).astype(np.uint8)


def grey(picture: NDArray) -> NDArray[np.uint8]:
    """(H, W) bytes of a picture that is (H, W), or has 1, 3 or more channels."""
    values = picture if picture.dtype == np.uint8 else scaled(picture)
    if values.ndim == 2 or values.shape[2] < 3:
        return values.reshape(*values.shape[:2], -1)[..., 0]
    return np.round(values[..., :3] @ np.array(LUMA) / sum(LUMA)).astype(np.uint8)


def write_picture(path: Path, pixels: NDArray[np.uint8]) -> None:
    """Write (H, W) or (H, W, 3) bytes as PNG."""
    from PIL import Image

    with written(path) as neighbour:
        Image.fromarray(np.ascontiguousarray(pixels)).save(neighbour)


def gates_plot(path: Path, gates: Mapping[str, NDArray[np.floating]], *, title: str) -> None:
    """Draw how far each gate of channels opens, one chart a gate, its channels in falling order.

    Args:
        path: of the PNG.
        gates: by layer, (C,) values in [0, 1] for one picture; or (N, C), whose mean over the
            pictures is shown, and their range as a band.
        title: of whom.
    """
    columns = min(_COLUMNS, len(gates))
    lines = -(-len(gates) // columns)
    size = (4.2 * columns + 0.4, 2.4 * lines + 0.8)
    with drawn(path, size=size, names=[title, *gates]) as figure:
        figure.suptitle(title, x=0.02, ha="left", fontsize=11)
        charts = figure.subplots(lines, columns, squeeze=False, sharey=True).ravel()
        for axes in charts[len(gates) :]:
            axes.axis("off")
        for axes, (name, values) in zip(charts, gates.items()):
            rows = np.atleast_2d(values)
            order = np.argsort(-rows.mean(axis=0), kind="stable")
            places = np.arange(len(order)) + 1
            mean = rows.mean(axis=0)[order]
            axes.stairs(mean, np.arange(len(order) + 1) + 0.5, fill=True, color=COLOURS[0])
            if len(rows) > 1:
                low, high = rows.min(axis=0)[order], rows.max(axis=0)[order]
                axes.vlines(places, low, high, color=COLOURS[1], linewidth=0.8)
            axes.axhline(0.5, color=FAINT, linewidth=0.8, linestyle="--")
            axes.set(ylim=(0, 1), xlim=(0.5, len(order) + 0.5))
            axes.set_title(f"{name}: {len(order)} channels", fontsize=9)
            axes.set_xlabel("channels, widest open first", fontsize=8)
        charts[0].set_ylabel("gate")
