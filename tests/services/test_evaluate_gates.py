"""`--fail-under`: which keys there are, and which values pass."""

import math

import numpy as np
import pytest

from dnncli.errors import ConfigError
from dnncli.metrics.counts import Counts
from dnncli.metrics.report import score_report
from dnncli.services.evaluation.curves import CurveReport, Curves
from dnncli.services.evaluation.gates import gate_problems, judge, parse_gate

CLASSES = ("defect", "ok")


def judged(*texts, confusion=((19, 1), (5, 75)), curves=None):
    gates = [parse_gate(text) for text in texts]
    counts = Counts(confusion=np.array(confusion), undecided=np.zeros(2, np.int64))
    betas = [gate.beta for gate in gates if gate.beta is not None] or [1.0]
    scores = score_report(counts, classes=CLASSES, betas=betas)
    return judge(
        gates,
        accuracy=scores.accuracy,
        subset_accuracy=None,
        per_class=scores.per_class,
        averages=scores.averages,
        curves=curves,
    )


def problems(*texts, curved=CLASSES, multi_label=False):
    gates = [parse_gate(text) for text in texts]
    return gate_problems(gates, CLASSES, curved=curved, multi_label=multi_label)


def test_a_score_equal_to_the_floor_passes_and_any_lower_one_does_not():
    first, second, third = judged("recall.defect=0.95", "recall.defect=0.9501", "accuracy=0.94")
    assert (first.value, first.met) == (19 / 20, True)
    assert not second.met
    assert str(second) == "recall.defect is 0.95, not >= 0.9501."
    assert third.met


def test_a_mean_that_rounding_left_below_the_floor_passes():
    # (0.1 + 0.7) / 2 is 0.3999999999999999 in binary arithmetic.
    (result,) = judged("recall.macro=0.4", confusion=((1, 9), (3, 7)))
    assert result.value < 0.4
    assert result.met


def test_every_kind_of_score_can_be_a_gate():
    curves = Curves(
        average_precision=0.5,
        roc_auc=0.6,
        of="defect",
        macro=CurveReport(average_precision=0.7, roc_auc=0.8),
        per_class={"defect": CurveReport(average_precision=0.5, roc_auc=0.6)},
    )
    results = judged(
        "precision.defect=0",
        "f2.defect=0",
        "f0.5.ok=0",
        "f1.weighted=0",
        "average_precision.defect=0",
        "roc_auc.macro=0",
        curves=curves,
    )
    values = [result.value for result in results]
    assert values[0] == 19 / 24
    assert values[1] == pytest.approx(95 / (95 + 4 + 5), abs=1e-15)
    assert values[2] == pytest.approx(1.25 * 75 / (1.25 * 75 + 0.25 * 5 + 1), abs=1e-15)
    assert values[4:] == [0.5, 0.8]


def test_an_undefined_score_fails_even_at_zero():
    (result,) = judged("precision.defect=0", confusion=((0, 3), (0, 5)))
    assert math.isnan(result.value)
    assert not result.met
    assert str(result) == "precision.defect is undefined (n/a), not >= 0."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("recal.defect=0.9", r"--fail-under recal.defect: no such score. Did you mean 'recall'\?"),
        ("recall=0.9", r"Did you mean 'recall.CLASS' or 'recall.macro'\?"),
        ("f1=0.9", r"Did you mean 'f1.CLASS' or 'f1.macro'\?"),
        ("f.defect=0.9", "no such score"),
        ("accuracy", "must be KEY=VALUE, VALUE from 0 to 1"),
        ("accuracy=95", "must be KEY=VALUE, VALUE from 0 to 1"),
        ("accuracy=nan", "must be KEY=VALUE, VALUE from 0 to 1"),
        ("f0.defect=0.9", "beta must be greater than 0"),
    ],
)
def test_keys_and_values_that_are_none_are_refused(text, message):
    with pytest.raises(ConfigError, match=message):
        parse_gate(text)


def test_classes_with_dots_and_equal_signs_can_be_named():
    gate = parse_gate("f0.5.v=1.0=0.9")
    assert (gate.score, gate.beta, gate.of, gate.floor) == ("f", 0.5, "v=1.0", 0.9)


def test_a_class_called_as_an_average_is_listed_once():
    found = gate_problems(
        [parse_gate("recall.x=1")], ("macro", "rain"), curved=("macro", "rain"), multi_label=False
    )
    assert found[0].endswith("Known: macro, rain, weighted, micro.")


def test_gates_that_the_classes_have_no_score_for_are_all_named():
    assert problems("recall.defect=1", "precision.macro=1", "roc_auc.ok=1", "accuracy=1") == []
    assert problems("recall.defct=1", "recall.samples=1", "subset_accuracy=1") == [
        "--fail-under recall.defct: no class or average 'defct'. Did you mean 'defect'? "
        "Known: defect, ok, macro, weighted, micro.",
        "--fail-under recall.samples: no class or average 'samples'. "
        "Known: defect, ok, macro, weighted, micro.",
        "--fail-under subset_accuracy: is for --multi-label. Use accuracy.",
    ]
    assert problems("roc_auc.ok=1", curved=()) == [
        "--fail-under roc_auc.ok: labels have no scores, so no curves."
    ]
    assert problems("recall.samples=1", "subset_accuracy=1", multi_label=True) == []
    assert problems("accuracy=1", multi_label=True) == [
        "--fail-under accuracy: use subset_accuracy with --multi-label."
    ]
