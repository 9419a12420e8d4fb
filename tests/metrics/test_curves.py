"""Exact curves: every distinct score is a threshold."""

import numpy as np
import pytest
from sklearn.metrics import precision_recall_curve

from dnncli.metrics.curves import curve, precision_at_recall


def test_counts_worked_out_by_hand():
    # Falling: 0.9 (+), 0.8 (-), 0.8 (+) together, 0.1 (+)
    points = curve([True, False, True, True], np.array([0.9, 0.8, 0.8, 0.1]))
    assert points.thresholds.tolist() == [0.9, 0.8, 0.1]
    assert points.tp.tolist() == [1, 2, 3]
    assert points.fp.tolist() == [0, 1, 1]
    assert precision_at_recall(points, recall=0.5) == (3 / 4, 0.1)
    assert precision_at_recall(points, recall=1 / 3) == (1.0, 0.9)


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
    assert np.isnan(precision_at_recall(points, recall=0.9)).all()
    assert len(curve([], np.zeros(0)).tp) == 0


def test_scores_that_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match="finite"):
        curve([True], np.array([np.nan]))
    with pytest.raises(ValueError, match=r"is_positive \(1,\) and scores \(2,\)"):
        curve([True], np.zeros(2))
