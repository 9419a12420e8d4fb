"""The folder of an evaluation: where it goes, and what is written into it."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import NDArray

from dnncli.data.csvfile import as_text
from dnncli.data.predictions import write_predictions
from dnncli.errors import ConfigError
from dnncli.metrics.calibration import Calibration
from dnncli.metrics.report import Confusion
from dnncli.predictions import Predictions
from dnncli.results import Progress, no_progress, write_json, write_text, written_folder
from dnncli.rundir import RunDir, is_run
from dnncli.services.evaluation.result import EvalReport
from dnncli.services.evaluation.slices import SliceReport
from dnncli.services.out_folder import check_replaceable, results_in

if TYPE_CHECKING:
    from dnncli.report.mistakes import Pictures
    from dnncli.report.thinning import ClassCurve


METRICS = "metrics.json"
SCHEMA = "dnncli.eval/1"  # of every evaluation: of rows and of masks


def check_out(folder: Path) -> None:
    """Refuse to replace anything but an empty folder or an earlier evaluation.

    Raises:
        ConfigError: if something else is there.
    """
    check_replaceable(folder, file=METRICS, schema=SCHEMA, what="evaluation")


def folder_in_run(
    target: Path, data: str | Path | None, *, name: str | None, split: str | None, data_id: str
) -> Path | None:
    """RUN/eval/<name>; None for a model that does not lie in a run folder.

    An earlier evaluation of the same model and data is replaced. One of others is not: a name that
    was given is refused, and a name of our own gets a number.

    Args:
        target: a run folder or a model file.
        data: the data set; None: the run's own.
        name: that the user gave.
        split: the rows are of.
        data_id: fingerprint of the data set.

    Raises:
        ConfigError: if `name` is taken by an evaluation of another model or other data.
    """
    run = target if is_run(target) else target.parent
    if not is_run(run):
        return None
    stem = Path(data).resolve().stem if data is not None else ""
    model = "" if is_run(target) or target.stem == "best" else target.stem
    base = name or "-".join(filter(None, (model, stem, split)))
    same = {"data": data_id, "split": split, "model_file": model_file(target)}
    number = 1
    while True:
        folder = RunDir(run).evaluation(base if number == 1 else f"{base}-{number}")
        if not folder.exists() or _is_of(folder, same):
            return folder
        if name is not None:
            raise ConfigError(
                f"--name {name}: {folder} holds an evaluation of other data, another split or "
                "another model file. Give another name, or remove it."
            )
        number += 1


def model_file(target: Path) -> str:
    """Name of the model file inside its run folder."""
    return "best.keras" if is_run(target) else target.name


def _is_of(folder: Path, same: Mapping[str, str | None]) -> bool:
    """Whether an evaluation is of this data, split and model file."""
    written = results_in(folder / METRICS)
    return bool(written) and all(written.get(key) == value for key, value in same.items())


def write_folder(
    folder: Path,
    report: EvalReport,
    predictions: Predictions,
    truth: Predictions,
    *,
    decisions: NDArray,
    curves: "Mapping[str, ClassCurve]",
    calibration: Calibration | None,
    pictures: "Pictures | None",
    progress: Progress = no_progress,
) -> None:
    """Write the folder of an evaluation; an earlier one is replaced as a whole.

    Raises:
        ConfigError: if something else is there.
    """
    from dnncli.report.files import write_results

    check_out(folder)
    with written_folder(folder) as neighbour:
        write_json(neighbour / METRICS, report)
        write_predictions(predictions, neighbour / "predictions.parquet")
        write_predictions(truth, neighbour / "truth.csv")
        if report.confusion is not None:
            write_confusion(neighbour, report.confusion)
        if report.slices is not None:
            _write_slices(neighbour, report.slices)
        write_results(
            neighbour,
            predictions=predictions,
            truth=truth,
            decisions=decisions,
            curves=curves,
            calibration=calibration,
            positive=report.positive,
            threshold=report.threshold,
            pictures=pictures,
            progress=progress,
        )


def write_confusion(folder: Path, confusion: Confusion) -> None:
    """Write confusion.csv: rows = truth, columns = decision."""
    rows: list[list[Any]] = [["truth", *confusion.classes, "undecided"]]
    for name, counts, undecided in zip(confusion.classes, confusion.counts, confusion.undecided):
        rows.append([name, *counts, undecided])
    write_csv(folder / "confusion.csv", rows)


def _write_slices(folder: Path, slices: Mapping[str, Mapping[str, SliceReport]]) -> None:
    """Write slices.csv: one line per group; undefined values are empty cells."""
    columns = ["slice", "value", "n", "positives", "few", "accuracy", "precision", "recall"]
    names = list(next(iter(next(iter(slices.values())).values())).f)
    rows: list[list[Any]] = [
        [*columns, *(f"f{beta}" for beta in names), "recall_low", "recall_high"]
    ]
    for name, groups in slices.items():
        for value, group in groups.items():
            low, high = _recall_interval(group)
            scores = [group.accuracy, group.precision, group.recall, *group.f.values(), low, high]
            few = str(group.few).lower()
            rows.append([name, value, group.n, group.positives, few, *scores])
    write_csv(folder / "slices.csv", rows)


def _recall_interval(group: SliceReport) -> tuple[Any, Any]:
    interval = None if group.intervals is None else group.intervals.recall
    return (None, None) if interval is None else (interval[0], interval[1])


def write_csv(path: Path, rows: Iterable[Sequence[Any]]) -> None:
    """Write rows as CSV for people; undefined values (None, NaN) are empty cells."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    for row in rows:
        writer.writerow(["" if cell is None or cell != cell else as_text(cell) for cell in row])
    write_text(path, text.getvalue())
