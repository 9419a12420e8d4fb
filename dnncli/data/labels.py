"""Class names: bound by name to label indices, and read from lists in text files."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import UNLABELLED
from dnncli.errors import SHOWN, DataError
from dnncli.registry import suggest
from dnncli.results import write_text


def bind(
    names: Sequence[str | None],
    *,
    classes: Sequence[str],
    root: Path,
    where: Callable[[int], str],
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Labels of rows whose class is given by name.

    Args:
        names: (N,) class of every row; None: unlabelled.
        classes: declared order; empty: the names that occur, sorted.
        root: the data set, for error messages.
        where: row -> "file:line" for error messages.

    Returns:
        (N,) indices into the class names, UNLABELLED for None; and the class names.

    Raises:
        DataError: naming rows whose class is not declared.
    """
    class_names = tuple(classes) or tuple(sorted({name for name in names if name is not None}))
    index: dict[str | None, int] = {name: place for place, name in enumerate(class_names)}
    index[None] = UNLABELLED
    wrong = [row for row, name in enumerate(names) if name not in index]
    if wrong:
        lines = [
            f"{where(row)}: class '{names[row]}'.{suggest(str(names[row]), class_names)}"
            for row in wrong[:SHOWN]
        ]
        raise DataError(
            f"{root}: {len(wrong)} rows have a class that is not one of {', '.join(class_names)}. "
            "Fix them or declare the class.",
            [*lines, *("" for _ in wrong[SHOWN:])],
        )
    return np.array([index[name] for name in names], np.int32), class_names


def by_position(classes: Sequence[str]) -> tuple[str, ...]:
    """Declared classes as names of the labels 0, 1, ...; none if they are numbers themselves.

    Classes "1", "2", "3" come from labels without names: label 1 is "1", not the second of them.
    """
    return () if all(name.isdecimal() for name in classes) else tuple(classes)


def read_class_names(path: Path) -> dict[int, str] | tuple[str, ...]:
    """Class names from a text file with `id:name` lines (a dict) or one name a line (a tuple).

    Raises:
        DataError: if the file is empty, not text, or names an id or a class twice.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as UTF-8 text: {error}.") from error
    lines = [line for line in text.split("\n") if line.strip()]
    lines = [line.removesuffix("\r") for line in lines]
    if not lines:
        raise DataError(f"{path}: holds no class names. Write one name a line, or id:name.")
    pairs = [re.fullmatch(r"(\d+):(.*)", line) for line in lines]
    found = [(int(pair[1]), pair[2]) for pair in pairs if pair]
    numbered = len(found) == len(lines)
    names = [name for _, name in found] if numbered else lines
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or len(dict(found)) < len(found):
        raise DataError(f"{path}: an id or a name is given twice. {', '.join(twice)}".strip())
    return dict(found) if numbered else tuple(names)


def write_class_names(path: Path, class_names: Sequence[str], *, numbered: bool) -> None:
    """Write one class name a line, or `id:name` if `numbered`.

    Raises:
        DataError: if a name has a line break, which no such file can hold.
    """
    broken = [name for name in class_names if "\n" in name or "\r" in name or not name.strip()]
    if broken:
        raise DataError(f"{path}: class names that a list cannot hold: {broken}. Rename them.")
    # Plain names that look like id:name would be read as such.
    numbered = numbered or all(re.match(r"\d+:", name) for name in class_names)
    lines = [f"{index}:{name}" if numbered else name for index, name in enumerate(class_names)]
    write_text(path, "".join(f"{line}\n" for line in lines))


def array_labels(
    parts: Sequence[tuple[str, NDArray | None, int]], *, class_names: Sequence[str]
) -> tuple[NDArray[np.int32], tuple[str, ...]]:
    """Labels given as arrays: integers, one-hot rows, bool, or names.

    Args:
        parts: where (for messages), the array, and the number of rows, of every split. No array:
            the rows are unlabelled.
        class_names: what integer i stands for; empty: integers are named by themselves, names are
            sorted.

    Returns:
        (N,) indices into the class names, over all parts; and the class names.

    Raises:
        DataError: naming the first rows whose label is no class.
    """
    given = [(where, *_as_values(y, where)) for where, y, _ in parts if y is not None]
    if any(values.dtype.kind == "U" for _, values, _ in given):
        wheres = [f"{where} row {row}" for where, values, _ in given for row in range(len(values))]
        texts = [str(value) for _, values, _ in given for value in values.tolist()]
        indices, names = bind(texts, classes=class_names, root=Path(), where=wheres.__getitem__)
        pieces = np.split(indices, np.cumsum([len(values) for _, values, _ in given])[:-1])
    else:
        widths = [width for _, _, width in given if width]
        distinct = sorted({value for _, values, _ in given for value in np.unique(values).tolist()})
        known = list(range(len(class_names) or max(widths, default=0))) or distinct
        names = tuple(class_names) or tuple(map(str, known))
        pieces = [
            _known(values, known, f"{where}", names=names, width=width)
            for where, values, width in given
        ]
    remaining = iter(pieces)
    joined = [np.full(count, UNLABELLED) if y is None else next(remaining) for _, y, count in parts]
    return np.concatenate(joined).astype(np.int32), names


def texts(values: NDArray) -> list[str]:
    """(N,) numbers, bytes or text as text."""
    if values.dtype.kind == "S":
        return [value.decode("utf-8", "backslashreplace") for value in values.tolist()]
    return list(map(str, values.tolist()))


def _as_values(y: NDArray, where: str) -> tuple[NDArray, int]:
    """(N,) integers or names; and K if `y` is one-hot (N, K), else 0."""
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.dtype.kind in "US" and y.ndim == 1:
        return np.array(texts(y), dtype=str), 0
    if y.dtype.kind not in "buif" or y.ndim not in (1, 2):
        raise DataError(
            f"{where}: shape {y.shape} and dtype {y.dtype} are no labels. Allowed: (rows,) "
            "integers, bool or text; (rows, classes) one-hot."
        )
    if y.ndim == 2:
        fine = ((y == 0) | (y == 1)).all(axis=1) & (y.sum(axis=1) == 1)
        _refuse(y, ~fine, f"{where}: {y.shape} must be one-hot, one 1 and else 0 in every row")
        return y.argmax(axis=1), y.shape[1]
    if y.dtype.kind == "f":
        _refuse(y, ~(np.isfinite(y) & (np.floor(y) == y)), f"{where}: must be whole numbers")
    values = y.astype(np.int64)
    _refuse(values, values < 0, f"{where}: must not be negative")
    return values, 0


def _known(
    values: NDArray, known: Sequence[int], where: str, *, names: Sequence[str], width: int
) -> NDArray:
    """Position of every value in `known`, which is sorted."""
    shown = ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")
    if width and width != len(names):
        raise DataError(f"{where}: one-hot over {width} classes, but {len(names)} names: {shown}.")
    allowed = f"{where}: must be 0 to {len(names) - 1}, for the {len(names)} classes {shown}"
    _refuse(values, ~np.isin(values, known), allowed)
    return np.searchsorted(known, values)


def _refuse(values: NDArray, wrong: NDArray[np.bool_], what: str) -> None:
    """Raise DataError naming the rows where `wrong` is true."""
    rows = np.flatnonzero(wrong)
    if len(rows):
        lines = [f"row {row}: {values[row].tolist()}" for row in rows]
        raise DataError(f"{what}. Wrong in {len(rows)} of {len(values)} rows (from 0):", lines)
