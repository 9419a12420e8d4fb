"""A picture of which models say the same.

Shapes: M models.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.agreement import Agreement
from dnncli.report.canvas import drawn, shown_names

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

WRITTEN = 12  # models up to which every cell says its number
NAMED = 60  # models up to which every row and column has its name

_PAIRS = 12  # most and least alike ones that are listed beside a large matrix
_NAME = 22  # characters of a model's name
_DARK = 0.55  # of the range of colours; from here on letters are white
_SELF = "#d9d9d9"


def similarity_order(similarity: NDArray[np.float64], names: Sequence[str]) -> list[int]:
    """Models in an order in which alike ones stand together.

    Clusters are joined by their mean similarity, the two most alike first; where two meet, their
    most similar ends face each other. The order depends on names and numbers only, not on the
    order in which models are given.

    Args:
        similarity: (M, M), symmetric; NaN counts as 0, the diagonal is not used.
        names: (M,) without repetition.

    Source: average linkage, Sokal and Michener 1958, "A statistical method for evaluating
    systematic relationships", University of Kansas Science Bulletin 38.
    """
    start = sorted(range(len(names)), key=lambda model: names[model])
    close = np.nan_to_num(similarity)[np.ix_(start, start)].astype(np.float64)
    between = close.copy()  # of clusters; row i is the cluster that began as model i
    np.fill_diagonal(between, -np.inf)
    clusters = {model: [model] for model in range(len(start))}
    while len(clusters) > 1:
        first, second = sorted(divmod(int(between.argmax()), len(start)))
        left, right = clusters[first], clusters.pop(second)
        mean = len(left) * between[first] + len(right) * between[second]
        between[first] = between[:, first] = mean / (len(left) + len(right))
        between[second] = between[:, second] = -np.inf
        between[first, first] = -np.inf
        clusters[first] = _joined(left, right, close)
    order = next(iter(clusters.values()), [])
    if order and order[0] > order[-1]:
        order = order[::-1]
    return [start[model] for model in order]


def _joined(left: list[int], right: list[int], close: NDArray[np.float64]) -> list[int]:
    """Two chains as one, turned so that the ends that meet are as alike as they can be."""
    turns = [(a, b) for a in (left, left[::-1]) for b in (right, right[::-1])]
    best = max(range(4), key=lambda turn: (close[turns[turn][0][-1], turns[turn][1][0]], -turn))
    return turns[best][0] + turns[best][1]


def pair_table(agreement: Agreement, models: Sequence[str]) -> "pl.DataFrame":
    """One line for each two models, in the order of the models.

    Columns: first, second, n (rows about which both voted), agreement, cohen_kappa, and with known
    truth double_fault and yule_q.
    """
    import polars as pl

    scores = ["n", "agreement", "cohen_kappa", "double_fault", "yule_q"]
    columns: dict[str, list] = {
        "first": [models[first] for first, _ in agreement.pairs],
        "second": [models[second] for _, second in agreement.pairs],
    }
    for score in scores:
        values = [getattr(pair, score) for pair in agreement.pairs.values()]
        if any(value is not None for value in values):
            columns[score] = values
    return pl.DataFrame(columns, strict=False)


def pairwise_plot(
    path: Path,
    agreement: NDArray[np.float64],
    models: Sequence[str],
    *,
    n: int,
    accuracy: Mapping[str, float] | None = None,
) -> None:
    """Draw how often each two models say the same, alike models side by side.

    Up to 12 models every cell says its number; with more, the most and the least alike pairs are
    listed beside the matrix, and up to 60 models are named at its sides. The colours reach from
    the lowest agreement that occurs to 1. Pairs without a common row are grey.

    Args:
        path: of the PNG.
        agreement: (M, M) share of the common rows in [0, 1] on which both vote the same, or NaN.
        models: (M,) names.
        n: rows.
        accuracy: of each model, written behind its name.
    """
    order = similarity_order(agreement, models)
    matrix = agreement[np.ix_(order, order)].astype(np.float64)
    np.fill_diagonal(matrix, np.nan)
    looks = shown_names(models, limit=_NAME)
    names = [looks[models[model]] for model in order]
    accuracies = [(accuracy or {}).get(models[model], np.nan) for model in order]
    rows = [
        name if np.isnan(value) else f"{name}  {value:.3f}"
        for name, value in zip(names, accuracies, strict=True)
    ]
    is_large = len(names) > WRITTEN
    lowest = min(np.nanmin(matrix), 0.99) if np.isfinite(matrix).any() else 0.0
    with drawn(path, size=_size(len(names), is_large), names=models) as figure:
        axes, *beside = figure.subplots(
            1, 1 + is_large, squeeze=False, width_ratios=[1, 0.6][: 1 + is_large]
        )[0]
        axes.set_facecolor(_SELF)
        axes.grid(visible=False)
        image = axes.imshow(matrix, cmap="Blues", vmin=lowest, vmax=1, interpolation="nearest")
        figure.colorbar(image, ax=axes, label="Share of equal votes", shrink=0.7, pad=0.02)
        title = f"How often two of {len(names)} models say the same\n(n = {n:,}"
        title += "; behind each name its accuracy)" if accuracy else ")"
        figure.suptitle(title, x=0.02, ha="left", fontsize=11)
        _name_sides(axes, rows, names)
        if not is_large:
            _write_cells(axes, matrix, lowest)
        for panel in beside:
            panel.axis("off")
            listed = _extremes(matrix, names)
            panel.text(0, 1, listed, fontsize=8.5, va="top", linespacing=1.5, in_layout=False)


def _size(n_models: int, is_large: bool) -> tuple[float, float]:
    """Inches."""
    if is_large:
        return 15.0, 8.8
    side = max(3.0, 0.62 * n_models)
    return side + 3.4, side + 2.0


def _name_sides(axes: "Axes", rows: Sequence[str], heads: Sequence[str]) -> None:
    if len(heads) > NAMED:
        axes.set(xlabel="Models, alike ones side by side", ylabel="Models", xticks=[], yticks=[])
        return
    size = 9 if len(heads) <= 30 else 6.5
    axes.set_yticks(range(len(heads)), rows, fontsize=size)
    axes.set_xticks(range(len(heads)), heads, fontsize=size)
    for label in axes.get_xticklabels():
        label.set(rotation=45 if len(heads) <= 30 else 90, rotation_mode="anchor", ha="right")
        if len(heads) > 30:
            label.set_verticalalignment("center")


def _write_cells(axes: "Axes", matrix: NDArray[np.float64], lowest: float) -> None:
    digits = 3 if lowest > 0.9 else 2
    for row, column in np.ndindex(*matrix.shape):
        if row == column:
            continue
        value = matrix[row, column]
        text = "n/a" if np.isnan(value) else f"{value:.{digits}f}"
        is_dark = value > lowest + _DARK * (1 - lowest)
        written = axes.text(
            column, row, text, ha="center", va="center", fontsize=8.5,
            color="white" if is_dark else "black",
        )  # fmt: skip
        written.set_in_layout(False)  # it lies inside the axes anyway, and layout is slow


def _extremes(matrix: NDArray[np.float64], names: Sequence[str]) -> str:
    """The most and the least alike pairs, one a line."""
    first, second = np.triu_indices(len(names), 1)
    values = matrix[first, second]
    known = np.flatnonzero(~np.isnan(values))
    rising = known[np.argsort(values[known], kind="stable")]
    lines = []
    for what, pairs in (("most", rising[::-1]), ("least", rising)):
        shown = pairs[:_PAIRS]
        lines.append(f"The {len(shown)} {what} alike of {len(rising):,} pairs")
        lines += [
            f"{values[pair]:.4f}  {names[first[pair]]}, {names[second[pair]]}" for pair in shown
        ]
        lines.append("")
    return "\n".join(lines[:-1])
