"""Curves and reliability bins as tables, and tables as CSV files."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.data.csvfile import frame_as_text
from dnncli.metrics.calibration import Calibration
from dnncli.metrics.curves import Curve
from dnncli.metrics.intervals import proportion_interval
from dnncli.report.thinning import ClassCurve
from dnncli.results import written

if TYPE_CHECKING:
    import polars as pl


def write_table(path: Path, table: "pl.DataFrame") -> None:
    """Write UTF-8 CSV for people; undefined numbers are empty, float32 ones equal doubles."""
    import polars as pl
    from polars import selectors

    with written(path) as neighbour:
        frame_as_text(table).with_columns(
            pl.col(pl.Float32).cast(pl.Float64),
        ).with_columns(selectors.float().fill_nan(None)).write_csv(neighbour)


def curve_table(curves: Mapping[str, ClassCurve]) -> tuple["pl.DataFrame", tuple[str, ...]]:
    """The points of all curves, and a note if they are not all there.

    `kind` "pr" holds every threshold; "roc" also the start, threshold infinity, where no row is
    flagged. `fpr` is the false positive rate. Classes without any row are left out.

    Returns:
        A table class, kind, threshold, tp, fp, precision, recall, fpr; thresholds fall.
    """
    import polars as pl

    names: list[str] = []
    kinds: list[str] = []
    parts: list[dict[str, NDArray]] = []
    cut = []
    for name, curve in curves.items():
        if len(curve.points.tp) < curve.n_points:
            cut.append(f"'{name}' keeps {len(curve.points.tp):,} of {curve.n_points:,}")
        for kind in ("pr", "roc"):
            parts.append(_points(kind, curve.points))
            rows = len(parts[-1]["tp"])
            names += [name] * rows
            kinds += [kind] * rows
    columns = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
    notes: tuple[str, ...] = ()
    if cut:
        some = ", ".join(cut[:3]) + (", ..." if len(cut) > 3 else "")
        notes = (
            f"Points of {len(cut)} curves were left out ({some}). Those kept are exact; the areas "
            "in metrics.json are of all points.",
        )
    return pl.DataFrame({"class": names, "kind": kinds} | columns), notes


def reliability_table(calibration: Calibration, *, exact: bool = True) -> "pl.DataFrame":
    """One line per bin: lo, hi, count, confidence, accuracy, accuracy_lo, accuracy_hi.

    Args:
        exact: counts are rows, not sums of weights: only then the interval (Clopper-Pearson, 95 %)
            means anything.
    """
    import polars as pl

    bins = calibration.bins
    low = high = np.full(len(bins.count), np.nan)
    if exact:
        low, high = proportion_interval(
            np.rint(np.nan_to_num(bins.accuracy * bins.count)), bins.count
        )
    return pl.DataFrame(
        {
            "lo": bins.lo,
            "hi": bins.hi,
            "count": bins.count,
            "confidence": bins.confidence,
            "accuracy": bins.accuracy,
            "accuracy_lo": low,
            "accuracy_hi": high,
        }
    )


def _points(kind: str, curve: Curve) -> dict[str, NDArray]:
    """The columns of one curve; "roc" has one line more, at the start."""
    thresholds = curve.thresholds.astype(np.float64)
    tp: NDArray = curve.tp
    fp: NDArray = curve.fp
    if kind == "roc":
        thresholds = np.append(np.inf, thresholds)
        tp, fp = np.append(tp.dtype.type(0), tp), np.append(fp.dtype.type(0), fp)
    with np.errstate(divide="ignore", invalid="ignore"):  # 0/0 is undefined: an empty cell
        return {
            "threshold": thresholds,
            "tp": tp,
            "fp": fp,
            "precision": tp / (tp + fp),
            "recall": tp / np.float64(curve.positives),
            "fpr": fp / np.float64(curve.negatives),
        }
