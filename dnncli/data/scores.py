"""Score columns of a file as one matrix of numbers, checked.

Shapes: N rows, C classes. Matrices are in Fortran order: one stretch of memory per class.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.frames import Table
from dnncli.data.ids import counted
from dnncli.errors import SHOWN, DataError

if TYPE_CHECKING:
    import polars as pl

SCORES = ("unit", "any")  # the default comes first
Scores = Literal["unit", "any"]

_BATCH = 2**26  # bytes of columns read at a time: small beside a large table, all of a small one
_BLOCK = 2**16  # rows whose numbers stay in the processor's cache
_SUM_TOLERANCE = 1e-2  # a row further than this from 1 is no row of probabilities
_EXACT_SUM = 1e-5  # rows this close to 1 are left as written: a float32 softmax is rounded
_OVERSHOOT = 1e-6  # a float32 softmax may end just above 1
_CONVERT = (
    "Convert logits by a softmax, exp(x) / sum(exp(x)) over the row, and percentages by / 100."
)
_CONVERT_ONE = (  # a softmax over one column is 1
    "With a threshold, or averaged by `consensus --scores any`, a single score column may hold any "
    "finite numbers. Else convert logits by 1 / (1 + exp(-x)), and percentages by / 100."
)


def read_numbers(table: Table, ids: "pl.Series", names: Sequence[str]) -> NDArray[np.floating]:
    """(N, C) float32 if every column is, else float64; a null of Parquet is NaN.

    Raises:
        DataError: if cells are not numbers; each is named.
    """
    numbers, _, unread = _numbers(table, len(ids), names)
    _refuse(table, ids, unread, names)
    return numbers


def read_answers(
    table: Table, n_rows: int, names: Sequence[str]
) -> tuple[NDArray[np.floating], NDArray[np.bool_]]:
    """As `read_numbers`; and (N,) whether all cells of a row are empty: it says nothing.

    The text `nan` is no empty cell.

    Raises:
        DataError: if cells of other rows are not numbers; each is named.
    """
    numbers, silent, unread = _numbers(table, n_rows, names)
    if unread and silent.any():
        unread = [(column, rows[~silent[rows]]) for column, rows in unread]
    if any(len(rows) for _, rows in unread):
        _refuse(table, table.read(["id"])["id"], unread, names)
    return numbers, silent


def _numbers(
    table: Table, n_rows: int, names: Sequence[str]
) -> tuple[NDArray[np.floating], NDArray[np.bool_], "list[tuple[pl.Series, NDArray[np.intp]]]"]:
    """Numbers, rows without any, and each column of text with the rows that hold no number."""
    import polars as pl

    single = all(table.schema[name] == pl.Float32 for name in names)
    numbers = np.empty((n_rows, len(names)), np.float32 if single else np.float64, order="F")
    silent = np.ones(n_rows, bool)
    unread = []
    for index, column in enumerate(_columns(table, n_rows, names)):
        cells = column if single else _float64(table.path, column)
        if column.dtype == pl.String and cells.null_count():
            unread.append((column, np.flatnonzero(cells.is_null().to_numpy())))
        if column.null_count():
            silent &= column.is_null().to_numpy()
        else:
            silent[:] = False
        start = 0
        for chunk in cells.get_chunks():  # a column in one piece would be one more copy
            numbers[start : start + len(chunk), index] = chunk.to_numpy()
            start += len(chunk)
    return numbers, silent, unread


def _refuse(
    table: Table,
    ids: "pl.Series",
    unread: "list[tuple[pl.Series, NDArray[np.intp]]]",
    names: Sequence[str],
) -> None:
    """Raise DataError if there are cells that hold no number."""
    lines: list[str] = []
    for column, rows in unread:
        lines += [_cell(ids[int(row)], column, int(row)) for row in rows[:SHOWN]]
    if lines:
        hint = "A score that is missing is written as nan; hard labels go into a column 'label':"
        if list(names) == ["weight"]:
            hint = "Every row needs its weight:"
        wrong = sum(len(rows) for _, rows in unread)
        raise DataError(
            f"{table.path}: cells that are not numbers. {hint}", counted(lines[:SHOWN], wrong)
        )


def read_members(table: Table, ids: "pl.Series", names: Sequence[str]) -> NDArray[np.bool_]:
    """(N, C) truth values of columns that hold 0 and 1.

    Raises:
        DataError: if a cell is anything else; each is named.
    """
    members = np.empty((len(ids), len(names)), bool, order="F")
    lines: list[str] = []
    wrong = 0
    for index, column in enumerate(_columns(table, len(ids), names)):
        cells = _float64(table.path, column).to_numpy()
        members[:, index] = cells == 1
        if len(rows := np.flatnonzero(~members[:, index] & ~(cells == 0))):
            lines += [_cell(ids[int(row)], column, int(row)) for row in rows[:SHOWN]]
            wrong += len(rows)
    if lines:
        raise DataError(
            f"{table.path}: multi-label truth must be 0 or 1 in every class column:",
            counted(lines[:SHOWN], wrong),
        )
    return members


def _columns(table: Table, n_rows: int, names: Sequence[str]) -> "Iterator[pl.Series]":
    """The columns in order, read a few at a time, so that memory holds the table only once."""
    step = max(1, _BATCH // (8 * n_rows))
    for start in range(0, len(names), step):
        frame = table.read(names[start : start + step])
        if len(frame) != n_rows:
            raise DataError(f"{table.path}: was changed while it was read. Try again.")
        yield from frame


def _float64(path: Path, column: "pl.Series") -> "pl.Series":
    """Numbers as float64: null where a text is none, NaN where a number is missing."""
    import polars as pl

    if column.dtype == pl.String:
        return column.str.strip_chars().cast(pl.Float64, strict=False)
    if not (column.dtype.is_numeric() or column.dtype == pl.Boolean):
        raise DataError(f"{path}: column '{column.name}' holds {column.dtype}, not numbers.")
    return column.cast(pl.Float64).fill_null(float("nan"))


def _cell(name: str, column: "pl.Series", row: int) -> str:
    return f"id '{name}', column '{column.name}': '{'' if column[row] is None else column[row]}'"


def check_range(
    path: Path,
    ids: "pl.Series",
    names: Sequence[str],
    probs: NDArray[np.floating],
    *,
    scores: Scores = "unit",
    nan: Literal["error", "keep"] = "error",
) -> None:
    """Raise DataError, naming the rows, unless all of `probs` (N, C) is what it may be.

    Args:
        path: for the message.
        ids: (N,) of the rows.
        names: (C,) of the classes.
        probs: (N, C) numbers.
        scores: "unit" allows [0, 1], "any" every finite number.
        nan: "keep" allows NaN, too.
    """
    lowest, highest = (0.0, 1 + _OVERSHOOT) if scores == "unit" else _finite(probs.dtype)
    if lowest <= probs.min() and probs.max() <= highest:  # both are NaN if a number is
        return
    missing = np.isnan(probs)
    wrong = ~missing & ~((probs >= lowest) & (probs <= highest))

    def rows(where: NDArray[np.bool_]) -> list[str]:
        found = np.flatnonzero(where.any(axis=1))
        first = [(int(row), int(where[row].argmax())) for row in found[:SHOWN]]
        lines = [f"id '{ids[row]}', class '{names[c]}': {probs[row, c]}" for row, c in first]
        return counted(lines, len(found))

    if wrong.any() and scores == "any":
        raise DataError(f"{path}: scores that are not finite. Predict them again:", rows(wrong))
    if wrong.any():
        convert = _CONVERT if len(names) > 1 else _CONVERT_ONE
        raise DataError(f"{path}: scores outside [0, 1]. {convert}", rows(wrong))
    if nan == "error" and missing.any():
        raise DataError(
            f"{path}: scores that are no number. Predict them again, or say with --nan positive "
            "that such a row counts as positive:",
            rows(missing),
        )


def _finite(dtype: np.dtype) -> tuple[float, float]:
    limits = np.finfo(dtype)
    return float(limits.min), float(limits.max)


def with_sum_one(
    path: Path, ids: "pl.Series", probs: NDArray[np.floating]
) -> tuple[NDArray[np.floating], tuple[str, ...]]:
    """Rows divided by their sum where it is not 1, and a warning if there is such a row.

    Raises:
        DataError: if a row's sum is further than 1e-2 from 1.
    """
    if _all_sum_to_one(probs):
        return probs, ()
    sums = probs.sum(axis=1, dtype=np.float64)
    distance = np.abs(sums - 1)
    if len(wrong := np.flatnonzero(distance > _SUM_TOLERANCE)):
        lines = [f"id '{ids[int(row)]}': sums to {sums[row]:.6g}" for row in wrong[:SHOWN]]
        raise DataError(
            f"{path}: rows of probabilities must sum to 1 within {_SUM_TOLERANCE}. {_CONVERT} "
            "Classes that do not exclude each other are scored by `eval --multi-label`.",
            counted(lines, len(wrong)),
        )
    rough = distance > _EXACT_SUM
    if not rough.any():
        return probs, ()
    worst = int(np.nanargmax(distance))
    # In float64: float32 quotients could make two different scores equal.
    scaled = probs.astype(np.float64, order="F")
    np.divide(scaled, sums[:, None], out=scaled, where=rough[:, None])
    return scaled, (
        f"{path}: {int(rough.sum())} of {len(ids)} rows do not sum to 1 exactly "
        f"(id '{ids[worst]}': {sums[worst]:.6g}) and were divided by their sum.",
    )


def _all_sum_to_one(probs: NDArray[np.floating]) -> bool:
    """Whether no row holds NaN or is further than rounding from 1; needs no memory."""
    blocks = (probs[start : start + _BLOCK] for start in range(0, len(probs), _BLOCK))
    return all(
        np.abs(block.sum(axis=1, dtype=np.float64) - 1).max() <= _EXACT_SUM for block in blocks
    )
