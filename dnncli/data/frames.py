"""CSV, Parquet and NPZ files as one table: a text column `id`, and a label or class columns.

NPZ holds `ids` (N,), and `labels` (N,) or `probs` (N, C) with `class_names` (C,); optional
`weights` (N,), and `dnncli`, the JSON text that Parquet has in its metadata.
"""

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.csvfile import read_csv
from dnncli.errors import DataError
from dnncli.results import written

if TYPE_CHECKING:
    import polars as pl

SUFFIXES = (".csv", ".parquet", ".npz")

_KEY = "dnncli"  # of the Parquet metadata and of NPZ


def read_frame(path: Path) -> tuple["pl.DataFrame", dict[str, Any]]:
    """The columns of a file, `id` and `label` as text, and its metadata (CSV has none).

    Raises:
        DataError: if the file is missing, broken, of another kind, or has no `id` column.
    """
    check_suffix(path)
    if not path.is_file():
        raise DataError(f"{path}: no such file.")
    metadata: dict[str, Any] = {}
    match path.suffix:
        case ".csv":
            frame = read_csv(path)
        case ".parquet":
            frame, metadata = _read_parquet(path)
        case _:
            frame, metadata = _read_npz(path)
    if "id" not in frame.columns:
        hint = " Its values are separated by ';' or tabs." if _one_column(frame) else ""
        raise DataError(
            f"{path}: there is no column 'id'.{hint} Columns: {', '.join(frame.columns)}. "
            "Needed: id,label or id,<class>,<class>... separated by commas."
        )
    if frame.is_empty():
        raise DataError(f"{path}: holds no rows.")
    return frame, metadata


def write_frame(frame: "pl.DataFrame", metadata: dict[str, Any], path: Path) -> None:
    """Write the columns to a file of the suffix's kind; the file is whole or absent.

    CSV holds the doubles equal to float32 numbers, so that no threshold comes out differently.
    """
    import polars as pl

    text = json.dumps(metadata, ensure_ascii=False)
    with written(path) as neighbour:
        match path.suffix:
            case ".csv":
                frame.with_columns(pl.col(pl.Float32).cast(pl.Float64)).write_csv(neighbour)
            case ".parquet":
                frame.write_parquet(neighbour, metadata={_KEY: text})
            case _:
                with neighbour.open("wb") as file:
                    arrays = _arrays(frame) | {_KEY: np.array(text)}
                    np.savez(file, **arrays)  # type: ignore[arg-type]


def check_suffix(path: Path) -> None:
    """Raise DataError unless the suffix is one of SUFFIXES."""
    if path.suffix not in SUFFIXES:
        raise DataError(
            f"{path}: is no predictions or truth file. Known suffixes: {', '.join(SUFFIXES)}."
        )


def _one_column(frame: "pl.DataFrame") -> bool:
    return len(frame.columns) == 1 and any(mark in frame.columns[0] for mark in ";\t")


def _read_parquet(path: Path) -> tuple["pl.DataFrame", dict[str, Any]]:
    import polars as pl

    try:
        frame = pl.read_parquet(path, glob=False)
        text = pl.read_parquet_metadata(path).get(_KEY, "{}")
        # Categories, numbers and truth values become the text that a person would have written.
        named = [name for name in ("id", "label", "split") if name in frame.columns]
        frame = frame.with_columns(pl.col(named).cast(pl.String))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: cannot be read as Parquet ({error}).") from error
    return frame, _metadata(path, text)


def _metadata(path: Path, text: str) -> dict[str, Any]:
    try:
        metadata = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path}: its '{_KEY}' metadata is not JSON ({error}).") from error
    return metadata if isinstance(metadata, dict) else {}


def _read_npz(path: Path) -> tuple["pl.DataFrame", dict[str, Any]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {key: file[key] for key in file.files}
        return _npz_frame(path, arrays), _metadata(path, str(arrays.get(_KEY, "{}")))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path}: cannot be read as NPZ ({error}). Save plain arrays: ids as text, not objects."
        ) from error


def _npz_frame(path: Path, arrays: dict[str, NDArray]) -> "pl.DataFrame":
    import polars as pl

    if "ids" not in arrays or not {"labels", "probs"} & set(arrays):
        raise DataError(
            f"{path}: has the arrays {', '.join(arrays) or 'none'}. "
            "Needed: ids, and labels or probs with class_names."
        )
    names = arrays["class_names"].astype(str).tolist() if "class_names" in arrays else []
    if "labels" in arrays:
        columns = {"label": _label_names(path, arrays["labels"], names)}
        columns |= {"weight": arrays["weights"]} if "weights" in arrays else {}
    else:
        probs = arrays["probs"]
        probs = probs[:, None] if probs.ndim == 1 else probs
        if probs.ndim != 2 or probs.shape[1:] != (len(set(names) - {"id"}),):
            raise DataError(
                f"{path}: probs must be (N, C) with C different class_names, none of them 'id'. "
                f"Got probs {probs.shape} and class_names {names}."
            )
        columns = dict(zip(names, probs.T, strict=True))
    ids = arrays["ids"].astype(str)
    for name, column in columns.items():
        if column.shape != ids.shape:
            raise DataError(f"{path}: '{name}' has the shape {column.shape}, ids have {ids.shape}.")
    return pl.DataFrame({"id": ids.tolist(), **columns})


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


def _arrays(frame: "pl.DataFrame") -> dict[str, NDArray]:
    arrays = {"ids": np.array(frame["id"].to_list(), dtype=str)}
    if "label" in frame.columns:
        arrays["labels"] = np.array(frame["label"].fill_null("").to_list(), dtype=str)
        if "weight" in frame.columns:
            arrays["weights"] = frame["weight"].to_numpy()
        return arrays
    scores = frame.drop("id")
    return arrays | {
        "probs": np.ascontiguousarray(scores.to_numpy()),
        "class_names": np.array(scores.columns, dtype=str),
    }
