"""Decides which rows train, validate and test, and writes it down."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dnncli.data.dataset import SPLITS, Problem
from dnncli.data.detect import open_dataset
from dnncli.data.masks import row_pixel_counts
from dnncli.data.split import assign_splits, group_names, write_split
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress
from dnncli.services.places import takes_urls


@dataclass(frozen=True, kw_only=True)
class SplitReport:
    """Which split file was written, and what is in it."""

    data: str
    out: str
    seed: int
    classes: tuple[str, ...]
    rows: dict[str, int]  # split -> rows
    counts: dict[str, dict[str, int]]  # split -> class -> rows; of masks: that hold the class
    groups: int | None  # how many there are; None: the rows are not grouped
    notes: tuple[str, ...]
    problems: tuple[Problem, ...]


@takes_urls
def split(
    data: Path | str,
    *,
    out: Path | str,
    val: float = 0.15,
    test: float = 0.15,
    group_by: str = "",
    seed: int = 0,
    classes: Sequence[str] = (),
    on_bad: str = "skip",
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> SplitReport:
    """Split a data set into train, val and test, stratified by class, and write `split.csv`.

    Pictures with masks are not stratified. Splits that the data declares are kept; see
    `assign_splits`.

    Args:
        data: anything `open_dataset` reads.
        out: CSV file `id,label,split,group`.
        val: share of the rows, in [0, 1).
        test: share of the rows, in [0, 1); used only if no split is declared.
        group_by: "parent" (the folder), "group" (that column), or a regular expression with one
            (...) part that is searched in the id; empty: the data's groups, if any.
        seed: of the random choice.
        classes: declared order of the classes.
        on_bad: as in `open_dataset`.
        overwrite: replace a file that is at `out`.

    Raises:
        ConfigError: if an option makes no sense.
        DataError: if the data cannot be read, or `out` exists.
    """
    out = Path(out)
    if out.exists() and not overwrite:
        raise DataError(
            f"{out}: exists already; another split would make old results incomparable. "
            "Choose another name, or give --overwrite."
        )
    dataset = open_dataset(data, classes=classes, on_bad=on_bad, progress=progress)
    splits, notes = assign_splits(dataset, val=val, test=test, seed=seed, group_by=group_by)
    groups = group_names(dataset, group_by=group_by)
    dataset = replace(dataset, splits=splits)
    write_split(dataset, out, groups=groups)
    if dataset.masks is None:
        has = dataset.labels[:, np.newaxis] == np.arange(len(dataset.class_names))
    else:
        has = row_pixel_counts(dataset, np.arange(len(dataset))) > 0
    return SplitReport(
        data=str(data),
        out=str(out),
        seed=seed,
        classes=dataset.class_names,
        rows={name: int((splits == name).sum()) for name in SPLITS},
        counts={
            name: dict(zip(dataset.class_names, has[splits == name].sum(axis=0).tolist()))
            for name in SPLITS
        },
        groups=None if groups is None else len(set(groups) - {""}),
        notes=tuple(note.what for note in notes),
        problems=dataset.problems,
    )
