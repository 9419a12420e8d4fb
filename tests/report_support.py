"""Small evaluations to draw and to write."""

import numpy as np
import polars as pl

from dnncli.metrics.calibration import calibration
from dnncli.metrics.curves import curve
from dnncli.metrics.decisions import decisions_of
from dnncli.predictions import Predictions
from dnncli.report.thinning import class_curve


def tables(probs, labels, names, *, kind="probability", weights=None, ids=None):
    """Predictions and truth with equal ids."""
    ids = pl.Series(ids or [f"row {row:05}" for row in range(len(labels))])
    classes = tuple(names)
    predictions = Predictions(ids=ids, class_names=classes, kind=kind, probs=np.asarray(probs))
    truth = Predictions(
        ids=ids, class_names=classes, kind="label", labels=np.asarray(labels, np.int32),
        weights=weights,
    )  # fmt: skip
    return predictions, truth


def random_tables(n_classes, n, *, seed=0, names=None, weights=None, digits=None):
    """Scores with some skill; `digits` makes ties."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    logits = rng.normal(size=(n, n_classes)) + 1.5 * np.eye(n_classes)[labels]
    probs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    if digits is not None:
        probs = probs.round(digits)
    names = names or [f"class {index}" for index in range(n_classes)]
    return tables(probs.astype(np.float32), labels, names, weights=weights)


def results(predictions, truth, *, positive=None, threshold=None):
    """The arguments of `write_results` for single-label tables."""
    decided = decisions_of(predictions, positive=positive, threshold=threshold)
    found = {}
    if predictions.probs is not None:
        found["curves"] = {
            name: class_curve(
                curve(truth.labels == index, predictions.probs[:, index], truth.weights),
                n_classes=len(predictions.class_names),
            )
            for index, name in enumerate(predictions.class_names)
        }
        if predictions.kind == "score":
            found["calibration"] = calibration(predictions.probs[:, 0], truth.labels == 0)
        else:
            found["calibration"] = calibration(
                predictions.probs, truth.labels, weights=truth.weights
            )
    return {
        "predictions": predictions,
        "truth": truth,
        "decisions": decided.classes,
        "positive": positive,
        "threshold": decided.threshold,
    } | found
