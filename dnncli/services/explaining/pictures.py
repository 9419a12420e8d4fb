"""Which pictures are to be explained, and what a network is given of each.

Shapes: H x W pixels, c channels.
"""

import glob
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import UNLABELLED, Dataset, FileImages
from dnncli.errors import ConfigError, DataError
from dnncli.registry import suggest
from dnncli.report.overlays import Box, Placement, placement
from dnncli.results import Progress, no_progress
from dnncli.services.masks.predictor import read_picture
from dnncli.services.rows import ALL, OF_PIXELS, Opened, data_of, open_for, run_of, splits_of

LARGEST = 1024  # pixels a side of what a network of pixels is given at a time
_MULTIPLE = 32  # of pixels a side: no network here has to pad such pictures


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One picture that is to be explained."""

    dataset: Dataset
    row: int
    name: str  # of its files, without suffix; no two are alike

    @property
    def id(self) -> str:
        """As the data set calls it."""
        return self.dataset.ids[self.row]

    @property
    def truth(self) -> str | None:
        """Its class, if it is known."""
        label = int(self.dataset.labels[self.row])
        return None if label == UNLABELLED else self.dataset.class_names[label]


def subjects(
    model: Path,
    images: Sequence[str | Path] = (),
    *,
    split: str | None = None,
    limit: int,
    on_bad: str = "skip",
    progress: Progress = no_progress,
) -> tuple[list[Subject], tuple[str, ...]]:
    """The pictures that are meant, and what the user should know of them.

    Args:
        model: the .keras file.
        images: picture files, folders, data sets, or ids of the run's data set; none: the run's
            data set.
        split: of data sets: train, val, test or all. None: test if there is one, else all.
        limit: pictures of each folder or data set; they are taken at even distances, so that all
            classes have a share. Files and ids are always taken.
        on_bad: unreadable pictures: "skip" or "error".
        progress: told how far reading is.

    Raises:
        ConfigError, DataError, ModelError: what is not there or does not fit.
    """
    chosen: list[tuple[Dataset, int]] = []
    notes: list[str] = []
    there = [Path(image).exists() or _matches(str(image)) for image in images]
    named = [str(image) for image, found in zip(images, there) if not found]
    sets: list[str | Path | None] = [image for image, found in zip(images, there) if found]
    if named:
        chosen += _by_id(model, named, on_bad=on_bad, progress=progress)
    for data in sets if images else [None]:
        opened = open_for(model, data, on_bad=on_bad, progress=progress)
        rows, said = _of_set(opened, data, split=split, limit=limit)
        chosen += [(opened.dataset, row) for row in rows]
        notes += said
    used: set[str] = set()
    found = [
        Subject(dataset=dataset, row=row, name=_name(dataset, row, used)) for dataset, row in chosen
    ]
    return found, tuple(dict.fromkeys(notes))


def _matches(pattern: str) -> bool:
    """Whether files match a pattern such as "shards/train-*"."""
    return glob.has_magic(pattern) and bool(glob.glob(pattern, recursive=True))  # noqa: PTH207


def _of_set(
    opened: Opened, data: str | Path | None, *, split: str | None, limit: int
) -> tuple[list[int], list[str]]:
    """Rows of one file, folder or data set, and remarks on them."""
    dataset, available = opened.dataset, splits_of(opened)
    if data is not None and Path(data).is_file() and len(dataset) == 1:
        return [0], []
    split = split or ("test" if "test" in available else ALL)
    if split not in available:
        where = "the data set of the run" if data is None else str(data)
        raise ConfigError(f"--split {split}: {where} has {', '.join(available)}.")
    rows = np.arange(len(dataset)) if split == ALL else dataset.rows(split)
    problems = dataset.problems
    notes = [str(problem) for problem in problems if problem.action == "skipped"]
    if len(rows) > limit:
        where = "" if data is None else f"{data}: "
        notes.append(
            f"{where}{limit} of {len(rows):,} pictures are explained, at even distances. "
            "More: --limit N, or name files or ids."
        )
        rows = rows[np.linspace(0, len(rows) - 1, limit).round().astype(int)]
    return rows.tolist(), notes


def _by_id(
    model: Path, named: Sequence[str], *, on_bad: str, progress: Progress
) -> list[tuple[Dataset, int]]:
    """Rows of the run's own data set.

    Raises:
        DataError: naming all that are neither files nor ids.
    """
    run = run_of(model)
    if run is None:
        problems = [f"'{name}'." for name in named]
        raise DataError("No such picture files or folders:", problems)
    dataset = open_for(model, None, on_bad=on_bad, progress=progress).dataset
    places = {name: row for row, name in enumerate(dataset.ids)}
    wrong = [f"'{name}'." for name in named if name not in places]
    if wrong:
        wrong[0] += suggest(wrong[0][1:-2], dataset.ids)  # of all ids: one takes long enough
        raise DataError(
            f"No such picture files or folders, nor ids of {data_of(run)}, the run's data set "
            f"(an id is such as '{dataset.ids[0]}'):",
            wrong,
        )
    return [(dataset, places[name]) for name in named]


def _name(dataset: Dataset, row: int, used: set[str]) -> str:
    """A path for the files of one picture: its id, without suffix and made unlike all others."""
    place = PurePosixPath(dataset.ids[row])
    if isinstance(dataset.images, FileImages):
        place = place.with_suffix("") if place.name else place
    parts = [part for part in place.parts if part not in ("/", "..")]
    stem = "/".join(parts).replace("\0", "") or "picture"
    name, number = stem, 1
    while name.lower() in used:  # some file systems take a and A for the same
        number += 1
        name = f"{stem}-{number}"
    used.add(name.lower())
    return name


def given(subject: Subject, card: Mapping[str, Any]) -> tuple[NDArray[np.float32], Placement]:
    """What the network is given of a picture, (H, W, c), and where that lies in the picture.

    A classifier is given what it is given in prediction. A network of pixels that works on windows
    is given the whole picture, or its middle if it is larger than 1024 x 1024 pixels.

    Raises:
        DataError: if the picture cannot be read.
    """
    picture = read_picture(subject.dataset, subject.row, channels=card["channels"])
    if card["resize"] == "tile":
        return _middle(picture)
    import tensorflow as tf

    from dnncli.data.decode import fit_to

    height_width = tuple(card["image_size"])
    values = picture if picture.dtype == np.uint8 else picture.astype(np.float32)
    fitted = fit_to(tf.constant(values), height_width=height_width, how=card["resize"])
    place = placement(picture.shape[:2], height_width, resize=card["resize"])
    return fitted.numpy().astype(np.float32), place


def _middle(picture: NDArray) -> tuple[NDArray[np.float32], Placement]:
    """At most 1024 x 1024 pixels, continued to sides that need no padding inside the network."""
    height, width = (min(side, LARGEST) for side in picture.shape[:2])
    shown = Box((picture.shape[0] - height) // 2, (picture.shape[1] - width) // 2, height, width)
    below, right = -height % _MULTIPLE, -width % _MULTIPLE
    values = np.pad(
        shown.cut(picture).astype(np.float32), ((0, below), (0, right), (0, 0)), mode="reflect"
    )
    place = Placement(
        picture=picture.shape[:2],
        shown=shown,
        seen=values.shape[:2],
        inside=Box(0, 0, height, width),
    )
    return values, place


def is_of_pixels(card: Mapping[str, Any]) -> bool:
    """Whether the model says something of every pixel."""
    return card["task"] in OF_PIXELS
