"""Brings predictions and truth together: rows by id, classes by name, never by position."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import UNLABELLED
from dnncli.data.names import near
from dnncli.errors import DataError
from dnncli.predictions import Predictions

NormalizeIds = Literal["none", "nfc"]
NORMALIZE_IDS: tuple[NormalizeIds, ...] = ("none", "nfc")  # the default comes first

_NAMED = 5  # ids named in a warning


def align(
    predictions: Predictions,
    truth: Predictions,
    *,
    names: tuple[str, str] = ("the predictions", "the truth"),
    normalize_ids: NormalizeIds = "none",
) -> tuple[Predictions, Predictions]:
    """The rows of the truth, in its order, in both; and the same classes in both.

    Rows that only the predictions have are left out, with a warning.

    Args:
        predictions: of any kind.
        truth: of kind "label". Its classes are those of the predictions; where hard labels were
            read without declared classes they may differ, and become their sorted union.
        names: how messages call the two.
        normalize_ids: "nfc" takes ids (not class names) for equal that differ in Unicode form.

    Returns:
        Predictions and truth with equal ids; class names are equal unless the kind is "score".

    Raises:
        DataError: if a row of the truth has no prediction, or class names differ in Unicode form.
    """
    if normalize_ids == "nfc":
        predictions, truth = _nfc(predictions, names[0]), _nfc(truth, names[1])
    predictions = _take(predictions, truth, names)
    if predictions.kind != "label" or predictions.class_names == truth.class_names:
        return predictions, truth
    union = tuple(sorted({*predictions.class_names, *truth.class_names}))
    _check_forms(union, names)
    return _with_classes(predictions, union), _with_classes(truth, union)


def _nfc(table: Predictions, name: str) -> Predictions:
    ids = tuple(unicodedata.normalize("NFC", entry) for entry in table.ids)
    if len(set(ids)) < len(ids):
        raise DataError(f"{name}: in Unicode form NFC, two ids become one. Rename one of them.")
    return replace(table, ids=ids)


def _take(predictions: Predictions, truth: Predictions, names: tuple[str, str]) -> Predictions:
    """The rows of the truth, in its order."""
    ids, splits = truth.ids, truth.metadata.get("splits", ())
    if predictions.ids == ids:
        return predictions
    index = {name: row for row, name in enumerate(predictions.ids)}
    rows = [index.get(name, -1) for name in ids]
    wanted = set(ids)
    extra = [name for name in predictions.ids if name not in wanted]
    if missing := [name for name, row in zip(ids, rows) if row < 0]:
        hints = near(missing, extra)
        remedy = "Ids are compared as text, letter by letter"
        if any("Unicode" in hint for hint in hints):
            remedy += "; --normalize-ids nfc makes NFC and NFD equal"
        if splits:
            remedy += f". --split keeps one of the truth's splits ({', '.join(splits)})"
        raise DataError(
            f"{names[0]}: no prediction for {len(missing)} of the {len(ids)} ids in {names[1]}. "
            f"{remedy}:",
            [f"id '{name}'.{hint}" for name, hint in zip(missing, hints)],
        )
    warnings = predictions.warnings
    if extra:
        some = ", ".join(f"'{name}'" for name in extra[:_NAMED])
        more = ", ..." if len(extra) > _NAMED else ""
        warnings += (
            f"{names[0]}: {len(extra)} of {len(predictions)} ids are not in {names[1]} "
            f"and are not counted: {some}{more}.",
        )
    picked = np.array(rows, dtype=np.int64)
    return replace(
        predictions,
        ids=ids,
        labels=None if predictions.labels is None else predictions.labels[picked],
        probs=None if predictions.probs is None else predictions.probs[picked],
        warnings=warnings,
    )


def _check_forms(union: Sequence[str], names: tuple[str, str]) -> None:
    seen: dict[str, str] = {}
    for name in union:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise DataError(
                f"{names[0]} and {names[1]}: the classes '{other}' and '{name}' differ only in "
                "Unicode form (NFC or NFD). Write both in one form."
            )


def _with_classes(table: Predictions, names: tuple[str, ...]) -> Predictions:
    """The same labels as indices into `names`, which hold all of the table's classes."""
    if table.labels is None:
        return table
    codes = [*(names.index(name) for name in table.class_names), UNLABELLED]
    labels: NDArray[np.int32] = np.array(codes, dtype=np.int32)[table.labels]
    return replace(table, class_names=names, labels=labels)
