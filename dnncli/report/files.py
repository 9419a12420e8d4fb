"""The pictures and tables of an evaluation, written into its folder."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.calibration import Calibration
from dnncli.metrics.counts import count
from dnncli.metrics.thresholds import Point
from dnncli.predictions import Predictions
from dnncli.report.confusion import confusion_plot
from dnncli.report.errors import against_rest, missed_and_false_alarms, mistakes
from dnncli.report.mistakes import TILES, Pictures, Tile, write_sheet
from dnncli.report.plots import precision_recall_plot, roc_plot
from dnncli.report.reliability import reliability_plot
from dnncli.report.tables import curve_table, reliability_table, write_table
from dnncli.report.thinning import ClassCurve
from dnncli.results import Progress, no_progress, write_json

if TYPE_CHECKING:
    import polars as pl


def write_results(
    folder: Path,
    *,
    predictions: Predictions,
    truth: Predictions,
    decisions: NDArray,
    curves: Mapping[str, ClassCurve] | None = None,
    calibration: Calibration | None = None,
    positive: str | None = None,
    threshold: float | None = None,
    pictures: Pictures | None = None,
    progress: Progress = no_progress,
) -> list[Path]:
    """Write what an evaluation shows, as pictures and as tables.

    Always mistakes.csv and, unless a row may have several classes, confusion.png. With curves:
    curves.csv, pr.png and roc.png. With a calibration: reliability.csv and reliability.png. With a
    positive class, which a single score column implies: missed.csv and false_alarms.csv. With
    pictures: mistakes.png. files.json says how many rows each table has, and what it leaves out.

    Args:
        folder: must exist.
        predictions: N rows, aligned with the truth.
        truth: N rows over C classes, perhaps with weights; or multi-label.
        decisions: (N,) class indices or UNDECIDED; multi-label: (N, C) bool.
        curves: by class; of all classes, or of one against the rest.
        calibration: of the class with the best score, or of a single score column.
        positive: the class that must not be missed.
        threshold: on the score of the positive class, if decisions were made by one.
        pictures: gives the pictures of rows, by their positions in the predictions.

    Returns:
        The files that were written.
    """
    single = predictions.kind == "score" and not predictions.multi_label
    scored = predictions.class_names[0] if single else positive
    tables: dict[str, tuple[pl.DataFrame, tuple[str, ...]]] = {}
    plots: dict[str, Callable[[Path], None]] = {}
    if curves:
        tables["curves.csv"] = curve_table(curves)
        chosen = None
        if scored is not None and threshold is not None:
            chosen = _point(truth, decisions, scored, threshold)
        options: dict[str, Any] = {"n": len(truth), "positive": scored, "chosen": chosen}
        plots["pr.png"] = partial(precision_recall_plot, curves=curves, **options)
        plots["roc.png"] = partial(roc_plot, curves=curves, **options)
    if calibration is not None:
        exact = truth.weights is None
        tables["reliability.csv"] = reliability_table(calibration, exact=exact), ()
        of = scored if single else None
        plots["reliability.png"] = partial(
            reliability_plot, calibration=calibration, n=len(truth), of=of, exact=exact
        )
    if truth.labels is not None:
        names = truth.class_names
        counts = count(truth.labels, decisions, n_classes=len(names), weights=truth.weights)
        plots["confusion.png"] = partial(confusion_plot, counts=counts, classes=names)
    if (about := positive or scored) is not None:
        missed, alarms = missed_and_false_alarms(
            predictions, truth, decisions, positive=about, threshold=threshold
        )
        tables |= {"missed.csv": (missed, ()), "false_alarms.csv": (alarms, ())}
    wrong = mistakes(predictions, truth, decisions)
    tables["mistakes.csv"] = wrong.drop("row"), ()
    if pictures is not None and len(wrong):
        plots["mistakes.png"] = partial(_sheet, wrong=wrong, pictures=pictures, n=len(truth))
    return _written(folder, tables, plots, progress)


def _point(truth: Predictions, decisions: NDArray, name: str, threshold: float) -> Point:
    """What a threshold did, counted from the decisions that it made."""
    is_positive, is_flagged = against_rest(truth, decisions, truth.class_names.index(name))
    cells = np.bincount(2 * is_positive + is_flagged, truth.weights, minlength=4).tolist()
    return Point(threshold=threshold, tn=cells[0], fp=cells[1], fn=cells[2], tp=cells[3])


def _sheet(path: Path, wrong: "pl.DataFrame", pictures: Pictures, *, n: int) -> None:
    """The contact sheet of the first mistakes of a table."""
    worst = wrong.head(TILES)
    tiles = [
        Tile(picture=picture, captions=_captions(line))
        for picture, line in zip(
            pictures(worst["row"].to_numpy()), worst.iter_rows(named=True), strict=True
        )
    ]
    title = (
        f"The {len(tiles)} worst of {len(wrong):,} mistakes"
        if len(wrong) > len(tiles)
        else (f"All {len(tiles)} mistakes")
    )
    write_sheet(
        path, tiles, title=f"{title} on {n:,} rows: id, truth, → decision, and their scores"
    )


def _captions(line: Mapping[str, Any]) -> tuple[str, ...]:
    sides = []
    for side in ("truth", "decision"):
        score = line[f"score_{side}"]
        sides.append((line[side] or "(undecided)") + ("" if score is None else f": {score:.3g}"))
    return line["id"], sides[0], f"→ {sides[1]}"


def _written(
    folder: Path,
    tables: "Mapping[str, tuple[pl.DataFrame, tuple[str, ...]]]",
    plots: Mapping[str, Callable[[Path], None]],
    progress: Progress,
) -> list[Path]:
    """Write everything, and files.json about the tables."""
    names = [*tables, *plots, "files.json"]
    for name, (table, _) in tables.items():
        progress("Writing results", names.index(name), len(names))
        write_table(folder / name, table)
    for name, plot in plots.items():
        progress("Writing results", names.index(name), len(names))
        plot(folder / name)
    about = {
        name: {"rows": len(table), "columns": table.columns, "notes": notes}
        for name, (table, notes) in tables.items()
    }
    write_json(folder / "files.json", {"schema": "dnncli.files/1", "tables": about})
    progress("Writing results", len(names), len(names))
    return [folder / name for name in names]
