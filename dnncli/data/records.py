"""Reads pictures from TFRecord files, by the keys of TF-Slim and of TensorFlow Datasets.

N rows. No pixel and no record is kept: only where each encoded picture lies in its file.
"""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import SPLITS, Dataset, Problem, RecordImages
from dnncli.data.example_proto import Value, parse, records
from dnncli.data.folder import SPLIT_FOLDERS
from dnncli.data.record_labels import bind_labels
from dnncli.data.scan import Scan, scan_bytes
from dnncli.data.table import split_word
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress

GROUP, WEIGHT = "dnncli/group", "dnncli/weight"  # our own keys

_FILE = re.compile(r"\.(tfrecords?|tfrec|tfr)([-.]|$)|-\d{3,}-of-\d{3,}$", re.IGNORECASE)
_SHARD = re.compile(r"(.*?)[-_.]?(\d+)-of-(\d+)(.*)")
_SPLIT = re.compile(rf"(?:^|[-_.])({'|'.join(SPLIT_FOLDERS)})$", re.IGNORECASE)


@dataclass(frozen=True)
class Family:
    """Under which keys a kind of TFRecord file keeps what."""

    name: str
    image: str
    label: str
    text: str  # the class name; empty: no such key
    file_names: tuple[str, ...]
    from_zero: bool  # labels count from 0; else they may count from 1


FAMILIES = (
    Family(
        "TF-Slim",
        "image/encoded",
        "image/class/label",
        "image/class/text",
        ("image/filename",),
        from_zero=False,
    ),
    Family(
        "TensorFlow Datasets",
        "image",
        "label",
        "",
        ("image/filename", "file_name"),
        from_zero=True,
    ),
)


@dataclass
class _Index:
    """What one pass over the records finds; a list entry for every record."""

    file: list[int] = field(default_factory=list)
    number: list[int] = field(default_factory=list)  # of the record in its file, from 0
    offsets: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    labels: list[int | None] = field(default_factory=list)
    texts: list[str | None] = field(default_factory=list)
    names: list[str] = field(default_factory=list)  # of the picture file; empty: not given
    groups: list[str] = field(default_factory=list)
    weights: list[float | None] = field(default_factory=list)
    families: set[Family] = field(default_factory=set)


def is_record_name(name: str) -> bool:
    """Whether a file name is one that TFRecord files have."""
    return bool(_FILE.search(name))


def record_files(path: Path) -> list[Path]:
    """TFRecord files of a folder, by split and name: in itself, or in train, val and test."""
    folders = [path, *(sub for sub in path.iterdir() if sub.is_dir() and split_word(sub.name))]
    files = [file for folder in folders for file in folder.iterdir() if is_record_name(file.name)]
    order = {split: place for place, split in enumerate(("", *SPLITS))}
    return sorted(
        (file for file in files if file.is_file()),
        key=lambda file: (order[split_of(file)], str(file)),
    )


def split_of(file: Path) -> str:
    """The split that the name of a file, or of its folder, declares; empty: none."""
    stem = _SHARD.sub(r"\1", file.name)
    while stem != (stem := _FILE.split(stem)[0]):
        pass
    found = _SPLIT.search(stem)
    return split_word(found[1] if found else file.parent.name)


def read_records(
    files: Sequence[Path],
    *,
    root: Path,
    classes: Sequence[str] = (),
    max_pixels: int,
    labelled: bool = True,
    progress: Progress = no_progress,
) -> Dataset:
    """The pictures in TFRecord files.

    The id of a row is the name of its picture file, if every record has one and they differ; else
    "file:number", counted from 0. Class names come from the records' own text, `classes`,
    `labels.txt`, or the description that TensorFlow Datasets writes; else the numbers are the
    names. Pictures that cannot be read are left out and named in `problems`.

    Args:
        files: in the order in which their rows are wanted.
        root: the data set as the user named it.
        classes: declared order.
        max_pixels: larger pictures are left out.
        labelled: every record needs a label.

    Raises:
        DataError: if a file is cut, damaged or compressed, a record has no known keys or no label,
            or the labels cannot be bound to class names; naming file and record.
    """
    index = _Index()
    pictures = _encoded(files, index, labelled=labelled, progress=progress)
    seen = scan_bytes(pictures, max_pixels=max_pixels)
    if not index.file:
        raise DataError(f"{root}: holds no record. Files: {', '.join(map(str, files))}.")
    shown = _shown(files, root)
    wheres = [
        f"{shown[file]}:{number}" for file, number in zip(index.file, index.number, strict=True)
    ]
    labels, class_names = bind_labels(
        index.labels,
        index.texts,
        root=root,
        folders={file.parent for file in files} | ({root} if root.is_dir() else set()),
        classes=classes,
        from_zero=all(family.from_zero for family in index.families),
        where=wheres.__getitem__,
    )
    unique = all(index.names) and len(set(index.names)) == len(index.names)
    splits = [split_of(file) for file in files]
    dataset = Dataset(
        kind="tfrecord",
        root=root,
        ids=tuple(index.names if unique else wheres),
        labels=labels,
        class_names=class_names,
        splits=np.array([splits[file] for file in index.file], "<U5"),
        images=RecordImages(
            files=tuple(str(file.absolute()) for file in files),
            file=np.array(index.file, np.int32),
            offsets=np.array(index.offsets, np.int64),
            lengths=np.array(index.lengths, np.int64),
            routes=seen.routes,
            sizes=seen.sizes,
            grey=seen.grey,
        ),
        groups=tuple(index.groups) if any(index.groups) else None,
        weights=_weights(index, wheres, root),
        digests=seen.digests,
        problems=_problems(index, seen, wheres, files=files, root=root, unique=unique),
    )
    if not len(seen.good):
        raise DataError(
            f"{root}: none of its {len(dataset)} pictures can be read:",
            [str(problem) for problem in dataset.problems if problem.action == "skipped"],
        )
    return dataset.take(seen.good)


def _shown(files: Sequence[Path], root: Path) -> list[str]:
    """The files as messages and ids call them: relative to the folder that holds them all."""
    base = root if root.is_dir() else os.path.commonpath([file.parent for file in files])
    return [file.relative_to(base).as_posix() for file in files]


def _encoded(
    files: Sequence[Path], index: _Index, *, labelled: bool, progress: Progress
) -> Iterator[bytes]:
    """The encoded picture of every record, in order; fills `index` on the way."""
    sizes = [file.stat().st_size for file in files]
    for place, file in enumerate(files):
        for number, (offset, data) in enumerate(records(file)):
            where = f"{file}: record {number} (counted from 0)"
            try:
                features = parse(data)
            except ValueError as error:
                raise DataError(f"{where}: {error} Known: serialised tf.train.Example.") from error
            family, picture = _family(features, where)
            index.file.append(place)
            index.number.append(number)
            # Any equal bytes will do, so the first are taken.
            index.offsets.append(offset + data.find(picture))
            index.lengths.append(len(picture))
            _note_label(features, family, index, where=where, labelled=labelled)
            names = [name for key in family.file_names if (name := _text(features, key))]
            index.names.append(names[0] if names else "")
            index.groups.append(_text(features, GROUP) or "")
            index.weights.append(_weight(features))
            index.families.add(family)
            if number % 256 == 0:
                progress("Reading records", sum(sizes[:place]) + offset, sum(sizes))
            yield picture
    progress("Reading records", sum(sizes), sum(sizes))


def _family(features: dict[str, Value], where: str) -> tuple[Family, bytes]:
    """Which keys a record has, and its encoded picture."""
    for family in FAMILIES:
        picture = features.get(family.image, [None])[0]
        if isinstance(picture, bytes):
            return family, picture
    known = "; ".join(f"{family.image}, {family.label} ({family.name})" for family in FAMILIES)
    raise DataError(
        f"{where}: no encoded picture under a known key. Keys found: "
        f"{', '.join(sorted(features)) or 'none'}. Known: {known}. Write the records with those."
    )


def _note_label(
    features: dict[str, Value], family: Family, index: _Index, *, where: str, labelled: bool
) -> None:
    number = features.get(family.label, [None])[0]
    text = _text(features, family.text) or _text(features, family.label)
    if labelled and number is None and not text:
        keys = f"{family.label} or {family.text}" if family.text else family.label
        found = ", ".join(sorted(features))
        raise DataError(
            f"{where}: no label under {keys} ({family.name} keys). Keys found: {found}."
        )
    if isinstance(number, float):
        raise DataError(f"{where}: {family.label} is {number}; it must be an integer.")
    if isinstance(number, int) and number < 0:
        if labelled:
            raise DataError(f"{where}: {family.label} is {number}, which is no class.")
        number = None
    index.labels.append(number if isinstance(number, int) else None)
    index.texts.append(text or None)


def _text(features: dict[str, Value], key: str) -> str:
    value = features.get(key, [b""])[0]
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else ""


def _weight(features: dict[str, Value]) -> float | None:
    value = features.get(WEIGHT, [None])[0]
    return float(value) if isinstance(value, int | float) else None


def _weights(index: _Index, wheres: Sequence[str], root: Path) -> NDArray[np.float32] | None:
    if all(weight is None for weight in index.weights):
        return None
    weights = np.array([1.0 if weight is None else weight for weight in index.weights], np.float32)
    wrong = np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))
    if len(wrong):
        lines = [f"{wheres[row]}: {WEIGHT} {weights[row]}" for row in wrong.tolist()]
        raise DataError(f"{root}: weights must be finite and >= 0:", lines)
    return weights


def _problems(
    index: _Index,
    seen: Scan,
    wheres: Sequence[str],
    *,
    files: Sequence[Path],
    root: Path,
    unique: bool,
) -> tuple[Problem, ...]:
    families = " and ".join(sorted(family.name for family in index.families))
    notes = [f"{families} keys."]
    if all(index.names) and not unique:
        notes.append("file names occur twice, so ids are file:number.")
    notes += _missing_shards(files)
    return (
        *(Problem(path=str(root), what=what, action="noted") for what in notes),
        *(Problem(path=wheres[row], what=what) for row, what in seen.problems.items()),
        *(Problem(path=wheres[row], what=what, action="noted") for row, what in seen.notes.items()),
    )


def _missing_shards(files: Sequence[Path]) -> list[str]:
    """A note for every set of shards that is not complete; a single file is what was asked for."""
    found: dict[tuple[str, int], set[int]] = {}
    for file in files if len(files) > 1 else ():
        if match := _SHARD.fullmatch(file.name):
            key = (str(file.parent / match[1]), int(match[3]))
            found.setdefault(key, set()).add(int(match[2]))
    return [
        f"{name}: shards {', '.join(map(str, missing))} of {count} are missing."
        for (name, count), shards in found.items()
        if (missing := sorted(set(range(count)) - shards))
    ]
