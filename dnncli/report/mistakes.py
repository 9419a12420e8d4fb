"""The pictures of the worst mistakes on one sheet.

Shapes: H height, W width in pixels, C channels, M tiles.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import wrap
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import Dataset
from dnncli.data.decode import scaled
from dnncli.data.pictures import pixels
from dnncli.data.shapes import default_channels
from dnncli.errors import DataError
from dnncli.report.letters import drawable, fonts_for, shortened
from dnncli.results import written

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

# (M,) positions of predictions -> their pictures (H, W) or (H, W, C), or why there is none.
Pictures = Callable[[NDArray[np.int64]], Sequence[NDArray | str]]

TILES = 36  # on a sheet
SIDE = 150  # pixels of a tile's square

_COLUMNS = 6
_TITLE_COLUMNS = 4  # at least so wide, for the title
_GAP = 10  # pixels between tiles
_LETTERS = 11  # pixels, height of the letters
_LINE = 15  # pixels from line to line
_HEAD = _LINE + 2 * _GAP  # pixels above the tiles
_WRAP, _REASON_LINES = 23, 9  # characters a line and lines of a reason
_PAPER, _INK, _MISSING, _BEHIND = "white", "black", "#bdbdbd", "#efefef"


@dataclass(frozen=True, kw_only=True)
class Tile:
    """One picture and what stands below it."""

    picture: NDArray | str  # (H, W) or (H, W, C), or why there is none
    captions: tuple[str, ...]  # one per line


def pictures_of(dataset: Dataset, rows: NDArray[np.int64]) -> Pictures:
    """Reads the pictures of predictions that were made of `rows` of a data set, in that order."""
    channels = default_channels(dataset)

    def read(positions: NDArray[np.int64]) -> list[NDArray | str]:
        return [_picture(dataset, int(rows[position]), channels) for position in positions]

    return read


def write_sheet(path: Path, tiles: Sequence[Tile], *, title: str) -> None:
    """Write a contact sheet, six tiles a line.

    8-bit pictures are shown as they are. Others share one scale, so that they can be compared: 0
    to 1 if all values lie there, else 0 to 255, else from the lowest to the highest value. Small
    pictures are enlarged without smoothing, large ones reduced; a picture that cannot be shown is
    a grey tile with the reason.

    Args:
        path: of the PNG.
        tiles: (M,) at least one.
        title: what the sheet shows.
    """
    from PIL import Image, ImageDraw

    lines = max(len(tile.captions) for tile in tiles)
    step = (SIDE + _GAP, SIDE + lines * _LINE + _GAP)
    columns = min(_COLUMNS, len(tiles))
    width = _GAP + max(columns, _TITLE_COLUMNS) * step[0]
    height = _HEAD + -(-len(tiles) // columns) * step[1]
    sheet = Image.new("RGB", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    write = _writer(draw, [title, *(text for tile in tiles for text in _texts(tile))])
    write((_GAP, _GAP), title, width - 2 * _GAP)
    for place, (tile, picture) in enumerate(zip(tiles, _eight_bit(tiles), strict=True)):
        x, y = _GAP + place % columns * step[0], _HEAD + place // columns * step[1]
        square = (x, y, x + SIDE - 1, y + SIDE - 1)
        if isinstance(picture, str):
            draw.rectangle(square, _MISSING)
            for number, line in enumerate(wrap(picture, _WRAP)[:_REASON_LINES]):
                write((x + 4, y + 4 + number * _LINE), line, SIDE - 8)
        else:
            draw.rectangle(square, _BEHIND)
            fitted = _fitted(picture)
            sheet.paste(fitted, (x + (SIDE - fitted.width) // 2, y + (SIDE - fitted.height) // 2))
        for number, line in enumerate(tile.captions):
            write((x, y + SIDE + 1 + number * _LINE), line, SIDE)
    with written(path) as neighbour:
        sheet.save(neighbour)


def _picture(dataset: Dataset, row: int, channels: int) -> NDArray | str:
    try:
        return pixels(dataset.images, row, channels=channels)
    except (DataError, OSError) as error:
        return str(error)


def _texts(tile: Tile) -> tuple[str, ...]:
    return (*tile.captions, tile.picture) if isinstance(tile.picture, str) else tile.captions


def _eight_bit(tiles: Sequence[Tile]) -> list[NDArray[np.uint8] | str]:
    """The pictures as (H, W) or (H, W, 3) bytes."""
    others = [
        tile.picture.ravel()
        for tile in tiles
        if not isinstance(tile.picture, str) and tile.picture.dtype != np.uint8
    ]
    # One scale for all: a dark picture must stay darker than a bright one.
    rest = scaled(np.concatenate(others).astype(np.float64)) if others else np.zeros(0, np.uint8)
    found: list[NDArray[np.uint8] | str] = []
    for tile in tiles:
        picture = tile.picture
        if isinstance(picture, str):
            found.append(picture)
            continue
        if picture.dtype != np.uint8:
            values, rest = np.split(rest, [picture.size])
            picture = values.reshape(picture.shape)
        if picture.ndim == 3:  # two channels: grey and alpha; more than three: the first are RGB
            picture = picture[..., 0] if picture.shape[2] < 3 else picture[..., :3]
        found.append(picture)
    return found


def _fitted(picture: NDArray[np.uint8]) -> "Image":
    """The picture as large as its tile, or as near to it as whole pixels allow."""
    from PIL import Image

    image = Image.fromarray(np.ascontiguousarray(picture))
    longer = max(image.size)
    if longer <= SIDE:
        scale = SIDE // longer
        return image.resize((image.width * scale, image.height * scale), Image.Resampling.NEAREST)
    width, height = (max(1, round(side * SIDE / longer)) for side in image.size)
    return image.resize(
        (width, height), Image.Resampling.BOX if longer < 2 * SIDE else Image.Resampling.LANCZOS
    )


def _writer(draw: "ImageDraw", texts: Iterable[str]) -> Callable[[tuple[int, int], str, int], None]:
    """Writes a text of `texts` at a place, shortened in its middle to a width in pixels."""
    from PIL import ImageFont

    files = list(fonts_for(texts).values())
    fonts = [(file, ImageFont.truetype(file, _LETTERS)) for file in files]

    def write(place: tuple[int, int], text: str, width: int) -> None:
        # A picture's text is in one font: the first that has all its letters.
        whole = [(text, font) for file, font in fonts if drawable(text, [file]) == text]
        shown, font = whole[0] if whole else (drawable(text, files[:1]), fonts[0][1])
        draw.text(place, shortened(shown, width, font.getlength), _INK, font)

    return write
