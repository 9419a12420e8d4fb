"""How a training run ended: what the validation rows say of its best model, and what they chose."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ModelError
from dnncli.metrics.calibration import calibration, fit_temperature, with_temperature
from dnncli.metrics.counts import count
from dnncli.metrics.decisions import decisions_of
from dnncli.metrics.report import score_report
from dnncli.networks.network import parameters
from dnncli.predictions import Predictions
from dnncli.results import plain
from dnncli.rundir import RunDir
from dnncli.services import predict
from dnncli.services.job import Job, Outcome
from dnncli.services.plan import Plan
from dnncli.services.regime import refusal
from dnncli.services.threshold import choose
from dnncli.services.train import TrainResult
from dnncli.thresholds import Source, write_thresholds
from dnncli.training.backup import TrainState


def finish(job: Job, run: RunDir, state: TrainState) -> TrainResult:
    """Let the validation rows judge the best epoch, and say how training ended.

    Raises:
        ModelError: if the network gives numbers that are not finite.
    """
    plan = job.plan
    found = job.judge(run, state)
    return TrainResult(
        schema="dnncli.train/1",
        run=run.path,
        state="done",
        stopped=state.finished,
        epochs=state.epoch,
        best_epoch=state.best_epoch,
        monitor=plan.monitor,
        best_value=float("nan") if state.best_value is None else state.best_value,
        parameters=parameters(job.fit.network).total,
        seconds=state.seconds,
        task=plan.dataset.task,
        validation=found.validation,
        chosen_by_validation=found.chosen,
        calibration=found.calibration,
        classes=plan.dataset.class_names,
        notes=plan.notes,
        test_rows=len(plan.dataset.rows("test")),
    )


def judge(
    plan: Plan,
    val_rows: NDArray[np.int64],
    val_probs: Callable[[], NDArray[np.float32]],
    run: RunDir,
    state: TrainState,
) -> Outcome:
    """Score a classifier on the validation rows, and let them choose what is left to choose.

    Args:
        plan: of the run.
        val_rows: (n,) rows of the plan's validation data.
        val_probs: gives (n, C) probabilities of the network as it is now.
        run: gets thresholds.json.
        state: how training ended.

    Raises:
        ModelError: if the network gives numbers that are not finite.
    """
    if not len(val_rows):
        return Outcome()
    truth = predict.truth_of(plan.validation, val_rows)
    probs = val_probs()
    if not np.isfinite(probs).all():
        raise ModelError(
            f"{run.best}: its probabilities of validation rows are not finite. Train again "
            "with a smaller --lr, or --precision float32."
        )
    found = Predictions(
        ids=truth.ids, class_names=truth.class_names, kind="probability", probs=probs
    )
    fitted = _calibration(found, truth)
    contents = plan.validation.contents(val_rows)
    return Outcome(
        validation=_scores(found, truth, beta=plan.config.regime.beta),
        chosen={
            "rows": len(truth),
            "epoch": state.best_epoch,
            "by": plan.monitor,
            "temperature": fitted["temperature"],
            **_choose_threshold(plan, run, found, truth, contents=contents),
        },
        calibration=fitted,
    )


def _labels(truth: Predictions) -> NDArray[np.integer]:
    if truth.labels is None:
        raise ValueError("a truth table of single labels is needed")
    return truth.labels


def _scores(found: Predictions, truth: Predictions, *, beta: float) -> dict[str, Any]:
    """The scores that `eval` would give, weighted if the data has weights."""
    decided = decisions_of(found, tie="abstain").classes
    counts = count(_labels(truth), decided, n_classes=len(truth.class_names), weights=truth.weights)
    scores = score_report(counts, classes=truth.class_names, betas=(beta,), undefined="skip")
    return {"n": len(truth), "weighted": truth.weights is not None, **plain(scores)}


def _calibration(found: Predictions, truth: Predictions) -> dict[str, Any]:
    """The temperature that fits the validation rows, and what it changes on them."""
    probs, labels = found.probs, _labels(truth)
    if probs is None:
        raise ValueError("probabilities are needed")
    temperature = fit_temperature(probs, labels, weights=truth.weights)
    before = calibration(probs, labels, weights=truth.weights)
    after = calibration(
        with_temperature(probs, temperature=temperature), labels, weights=truth.weights
    )
    return plain(
        {
            "temperature": temperature,
            "ece": before.ece,
            "ece_after": after.ece,
            "log_loss": before.log_loss,
            "log_loss_after": after.log_loss,
            "n": len(truth),
        }
    )


def _choose_threshold(
    plan: Plan,
    run: RunDir,
    found: Predictions,
    truth: Predictions,
    *,
    contents: Sequence[bytes] | None,
) -> dict[str, Any]:
    """Write thresholds.json for the class that must not be missed; what it says, in short."""
    wanted = plan.config.regime
    labels = _labels(truth)
    if plan.positive is None or not (labels == plan.positive).any():
        return {}
    thresholds = choose(
        found,
        labels,
        positive=wanted.positive,
        recall=wanted.recall,
        confidence=wanted.confidence,
        source=Source(
            n=len(found),
            split="val",
            model=plan.config.model.name,
            data=plan.validation.fingerprint,
        ),
        contents=contents,
    )
    write_thresholds(run.thresholds, thresholds)
    entry = thresholds.per_class[wanted.positive]
    refused = not entry.certified.feasible
    return plain(
        {
            "positive": entry.positive,
            "target_recall": entry.target_recall,
            "confidence": entry.confidence,
            "n_positive": entry.n_positive,
            "rule": entry.chosen,
            "threshold": entry.threshold,
            "recall": None if entry.point is None else entry.point.recall,
            "precision": None if entry.point is None else entry.point.precision,
            "flagged": None if entry.point is None else entry.point.flagged,
            "refusal": refusal(plan.config, positives=entry.n_positive) if refused else None,
        }
    )
