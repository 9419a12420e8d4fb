"""`--fail-under`: scores that must not be lower than they are asked to be."""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from dnncli.errors import ConfigError
from dnncli.metrics.report import Averages, ClassReport
from dnncli.metrics.scores import BETA_LIMITS, beta_name
from dnncli.registry import suggest
from dnncli.services.evaluation.curves import Curves

_OF_ALL = ("accuracy", "subset_accuracy")
_OF_COUNTS = ("precision", "recall")
_OF_CURVES = ("average_precision", "roc_auc")
_AVERAGES = ("macro", "weighted", "micro", "samples")
_FORM = (
    "accuracy=VALUE, or precision, recall, f1, f2 ..., average_precision or roc_auc of a class or "
    "average, as in recall.defect=0.95 or f1.macro=0.8"
)
_ROUNDING = 1e-12  # a mean of values equal to the floor may end this far below it
_LISTED = 10  # names in a message


@dataclass(frozen=True, kw_only=True)
class Gate:
    """A score and the least that it may be."""

    key: str  # as written: "recall.defect"
    score: str  # "accuracy", "recall", "f", ...
    of: str | None  # a class or an average; None: of all rows
    beta: float | None  # of score "f"
    floor: float


@dataclass(frozen=True, kw_only=True)
class GateResult:
    """Whether a score is high enough; an undefined one (NaN) is not."""

    key: str
    floor: float
    value: float
    met: bool

    def __str__(self) -> str:
        found = "undefined (n/a)" if math.isnan(self.value) else repr(self.value)
        return f"{self.key} is {found}, not >= {self.floor:g}."


def parse_gate(
    text: str,
    *,
    of_all: Sequence[str] = _OF_ALL,
    of_a_class: Sequence[str] = (*_OF_COUNTS, *_OF_CURVES),
    form: str = _FORM,
) -> Gate:
    """`recall.defect=0.95` as a gate; whether there is such a class is not known yet.

    Args:
        text: as typed.
        of_all: scores of all rows.
        of_a_class: scores of a class or average; F scores are, too.
        form: what is allowed, for messages.

    Raises:
        ConfigError: if the score or the number is none.
    """
    key, equals, number = text.rpartition("=")
    try:
        floor = float(number)
    except ValueError:
        floor = math.nan
    if not equals or not 0 <= floor <= 1:
        raise ConfigError(f"--fail-under {text}: must be KEY=VALUE, VALUE from 0 to 1: {form}.")
    score_of = rf"{'|'.join(of_a_class)}|f(?P<beta>\d+(\.\d+)?)"
    pattern = rf"(?P<whole>{'|'.join(of_all)})|(?P<score>{score_of})\.(?P<of>.+)"
    match = re.fullmatch(pattern, key, re.DOTALL)
    if match is None:
        name, _, of = key.partition(".")
        near = suggest(name, [*of_all, *of_a_class, "f1", "f2"])
        if not of and re.fullmatch(score_of, name):
            near = f" Did you mean '{name}.CLASS' or '{name}.macro'?"
        raise ConfigError(f"--fail-under {key}: no such score.{near} Known: {form}.")
    if match["whole"]:
        return Gate(key=key, score=key, of=None, beta=None, floor=floor)
    beta = float(match["beta"]) if match["beta"] else None
    if beta is not None and not BETA_LIMITS[0] <= beta <= BETA_LIMITS[1]:
        raise ConfigError(f"--fail-under {key}: beta must be greater than 0.")
    score = "f" if beta is not None else match["score"]
    return Gate(key=key, score=score, of=match["of"], beta=beta, floor=floor)


def parse_gates(
    texts: Sequence[str], parse: Callable[[str], Gate] = parse_gate
) -> tuple[tuple[Gate, ...], list[str]]:
    """The gates, and what is wrong with texts that are none."""
    gates, problems = [], []
    for text in texts:
        try:
            gates.append(parse(text))
        except ConfigError as error:
            problems.append(str(error))
    return tuple(gates), problems


def gate_problems(
    gates: Sequence[Gate], classes: Sequence[str], *, curved: Sequence[str], multi_label: bool
) -> list[str]:
    """One line for each gate that no score of these classes answers to.

    Args:
        classes: (C,) all of them.
        curved: those with scores, and so with curves.
        multi_label: rows may belong to several classes.
    """
    problems = []
    averages = _AVERAGES if multi_label else _AVERAGES[:-1]
    for gate in gates:
        known: tuple[str, ...] = (*classes, *averages)
        if gate.score in _OF_CURVES:
            known = (*curved, "macro") if curved else ()
            if not known:
                problems.append(f"--fail-under {gate.key}: labels have no scores, so no curves.")
                continue
        if gate.score == "subset_accuracy" and not multi_label:
            problems.append(f"--fail-under {gate.key}: is for --multi-label. Use accuracy.")
        elif gate.score == "accuracy" and multi_label:
            problems.append(f"--fail-under {gate.key}: use subset_accuracy with --multi-label.")
        elif gate.of is not None and gate.of not in known:
            known = tuple(dict.fromkeys(known))  # a class may be called as an average is
            some = ", ".join(known[:_LISTED]) + (", ..." if len(known) > _LISTED else "")
            near = suggest(gate.of, known)
            problems.append(
                f"--fail-under {gate.key}: no class or average '{gate.of}'.{near} Known: {some}."
            )
    return problems


def judge(
    gates: Sequence[Gate],
    *,
    accuracy: float,
    subset_accuracy: float | None,
    per_class: dict[str, ClassReport],
    averages: Averages,
    curves: Curves | None,
) -> tuple[GateResult, ...]:
    """Compare every gate with its score. A class goes before an average of the same name."""
    results = []
    for gate in gates:
        if gate.of is None:
            value = accuracy if subset_accuracy is None else subset_accuracy
        elif curves is not None and gate.score in _OF_CURVES:
            value = getattr(curves.per_class.get(gate.of, curves.macro), gate.score)
        else:
            entry = per_class[gate.of] if gate.of in per_class else getattr(averages, gate.of)
            value = getattr(entry, gate.score)
            value = value if gate.beta is None else value[beta_name(gate.beta)]
        results.append(met(gate, value))
    return tuple(results)


def met(gate: Gate, value: float) -> GateResult:
    """Compare a gate with its score."""
    enough = value >= gate.floor or math.isclose(value, gate.floor, rel_tol=_ROUNDING)
    return GateResult(key=gate.key, floor=gate.floor, value=value, met=enough)
