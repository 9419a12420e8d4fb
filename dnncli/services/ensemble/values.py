"""Averages what several models say about the same rows in numbers, as those of a regression.

Shapes: N rows, V rows of known value, M models.
"""

import math
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli.data.align import NormalizeIds, normalized
from dnncli.data.frames import write_frame
from dnncli.data.members import Members, open_members
from dnncli.data.predictions import read_predictions
from dnncli.errors import ConfigError, DataError
from dnncli.predictions import Predictions
from dnncli.results import Progress, write_json, written_folder
from dnncli.services.ensemble.folder import REPORT, SCHEMA, check_out, decisions_suffix
from dnncli.services.ensemble.options import ConsensusOptions
from dnncli.services.ensemble.truths import rows_known
from dnncli.services.ensemble.weights import parse_weights
from dnncli.services.option_problems import not_for
from dnncli.voting.pooling import Averages, average
from dnncli.voting.weights import exact_weights

METHODS = ("auto", "mean", "weighted")


@dataclass(frozen=True, kw_only=True)
class Errors:
    """How far numbers are from the truth, in its unit; NaN without rows."""

    n: int  # rows that have a number and a truth
    mean_absolute: float
    root_mean_square: float
    bias: float  # mean of number - truth


@dataclass(frozen=True, kw_only=True)
class ValueMember:
    """One model: the rows that it has a number for, and its errors where the truth is known."""

    n_votes: int
    weight: float | None
    errors: Errors | None


@dataclass(frozen=True, kw_only=True)
class ValuesReport:
    """Means of several models' numbers about the same rows."""

    schema: str
    kind: str  # "value"
    models: tuple[str, ...]
    value: str  # name of the column
    method: str
    n: int
    coverage: float  # share of the rows with a mean
    spread: float  # mean over the rows of the standard deviation around their mean
    weights: dict[str, float] | None
    members: dict[str, ValueMember]
    errors: Errors | None  # of the means; None: no truth
    best_single: str | None  # lowest root mean square error
    out: Path | None
    warnings: tuple[str, ...]


def average_values(
    files: tuple[Path, ...], options: ConsensusOptions, *, folder: Path | None, progress: Progress
) -> ValuesReport:
    """Average the only column of every file, and write the means if there is a folder.

    Raises:
        ConfigError, DataError: what does not fit; nothing is written.
    """
    _check(options)
    members = open_members(
        files,
        classes=options.classes,
        missing=options.missing,
        normalize_ids=options.normalize_ids,
        scores="any",
        progress=progress,
    )
    if members.kind != "score":
        raise DataError(
            "--scores any: every file needs the columns id and one of numbers. "
            f"Found: {members.kind} files of {', '.join(members.class_names[:5])}."
        )
    weights = None
    if options.weights:
        weights = exact_weights(parse_weights(options.weights, members.names), members.names)
    values = [numbers[:, 0] for _, numbers in members.probs(progress=progress)]
    means = average(values, weights=weights)
    truth = None
    if options.truth is not None:
        column, form = members.class_names[0], options.normalize_ids
        truth = _truth(options.truth, column, normalize_ids=form)
    report = _report(members, values, means, weights, truth=truth, name=str(options.truth))
    if folder is None:
        return report
    report = replace(report, out=folder)
    _write(folder, members, means, report, suffix=decisions_suffix(files, options.format))
    return report


def _check(options: ConsensusOptions) -> None:
    given = {
        "agree": options.agree is not None,
        "k": options.k is not None,
        "positive": options.positive is not None,
        "tie": options.tie != "abstain",
        "weights-from": options.weights_from is not None,
        "weight-by": options.weight_by is not None,
        "target-recall": options.target_recall is not None,
        "nan": options.nan != "error",
        "min-votes": options.min_votes > 1,
        "denominator": options.denominator != "all",
        "split": options.split is not None,
    }
    problems = not_for("--scores any", given)
    if options.method not in METHODS:
        problems.append(
            f"--method {options.method}: numbers are averaged. Allowed: {', '.join(METHODS)}."
        )
    if options.method == "weighted" and not options.weights:
        problems.append("--method weighted: needs --weights NAME=W,...")
    if problems:
        raise ConfigError("consensus:", problems)


def _truth(path: Path, column: str, *, normalize_ids: NormalizeIds) -> Predictions:
    truth = read_predictions(path, scores="any")
    if truth.kind != "score" or truth.class_names != (column,):
        raise DataError(f"{path}: needs the columns id,{column}, as the models' files have them.")
    return normalized(truth, str(path), normalize_ids=normalize_ids)


def _report(
    members: Members,
    values: list[NDArray[np.floating]],
    means: Averages,
    weights: tuple[Fraction, ...] | None,
    *,
    truth: Predictions | None,
    name: str,
) -> ValuesReport:
    known: NDArray[np.int64] | None = None
    target: NDArray[np.floating] = np.zeros(0)
    if truth is not None and truth.probs is not None:
        known, target = rows_known(truth, members.ids, name=name), truth.probs[:, 0]
    found = {}
    for place, (model, numbers) in enumerate(zip(members.names, values)):
        found[model] = ValueMember(
            n_votes=int((~np.isnan(numbers)).sum()),
            weight=None if weights is None else float(weights[place]),
            errors=None if known is None else _errors(numbers[known], target),
        )
    has_mean = ~np.isnan(means.mean)
    judged = {
        model: member.errors.root_mean_square
        for model, member in found.items()
        if member.errors is not None and member.errors.n
    }
    return ValuesReport(
        schema=SCHEMA,
        kind="value",
        models=members.names,
        value=members.class_names[0],
        method="mean" if weights is None else "weighted",
        n=len(members),
        coverage=float(has_mean.mean()),
        spread=float(means.spread[has_mean].mean()) if has_mean.any() else math.nan,
        weights=None if weights is None else dict(zip(members.names, map(float, weights))),
        members=found,
        errors=None if known is None else _errors(means.mean[known], target),
        best_single=min(judged, key=judged.__getitem__) if judged else None,
        out=None,
        warnings=members.warnings,
    )


def _errors(numbers: NDArray[np.floating], truth: NDArray[np.floating]) -> Errors:
    apart = (numbers - truth)[~np.isnan(numbers)]
    if len(apart) == 0:
        return Errors(n=0, mean_absolute=math.nan, root_mean_square=math.nan, bias=math.nan)
    return Errors(
        n=len(apart),
        mean_absolute=float(np.abs(apart).mean()),
        root_mean_square=float(np.sqrt(np.square(apart).mean())),
        bias=float(apart.mean()),
    )


def _write(
    folder: Path, members: Members, means: Averages, report: ValuesReport, *, suffix: str
) -> None:
    import polars as pl

    check_out(folder)
    with written_folder(folder) as neighbour:
        columns = {
            "id": members.ids,
            report.value: means.mean,
            "spread": means.spread,
            "n_votes": means.n_votes,
        }
        frame = pl.DataFrame(columns).fill_nan(None)
        write_frame(frame, {"kind": "value"}, neighbour / f"decisions{suffix}")
        write_json(neighbour / REPORT, report)
