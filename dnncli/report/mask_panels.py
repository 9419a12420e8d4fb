"""A picture, its truth and its prediction side by side.

Shapes: H x W pixels, C classes.
"""

import colorsys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import NO_CLASS
from dnncli.data.decode import scaled
from dnncli.report.canvas import COLOURS
from dnncli.report.letters import drawable, font_file, shortened
from dnncli.results import written

if TYPE_CHECKING:
    from PIL.Image import Image

RIGHT, MISSED, FALSE = "#009E73", "#0072B2", "#D55E00"  # what the pixels of one class became

_SIDES = (256, 900)  # pixels of a panel's longer side: small ones are enlarged, large ones reduced
_GAP, _LETTERS, _LINE = 8, 12, 20
_TINT = 0.6  # share of the colour; the rest is the picture
_GREY = 0.25  # brightness that is left of pixels of no class


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One of the pictures side by side."""

    caption: str
    pixels: NDArray[np.uint8]  # (H, W) or (H, W, 3)


def mask_panels(
    picture: NDArray,
    truth: NDArray[np.uint8],
    predicted: NDArray[np.uint8],
    *,
    classes: Sequence[str],
) -> list[Panel]:
    """The picture, the truth over it, and the prediction over it.

    Of two classes, the prediction is coloured by what is right, missed or a false alarm; of more,
    every class has its colour. Pixels of no class are dark.

    Args:
        picture: (H, W) or (H, W, 1 or 3).
        truth: (H, W) class indices, NO_CLASS where a pixel is of none.
        predicted: (H, W) class indices.
        classes: (C,) their names; of two, the first is not coloured.
    """
    base = rgb(picture)
    void = truth == NO_CLASS
    if len(classes) == 2:
        is_true, is_found = truth == 1, (predicted == 1) & ~void
        shown = tinted(base, is_true, RIGHT)
        found = tinted(base, is_true & is_found, RIGHT)
        found = tinted(tinted(found, is_true & ~is_found, MISSED), is_found & ~is_true, FALSE)
    else:
        shown, found = base, base
        for index, colour in enumerate(class_colours(len(classes))):
            shown = tinted(shown, truth == index, colour)
            found = tinted(found, predicted == index, colour)
    shown[void], found[void] = shown[void] * _GREY, found[void] * _GREY
    return [
        Panel(caption="picture", pixels=base),
        Panel(caption="truth", pixels=shown),
        Panel(caption="prediction", pixels=found),
    ]


def edge_panels(
    picture: NDArray, truth: NDArray[np.uint8], predicted: NDArray[np.floating]
) -> list[Panel]:
    """The picture, its true edges and those that were predicted, dark on white.

    Args:
        picture: (H, W) or (H, W, 1 or 3).
        truth: (H, W) 1 where an edge is, NO_CLASS where nothing is known: grey.
        predicted: (H, W) in [0, 1], the darker the surer.
    """
    drawn = np.full(truth.shape, 255, np.uint8)
    drawn[truth == 1], drawn[truth == NO_CLASS] = 0, 192
    return [
        Panel(caption="picture", pixels=rgb(picture)),
        Panel(caption="truth", pixels=drawn),
        Panel(caption="prediction", pixels=np.round(255 * (1 - predicted)).astype(np.uint8)),
    ]


def legend_of(classes: Sequence[str]) -> dict[str, str]:
    """What the colours of `mask_panels` mean: word -> colour."""
    if len(classes) == 2:
        return {f"{classes[1]}: right": RIGHT, "missed": MISSED, "false alarm": FALSE}
    return dict(zip(classes, class_colours(len(classes))))


def rgb(picture: NDArray) -> NDArray[np.uint8]:
    """(H, W, 3) bytes of a picture (H, W) or (H, W, 1 or 3); other than 8-bit values are scaled."""
    values = picture if picture.dtype == np.uint8 else scaled(picture)
    values = values[..., None] if values.ndim == 2 else values
    return np.repeat(values, 3, axis=2) if values.shape[2] == 1 else values


def tinted(base: NDArray[np.uint8], where: NDArray[np.bool_], colour: str) -> NDArray[np.uint8]:
    """A copy of (H, W, 3) with some of its pixels in a colour such as "#009E73"."""
    tint = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)])
    out = base.copy()
    out[where] = np.round(base[where] * (1 - _TINT) + tint * _TINT)
    return out


def class_colours(count: int) -> list[str]:
    """Colours that differ: those of all plots, then others around the colour wheel."""
    found = list(COLOURS[:-1][:count])
    for place in range(count - len(found)):
        # The golden section of the circle never meets an earlier hue again.
        parts = colorsys.hsv_to_rgb(0.1 + 0.618034 * place % 1, 0.75, 0.55 + 0.4 * (place % 2))
        found.append("#" + "".join(f"{round(255 * part):02X}" for part in parts))
    return found


def write_panels(
    path: Path, panels: Sequence[Panel], *, title: str, legend: Mapping[str, str]
) -> None:
    """Write pictures of one size side by side, each with its caption, as PNG.

    Args:
        path: of the PNG.
        panels: at least one.
        title: of which picture, and how well it was predicted.
        legend: word -> colour, written below.
    """
    from PIL import Image, ImageDraw, ImageFont

    images = [_sized(panel.pixels) for panel in panels]
    width, height = (max(getattr(image, side) for image in images) for side in ("width", "height"))
    width = max(width, _SIDES[0])
    total = _GAP + len(images) * (width + _GAP)
    font = ImageFont.truetype(font_file(), _LETTERS)
    texts = {word: drawable(word, [font_file()]) for word in (*legend, title)}
    places, lines = _flow([font.getlength(texts[word]) for word in legend], total)
    top = _GAP + 2 * _LINE
    sheet = Image.new("RGB", (total, top + height + _GAP + lines * _LINE), "white")
    draw = ImageDraw.Draw(sheet)
    shown = shortened(texts[title], total - 2 * _GAP, font.getlength)
    draw.text((_GAP, _GAP // 2), shown, "black", font)
    for place, (panel, image) in enumerate(zip(panels, images)):
        left = _GAP + place * (width + _GAP)
        draw.text((left, _GAP // 2 + _LINE), panel.caption, "black", font)
        sheet.paste(image, (left, top))
    for (word, colour), (left, line) in zip(legend.items(), places):
        y = top + height + _GAP // 2 + line * _LINE
        draw.rectangle((left, y + 2, left + _LETTERS, y + 2 + _LETTERS), colour)
        draw.text((left + _LETTERS + 4, y), texts[word], "black", font)
    with written(path) as neighbour:
        sheet.save(neighbour)


def _flow(lengths: Sequence[float], width: int) -> tuple[list[tuple[int, int]], int]:
    """Left edge and line of each entry of a legend, and how many lines there are."""
    places, left, line = [], _GAP, 0
    for length in lengths:
        size = round(length) + _LETTERS + 2 * _GAP
        if left > _GAP and left + size > width:
            left, line = _GAP, line + 1
        places.append((left, line))
        left += size
    return places, line + 1


def _sized(pixels: NDArray[np.uint8]) -> "Image":
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(pixels))
    longer = max(image.size)
    if longer > _SIDES[1]:
        scale = _SIDES[1] / longer
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        return image.resize(size, Image.Resampling.BOX)
    scale = max(1, _SIDES[0] // longer)
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
