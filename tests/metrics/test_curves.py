"""Exact curves: every distinct score is a threshold."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from dnncli.metrics.curves import (
    DEFINITIONS,
    average_precision,
    curve,
    roc_auc,
)


def test_counts_worked_out_by_hand():
    # Falling: 0.9 (+), 0.8 (-), 0.8 (+) together, 0.1 (+)
    points = curve([True, False, True, True], np.array([0.9, 0.8, 0.8, 0.1]))
    assert points.thresholds.tolist() == [0.9, 0.8, 0.1]
    assert points.tp.tolist() == [1, 2, 3]
    assert points.fp.tolist() == [0, 1, 1]


@pytest.mark.parametrize("seed", range(5))
def test_points_agree_with_scikit_learn(seed):
    rng = np.random.default_rng(seed)
    truth, scores = rng.random(200) < 0.2, rng.integers(0, 30, 200) / 30
    precision, recall, thresholds = precision_recall_curve(truth, scores)
    points = curve(truth, scores)
    assert points.thresholds[::-1] == pytest.approx(thresholds, abs=0)
    assert points.precision[::-1] == pytest.approx(precision[:-1], abs=1e-12)
    assert points.recall[::-1] == pytest.approx(recall[:-1], abs=1e-12)


def test_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    truth, scores = rng.random(50) < 0.5, rng.random(50).round(1)
    order = rng.permutation(50)
    one, two = curve(truth, scores), curve(truth[order], scores[order])
    assert (one.tp == two.tp).all()
    assert (one.thresholds == two.thresholds).all()


def test_without_positives_nothing_is_defined():
    points = curve([False, False], np.array([0.1, 0.2]))
    assert np.isnan(points.recall).all()
    assert len(curve([], np.zeros(0)).tp) == 0


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="finite"):
        curve([True], np.array([np.nan]))
    with pytest.raises(ValueError, match=r"is_positive \(1,\) and scores \(2,\)"):
        curve([True], np.zeros(2))


def test_areas_worked_out_by_hand():
    # Falling: + - + -: precisions 1, 1/2, 2/3, 1/2 at recalls 1/2, 1/2, 1, 1
    points = curve([True, False, True, False], np.array([0.9, 0.8, 0.7, 0.6]))
    assert average_precision(points) == pytest.approx((1 + 2 / 3) / 2, abs=1e-15)
    assert roc_auc(points) == 3 / 4  # 3 of the 4 pairs are in order
    assert points.fpr.tolist() == [0, 0.5, 0.5, 1]
    # 0, 0.1, ... 0.5 are reached with precision 1, the other five with 2/3.
    assert average_precision(points, "voc11") == pytest.approx((6 + 5 * 2 / 3) / 11, abs=1e-15)
    # Falling: - + +: the envelope sees the better precision further down.
    worse_first = curve([False, True, True], np.array([0.9, 0.8, 0.7]))
    assert average_precision(worse_first) == pytest.approx((1 / 2 + 2 / 3) / 2, abs=1e-15)
    assert average_precision(worse_first, "envelope") == pytest.approx(2 / 3, abs=1e-15)


def test_scores_that_are_all_equal_are_one_point_worth_a_coin():
    points = curve([True, False, False, False], np.zeros(4))
    assert average_precision(points) == 1 / 4
    assert roc_auc(points) == 1 / 2


@pytest.mark.parametrize("truth", [[True, True], [False, False], []])
def test_areas_are_undefined_where_a_side_is_empty(truth):
    points = curve(truth, np.linspace(0, 1, len(truth)))
    assert np.isnan(roc_auc(points))
    for definition in DEFINITIONS:
        assert np.isnan(average_precision(points, definition))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("lowest", [-1.0, 0.0])
def test_packed_and_plain_sorting_give_the_same_counts(dtype, lowest):
    rng = np.random.default_rng(1)
    truth = rng.random(500) < 0.3
    scores = np.concatenate([[-0.0, 0.0], rng.uniform(lowest, 1, 498).round(2)]).astype(dtype)
    points = curve(truth, scores)
    assert points.thresholds.dtype == dtype
    assert (np.diff(points.thresholds) < 0).all()
    for threshold, tp, fp in zip(points.thresholds, points.tp, points.fp):
        assert tp == (truth & (scores >= threshold)).sum()
        assert fp == (~truth & (scores >= threshold)).sum()


@pytest.mark.parametrize("dtype", [">f4", ">f8", "<f2"])
def test_scores_in_any_byte_order_are_the_same_scores(dtype):
    truth, scores = np.array([True, False, True, True]), np.array([0.5, 0.25, 0.25, 1.0])
    found, expected = curve(truth, scores.astype(dtype)), curve(truth, scores)
    assert found.thresholds.tolist() == expected.thresholds.tolist() == [1.0, 0.5, 0.25]
    assert (found.tp.tolist(), found.fp.tolist()) == ([1, 2, 3], [0, 0, 1])


def test_weights_of_one_change_no_point_and_of_zero_drop_the_row():
    rng = np.random.default_rng(2)
    truth, scores = rng.random(80) < 0.4, rng.integers(0, 9, 80) / 9
    plain, ones = curve(truth, scores), curve(truth, scores, np.ones(80))
    for name in ("thresholds", "tp", "fp", "positives", "negatives"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(ones, name))
    some = scores != scores[0]
    left, dropped = curve(truth[some], scores[some]), curve(truth, scores, some.astype(float))
    np.testing.assert_array_equal(left.thresholds, dropped.thresholds)
    np.testing.assert_array_equal(left.tp, dropped.tp)


def test_weighted_sums_do_not_depend_on_the_order_of_rows():
    rng = np.random.default_rng(3)
    truth, scores, weights = rng.random(900) < 0.4, rng.random(900).round(1), rng.random(900)
    order = rng.permutation(900)
    one, two = curve(truth, scores, weights), curve(truth[order], scores[order], weights[order])
    assert (one.tp == two.tp).all()
    assert (one.fp == two.fp).all()


def test_unknown_definitions_and_misfit_weights_are_refused():
    points = curve([True, False], np.array([0.1, 0.2]))
    with pytest.raises(ValueError, match="definition must be one of"):
        average_precision(points, "area")
    with pytest.raises(ValueError, match=r"weights must be \(N,\)"):
        curve([True, False], np.array([0.1, 0.2]), np.ones(3))
