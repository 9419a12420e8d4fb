"""`--fail-under` for masks."""

from collections.abc import Sequence

from dnncli.metrics.mask_result import MaskReport
from dnncli.metrics.scores import beta_name
from dnncli.registry import suggest
from dnncli.services.evaluation.gates import Gate, GateResult, met, parse_gate

_POOLED = ("dice", "iou", "precision", "recall")
_BY_IMAGE = {"image_dice": "dice", "image_iou": "iou"}
_AVERAGES = ("macro", "micro")
_FORM = (
    "accuracy=VALUE, or dice, iou, precision, recall, f1, f2 ... of a class, macro or micro, as in "
    "dice.crack=0.8; image_dice or image_iou, means over pictures, of a class or macro"
)


def parse_mask_gate(text: str) -> Gate:
    """`dice.crack=0.8` as a gate; whether there is such a class is not known yet.

    Raises:
        ConfigError: if the score or the number is none.
    """
    return parse_gate(text, of_all=("accuracy",), of_a_class=(*_BY_IMAGE, *_POOLED), form=_FORM)


def mask_gate_problems(gates: Sequence[Gate], classes: Sequence[str]) -> list[str]:
    """One line for each gate that no score of these classes answers to."""
    problems = []
    for gate in gates:
        averages = _AVERAGES[:1] if gate.score in _BY_IMAGE else _AVERAGES
        known = tuple(dict.fromkeys((*classes, *averages)))
        if gate.of is not None and gate.of not in known:
            problems.append(
                f"--fail-under {gate.key}: no class or average '{gate.of}'."
                f"{suggest(gate.of, known)} Known: {', '.join(known)}."
            )
    return problems


def judge_masks(gates: Sequence[Gate], report: MaskReport) -> tuple[GateResult, ...]:
    """Compare every gate with its score. A class goes before an average of the same name."""
    return tuple(met(gate, _value(gate, report)) for gate in gates)


def _value(gate: Gate, report: MaskReport) -> float:
    if gate.of is None:
        return report.pooled.accuracy
    entry = report.per_class.get(gate.of)
    if gate.score in _BY_IMAGE:
        return getattr(report.images if entry is None else entry.images, _BY_IMAGE[gate.score])
    scores = getattr(report.pooled, gate.of) if entry is None else entry
    if gate.beta is not None:
        return scores.f[beta_name(gate.beta)]
    return getattr(scores, gate.score)
