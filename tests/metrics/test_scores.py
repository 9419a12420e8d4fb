"""Precision, recall, F-beta and averages: by hand, and against scikit-learn."""

import json
import math
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from dnncli.metrics.counts import count
from dnncli.metrics.report import score_report
from dnncli.metrics.scores import average, beta_name, f_beta, precision, recall

CASES = Path(__file__).parents[2] / ".." / "shared" / "cases" / "metrics_hard.json"
BETAS = (0.5, 1.0, 2.0)
POLICIES = {"skip": np.nan, "0": 0, "1": 1}  # ours: scikit-learn's zero_division


def report_of(labels, decisions, *, classes, weights=None, undefined="skip", betas=BETAS):
    counts = count(
        np.asarray(labels), np.asarray(decisions), n_classes=len(classes), weights=weights
    )
    return score_report(counts, classes=classes, betas=betas, undefined=undefined)


def test_values_worked_out_by_hand():
    assert precision(3, 1) == 3 / 4
    assert recall(3, 2) == 3 / 5
    assert f_beta(3, 1, 2, beta=1) == pytest.approx(6 / 9, abs=1e-15)
    # (1 + 4) 3 / ((1 + 4) 3 + 4 * 2 + 1)
    assert f_beta(3, 1, 2, beta=2) == pytest.approx(15 / 24, abs=1e-15)
    assert f_beta(3, 1, 2, beta=0.5) == pytest.approx(3.75 / 5.25, abs=1e-15)


def test_a_score_is_undefined_only_where_its_denominator_is_zero():
    assert np.isnan(precision([0, 0], [0, 1])).tolist() == [True, False]
    assert np.isnan(recall([0, 0], [0, 1])).tolist() == [True, False]
    # No decision for the class: precision is undefined, F is not.
    assert f_beta(0, 0, 5, beta=1) == 0
    assert np.isnan(f_beta(0, 0, 0, beta=1))


@pytest.mark.parametrize("beta", [1e-6, 0.3, 1, 7.5, 1e6])
def test_f_of_exchanged_truth_and_prediction_is_f_of_the_inverse_beta(beta):
    assert f_beta(3, 1, 2, beta=beta) == pytest.approx(f_beta(3, 2, 1, beta=1 / beta), rel=1e-12)


def test_extreme_betas_approach_precision_and_recall():
    assert f_beta(3, 1, 2, beta=1e-6) == pytest.approx(3 / 4, abs=1e-9)
    assert f_beta(3, 1, 2, beta=1e6) == pytest.approx(3 / 5, abs=1e-9)


@pytest.mark.parametrize("beta", [0, -1, 1e-7, 1e7, math.inf, math.nan])
def test_betas_that_make_no_sense_are_refused(beta):
    with pytest.raises(ValueError, match="beta must lie in"):
        f_beta(1, 1, 1, beta=beta)


@pytest.mark.parametrize(
    ("beta", "name"), [(1, "1"), (2.0, "2"), (0.5, "0.5"), (0.1 + 0.2, "0.30000000000000004")]
)
def test_a_beta_has_its_shortest_name(beta, name):
    assert beta_name(beta) == name


def test_an_undefined_value_is_left_out_or_counts_as_asked():
    values = np.array([1.0, np.nan, 0.5])
    assert average(values) == 0.75
    assert average(values, undefined="0") == 0.5
    assert average(values, undefined="1") == pytest.approx(2.5 / 3)
    assert average(values, weights=np.array([1, 10, 3])) == (1 + 1.5) / 4


def test_a_mean_without_a_defined_value_is_undefined():
    assert np.isnan(average(np.array([np.nan, np.nan])))
    # The only class with any weight is the undefined one.
    assert np.isnan(average(np.array([np.nan, 0.0]), weights=np.array([1, 0])))


def test_scores_of_a_class_that_was_never_predicted():
    # A A A A B B against A A A B B C, worked out by hand
    report = report_of([0, 0, 0, 1, 1, 2], [0, 0, 0, 0, 1, 1], classes=("A", "B", "C"))
    c = report.per_class["C"]
    assert np.isnan(c.precision)
    assert (c.recall, c.f["1"]) == (0, 0)
    assert report.averages.undefined_classes == 1
    assert report.averages.undefined.precision == 1
    assert report.averages.undefined.f == {"0.5": 0, "1": 0, "2": 0}
    assert report.averages.macro.precision == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert report.averages.macro.recall == pytest.approx((1 + 1 / 2 + 0) / 3)


def test_one_sample_that_is_wrong():
    # scikit-learn 1.9 gives 0.0 for the weighted precision
    report = report_of([0], [1], classes=("x", "y"))
    assert report.averages.macro.precision == 0
    assert np.isnan(report.averages.weighted.precision)
    assert report.averages.weighted.recall == 0
    assert report.averages.micro.precision == 0


def test_one_class_everywhere_scores_one():
    report = report_of([0] * 5, [0] * 5, classes=("ok",))
    assert report.accuracy == 1
    assert report.averages.macro.f == {"0.5": 1, "1": 1, "2": 1}


def test_sample_weights_worked_out_by_hand():
    weights = np.array([1, 2.5, 0.5, 4])
    report = report_of([0, 0, 1, 1], [0, 1, 1, 0], classes=("A", "B"), weights=weights)
    a = report.per_class["A"]
    assert (a.tp, a.fp, a.fn, a.support, a.predicted) == (1, 4, 2.5, 3.5, 5)
    assert a.precision == pytest.approx(1 / 5, abs=1e-15)
    assert a.recall == pytest.approx(1 / 3.5, abs=1e-15)
    assert report.accuracy == pytest.approx(1.5 / 8, abs=1e-15)


def test_absent_classes_do_not_spoil_the_headline_of_a_perfect_model():
    report = report_of([0, 1, 2], [0, 1, 2], classes=tuple("ABCDE"))
    assert report.averages.macro.f["1"] == 1
    assert report.averages.macro.recall == 1  # = balanced accuracy over supported classes


def test_the_majority_baseline_names_every_most_frequent_class():
    report = report_of([0, 0, 1, 1, 2], [0] * 5, classes=("A", "B", "C"))
    assert report.majority.classes == ("A", "B")
    assert report.majority.accuracy == 2 / 5


@pytest.mark.parametrize("undefined", POLICIES)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_scikit_learn(seed, weighted, undefined):
    rng = np.random.default_rng(seed)
    n_classes = int(rng.integers(1, 7))
    n = int(rng.integers(1, 60))
    # Only some of the declared classes occur, in truth and in predictions.
    labels = rng.choice(rng.permutation(n_classes)[: rng.integers(1, n_classes + 1)], size=n)
    decisions = rng.choice(rng.permutation(n_classes)[: rng.integers(1, n_classes + 1)], size=n)
    weights = rng.random(n) + 0.01 if weighted else None
    classes = tuple(f"class {index}" for index in range(n_classes))
    report = report_of(labels, decisions, classes=classes, weights=weights, undefined=undefined)

    assert report.accuracy == pytest.approx(
        accuracy_score(labels, decisions, sample_weight=weights), abs=1e-12
    )
    for beta in BETAS:
        for kind in ("macro", "weighted", None):
            values = precision_recall_fscore_support(
                labels,
                decisions,
                beta=beta,
                labels=range(n_classes),
                average=kind,
                sample_weight=weights,
                zero_division=POLICIES[undefined] if kind else np.nan,
            )
            name = beta_name(beta)
            if kind is None:
                for index, ours in enumerate(report.per_class.values()):
                    expected = [column[index] for column in values]
                    got = [ours.precision, ours.recall, ours.f[name], ours.support]
                    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
                continue
            ours = getattr(report.averages, kind)
            got = [ours.precision, ours.recall, ours.f[name]]
            # Where every weighted class is undefined, scikit-learn says 0 and we say undefined.
            got = [0.0 if np.isnan(value) else value for value in got]
            expected = np.nan_to_num(np.array(values[:3], float))
            np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_micro_scores_equal_accuracy_when_every_row_is_decided(seed):
    rng = np.random.default_rng(seed)
    labels, decisions = rng.integers(4, size=(2, 50))
    report = report_of(labels, decisions, classes=tuple("ABCD"))
    micro = report.averages.micro
    for value in (micro.precision, micro.recall, *micro.f.values()):
        assert value == pytest.approx(report.accuracy, abs=1e-15)


def test_exchanging_truth_and_predictions_exchanges_precision_and_recall():
    labels, decisions = np.random.default_rng(0).integers(4, size=(2, 50))
    one = report_of(labels, decisions, classes=tuple("ABCD"))
    other = report_of(decisions, labels, classes=tuple("ABCD"))
    for name, ours in one.per_class.items():
        theirs = other.per_class[name]
        assert (ours.precision, ours.recall) == (theirs.recall, theirs.precision)
        assert ours.f["1"] == theirs.f["1"]
        assert ours.f["2"] == pytest.approx(theirs.f["0.5"], abs=1e-15)


def hard_cases():
    if not CASES.exists():
        return []
    cases = json.loads(CASES.read_text(encoding="utf-8"))["cases"]
    return [pytest.param(case, id=case["id"]) for case in cases if "expect" in case]


@pytest.mark.skipif(not CASES.exists(), reason="the worked cases are not in the repository")
@pytest.mark.parametrize("case", hard_cases())
@pytest.mark.parametrize(("undefined", "key"), [("skip", "nan"), ("0", "0"), ("1", "1")])
def test_worked_cases(case, undefined, key):
    given, expect = case["input"], case["expect"]
    classes = given["classes"]
    weights = given.get("sample_weight")
    report = report_of(
        [classes.index(name) for name in given["y_true"]],
        [classes.index(name) for name in given["y_pred"]],
        classes=classes,
        weights=None if weights is None else np.array(weights, float),
        undefined=undefined,
    )
    assert report.accuracy == pytest.approx(expect["accuracy"], abs=1e-12)
    assert report.confusion.counts == expect["confusion_matrix"]["counts"]
    for name, expected in expect["per_class"].items():
        ours = report.per_class[name]
        for part in ("tp", "fp", "fn", "support", "predicted"):
            assert getattr(ours, part) == expected[part]
        assert_scores(ours, expected)
    for kind, expected in expect["averages_by_zero_division"][key].items():
        assert_scores(getattr(report.averages, kind), expected)


def assert_scores(ours, expected):
    got = {"precision": ours.precision, "recall": ours.recall}
    got |= {f"f{name}": value for name, value in ours.f.items()}
    for name, value in got.items():
        wanted = math.nan if expected[name] is None else expected[name]
        assert value == pytest.approx(wanted, abs=1e-12, nan_ok=True), name
