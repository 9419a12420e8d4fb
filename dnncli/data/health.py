"""What is wrong or odd with a data set: unreadable files, copies, leaks, label conflicts."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace

import numpy as np

from dnncli.data.alike import equal_rows
from dnncli.data.dataset import SPLITS, UNLABELLED, ArrayImages, Dataset, Problem
from dnncli.data.masks import row_pixel_counts
from dnncli.data.pictures import pixels
from dnncli.data.scan import digest
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress

Group = tuple[str, ...]  # ids of rows with equal content

_BATCH = 64  # pictures decoded before progress is told


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """Height and width in pixels over the rows, each side by itself."""

    smallest: tuple[int, int]
    median: tuple[int, int]
    largest: tuple[int, int]
    distinct: int  # different (height, width) pairs


@dataclass(frozen=True, kw_only=True)
class HealthReport:
    """The state of a data set. `""` is the split of rows that no split is declared for.

    A row with a mask is of every class that a pixel of it is of.
    """

    rows: int
    splits: dict[str, int]  # split -> rows
    classes: dict[str, dict[str, int]]  # class -> split -> rows
    unlabelled: int  # rows without a label or mask
    sizes: Sizes
    grey: int  # rows without colour
    colour: int  # rows with colour
    imbalance: float  # rows (of masks: pixels) of the largest class / of the smallest that has any
    missing: dict[str, tuple[str, ...]]  # split -> classes it has no row of
    compared: bool  # whether content could be compared
    duplicates: tuple[Group, ...]  # all groups of equal content
    leaks: tuple[Group, ...]  # groups that stand in more than one split
    leaked: dict[str, int]  # split -> its rows that an earlier split (train, val) has too
    conflicts: tuple[Group, ...]  # groups with more than one label or mask
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class PixelReport:
    """What decoding every picture shows beyond its bytes."""

    dataset: Dataset  # the rows that can be decoded, with digests of their pixels
    unreadable: tuple[Problem, ...]


def health(dataset: Dataset) -> HealthReport:
    """Judge a data set by its rows, sizes and digests; reads no file but masks not counted yet."""
    splits = [split for split in ("", *SPLITS) if (dataset.splits == split).any()]
    if dataset.masks is None:
        counts = {
            split: np.bincount(
                dataset.labels[(dataset.splits == split) & (dataset.labels != UNLABELLED)],
                minlength=len(dataset.class_names),
            )
            for split in splits
        }
        totals = sum(counts.values(), np.zeros(len(dataset.class_names), np.int64))
        unlabelled = int((dataset.labels == UNLABELLED).sum())
    else:
        by_row = row_pixel_counts(dataset, np.arange(len(dataset)))
        counts = {split: (by_row[dataset.splits == split] > 0).sum(axis=0) for split in splits}
        totals, unlabelled = by_row.sum(axis=0), 0
    present = totals[totals > 0]
    groups = equal_rows(dataset.digests or ())
    split_of = dataset.splits.tolist()
    labels_of = _labels(dataset)
    grey = _grey(dataset)
    return HealthReport(
        rows=len(dataset),
        splits={split: int((dataset.splits == split).sum()) for split in splits},
        classes={
            name: {split: int(counts[split][index]) for split in splits}
            for index, name in enumerate(dataset.class_names)
        },
        unlabelled=unlabelled,
        sizes=_sizes(dataset),
        grey=grey,
        colour=len(dataset) - grey,
        imbalance=float(present.max() / present.min()) if len(present) else float("nan"),
        missing={
            split: tuple(np.array(dataset.class_names)[counts[split] == 0].tolist())
            for split in splits
            if dataset.class_names and (counts[split] == 0).any()
        },
        compared=dataset.digests is not None,
        duplicates=_named(dataset, groups),
        leaks=_named(dataset, [g for g in groups if len({split_of[row] for row in g}) > 1]),
        leaked=_leaked(dataset, groups),
        conflicts=_named(
            dataset, [g for g in groups if len({labels_of[row] for row in g} - {UNLABELLED}) > 1]
        ),
        problems=dataset.problems,
    )


def pixel_duplicates(dataset: Dataset, *, progress: Progress = no_progress) -> PixelReport:
    """Decode every picture, and digest its pixels instead of its bytes.

    `health` of the returned data set then finds copies that were saved anew without loss, and the
    rows that its files promise but do not hold are named.
    """

    def content(row: int) -> bytes | Problem:
        try:
            image = pixels(dataset.images, row, channels=3)
        except (OSError, DataError) as error:
            return Problem(path=dataset.ids[row], what=str(error))
        return digest(repr(image.shape).encode() + np.ascontiguousarray(image).tobytes())

    found: list[bytes | Problem] = []
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(dataset), _BATCH):
            found.extend(pool.map(content, range(start, min(start + _BATCH, len(dataset)))))
            progress("Decoding", len(found), len(dataset))
    unreadable = tuple(entry for entry in found if isinstance(entry, Problem))
    good = [row for row, entry in enumerate(found) if isinstance(entry, bytes)]
    digests = tuple(entry for entry in found if isinstance(entry, bytes))
    kept = dataset.take(good)
    problems = (*dataset.problems, *unreadable)
    return PixelReport(
        dataset=replace(kept, digests=digests, problems=problems), unreadable=unreadable
    )


def _named(dataset: Dataset, groups: Sequence[list[int]]) -> tuple[Group, ...]:
    return tuple(tuple(dataset.ids[row] for row in rows) for rows in groups)


def _labels(dataset: Dataset) -> Sequence[int | bytes]:
    """(N,) what is equal where rows have the same label or mask."""
    if dataset.masks is not None:
        return dataset.masks.digests
    labels: list[int | bytes] = dataset.labels.tolist()
    return labels


def _leaked(dataset: Dataset, groups: Sequence[list[int]]) -> dict[str, int]:
    counts = dict.fromkeys(dataset.declared_splits[1:], 0)
    if not counts:
        return counts
    for rows in groups:
        splits = dataset.splits[rows].tolist()
        first = min((SPLITS.index(split) for split in splits if split), default=0)
        for split in splits:
            if split and SPLITS.index(split) > first:
                counts[split] += 1
    return counts


def _sizes(dataset: Dataset) -> Sizes:
    images = dataset.images
    if isinstance(images, ArrayImages):
        only = images.height_width
        return Sizes(smallest=only, median=only, largest=only, distinct=1)
    if not len(dataset):
        return Sizes(smallest=(0, 0), median=(0, 0), largest=(0, 0), distinct=0)
    height, width = np.median(images.sizes, axis=0).round().astype(int).tolist()
    return Sizes(
        smallest=tuple(images.sizes.min(axis=0).tolist()),
        median=(height, width),
        largest=tuple(images.sizes.max(axis=0).tolist()),
        distinct=len(np.unique(images.sizes, axis=0)),
    )


def _grey(dataset: Dataset) -> int:
    images = dataset.images
    if isinstance(images, ArrayImages):
        return len(dataset) if images.channels == 1 else 0
    return int(images.grey.sum())
