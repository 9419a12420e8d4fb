"""All scores of one set of decisions, with the names of the classes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from dnncli.metrics.counts import Counts
from dnncli.metrics.f_intervals import FIntervals, class_f_interval, f_intervals
from dnncli.metrics.intervals import F_METHODS, FMethod, proportion_interval
from dnncli.metrics.multilabel import MemberCounts
from dnncli.metrics.scores import (
    Scores,
    Undefined,
    average_scores,
    beta_name,
    class_scores,
    f_beta,
    micro_scores,
    precision,
    recall,
)

Count = int | float  # whole rows, or a sum of their weights
Interval = tuple[float, float]  # lower and upper end

WEIGHTED_NOTE = "Counts are sums of weights: intervals of counts do not apply and are left out."


@dataclass(frozen=True, kw_only=True)
class IntervalReport:
    """Where the scores may lie. None where a score is undefined or has no interval."""

    precision: Interval | None  # exact (Clopper-Pearson)
    recall: Interval | None  # exact (Clopper-Pearson)
    f: dict[str, Interval | None]  # by the beta's shortest name


@dataclass(frozen=True, kw_only=True)
class ClassReport:
    """One class against the rest. Scores are NaN where they are undefined."""

    tp: Count
    fp: Count
    fn: Count
    tn: Count
    support: Count
    predicted: Count
    precision: float
    recall: float
    f: dict[str, float]  # by the beta's shortest name
    intervals: IntervalReport | None  # None where counts are sums of weights


@dataclass(frozen=True, kw_only=True)
class AverageReport:
    """Scores averaged over the declared classes."""

    precision: float
    recall: float
    f: dict[str, float]
    intervals: IntervalReport | None = None


@dataclass(frozen=True, kw_only=True)
class UndefinedReport:
    """How many classes have no value, by score."""

    precision: int
    recall: int
    f: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Averages:
    """The averages, and how many class values they had to do without."""

    macro: AverageReport
    weighted: AverageReport  # by support
    micro: AverageReport
    samples: AverageReport | None  # over rows; only where a row can have several labels
    undefined_classes: int  # classes for which at least one score is undefined
    undefined: UndefinedReport


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Rows = truth, columns = decision, both in the order of `classes`."""

    classes: tuple[str, ...]
    counts: list[list[Count]]  # (C, C)
    undecided: list[Count]  # (C,) rows of each class that have no decision


@dataclass(frozen=True, kw_only=True)
class Majority:
    """What always deciding for the most frequent class would achieve."""

    classes: tuple[str, ...]  # more than one if several are equally frequent
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class ScoreReport:
    """Everything that follows from the counts."""

    accuracy: float  # NaN where a row can have several labels
    majority: Majority | None
    per_class: dict[str, ClassReport]
    averages: Averages
    confusion: Confusion | None
    subset_accuracy: float | None = None  # only where a row can have several labels
    hamming_loss: float | None = None
    notes: tuple[str, ...] = ()  # what a reader of the intervals should know


def score_report(
    counts: Counts,
    *,
    classes: Sequence[str],
    betas: Sequence[float] = (1.0,),
    undefined: Undefined = "skip",
    confidence: float = 0.95,
    interval_method: FMethod = "delta",
) -> ScoreReport:
    """All scores of `counts`.

    Args:
        counts: of C classes.
        classes: (C,) their names, in the order of the counts.
        betas: of the F scores.
        undefined: what an undefined class value counts as in macro and weighted averages.
        confidence: of all intervals, in (0, 1).
        interval_method: of the F scores.
    """
    support = counts.support
    most = support.max()
    intervals = None
    if counts.confusion.dtype.kind != "f":
        intervals = f_intervals(
            counts,
            betas=betas,
            confidence=confidence,
            method=interval_method,
            undefined=undefined,
        )
    return ScoreReport(
        accuracy=counts.accuracy,
        majority=Majority(
            classes=tuple(name for name, rows in zip(classes, support) if rows == most),
            accuracy=float(most / support.sum()) if most > 0 else float("nan"),
        ),
        per_class=_per_class(
            counts, classes, betas, confidence, None if intervals is None else intervals.per_class
        ),
        averages=_averages(counts, betas, undefined, confidence, intervals),
        confusion=Confusion(
            classes=tuple(classes),
            counts=counts.confusion.tolist(),
            undecided=counts.undecided.tolist(),
        ),
        notes=(WEIGHTED_NOTE,) if intervals is None else (),
    )


def members_report(
    counts: MemberCounts,
    *,
    classes: Sequence[str],
    betas: Sequence[float] = (1.0,),
    undefined: Undefined = "skip",
    confidence: float = 0.95,
    interval_method: FMethod = "delta",
) -> ScoreReport:
    """All scores of counts in which a row can belong to several classes.

    There is no confusion matrix then, and so no multinomial draw of its cells: F of a class has
    the "delta" interval whatever the method, and averages have none.

    Args:
        counts: of C classes.
        classes: (C,) their names, in the order of the counts.
        betas: of the F scores.
        undefined: what an undefined value of a class, or of a row, counts as in averages.
        confidence: of all intervals, in (0, 1).
        interval_method: checked, but see above.
    """
    if interval_method not in F_METHODS:
        raise ValueError(f"interval_method must be one of {F_METHODS}. Got {interval_method!r}.")
    intervals = None
    if counts.tp.dtype.kind != "f":
        intervals = {
            beta_name(beta): class_f_interval(
                counts.tp, counts.fp, counts.fn, beta=beta, confidence=confidence
            )
            for beta in betas
        }
    return ScoreReport(
        accuracy=float("nan"),
        majority=None,
        per_class=_per_class(counts, classes, betas, confidence, intervals),
        averages=_averages(counts, betas, undefined, confidence, None),
        confusion=None,
        subset_accuracy=counts.subset_accuracy,
        hamming_loss=counts.hamming_loss,
        notes=(WEIGHTED_NOTE,) if intervals is None else (),
    )


def _per_class(
    counts: Counts | MemberCounts,
    classes: Sequence[str],
    betas: Sequence[float],
    confidence: float,
    f_ends: Mapping[str, NDArray[np.float64]] | None,
) -> dict[str, ClassReport]:
    scores = class_scores(counts, betas=betas)
    columns = {
        name: getattr(counts, name).tolist()
        for name in ("tp", "fp", "fn", "tn", "support", "predicted")
    }
    intervals: list[IntervalReport | None] = [None] * len(classes)
    if f_ends is not None:
        trials = np.stack([counts.predicted, counts.support])
        precisions, recalls = _exact(counts.tp, trials, confidence)
        intervals = [
            IntervalReport(
                precision=_pair(precisions[index]),
                recall=_pair(recalls[index]),
                f={beta: _pair(ends[index]) for beta, ends in f_ends.items()},
            )
            for index in range(len(classes))
        ]
    return {
        name: ClassReport(
            **{key: values[index] for key, values in columns.items()},
            precision=float(scores.precision[index]),
            recall=float(scores.recall[index]),
            f={beta: float(values[index]) for beta, values in scores.f.items()},
            intervals=intervals[index],
        )
        for index, name in enumerate(classes)
    }


def _averages(
    counts: Counts | MemberCounts,
    betas: Sequence[float],
    undefined: Undefined,
    confidence: float,
    f_ends: FIntervals | None,
) -> Averages:
    scores = class_scores(counts, betas=betas)
    macro = weighted = micro = None
    if f_ends is not None:
        macro, weighted = _f_only(f_ends.macro), _f_only(f_ends.weighted)
        trials = np.array([counts.predicted.sum(), counts.support.sum()])
        exact = _exact(counts.tp.sum(), trials, confidence)
        micro = IntervalReport(
            precision=_pair(exact[0]),
            recall=_pair(exact[1]),
            f=_f_only(f_ends.micro).f,
        )
    samples = None
    if isinstance(counts, MemberCounts):
        tp, fp, fn = counts.patterns.T
        by_row = Scores(
            precision=precision(tp, fp),
            recall=recall(tp, fn),
            f={beta_name(beta): f_beta(tp, fp, fn, beta=beta) for beta in betas},
        )
        samples = _average(average_scores(by_row, undefined=undefined, weights=counts.rows))
    return Averages(
        macro=_average(average_scores(scores, undefined=undefined), macro),
        weighted=_average(
            average_scores(scores, undefined=undefined, weights=counts.support), weighted
        ),
        micro=_average(micro_scores(counts, betas=betas), micro),
        samples=samples,
        undefined_classes=_n_undefined(scores.precision, scores.recall, *scores.f.values()),
        undefined=UndefinedReport(
            precision=_n_undefined(scores.precision),
            recall=_n_undefined(scores.recall),
            f={name: _n_undefined(values) for name, values in scores.f.items()},
        ),
    )


def _average(scores: Scores, intervals: IntervalReport | None = None) -> AverageReport:
    return AverageReport(
        precision=float(scores.precision),
        recall=float(scores.recall),
        f={name: float(value) for name, value in scores.f.items()},
        intervals=intervals,
    )


def _f_only(ends: Mapping[str, NDArray[np.float64]]) -> IntervalReport:
    """A mean of precisions or recalls is no share of rows: it has no exact interval."""
    return IntervalReport(
        precision=None, recall=None, f={beta: _pair(pair) for beta, pair in ends.items()}
    )


def _exact(successes: ArrayLike, trials: ArrayLike, confidence: float) -> NDArray[np.float64]:
    return np.stack(proportion_interval(successes, trials, confidence=confidence), axis=-1)


def _pair(ends: NDArray[np.float64]) -> Interval | None:
    return None if np.isnan(ends).any() else (float(ends[0]), float(ends[1]))


def _n_undefined(*values: NDArray[np.float64]) -> int:
    return int(np.isnan(values).any(axis=0).sum())
