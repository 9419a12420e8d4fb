"""Opens a data set in whichever form it is stored, for whichever task."""

import csv
import glob
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from dnncli.data.arrays import has_arrays, read_arrays
from dnncli.data.dataset import SPLITS, UNLABELLED, Dataset, FileImages, Problem, Task
from dnncli.data.example_proto import looks_like_records
from dnncli.data.folder import read_folder
from dnncli.data.header import HEAD, MAX_PIXELS, sniff
from dnncli.data.mask_pairs import drawn_folders, has_pictures, without_suffixes
from dnncli.data.mask_values import MaskForm
from dnncli.data.mask_writer import with_groups
from dnncli.data.masks import find_masks_task, has_masks, open_masks
from dnncli.data.records import is_record_name, read_records, record_files
from dnncli.data.scan import scan
from dnncli.data.split import apply_split
from dnncli.data.table import SUFFIXES as TABLE_SUFFIXES
from dnncli.data.table import read_table
from dnncli.errors import ConfigError, DataError
from dnncli.registry import suggest, unknown
from dnncli.results import Progress, no_progress

ON_BAD = ("skip", "error")
TASKS = ("auto", *get_args(Task))

MANIFEST = "manifest.csv"  # of an enlarged data set

_FORMS = (
    "Known: a folder of class folders; a folder with x.npy and y.npy, or with TFRecord files; "
    ".npz; TFRecord; .csv or .parquet with the columns path,label; images beside masks or edges."
)


def open_dataset(
    path: Path | str,
    *,
    task: str = "auto",
    classes: Sequence[str] = (),
    like: MaskForm | None = None,
    split_file: Path | str | None = None,
    on_bad: str = "skip",
    max_pixels: int = MAX_PIXELS,
    labelled: bool = True,
    progress: Progress = no_progress,
) -> Dataset:
    """Open class folders, NumPy arrays, TFRecord files, a table of pictures, or images with masks.

    Args:
        path: a folder, a file, or a pattern such as "shards/train-*".
        task: "classify", "segment" or "edges"; "auto": as `find_task` says.
        classes: the class names in their order; empty: as the data has them.
        like: of masks, the classes of a model, see `open_masks`.
        split_file: CSV `id,label,split,group` whose splits replace those of the data.
        on_bad: "skip" leaves out pictures that cannot be read and names them in `problems`;
            "error" refuses the data set.
        max_pixels: pictures with more pixels count as unreadable.
        labelled: every row needs a label or a mask, and there must be two classes.

    Raises:
        DataError: if there is nothing of a known form, or the data cannot be used.
        ConfigError: if `on_bad` is no such word, or a class is declared twice.
    """
    if on_bad not in ON_BAD:
        raise ConfigError(unknown(on_bad, ON_BAD, kind="on_bad"))
    twice = sorted({name for name in classes if list(classes).count(name) > 1})
    if twice:
        raise ConfigError(f"classes: '{twice[0]}' is declared twice. Name every class once.")
    if task not in TASKS:
        raise ConfigError(unknown(task, TASKS, kind="task"))
    path = Path(path)
    if task == "classify" or (task == "auto" and not has_masks(path)):
        _refuse_masks(path)
        dataset = _read(
            path, classes=classes, max_pixels=max_pixels, labelled=labelled, progress=progress
        )
    elif labelled or has_masks(path) or has_pictures(path):
        dataset = open_masks(
            path,
            task=task,
            classes=classes,
            like=like,
            labelled=labelled,
            max_pixels=max_pixels,
            progress=progress,
        )
        dataset = with_groups(dataset, path)
    else:
        names = like.class_names if like else tuple(classes)
        dataset = _read(
            path, classes=names, max_pixels=max_pixels, labelled=False, progress=progress
        )
        dataset = replace(without_suffixes(dataset), task=cast("Task", task))
    if split_file is not None:
        dataset = apply_split(dataset, Path(split_file))
    if labelled and not classes and dataset.task == "classify":
        _check_classes(dataset, path)
    skipped = [str(problem) for problem in dataset.problems if problem.action == "skipped"]
    if skipped and on_bad == "error":
        raise DataError(
            f"{path}: {len(skipped)} things that cannot be used. Repair or remove them, or skip "
            "them with --on-bad skip:",
            skipped,
        )
    return dataset


def _check_classes(dataset: Dataset, path: Path) -> None:
    """Refuse what no classifier can learn, unless the classes were declared."""
    present = {split: set(dataset.labels[dataset.rows(split)].tolist()) for split in ("", *SPLITS)}
    used = sorted(set().union(*present.values()))
    if len(used) < 2:
        raise DataError(
            f"{path}: only one class, '{dataset.class_names[used[0]]}' ({len(dataset)} pictures). "
            "A classifier needs at least two."
        )
    learned = present["train"] | present[""]
    lines = [
        f"{split}: class '{dataset.class_names[label]}'"
        for split in ("val", "test")
        for label in sorted(present[split] - learned)
    ]
    if learned and lines:
        raise DataError(
            f"{path}: classes that train does not have. Move or remove these rows, or declare the "
            "classes:",
            lines,
        )


def _is_enlarged(path: Path) -> bool:
    """Whether `dnncli augment` wrote this folder: its manifest knows which pictures are copies."""
    manifest = path / MANIFEST
    if not manifest.is_file():
        return False
    with manifest.open(encoding="utf-8", errors="replace") as file:
        columns = set(next(csv.reader(file), []))
    return columns >= {"path", "label", "group", "source", "copy"}


def find_task(path: Path) -> Task:
    """What a data set is for: segment where there are masks, edges, else to classify."""
    return find_masks_task(path) if has_masks(path) else "classify"


def _refuse_masks(path: Path) -> None:
    """Refuse pictures beside masks of theirs, which would make two absurd classes."""
    if has_masks(path):
        drawn = " and ".join(drawn_folders(path))
        raise DataError(
            f"{path}: holds images and {drawn}, which are no classes to tell pictures apart by. "
            f"Say --task {find_masks_task(path)}, or leave --task out."
        )


def _read(
    path: Path, *, classes: Sequence[str], max_pixels: int, labelled: bool, progress: Progress
) -> Dataset:
    files: list[Path] = []
    if path.is_dir():
        if _is_enlarged(path):
            path = path / MANIFEST
            return read_table(
                path, classes=classes, max_pixels=max_pixels, labelled=labelled, progress=progress
            )
        if has_arrays(path):
            return read_arrays(path, classes=classes, labelled=labelled, progress=progress)
        files = record_files(path)
        if not files:
            return read_folder(
                path, classes=classes, max_pixels=max_pixels, labelled=labelled, progress=progress
            )
    elif path.suffix.lower() == ".npz" and path.is_file():
        return read_arrays(path, classes=classes, labelled=labelled, progress=progress)
    elif path.suffix.lower() in TABLE_SUFFIXES and path.is_file():
        return read_table(
            path, classes=classes, max_pixels=max_pixels, labelled=labelled, progress=progress
        )
    elif not labelled and path.is_file() and _is_picture(path):
        return _one_picture(path, classes=classes, max_pixels=max_pixels)
    else:
        files = _matching(path)
    return read_records(
        files,
        root=path,
        classes=classes,
        max_pixels=max_pixels,
        labelled=labelled,
        progress=progress,
    )


def _is_picture(path: Path) -> bool:
    with path.open("rb") as file:
        return bool(sniff(file.read(HEAD)))


def _one_picture(path: Path, *, classes: Sequence[str], max_pixels: int) -> Dataset:
    seen = scan([str(path)], max_pixels=max_pixels)
    if seen.problems:
        raise DataError(f"{path}: {seen.problems[0]}")
    return Dataset(
        kind="folder",
        root=path,
        ids=(path.name,),
        labels=np.array([UNLABELLED], np.int32),
        class_names=tuple(classes),
        splits=np.array([""], "<U5"),
        images=FileImages(
            names=(str(path.absolute()),), routes=seen.routes, sizes=seen.sizes, grey=seen.grey
        ),
        digests=seen.digests,
        problems=tuple(
            Problem(path=path.name, what=what, action="noted") for what in seen.notes.values()
        ),
    )


def _matching(path: Path) -> list[Path]:
    """The TFRecord file called `path`, or those that it matches as a pattern, in order.

    Raises:
        DataError: saying what is there instead.
    """
    if path.exists():
        if is_record_name(path.name) or (path.is_file() and looks_like_records(path)):
            return [path]
        raise DataError(f"{path}: {_what_is(path)} {_FORMS}")
    if glob.has_magic(str(path)):
        found = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
        files = [file for file in found if file.is_file()]
        if files:
            strange = [
                str(file)
                for file in files
                if not is_record_name(file.name) and not looks_like_records(file)
            ]
            if strange:
                raise DataError(f"{path}: matches files that are no TFRecord:", strange)
            return files
        raise DataError(f"{path}: no file matches. {_nearest(path.parent)}".rstrip())
    raise DataError(f"{path}: no such file or folder.{_nearest(path)}")


def _what_is(path: Path) -> str:
    """What a file is that is no data set, and what to do with it."""
    match path.suffix.lower():
        case ".npy":
            return f"one array is no data set. Give the folder: {path.parent}."
        case ".zip" | ".tar" | ".gz" | ".tgz" | ".bz2" | ".xz" | ".7z" | ".rar":
            return "an archive. Unpack it and give the folder."
        case ".h5" | ".hdf5" | ".mat" | ".pkl" | ".pickle" | ".pt":
            return f"{path.suffix} files are not read. Save the arrays with np.savez."
        case suffix:
            if _is_picture(path):
                return "one picture is no data set. Give a folder of class folders."
            return f"a file of kind '{suffix or 'without suffix'}' is no data set."


def _nearest(path: Path) -> str:
    """What lies where `path` should be."""
    parent = path.parent
    while not parent.is_dir() and parent != parent.parent:
        path, parent = parent, parent.parent
    if path.exists():
        return ""
    names = sorted(entry.name for entry in parent.iterdir() if not entry.name.startswith("."))
    shown = ", ".join(names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"{suggest(path.name, names)} In {parent}: {shown or 'nothing'}."
