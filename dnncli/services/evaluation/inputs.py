"""What `evaluate` scores: predictions and truth of the same rows, from files or from a run."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import align
from dnncli.data.pairs import declared_classes, read_scored, read_truth_of
from dnncli.data.predictions import read_predictions
from dnncli.data.scores import Scores
from dnncli.errors import ConfigError, DataError
from dnncli.predictions import Predictions
from dnncli.registry import suggest
from dnncli.results import Progress
from dnncli.rundir import RunDir, is_run
from dnncli.services.evaluation.folder import folder_in_run
from dnncli.services.evaluation.options import EvalOptions, bound, no_class
from dnncli.services.evaluation.verdicts import check_overlap

if TYPE_CHECKING:
    import polars as pl

    from dnncli.data.dataset import Dataset
    from dnncli.report.mistakes import Pictures


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """Rows to score, and what the options came to for them."""

    predictions: Predictions
    truth: Predictions
    options: EvalOptions
    other: Predictions | None = None  # of --against
    temperature: float | None = None  # that the run's validation split chose
    folder: Path | None = None  # of the evaluation inside its run
    pictures: "Pictures | None" = None


def from_files(
    target: Path,
    data: str | Path | None,
    truth: str | Path | None,
    *,
    split: str | None,
    options: EvalOptions,
) -> Inputs:
    """Predictions and truth files.

    Raises:
        ConfigError, DataError: what is wrong with them, or does not fit together.
    """
    if data is not None:
        raise ConfigError(f"{target}: a predictions file is scored by --truth FILE, not by {data}.")
    if not target.exists():
        hint = suggest(target.name, [path.name for path in target.parent.glob("*")])
        raise DataError(f"{target}: no such file.{hint}")
    if truth is None:
        beside = target.with_name("truth.csv")
        hint = f" Perhaps --truth {beside}?" if beside.exists() else ""
        raise ConfigError(f"{target}: give the true labels by --truth FILE (id,label).{hint}")
    truth = Path(truth)
    predictions = read_scored(
        target,
        truth,
        command="eval",
        classes=options.classes,
        split=split,
        nan=_nan(options),
        multi_label=options.multi_label,
        scores=_scores(options),
    )
    labels = read_truth_of(predictions, truth, target, classes=options.classes, split=split)
    if predictions.kind == "score" and not predictions.multi_label:
        declared = declared_classes(predictions, options.classes)
        labels = _against_rest(predictions.class_names[0], labels, declared)
    predictions, labels = align(
        predictions, labels, names=(str(target), str(truth)), normalize_ids=options.normalize_ids
    )
    options = _bound(options, predictions, labels)
    _refuse_overlap(options, labels.ids)
    return Inputs(
        predictions=predictions,
        truth=labels,
        options=options,
        other=_read_other(labels, options, truth_name=str(truth)),
    )


def from_run(
    target: Path,
    data: str | Path | None,
    truth: str | Path | None,
    *,
    split: str | None,
    name: str | None,
    out: Path | None,
    options: EvalOptions,
    batch_size: int,
    on_bad: str,
    progress: Progress,
) -> Inputs:
    """A run or a .keras file, predicted on a data set.

    Raises:
        ConfigError, DataError, ModelError: what is wrong, before the model is loaded.
    """
    from dnncli.report.mistakes import pictures_of
    from dnncli.services.predict import compute, truth_of
    from dnncli.services.rows import open_rows

    options = _checked_for_run(target, truth, name=name, options=options)
    chosen = open_rows(target, data, split=split, on_bad=on_bad, labelled=True, progress=progress)
    labels = truth_of(chosen.dataset, chosen.rows)
    if options.slices:
        labels = replace(labels, columns=_columns(chosen.dataset, chosen.rows))
    remarks = _refuse_overlap(options, labels.ids, chosen.dataset.contents(chosen.rows))
    folder = None
    if out is None:
        fingerprint = chosen.dataset.fingerprint
        folder = folder_in_run(target, data, name=name, split=chosen.split, data_id=fingerprint)
    other = _read_other(labels, options, truth_name="the data set")
    predictions = compute(chosen, batch_size=batch_size, progress=progress)
    return Inputs(
        predictions=replace(predictions, warnings=(*predictions.warnings, *chosen.notes, *remarks)),
        truth=labels,
        options=options,
        other=other,
        temperature=_temperature(chosen.model),
        folder=folder,
        pictures=pictures_of(chosen.dataset, chosen.rows),
    )


def _nan(options: EvalOptions) -> Literal["error", "keep"]:
    return "keep" if options.nan == "positive" else "error"


def _scores(options: EvalOptions) -> Scores:
    ranks_only = options.threshold is not None or options.thresholds is not None
    return "any" if ranks_only else "unit"


def _against_rest(scored: str, labels: Predictions, declared: Sequence[str]) -> Predictions:
    """Truth with two classes: the scored one and the rest."""
    others = [name for name in (declared or labels.class_names) if name != scored]
    rest = others[0] if len(others) == 1 else f"not {scored}"
    is_scored = np.array([name == scored for name in labels.class_names])
    return replace(
        labels,
        class_names=(scored, rest),
        labels=np.where(is_scored[labels.labels], 0, 1).astype(np.int32),
    )


def _bound(options: EvalOptions, predictions: Predictions, truth: Predictions) -> EvalOptions:
    scored = predictions.class_names if predictions.probs is not None else ()
    return bound(options, truth.class_names, kind=predictions.kind, scored=scored)


def _refuse_overlap(
    options: EvalOptions, ids: "pl.Series", contents: Sequence[bytes] | None = None
) -> list[str]:
    if options.thresholds is None or options.thresholds_file is None:
        return []
    return check_overlap(options.thresholds, ids, file=options.thresholds_file, contents=contents)


def _read_other(truth: Predictions, options: EvalOptions, *, truth_name: str) -> Predictions | None:
    """The predictions of --against, for the rows of the truth and in its classes."""
    if options.against is None:
        return None
    other = read_predictions(
        options.against,
        classes=truth.class_names,
        nan=_nan(options),
        multi_label=options.multi_label,
        scores=_scores(options),
    )
    aligned, _ = align(
        other,
        truth,
        names=(str(options.against), truth_name),
        normalize_ids=options.normalize_ids,
    )
    return aligned


def _checked_for_run(
    target: Path, truth: str | Path | None, *, name: str | None, options: EvalOptions
) -> EvalOptions:
    """What can be said before the model is loaded, which takes seconds."""
    from dnncli.networks.files import read_card
    from dnncli.services.rows import find_model

    classes = tuple(read_card(find_model(target))["classes"])
    problems = []
    if truth is not None:
        problems.append("--truth: is for predictions files; a run is scored on a data set.")
    if options.classes:
        problems.append("--classes: is for predictions files; a model has its classes inside.")
    if options.multi_label:
        problems.append("--multi-label: is for predictions files; a run has one class per picture.")
    if options.nan != "error":
        problems.append("--nan: is for predictions files.")
    if name is not None and (name != Path(name).name or name in ("", "..")):
        problems.append(f"--name '{name}': must be a plain name, it becomes a folder.")
    if options.positive is not None and options.positive not in classes:
        problems.append(f"--positive: {no_class(options.positive, classes)}")
    if problems:
        raise ConfigError("eval:", problems)
    return bound(options, classes, kind="probability", scored=classes)


def _columns(dataset: "Dataset", rows: NDArray[np.int64]) -> dict[str, "pl.Series"]:
    """What pictures can be grouped by: the columns of a manifest, or groups and splits."""
    import polars as pl

    if dataset.kind == "table":
        from dnncli.data.table import read_rows

        table = read_rows(dataset.root)
        line = {name: row for row, name in enumerate(table.column("path"))}
        places = [line[dataset.ids[row]] for row in rows]
        names = [name for name in table.names if name not in ("path", "label", "weight")]
        return {
            name: pl.Series([table.rows[place][table.names.index(name)] for place in places])
            for name in names
        }
    columns = {"split": pl.Series(dataset.splits[rows].tolist(), dtype=pl.String)}
    if dataset.groups is not None:
        columns["group"] = pl.Series([dataset.groups[row] for row in rows], dtype=pl.String)
    return columns


def _temperature(model: Path) -> float | None:
    """The temperature that the run's validation split chose, if it saved one for this model."""
    if model.stem != "best" or not is_run(model.parent):
        return None
    saved = (RunDir(model.parent).read().get("result") or {}).get("calibration") or {}
    return saved.get("temperature")
