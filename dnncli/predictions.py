"""What a model said about each row: ids with labels, or ids with one score per class."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Predictions:
    """Predictions (or a truth table) of N rows over C classes.

    Multi-label predictions are of kind "score" with one column per class, each by itself in
    [0, 1]. Multi-label truth is of kind "label" with `members` in place of `labels`.

    Matrices that were read from a file lie in memory column by column (Fortran order): a class is
    one contiguous array, and to work by column is faster than by row.
    """

    ids: "pl.Series"  # (N,) unique text; compare whole columns with .equals, never with ==
    class_names: tuple[str, ...]  # (C,) the order of the columns of probs and of label indices
    kind: Literal["label", "probability", "score"]
    labels: NDArray[np.int32] | None = None  # (N,) index into class_names; kind "label"
    probs: NDArray[np.floating] | None = None  # (N, C), or (N, 1) for the score of one class
    multi_label: bool = False  # every class is a question of its own
    members: NDArray[np.bool_] | None = None  # (N, C) which classes a row of the truth has
    weights: NDArray[np.float64] | None = None  # (N,) sample weights of a truth table
    columns: Mapping[str, "pl.Series"] = field(default_factory=dict)  # (N,) others of a truth file
    metadata: dict[str, Any] = field(
        default_factory=dict
    )  # task, split, model and data fingerprints
    warnings: tuple[str, ...] = ()  # what had to be put right while reading

    def __len__(self) -> int:
        return len(self.ids)

    def with_classes(self, names: tuple[str, ...]) -> "Predictions":
        """The same labels as indices into `names`, which hold all of their classes."""
        if self.labels is None or names == self.class_names:
            return self
        labels = recoded(self.labels, self.class_names, names).astype(np.int32, copy=False)
        return replace(self, class_names=names, labels=labels)

    def take(self, rows: NDArray[np.integer]) -> "Predictions":
        """The same table with only `rows`, in the given order."""
        # A polars column in many chunks, as Parquet gives it, is many times slower to pick from.
        return replace(
            self,
            ids=self.ids.rechunk().gather(rows),
            labels=None if self.labels is None else self.labels[rows],
            probs=None if self.probs is None else take_rows(self.probs, rows),
            members=None if self.members is None else take_rows(self.members, rows),
            weights=None if self.weights is None else self.weights[rows],
            columns={name: column.rechunk().gather(rows) for name, column in self.columns.items()},
        )


def recoded(
    labels: NDArray[np.integer], names: Sequence[str], wanted: Sequence[str]
) -> NDArray[np.integer]:
    """(N,) labels as indices into other class names, as short as before if these fit.

    Args:
        labels: (N,) indices into `names`, or -1: no label.
        names: classes of the labels.
        wanted: class names that hold all of these.
    """
    if tuple(names) == tuple(wanted):
        return labels
    places = {name: place for place, name in enumerate(wanted)}
    kind = labels.dtype if len(wanted) <= np.iinfo(labels.dtype).max else np.dtype(np.int64)
    codes = np.array([*(places[name] for name in names), -1], kind)
    return codes[labels]


def take_rows(matrix: NDArray, rows: NDArray[np.integer]) -> NDArray:
    """`matrix[rows]` in Fortran order, a column at a time: each is one stretch of memory."""
    taken = np.empty((len(rows), matrix.shape[1]), matrix.dtype, order="F")
    for column in range(matrix.shape[1]):
        taken[:, column] = matrix[:, column][rows]
    return taken
