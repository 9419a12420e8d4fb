"""A picture of which classes were taken for which.

Shapes: C classes.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.counts import Counts
from dnncli.report.canvas import drawn, shown_names

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WRITTEN = 16  # classes up to which every cell says its count and share
NAMED = 60  # classes up to which every row and column has its name

_WORST = 18  # confusions listed beside a large matrix
_NAME = 22  # characters of a class name
_NO_ROWS = "#d9d9d9"
_DARK = 0.55  # shares from here on need white letters


def confusion_plot(path: Path, counts: Counts, classes: Sequence[str]) -> None:
    """Draw the confusion matrix: rows are the truth, columns the decision, colours row shares.

    Up to 16 classes every cell says its count and its share of the row; with more, the largest
    confusions are listed beside the matrix, and up to 60 the classes are named at its sides. A
    column for undecided rows is there if there are any. Classes without any row are grey.

    Args:
        path: of the PNG.
        counts: of C classes.
        classes: (C,) their names.
    """
    matrix: NDArray = counts.confusion
    names = list(shown_names(classes, limit=_NAME).values())
    heads = names
    if counts.undecided.sum() > 0:
        matrix, heads = np.column_stack([matrix, counts.undecided]), [*names, "(undecided)"]
    total = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, total, out=np.full(matrix.shape, np.nan), where=total > 0)
    is_large = len(names) > WRITTEN
    with drawn(path, size=_size(len(names)), names=classes) as figure:
        axes = figure.add_subplot()
        axes.set_facecolor(_NO_ROWS)
        axes.grid(visible=False)
        image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        figure.colorbar(image, ax=axes, label="Share of the row", shrink=0.8, pad=0.02)
        right = "n/a" if np.isnan(counts.accuracy) else f"{counts.accuracy:.4f}"
        figure.suptitle(
            f"Confusion matrix, {len(names)} classes "
            f"(n = {_number(total.sum())}, accuracy {right})",
            fontsize=11,
        )
        _name_sides(axes, names, heads)
        if is_large:
            worst = _worst(matrix, shares, names=names, heads=heads)
            axes.text(1.32, 1, worst, fontsize=8.5, transform=axes.transAxes, va="top")
        else:
            _write_cells(axes, matrix, shares)


def _size(n_classes: int) -> tuple[float, float]:
    """Inches."""
    side = min(max(3.6, 0.62 * n_classes), 10.0) if n_classes <= WRITTEN else 9.0
    return (side + 2.6, side + 1.2) if n_classes <= WRITTEN else (side + 5.2, side)


def _name_sides(axes: "Axes", names: Sequence[str], heads: Sequence[str]) -> None:
    if len(names) > NAMED:
        axes.set(xlabel="Decision (position of the class, from 0)", ylabel="Truth (position)")
        return
    axes.set(xlabel="Decision", ylabel="Truth")
    size = 9 if len(names) <= 30 else 6.5
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xticks(range(len(heads)), heads, fontsize=size)
    for label in axes.get_xticklabels():
        label.set(rotation=45, rotation_mode="anchor", ha="right")


def _write_cells(axes: "Axes", matrix: NDArray, shares: NDArray[np.float64]) -> None:
    size = 10 if len(matrix) <= 6 else 7.5
    for row, column in np.ndindex(*matrix.shape):
        share = shares[row, column]
        text = "no rows" if np.isnan(share) else _number(matrix[row, column])
        if share > 0:
            text += f"\n{share:.1%}"
        colour = "white" if share > _DARK else "black"
        axes.text(column, row, text, ha="center", va="center", fontsize=size, color=colour)


def _worst(
    matrix: NDArray, shares: NDArray[np.float64], *, names: Sequence[str], heads: Sequence[str]
) -> str:
    """The largest confusions, one a line."""
    wrong = matrix.copy()
    np.fill_diagonal(wrong, 0)
    cells = np.argsort(-wrong, axis=None, kind="stable")[:_WORST]
    rows, columns = np.unravel_index(cells[wrong.ravel()[cells] > 0], wrong.shape)
    lines = [
        f"{names[row]} → {heads[column]}: {_number(wrong[row, column])} ({shares[row, column]:.1%})"
        for row, column in zip(rows.tolist(), columns.tolist())
    ]
    count = int((wrong > 0).sum())
    head = f"The {len(lines)} largest of {count:,} confusions" if count else "No confusion"
    return "\n".join([head + (" (truth → decision)" if count else "."), *lines])


def _number(value: Any) -> str:
    """A count, or a sum of weights."""
    return f"{value:,}" if isinstance(value, int | np.integer) else f"{value:,.4g}"
