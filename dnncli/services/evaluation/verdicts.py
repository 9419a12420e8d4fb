"""`--thresholds`: whether a threshold keeps its promise on rows that had no part in choosing it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from dnncli.errors import DataError
from dnncli.metrics.counts import in_precision
from dnncli.metrics.intervals import proportion_interval
from dnncli.predictions import Predictions
from dnncli.services.evaluation.curves import is_of
from dnncli.thresholds import (
    ClassThresholds,
    Thresholds,
    overlap,
    picture_digests,
    picture_overlap,
)

HONEST = (
    "A threshold holds its target only for rows drawn like those that chose it; intervals and "
    "verdicts assume independent rows, looked at once."
)


@dataclass(frozen=True, kw_only=True)
class ThresholdSource:
    """Where the applied threshold came from."""

    file: str
    rule: str | None
    target_recall: float
    confidence: float
    chosen_on: str | None  # the predictions file whose rows chose it
    split: str | None  # that they were of


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The recall of one class at its threshold, and what that says about the target.

    "met" if the whole interval reaches the target, "not met" if none of it does.
    """

    threshold: float
    target_recall: float
    recall: float  # NaN without a positive
    interval: list[float] | None  # exact, two-sided, at `confidence`; None without a positive
    confidence: float
    n_positive: int
    misses: int
    verdict: Literal["met", "not met", "cannot tell"]


def check_overlap(
    thresholds: Thresholds,
    ids: Iterable[str],
    *,
    file: Path,
    contents: Sequence[bytes] | None = None,
) -> list[str]:
    """Refuse rows that chose the thresholds: they would flatter them.

    Rows are known by their pictures where both sides have them, else by their ids.

    Args:
        contents: (N,) of `Dataset.digests`.

    Returns:
        A remark if other pictures have ids of rows that chose.

    Raises:
        DataError: naming the ids.
    """
    names = list(ids)
    shared = overlap(thresholds, names)
    remarks = []
    same = picture_overlap(thresholds, picture_digests(contents))
    if same is not None:
        if namesakes := len(set(shared) - {names[row] for row in np.flatnonzero(same)}):
            remarks = [
                f"{namesakes} rows have ids of rows that chose the thresholds in {file}, but other "
                "pictures. If they are the same pictures, saved anew, they cannot judge them."
            ]
        shared = [names[row] for row in np.flatnonzero(same)]
    if shared:
        source = thresholds.source
        whence = f" ({source.file})" if source.file else ""
        raise DataError(
            f"{len(shared)} of the ids to be scored chose the thresholds in {file}{whence}, so "
            "they cannot judge them. Score rows of another split; if they are other pictures with "
            "the same ids, give them ids of their own:",
            [f"id '{name}'" for name in shared],
        )
    return remarks


def source_of(entry: ClassThresholds, thresholds: Thresholds, *, file: Path) -> ThresholdSource:
    """Where the threshold of a class came from."""
    return ThresholdSource(
        file=str(file),
        rule=entry.chosen,
        target_recall=entry.target_recall,
        confidence=entry.confidence,
        chosen_on=thresholds.source.file,
        split=thresholds.source.split,
    )


def verdicts(
    predictions: Predictions, truth: Predictions, thresholds: Thresholds
) -> dict[str, Verdict]:
    """The verdict on every class that the predictions score and the file has a threshold for.

    Rows count as one each, whatever their weights, and rows whose score is NaN as flagged.
    """
    if predictions.probs is None:
        raise ValueError("labels have no scores.")
    found = {}
    for index, name in enumerate(predictions.class_names):
        entry = thresholds.per_class.get(name)
        if entry is None or entry.threshold is None:
            continue
        scores = predictions.probs[is_of(truth, index), index]
        caught = ~(scores < in_precision(entry.threshold, scores.dtype))  # NaN is not below it
        found[name] = _verdict(int(caught.sum()), len(scores), entry)
    return found


def _verdict(caught: int, positives: int, entry: ClassThresholds) -> Verdict:
    low, high = proportion_interval(caught, positives, confidence=entry.confidence)
    if positives and float(low) >= entry.target_recall:
        word: Literal["met", "not met", "cannot tell"] = "met"
    elif positives and float(high) < entry.target_recall:
        word = "not met"
    else:
        word = "cannot tell"
    return Verdict(
        threshold=float(entry.threshold or 0),
        target_recall=entry.target_recall,
        recall=caught / positives if positives else float("nan"),
        interval=[float(low), float(high)] if positives else None,
        confidence=entry.confidence,
        n_positive=positives,
        misses=positives - caught,
        verdict=word,
    )


def sentence(name: str, verdict: Verdict) -> str:
    """One line: the target, the recall and what follows."""
    if verdict.interval is None:
        return f"'{name}': target recall {verdict.target_recall:g}: cannot tell: no row of it."
    low, high = verdict.interval
    return (
        f"'{name}': target recall {verdict.target_recall:g}: {verdict.verdict}. Found "
        f"{verdict.n_positive - verdict.misses} of {verdict.n_positive}, recall "
        f"{verdict.recall:.4f} [{low:.4f}, {high:.4f}] at {verdict.confidence:.0%} confidence."
    )


def dtype_note(predictions: Predictions, entry: ClassThresholds) -> str | None:
    """A remark if the threshold was chosen on scores of another precision."""
    if predictions.probs is None or predictions.probs.dtype == np.dtype(entry.dtype):
        return None
    if float(in_precision(entry.threshold or 0, predictions.probs.dtype)) == entry.threshold:
        return None
    return (
        f"The threshold {entry.threshold!r} was chosen on {entry.dtype} scores; these are "
        f"{predictions.probs.dtype}, and it is compared in their precision."
    )
