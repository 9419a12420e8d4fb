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
_BIG_CELLS = 6  # classes up to which cells and letters are larger
_BLOCKS = 250  # cells a side that are drawn; of more, the darkest of a block stands for it
_NAME = 22  # characters of a class name
_UPRIGHT = 40  # characters of names below a small matrix that need not be turned
_NO_ROWS = "#d9d9d9"
_DARK = 0.55  # shares from here on need white letters


def confusion_plot(path: Path, counts: Counts, classes: Sequence[str]) -> None:
    """Draw the confusion matrix: rows are the truth, columns the decision, colours row shares.

    Up to 16 classes every cell says its count and its share of the row; with more, the largest
    confusions are listed beside the matrix, and up to 60 the classes are named at its sides. Of
    more than 250 classes, the largest share of a block of cells stands for the block. A column for
    undecided rows is there if there are any. Classes without any row are grey.

    Args:
        path: of the PNG.
        counts: of C classes.
        classes: (C,) their names.
    """
    from matplotlib.colors import PowerNorm

    matrix: NDArray = counts.confusion
    names = list(shown_names(classes, limit=_NAME).values())
    heads = names
    if counts.undecided.sum() > 0:
        matrix, heads = np.column_stack([matrix, counts.undecided]), [*names, "(undecided)"]
    total = matrix.sum(axis=1, keepdims=True)
    shares = np.divide(matrix, total, out=np.full(matrix.shape, np.nan), where=total > 0)
    is_large = len(names) > WRITTEN
    with drawn(path, size=_size(len(names)), names=classes) as figure:
        axes, *beside = figure.subplots(
            1, 1 + is_large, squeeze=False, width_ratios=[1, 0.5][: 1 + is_large]
        )[0]
        axes.set_facecolor(_NO_ROWS)
        axes.grid(visible=False)
        image = axes.imshow(
            _pooled(shares),
            cmap="Blues",
            # Shares of a few percent are what matters where there are many classes.
            norm=PowerNorm(0.5 if is_large else 1, vmin=0, vmax=1),
            interpolation="nearest",
            aspect="auto" if is_large else "equal",
            extent=(-0.5, len(heads) - 0.5, len(names) - 0.5, -0.5),
        )
        figure.colorbar(image, ax=axes, label="Share of the row", shrink=0.7, pad=0.02)
        right = "n/a" if np.isnan(counts.accuracy) else f"{counts.accuracy:.4f}"
        unit = "n =" if np.issubdtype(matrix.dtype, np.integer) else "weight"
        about = f"({unit} {_number(total.sum())}, accuracy {right})"
        # Of the figure: beside long names the axes are too narrow for a title.
        title = f"Confusion matrix, {len(names)} classes {about}"
        figure.suptitle(title, x=0.02, ha="left", fontsize=11)
        _name_sides(axes, names, heads)
        if not is_large:
            _write_cells(axes, matrix, shares)
        for panel in beside:
            panel.axis("off")
            worst = _worst(matrix, shares, names=names, heads=heads)
            panel.text(0, 1, worst, fontsize=8.5, va="top", linespacing=1.5, in_layout=False)


def _size(n_classes: int) -> tuple[float, float]:
    """Inches."""
    if n_classes > WRITTEN:
        return 13.0, 8.0
    side = max(3.6, (0.8 if n_classes <= _BIG_CELLS else 0.62) * n_classes)
    return side + 2.6, side + 1.2


def _pooled(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The largest share of every block of cells, in so few blocks that each gets pixels."""
    block = -(-len(shares) // _BLOCKS)
    if block == 1:
        return shares
    pad = [(0, -side % block) for side in shares.shape]
    padded = np.pad(shares, pad, constant_values=np.nan)
    blocks = padded.reshape(padded.shape[0] // block, block, -1, block)
    return np.fmax.reduce(np.fmax.reduce(blocks, axis=3), axis=1)


def _name_sides(axes: "Axes", names: Sequence[str], heads: Sequence[str]) -> None:
    if len(names) > NAMED:
        axes.set(xlabel="Decision (position of the class, from 0)", ylabel="Truth (position)")
        return
    axes.set(xlabel="Decision", ylabel="Truth")
    size = 9 if len(names) <= 30 else 6.5
    axes.set_yticks(range(len(names)), names, fontsize=size)
    axes.set_xticks(range(len(heads)), heads, fontsize=size)
    if len(heads) * max(map(len, heads)) <= _UPRIGHT:
        return
    for label in axes.get_xticklabels():
        label.set(rotation=45, rotation_mode="anchor", ha="right")


def _write_cells(axes: "Axes", matrix: NDArray, shares: NDArray[np.float64]) -> None:
    size = 10 if len(matrix) <= _BIG_CELLS else 7.5
    for row, column in np.ndindex(*matrix.shape):
        share = shares[row, column]
        text = "no rows" if np.isnan(share) else _number(matrix[row, column])
        if share > 0:
            text += f"\n{share:.1%}"
        colour = "white" if share > _DARK else "black"
        written = axes.text(
            column, row, text, ha="center", va="center", fontsize=size, color=colour
        )
        written.set_in_layout(False)  # it lies inside the axes anyway, and layout is slow


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
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"
