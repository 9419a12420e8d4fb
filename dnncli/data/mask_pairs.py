"""Finds pictures and the mask or edge map that belongs to each, by name.

Shapes: N pictures, H and W in pixels.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from dnncli.data.annotators import DRAWN, EDGES, IMAGES, split_places
from dnncli.data.dataset import (
    BACKGROUND,
    UNLABELLED,
    ArrayImages,
    Dataset,
    FileImages,
    Problem,
    RecordImages,
    Task,
)
from dnncli.data.folder import SPLIT_FOLDERS, read_folder
from dnncli.data.map_files import map_classes, readable_maps
from dnncli.data.maps import Maps
from dnncli.data.names import near
from dnncli.errors import DataError
from dnncli.results import Progress

EDGE_NAMES = (BACKGROUND, "edge")


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """N pictures with a map each."""

    dataset: Dataset  # of the pictures: without classes and masks
    maps: tuple[Maps, ...]  # (N,) that the map of each picture is in
    stems: tuple[str, ...]  # (N,) its name there


@dataclass(frozen=True, kw_only=True, eq=False)
class _Part:
    """The pictures of one split, in order."""

    place: Path
    name: str  # of the split folder; "" where the root holds the pictures
    pictures: Dataset
    images: FileImages
    stems: tuple[str, ...]  # path below `images`, without suffix


def stem_of(name: str) -> str:
    """A path without the suffix of its file."""
    return PurePosixPath(name).with_suffix("").as_posix()


def drawn_folders(root: Path) -> list[str]:
    """The folders of masks, labels or edges that lie beside pictures."""
    places = split_places(root)
    return [name for name in DRAWN if any((place / name).is_dir() for place in places)]


def has_pictures(root: Path) -> bool:
    """Whether pictures lie in `images`, or in `images` of split folders."""
    return bool(split_places(root))


def read_pictures(root: Path, *, max_pixels: int, progress: Progress) -> Dataset:
    """The pictures of `[split/]images` alone, with ids as those with masks have.

    Raises:
        DataError: if two pictures have one id, or none can be read.
    """
    parts, problems = _parts(root, max_pixels=max_pixels, progress=progress)
    rows = [(part, row) for part in parts for row in range(len(part.stems))]
    return _checked(_joined(root, rows, task="segment", problems=problems))


def without_suffixes(dataset: Dataset) -> Dataset:
    """A data set whose ids are paths without suffix, as masks that are predicted are called.

    Raises:
        DataError: if two ids become one.
    """
    if isinstance(dataset.images, ArrayImages | RecordImages):
        return dataset
    return _checked(replace(dataset, ids=tuple(map(stem_of, dataset.ids))))


def _checked(dataset: Dataset) -> Dataset:
    """The same; a DataError if two pictures have one id."""
    first: dict[str, int] = {}
    twice = [
        (first[name], row)
        for row, name in enumerate(dataset.ids)
        if first.setdefault(name, row) != row
    ]
    if twice and isinstance(dataset.images, FileImages):
        path = dataset.images.path
        lines = [f"{path(a)} and {path(b)}" for a, b in twice]
        raise DataError(f"{dataset.root}: pictures that differ in suffix only. Rename one:", lines)
    return dataset


def find_pairs(root: Path, folder: str, *, max_pixels: int, progress: Progress) -> Pairs:
    """Match `[split/]images` and `[split/]<folder>` by stem; what does not fit is a problem.

    Raises:
        DataError: if nothing can be read, or nothing fits.
    """
    parts, problems = _parts(root, max_pixels=max_pixels, progress=progress)
    rows: list[tuple[_Part, int]] = []
    maps: list[Maps] = []
    for part in parts:
        drawn, damaged = _maps(part, folder, max_pixels=max_pixels, progress=progress)
        problems += damaged
        if drawn is None:
            what = f"has no folder {folder}: its {len(part.stems)} pictures are left out."
            problems.append(Problem(path=part.name or ".", what=what))
            continue
        known = {stem_of(problem.path) for problem in problems}
        fitting, unfit = _fitting(part, drawn, folder=folder, known=known)
        problems += unfit
        rows += [(part, row) for row in fitting]
        maps += [drawn] * len(fitting)
    if not rows:
        raise DataError(
            f"{root}: no picture has a map in {folder} that can be used:",
            [str(p) for p in problems],
        )
    task: Task = "edges" if folder == EDGES else "segment"
    return Pairs(
        dataset=_joined(root, rows, task=task, problems=problems),
        maps=tuple(maps),
        stems=tuple(part.stems[row] for part, row in rows),
    )


def _parts(root: Path, *, max_pixels: int, progress: Progress) -> tuple[list[_Part], list[Problem]]:
    """The pictures of every split, and those that cannot be read."""
    parts, problems = [], []
    for place in split_places(root):
        pictures = read_folder(
            place / IMAGES, labelled=False, max_pixels=max_pixels, progress=progress
        )
        if not isinstance(pictures.images, FileImages):
            raise TypeError("a folder must give files.")
        part = _Part(
            place=place,
            name="" if place == root else place.name,
            pictures=pictures,
            images=pictures.images,
            stems=tuple(map(stem_of, pictures.ids)),
        )
        parts.append(part)
        problems += _below(part, IMAGES, pictures.problems)
    return parts, problems


def _below(part: _Part, folder: str, problems: Sequence[Problem]) -> list[Problem]:
    """The same with paths below the root of the data set."""
    base = PurePosixPath(part.name, folder)
    return [replace(problem, path=str(base / problem.path)) for problem in problems]


def _maps(
    part: _Part, folder: str, *, max_pixels: int, progress: Progress
) -> tuple[Maps | None, list[Problem]]:
    """The maps of a part, if it has a folder of them, and those that cannot be read."""
    path = part.place / folder
    if not path.is_dir():
        return None, []
    is_mask = folder != EDGES
    found, unreadable = readable_maps(
        path, is_mask=is_mask, max_pixels=max_pixels, progress=progress
    )
    names, void = map_classes(path)
    if not is_mask and names != EDGE_NAMES:  # they are of the masks beside the edges
        names, void = (), None
    maps = Maps(
        path=path,
        kind="mask" if is_mask else "edge",
        ids=tuple(sorted(found)),
        shapes={name: entry.shape for name, entry in found.items()},
        loaders={name: entry.load for name, entry in found.items()},
        class_names=names,
        void=void,
    )
    return maps, _below(part, folder, unreadable)


def _fitting(
    part: _Part, drawn: Maps, *, folder: str, known: set[str]
) -> tuple[list[int], list[Problem]]:
    """Rows of a part that have one map of their size, and what is wrong with all others.

    Args:
        part: pictures.
        drawn: their maps.
        folder: that the maps are in.
        known: paths without suffix of what cannot be read, and is named already.
    """
    rows, bare, problems = [], [], []
    images, below = PurePosixPath(part.name, IMAGES), PurePosixPath(part.name, folder)
    first: dict[str, str] = {}
    for row, (stem, name) in enumerate(zip(part.stems, part.pictures.ids)):
        tall, wide = part.images.sizes[row].tolist()
        height, width = drawn.shapes.get(stem, (0, 0))
        if first.setdefault(stem, name) != name:
            what = f"has the same name as {first[stem]}, to which the map in {folder} goes."
        elif str(below / stem) in known:
            continue
        elif stem not in drawn.shapes:
            bare.append((stem, str(images / name)))
            continue
        elif (height, width) != (tall, wide):
            what = f"is {wide} x {tall} pixels, its map in {folder} {width} x {height}."
        else:
            rows.append(row)
            continue
        problems.append(Problem(path=str(images / name), what=what))
    spare = [s for s in drawn.ids if s not in first and str(images / s) not in known]
    hints = near([stem for stem, _ in bare], [*spare, *drawn.ids])
    problems += [
        Problem(path=path, what=f"has no map in {folder}.{hint}")
        for (_, path), hint in zip(bare, hints)
    ]
    problems += [Problem(path=str(below / stem), what="has no picture.") for stem in spare]
    return rows, problems


def _joined(
    root: Path, rows: Sequence[tuple[_Part, int]], *, task: Task, problems: Sequence[Problem]
) -> Dataset:
    """Rows of several parts as one data set without classes."""
    names = [str(PurePosixPath(part.name, part.stems[row])) for part, row in rows]
    splits = [SPLIT_FOLDERS.get(part.name.lower(), "") for part, _ in rows]
    return Dataset(
        kind="folder",
        root=root,
        ids=tuple(names),
        labels=np.full(len(rows), UNLABELLED, np.int32),
        class_names=(),
        splits=np.array(splits, "<U5"),
        images=FileImages(
            names=tuple(part.images.path(row) for part, row in rows),
            routes=np.array([part.images.routes[row] for part, row in rows], np.uint8),
            sizes=np.array([part.images.sizes[row] for part, row in rows], np.int32),
            grey=np.array([part.images.grey[row] for part, row in rows], bool),
        ),
        digests=tuple((part.pictures.digests or ())[row] for part, row in rows),
        problems=tuple(problems),
        task=task,
    )
