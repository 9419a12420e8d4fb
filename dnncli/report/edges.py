"""Draws precision against recall of edge maps, with lines of equal F."""

from pathlib import Path

import numpy as np

from dnncli.metrics.edges import BestF, EdgeCurve
from dnncli.report.canvas import COLOURS, FAINT, drawn

_LEVELS = np.arange(1, 10) / 10  # of F


def edge_plot(path: Path, curve: EdgeCurve, *, best: BestF, ap: float, n: int) -> None:
    """Draw the curve of all thresholds and mark the best F.

    Args:
        path: of the PNG.
        curve: at T thresholds.
        best: the best threshold for all pictures, ODS.
        ap: average precision.
        n: pictures.
    """
    with drawn(path, size=(6.4, 5.8)) as figure:
        axes = figure.add_subplot()
        for level in _LEVELS:
            recall = np.linspace(level / (2 - level), 1, 100)
            precision = level * recall / (2 * recall - level)
            axes.plot(recall, precision, color="#d0d0d0", linewidth=0.8)
            axes.annotate(
                f"{level:.1f}",
                (1, precision[-1]),
                xytext=(2, 0),
                textcoords="offset points",
                color=FAINT,
                fontsize=7.5,
                va="center",
            )
        is_defined = ~(np.isnan(curve.precision) | np.isnan(curve.recall))
        axes.plot(
            curve.recall[is_defined],
            curve.precision[is_defined],
            color=COLOURS[0],
            linewidth=2,
            label=f"edge maps: AP {ap:.3f}",
        )
        if best.f > 0:
            axes.plot(
                best.recall,
                best.precision,
                marker="o",
                markersize=8,
                markerfacecolor="white",
                markeredgecolor=COLOURS[0],
                markeredgewidth=2,
                linestyle="none",
                zorder=5,
                clip_on=False,
                label=f"ODS: F {best.f:.3f} at threshold {best.threshold:.3f}",
            )
        axes.set_title(f"Precision against recall of edges (n = {n:,}); grey: equal F")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), xlabel="Recall", ylabel="Precision")
        if not is_defined.any():
            axes.text(0.5, 0.5, "No curve is defined.", ha="center", va="center", fontsize=12)
        figure.legend(loc="outside lower left", alignment="left")
