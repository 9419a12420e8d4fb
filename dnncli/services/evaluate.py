"""`dnncli eval`: scores predictions against their labels."""

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dnncli.data.align import NORMALIZE_IDS, NormalizeIds, align
from dnncli.data.frames import SUFFIXES
from dnncli.data.predictions import read_predictions, read_truth, write_predictions
from dnncli.errors import ConfigError, DataError
from dnncli.metrics.counts import TIES, UNDECIDED, Tie, count
from dnncli.metrics.decisions import decisions_of
from dnncli.metrics.report import Averages, ClassReport, Confusion, Majority, score_report
from dnncli.metrics.scores import BETA_LIMITS, UNDEFINED, Undefined
from dnncli.predictions import Predictions
from dnncli.registry import suggest, unknown
from dnncli.results import Progress, no_progress, write_json, write_text, written_folder
from dnncli.rundir import RunDir, is_run


@dataclass(frozen=True, kw_only=True)
class EvalReport:
    """Scores of one set of predictions. NaN is "undefined"; it becomes null in JSON."""

    schema: str
    target: str
    n: int  # rows, whatever their weights
    classes: tuple[str, ...]
    positive: str | None
    threshold: float | None  # None: the class with the highest score is decided for
    betas: tuple[float, ...]
    undefined: Undefined
    tie: Tie
    weighted: bool  # counts are sums of sample weights
    accuracy: float
    majority: Majority
    per_class: dict[str, ClassReport]
    averages: Averages
    confusion: Confusion
    ties: int  # rows whose highest score belongs to several classes
    undecided: int  # rows without a decision: wrong for every score
    split: str | None
    out: Path | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class _Options:
    """Options of `evaluate` after they were checked."""

    classes: tuple[str, ...]
    betas: tuple[float, ...]
    undefined: Undefined
    tie: Tie
    positive: str | None
    normalize_ids: NormalizeIds


def evaluate(
    target: str | Path,
    data: str | Path | None = None,
    *,
    truth: str | Path | None = None,
    classes: Sequence[str] = (),
    betas: Sequence[float] = (1.0,),
    undefined: str = "skip",
    positive: str | None = None,
    split: str | None = None,
    tie: str = "abstain",
    normalize_ids: str = "none",
    out: str | Path | None = None,
    name: str | None = None,
    batch_size: int = 128,
    on_bad: str = "skip",
    progress: Progress = no_progress,
) -> EvalReport:
    """Score predictions against their labels.

    A predictions file never starts TensorFlow, and nothing is written without `out`. A run writes
    its evaluation to RUN/eval/<name>: metrics.json, predictions.parquet, truth.csv, confusion.csv.

    Args:
        target: a predictions file, a run folder, or a .keras file.
        data: the data set to evaluate a run or model on; None: the run's own.
        truth: file with the true labels; needed by, and only for, a predictions file.
        classes: declared class order; empty: from the file, else the names sorted.
        betas: of the F scores.
        undefined: what a class value 0/0 counts as in averages: left out ("skip"), 0 or 1.
        positive: the class that the headline is about.
        split: of the data set, or the `split` column of the truth file.
        tie: what a row whose highest score belongs to several classes is decided for.
        normalize_ids: "nfc" takes ids for equal that differ only in Unicode form.
        out: folder for the files; None: as said above.
        name: of the evaluation inside the run; None: from data and split.
        batch_size: pictures predicted at a time.
        on_bad: unreadable pictures: "skip" or "error".

    Raises:
        ConfigError, DataError, ModelError: what is wrong, and what to do.
    """
    options = _checked(
        classes=classes,
        betas=betas,
        undefined=undefined,
        tie=tie,
        positive=positive,
        normalize_ids=normalize_ids,
    )
    target = Path(target)
    if out is not None:
        _check_out(Path(out))
    if target.suffix in SUFFIXES and not target.is_dir():
        if name is not None:
            raise ConfigError("--name: is for runs. Say where the results go with --out FOLDER.")
        predictions, labels = _from_file(target, data, truth, split=split, options=options)
    else:
        from dnncli.services.predict import predict_rows

        _check_run_options(target, options, truth=truth, name=name)
        predictions, labels, notes = predict_rows(
            target, data, split=split, batch_size=batch_size, on_bad=on_bad, progress=progress
        )
        predictions = replace(predictions, warnings=(*predictions.warnings, *notes))
        out = out or _folder_in_run(target, data, name, predictions.metadata.get("split"))
    report = _report(predictions, labels, target=target, options=options)
    if out is None:
        return report
    report = replace(report, out=Path(out))
    _write(Path(out), report, predictions, labels)
    return report


def _checked(
    *,
    classes: Sequence[str],
    betas: Sequence[float],
    undefined: str,
    tie: str,
    positive: str | None,
    normalize_ids: str,
) -> _Options:
    problems = [
        f"--{option}: {unknown(value, allowed, kind='value')}"
        for option, value, allowed in (
            ("undefined", undefined, UNDEFINED),
            ("tie", tie, TIES),
            ("normalize-ids", normalize_ids, NORMALIZE_IDS),
        )
        if value not in allowed
    ]
    low, high = BETA_LIMITS
    problems += [
        f"--beta {beta}: must be greater than 0 (from {low:g} to {high:g})."
        for beta in betas
        if not low <= beta <= high
    ]
    if classes and positive is not None and positive not in classes:
        problems.append(f"--positive: {unknown(positive, classes, kind='class')}")
    if len(set(classes)) < len(classes):
        problems.append("--classes: a class is named twice.")
    if problems:
        raise ConfigError("eval:", problems)
    return _Options(
        classes=tuple(classes),
        betas=tuple(dict.fromkeys(map(float, betas))),
        undefined=undefined,  # type: ignore[arg-type]
        tie=tie,  # type: ignore[arg-type]
        positive=positive,
        normalize_ids=normalize_ids,  # type: ignore[arg-type]
    )


def _from_file(
    target: Path,
    data: str | Path | None,
    truth: str | Path | None,
    *,
    split: str | None,
    options: _Options,
) -> tuple[Predictions, Predictions]:
    """Predictions and truth with the same rows and classes."""
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
    try:
        predictions = read_predictions(target, classes=options.classes)
    except DataError as error:
        try:  # what is wrong with the truth should not take a second attempt to learn
            read_truth(truth, classes=options.classes, split=split or "")
        except DataError as other:
            raise DataError("eval: neither file can be used:", [str(error), str(other)]) from error
        raise
    declared = options.classes or tuple(predictions.metadata.get("classes", ()))
    if predictions.kind == "probability":
        declared = predictions.class_names
    elif predictions.kind == "score" and len(declared) < 2:
        declared = ()
    labels = read_truth(truth, classes=declared, split=split or "")
    if predictions.kind == "score":
        labels = _against_rest(predictions.class_names[0], labels, declared, target)
    return align(
        predictions, labels, names=(str(target), str(truth)), normalize_ids=options.normalize_ids
    )


def _against_rest(
    scored: str, labels: Predictions, declared: Sequence[str], target: Path
) -> Predictions:
    """Truth with two classes: the scored one and the rest."""
    if scored not in labels.class_names and len(labels.class_names) > 1:
        raise DataError(
            f"{target}: its only column '{scored}' is no class of the truth"
            f" ({', '.join(labels.class_names)}).{suggest(scored, labels.class_names)} Name the "
            "column after the class that it scores, or declare the classes with --classes."
        )
    others = [name for name in (declared or labels.class_names) if name != scored]
    rest = others[0] if len(others) == 1 else f"not {scored}"
    is_scored = np.array([name == scored for name in labels.class_names])
    return replace(
        labels,
        class_names=(scored, rest),
        labels=np.where(is_scored[labels.labels], 0, 1).astype(np.int32),
    )


def _check_run_options(
    target: Path, options: _Options, *, truth: str | Path | None, name: str | None
) -> None:
    """What can be said before the model is loaded, which takes seconds."""
    from dnncli.networks.files import read_card
    from dnncli.services.predict import find_model

    classes = read_card(find_model(target))["classes"]
    problems = []
    if truth is not None:
        problems.append("--truth: is for predictions files; a run is scored on a data set.")
    if options.classes:
        problems.append("--classes: is for predictions files; a model has its classes inside.")
    if name is not None and (name != Path(name).name or name in ("", "..")):
        problems.append(f"--name '{name}': must be a plain name, it becomes a folder.")
    if options.positive is not None and options.positive not in classes:
        problems.append(f"--positive: {unknown(options.positive, classes, kind='class')}")
    if problems:
        raise ConfigError("eval:", problems)


def _folder_in_run(
    target: Path, data: str | Path | None, name: str | None, split: str | None
) -> Path | None:
    """RUN/eval/<name>; None for a model that does not lie in a run folder."""
    run = target if is_run(target) else target.parent
    if not is_run(run):
        return None
    stem = Path(data).resolve().stem if data is not None else ""
    model = "" if is_run(target) or target.stem == "best" else target.stem
    return RunDir(run).evaluation(name or "-".join(filter(None, (model, stem, split))))


def _report(
    predictions: Predictions, truth: Predictions, *, target: Path, options: _Options
) -> EvalReport:
    """Scores of aligned predictions and truth."""
    classes = truth.class_names
    if options.positive is not None and options.positive not in classes:
        raise ConfigError(f"--positive: {unknown(options.positive, classes, kind='class')}")
    if truth.labels is None:
        raise ValueError("truth must hold labels.")
    decided = decisions_of(predictions, tie=options.tie)
    counts = count(truth.labels, decided.classes, n_classes=len(classes), weights=truth.weights)
    scores = score_report(counts, classes=classes, betas=options.betas, undefined=options.undefined)
    return EvalReport(
        schema="dnncli.eval/1",
        target=str(target),
        n=len(truth),
        classes=classes,
        positive=options.positive,
        threshold=decided.threshold,
        betas=options.betas,
        undefined=options.undefined,
        tie=options.tie,
        weighted=truth.weights is not None,
        accuracy=scores.accuracy,
        majority=scores.majority,
        per_class=scores.per_class,
        averages=scores.averages,
        confusion=scores.confusion,
        ties=int(decided.tied.sum()),
        undecided=int((decided.classes == UNDECIDED).sum()),
        split=predictions.metadata.get("split"),
        out=None,
        warnings=(
            *predictions.warnings,
            *truth.warnings,
            *decided.notes,
            *_chosen_on(predictions.metadata),
        ),
    )


def _chosen_on(metadata: dict[str, Any]) -> list[str]:
    """A warning if these rows had a part in making the model."""
    split, data = metadata.get("split"), metadata.get("data")
    if split == "test" or data is None or data != metadata.get("model_data"):
        return []
    part = {"train": "fitted the weights", "val": "chose the epoch"}
    did = part.get(str(split), "fitted the weights or chose the epoch, in part")
    return [f"Split '{split}' {did} of this model: these are not scores on new data."]


def _check_out(folder: Path) -> None:
    """Refuse to replace anything but an empty folder or an earlier evaluation."""
    if (folder / "metrics.json").is_file():
        return
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise ConfigError(f"--out {folder}: exists and is no evaluation. Give another name.")


def _write(folder: Path, report: EvalReport, predictions: Predictions, truth: Predictions) -> None:
    """Write the folder of an evaluation; an earlier one is replaced."""
    _check_out(folder)
    with written_folder(folder) as neighbour:
        write_json(neighbour / "metrics.json", report)
        write_predictions(predictions, neighbour / "predictions.parquet")
        write_predictions(truth, neighbour / "truth.csv")
        write_text(neighbour / "confusion.csv", _confusion_csv(report.confusion))


def _confusion_csv(confusion: Confusion) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["truth", *confusion.classes, "undecided"])
    for name, row, undecided in zip(confusion.classes, confusion.counts, confusion.undecided):
        writer.writerow([name, *row, undecided])
    return text.getvalue()
