"""Reads and writes NPZ files of predictions or truth.

They hold `ids` (N,), and one of `labels` (N,), `probs` (N, C) or `members` (N, C), the last two
with `class_names` (C,); optional `weights` (N,), and `dnncli`, the JSON text that Parquet has in
its metadata.
"""

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli import archives
from dnncli.errors import DataError

if TYPE_CHECKING:
    import polars as pl

_CONTENTS = ("labels", "probs", "members")


def read_npz(path: Path, *, key: str) -> tuple["pl.DataFrame", str]:
    """The arrays as columns, and the text of the array `key` ("{}" if there is none).

    Raises:
        DataError: if the file is broken, holds pickled objects, or arrays do not fit together.
    """
    if not zipfile.is_zipfile(path):  # else NumPy takes it for a pickle, and offers to run that
        raise DataError(f"{path}: cannot be read as NPZ: it is no ZIP archive, or was cut short.")
    try:
        if problem := archives.npz_problem(path):
            raise DataError(f"{path}: {problem}.")
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: archives.sound_text(file[name]) for name in file.files}
        return _frame(path, arrays), str(arrays.get(key, "{}"))
    except archives.BROKEN as error:
        raise DataError(
            f"{path}: cannot be read as NPZ ({error}). Save plain arrays: ids as text, not objects."
        ) from error


def arrays_of(frame: "pl.DataFrame", metadata: dict[str, Any]) -> dict[str, NDArray]:
    """The arrays of a table that `read_npz` reads back; columns it cannot hold are left out."""
    arrays = {"ids": np.array(frame["id"].to_list(), dtype=str)}
    if metadata["kind"] == "label" and "weight" in frame.columns:
        arrays["weights"] = frame["weight"].to_numpy()
    if metadata["kind"] == "label" and not metadata.get("multi_label"):
        return arrays | {"labels": np.array(frame["label"].fill_null("").to_list(), dtype=str)}
    names = metadata["classes"]
    matrix = np.ascontiguousarray(frame.select(names).to_numpy())
    return arrays | {
        "members" if metadata["kind"] == "label" else "probs": matrix,
        "class_names": np.array(names, dtype=str),
    }


def _frame(path: Path, arrays: dict[str, NDArray]) -> "pl.DataFrame":
    import polars as pl

    if "ids" not in arrays or not set(_CONTENTS) & set(arrays):
        raise DataError(
            f"{path}: has the arrays {', '.join(arrays) or 'none'}. "
            "Needed: ids, and labels, or probs or members with class_names."
        )
    names = arrays["class_names"].astype(str).tolist() if "class_names" in arrays else []
    if "labels" in arrays:
        columns = {"label": _label_names(path, arrays["labels"], names)}
    else:
        columns = _matrix(path, arrays, "probs" if "probs" in arrays else "members", names)
    if "probs" not in arrays and "weights" in arrays:
        columns["weight"] = arrays["weights"]
    ids = arrays["ids"].astype(str)
    for name, column in columns.items():
        if column.shape != ids.shape:
            raise DataError(f"{path}: '{name}' has the shape {column.shape}, ids have {ids.shape}.")
    return pl.DataFrame({"id": ids.tolist(), **columns})


def _matrix(
    path: Path, arrays: dict[str, NDArray], name: str, class_names: list[str]
) -> dict[str, NDArray]:
    """One column per class."""
    matrix = arrays[name]
    matrix = matrix[:, None] if matrix.ndim == 1 else matrix
    if matrix.ndim != 2 or matrix.shape[1:] != (len(set(class_names) - {"id"}),):
        raise DataError(
            f"{path}: {name} must be (N, C) with C different class_names, none of them 'id'. "
            f"Got {name} {matrix.shape} and class_names {class_names}."
        )
    return dict(zip(class_names, matrix.T, strict=True))


def _label_names(path: Path, labels: NDArray, names: list[str]) -> NDArray[np.str_]:
    """Labels as text; integers are indices if there are class names, -1 = no label."""
    if not (names and np.issubdtype(labels.dtype, np.integer)):
        return labels.astype(str)
    if len(labels) and not -1 <= labels.min() <= labels.max() < len(names):
        raise DataError(
            f"{path}: labels from {labels.min()} to {labels.max()} do not index "
            f"{len(names)} class_names. Allowed: 0 to {len(names) - 1}, and -1 for no label."
        )
    return np.array([*names, ""])[labels]
