"""A picture of whether probabilities can be believed."""

from pathlib import Path

import numpy as np

from dnncli.metrics.calibration import Calibration
from dnncli.report.canvas import COLOURS, FAINT, drawn, shown_names
from dnncli.report.tables import reliability_table


def reliability_plot(
    path: Path, calibration: Calibration, *, n: int, of: str | None = None, exact: bool = True
) -> None:
    """Draw how often rows were right against how sure the scores were of them, bin by bin.

    Bars are exact 95 % intervals of the share; below stands how many rows each bin holds. On the
    diagonal, probabilities are what they say.

    Args:
        path: of the PNG.
        calibration: of the class with the best score, or of one class against the rest.
        n: rows.
        of: the class whose score it is about; None: in each row the class with the best score.
        exact: counts are rows, not sums of weights; else there are no bars.
    """
    table = reliability_table(calibration, exact=exact)
    bins = {name: table[name].to_numpy() for name in table.columns}
    filled = bins["count"] > 0
    with drawn(path, size=(6.4, 6.6), names=[of or ""]) as figure:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
        what = "class with the best score" if of is None else f"'{shown_names([of])[of]}'"
        upper.set_title(
            f"Reliability of the {what} (n = {n:,}, {len(filled)} bins)\n"
            f"ECE {_said(calibration.ece)}, Brier score {_said(calibration.brier)}, "
            f"log loss {_said(calibration.log_loss)}"
        )
        upper.plot(
            [0, 1],
            [0, 1],
            color=FAINT,
            linewidth=1,
            linestyle=(0, (2, 2)),
            label="as sure as right",
        )
        x, y = bins["confidence"][filled], bins["accuracy"][filled]
        upper.plot(x, y, color=COLOURS[0], linewidth=1, alpha=0.5)
        bars = np.stack([y - bins["accuracy_lo"][filled], bins["accuracy_hi"][filled] - y])
        upper.errorbar(
            x, y, np.maximum(bars, 0) if exact else None, fmt="o", color=COLOURS[0], markersize=5,
            capsize=3, linewidth=1.2, label="share in each bin" + ", exact 95 % interval" * exact,
        )  # fmt: skip
        figure.legend(loc="outside lower left", ncols=2)
        upper.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
        upper.set_ylabel("Share that is right" if of is None else "Share that is of the class")
        width = bins["hi"] - bins["lo"]
        lower.bar(
            bins["lo"], bins["count"], width, align="edge", color=COLOURS[5], edgecolor="white"
        )
        lower.set_ylabel("Rows" if exact else "Weight")
        lower.set_xlabel("Probability of the class with the best score" if of is None else "Score")
        if not filled.any():
            upper.text(0.5, 0.5, "There are no rows.", ha="center", va="center", fontsize=12)


def _said(value: float) -> str:
    return "n/a" if np.isnan(value) else f"{value:.4f}"
