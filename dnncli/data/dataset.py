"""What a data set is: rows with ids, labels and splits, and where their pixels are (no pixels).

Shapes: N rows, H height and W width in pixels, C channels.
"""

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SPLITS = ("train", "val", "test")
UNLABELLED = -1


class Route(IntEnum):
    """Which decoder an encoded picture goes through, decided once from its header."""

    TENSORFLOW = 0  # the in-graph decoder gives exactly what Pillow would
    PILLOW = 1  # EXIF rotation, CMYK, palette, 16-bit, alpha, TIFF, WebP, GIF ...


@dataclass(frozen=True, kw_only=True)
class FileImages:
    """Encoded pictures, one file each."""

    names: tuple[str, ...]  # (N,) paths below `folder`; absolute where that is empty
    folder: str = ""  # absolute; kept apart, so that names and ids can be the same objects
    routes: NDArray[np.uint8]  # (N,) values of Route
    sizes: NDArray[np.int32]  # (N, 2) height, width in pixels, upright
    grey: NDArray[np.bool_]  # (N,) the picture holds no colour

    def path(self, row: int) -> str:
        """The absolute path of one picture."""
        return os.path.join(self.folder, self.names[row])  # noqa: PTH118


@dataclass(frozen=True, kw_only=True)
class RecordImages:
    """Encoded pictures inside TFRecord files; each is `length` bytes at `offset` of its file."""

    files: tuple[str, ...]  # absolute
    file: NDArray[np.int32]  # (N,) index into files
    offsets: NDArray[np.int64]  # (N,) bytes
    lengths: NDArray[np.int64]  # (N,) bytes
    routes: NDArray[np.uint8]  # as in FileImages
    sizes: NDArray[np.int32]
    grey: NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class ArrayImages:
    """Decoded pictures in NumPy arrays, perhaps memory-mapped. Every array has the same H, W, C."""

    arrays: tuple[NDArray, ...]  # each (n, H, W) or (n, H, W, C); all of one dtype
    array: NDArray[np.int32]  # (N,) index into arrays
    rows: NDArray[np.int64]  # (N,) row of that array

    @property
    def height_width(self) -> tuple[int, int]:
        """Height and width in pixels."""
        return self.arrays[0].shape[1:3]

    @property
    def channels(self) -> int:
        """1 for (n, H, W) arrays, else C."""
        return self.arrays[0].shape[3] if self.arrays[0].ndim == 4 else 1


Images = FileImages | RecordImages | ArrayImages


Task = Literal["classify", "segment", "edges"]
BACKGROUND = "background"  # what pixels of no named class are called
NO_CLASS = 255  # of a pixel that is of no class: no loss, no score


def judged(class_names: Sequence[str]) -> tuple[int, ...]:
    """Indices of the classes of masks that scores are about: all but the background.

    Of two classes that is the first, whatever it is called.
    """
    has_background = len(class_names) == 2 or class_names[0].lower() == BACKGROUND
    return tuple(range(1 if has_background else 0, len(class_names)))


@dataclass(frozen=True, kw_only=True)
class Masks:
    """What is drawn in the pictures: a class for every pixel, read one picture at a time."""

    source: Callable[[int], NDArray[np.uint8]]  # number -> (H, W) class indices or NO_CLASS
    numbers: NDArray[np.int64]  # (N,) what `source` calls each row
    values: tuple[int, ...]  # (C,) how each class is stored in mask files
    void: int  # how NO_CLASS is stored in mask files
    digests: tuple[bytes, ...]  # (N,) equal where the content is equal
    counts: NDArray[np.int64] | None = None  # (N, C) pixels of each class; None: not counted yet

    def read(self, row: int) -> NDArray[np.uint8]:
        """(H, W) class indices of one row, NO_CLASS where a pixel is of no class.

        Raises:
            DataError: if the file cannot be read or holds a value that is no class.
        """
        return self.source(int(self.numbers[row]))

    def take(self, rows: NDArray[np.integer]) -> "Masks":
        """Only `rows`, in the given order."""
        digests = tuple(self.digests[row] for row in rows)
        counts = None if self.counts is None else self.counts[rows]
        return replace(self, numbers=self.numbers[rows], digests=digests, counts=counts)


@dataclass(frozen=True, kw_only=True)
class Problem:
    """Something about the data that the user should know.

    `skipped` rows are not in the data set; `ignored` things never belonged to it (a stray file);
    `noted` rows are used all the same.
    """

    path: str
    what: str
    remedy: str = ""
    action: Literal["skipped", "ignored", "noted"] = "skipped"

    def __str__(self) -> str:
        remedy = f" {self.remedy}" if self.remedy else ""
        return f"{self.path}: {self.what}{remedy}"


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Rows of one data set, in a fixed order that every run sees alike."""

    kind: Literal["folder", "numpy", "tfrecord", "table"]
    root: Path
    ids: tuple[str, ...]  # (N,) unique: relative path, row, or record key
    labels: NDArray[np.int32]  # (N,) index into class_names, or UNLABELLED (all rows with masks)
    class_names: tuple[str, ...]
    splits: NDArray[np.str_]  # (N,) "train", "val", "test", or "" where none is declared
    images: Images
    groups: tuple[str, ...] | None = None  # (N,) rows of one group stay on one side of a split
    weights: NDArray[np.float32] | None = None  # (N,) sample weights
    digests: tuple[bytes, ...] | None = None  # (N,) equal where the content is equal
    problems: tuple[Problem, ...] = field(default=())
    task: Task = "classify"
    masks: Masks | None = None  # of segment and edges

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def declared_splits(self) -> tuple[str, ...]:
        """The splits that rows are declared for, in the order train, val, test."""
        return tuple(split for split in SPLITS if (self.splits == split).any())

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 (hex) of ids, labels and content: changes when the data changes, not its path."""
        digest = hashlib.sha256("\0".join(self.class_names).encode())
        contents = self.digests or (b"",) * len(self)
        if self.masks is not None:
            contents = tuple(map(bytes.__add__, contents, self.masks.digests))
        for name, label, content in zip(self.ids, self.labels.tolist(), contents, strict=True):
            digest.update(f"{name}\0{label}\0".encode("utf-8", "surrogateescape") + content)
        return digest.hexdigest()

    def contents(self, rows: Iterable[int]) -> list[bytes] | None:
        """Digests of the pictures of some rows; None if the data set has none."""
        return None if self.digests is None else [self.digests[row] for row in rows]

    def rows(self, split: str) -> NDArray[np.int64]:
        """Indices of the rows of one split, in order."""
        return np.flatnonzero(self.splits == split)

    def take(self, rows: Sequence[int] | NDArray[np.integer]) -> "Dataset":
        """The same data set with only `rows`, in the given order; problems are kept."""
        rows = np.asarray(rows, dtype=np.int64)

        numbers = rows.tolist()  # Python picks by its own integers twice as fast

        def pick(values: tuple | None) -> tuple | None:
            return None if values is None else tuple(values[row] for row in numbers)

        match self.images:
            case FileImages() as images:
                taken: Images = replace(
                    images,
                    names=tuple(images.names[row] for row in numbers),
                    routes=images.routes[rows],
                    sizes=images.sizes[rows],
                    grey=images.grey[rows],
                )
            case RecordImages() as images:
                taken = replace(
                    images,
                    file=images.file[rows],
                    offsets=images.offsets[rows],
                    lengths=images.lengths[rows],
                    routes=images.routes[rows],
                    sizes=images.sizes[rows],
                    grey=images.grey[rows],
                )
            case ArrayImages() as images:
                taken = replace(images, array=images.array[rows], rows=images.rows[rows])
        return replace(
            self,
            ids=tuple(self.ids[row] for row in numbers),
            labels=self.labels[rows],
            splits=self.splits[rows],
            images=taken,
            groups=pick(self.groups),
            weights=None if self.weights is None else self.weights[rows],
            digests=pick(self.digests),
            masks=None if self.masks is None else self.masks.take(rows),
        )
