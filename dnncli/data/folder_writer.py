"""Writes a data set as class folders, one file for each picture."""

import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np

from dnncli.data.dataset import Dataset
from dnncli.data.folder import SPLIT_FOLDERS
from dnncli.data.header import sniff
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress

SUFFIXES = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "PNG": (".png", ".apng"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "WebP": (".webp",),
    "AVIF": (".avif",),
    "JPEG 2000": (".jp2", ".j2k", ".jpx"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "QOI": (".qoi",),
}
_UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')  # what some file system refuses


def write_folder(
    dataset: Dataset,
    out: Path,
    *,
    picture: Callable[[int], bytes],
    copied: bool,
    placed: Callable[[int, str], None] | None = None,
    progress: Progress = no_progress,
) -> int:
    """Write OUT/[split/]class/name for every row; what the id says of split and class is kept.

    Args:
        out: an empty folder.
        picture: row -> encoded picture.
        copied: pictures are the very files that the ids name, so their names fit already.
        placed: told each row and where its picture went, a path below `out`.

    Returns:
        How many rows have another id when the folder is read.

    Raises:
        DataError: if rows are without split or class while others have one, or a class cannot be
            the name of a folder.
    """
    _check(dataset, out)
    changed = 0
    for row, row_id in enumerate(dataset.ids):
        data = picture(row)
        file = _free(out / _name(dataset, row, sniff(data), copied=copied))
        changed += file.relative_to(out).as_posix() != row_id
        if placed is not None:
            placed(row, file.relative_to(out).as_posix())
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        if (row + 1) % 64 == 0 or row + 1 == len(dataset):
            progress("Writing pictures", row + 1, len(dataset))
    return changed


def check_splits(dataset: Dataset) -> None:
    """Refuse rows without a split beside rows that have one, which no folder can tell."""
    if dataset.declared_splits and (dataset.splits == "").any():
        count = int((dataset.splits == "").sum())
        raise DataError(
            f"{dataset.root}: {count} rows have no split while others have one; a folder cannot "
            "say so. Give every row a split, for example with a split file."
        )


def _check(dataset: Dataset, out: Path) -> None:
    check_splits(dataset)
    if (dataset.labels < 0).any():
        raise DataError(f"{dataset.root}: rows without a label have no class folder to go to.")
    words = () if dataset.declared_splits else tuple(SPLIT_FOLDERS)
    bad = [
        name
        for name in dataset.class_names
        if name != PurePosixPath(name).name
        or name.startswith(".")
        or "\0" in name
        or name.lower() in words
    ]
    if bad:
        raise DataError(f"{out}: class names that cannot be folders: {bad}. Rename the classes.")
    empty = sorted(set(range(len(dataset.class_names))) - set(np.unique(dataset.labels).tolist()))
    if empty:
        names = ", ".join(dataset.class_names[index] for index in empty)
        raise DataError(f"{dataset.root}: no picture of class {names}; a folder would lose it.")


def _name(dataset: Dataset, row: int, form: str, *, copied: bool) -> str:
    """Path of a row below the root: its id, made safe, below its split and class."""
    split, label = str(dataset.splits[row]), dataset.class_names[dataset.labels[row]]
    home = [split, label] if split else [label]
    parts = [part for part in dataset.ids[row].split("/") if part not in ("", ".", "..")]
    parts = [f"_{part[1:]}" if part.startswith(".") else part for part in parts] or ["picture"]
    # A folder may be called `valid` or `Train`: its id is kept as it is.
    if split and len(parts) > 2 and SPLIT_FOLDERS.get(parts[0].lower()) == split:
        home = parts[:2] if parts[1] == label else home
    if parts[: len(home)] == home and len(parts) > len(home):
        if copied:  # it was a file's path before
            return "/".join(parts)
        parts = parts[len(home) :]
    elif split and parts[0] == split and len(parts) > 1:  # "train/12" of an array
        parts = parts[1:]
    parts = [_UNSAFE.sub("_", part) for part in parts]
    stem, suffix = PurePosixPath(parts[-1]).stem, PurePosixPath(parts[-1]).suffix.lower()
    fitting = SUFFIXES.get(form, (".png",))
    known = any(suffix in suffixes for suffixes in SUFFIXES.values())
    if suffix not in fitting:
        parts[-1] = (stem if known else parts[-1]) + fitting[0]
    return "/".join([*home, *parts])


def _free(file: Path) -> Path:
    """`file`, or with a number if there is one: some disks do not tell letter case apart."""
    free, number = file, 2
    while free.exists():
        free = file.with_name(f"{file.stem}-{number}{file.suffix}")
        number += 1
    return free
