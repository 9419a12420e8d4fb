"""One model's predictions file, matched with the rows and classes of the others.

Shapes: N rows, C classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NormalizeIds
from dnncli.data.dataset import UNLABELLED
from dnncli.data.decisions import labels_of_decisions
from dnncli.data.frames import Table, read_table
from dnncli.data.ids import MISSING, check_ids, nfc_ids, not_found, rows_of
from dnncli.data.predictions import class_columns, encode_labels, has_labels
from dnncli.errors import DataError
from dnncli.predictions import recoded

if TYPE_CHECKING:
    import polars as pl

_NAMED = 5  # ids named of each file


@dataclass(frozen=True, kw_only=True)
class Member:
    """What one file says, its numbers left in the file."""

    name: str
    path: Path
    kind: Literal["label", "score"]
    metadata: dict[str, Any]
    columns: tuple[str, ...]  # classes: of the labels' indices, or the file's columns
    n_rows: int = 0  # of the file
    rows: NDArray[np.int64] | None = None  # (N,) of the file, or MISSING; None: they are the same
    labels: NDArray[np.integer] | None = None  # (N,) indices into columns, or UNLABELLED

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
        return replace(self, columns=names, labels=recoded(self.labels, self.columns, names))


def open_member(name: str, path: Path, classes: Sequence[str]) -> tuple[Member, Table]:
    """A file's kind and classes, its rows not yet read.

    Args:
        name: of the model.
        path: of the file.
        classes: declared class order.

    Raises:
        DataError: if the file cannot be read, or its columns are not the classes.
    """
    table = labels_of_decisions(read_table(path))
    if table.metadata.get("multi_label"):
        raise DataError(
            f"{path}: is multi-label, every class a question of its own. Save one file per class, "
            "with its score as the only column, and decide each class by itself."
        )
    declared = tuple(classes) or tuple(table.metadata.get("classes", ()))
    kind: Literal["label", "score"] = "label" if has_labels(table, declared) else "score"
    if kind == "score":
        found = [column for column in table.names if column != "id"]
        declared = class_columns(path, found, declared, multi_label=False)
    return Member(name=name, path=path, kind=kind, metadata=table.metadata, columns=declared), table


def read_ids(table: Table, normalize_ids: NormalizeIds) -> "pl.Series":
    """A file's ids, checked; in Unicode form NFC if `normalize_ids` says so.

    Raises:
        DataError: if there are none, or an id is empty or occurs more than once.
    """
    ids = table.read(["id"])["id"]
    if ids.is_empty():
        raise DataError(f"{table.path}: holds no rows.")
    check_ids(table.path, ids)
    return nfc_ids(ids, str(table.path)) if normalize_ids == "nfc" else ids


def read_joined(
    member: Member,
    ids: "pl.Series",
    *,
    first: Path,
    missing: Literal["error", "no-vote"],
    normalize_ids: NormalizeIds,
) -> "tuple[Member, pl.Series]":
    """A file's rows, in whatever order they are, and its labels if it holds any.

    Args:
        member: of `open_member`.
        ids: of the files before it.
        first: the first of these, for messages.
        missing: "no-vote" lets this file and those before it lack ids.
        normalize_ids: as for `read_ids`.

    Returns:
        The member; and all ids: those before it, then its own that are new.

    Raises:
        DataError: if its ids or labels are wrong.
    """
    table = labels_of_decisions(read_table(member.path))
    own = read_ids(table, normalize_ids)
    rows, ids = _joined(member.path, own, ids, first=first, missing=missing)
    member = replace(member, n_rows=len(own), rows=rows)
    if member.kind == "score":
        return member, ids
    column = table.read(["label"])["label"]
    names, labels = encode_labels(member.path, own, column, member.columns)
    if rows is not None:
        labels = np.where(rows == MISSING, labels.dtype.type(UNLABELLED), labels[rows])
    return replace(member, columns=names, labels=_short(labels, names)), ids


def read_beside(
    member: Member, table: Table, ids: "pl.Series", *, compare: bool = True
) -> tuple[Member, bool]:
    """The member, and whether its rows are those of `ids`, its labels as declared, and now read.

    Needs a fraction of the time and memory of `read_joined`, which names what is wrong.

    Args:
        member, table: of `open_member`.
        ids: of the files before it.
        compare: False says that the ids are this file's own.
    """
    has_codes = member.kind == "label"
    columns = ["id"] * compare + ["label"] * has_codes
    if not columns:
        return replace(member, n_rows=len(ids)), True
    names = list(member.columns)
    codes = np.empty(len(ids) if has_codes else 0, np.int32)
    start = 0
    for frame in table.batches(columns):
        stop = start + len(frame)
        if compare and not frame["id"].equals(ids.slice(start, len(frame))):
            return member, False
        if has_codes:
            part = _codes(frame["label"], names, declared=member.columns)
            if part is None:
                return member, False
            codes[start:stop] = part
        start = stop
    if start != len(ids):
        return member, False
    member = replace(member, n_rows=len(ids))
    if not has_codes:
        return member, True
    return replace(member, columns=tuple(names), labels=_short(codes, names)), True


def _codes(
    labels: "pl.Series", names: list[str], *, declared: Sequence[str]
) -> NDArray[np.int32] | None:
    """Labels as indices into `names`, to which new ones are added; None if these are declared."""
    import polars as pl

    if len(set(names)) < len(names):
        return None
    labels = labels.cast(pl.String)  # Parquet may hold them as numbers
    codes = labels.cast(pl.Enum(names), strict=False)
    if codes.null_count() > labels.null_count():
        found = labels.filter(codes.is_null()).unique().drop_nulls()
        new = sorted(name for name in found if name)
        if new and declared:
            return None
        names += new
        codes = labels.cast(pl.Enum(names), strict=False)
    return codes.to_physical().cast(pl.Int32).fill_null(UNLABELLED).to_numpy()


def _short(labels: NDArray[np.int32], names: Sequence[str]) -> NDArray[np.integer]:
    return labels.astype(np.int16) if len(names) < 2**15 else labels


def _joined(
    path: Path,
    own: "pl.Series",
    ids: "pl.Series",
    *,
    first: Path,
    missing: Literal["error", "no-vote"],
) -> "tuple[NDArray[np.int64] | None, pl.Series]":
    """The file's row of each of all ids so far; and these."""
    import polars as pl

    if ids.equals(own):
        return None, ids
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
        return np.append(rows, np.flatnonzero(is_new)), pl.concat([ids, new])
    return rows, ids


def _no_rows(
    path: Path, lacking: "pl.Series", there: "pl.Series", *, other: Path, n_other: int
) -> DataError:
    """The error of a file that lacks ids of another, and has the ids `there` instead."""
    lines, compared = not_found(lacking, there, shown=_NAMED)
    if len(lacking) > _NAMED:
        lines.append(f"... and {len(lacking) - _NAMED:,} more.")
    return DataError(
        f"{path}: no row for {len(lacking):,} of the {n_other:,} ids in {other}. {compared}; "
        "--missing no-vote counts no vote for them:",
        lines,
    )


class JoinedError(DataError):
    """What several errors say, in one."""

    def __init__(self, errors: Sequence[DataError], *, n_files: int) -> None:
        self.errors: list[DataError] = [
            inner
            for error in errors
            for inner in (error.errors if isinstance(error, JoinedError) else [error])
        ]
        lines: list[str] = []
        for error in self.errors:
            shown = [f"  {line}" for line in error.problems[: _NAMED + 1]]
            if len(error.problems) > len(shown):
                shown[-1] = f"  ... and {len(error.problems) - _NAMED:,} more."
            lines += [error.message, *shown]
        super().__init__(f"{len(self.errors)} things are wrong with the {n_files} files:", lines)


def joined_errors(errors: Sequence[DataError], *, n_files: int) -> DataError:
    """The only error, or one that says what all say."""
    return errors[0] if len(errors) == 1 else JoinedError(errors, n_files=n_files)
