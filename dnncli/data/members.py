"""What several models said about the same rows: rows joined by id, classes by name.

Shapes: N rows, M models, C classes.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NormalizeIds
from dnncli.data.frames import read_table
from dnncli.data.ids import MISSING, rows_of
from dnncli.data.member_classes import join_classes
from dnncli.data.member_files import (
    Member,
    joined_errors,
    open_member,
    read_beside,
    read_ids,
    read_joined,
)
from dnncli.data.scores import Scores, check_range, read_answers, with_sum_one
from dnncli.errors import DataError
from dnncli.predictions import take_rows
from dnncli.registry import suggest
from dnncli.results import Progress, no_progress

if TYPE_CHECKING:
    import polars as pl

_THREADS = 2  # files read at a time; polars uses all cores for what takes most of the time


@dataclass(frozen=True, kw_only=True)
class Members:
    """M models' predictions of N rows, in the order of the models' names."""

    names: tuple[str, ...]  # (M,) rising
    paths: tuple[Path, ...]
    ids: "pl.Series"  # (N,) those of the first file in its order, then what only others have
    class_names: tuple[str, ...]  # (C,)
    kind: Literal["label", "probability", "score"]  # "score": one column of any finite numbers
    metadata: tuple[dict[str, Any], ...]  # (M,) of the files
    files: tuple[Member, ...]
    nan: Literal["error", "keep"] = "error"
    positive: str | None = None  # the class that a row with NaN is certain of
    scores: Scores = "unit"
    remarks: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by what they are about

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What had to be put right so far; `probs` adds to it."""
        return tuple(line for lines in self.remarks.values() for line in lines)

    def rows_of(self, ids: "pl.Series") -> NDArray[np.int64]:
        """The row of each of `ids`, or MISSING."""
        if ids.equals(self.ids):
            return np.arange(len(ids))
        return rows_of(ids, self.ids)

    def take(self, rows: NDArray[np.int64]) -> "Members":
        """The same models' predictions of only `rows`, in the given order."""
        return replace(
            self,
            ids=self.ids.rechunk().gather(rows),
            files=tuple(file.take(rows) for file in self.files),
        )

    def votes(self) -> list[NDArray[np.integer]]:
        """M arrays (N,) of class indices, or UNLABELLED where a model said nothing.

        They are of 16 bits, if all classes fit into these.

        Raises:
            ValueError: if the files hold no labels.
        """
        if self.kind != "label":
            raise ValueError(f"votes are of labels. The members are of kind '{self.kind}'.")
        return [file.labels for file in self.files if file.labels is not None]

    def probs(
        self, *, progress: Progress = no_progress
    ) -> Iterator[tuple[int, NDArray[np.floating]]]:
        """The number of each model, and its (N, C) probabilities; one model in memory at a time.

        A row of NaN is one that the model said nothing about. A single score column s becomes
        (s, 1 - s), unless any finite number is allowed: then it stays (N, 1).

        Raises:
            DataError: if numbers are no probabilities; of all files that are wrong, once the first
                such is reached.
            ValueError: if the files hold labels.
        """
        if self.kind == "label":
            raise ValueError("labels have no probabilities.")
        errors: list[DataError] = []
        for index, file in enumerate(self.files):
            progress("reading", index, len(self.files))
            with _collected(errors):
                probs = self._read(file)
            if not errors:
                yield index, probs
                del probs  # the next is read without it
        progress("reading", len(self.files), len(self.files))
        if errors:
            raise joined_errors(errors, n_files=len(self.files))

    def _read(self, file: Member) -> NDArray[np.floating]:
        """(N, C) checked numbers of one model; NaN where it said nothing."""
        numbers, silent = read_answers(read_table(file.path), file.n_rows, file.columns)
        if file.rows is not None:
            numbers = take_rows(numbers, file.rows)
            silent = silent[file.rows] | (file.rows == MISSING)
        if self.nan == "keep":
            silent |= self._made_certain(numbers, silent, file.columns)
        numbers[silent] = 0  # a row that nothing is said about passes every check
        numbers[silent, 0] = 1
        if len(file.columns) > 1:
            check_range(file.path, self.ids, file.columns, numbers)
            numbers, warnings = with_sum_one(file.path, self.ids, numbers)
            if warnings:
                self.remarks[f"{file.name} sums"] = warnings
        else:
            check_range(file.path, self.ids, file.columns, numbers, scores=self.scores)
        if self.kind == "probability" and len(file.columns) == 1:
            numbers = _against_rest(numbers, self.class_names.index(file.columns[0]))
        if silent.any():
            numbers[silent] = np.nan
        return numbers

    def _made_certain(
        self, numbers: NDArray[np.floating], silent: NDArray[np.bool_], columns: Sequence[str]
    ) -> NDArray[np.bool_]:
        """Make rows that hold NaN certain of the positive class; which say nothing without one."""
        lost = np.zeros(len(numbers), bool)
        for column in numbers.T:
            lost |= np.isnan(column)
        lost &= ~silent
        if self.positive is None:
            return lost
        numbers[lost] = [name == self.positive for name in columns]
        return np.zeros_like(lost)


def open_members(
    paths: Sequence[Path],
    *,
    classes: Sequence[str] = (),
    nan: Literal["error", "keep"] = "error",
    positive: str | None = None,
    missing: Literal["error", "no-vote"] = "error",
    normalize_ids: NormalizeIds = "none",
    scores: Scores = "unit",
    names: Sequence[str] | None = None,
    progress: Progress = no_progress,
) -> Members:
    """Read the ids and labels of several predictions files, and see that they fit together.

    Nothing depends on the order of `paths`. Probabilities are read by `Members.probs`.

    Args:
        paths: (M,) files as `read_predictions` reads them, all of labels or all of scores.
        classes: declared class order; else that of the files' metadata, else the names sorted.
        nan: "keep" makes a row that holds NaN certain of `positive`; without it, no vote.
        positive: see `nan`.
        missing: "no-vote" lets a file lack ids that others have.
        normalize_ids: "nfc" takes ids for equal that differ in Unicode form.
        scores: "any" allows every finite number where all files hold one score column.
        names: (M,) of the models; else the files' stems.
        progress: told of each file.

    Raises:
        DataError: with everything that is wrong with the files, or does not fit.
    """
    ordered = _ordered([Path(path) for path in paths], names)
    files, ids, errors = _read(
        ordered,
        classes=classes,
        missing=missing,
        normalize_ids=normalize_ids,
        progress=progress,
    )
    if files:
        with _collected(errors):
            kind, class_names, files = join_classes(files, classes=classes, scores=scores)
    if errors:
        raise joined_errors(errors, n_files=len(ordered))
    if positive is not None and positive not in class_names:
        hint = suggest(positive, class_names)
        raise DataError(f"There is no class '{positive}'.{hint} Classes: {', '.join(class_names)}.")
    padded = tuple(file.padded(len(ids)) for file in files)
    return Members(
        names=tuple(file.name for file in files),
        paths=tuple(file.path for file in files),
        ids=ids,
        class_names=class_names,
        kind=kind,
        metadata=tuple(file.metadata for file in files),
        files=padded,
        nan=nan,
        positive=positive,
        scores=scores,
        remarks={file.name: _no_vote_remark(file, len(ids)) for file in padded},
    )


def _read(
    ordered: Sequence[tuple[str, Path]],
    *,
    classes: Sequence[str],
    missing: Literal["error", "no-vote"],
    normalize_ids: NormalizeIds,
    progress: Progress,
) -> "tuple[list[Member], pl.Series, list[DataError]]":
    """The members with their rows and labels, the ids of all, and what is wrong.

    Raises:
        DataError: if no file can be read.
    """
    files: list[Member] = []
    errors: list[DataError] = []
    for place, (name, path) in enumerate(ordered):  # noqa: B007 - it is needed below
        with _collected(errors):
            first = open_member(name, path, classes)
            ids = read_ids(first[1], normalize_ids)
            break
    else:
        raise joined_errors(errors, n_files=len(ordered))
    with ThreadPoolExecutor(_THREADS) as pool:
        futures = [pool.submit(read_beside, *first, ids, compare=False)]
        del first
        for name, path in ordered[place + 1 :]:
            futures.append(pool.submit(_opened_beside, name, path, classes, ids))
        for done, future in enumerate(futures):
            progress("reading", place + done, len(ordered))
            with _collected(errors):
                file, is_beside = future.result()
                if not is_beside:
                    file, ids = read_joined(
                        file,
                        ids,
                        first=ordered[place][1],
                        missing=missing,
                        normalize_ids=normalize_ids,
                    )
                files.append(file)
    progress("reading", len(ordered), len(ordered))
    return files, ids, errors


def _opened_beside(
    name: str, path: Path, classes: Sequence[str], ids: "pl.Series"
) -> tuple[Member, bool]:
    return read_beside(*open_member(name, path, classes), ids)


@contextmanager
def _collected(errors: list[DataError]) -> Iterator[None]:
    try:
        yield
    except DataError as error:
        errors.append(error)


def _ordered(paths: Sequence[Path], names: Sequence[str] | None) -> list[tuple[str, Path]]:
    """Name and path of each model, in the order of the names."""
    names = [path.stem for path in paths] if names is None else list(names)
    if len(names) != len(paths) or not paths:
        raise ValueError(f"names must be of {len(paths)} >= 1 paths. Got {len(names)}.")
    ordered = sorted(zip(names, paths, strict=True))
    twice = [
        f"'{name}': {path} and {other}"
        for (name, path), (following, other) in pairwise(ordered)
        if name == following
    ]
    if twice:
        raise DataError(
            "Models are called by their file's stem, and some are called the same. Rename a file, "
            "or leave one out:",
            twice,
        )
    return ordered


def _no_vote_remark(file: Member, n_rows: int) -> tuple[str, ...]:
    lacking = 0 if file.rows is None else int((file.rows == MISSING).sum())
    if not lacking:
        return ()
    return (
        f"{file.path}: has no row for {lacking:,} of {n_rows:,} ids: no vote of '{file.name}'.",
    )


def _against_rest(scores: NDArray[np.floating], index: int) -> NDArray[np.floating]:
    """(N, 2) the score of the class `index`, and what is left for the other."""
    probs = np.empty((len(scores), 2), scores.dtype, order="F")
    probs[:, index] = scores[:, 0]
    probs[:, 1 - index] = 1 - scores[:, 0]
    return probs
