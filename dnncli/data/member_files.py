"""One model's predictions file, matched with the rows and classes of the others.

Shapes: N rows, C classes.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NormalizeIds
from dnncli.data.dataset import UNLABELLED
from dnncli.data.frames import Table, labels_of_decisions, read_table
from dnncli.data.ids import MISSING, check_ids, nfc_ids, rows_of
from dnncli.data.names import near
from dnncli.data.predictions import class_columns, encode_labels, has_labels
from dnncli.data.scores import Scores
from dnncli.errors import DataError

if TYPE_CHECKING:
    import polars as pl

_NAMED = 5  # ids named of each file
_SEARCHED = 100_000  # ids searched for one that differs only in form; more would take seconds


@dataclass(frozen=True, kw_only=True)
class Member:
    """What one file says, its numbers left in the file."""

    name: str
    path: Path
    kind: Literal["label", "score"]
    metadata: dict[str, Any]
    n_rows: int  # of the file
    columns: tuple[str, ...]  # classes: of the labels' indices, or the file's columns
    rows: NDArray[np.int64] | None  # (N,) of the file, or MISSING; None: the same as the others'
    labels: NDArray[np.integer] | None = None  # (N,) indices into columns, or UNLABELLED
    table: Table | None = None  # of a file whose columns are read when they are asked for

    def take(self, rows: NDArray[np.int64]) -> "Member":
        """The same for only some of the rows."""
        return replace(
            self,
            rows=rows if self.rows is None else self.rows[rows],
            labels=None if self.labels is None else self.labels[rows],
        )

    def padded(self, n_rows: int) -> "Member":
        """The same with rows after its own, of which it says nothing."""
        n_own = self.n_rows if self.rows is None else len(self.rows)
        if n_own == n_rows:
            return self
        own = np.arange(n_own) if self.rows is None else self.rows
        more = n_rows - n_own
        labels = self.labels
        return replace(
            self,
            rows=np.append(own, np.full(more, MISSING)),
            labels=None
            if labels is None
            else np.append(labels, np.full(more, UNLABELLED, labels.dtype)),
        )

    def with_classes(self, names: tuple[str, ...]) -> "Member":
        """Labels as indices into `names`, which hold all of the file's classes."""
        if self.labels is None or names == self.columns:
            return self
        codes = np.array([*map(names.index, self.columns), UNLABELLED], self.labels.dtype)
        return replace(self, columns=names, labels=codes[self.labels])


def open_member(
    name: str,
    path: Path,
    ids: "pl.Series | None",
    *,
    first: Path,
    classes: Sequence[str],
    missing: Literal["error", "no-vote"],
    normalize_ids: NormalizeIds,
) -> "tuple[Member, pl.Series]":
    """Read a file's ids, its labels if it holds any, and the names of its columns.

    Args:
        name: of the model.
        path: of the file.
        ids: of the files before it; None if it is the first.
        first: the file that they are of, for messages.
        classes: declared class order.
        missing: "no-vote" lets the file and those before it lack ids.
        normalize_ids: "nfc" takes ids for equal that differ in Unicode form.

    Returns:
        The member; and all ids so far: those before it, then its own that are new.

    Raises:
        DataError: if the file cannot be read, or its ids or labels are wrong.
    """
    table = labels_of_decisions(read_table(path))
    if table.metadata.get("multi_label"):
        raise DataError(
            f"{path}: is multi-label, every class a question of its own. Save one file per class, "
            "with its score as the only column, and decide each class by itself."
        )
    own = table.read(["id"])["id"]
    if own.is_empty():
        raise DataError(f"{path}: holds no rows.")
    own, ids, rows = _matched(
        path, own, ids, first=first, missing=missing, normalize_ids=normalize_ids
    )
    declared = tuple(classes) or tuple(table.metadata.get("classes", ()))
    member = Member(
        name=name,
        path=path,
        kind="label" if has_labels(table, declared) else "score",
        metadata=table.metadata,
        n_rows=len(own),
        columns=(),
        rows=rows,
    )
    if member.kind == "label":
        return _with_labels(member, table, own, declared), ids
    found = [column for column in table.names if column != "id"]
    columns = class_columns(path, found, declared, multi_label=False)
    return replace(member, columns=columns, table=table if path.suffix == ".parquet" else None), ids


def _with_labels(member: Member, table: Table, ids: "pl.Series", declared: Sequence[str]) -> Member:
    names, labels = encode_labels(member.path, ids, table.read(["label"])["label"], declared)
    short: NDArray[np.integer] = labels.astype(np.int16 if len(names) < 2**15 else np.int32)
    if member.rows is not None:
        short = np.where(member.rows == MISSING, short.dtype.type(UNLABELLED), short[member.rows])
    return replace(member, columns=names, labels=short)


def _matched(
    path: Path,
    own: "pl.Series",
    ids: "pl.Series | None",
    *,
    first: Path,
    missing: Literal["error", "no-vote"],
    normalize_ids: NormalizeIds,
) -> "tuple[pl.Series, pl.Series, NDArray[np.int64] | None]":
    """The file's ids, all ids so far, and the file's row of each of them."""
    import polars as pl

    if ids is not None and ids.equals(own):
        return ids, ids, None
    check_ids(path, own)
    if normalize_ids == "nfc":
        own = nfc_ids(own, str(path))
    if ids is None:
        return own, own, None
    if ids.equals(own):
        return ids, ids, None
    rows = rows_of(ids, own)
    is_new = np.ones(len(own), bool)
    is_new[rows[rows != MISSING]] = False
    new = own.gather(np.flatnonzero(is_new))
    lacking = ids.gather(np.flatnonzero(rows == MISSING))
    if missing == "error" and len(lacking) + len(new):
        errors = [
            _no_rows(path, lacking, new, other=first, n_other=len(ids)),
            _no_rows(first, new, lacking, other=path, n_other=len(own)),
        ]
        raise joined_errors([error for error in errors if error.problems], n_files=2)
    if len(new) == len(own):
        raise DataError(f"{path}: has no id of {first}. Both must be predictions of the same rows.")
    if len(new):
        ids = pl.concat([ids, new])
        rows = np.append(rows, np.flatnonzero(is_new))
    return own, ids, rows


def _no_rows(
    path: Path, lacking: "pl.Series", there: "pl.Series", *, other: Path, n_other: int
) -> DataError:
    """The error of a file that lacks ids of another, and has the ids `there` instead."""
    asked = lacking.head(_NAMED).to_list()
    hints = near(asked, there.head(_SEARCHED))
    remedy = "Ids are compared as text, letter by letter"
    if any("Unicode" in hint for hint in hints):
        remedy += "; --normalize-ids nfc makes NFC and NFD equal"
    lines = [f"id '{name}'.{hint}" for name, hint in zip(asked, hints)]
    if len(lacking) > _NAMED:
        lines.append(f"... and {len(lacking) - _NAMED:,} more.")
    return DataError(
        f"{path}: no row for {len(lacking):,} of the {n_other:,} ids in {other}. {remedy}; "
        "--missing no-vote counts no vote for them:",
        lines,
    )


def join_classes(
    files: Sequence[Member], *, classes: Sequence[str], scores: Scores
) -> tuple[Literal["label", "probability", "score"], tuple[str, ...], list[Member]]:
    """What kind of predictions the files hold, the classes in order, and the files with these.

    Args:
        files: in the order of their names.
        classes: declared class order.
        scores: "any" leaves single score columns as they are, where there is nothing else.

    Raises:
        DataError: if kinds or classes differ.
    """
    if len({file.kind for file in files}) > 1:
        lines = [
            f"{file.path}: hard labels"
            if file.kind == "label"
            else f"{file.path}: scores of {_list(file.columns)}"
            for file in files
        ]
        raise DataError(
            "Hard labels are counted, probabilities averaged: give files of one kind. For labels, "
            "write the class with the highest probability into a column 'label':",
            lines,
        )
    if files[0].kind == "label":
        names = _label_classes(files, classes)
        return "label", names, [file.with_classes(names) for file in files]
    if scores == "any" and all(len(file.columns) == 1 for file in files):
        return "score", *_with_columns(files, files[0].columns)
    return "probability", *_with_columns(files, _score_classes(files, classes))


def _label_classes(files: Sequence[Member], classes: Sequence[str]) -> tuple[str, ...]:
    """Classes of hard labels: declared, or all that occur."""
    declaring = [file for file in files if file.metadata.get("classes")]
    if classes or not declaring:
        names = tuple(classes) or tuple(sorted({name for file in files for name in file.columns}))
        if not names:
            raise DataError(f"{files[0].path}: no model voted: every label is empty.")
        _check_forms(files)
        return names
    names = _common_order(declaring)
    _check_sets(files, names, subset_of=True)
    return names


def _score_classes(files: Sequence[Member], classes: Sequence[str]) -> tuple[str, ...]:
    """Classes of score columns; a single column is one of two classes."""
    if classes:
        return tuple(classes)
    wide = [file for file in files if len(file.columns) > 1]
    if wide:
        return _common_order([file for file in wide if file.metadata.get("classes")] or wide)
    declared = {tuple(file.metadata.get("classes", ())) for file in files}
    for names in sorted(declared):
        if len(names) == 2 and files[0].columns[0] in names:
            return names
    return files[0].columns[0], f"not {files[0].columns[0]}"


def _with_columns(
    files: Sequence[Member], names: tuple[str, ...]
) -> tuple[tuple[str, ...], list[Member]]:
    """The names; and the files with their columns in this order.

    Raises:
        DataError: if a file has other columns.
    """
    singles = [file for file in files if len(file.columns) == 1]
    if len(names) > 2 and singles:
        raise DataError(
            f"The classes are {_list(names)}; these files score only one of them:",
            [f"{file.path}: '{file.columns[0]}'" for file in singles],
        )
    wide = [file for file in files if len(file.columns) > 1]
    _check_sets(wide, names)
    _check_sets(singles, names, subset_of=True)
    return names, [
        file if len(file.columns) == 1 else replace(file, columns=names) for file in files
    ]


def _common_order(files: Sequence[Member]) -> tuple[str, ...]:
    """The classes that most files have, in the order on which all of these agree, or sorted."""
    orders = [tuple(file.metadata.get("classes", file.columns)) for file in files]
    sets = Counter(tuple(sorted(order)) for order in orders)
    names, _ = sets.most_common(1)[0]
    orders = [order for order in orders if tuple(sorted(order)) == names]
    return orders[0] if len(set(orders)) == 1 else names


def _check_sets(files: Sequence[Member], names: Sequence[str], *, subset_of: bool = False) -> None:
    """Raise DataError unless all files have the classes `names`, or no other than these."""
    lines: list[str] = []
    for file in files:
        extra = [name for name in file.columns if name not in names]
        lacking = [] if subset_of else [name for name in names if name not in file.columns]
        hints = near(extra, [name for name in names if name not in file.columns])
        lines += [
            f"{file.path}: class '{name}' is not there.{hint}" for name, hint in zip(extra, hints)
        ]
        hints = near(lacking, extra)
        lines += [
            f"{file.path}: has no class '{name}'.{hint}" for name, hint in zip(lacking, hints)
        ]
    if lines:
        raise DataError(
            f"The models have different classes. Most, or what is declared, have {_list(names)}:",
            lines,
        )


def _check_forms(files: Sequence[Member]) -> None:
    """Raise DataError if classes of two files differ only in form: their votes would not add up."""
    seen: dict[str, tuple[str, Path]] = {}
    lines: list[str] = []
    for file in files:
        for name in file.columns:
            form = unicodedata.normalize("NFC", name).strip().casefold()
            other, path = seen.setdefault(form, (name, file.path))
            if other != name:
                (hint,) = near([name], [other])
                lines.append(f"{file.path}: class '{name}'; {path} has '{other}'.{hint}")
    if lines:
        raise DataError(
            "Classes differ only in form, so their votes would not be added up. Write them alike, "
            "or declare them as different with --classes:",
            lines,
        )


def joined_errors(errors: Sequence[DataError], *, n_files: int) -> DataError:
    """One error that says what several say."""
    if len(errors) == 1:
        return errors[0]
    lines = []
    for error in errors:
        lines += [error.message, *(f"  {line}" for line in error.problems[:_NAMED] if line)]
        if len(error.problems) > _NAMED:
            lines.append(f"  ... and {len(error.problems) - _NAMED} more.")
    return DataError(f"{len(errors)} things are wrong with the {n_files} files:", lines)


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" ... ({len(names)} in all)" if len(names) > 20 else "")
