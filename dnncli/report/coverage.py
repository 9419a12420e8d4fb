"""Pictures of what asking for more agreement, or for more votes, costs and brings.

Shapes: L levels of agreement.
"""

import dataclasses
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.report.canvas import COLOURS, DASHES, FAINT, INK, drawn, shown_names
from dnncli.voting.coverage import CoverageLevel, KLevel

if TYPE_CHECKING:
    import polars as pl
    from matplotlib.axes import Axes

_MARKED = 40  # levels up to which each has a mark
_APART = 0.09  # of the width or height of the axes, between two names
_CLOSE = 1e-9  # levels are fractions of small whole numbers, so doubles differ by far less
_LEAST_RANGE = 0.02  # of an axis: smaller differences are not blown up

# Recall, by what becomes of a positive that is left to people.
_COUNTED = {
    "recall_caught": "are found by them",
    "recall_excluding": "are not counted",
    "recall_missed": "are missed",
}
_MARKS = ("^", "o", "v", "s", "D", "P", "o")
_OF_ALL = 6  # the look of a curve that is not about the positive class
_COVERAGE = "Coverage: share of the rows that are decided"


def coverage_frame(levels: Sequence[CoverageLevel]) -> "pl.DataFrame":
    """One line per level, in the words of `CoverageLevel`."""
    return _frame(levels, CoverageLevel)


def k_frame(levels: Sequence[KLevel]) -> "pl.DataFrame":
    """One line per k, in the words of `KLevel`."""
    return _frame(levels, KLevel)


def coverage_plot(
    path: Path,
    levels: Sequence[CoverageLevel],
    *,
    n: int,
    agree: float | Fraction | None = None,
    positive: str | None = None,
) -> None:
    """Draw what each level of agreement decides, and how well.

    Accuracy on the decided rows against coverage; with a positive class also its recall, counted
    in three ways; without truth, coverage against the level. The chosen level is marked. The axes
    begin where the values do.

    Args:
        path: of the PNG.
        levels: rising.
        n: rows.
        agree: the level that was asked for; None: the lowest one.
        positive: the class that must not be missed.
    """
    has_truth = any(level.accuracy_decided is not None for level in levels)
    has_recall = any(level.recall_missed is not None for level in levels)
    asked = float(agree or 0)
    chosen = next(
        (place for place, level in enumerate(levels) if level.agree >= asked - _CLOSE), None
    )
    coverage = _column(levels, "coverage")
    with drawn(path, size=(11.6 if has_recall else 6.4, 5.8), names=[positive or ""]) as figure:
        first, *second = figure.subplots(1, 1 + has_recall, squeeze=False)[0]
        if has_truth:
            x, y = coverage, _column(levels, "accuracy_decided")
            first.set_title(f"Accuracy on the decided rows (n = {n:,})")
            first.set(xlabel=_COVERAGE, ylabel="Accuracy on the decided rows")
        else:
            x, y = _column(levels, "agree"), coverage
            first.set_title(f"Decided rows by agreement asked for (n = {n:,})")
            first.set(xlabel="Agreement asked for", ylabel=_COVERAGE)
        _draw(first, x, y, index=_OF_ALL)
        _limit(first, x, y)
        if has_truth:
            _name_levels(first, levels, x, y, chosen=chosen)
        if chosen is not None:
            _ring(first, x[chosen], y[chosen])
        for axes in second:
            name = positive or "the positive class"
            axes.set_title(f"Recall of '{shown_names([name], limit=22)[name]}'")
            axes.set(xlabel=_COVERAGE, ylabel="Recall")
            recalls = {words: _column(levels, key) for key, words in _COUNTED.items()}
            for index, (words, recall) in enumerate(recalls.items()):
                _draw(axes, coverage, recall, index=index, label=words)
            _limit(axes, coverage, np.concatenate([*recalls.values()]))
            if chosen is not None:
                _line(axes, coverage[chosen])
            handles, labels = axes.get_legend_handles_labels()
            figure.legend(
                handles, labels, loc="outside lower right", alignment="left",
                title="Positive rows that are left to people",
            )  # fmt: skip
        figure.legend([], [], loc="outside lower left", title=_said(levels, chosen, asked))


def k_plot(path: Path, levels: Sequence[KLevel], *, n: int, positive: str, k: int | None) -> None:
    """Draw recall and precision of the positive class, and what it flags, if k votes are enough.

    Without truth, there are no recall and no precision.

    Args:
        path: of the PNG.
        levels: of k = 1 to M.
        n: rows.
        positive: name of the class.
        k: the number of votes that was asked for; it is marked.
    """
    with drawn(path, size=(6.4, 5.4), names=[positive]) as figure:
        axes = figure.add_subplot()
        name = shown_names([positive], limit=22)[positive]
        axes.set_title(f"'{name}' if k of {len(levels)} votes are enough (n = {n:,})")
        ks = _column(levels, "k")
        for index, key in enumerate(("recall", "precision", "flagged")):
            words = {"flagged": "share of all rows that is flagged"}.get(key, key)
            values = _column(levels, key)
            if np.isnan(values).all():
                continue
            _draw(axes, ks, values, index=index, label=words)
        if k is not None:
            _line(axes, k)
        axes.set_xticks(range(1, len(levels) + 1, -(-len(levels) // 15)))
        axes.set(xlabel="k: votes that are enough", ylabel="Share", ylim=(-0.02, 1.02))
        figure.legend(loc="outside lower left", ncols=3)


def _frame(levels: Sequence[Any], kind: type) -> "pl.DataFrame":
    import polars as pl

    names = [field.name for field in dataclasses.fields(kind)]
    # The types follow from all values: those of the first rows may all be undefined.
    return pl.DataFrame(
        [dataclasses.asdict(level) for level in levels], schema=names, infer_schema_length=None
    )


def _column(levels: Sequence[Any], key: str) -> NDArray[np.float64]:
    """(L,) one value of all levels; NaN where it is undefined or unknown."""
    values = [getattr(level, key) for level in levels]
    return np.array([np.nan if value is None else value for value in values], np.float64)


def _draw(
    axes: "Axes",
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    index: int,
    label: str | None = None,
) -> None:
    axes.plot(
        x, y, color=COLOURS[index], linestyle=DASHES[index % 3], linewidth=1.5,
        marker=_MARKS[index] if len(x) <= _MARKED else None, markersize=5,
        label=label, clip_on=False,
    )  # fmt: skip


def _ring(axes: "Axes", x: float, y: float) -> None:
    axes.plot(
        x, y, marker="o", markersize=11, markerfacecolor="none", markeredgecolor=INK,
        markeredgewidth=1.6, linestyle="none", zorder=5, clip_on=False,
    )  # fmt: skip


def _line(axes: "Axes", x: float) -> None:
    """Where the chosen point lies."""
    axes.axvline(x, color=FAINT, linewidth=1.2, linestyle=(0, (4, 2)), zorder=1)


def _limit(axes: "Axes", x: NDArray[np.float64], y: NDArray[np.float64]) -> None:
    """Let the axes hold all values and little more; small differences are not blown up."""
    for values, limit in ((x, axes.set_xlim), (y, axes.set_ylim)):
        known = values[np.isfinite(values)]
        if len(known):
            middle = (known.min() + known.max()) / 2
            half = 0.56 * max(float(np.ptp(known)), _LEAST_RANGE)
            limit(middle - half, min(middle + half, 1 + 0.1 * half))  # shares end at 1


def _name_levels(
    axes: "Axes",
    levels: Sequence[CoverageLevel],
    x: NDArray[np.float64],
    y: NDArray[np.float64],
    *,
    chosen: int | None,
) -> None:
    """Write levels beside their points, the chosen one first, as many as there is room for."""
    size = np.array([np.ptp(axes.get_xlim()), np.ptp(axes.get_ylim())])
    named: list[NDArray[np.float64]] = []
    for which in sorted(range(len(levels)), key=lambda which: which != chosen):
        level, place = levels[which], (float(x[which]), float(y[which]))
        here = np.array(place) / size
        if np.isnan(here).any() or any(np.abs(here - other).max() < _APART for other in named):
            continue
        named.append(here)
        is_left = place[0] < np.mean(axes.get_xlim())
        axes.annotate(
            f"≥ {level.agree:.3g}" if level.needed is None else level.needed, place,
            xytext=(7 if is_left else -7, 3 if is_left else -3), textcoords="offset points",
            ha="left" if is_left else "right", va="bottom" if is_left else "top", fontsize=8,
        )  # fmt: skip


def _said(levels: Sequence[CoverageLevel], chosen: int | None, asked: float) -> str:
    """The chosen level in numbers, which the rings in the picture belong to."""
    if not levels:
        return "No row has a leading class."
    if chosen is None:
        return f"At the agreement asked for, {asked:.4g}, no row is decided."
    level = levels[chosen]
    needed = f"agreement ≥ {asked:.4g}" if asked else "no agreement asked for"
    if level.needed is not None:
        needed += f" ({level.needed} models)"
    if level.recall_missed is not None:
        needed = f"and dashed line: {needed}"
    lines = [
        f"○ {needed}: coverage {level.coverage:.4f}, {level.review_rows:,} rows left to people"
    ]
    scores = {"accuracy on decided": level.accuracy_decided}
    scores |= {
        f"recall if they {key}": value
        for key, value in (
            ("are found", level.recall_caught),
            ("are not counted", level.recall_excluding),
            ("are missed", level.recall_missed),
        )
    }
    lines += [
        f"    {words}: {'n/a' if np.isnan(value) else f'{value:.4f}'}"
        for words, value in scores.items()
        if value is not None
    ]
    return "\n".join(lines)
