"""Predictions files and truth files, read and written without loss.

Shapes: N rows, C classes.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import UNLABELLED
from dnncli.data.frames import check_suffix, read_frame, write_frame
from dnncli.data.names import near
from dnncli.errors import DataError
from dnncli.predictions import Predictions

if TYPE_CHECKING:
    import polars as pl

_SUM_TOLERANCE = 1e-2  # a row further than this from 1 is no row of probabilities
_EXACT_SUM = 1e-5  # rows this close to 1 are left as written: a float32 softmax is rounded
_OVERSHOOT = 1e-6  # a float32 softmax may end just above 1
_CONVERT = (
    "Convert logits by a softmax, exp(x) / sum(exp(x)) over the row, and percentages by / 100."
)


def read_predictions(
    path: Path, *, classes: Sequence[str] = (), nan: Literal["error", "keep"] = "error"
) -> Predictions:
    """Read a predictions file.

    A `label` column holds hard labels (an empty cell is no decision: UNLABELLED). Otherwise every
    column but `id` is a class: several hold probabilities, a single one the score of that class
    against the rest. Rows that sum to 1 only within 1e-2 are divided by their sum, with a warning.

    Args:
        path: .csv, .parquet or .npz.
        classes: declared class order; else the file's metadata, else the names sorted.
        nan: "keep" leaves rows that hold NaN as they are.

    Returns:
        Predictions; `metadata["classes"]` is there if the file itself declares its classes.

    Raises:
        DataError: if the file cannot be read, or ids, classes or numbers are wrong.
    """
    frame, metadata = read_frame(Path(path))
    ids = _ids(path, frame)
    declared = tuple(classes) or tuple(metadata.get("classes", ()))
    if _has_labels(frame, metadata, declared):
        labels = frame["label"].to_list()
        names, indices = _encode(path, ids, labels, declared)
        return Predictions(
            ids=ids, class_names=names, kind="label", labels=indices, metadata=metadata
        )
    names = _columns(path, frame, declared)
    probs = _numbers(path, ids, frame, names)
    _check_range(path, ids, names, probs, nan=nan)
    if len(names) == 1:
        return Predictions(ids=ids, class_names=names, kind="score", probs=probs, metadata=metadata)
    probs, warnings = _with_sum_one(path, ids, probs)
    return Predictions(
        ids=ids,
        class_names=names,
        kind="probability",
        probs=probs,
        metadata=metadata,
        warnings=warnings,
    )


def read_truth(path: Path, *, classes: Sequence[str] = (), split: str = "") -> Predictions:
    """Read a truth file: `id,label`, and a `weight` column if there is one.

    Args:
        path: .csv, .parquet or .npz; the split.csv of a run is one, too.
        classes: declared class order; else the file's metadata, else the labels sorted.
        split: read only the rows whose `split` column says so.

    Returns:
        Predictions of kind "label" in which every row has a label.

    Raises:
        DataError: as `read_predictions`; also if a label or a weight is missing or wrong.
    """
    frame, metadata = read_frame(Path(path))
    if "label" not in frame.columns:
        raise DataError(
            f"{path}: a truth file needs the columns id,label. Found: {', '.join(frame.columns)}. "
            "Truth with one 0/1 column per class (multi-label) cannot be scored yet."
        )
    if split:
        frame = _only(path, frame, split)
    elif "split" in frame.columns:
        metadata["splits"] = sorted({str(name) for name in frame["split"].to_list() if name})
    ids = _ids(path, frame)
    labels = frame["label"].to_list()
    if empty := [f"id '{name}'" for name, label in zip(ids, labels) if not label]:
        raise DataError(f"{path}: rows without a label:", empty)
    names, indices = _encode(path, ids, labels, tuple(classes) or metadata.get("classes", ()))
    weights = None
    if "weight" in frame.columns:
        weights = _numbers(path, ids, frame, ("weight",))[:, 0].astype(np.float64)
        if len(wrong := np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))):
            lines = (f"id '{ids[row]}': {weights[row]}" for row in wrong)
            raise DataError(f"{path}: weights must be finite numbers >= 0:", [*lines])
    return Predictions(
        ids=ids,
        class_names=names,
        kind="label",
        labels=indices,
        weights=weights,
        metadata=metadata,
    )


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write a predictions or truth file; reading it gives the same ids, names and numbers.

    Text that is not valid Unicode (file names that cannot be decoded) gets backslash escapes.

    Raises:
        DataError: if a class cannot be a column's name, text holds NUL, or the suffix is unknown.
    """
    import polars as pl

    path = Path(path)
    check_suffix(path)
    ids = [_text(name) for name in predictions.ids]
    names = [_text(name) for name in predictions.class_names]
    scores = predictions.kind != "label"
    if wrong := [name for name in names if name == "" or (scores and name == "id")]:
        raise DataError(f"{path}: a class cannot be called '{wrong[0]}'. Rename it.")
    if wrong := [name for name in (*ids, *names) if "\0" in name]:
        raise DataError(f"{path}: {wrong[0]!r} holds a NUL character. Rename it.")
    columns: dict[str, Any] = {"id": ids}
    if predictions.probs is not None:
        columns |= dict(zip(names, predictions.probs.T, strict=True))
    elif predictions.labels is not None:
        cells = [*names, None]  # UNLABELLED is -1: the last one
        columns["label"] = [cells[label] for label in predictions.labels.tolist()]
        if predictions.weights is not None:
            columns["weight"] = predictions.weights
    schema = {"id": pl.String} | ({} if scores else {"label": pl.String})
    metadata = predictions.metadata | {"kind": predictions.kind, "classes": names}
    write_frame(pl.DataFrame(columns, schema_overrides=schema), metadata, path)


def _text(name: str) -> str:
    return name if name.isascii() else name.encode("utf-8", "backslashreplace").decode()


def _has_labels(frame: "pl.DataFrame", metadata: dict[str, Any], declared: Sequence[str]) -> bool:
    """Whether the file holds hard labels: a `label` column that is not itself a class."""
    if "label" not in frame.columns:
        return False
    if "kind" in metadata:
        return metadata["kind"] == "label"
    return "label" not in declared or not set(declared) <= set(frame.columns)


def _ids(path: Path, frame: "pl.DataFrame") -> tuple[str, ...]:
    ids = frame["id"].to_list()
    if len(set(ids)) < len(ids) or None in ids or "" in ids:
        if empty := [f"row {row}" for row, name in enumerate(ids, 1) if not name]:
            raise DataError(f"{path}: rows without an id:", empty)
        twice = [f"'{name}' {times} times" for name, times in Counter(ids).items() if times > 1]
        raise DataError(f"{path}: ids that occur more than once. Keep one row of each:", twice)
    return tuple(ids)


def _encode(
    path: Path, ids: tuple[str, ...], labels: list[str | None], declared: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Class names (declared, or the labels sorted) and the labels as indices into them."""
    found = {label for label in labels if label}
    names = tuple(declared) or tuple(sorted(found))
    if unknown := sorted(found - set(names)):
        first = {label: name for name, label in zip(reversed(ids), reversed(labels))}
        lines = [
            f"id '{first[label]}': class '{label}' is not one of {_list(names)}.{hint}"
            for label, hint in zip(unknown, near(unknown, names))
        ]
        raise DataError(f"{path}: classes that are not declared:", lines)
    index: dict[str | None, int] = {name: position for position, name in enumerate(names)}
    codes = (index.get(label or None, UNLABELLED) for label in labels)
    return names, np.fromiter(codes, np.int32, len(labels))


def _list(names: Sequence[str]) -> str:
    return ", ".join(names[:20]) + (f" ... ({len(names)} in all)" if len(names) > 20 else "")


def _columns(path: Path, frame: "pl.DataFrame", declared: Sequence[str]) -> tuple[str, ...]:
    """The class columns in declared order."""
    found = [name for name in frame.columns if name != "id"]
    if not found:
        raise DataError(f"{path}: has no column but 'id'. Needed: label, or one per class.")
    if not declared:
        return tuple(sorted(found))
    missing = [name for name in declared if name not in found]
    extra = [name for name in found if name not in declared]
    if len(found) == 1 and not extra:  # the score of one class against the rest
        return tuple(found)
    lines = [f"no column '{name}'.{hint}" for name, hint in zip(missing, near(missing, found))]
    lines += [
        f"column '{name}' is no class.{hint}" for name, hint in zip(extra, near(extra, declared))
    ]
    if lines:
        raise DataError(f"{path}: its columns are not the classes {_list(declared)}:", lines)
    return tuple(declared)


def _numbers(
    path: Path, ids: tuple[str, ...], frame: "pl.DataFrame", names: Sequence[str]
) -> NDArray[np.floating]:
    """(N, len(names)) float32 if every column is, else float64; a null of Parquet is NaN."""
    import polars as pl

    lines: list[str] = []
    columns = []
    for name in names:
        column = frame[name]
        if column.dtype == pl.String:
            numbers = column.str.strip_chars().cast(pl.Float64, strict=False)
            rows = numbers.is_null().arg_true().to_list()
            lines += [f"id '{ids[row]}', column '{name}': '{column[row] or ''}'" for row in rows]
        elif column.dtype.is_numeric():
            numbers = column.fill_null(float("nan")) if column.dtype.is_float() else column
            numbers = numbers.cast(pl.Float64) if column.dtype != pl.Float32 else numbers
        else:
            raise DataError(f"{path}: column '{name}' holds {column.dtype}, not numbers.")
        columns.append(numbers.to_numpy())
    if lines:
        raise DataError(
            f"{path}: cells that are not numbers (hard labels belong in a column 'label'):", lines
        )
    return np.stack(columns, axis=1)


def _check_range(
    path: Path,
    ids: tuple[str, ...],
    names: Sequence[str],
    probs: NDArray[np.floating],
    *,
    nan: Literal["error", "keep"],
) -> None:
    missing = np.isnan(probs)
    wrong = ~missing & ~((probs >= 0) & (probs <= 1 + _OVERSHOOT))

    def rows(where: NDArray[np.bool_]) -> list[str]:
        found = np.flatnonzero(where.any(axis=1))
        first = zip(found.tolist(), where[found].argmax(axis=1).tolist())
        return [f"id '{ids[row]}', class '{names[c]}': {probs[row, c]}" for row, c in first]

    if wrong.any():
        raise DataError(f"{path}: scores outside [0, 1]. {_CONVERT}", rows(wrong))
    if nan == "error" and missing.any():
        raise DataError(f"{path}: scores that are no number. Predict them again:", rows(missing))


def _with_sum_one(
    path: Path, ids: tuple[str, ...], probs: NDArray[np.floating]
) -> tuple[NDArray[np.floating], tuple[str, ...]]:
    """Rows divided by their sum where it is not 1, and a warning if there is such a row."""
    sums = probs.sum(axis=1, dtype=np.float64)
    distance = np.abs(sums - 1)
    if len(wrong := np.flatnonzero(distance > _SUM_TOLERANCE)):
        lines = [f"id '{ids[row]}': sums to {sums[row]:.6g}" for row in wrong]
        raise DataError(
            f"{path}: rows of probabilities must sum to 1 within {_SUM_TOLERANCE}. {_CONVERT}",
            lines,
        )
    rough = distance > _EXACT_SUM
    if not rough.any():
        return probs, ()
    worst = int(np.nanargmax(distance))
    # In float64: float32 quotients could make two different scores equal.
    scaled = np.where(rough[:, None], probs / sums[:, None], probs)
    return scaled, (
        f"{path}: {int(rough.sum())} of {len(ids)} rows do not sum to 1 exactly "
        f"(id '{ids[worst]}': {sums[worst]:.6g}) and were divided by their sum.",
    )


def _only(path: Path, frame: "pl.DataFrame", split: str) -> "pl.DataFrame":
    import polars as pl

    if "split" not in frame.columns:
        raise DataError(f"{path}: has no column 'split'. Leave out --split, or add the column.")
    rows = frame.filter(pl.col("split") == split)
    if rows.is_empty():
        found = sorted(name for name in set(frame["split"].to_list()) if name)
        raise DataError(f"{path}: no row has the split '{split}'. Found: {', '.join(found)}.")
    return rows
