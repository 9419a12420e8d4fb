"""Puts an evaluation together: decisions, counts, scores, and the files of its folder."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.counts import UNDECIDED, count
from dnncli.metrics.decisions import DEFAULT_THRESHOLD, decide_members, decisions_of
from dnncli.metrics.intervals import proportion_interval
from dnncli.metrics.multilabel import count_members
from dnncli.metrics.report import ScoreReport, members_report, score_report
from dnncli.predictions import Predictions
from dnncli.results import Progress
from dnncli.services.evaluation.against import Against, compare
from dnncli.services.evaluation.curves import calibration_of, curves_of, is_of
from dnncli.services.evaluation.folder import SCHEMA, model_file, write_folder
from dnncli.services.evaluation.gates import judge
from dnncli.services.evaluation.inputs import Inputs
from dnncli.services.evaluation.options import EvalOptions
from dnncli.services.evaluation.remarks import remarks
from dnncli.services.evaluation.result import EvalReport
from dnncli.services.evaluation.slices import slice_column, slice_reports
from dnncli.services.evaluation.verdicts import verdicts


@dataclass(frozen=True, kw_only=True)
class _Decided:
    """What was decided for every row, and the scores that follow."""

    decisions: NDArray  # (N,) class indices or UNDECIDED; multi-label: (N, C) bool
    scores: ScoreReport
    threshold: float | None
    ties: int = 0
    undecided: int = 0
    notes: tuple[str, ...] = ()


def scored(inputs: Inputs, *, target: Path, folder: Path | None, progress: Progress) -> EvalReport:
    """The report of aligned predictions and truth; with a folder, everything is written there.

    Raises:
        ConfigError: if rows cannot be grouped as asked for.
    """
    if inputs.truth.weights is not None and (inputs.truth.weights == 1).all():
        inputs = replace(inputs, truth=replace(inputs.truth, weights=None))
    predictions, truth, options = inputs.predictions, inputs.truth, inputs.options
    # Groups that cannot be formed should not cost the time of the scores.
    columns = {name: slice_column(truth, name) for name in options.slices}
    decided = _decide_members(inputs) if truth.members is not None else _decide(inputs)
    scores = decided.scores
    curves, kept = curves_of(
        predictions, truth, positive=options.positive, keep=folder is not None, progress=progress
    )
    calibrated = calibration_of(
        predictions, truth, temperature=inputs.temperature, bins=options.bins
    )
    slices = {
        name: slice_reports(
            truth,
            decided.decisions,
            column,
            positive=options.positive,
            betas=options.betas,
            undefined=options.undefined,
            confidence=options.confidence,
            intervals=options.intervals,
        )
        for name, column in columns.items()
    }
    report = EvalReport(
        schema=SCHEMA,
        target=str(target),
        n=len(truth),
        classes=truth.class_names,
        positive=options.positive,
        threshold=decided.threshold,
        threshold_from=options.threshold_from,
        betas=options.betas,
        undefined=options.undefined,
        tie=options.tie,
        multi_label=options.multi_label,
        weighted=truth.weights is not None,
        confidence=options.confidence,
        interval_methods=_interval_methods(truth, options),
        accuracy=scores.accuracy,
        accuracy_interval=_accuracy_interval(truth, decided.decisions, options),
        subset_accuracy=scores.subset_accuracy,
        hamming_loss=scores.hamming_loss,
        majority=scores.majority,
        per_class=scores.per_class,
        averages=scores.averages,
        confusion=scores.confusion,
        curves=curves,
        calibration=None if calibrated is None else calibrated[0],
        verdict=None
        if options.thresholds is None
        else verdicts(predictions, truth, options.thresholds),
        missed=_missed(truth, decided.decisions, options.positive),
        slices=slices or None,
        against=_against(inputs, decided.decisions),
        gates=judge(
            options.gates,
            accuracy=scores.accuracy,
            subset_accuracy=scores.subset_accuracy,
            per_class=scores.per_class,
            averages=scores.averages,
            curves=curves,
        ),
        ties=decided.ties,
        undecided=decided.undecided,
        split=predictions.metadata.get("split"),
        data=predictions.metadata.get("data"),
        model_file=None if inputs.folder is None else model_file(target),
        out=folder,
        warnings=(
            *predictions.warnings,
            *truth.warnings,
            *decided.notes,
            *scores.notes,
            *remarks(inputs),
        ),
    )
    if folder is not None:
        write_folder(
            folder,
            report,
            predictions,
            truth,
            pictures=inputs.pictures,
            decisions=decided.decisions,
            curves=kept,
            calibration=None if calibrated is None else calibrated[1],
            progress=progress,
        )
    return report


def _decide(inputs: Inputs) -> _Decided:
    """One class a row."""
    predictions, truth, options = inputs.predictions, inputs.truth, inputs.options
    if truth.labels is None:
        raise ValueError("truth must hold labels.")
    decided = decisions_of(
        predictions,
        tie=options.tie,
        positive=options.positive,
        threshold=options.threshold,
        nan=options.nan,
    )
    counts = count(
        truth.labels, decided.classes, n_classes=len(truth.class_names), weights=truth.weights
    )
    return _Decided(
        decisions=decided.classes,
        scores=score_report(
            counts,
            classes=truth.class_names,
            betas=options.betas,
            undefined=options.undefined,
            confidence=options.confidence,
            interval_method=options.intervals,
        ),
        threshold=decided.threshold,
        ties=int(decided.tied.sum()),
        undecided=int((decided.classes == UNDECIDED).sum()),
        notes=decided.notes,
    )


def _decide_members(inputs: Inputs) -> _Decided:
    """A yes or no for every class of a row."""
    predictions, truth, options = inputs.predictions, inputs.truth, inputs.options
    if truth.members is None:
        raise ValueError("truth must hold members.")
    threshold = DEFAULT_THRESHOLD if options.threshold is None else options.threshold
    given = {} if options.thresholds is None else options.thresholds.per_class
    limits = {name: entry.threshold for name, entry in given.items()}
    decisions = decide_members(
        predictions,
        thresholds=[
            threshold if (limit := limits.get(name)) is None else limit
            for name in predictions.class_names
        ],
    )
    whence = f"; {', '.join(given)}: threshold of {options.thresholds_file}" if given else ""
    return _Decided(
        decisions=decisions,
        scores=members_report(
            count_members(truth.members, decisions, truth.weights),
            classes=truth.class_names,
            betas=options.betas,
            undefined=options.undefined,
            confidence=options.confidence,
            interval_method=options.intervals,
        ),
        threshold=limits.get(options.positive or "") if given else threshold,
        notes=(f"Decided for each class where score >= {threshold}{whence}.",),
    )


def _missed(truth: Predictions, decisions: NDArray, positive: str | None) -> list[str] | None:
    """Ids of the positive rows that were not decided for it, in order."""
    if positive is None:
        return None
    index = truth.class_names.index(positive)
    found = decisions[:, index] if decisions.ndim == 2 else decisions == index
    return truth.ids.gather(np.flatnonzero(is_of(truth, index) & ~found)).to_list()


def _accuracy_interval(
    truth: Predictions, decisions: NDArray, options: EvalOptions
) -> list[float] | None:
    if truth.labels is None or truth.weights is not None:
        return None
    right = int((truth.labels == decisions).sum())
    return [
        float(end) for end in proportion_interval(right, len(truth), confidence=options.confidence)
    ]


def _interval_methods(truth: Predictions, options: EvalOptions) -> dict[str, str | None]:
    if truth.weights is not None:
        return {"precision": None, "recall": None, "f": None}
    f_method = "delta" if truth.multi_label else options.intervals
    return {"precision": "clopper-pearson", "recall": "clopper-pearson", "f": f_method}


def _against(inputs: Inputs, decisions: NDArray) -> Against | None:
    """The comparison with --against, whose labels or scores are decided by the same rules."""
    other, truth, options = inputs.other, inputs.truth, inputs.options
    if other is None or truth.labels is None:
        return None
    theirs = decisions_of(
        other,
        tie=options.tie,
        positive=options.positive,
        threshold=None if other.labels is not None else options.threshold,
        nan=options.nan,
    )
    positive = None if options.positive is None else truth.class_names.index(options.positive)
    return compare(
        truth.labels,
        decisions,
        theirs.classes,
        target=str(options.against),
        positive=positive,
        confidence=options.confidence,
    )
