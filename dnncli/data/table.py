"""Reads a CSV or Parquet manifest: one row per picture, `path,label[,split][,group][,weight]`.

N rows. Cells are text as written: `007`, `1e5`, `NA` and `None` stay what they are.
"""

import csv
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np

from dnncli.data.dataset import Dataset, FileImages, Problem
from dnncli.data.folder import SPLIT_FOLDERS
from dnncli.data.labels import bind
from dnncli.data.scan import scan
from dnncli.errors import DataError
from dnncli.registry import suggest
from dnncli.results import Progress, no_progress

SUFFIXES = (".csv", ".tsv", ".parquet")
COLUMNS = ("path", "label", "split", "group", "weight")


def split_word(word: str) -> str:
    """`train`, `val` or `test` for any accepted spelling of it, else an empty string."""
    return SPLIT_FOLDERS.get(word.strip().lower(), "")


@dataclass(frozen=True, kw_only=True)
class TextTable:
    """A table whose cells are all text, and where each row is written."""

    path: Path
    names: tuple[str, ...]  # of the columns
    rows: list[tuple[str, ...]]  # (N,) cells
    lines: Sequence[int]  # (N,) line of a CSV file, or row of a Parquet file, counted from 1

    def column(self, name: str) -> tuple[str, ...]:
        """(N,) cells of one column.

        Raises:
            DataError: if there is no such column.
        """
        if name not in self.names:
            raise DataError(
                f"{self.path}: no column '{name}'.{suggest(name, self.names)} "
                f"Columns, separated by commas: {', '.join(self.names) or 'none'}."
            )
        place = self.names.index(name)
        return tuple(row[place] for row in self.rows)


def read_rows(path: Path) -> TextTable:
    """Read a CSV (`.csv`, `.tsv`) or Parquet file as text; blank lines are left out.

    UTF-8 with or without a byte order mark, LF or CRLF, quoted line breaks. A cell that is null
    in Parquet is empty.

    Raises:
        DataError: if the file cannot be read, has no header, names a column twice, or has a row
            with more or fewer cells than the header.
    """
    names, rows, lines = (
        _from_parquet(path) if path.suffix.lower() == ".parquet" else _from_csv(path)
    )
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(f"{path}: two columns are called '{twice[0]}'. Rename or remove one.")
    return TextTable(path=path, names=names, rows=rows, lines=lines)


def _from_csv(path: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]], Sequence[int]]:
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    rows, lines, problems = [], [], []
    before = 0
    reader = csv.reader(StringIO(_utf8(path), newline=""), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if row:
                rows.append(tuple(row))
                lines.append(before + 1)
                if len(row) != len(rows[0]):
                    problems.append(
                        f"{path}:{before + 1}: {len(row)} cells for {len(rows[0])} columns."
                    )
            before = reader.line_num
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not valid CSV: {error}.") from error
    if not rows:
        raise DataError(f"{path}: is empty. The first line must name the columns.")
    if problems:
        raise DataError(f"{path}: put cells that hold a comma between double quotes:", problems)
    return tuple(name.strip() for name in rows[0]), rows[1:], lines[1:]


def _utf8(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise DataError(f"{path}:{line}: is not UTF-8 text. Save the file as UTF-8.") from error


def _from_parquet(path: Path) -> tuple[tuple[str, ...], list[tuple[str, ...]], Sequence[int]]:
    import polars as pl

    try:
        frame = pl.read_parquet(path, glob=False)
        plain = [
            name
            for name, dtype in frame.schema.items()
            if not dtype.is_nested() and dtype != pl.Binary
        ]
        text = frame.select(pl.col(plain).cast(pl.String).fill_null(""))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet text columns: {error}") from error
    return tuple(text.columns), text.rows(), range(1, len(text) + 1)


def read_table(
    path: Path,
    *,
    classes: Sequence[str] = (),
    max_pixels: int,
    labelled: bool = True,
    progress: Progress = no_progress,
) -> Dataset:
    """The pictures that a manifest lists; the id of a row is its path as written.

    Paths are relative to the manifest. Rows whose picture is missing or cannot be read are left
    out and named in `problems`.

    Args:
        classes: declared order; empty: the labels that occur, sorted.
        max_pixels: larger pictures are left out.
        labelled: a label is needed in every row.

    Raises:
        DataError: if a column is missing, or naming all rows with an empty path or label, an
            unknown split, a weight that is no number >= 0, or a path given before.
    """
    table = read_rows(path)
    ids = table.column("path")
    if not ids:
        raise DataError(f"{path}: has a header, but no rows.")
    labels = table.column("label") if labelled or "label" in table.names else ("",) * len(ids)
    splits = table.column("split") if "split" in table.names else ("",) * len(ids)
    groups = table.column("group") if "group" in table.names else None
    weights = table.column("weight") if "weight" in table.names else None
    problems = [f"{path}:{line}: {what}" for line, what in _faults(table, labelled=labelled)]
    if problems:
        raise DataError(f"{path}: rows that cannot be used:", problems)

    def where(row: int) -> str:
        return f"{path}:{table.lines[row]}"

    indices, class_names = bind(
        [label or None for label in labels], classes=classes, root=path, where=where
    )
    paths = tuple(os.path.abspath(path.parent / row_id) for row_id in ids)  # noqa: PTH100
    seen = scan(paths, max_pixels=max_pixels, progress=progress)
    found = [
        *(
            Problem(path=where(row), what=f"'{ids[row]}': {seen.problems[row]}")
            for row in seen.problems
        ),
        *(
            Problem(path=where(row), what=f"'{ids[row]}': {seen.notes[row]}", action="noted")
            for row in seen.notes
        ),
    ]
    if not len(seen.good):
        raise DataError(
            f"{path}: none of its {len(ids)} pictures can be read:", list(map(str, found))
        )
    dataset = Dataset(
        kind="table",
        root=path,
        ids=ids,
        labels=indices,
        class_names=class_names,
        splits=np.array([split_word(word) for word in splits], "<U5"),
        images=FileImages(names=paths, routes=seen.routes, sizes=seen.sizes, grey=seen.grey),
        groups=groups,
        weights=None if weights is None else np.array([float(w) for w in weights], np.float32),
        digests=seen.digests,
        problems=(*_unused_columns(table), *found),
    )
    return dataset.take(seen.good)


def _faults(table: TextTable, *, labelled: bool) -> Iterator[tuple[int, str]]:
    """Line and description of everything in the cells that makes a row useless."""
    first: dict[str, int] = {}
    for line, cells in zip(table.lines, table.rows, strict=True):
        row = dict(zip(table.names, cells, strict=True))
        path, split, weight = row["path"], row.get("split", ""), row.get("weight", "1")
        if not path:
            yield line, "the path is empty."
        elif first.setdefault(path, line) != line:
            yield line, f"path '{path}' was given before, in line {first[path]}. Remove one."
        if labelled and not row["label"]:
            yield line, "the label is empty. Give every row a class."
        if split and not split_word(split):
            yield line, f"'{split}' is no split. Allowed: train, val (valid, validation), test."
        if not _is_weight(weight):
            yield line, f"weight '{weight}' is not a number >= 0."


def _is_weight(text: str) -> bool:
    try:
        return 0 <= float(text) < math.inf
    except ValueError:
        return False


def _unused_columns(table: TextTable) -> Iterator[Problem]:
    for name in table.names:
        if name not in COLUMNS:
            what = f"column '{name}' is not used.{suggest(name, COLUMNS)}"
            yield Problem(path=str(table.path), what=what, action="ignored")
