"""Chooses thresholds for scores in memory, and says what they mean.

Shapes: N rows, C classes.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError, DataError
from dnncli.metrics import thresholds as rules
from dnncli.metrics.intervals import proportion_interval
from dnncli.metrics.threshold_words import refusal_sentence, share_text
from dnncli.predictions import Predictions
from dnncli.registry import unknown
from dnncli.services.option_problems import share_problems, word_problems
from dnncli.threshold_checks import Rule
from dnncli.thresholds import (
    Certificate,
    ClassThresholds,
    OperatingPoint,
    Source,
    Thresholds,
    digests,
    picture_digests,
)

RuleChoice = Literal["auto", "certified", "max_precision", "highest"]
RULE_CHOICES: tuple[RuleChoice, ...] = get_args(RuleChoice)

Nan = Literal["error", "positive"]
NAN: tuple[Nan, ...] = get_args(Nan)  # the default comes first

_NAMED = 5  # ids named in a warning


def choose(
    predictions: Predictions,
    truth: NDArray[np.integer] | NDArray[np.bool_],
    *,
    recall: rules.Share,
    confidence: rules.Share = "0.95",
    positive: str | None = None,
    rule: str = "auto",
    nan: str = "error",
    source: Source | None = None,
    contents: Sequence[bytes] | None = None,
    warnings: Sequence[str] = (),
) -> Thresholds:
    """Choose thresholds for scores in memory.

    Args:
        predictions: N rows with probabilities or scores.
        truth: (N,) indices into `predictions.class_names`, where any other index is "none of
            them"; or (N, C) which classes a row has.
        recall, confidence, positive, rule, nan: as for `threshold`.
        source: where the rows come from; None: only their number is kept.
        contents: (N,) of `Dataset.digests`, by which `eval` knows these pictures under other ids.
        warnings: to be kept with the thresholds.

    Raises:
        ConfigError: if an option is wrong.
        DataError: if no threshold can be chosen, or a certificate is asked for and refused.
    """
    if problems := option_problems(recall, confidence, rule=rule, nan=nan):
        raise ConfigError("threshold:", problems)
    probs, names = predictions.probs, predictions.class_names
    if probs is None:
        raise DataError("threshold: the predictions are labels; a threshold needs scores.")
    if positive is not None and positive not in names:
        raise ConfigError(f"--positive: {unknown(positive, names, kind='class')}")
    wanted = [index for index, name in enumerate(names) if positive in (None, name)]
    classes = {}
    for index in wanted:
        member = truth[:, index] if truth.ndim == 2 else truth == index
        scores, forced = _scores(predictions, index, nan=nan)
        found = rules.target(member, scores, recall=recall, confidence=confidence)
        classes[names[index]] = _entry(
            names[index], found, scores, rule, recall, confidence, forced
        )
    if not any(entry.n_positive for entry in classes.values()):
        name = positive or ", ".join(classes)
        raise DataError(f"threshold: no row of the truth is '{name}'. Recall needs positives.")
    if rule == "certified" and (refused := _said_once(classes, _refusal)):
        raise DataError("threshold: --rule certified: there are too few positives:", refused)
    pictures = picture_digests(contents)
    return Thresholds(
        per_class=classes,
        source=source or Source(n=len(predictions)),
        ids=digests(predictions.ids),
        pictures=None if pictures is None else np.sort(pictures),
        warnings=(*warnings, *_said_once(classes, _remarks)),
        notes=_meaning(classes),
    )


def option_problems(
    recall: rules.Share, confidence: rules.Share, *, rule: str, nan: str
) -> list[str]:
    """One line for each option that has no such value."""
    return [
        *word_problems({"rule": (rule, RULE_CHOICES), "nan": (nan, NAN)}),
        *share_problems("recall", recall),
        *share_problems("confidence", confidence, one=False),
    ]


def _scores(
    predictions: Predictions, index: int, *, nan: str
) -> tuple[NDArray[np.floating], tuple[str, ...]]:
    """Finite scores of one class, and the ids of rows that have none."""
    if predictions.probs is None:
        raise ValueError("predictions must hold probs.")
    scores = predictions.probs[:, index]
    if scores.dtype not in (np.float32, np.float64):
        scores = scores.astype(np.float32)
    rows = np.flatnonzero(missing := np.isnan(scores))
    if len(rows) == 0:
        return scores, ()
    ids = tuple(predictions.ids[row] for row in rows.tolist())
    if nan == "error" or len(rows) == len(scores):
        name = predictions.class_names[index]
        remedy = "Predict them again, or flag them always with --nan positive"
        if nan != "error":
            remedy = "No row has a score"
        lines = [f"id '{one}', class '{name}'" for one in ids]
        raise DataError(f"threshold: scores that are no number. {remedy}:", lines)
    # As high as the highest score, they are flagged at every threshold that is a score.
    return np.where(missing, scores[~missing].max(), scores), ids


def _entry(
    name: str,
    found: rules.Targets,
    scores: NDArray[np.floating],
    rule: str,
    recall: rules.Share,
    confidence: rules.Share,
    forced: tuple[str, ...],
) -> ClassThresholds:
    exact = float(Fraction(str(confidence)))
    points = (found.highest, found.max_precision, found.certified.point)
    highest, precise, sure = (None if p is None else _with_intervals(p, exact) for p in points)
    chosen: Rule | None = "max_precision" if sure is None else "certified"
    if found.n_positive == 0 or (rule == "certified" and sure is None):
        chosen = None
    elif rule != "auto":
        chosen = rule  # type: ignore[assignment]
    return ClassThresholds(
        positive=name,
        target_recall=float(Fraction(str(recall))),
        confidence=exact,
        n_positive=found.n_positive,
        n_negative=found.n_negative,
        dtype="float32" if scores.dtype == np.float32 else "float64",
        highest=highest,
        max_precision=precise,
        certified=Certificate(
            feasible=found.certified.feasible,
            allowed_misses=found.certified.allowed_misses,
            needed_positives=found.certified.needed_positives,
            best_certifiable_recall=found.certified.best_certifiable_recall,
            point=sure,
        ),
        chosen=chosen,
        forced_flags=forced,
    )


def _with_intervals(point: rules.Point, confidence: float) -> OperatingPoint:
    low, high = proportion_interval(
        np.array([point.tp, point.tp]),
        np.array([point.tp + point.fn, point.tp + point.fp]),
        confidence=confidence,
    )
    return OperatingPoint(
        threshold=point.threshold,
        tp=int(point.tp),
        fp=int(point.fp),
        fn=int(point.fn),
        tn=int(point.tn),
        recall_interval=(float(low[0]), float(high[0])),
        precision_interval=(float(low[1]), float(high[1])),
    )


def _said_once(
    classes: dict[str, ClassThresholds], say: Callable[[ClassThresholds], list[str]]
) -> list[str]:
    """What `say` says about each class; the same words about several classes become one line."""
    about: dict[str, list[str]] = {}
    for name, entry in classes.items():
        for line in say(entry):
            about.setdefault(line, []).append(name)
    if len(classes) == 1:
        return [*about]
    return [f"{_some(names)}: {line}" for line, names in about.items()]


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(f"'{name}'" for name in names[:_NAMED]) + more


def _refusal(entry: ClassThresholds) -> list[str]:
    if entry.certified.feasible or entry.n_positive == 0:
        return []
    sentence = refusal_sentence(
        entry.certified,
        n_positive=entry.n_positive,
        recall=entry.target_recall,
        confidence=entry.confidence,
    )
    return [f"{sentence}."]


def _remarks(entry: ClassThresholds) -> list[str]:
    """What may make a threshold wrong, or useless."""
    if entry.n_positive == 0:
        return ["no row of the truth belongs to it: no threshold."]
    lines = [
        f"{line} Chosen: {entry.chosen}, which promises nothing for new rows."
        for line in _refusal(entry)
    ]
    if entry.n_negative == 0:
        lines.append("no row belongs to the rest: what a threshold costs cannot be seen.")
    elif entry.point is not None and entry.point.n_flagged == entry.n_positive + entry.n_negative:
        lines.append(
            f"{entry.chosen} flags every row: at recall {share_text(entry.target_recall)} the "
            "scores do not tell the classes apart."
        )
    if ids := entry.forced_flags:
        lines.append(f"{len(ids)} rows without a score are always flagged: {_some(ids)}.")
    return lines


def _meaning(classes: dict[str, ClassThresholds]) -> tuple[str, ...]:
    """How the thresholds are to be understood."""
    some = next(iter(classes.values()))
    sure = share_text(100 * Fraction(str(some.confidence)))
    target = share_text(some.target_recall)
    chosen = {entry.chosen for entry in classes.values()}
    notes = []
    if "certified" in chosen:
        notes.append(
            f"certified: in at least {sure} of 100 such choices recall on new rows is {target} or "
            "more, if they come from where these rows come from. It holds for no other data."
        )
    if chosen & {"highest", "max_precision"}:
        notes.append(
            "highest, max_precision: reach the target on these rows; on new rows about half of "
            "such thresholds miss it."
        )
    notes.append(
        "The rows that chose a threshold cannot judge it: `dnncli eval --thresholds` takes others."
    )
    return tuple(notes)
