"""Brings predictions and truth together: rows by id, classes by name, never by position."""

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from dnncli.data.ids import MISSING, counted, nfc_ids, not_found, rows_of
from dnncli.data.names import near
from dnncli.errors import DataError
from dnncli.predictions import Predictions

if TYPE_CHECKING:
    import polars as pl

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
            Multi-label truth must have the same classes, and gets their order.
        names: how messages call the two.
        normalize_ids: "nfc" takes ids (not class names) for equal that differ in Unicode form.

    Returns:
        Predictions and truth with equal ids; class names are equal unless one class is scored
        against the rest.

    Raises:
        DataError: if a row of the truth has no prediction, or classes do not fit.
    """
    predictions = normalized(predictions, names[0], normalize_ids=normalize_ids)
    truth = normalized(truth, names[1], normalize_ids=normalize_ids)
    if predictions.multi_label != truth.multi_label:
        raise ValueError("predictions and truth must both be multi-label, or neither.")
    predictions = _take(predictions, truth, names)
    if truth.multi_label:
        return predictions, _same_order(predictions, truth, names)
    if predictions.kind != "label" or predictions.class_names == truth.class_names:
        return predictions, truth
    union = tuple(sorted({*predictions.class_names, *truth.class_names}))
    _check_forms(union, names)
    return predictions.with_classes(union), truth.with_classes(union)


def normalized(table: Predictions, name: str, *, normalize_ids: NormalizeIds) -> Predictions:
    """The table with its ids in Unicode form NFC, if that is asked for.

    Args:
        table: predictions or truth.
        name: of the table, for the message.
        normalize_ids: "nfc" asks for it.

    Raises:
        DataError: if two ids become one.
    """
    return table if normalize_ids == "none" else replace(table, ids=nfc_ids(table.ids, name))


def _take(predictions: Predictions, truth: Predictions, names: tuple[str, str]) -> Predictions:
    """The rows of the truth, in its order."""
    if predictions.ids.equals(truth.ids):
        return replace(predictions, ids=truth.ids)  # the other copy can be forgotten
    rows = rows_of(truth.ids, predictions.ids)
    is_extra = np.ones(len(predictions), bool)
    is_extra[rows[rows != MISSING]] = False
    extra = predictions.ids.gather(np.flatnonzero(is_extra))
    if (rows == MISSING).any():
        missing = truth.ids.gather(np.flatnonzero(rows == MISSING))
        raise DataError(*_no_prediction(missing, extra, truth, names))
    warnings = predictions.warnings
    if len(extra):
        some = ", ".join(f"'{name}'" for name in extra.head(_NAMED))
        more = ", ..." if len(extra) > _NAMED else ""
        warnings += (
            f"{names[0]}: {len(extra)} of {len(predictions)} ids are not in {names[1]} "
            f"and are not counted: {some}{more}.",
        )
    return replace(predictions.take(rows), ids=truth.ids, warnings=warnings)


def _no_prediction(
    missing: "pl.Series", extra: "pl.Series", truth: Predictions, names: tuple[str, str]
) -> tuple[str, list[str]]:
    """Message and problems where ids of the truth are missing."""
    lines, remedy = not_found(missing, extra)
    if splits := truth.metadata.get("splits", ()):
        remedy += f". --split keeps one of the truth's splits ({', '.join(splits)})"
    return (
        f"{names[0]}: no prediction for {len(missing)} of the {len(truth)} ids in {names[1]}. "
        f"{remedy}:",
        counted(lines, len(missing)),
    )


def _same_order(
    predictions: Predictions, truth: Predictions, names: tuple[str, str]
) -> Predictions:
    """Multi-label truth with its classes in the order of the predictions."""
    theirs, ours = predictions.class_names, truth.class_names
    missing = [name for name in theirs if name not in ours]
    extra = [name for name in ours if name not in theirs]
    lines = [
        f"{names[1]} has no class '{name}'.{hint}"
        for name, hint in zip(missing, near(missing, ours))
    ]
    lines += [
        f"{names[0]} has no class '{name}'.{hint}" for name, hint in zip(extra, near(extra, theirs))
    ]
    if lines:
        raise DataError("The classes differ:", lines)
    if theirs == ours or truth.members is None:
        return truth
    order = [ours.index(name) for name in theirs]
    return replace(truth, class_names=theirs, members=np.asfortranarray(truth.members[:, order]))


def _check_forms(union: Sequence[str], names: tuple[str, str]) -> None:
    seen: dict[str, str] = {}
    for name in union:
        other = seen.setdefault(unicodedata.normalize("NFC", name), name)
        if other != name:
            raise DataError(
                f"{names[0]} and {names[1]}: the classes '{other}' and '{name}' differ only in "
                "Unicode form (NFC or NFD). Write both in one form."
            )
