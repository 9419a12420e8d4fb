"""A picture of what a policy does: some training pictures, and random versions of each.

Shapes: R pictures of height H, width W and C channels, K classes.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.augmentation.offline import copy_seed
from dnncli.augmentation.policies import Policy
from dnncli.data import windows
from dnncli.data.dataset import NO_CLASS, ArrayImages, Dataset
from dnncli.data.pictures import pixels
from dnncli.data.shapes import LONGEST, default_channels, default_image_size
from dnncli.results import written

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw
    from PIL.ImageFont import FreeTypeFont, ImageFont

_SIDE = 96  # pixels a tile's longer side has at least
_GAP = 8  # pixels between tiles
_TEXT = 13  # pixels, height of the letters
_PAPER, _INK = "white", "black"


def write_preview(
    dataset: Dataset,
    rows: NDArray[np.int64],
    path: Path,
    *,
    policy: Policy,
    seed: int,
    versions: int = 7,
) -> None:
    """Write a contact sheet: one line per row of the data set, the original first.

    The pictures have the size at which training shows them to a network. Below a version stand its
    classes where the policy mixes them. Of pictures with masks, windows are shown that hold more
    than background; classes are coloured, and what is of no class is dark.

    Args:
        rows: the pictures to show; they are one batch, so mixing steps mix them with each other.
        path: ends in .png, .jpg or another suffix that Pillow writes.
    """
    is_joint = dataset.masks is not None
    images, labels = (_windows if is_joint else _batch)(dataset, rows)
    found = _versions(images, labels, joint=is_joint, policy=policy, seed=seed, versions=versions)
    if not is_joint:
        columns = [column for column, _ in found]
        captions = [[_caption(row, dataset.class_names) for row in labels] for _, labels in found]
    else:
        columns = [_coloured(*pair, count=len(dataset.class_names)) for pair in found]
        captions = [[""] * len(rows)] * len(found)
    sheet = _sheet(
        columns,
        captions,
        titles=["original", *(f"{policy.name} {number + 1}" for number in range(versions))],
    )
    with written(path) as neighbour:
        sheet.save(neighbour)


def pick_rows(dataset: Dataset, rows: NDArray[np.int64], *, count: int = 6) -> NDArray[np.int64]:
    """Up to `count` of `rows`, from as many classes as possible."""
    if dataset.masks is not None and dataset.masks.counts is not None:
        shown = (dataset.masks.counts[rows][:, 1:] > 0).sum(axis=1)
        return np.sort(rows[np.argsort(-shown, kind="stable")[:count]])
    labels = dataset.labels[rows]
    turn = np.zeros(len(rows), np.int64)  # how many of the same class come before
    for label in np.unique(labels):
        turn[labels == label] = np.arange((labels == label).sum())
    first = np.lexsort((labels, turn))[:count]
    return np.sort(rows[first])


def _batch(
    dataset: Dataset, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(R, H, W, C) pictures as training sees them, and their (R, K) labels."""
    import tensorflow as tf

    from dnncli.data import decode

    height_width, channels = default_image_size(dataset), default_channels(dataset)
    pictures = []
    for row in rows:
        picture = tf.constant(pixels(dataset.images, row, channels=channels))
        if isinstance(dataset.images, ArrayImages):
            picture = decode.change_channels(picture, channels=channels)
        pictures.append(decode.fit_to(picture, height_width=height_width, how="stretch"))
    labels = np.eye(len(dataset.class_names), dtype=np.float32)[dataset.labels[rows]]
    return tf.stack(pictures).numpy().astype(np.float32), labels


def _windows(
    dataset: Dataset, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """(R, H, W, C) windows of pictures and (R, H, W) of their masks."""
    from dnncli.data.mask_pipeline import MaskLoader

    loader = MaskLoader(dataset=dataset, channels=default_channels(dataset), window=(1, 1))
    pairs = [loader.read(row) for row in rows.tolist()]
    smallest = np.min([mask.shape for _, mask in pairs], axis=0)
    height, width = np.minimum(smallest, LONGEST).tolist()
    cuts = []
    for row, (picture, mask) in zip(rows.tolist(), pairs, strict=True):
        draws = np.random.default_rng(row).random(windows.DRAWS)
        place = windows.place(mask, (height, width), draws, foreground=1.0)
        cuts.append(windows.cut(picture, mask, place, (height, width)))
    images = np.stack([image for image, _ in cuts]).astype(np.float32)
    return images, np.stack([mask for _, mask in cuts])


def _coloured(
    pictures: NDArray[np.uint8], masks: NDArray[np.uint8], *, count: int
) -> NDArray[np.uint8]:
    """(R, H, W, 3) pictures with the classes of their masks in colours, but for the background."""
    from dnncli.report.mask_panels import class_colours, tinted

    sheet = np.broadcast_to(pictures, (*pictures.shape[:3], 3)).copy()
    for picture, mask in zip(sheet, masks, strict=True):
        for index, colour in enumerate(class_colours(count)):
            if index:
                picture[:] = tinted(picture, mask == index, colour)
        picture[mask == NO_CLASS] //= 4
    return sheet


def _versions(
    images: NDArray[np.float32],
    labels: NDArray,
    *,
    joint: bool,
    policy: Policy,
    seed: int,
    versions: int,
) -> list[tuple[NDArray[np.uint8], NDArray]]:
    """The originals and then each version: (R, H, W, C) 8-bit pictures and labels or masks."""
    from dnncli.augmentation.apply import build, build_joint

    eight_bit = images.min() >= 0 and images.max() <= 255 and images.max() > 1
    low, high = (0.0, 255.0) if eight_bit else (float(images.min()), float(images.max()))
    augment = (build_joint if joint else build)(
        policy,
        height_width=images.shape[1:3],
        channels=images.shape[3],
        value_range=(low, high if high > low else low + 1),
    )
    found: list[Any] = [(images, labels)]
    for number in range(versions):
        key = np.array(copy_seed(seed, "preview", number), np.int32)
        found.append(augment(images, labels, key))
    scale = 255 / (high - low) if high > low else 0.0
    return [
        (np.rint((np.asarray(x) - low) * scale).clip(0, 255).astype(np.uint8), np.asarray(y))
        for x, y in found
    ]


def _caption(label: NDArray, class_names: tuple[str, ...]) -> str:
    """The class, or the classes with their shares."""
    parts = [index for index in np.argsort(-label) if label[index] >= 0.005]
    if len(parts) == 1:
        return class_names[parts[0]]
    return " + ".join(f"{label[index]:.0%} {class_names[index]}" for index in parts)


def _sheet(
    columns: list[NDArray[np.uint8]], captions: list[list[str]], *, titles: list[str]
) -> Any:
    from PIL import Image, ImageDraw, ImageFont

    rows, height, width = columns[0].shape[:3]
    scale = max(1, -(-_SIDE // max(height, width)))
    tile = (width * scale, height * scale)
    step = (tile[0] + _GAP, tile[1] + _GAP + _TEXT)
    head = _TEXT + _GAP
    sheet = Image.new("RGB", (_GAP + step[0] * len(columns), head + _GAP + step[1] * rows), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT - 2)
    for place, (column, lines, title) in enumerate(zip(columns, captions, titles, strict=True)):
        x = _GAP + place * step[0]
        draw.text((x, _GAP // 2), _cut(title, tile[0], draw, font), _INK, font)
        for row in range(rows):
            y = head + row * step[1]
            picture = Image.fromarray(
                column[row].squeeze(-1) if column.shape[3] == 1 else column[row]
            )
            sheet.paste(picture.resize(tile, Image.Resampling.NEAREST), (x, y))
            draw.text((x, y + tile[1]), _cut(lines[row], tile[0], draw, font), _INK, font)
    return sheet


def _cut(text: str, width: int, draw: "ImageDraw", font: "FreeTypeFont | ImageFont") -> str:
    """`text` shortened until it is at most `width` pixels long."""
    if draw.textlength(text, font) <= width:
        return text
    while text and draw.textlength(f"{text}…", font) > width:
        text = text[:-1]
    return f"{text}…"
