"""`--slices`: the same scores for groups of rows, so that no group hides behind the mean."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dnncli.errors import ConfigError
from dnncli.metrics.counts import count
from dnncli.metrics.intervals import FMethod, proportion_interval
from dnncli.metrics.report import Count, IntervalReport, score_report
from dnncli.metrics.scores import Undefined
from dnncli.predictions import Predictions
from dnncli.registry import suggest

if TYPE_CHECKING:
    import polars as pl

FEW = 20  # rows (positives where there is a positive class) below which a group is marked
MOST = 1000  # groups; a column with more values names rows, not groups

_FOLDER = re.compile(r"folder(?::([1-9]\d*))?")


@dataclass(frozen=True, kw_only=True)
class SliceReport:
    """Scores of one group: of the positive class, or the macro mean without one."""

    n: int
    positives: Count | None  # rows of the positive class; None without one
    few: bool  # too few rows to tell much
    accuracy: float
    precision: float
    recall: float
    f: dict[str, float]  # by the beta's shortest name
    intervals: IntervalReport | None  # None where rows have weights
    accuracy_interval: list[float] | None


def slice_problems(names: Sequence[str]) -> list[str]:
    """One line for each name that no column could have and no folder level is."""
    return [
        f"--slices {name}: levels count from 1: folder:1 is the first folder of the id."
        for name in names
        if name.startswith("folder:") and not _FOLDER.fullmatch(name)
    ]


def slice_column(truth: Predictions, name: str) -> "pl.Series":
    """(N,) the group of each row as text; null where a row is in none.

    Raises:
        ConfigError: if the truth has no such column, or it has too many values.
    """
    import polars as pl

    if name in truth.columns:
        column = truth.columns[name].cast(pl.String)
    elif match := _FOLDER.fullmatch(name):
        # The last part is the file itself.
        folders = pl.col("id").str.split("/")
        level = folders.list.head(folders.list.len() - 1).list.get(
            int(match[1] or 1) - 1, null_on_oob=True
        )
        column = pl.DataFrame({"id": truth.ids}).select(level).to_series()
    else:
        known = [*truth.columns, "folder"]
        raise ConfigError(
            f"--slices {name}: the truth has no such column.{suggest(name, known)} "
            f"Known: {', '.join(known)}, folder:2, ..."
        )
    if (found := column.n_unique()) > MOST:
        raise ConfigError(
            f"--slices {name}: has {found:,} different values; at most {MOST:,} groups are scored."
        )
    return column


def slice_reports(
    truth: Predictions,
    decided: NDArray[np.integer],
    column: "pl.Series",
    *,
    positive: str | None,
    betas: Sequence[float],
    undefined: Undefined,
    confidence: float,
    intervals: FMethod,
) -> dict[str, SliceReport]:
    """Scores of each group, in the order of its names; rows in no group are called "(none)"."""
    classes = truth.class_names
    if truth.labels is None:
        raise ValueError("truth must hold labels.")
    found = {}
    for name, rows in _groups(column):
        weights = None if truth.weights is None else truth.weights[rows]
        counts = count(truth.labels[rows], decided[rows], n_classes=len(classes), weights=weights)
        scores = score_report(
            counts,
            classes=classes,
            betas=betas,
            undefined=undefined,
            confidence=confidence,
            interval_method=intervals,
        )
        entry = scores.averages.macro if positive is None else scores.per_class[positive]
        positives = None if positive is None else scores.per_class[positive].support
        n_right = int((truth.labels[rows] == decided[rows]).sum())
        found[name] = SliceReport(
            n=len(rows),
            positives=positives,
            few=(len(rows) if positives is None else positives) < FEW,
            accuracy=scores.accuracy,
            precision=entry.precision,
            recall=entry.recall,
            f=entry.f,
            intervals=entry.intervals,
            accuracy_interval=None
            if weights is not None
            else [
                float(end) for end in proportion_interval(n_right, len(rows), confidence=confidence)
            ],
        )
    return found


def _groups(column: "pl.Series") -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Name and rows of each group, rows rising."""
    import polars as pl

    names = column.fill_null("(none)")
    values = names.unique().sort()
    codes = names.replace_strict(values, np.arange(len(values)), return_dtype=pl.Int32).to_numpy()
    order = np.argsort(codes, kind="stable")
    ends = np.cumsum(np.bincount(codes, minlength=len(values)))
    yield from zip(values.to_list(), np.split(order, ends[:-1]))
