"""From pictures with masks to batches for training and validation, by tf.data.

As in `pipeline`, every batch is a pure function of (rows, seed, epoch, step).

Shapes: B windows per batch, H, W of a picture, h, w of a window, all in pixels; c channels.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tensorflow as tf  # noqa: TID253
from numpy.typing import NDArray

from dnncli.data import decode, pictures, windows
from dnncli.data.cache import Place, Room
from dnncli.data.dataset import ArrayImages, Dataset
from dnncli.data.pipeline import as_it_is, options, passes, step_key
from dnncli.data.windows import Fit, Pair
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress

# Images as the loader has them, masks, seed -> images of uint8 or float32, masks.
Augment = Callable[[Any, Any, Any], tuple[Any, Any]]


@dataclass(frozen=True, kw_only=True)
class MaskLoader:
    """Reads pictures and masks of one data set by row."""

    dataset: Dataset
    channels: int  # 1 or 3
    window: tuple[int, int]  # (h, w) of the pictures in a batch
    resize: Fit = "tile"
    workers: int = 1  # batches made at the same time
    kept: dict[int, Pair] | None = None  # what `read` gives, by row

    @property
    def dtype(self) -> type[np.uint8] | type[np.float32]:
        """Of the pictures: uint8 for 8-bit ones, else float32."""
        images = self.dataset.images
        if isinstance(images, ArrayImages) and images.arrays[0].dtype != np.uint8:
            return np.float32
        return np.uint8

    def read(self, row: int) -> Pair:
        """A picture (H, W, c) and its mask (H, W), at the size of the window unless tiled.

        Raises:
            DataError: if one of them cannot be read, or they differ in size.
        """
        if self.kept is not None and row in self.kept:
            return self.kept[row]
        masks = self.dataset.masks
        if masks is None:
            raise ValueError(f"{self.dataset.root}: this data set has no masks.")
        try:
            picture = pictures.pixels(self.dataset.images, row, channels=self.channels)
            mask = masks.read(row)
        except (DataError, OSError) as error:
            raise DataError(f"{self.dataset.ids[row]}: {error}") from error
        if mask.shape != picture.shape[:2]:
            raise DataError(
                f"{self.dataset.ids[row]}: the picture has {_size(picture)} pixels, its mask "
                f"{_size(mask)}. Make them the same size; masks by nearest neighbour."
            )
        return self._fitted(picture.astype(self.dtype, copy=False), mask)

    def _fitted(self, picture: NDArray, mask: NDArray[np.uint8]) -> Pair:
        if self.resize != "tile":
            mask = windows.fit_mask(mask, self.window, self.resize)
        is_sized = self.resize == "tile" or picture.shape[:2] == tuple(self.window)
        if is_sized and picture.shape[2] == self.channels:
            return picture, mask
        with tf.device("CPU:0"):  # as the pictures of classification are made
            image = decode.change_channels(tf.constant(picture), channels=self.channels)
            if self.resize != "tile":
                image = decode.fit_to(image, height_width=self.window, how=self.resize)
            return image.numpy(), mask

    def size(self, row: int) -> tuple[int, int]:
        """Height and width of what `read` gives, without reading it."""
        images = self.dataset.images
        if self.resize != "tile":
            return self.window
        if isinstance(images, ArrayImages):
            return images.height_width
        height, width = images.sizes[row].tolist()
        return height, width

    def windows_of(self, rows: NDArray[np.int64]) -> int:
        """How many windows `ordered` gives for `rows`."""
        return sum(windows.count(self.size(row), self.window) for row in rows.tolist())


def _size(array: NDArray) -> str:
    return f"{array.shape[1]} x {array.shape[0]}"


def decode_once(
    loader: MaskLoader,
    rows: NDArray[np.int64],
    *,
    room: Room,
    place: Place,
    progress: Progress = no_progress,
    what: str = "Decoding",
) -> tuple[MaskLoader, NDArray[np.int64]]:
    """Read every row once, so that none can fail in the middle of training.

    Args:
        loader: of the data set.
        rows: to read.
        room: of pictures and masks that are kept.
        place: where in it; see `Room.place`.
        progress: told how many are done.
        what: is told.

    Returns:
        The loader, with everything it keeps, and the rows that could not be read.
    """
    empty = _allocated(loader, rows, room=room, place=place) if place != "none" else {}

    def read(row: int) -> Pair | DataError | None:
        try:
            pair = loader.read(row)
        except DataError as error:
            return error
        if row not in empty:
            return None
        if [part.shape for part in pair] != [part.shape for part in empty[row]]:
            return pair  # the file has changed since it was looked at
        for part, values in zip(empty[row], pair):
            part[...] = values
        return empty[row]

    kept: dict[int, Pair] = {}
    bad = []
    with ThreadPoolExecutor(loader.workers) as pool:
        for done, (row, found) in enumerate(zip(rows.tolist(), pool.map(read, rows.tolist())), 1):
            if isinstance(found, DataError):
                bad.append(row)
            elif found is not None:
                kept[row] = found
            progress(what, done, len(rows))
    if place != "none":
        loader = replace(loader, kept={**(loader.kept or {}), **kept})
    return loader, np.array(bad, np.int64)


def decoded_bytes(loader: MaskLoader, rows: NDArray[np.int64]) -> int:
    """What pictures and masks of `rows` need, decoded."""
    pixel_bytes = loader.channels * np.dtype(loader.dtype).itemsize + 1
    return sum(int(np.prod(loader.size(row))) * pixel_bytes for row in rows.tolist())


def _allocated(
    loader: MaskLoader, rows: NDArray[np.int64], *, room: Room, place: Place
) -> dict[int, Pair]:
    """Space for picture and mask of every row, in two blocks."""
    sizes = {row: loader.size(row) for row in rows.tolist()}
    ends = np.cumsum([height * width for height, width in sizes.values()], dtype=np.int64).tolist()
    pixels = room.allocate((ends[-1] if ends else 0, loader.channels), loader.dtype, place=place)
    marks = room.allocate((len(pixels),), np.uint8, place=place)
    return {
        row: (pixels[start:end].reshape(*size, -1), marks[start:end].reshape(size))
        for (row, size), start, end in zip(sizes.items(), [0, *ends], ends)
    }


def shuffled(
    loader: MaskLoader,
    rows: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    first_step: int = 0,
    shuffle: bool = True,
    augment: Augment | None = None,
    accumulate: int = 1,
    foreground: float = 0.0,
) -> tf.data.Dataset:
    """Endless training batches (images, masks[, weights]), beginning at global step `first_step`.

    Pass e over the rows is a permutation drawn from (seed, e) and takes one window of each row,
    which is drawn from (seed, e, s) as the augmentation of step s of that pass is. For more windows
    per pass, name rows more than once. With `accumulate` > 1, weights make the mean gradient of the
    steps of one update that of all windows, though the last batch of a pass is smaller.

    Args:
        foreground: share of the windows that show a pixel of a class other than the background,
            see `windows.place`; of tiled pictures only.

    Returns:
        Batches of images (B, h, w, c) float32, masks (B, h, w) uint8 and weights (B,) float32.
    """
    share = np.float32(accumulate / len(rows))

    def cut(number: int, step: int, wanted: NDArray[np.int64]) -> Pair:
        draws = np.random.default_rng((seed, int(number), int(step))).random(
            (len(wanted), windows.DRAWS)
        )
        pairs = [
            _window(loader, row, numbers, foreground)
            for row, numbers in zip(wanted.tolist(), draws, strict=True)
        ]
        return np.stack([image for image, _ in pairs]), np.stack([mask for _, mask in pairs])

    def load(number: Any, step: Any, wanted: Any) -> Any:
        pair = tf.numpy_function(
            cut, [number, step, wanted], (loader.dtype, tf.uint8), stateful=False
        )
        images, masks = _shaped(loader, *pair)
        if augment is not None:
            images, masks = augment(images, masks, step_key(seed, number, step))
        images, masks = _shaped(loader, tf.cast(images, tf.float32), masks)
        if accumulate == 1:
            return images, masks
        return (
            images,
            masks,
            tf.fill(tf.shape(wanted), share * tf.cast(tf.size(wanted), tf.float32)),
        )

    picked = passes(rows, batch_size=batch_size, seed=seed, first_step=first_step, shuffle=shuffle)
    batches = picked.map(as_it_is(load), num_parallel_calls=loader.workers)
    return batches.prefetch(2).with_options(options())


def _window(loader: MaskLoader, row: int, draws: NDArray[np.floating], foreground: float) -> Pair:
    picture, mask = loader.read(row)
    if loader.resize != "tile":
        return picture, mask
    found = windows.place(mask, loader.window, draws, foreground=foreground)
    return windows.cut(picture, mask, found, loader.window)


def _shaped(loader: MaskLoader, images: Any, masks: Any) -> tuple[Any, Any]:
    images = tf.ensure_shape(images, (None, *loader.window, loader.channels))
    return images, tf.ensure_shape(masks, (None, *loader.window))


def ordered(loader: MaskLoader, rows: NDArray[np.int64], *, batch_size: int) -> tf.data.Dataset:
    """Batches for validation: windows side by side, every pixel of every mask once, not augmented.

    Returns:
        `loader.windows_of(rows)` windows in batches of images (B, h, w, c) float32 and masks
        (B, h, w) uint8; what is repeated or added at the margins is NO_CLASS.
    """

    def cut(row: int) -> Pair:
        picture, mask = loader.read(int(row))
        return windows.side_by_side(picture, mask, loader.window)

    def load(row: Any) -> Any:
        images, masks = tf.numpy_function(cut, [row], (loader.dtype, tf.uint8), stateful=False)
        return (
            tf.ensure_shape(images, (None, *loader.window, loader.channels)),
            tf.ensure_shape(masks, (None, *loader.window)),
        )

    of_pictures = tf.data.Dataset.from_tensor_slices(rows).map(
        as_it_is(load), num_parallel_calls=loader.workers
    )
    # Keras takes the end of a pipeline of unknown length for data that ran out.
    count = tf.data.experimental.assert_cardinality(-(-loader.windows_of(rows) // batch_size))
    batches = of_pictures.unbatch().batch(batch_size).apply(count)
    batches = batches.map(
        as_it_is(lambda images, masks: _shaped(loader, tf.cast(images, tf.float32), masks))
    )
    return batches.prefetch(2).with_options(options())


def picture_batches(
    loader: MaskLoader, rows: NDArray[np.int64], batch_size: int
) -> Iterator[NDArray]:
    """Every pixel of the pictures once, for fitting a normalisation.

    Args:
        batch_size: about so many windows are given at a time.

    Yields:
        (1, s, W, c) strips of a picture.
    """
    for row in rows.tolist():
        picture, _ = loader.read(row)
        lines = max(1, batch_size * loader.window[0] * loader.window[1] // picture.shape[1])
        for top in range(0, len(picture), lines):
            yield picture[np.newaxis, top : top + lines]
