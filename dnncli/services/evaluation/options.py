"""The options of `evaluate`: what can be said against them before anything is computed."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from dnncli.data.align import NORMALIZE_IDS, NormalizeIds
from dnncli.errors import ConfigError
from dnncli.metrics.counts import TIES, Tie
from dnncli.metrics.decisions import NAN, Nan
from dnncli.metrics.intervals import F_METHODS, FMethod
from dnncli.metrics.scores import UNDEFINED, Undefined
from dnncli.registry import suggest
from dnncli.services.evaluation.gates import Gate, gate_problems, parse_gates
from dnncli.services.evaluation.slices import slice_problems
from dnncli.services.evaluation.verdicts import ThresholdSource, source_of
from dnncli.services.option_problems import (
    beta_problems,
    class_problems,
    confidence_problems,
    word_problems,
)
from dnncli.thresholds import ClassThresholds, Thresholds, read_thresholds

_LISTED = 10  # classes in a message


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Options of `evaluate` after they were checked."""

    classes: tuple[str, ...]
    betas: tuple[float, ...]
    undefined: Undefined
    tie: Tie
    positive: str | None
    normalize_ids: NormalizeIds
    confidence: float  # of the intervals, in (0, 1)
    intervals: FMethod  # of the F scores
    bins: int  # of the calibration error, which depends on them
    nan: Nan
    multi_label: bool
    threshold: float | None
    thresholds: Thresholds | None
    thresholds_file: Path | None
    threshold_from: ThresholdSource | None  # where `threshold` came from; None: --threshold
    slices: tuple[str, ...]
    gates: tuple[Gate, ...]
    against: Path | None


def checked(
    *,
    classes: Sequence[str],
    betas: Sequence[float],
    undefined: str,
    tie: str,
    positive: str | None,
    normalize_ids: str,
    confidence: float,
    intervals: str,
    bins: int,
    nan: str,
    multi_label: bool,
    threshold: float | None,
    thresholds: Path | None,
    slices: Sequence[str],
    fail_under: Sequence[str],
    against: Path | None,
) -> EvalOptions:
    """The options, if each by itself makes sense.

    Raises:
        ConfigError: naming everything that does not.
        DataError: if the thresholds file cannot be used.
    """
    problems = word_problems(
        {
            "undefined": (undefined, UNDEFINED),
            "tie": (tie, TIES),
            "normalize-ids": (normalize_ids, NORMALIZE_IDS),
            "intervals": (intervals, F_METHODS),
            "nan": (nan, NAN),
        }
    )
    problems += [*beta_problems(betas), *confidence_problems(confidence)]
    if bins < 1:
        problems.append(f"--bins {bins}: must be at least 1.")
    if classes and positive is not None and positive not in classes:
        problems.append(f"--positive: {no_class(positive, classes)}")
    problems += class_problems(classes)
    if threshold is not None and not math.isfinite(threshold):
        problems.append(f"--threshold {threshold}: must be a finite number.")
    if threshold is not None and thresholds is not None:
        problems.append("--threshold and --thresholds: give one of them.")
    problems += _not_for_several_labels(
        multi_label=multi_label, nan=nan, slices=slices, against=against
    )
    problems += slice_problems(slices)
    gates, wrong = parse_gates(fail_under)
    problems += wrong
    if problems:
        raise ConfigError("eval:", problems)
    of_gates = [gate.beta for gate in gates if gate.beta is not None]
    return EvalOptions(
        classes=tuple(classes),
        betas=tuple(dict.fromkeys(map(float, (*betas, *of_gates)))),
        undefined=undefined,  # type: ignore[arg-type]
        tie=tie,  # type: ignore[arg-type]
        positive=positive,
        normalize_ids=normalize_ids,  # type: ignore[arg-type]
        confidence=confidence,
        intervals=intervals,  # type: ignore[arg-type]
        bins=bins,
        nan=nan,  # type: ignore[arg-type]
        multi_label=multi_label,
        threshold=threshold,
        thresholds=None if thresholds is None else read_thresholds(thresholds),
        thresholds_file=thresholds,
        threshold_from=None,
        slices=tuple(dict.fromkeys(slices)),
        gates=gates,
        against=against,
    )


def _not_for_several_labels(
    *, multi_label: bool, nan: str, slices: Sequence[str], against: Path | None
) -> list[str]:
    if not multi_label:
        return []
    given = {"--nan positive": nan == "positive", "--slices": slices, "--against": against}
    return [f"{name}: is not for --multi-label yet." for name, used in given.items() if used]


def bound(
    options: EvalOptions,
    classes: Sequence[str],
    *,
    kind: Literal["label", "probability", "score"],
    scored: Sequence[str],
) -> EvalOptions:
    """The options for these classes: the positive class and its threshold are settled.

    Args:
        classes: (C,) in order.
        kind: of the predictions.
        scored: the classes that have scores: none of labels, one of a score column.

    Raises:
        ConfigError: naming every option that does not fit the classes or the predictions.
    """
    positive = options.positive
    if positive is None and not options.multi_label:
        positive = _implied(options, kind=kind, scored=scored)
    problems = _problems(options, classes, kind=kind, positive=positive, scored=scored)
    problems += gate_problems(
        options.gates, classes, curved=scored, multi_label=options.multi_label
    )
    if problems:
        raise ConfigError("eval:", problems)
    entry = None
    if options.thresholds is not None and positive is not None and not options.multi_label:
        entry = options.thresholds.per_class[positive]
    if entry is None or options.thresholds is None or options.thresholds_file is None:
        return replace(options, positive=positive)
    return replace(
        options,
        positive=positive,
        threshold=entry.threshold,
        threshold_from=source_of(entry, options.thresholds, file=options.thresholds_file),
    )


def _implied(
    options: EvalOptions, *, kind: Literal["label", "probability", "score"], scored: Sequence[str]
) -> str | None:
    """The class of a score column, or the only one that the thresholds file is about."""
    if kind == "score":
        return scored[0]
    only = None if options.thresholds is None else options.thresholds.only
    return None if only is None else only.positive


def _problems(
    options: EvalOptions,
    classes: Sequence[str],
    *,
    kind: Literal["label", "probability", "score"],
    positive: str | None,
    scored: Sequence[str],
) -> list[str]:
    problems = []
    if positive is not None and positive not in classes:
        if options.positive is not None:  # else it is the thresholds file that names it, see below
            problems.append(f"--positive: {no_class(positive, classes)}")
    elif kind == "score" and not options.multi_label and positive != scored[0]:
        problems.append(
            f"--positive {positive}: the only score is that of '{scored[0]}'. Leave it out, or "
            "name that class."
        )
    if options.nan == "positive" and positive is None:
        problems.append("--nan positive: needs --positive CLASS.")
    if kind == "label" and not options.multi_label:
        problems += [
            f"--{name}: the predictions are labels without scores. Give probabilities or scores."
            for name in ("threshold", "thresholds")
            if getattr(options, name) is not None
        ]
    elif options.threshold is not None and positive is None and not options.multi_label:
        problems.append("--threshold: needs --positive CLASS, the class whose score it is for.")
    if options.thresholds is not None:
        known = (
            classes if kind != "score" or options.multi_label else [*options.thresholds.per_class]
        )
        problems += _threshold_problems(options, known, positive=positive)
    return problems


def _threshold_problems(
    options: EvalOptions, classes: Sequence[str], *, positive: str | None
) -> list[str]:
    found: dict[str, ClassThresholds] = dict(
        options.thresholds.per_class if options.thresholds else {}
    )
    where = f"--thresholds {options.thresholds_file}:"
    problems = [
        f"{where} has a threshold for class '{name}'. {no_class(name, classes)}"
        for name in found
        if name not in classes
    ]
    if positive is not None and positive not in found:
        problems.append(f"{where} has no threshold for '{positive}', only for {_some([*found])}.")
    elif positive is not None and found[positive].threshold is None:
        problems.append(f"{where} its rows held no '{positive}', so it has no threshold for it.")
    return problems


def no_class(name: str, classes: Sequence[str]) -> str:
    """One line for the name of a class that is none."""
    return f"Unknown class '{name}'.{suggest(name, classes)} Known: {_some(classes)}."


def _some(names: Sequence[str]) -> str:
    more = f", ... ({len(names)} in all)" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
