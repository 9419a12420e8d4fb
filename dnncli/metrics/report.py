"""All scores of one set of decisions, with the names of the classes."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dnncli.metrics.counts import Counts
from dnncli.metrics.scores import (
    Scores,
    Undefined,
    average_scores,
    beta_name,
    class_scores,
    micro_scores,
)

Count = int | float  # whole rows, or a sum of their weights


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


@dataclass(frozen=True, kw_only=True)
class AverageReport:
    """Scores averaged over the declared classes."""

    precision: float
    recall: float
    f: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class UndefinedReport:
    """How many classes have no value, by score."""

    precision: int
    recall: int
    f: dict[str, int]


@dataclass(frozen=True, kw_only=True)
class Averages:
    """The three averages, and how many class values they had to do without."""

    macro: AverageReport
    weighted: AverageReport  # by support
    micro: AverageReport
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

    accuracy: float
    majority: Majority
    per_class: dict[str, ClassReport]
    averages: Averages
    confusion: Confusion


def score_report(
    counts: Counts,
    *,
    classes: Sequence[str],
    betas: Sequence[float] = (1.0,),
    undefined: Undefined = "skip",
) -> ScoreReport:
    """All scores of `counts`.

    Args:
        counts: of C classes.
        classes: (C,) their names, in the order of the counts.
        betas: of the F scores.
        undefined: what an undefined class value counts as in macro and weighted averages.
    """
    scores = class_scores(counts, betas=betas)
    support = counts.support
    most = support.max()
    return ScoreReport(
        accuracy=counts.accuracy,
        majority=Majority(
            classes=tuple(name for name, rows in zip(classes, support) if rows == most),
            accuracy=float(most / support.sum()) if most > 0 else float("nan"),
        ),
        per_class=_per_class(counts, scores, classes, betas),
        averages=Averages(
            macro=_average(average_scores(scores, undefined=undefined)),
            weighted=_average(average_scores(scores, undefined=undefined, weights=support)),
            micro=_average(micro_scores(counts, betas=betas)),
            undefined_classes=_n_undefined(scores.precision, scores.recall, *scores.f.values()),
            undefined=UndefinedReport(
                precision=_n_undefined(scores.precision),
                recall=_n_undefined(scores.recall),
                f={name: _n_undefined(values) for name, values in scores.f.items()},
            ),
        ),
        confusion=Confusion(
            classes=tuple(classes),
            counts=counts.confusion.tolist(),
            undecided=counts.undecided.tolist(),
        ),
    )


def _per_class(
    counts: Counts, scores: Scores, classes: Sequence[str], betas: Sequence[float]
) -> dict[str, ClassReport]:
    columns = {
        name: getattr(counts, name).tolist()
        for name in ("tp", "fp", "fn", "tn", "support", "predicted")
    }
    return {
        name: ClassReport(
            **{key: values[index] for key, values in columns.items()},
            precision=float(scores.precision[index]),
            recall=float(scores.recall[index]),
            f={beta_name(beta): float(scores.f[beta_name(beta)][index]) for beta in betas},
        )
        for index, name in enumerate(classes)
    }


def _average(scores: Scores) -> AverageReport:
    return AverageReport(
        precision=float(scores.precision),
        recall=float(scores.recall),
        f={name: float(value) for name, value in scores.f.items()},
    )


def _n_undefined(*values: NDArray[np.float64]) -> int:
    return int(np.isnan(values).any(axis=0).sum())
