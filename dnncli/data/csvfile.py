"""Reads a CSV file as text, cell by cell as written; makes tables for people safe to open."""

import csv
import io
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dnncli.errors import DataError

if TYPE_CHECKING:
    import polars as pl

# What spreadsheets take for a formula, which may fetch from the network or start programs.
_FORMULA = r"^[=+\-@\t\r]"
_NUMBER = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"


def as_text(cell: Any) -> Any:
    """A cell of a table for people: text that a spreadsheet would run gets an apostrophe before it.

    Numbers stay what they are, also as text. Files that are read again (predictions, truth, splits,
    decisions) hold every text as it is.
    """
    if isinstance(cell, str) and re.search(_FORMULA, cell) and not re.search(_NUMBER, cell):
        return f"'{cell}"
    return cell


def frame_as_text(frame: "pl.DataFrame") -> "pl.DataFrame":
    """`as_text` of every cell and column name."""
    import polars as pl

    text = pl.col(pl.String)
    runs = text.str.contains(_FORMULA) & ~text.str.contains(_NUMBER)
    safe = frame.with_columns(pl.when(runs).then("'" + text).otherwise(text).name.keep())
    return safe.rename(as_text)


def read_csv(path: Path) -> "pl.DataFrame":
    """All cells of a CSV file as text: `007`, `1e5`, `NA` and `None` stay what they are.

    RFC 4180 quoting, UTF-8 with or without a byte order mark, LF or CRLF. Empty cells are null;
    blank lines are left out.

    Raises:
        DataError: if there is no header, two columns have one name, the file is not UTF-8, or a
            row does not fit the header; with the line number.
    """
    import polars as pl

    try:
        header = _header(path)
        frame = pl.read_csv(path, infer_schema=False, glob=False)
        understood = frame.columns == header
    except (
        UnicodeDecodeError,
        csv.Error,
        pl.exceptions.PolarsError,
        pl.exceptions.PanicException,
    ):
        understood = False
    if (
        not understood
    ):  # the slow reader names the line, or reads what the fast one is too strict for
        header, rows = _read_slowly(path)
        frame = pl.DataFrame(rows, schema=dict.fromkeys(header, pl.String), orient="row")
    return frame.with_columns(
        pl.when(pl.col(name) != "").then(pl.col(name)).alias(name) for name in header
    ).filter(~pl.all_horizontal(pl.all().is_null()))


def _header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), None)
    if not header:
        raise DataError(f"{path}: is empty. The first line must name the columns.")
    if len(header) == 1 and (marks := [mark for mark in ";\t" if mark in header[0]]):
        mark = "tabs" if marks[-1] == "\t" else "';'"
        raise DataError(
            f"{path}:1: the columns are separated by {mark}. Separate them by commas, and write "
            "numbers with a point."
        )
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError(f"{path}:1: column '{twice[0]}' occurs twice. Rename or remove one.")
    return header


def _read_slowly(path: Path) -> tuple[list[str], list[tuple[str, ...]]]:
    """Header and rows by the standard library's reader; errors name the line."""
    text = _decode(path)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, ...]] = []
    try:
        for row in reader:
            if rows and row and len(row) > len(rows[0]):
                raise DataError(
                    f"{path}:{reader.line_num}: {len(row)} values for {len(rows[0])} columns. "
                    "Put values that hold a comma between double quotes."
                )
            if row:
                rows.append((*row, *[""] * (len(rows[0]) - len(row) if rows else 0)))
    except csv.Error as error:
        raise DataError(
            f"{path}:{reader.line_num}: broken quoting ({error}). A quoted value starts and ends "
            'with " and doubles every " inside.'
        ) from error
    return list(rows[0]), rows[1:]


def _decode(path: Path) -> str:
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = data[error.start : error.start + 1].hex()
        raise DataError(
            f"{path}:{line}: is not UTF-8 (byte 0x{found}). Save the file as UTF-8."
        ) from error
