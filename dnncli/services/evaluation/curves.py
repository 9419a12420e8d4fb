"""Scores that need no decision: areas under curves, and whether probabilities can be believed.

Shapes: N rows, C classes.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.calibration import Calibration, calibration, with_temperature
from dnncli.metrics.curves import average_precision, curve, roc_auc
from dnncli.predictions import Predictions
from dnncli.report.thinning import ClassCurve, class_curve
from dnncli.results import Progress, no_progress

_OVERSHOOT = 1e-6  # a float32 softmax may end just above 1


@dataclass(frozen=True, kw_only=True)
class CurveReport:
    """Areas of one class against the rest, or their mean; NaN where a side is empty."""

    average_precision: float  # step-wise, as in scikit-learn
    roc_auc: float


@dataclass(frozen=True, kw_only=True)
class Curves:
    """Areas of every class that has scores; first those of one class, or their mean."""

    average_precision: float
    roc_auc: float
    of: str  # the class that these two are of; "macro": the mean over the classes
    macro: CurveReport  # mean over the classes where it is defined
    per_class: dict[str, CurveReport]


@dataclass(frozen=True, kw_only=True)
class CalibrationReport:
    """How far probabilities are from frequencies, over the rows whose scores are numbers."""

    ece: float  # expected calibration error, a fraction
    brier: float
    log_loss: float  # nats a row
    n_bins: int  # equal parts of [0, 1] that ece is computed over
    temperature: float | None  # that the run's validation split chose; None: no run, or none saved
    ece_after: float | None  # with that temperature
    log_loss_after: float | None


def curves_of(
    predictions: Predictions,
    truth: Predictions,
    *,
    positive: str | None,
    keep: bool,
    progress: Progress = no_progress,
) -> tuple[Curves | None, dict[str, ClassCurve]]:
    """Areas under the curve of every class that has scores, one against rest; None for labels.

    Rows whose score is NaN come before all others for the positive class, and after all others for
    the other classes.

    Args:
        positive: the class of the first two areas; None, or a class without scores: their mean.
        keep: return the curves, too, in few enough points for a file.
    """
    if predictions.probs is None:
        return None, {}
    per_class, kept = {}, {}
    for index, name in enumerate(predictions.class_names):
        progress("Curves", index, len(predictions.class_names))
        scores = predictions.probs[:, index]
        if (missing := np.isnan(scores)).any():
            limit = np.finfo(scores.dtype).max
            scores = np.where(missing, limit if name == positive else -limit, scores)
        found = curve(is_of(truth, index), scores, weights=truth.weights)
        per_class[name] = CurveReport(
            average_precision=average_precision(found), roc_auc=roc_auc(found)
        )
        if keep:
            kept[name] = class_curve(found, n_classes=len(predictions.class_names))
    progress("Curves", len(per_class), len(per_class))
    macro = CurveReport(
        average_precision=_mean([entry.average_precision for entry in per_class.values()]),
        roc_auc=_mean([entry.roc_auc for entry in per_class.values()]),
    )
    of = positive if positive in per_class else None
    headline = macro if of is None else per_class[of]
    areas = Curves(
        average_precision=headline.average_precision,
        roc_auc=headline.roc_auc,
        of=of or "macro",
        macro=macro,
        per_class=per_class,
    )
    return areas, kept


def is_of(truth: Predictions, index: int) -> NDArray[np.bool_]:
    """(N,) whether a row belongs to a class."""
    if truth.members is not None:
        return truth.members[:, index]
    if truth.labels is None:
        raise ValueError("truth must hold labels or members.")
    return truth.labels == index


def _mean(values: list[float]) -> float:
    defined = [value for value in values if value == value]
    return sum(defined) / len(defined) if defined else float("nan")


def calibration_of(
    predictions: Predictions, truth: Predictions, *, temperature: float | None, bins: int
) -> tuple[CalibrationReport, Calibration] | None:
    """Calibration of single-label probabilities; None where scores are none."""
    probs, labels = predictions.probs, truth.labels
    if probs is None or labels is None:
        return None
    if predictions.kind == "score":
        if not _in_unit(probs):
            return None
        probs, labels = probs[:, 0], (labels == 0).astype(np.int32)
        temperature = None
    whole = ~np.isnan(probs if probs.ndim == 1 else probs.sum(axis=1))
    weights = truth.weights
    if not whole.all():
        probs, labels = probs[whole], labels[whole]
        weights = None if weights is None else weights[whole]
    probs = np.minimum(probs, 1) if probs.max(initial=0) > 1 else probs
    found = calibration(probs, labels, bins=bins, weights=weights)
    after = None
    if temperature is not None:
        cooled = with_temperature(probs, temperature)
        after = calibration(cooled, labels, bins=bins, weights=weights)
    return (
        CalibrationReport(
            ece=found.ece,
            brier=found.brier,
            log_loss=found.log_loss,
            n_bins=bins,
            temperature=temperature,
            ece_after=None if after is None else after.ece,
            log_loss_after=None if after is None else after.log_loss,
        ),
        found,
    )


def _in_unit(scores: NDArray[np.floating]) -> bool:
    return not ((scores < 0) | (scores > 1 + _OVERSHOOT)).any()  # NaN is neither
