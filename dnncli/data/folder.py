"""Reads class folders: DATA/<class>/... or DATA/<split>/<class>/..., pictures of any format."""

import os
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unicodedata import normalize

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import SPLITS, UNLABELLED, Dataset, FileImages, Problem
from dnncli.data.header import FORMATS, MAX_PIXELS
from dnncli.data.scan import scan
from dnncli.errors import DataError
from dnncli.registry import suggest
from dnncli.results import Progress, no_progress

# Folder name in lower case -> split.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "test": "test",
    "testing": "test",
}

_RANK = {split: number for number, split in enumerate(("", *SPLITS))}

_JUNK = frozenset(("__MACOSX", "Thumbs.db", "ehthumbs.db", "desktop.ini"))

# Extensions of files that stand beside pictures and are none: left out without a word.
_OTHER_FILES = frozenset(
    (
        *("avi", "bak", "cfg", "csv", "db", "doc", "docx", "gz", "h5", "hdf5", "htm", "html"),
        *("ini", "ipynb", "js", "json", "jsonl", "lock", "log", "mat", "md", "mov", "mp3"),
        *("mp4", "npy", "npz", "parquet", "pdf", "pkl", "pt", "pth", "py", "rar", "rst", "sh"),
        *("tar", "tfrecord", "toml", "tsv", "txt", "wav", "xls", "xlsx", "xml", "yaml", "yml"),
        *("zip", "7z"),
    )
)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """Files under a root, by their path below it, in path order."""

    names: tuple[str, ...]  # perhaps pictures
    folders: tuple[str, ...]
    others: Counter  # extension -> files left out without a word
    problems: tuple[Problem, ...]


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Which split and class files belong to by the folder they lie in; an empty name is none."""

    split: str
    class_name: str


@dataclass(frozen=True, kw_only=True, eq=False)
class _Files:
    """N files in path order; what folders have in common is kept once a folder."""

    names: tuple[str, ...]  # (N,) paths below the root
    folder: NDArray[np.int32]  # (N,) index into places
    places: tuple[_Place, ...]  # of every folder with files

    def take(self, rows: NDArray[np.integer]) -> "_Files":
        """Only `rows`, in the given order."""
        names = tuple(self.names[row] for row in rows.tolist())
        return replace(self, names=names, folder=self.folder[rows])

    def each(self, values: Iterable[Any], dtype: Any) -> NDArray:
        """(N,) the value of each file's folder, given those of `places`."""
        return np.array(list(values), dtype)[self.folder]


def read_folder(
    root: Path,
    *,
    classes: Sequence[str] = (),
    max_pixels: int = MAX_PIXELS,
    labelled: bool = True,
    progress: Progress = no_progress,
) -> Dataset:
    """Open a folder of pictures. Ids are paths below `root`; rows are in the order of their ids.

    Split folders come first: train, then val, then test. Folders below a class are read too.
    Hidden files and folders are not. Files are judged by content, not by extension.

    Args:
        root: the folder.
        classes: declared class names in their order; empty: the folders' names, sorted as text.
        max_pixels: pictures with more pixels are skipped.
        labelled: demand class folders. If not, pictures may lie anywhere, and have a label only
            where the folder's name is one of `classes`.
        progress: told of the files looked at.

    Raises:
        DataError: if there is no such folder, no picture, only one class, or a class that was not
            declared or that train lacks.
    """
    if not root.is_dir():
        raise DataError(f"{root}: no such folder.")
    found = _walk(root, progress)
    files = _placed(found, root, labelled=labelled)
    problems = list(found.problems)
    if labelled:
        in_class = files.each((bool(place.class_name) for place in files.places), bool)
        problems += _strays(files.take(np.flatnonzero(~in_class)))
        files = files.take(np.flatnonzero(in_class))
    names = files.names
    folder = str(root.absolute())
    seen = scan(names, folder=folder, max_pixels=max_pixels, progress=progress)
    problems += [Problem(path=names[i], what=what) for i, what in seen.problems.items()]
    problems += [
        Problem(path=names[i], what=what, action="noted") for i, what in seen.notes.items()
    ]
    # Names are sorted, and stay so within each split.
    ranks = files.each((_RANK[place.split] for place in files.places), np.int8)[seen.good]
    rows = seen.good[np.argsort(ranks, kind="stable")]
    if not len(rows):
        raise _nothing(root, found, problems)
    kept = files.take(rows)
    class_names = tuple(classes)
    if labelled:
        class_names, remarks = _class_names(root, found, kept, classes)
        problems += remarks
    index = {name: number for number, name in enumerate(class_names)}
    labels = (index.get(place.class_name, UNLABELLED) for place in kept.places)
    return Dataset(
        kind="folder",
        root=root,
        ids=kept.names,
        labels=kept.each(labels, np.int32),
        class_names=class_names,
        splits=kept.each((place.split for place in kept.places), str),
        images=FileImages(
            names=kept.names,
            folder=folder,
            routes=seen.routes[rows],
            sizes=seen.sizes[rows],
            grey=seen.grey[rows],
        ),
        digests=tuple(seen.digests[row] for row in rows.tolist()),
        problems=tuple(problems),
    )


def _walk(root: Path, progress: Progress) -> _Found:
    """List everything below `root`; each real folder once, real ones before links to folders."""
    names: list[str] = []
    folders: list[str] = []
    others: Counter = Counter()
    problems: list[Problem] = []
    visited: set[tuple[int, int]] = set()
    real, links = [""], list[str]()
    while real or links:
        is_link = not real
        folder = links.pop(0) if is_link else real.pop()
        entry = (root / folder).stat()
        key = (entry.st_dev, entry.st_ino)
        if key in visited:
            what = "a link to a folder that is read already."
            problems.append(Problem(path=folder, what=what, action="ignored"))
            continue
        visited.add(key)
        folders.append(folder)
        for name, kind in _entries(root, folder, problems):
            if kind == "folder":
                real.append(name)
            elif kind == "link":
                links.append(name)
            elif (extension := os.path.splitext(name)[1][1:].lower()) in _OTHER_FILES:  # noqa: PTH122
                others[extension] += 1
            else:
                names.append(name)
        links.sort()
        progress("Listing folders", len(folders), len(folders) + len(real) + len(links))
    names.sort()
    return _Found(
        names=tuple(names),
        folders=tuple(sorted(folders)),
        others=others,
        problems=tuple(problems),
    )


def _entries(root: Path, folder: str, problems: list[Problem]) -> Iterator[tuple[str, str]]:
    """(path below root, "folder" | "link" to a folder | "file") of what is not hidden or junk."""
    try:
        entries = list(os.scandir(root / folder))
    except OSError as error:
        problems.append(Problem(path=folder, what=f"cannot be opened: {error.strerror}."))
        return
    for entry in entries:
        if entry.name.startswith(".") or entry.name in _JUNK:
            continue
        name = f"{folder}/{entry.name}" if folder else entry.name
        if not name.isprintable() and any("\ud800" <= sign <= "\udfff" for sign in name):
            shown = name.encode("utf-8", "backslashreplace").decode()
            what = "its name is not valid UTF-8, so no table can hold it."
            problems.append(Problem(path=shown, what=what, remedy="Rename it."))
        elif entry.is_symlink():  # isdir: False for a link to itself, no error
            yield name, "link" if os.path.isdir(entry.path) else "file"  # noqa: PTH112
        else:
            yield name, "folder" if entry.is_dir() else "file"


def _placed(found: _Found, root: Path, *, labelled: bool) -> _Files:
    """The files with the split and class of the folders they lie in."""
    numbers: dict[str, int] = {}
    folder = np.fromiter(
        (numbers.setdefault(name.rpartition("/")[0], len(numbers)) for name in found.names),
        np.int32,
        len(found.names),
    )
    places = tuple(_places(list(numbers), root, labelled=labelled))
    return _Files(names=found.names, folder=folder, places=places)


def _places(folders: Sequence[str], root: Path, *, labelled: bool) -> list[_Place]:
    """Split and class of the files in each folder.

    The top folders are splits if pictures lie in class folders below them, and all of them are
    called like splits, or `train` and another one is; `train` alone may well be a class.
    """
    parts = [folder.split("/") if folder else [] for folder in folders]
    top = {part[0] for part in parts if part}
    split_of = {name: SPLIT_FOLDERS[name.lower()] for name in top if name.lower() in SPLIT_FOLDERS}
    only_splits = len(split_of) == len(top)
    kinds = set(split_of.values())
    if split_of and (only_splits or ("train" in kinds and len(kinds) > 1)):
        if not labelled or any(len(part) > 1 and part[0] in split_of for part in parts):
            return [
                _Place(
                    split=split_of.get(part[0], "") if part else "",
                    class_name=part[1] if len(part) > 1 and part[0] in split_of else "",
                )
                for part in parts
            ]
        if "train" in kinds:
            raise DataError(
                f"{root}: {', '.join(sorted(split_of))} hold pictures, but no class folders. "
                "Expected <split>/<class>/<picture>; or describe them in a CSV with the columns "
                "path,label,split."
            )
    return [_Place(split="", class_name=part[0] if part else "") for part in parts]


def _strays(files: _Files) -> list[Problem]:
    """One remark for each folder of files that are in no class folder."""
    strays: dict[int, list[str]] = defaultdict(list)
    for folder, name in zip(files.folder.tolist(), files.names, strict=True):
        strays[folder].append(name)
    return [
        Problem(
            path=names[0],
            what="in no class folder"
            + (f", like {len(names) - 1} more beside it." if len(names) > 1 else "."),
            action="ignored",
        )
        for names in strays.values()
    ]


def _nothing(root: Path, found: _Found, problems: list[Problem]) -> DataError:
    lines = [str(problem) for problem in problems]
    if any(problem.what.startswith("in no class folder") for problem in problems):
        return DataError(
            f"{root}: pictures, but no class folders. Expected <class>/<picture> or "
            "<split>/<class>/<picture>; or describe them in a CSV with the columns path,label.",
            lines,
        )
    others = ", ".join(f"{count} .{name}" for name, count in found.others.most_common())
    return DataError(
        f"{root}: no picture that can be read. Found instead: {others or 'nothing else'}. "
        f"Supported: {', '.join(FORMATS)}.",
        lines,
    )


def _class_names(
    root: Path, found: _Found, kept: _Files, classes: Sequence[str]
) -> tuple[tuple[str, ...], list[Problem]]:
    """The class names in order, and what is odd about the classes."""
    counts: Counter = Counter()
    for number, rows in enumerate(np.bincount(kept.folder).tolist()):
        if rows:
            counts[kept.places[number].split, kept.places[number].class_name] += rows
    splits = [split for split in ("", *SPLITS) if any(key[0] == split for key in counts)]
    used = {split: {name for where, name in counts if where == split} for split in splits}
    declared = tuple(classes) or tuple(sorted(set().union(*used.values())))
    known = set(declared if classes or "train" not in used else used["train"])
    unknown = sorted(key for key in counts if key[1] not in known)
    if unknown:
        whose = "are not declared" if classes else "train does not have"
        lines = [
            f"{f'{split}/' if split else ''}{name}: {counts[split, name]} of class '{name}'."
            f"{suggest(name, sorted(known))}"
            for split, name in unknown
        ]
        raise DataError(
            f"{root}: pictures of classes that {whose}. "
            f"Known: {', '.join(sorted(known))}. Move or remove them, or declare --classes.",
            lines,
        )
    if len(declared) == 1:
        hint = " To learn masks or edges, put them into masks/ or edges/ beside images/."
        raise DataError(
            f"{root}: only one class, '{declared[0]}' ({len(kept.names)} pictures). A classifier "
            f"needs at least two: one folder for each.{hint if declared[0] == 'images' else ''}"
        )
    return declared, [
        *_without_pictures(found, declared, used),
        *_missing(declared, used),
        *_alike(declared),
    ]


def _without_pictures(
    found: _Found, declared: tuple[str, ...], used: dict[str, set[str]]
) -> list[Problem]:
    """Class folders that give no row."""
    has_splits = any(used)
    remarks = []
    for folder in found.folders:
        parts = folder.split("/")
        if not folder or len(parts) != 1 + has_splits:
            continue
        split = SPLIT_FOLDERS.get(parts[0].lower()) if has_splits else ""
        if split is not None and parts[-1] not in used.get(split, ()):
            kept = parts[-1] in declared
            what = "class folder without a usable picture" + ("." if kept else ": left out.")
            remarks.append(Problem(path=folder, what=what, action="noted" if kept else "ignored"))
    return remarks


def _missing(declared: tuple[str, ...], used: dict[str, set[str]]) -> list[Problem]:
    """Classes that a split lacks."""
    remarks = []
    for split, names in used.items():
        lacking = [name for name in declared if name not in names]
        if lacking:
            what = f"no picture of class {', '.join(lacking)}; scores for it are undefined there."
            remarks.append(Problem(path=split or ".", what=what, action="noted"))
    return remarks


def _alike(declared: tuple[str, ...]) -> list[Problem]:
    """Class names that differ only in case or in their Unicode form."""
    same: dict[str, list[str]] = defaultdict(list)
    for name in declared:
        same[normalize("NFC", name).casefold()].append(name)
    return [
        Problem(
            path=", ".join(names),
            what="these class names differ only in case or Unicode form; they are kept apart.",
            remedy="Merge the folders if they mean the same.",
            action="noted",
        )
        for names in same.values()
        if len(names) > 1
    ]
