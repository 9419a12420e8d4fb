"""Pictures of how well scores separate the classes: precision against recall, and ROC.

Shapes: T thresholds, G grid points.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.curves import Curve
from dnncli.metrics.thresholds import Point
from dnncli.report.canvas import COLOURS, DASHES, FAINT, INK, drawn, shown_names
from dnncli.report.thinning import ClassCurve, thinned

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FEW = 10  # classes; with more, only the worst are drawn one by one
WORST = 5

_POINTS = 2_000  # of a drawn curve; a picture has fewer pixels
_NAMED = 3  # classes without a curve that are named
_GRID = 201  # points of a mean curve


@dataclass(frozen=True, kw_only=True)
class _Choice:
    """Which curves a picture shows."""

    single: tuple[str, ...]  # classes with a line of their own
    defined: tuple[str, ...]  # classes that have a curve at all
    notes: tuple[str, ...]  # what is not drawn


def precision_recall_plot(
    path: Path,
    curves: Mapping[str, ClassCurve],
    *,
    n: int,
    positive: str | None = None,
    chosen: Point | None = None,
) -> None:
    """Draw precision against recall as the steps whose area is the average precision.

    Of two classes with a positive one, only that is drawn; of more than ten classes the positive
    and the five with the lowest average precision, and the mean of all. The base rate is what
    flagging every row would give.

    Args:
        path: of the PNG.
        curves: by class; those without a positive or without a negative row are left out, and the
            picture says so.
        n: rows.
        positive: the class that matters most.
        chosen: a threshold of the positive class, marked with its numbers.
    """
    values = {name: curve.average_precision for name, curve in curves.items()}
    choice = _choose(values, positive)
    with drawn(path, size=_size(choice), names=curves) as figure:
        axes = figure.add_subplot()
        names = shown_names(curves)
        for index, name in enumerate(choice.single):
            curve = thinned(curves[name].points, limit=_POINTS)
            line = _line(index, name == positive)
            base = curve.positives / max(curve.positives + curve.negatives, 1e-300)
            label = f"{names[name]}: average precision {values[name]:.3f}, base rate {base:.3g}"
            axes.step(
                np.append(0, curve.recall),
                np.append(curve.precision[0], curve.precision),
                where="pre",
                label=label,
                **line,
            )
            if len(choice.single) == 1 or name == positive:
                axes.axhline(base, color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
                axes.annotate(
                    f"base rate of {names[name]}",
                    (0.01, base),
                    color=FAINT,
                    fontsize=8,
                    ha="left",
                    va="bottom",
                )
            if chosen is not None and name == positive:
                _mark(axes, chosen.recall, chosen.precision, chosen, line)
        if len(choice.defined) > len(choice.single):
            _mean(axes, [_at_recall(curves[name].points) for name in choice.defined])
        _finish(figure, axes, choice, "Precision against recall", names, n=n)
        axes.set(xlabel="Recall", ylabel="Precision")


def roc_plot(
    path: Path,
    curves: Mapping[str, ClassCurve],
    *,
    n: int,
    positive: str | None = None,
    chosen: Point | None = None,
) -> None:
    """Draw the true positive rate against the false positive rate.

    Which classes are drawn is decided as in `precision_recall_plot`, by the area under the curve.
    The diagonal is what scores without any information would give. Arguments as there.
    """
    values = {name: curve.roc_auc for name, curve in curves.items()}
    choice = _choose(values, positive)
    with drawn(path, size=_size(choice), names=curves) as figure:
        axes = figure.add_subplot()
        names = shown_names(curves)
        axes.plot([0, 1], [0, 1], color=FAINT, linewidth=1, linestyle=(0, (2, 2)))
        for index, name in enumerate(choice.single):
            curve = thinned(curves[name].points, limit=_POINTS)
            line = _line(index, name == positive)
            label = f"{names[name]}: area under the curve {values[name]:.3f}"
            axes.plot(
                np.append(0, curve.fp / curve.negatives),
                np.append(0, curve.recall),
                label=label,
                **line,
            )
            if chosen is not None and name == positive:
                _mark(axes, chosen.fp / curve.negatives, chosen.recall, chosen, line)
        if len(choice.defined) > len(choice.single):
            _mean(axes, [_at_false_positives(curves[name].points) for name in choice.defined])
        _finish(figure, axes, choice, "ROC", names, n=n)
        axes.set(xlabel="False positive rate", ylabel="True positive rate (recall)")


def _choose(values: Mapping[str, float], positive: str | None) -> _Choice:
    """Which classes get a line, by their areas; NaN: there is no curve."""
    names = shown_names(values)
    defined = [name for name, value in values.items() if not np.isnan(value)]
    notes = []
    if missing := [names[name] for name, value in values.items() if np.isnan(value)]:
        some = ", ".join(missing[:_NAMED]) + (", ..." if len(missing) > _NAMED else "")
        notes.append(
            f"Undefined, not drawn: {len(missing)} of {len(values)} classes, which have no "
            f"positive or no negative row: {some}"
        )
    first = [name for name in defined if name == positive]
    others = [name for name in defined if name != positive]
    if len(values) == 2 and first:
        if others:
            notes.append(f"Not drawn: '{names[others[0]]}', the other of two classes")
        return _Choice(single=tuple(first), defined=tuple(first), notes=tuple(notes))
    if len(others) > FEW:
        others = sorted(others, key=lambda name: values[name])[:WORST]
        rest = len(defined) - len(first) - WORST
        notes.append(f"The {WORST} worst of {len(defined)} classes; {rest} only in the mean")
    return _Choice(single=(*first, *others), defined=tuple(defined), notes=tuple(notes))


def _size(choice: _Choice) -> tuple[float, float]:
    """Inches: the square for the axes, and a line for each entry of the legend."""
    return 6.4, 5.6 + 0.19 * (len(choice.single) + len(choice.notes))


def _line(index: int, is_positive: bool) -> dict[str, Any]:
    return {
        "color": COLOURS[index % len(COLOURS)],
        "linestyle": DASHES[index % len(DASHES)],
        "linewidth": 2.2 if is_positive else 1.5,
    }


def _mark(axes: "Axes", x: float, y: float, chosen: Point, line: Mapping[str, Any]) -> None:
    """A point on the curve, with the numbers of its threshold in the legend."""
    precision = "n/a" if np.isnan(chosen.precision) else f"{chosen.precision:.3f}"
    axes.plot(
        x,
        y,
        marker="o",
        markersize=8,
        markerfacecolor="white",
        markeredgecolor=line["color"],
        markeredgewidth=2,
        linestyle="none",
        zorder=5,
        clip_on=False,
        label=f"threshold {chosen.threshold:.6g}: precision {precision}, "
        f"recall {chosen.recall:.3f}",
    )


def _mean(axes: "Axes", heights: list[NDArray[np.float64]]) -> None:
    """The mean of all curves at equal recall (or false positive rate), and where 80 % lie."""
    grid, table = np.linspace(0, 1, _GRID), np.stack(heights)
    low, high = np.quantile(table, [0.1, 0.9], axis=0)
    axes.fill_between(
        grid, low, high, color="#d9d9d9", linewidth=0, label="10 to 90 % of the classes"
    )
    mean = table.mean(axis=0)
    axes.plot(grid, mean, color=INK, linewidth=2.2, label=f"mean of {len(table)} classes")


def _at_recall(curve: Curve) -> NDArray[np.float64]:
    """(G,) precision at the first threshold that reaches each recall."""
    first = np.searchsorted(curve.recall, np.linspace(0, 1, _GRID))
    return curve.precision[np.minimum(first, len(curve.tp) - 1)]


def _at_false_positives(curve: Curve) -> NDArray[np.float64]:
    """(G,) true positive rate at each false positive rate, on the straight lines of the curve."""
    return np.interp(
        np.linspace(0, 1, _GRID),
        np.append(0, curve.fp / curve.negatives),
        np.append(0, curve.recall),
    )


def _finish(
    figure: "Figure", axes: "Axes", choice: _Choice, what: str, names: Mapping[str, str], *, n: int
) -> None:
    about = f"{len(names)} classes, each against the rest"
    if len(choice.single) == 1 and len(names) <= 2:
        about = f"'{names[choice.single[0]]}' against the rest"
    axes.set_title(f"{what}: {about} (n = {n:,})")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    if not choice.single:
        axes.text(0.5, 0.5, "No curve is defined.", ha="center", va="center", fontsize=12)
    handles, labels = axes.get_legend_handles_labels()
    note = "\n".join(choice.notes)
    if handles:
        figure.legend(
            handles, labels, loc="outside lower left", title=note or None, alignment="left"
        )
    elif note:
        axes.text(0.5, 0.4, note, ha="center", va="top", fontsize=8.5)
