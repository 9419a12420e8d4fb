"""Predictions files and truth files, read and written without loss.

Shapes: N rows, C classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import UNLABELLED
from dnncli.data.decisions import labels_of_decisions
from dnncli.data.frames import Table, check_suffix, read_table, table_of, write_frame
from dnncli.data.ids import check_ids, counted, valid_text
from dnncli.data.names import listed, near
from dnncli.data.scores import Scores, check_range, read_members, read_numbers, with_sum_one
from dnncli.errors import SHOWN, DataError
from dnncli.predictions import Predictions

if TYPE_CHECKING:
    import polars as pl

# Columns of multi-label truth that are no classes, unless they are declared as such.
RESERVED = ("weight", "split", "group")
_MOST_WEIGHT = 1e100  # scores multiply sums of weights: doubles end at 1e308 and at 1e-308


def read_predictions(
    path: Path,
    *,
    classes: Sequence[str] = (),
    nan: Literal["error", "keep"] = "error",
    multi_label: bool = False,
    scores: Scores = "unit",
) -> Predictions:
    """Read a predictions file.

    A `label` column holds hard labels (an empty cell is no decision: UNLABELLED), and so does the
    `decision` column of a decisions table. Otherwise every column but `id` is a class: several
    hold probabilities, a single one the score of that class against the rest. Rows that sum to 1
    only within 1e-2 are divided by their sum, with a warning.

    Args:
        path: .csv, .parquet or .npz.
        classes: declared class order; else the file's metadata, else the names sorted.
        nan: "keep" leaves rows that hold NaN as they are.
        multi_label: every column but `id` is the score, or the 0/1 decision, of a class by itself.
        scores: "any" allows every finite number where one class is scored against the rest.

    Returns:
        Predictions; `metadata["classes"]` is there if the file itself declares its classes.

    Raises:
        DataError: if the file cannot be read, or ids, classes or numbers are wrong.
    """
    path = Path(path)
    table = labels_of_decisions(read_table(path))
    _check_multi_label(table, multi_label)
    ids = _read_ids(table)
    declared = tuple(classes) or tuple(table.metadata.get("classes", ()))
    if has_labels(table, declared):
        if multi_label:
            raise DataError(
                f"{path}: has a column 'label', one class per row. Multi-label predictions have "
                "one column per class. Leave out --multi-label, or declare the class 'label'."
            )
        names, labels = encode_labels(path, ids, table.read(["label"])["label"], declared)
        return Predictions(
            ids=ids, class_names=names, kind="label", labels=labels, metadata=table.metadata
        )
    found = [name for name in table.names if name != "id"]
    names = class_columns(path, found, declared, multi_label=multi_label)
    probs = read_numbers(table, ids, names)
    one_by_one = multi_label or len(names) == 1
    check_range(path, ids, names, probs, scores=scores if one_by_one else "unit", nan=nan)
    probs, warnings = (probs, ()) if one_by_one else with_sum_one(path, ids, probs)
    return Predictions(
        ids=ids,
        class_names=names,
        kind="score" if one_by_one else "probability",
        probs=probs,
        multi_label=multi_label,
        metadata=table.metadata,
        warnings=warnings,
    )


def read_truth(
    path: Path,
    *,
    classes: Sequence[str] = (),
    split: str = "",
    multi_label: bool = False,
    further: Sequence[str] = (),
) -> Predictions:
    """Read a truth file: `id,label`, and a `weight` column if there is one.

    Args:
        path: .csv, .parquet or .npz; the split.csv of a run is one, too.
        classes: declared class order; else the file's metadata, else the names sorted.
        split: read only the rows whose `split` column says so.
        multi_label: one 0/1 column per class in place of `label`; `weight`, `split` and `group`
            are classes only if they are declared.
        further: columns of multi-label truth that are no classes, either.

    Returns:
        Predictions of kind "label" in which every row has a label, or `members`. `columns` holds
        whatever else the file says of its rows.

    Raises:
        DataError: as `read_predictions`; also if a label or a weight is missing or wrong.
    """
    path = Path(path)
    table = read_table(path)
    _check_multi_label(table, multi_label)
    declared = tuple(classes) or tuple(table.metadata.get("classes", ()))
    is_labelled = "label" in table.names and not (multi_label and "label" in declared)
    if not multi_label and not is_labelled:
        raise DataError(
            f"{path}: a truth file needs the columns id,label. Found: {', '.join(table.names)}. "
            "Truth with one 0/1 column per class is read with --multi-label."
        )
    if multi_label and is_labelled:
        raise DataError(
            f"{path}: has a column 'label', one class per row. Multi-label truth has one 0/1 "
            "column per class. Leave out --multi-label, or declare the class 'label'."
        )
    table = _rows_of_split(table, split)
    ids = _read_ids(table)
    labels = members = None
    if multi_label:
        names = _member_columns(table, declared, further)
        members = read_members(table, ids, names)
    else:
        column = table.read(["label"])["label"]
        _check_labelled(path, ids, column)
        names, labels = encode_labels(path, ids, column, declared)
    used = {"id", *(names if multi_label else ("label",))}
    weights = (
        _read_weights(table, ids) if "weight" in table.names and "weight" not in used else None
    )
    others = [name for name in table.plain_names if name not in used and name != "weight"]
    return Predictions(
        ids=ids,
        class_names=names,
        kind="label",
        labels=labels,
        multi_label=multi_label,
        members=members,
        weights=weights,
        columns={column.name: column for column in table.read(others)} if others else {},
        metadata=table.metadata,
    )


def write_predictions(predictions: Predictions, path: Path) -> None:
    """Write a predictions or truth file; reading it gives the same ids, names and numbers.

    The further columns of a truth table are written, too, where they cannot be taken for classes;
    NPZ has no place for them.

    Raises:
        DataError: if a class cannot be a column's name, text holds NUL, or the suffix is unknown.
    """
    path = Path(path)
    check_suffix(path)
    frame, metadata = frame_of(predictions, path)
    write_frame(frame, metadata, path)


def frame_of(predictions: Predictions, path: Path) -> "tuple[pl.DataFrame, dict[str, Any]]":
    """The columns and the metadata of a predictions file; `path` is for messages.

    Raises:
        DataError: if a class cannot be a column's name, or text holds NUL.
    """
    import polars as pl

    names = [valid_text(name) for name in predictions.class_names]
    matrix = predictions.probs if predictions.probs is not None else predictions.members
    if wrong := [name for name in names if name == "" or (matrix is not None and name == "id")]:
        raise DataError(f"{path}: a class cannot be called '{wrong[0]}'. Rename it.")
    wrong = predictions.ids.filter(predictions.ids.str.contains("\0", literal=True)).to_list()
    if wrong := [*wrong, *(name for name in names if "\0" in name)]:
        raise DataError(f"{path}: {wrong[0]!r} holds a NUL character. Rename it.")
    columns: dict[str, Any] = {"id": predictions.ids}
    if matrix is not None:
        numbers = matrix.astype(np.uint8) if matrix.dtype == bool else matrix
        columns |= dict(zip(names, numbers.T, strict=True))
    elif predictions.labels is not None:
        # UNLABELLED is -1: the last one.
        codes = np.where(predictions.labels < 0, len(names), predictions.labels)
        columns["label"] = pl.Series([*names, None], dtype=pl.String).gather(codes)
    if predictions.weights is not None:
        columns["weight"] = predictions.weights
    for name, column in predictions.columns.items():
        if name in RESERVED or not predictions.multi_label:
            columns.setdefault(name, column)
    metadata = predictions.metadata | {"kind": predictions.kind, "classes": names}
    metadata |= {"multi_label": True} if predictions.multi_label else {}
    return pl.DataFrame(columns), metadata


def _check_multi_label(table: Table, multi_label: bool) -> None:
    if table.metadata.get("multi_label") and not multi_label:
        raise DataError(
            f"{table.path}: is multi-label, every class a question of its own. "
            "Read it with --multi-label."
        )


def has_labels(table: Table, declared: Sequence[str]) -> bool:
    """Whether the file holds hard labels: a `label` column that is not itself a class."""
    if "label" not in table.names:
        return False
    if "kind" in table.metadata:
        return table.metadata["kind"] == "label"
    return "label" not in declared or not set(declared) <= set(table.names)


def _read_ids(table: Table) -> "pl.Series":
    ids = table.read(["id"])["id"]
    if ids.is_empty():
        raise DataError(f"{table.path}: holds no rows.")
    check_ids(table.path, ids)
    return ids


def encode_labels(
    path: Path, ids: "pl.Series", labels: "pl.Series", declared: Sequence[str]
) -> tuple[tuple[str, ...], NDArray[np.int32]]:
    """Class names (declared, or the labels sorted) and the labels as indices into them."""
    import polars as pl

    labels = labels.cast(pl.String)
    names = tuple(declared)
    if not names:
        names = tuple(name for name in labels.unique().sort().to_list() if name)
    elif len(set(names)) < len(names):
        raise DataError(f"{path}: a class is declared twice: {listed(names)}.")
    codes = labels.cast(pl.Enum(names), strict=False)
    if unknown := (codes.is_null() & labels.is_not_null() & (labels != "")).arg_true().to_list():
        first = {labels[row]: ids[row] for row in reversed(unknown)}
        found = sorted(first)
        lines = [
            f"id '{first[label]}': class '{label}' is not one of {listed(names)}.{hint}"
            for label, hint in zip(found, near(found, names))
        ]
        raise DataError(f"{path}: classes that are not declared:", lines)
    indices = codes.to_physical().cast(pl.Int32).fill_null(UNLABELLED)
    return names, indices.to_numpy()


def _check_labelled(path: Path, ids: "pl.Series", labels: "pl.Series") -> None:
    import polars as pl

    labels = labels.cast(pl.String)
    empty = (labels.is_null() | (labels == "")).arg_true()
    if len(empty):
        lines = [f"id '{ids[row]}'" for row in empty.head(SHOWN)]
        raise DataError(f"{path}: rows without a label:", counted(lines, len(empty)))


def class_columns(
    path: Path, found: Sequence[str], declared: Sequence[str], *, multi_label: bool
) -> tuple[str, ...]:
    """The class columns among those found, in declared order."""
    if not found:
        raise DataError(f"{path}: has no column but 'id'. Needed: label, or one per class.")
    if "" in found:
        raise DataError(
            f"{path}: a column has no name. Name it, or leave it out (pandas: index=False)."
        )
    if not declared:
        return tuple(sorted(found))
    missing = [name for name in declared if name not in found]
    extra = [name for name in found if name not in declared]
    if len(found) == 1 and not extra and not multi_label:  # one class against the rest
        return tuple(found)
    lines = [f"no column '{name}'.{hint}" for name, hint in zip(missing, near(missing, found))]
    lines += [
        f"column '{name}' is no class.{hint}" for name, hint in zip(extra, near(extra, declared))
    ]
    if lines:
        raise DataError(f"{path}: its columns are not the classes {listed(declared)}:", lines)
    return tuple(declared)


def _member_columns(
    table: Table, declared: Sequence[str], further: Sequence[str]
) -> tuple[str, ...]:
    """The class columns of multi-label truth, in declared order."""
    if missing := [name for name in further if name not in table.names]:
        hints = near(missing, table.names)
        lines = [f"no column '{name}'.{hint}" for name, hint in zip(missing, hints)]
        raise DataError(f"{table.path}: columns: {listed(table.names)}.", lines)
    others = {"id", *RESERVED, *further} - set(declared)
    found = [name for name in table.names if name not in others]
    return class_columns(table.path, found, declared, multi_label=True)


def _read_weights(table: Table, ids: "pl.Series") -> NDArray[np.float64]:
    weights = read_numbers(table, ids, ["weight"])[:, 0].astype(np.float64)
    if len(wrong := np.flatnonzero(~(np.isfinite(weights) & (weights >= 0)))):
        lines = [f"id '{ids[int(row)]}': {weights[row]}" for row in wrong[:SHOWN]]
        raise DataError(
            f"{table.path}: weights must be finite numbers >= 0:", counted(lines, len(wrong))
        )
    highest = weights.max()
    if highest > _MOST_WEIGHT / len(weights) or 0 < highest < 1 / _MOST_WEIGHT:
        raise DataError(
            f"{table.path}: the largest weight is {highest:g}. Weights may add up to "
            f"{_MOST_WEIGHT:g} at most, and to {1 / _MOST_WEIGHT:g} at least. Scale them."
        )
    return weights


def _rows_of_split(table: Table, split: str) -> Table:
    """The rows of one split; without one, all, and the splits there are in the metadata."""
    import polars as pl

    if "split" not in table.names:
        if split:
            raise DataError(
                f"{table.path}: has no column 'split'. Leave out --split, or add the column."
            )
        return table
    column = table.read(["split"])["split"].cast(pl.String)
    splits = sorted(name for name in column.unique().to_list() if name)
    if not split:
        return replace(table, metadata=table.metadata | {"splits": splits})
    if split not in splits:
        raise DataError(
            f"{table.path}: no row has the split '{split}'. Found: {', '.join(splits)}."
        )
    frame = table.read(table.names).filter(column == split)
    return table_of(table.path, frame, table.metadata)
