"""Calibration: the definition, hand values, and a temperature that only ever helps."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dnncli.metrics.calibration import calibration, fit_temperature, with_temperature


def random_case(seed, *, n=300, n_classes=4, sharp=2.0):
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, n_classes)) * 2
    true = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = (true.cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)
    return with_temperature(true, 1 / sharp), labels


def naive_ece(probs, labels, bins):
    gap = 0.0
    for place in range(bins):
        lo, hi = place / bins, (place + 1) / bins
        inside = [
            (row.max(), row.argmax() == label)
            for row, label in zip(probs, labels)
            if lo < row.max() <= hi
        ]
        if inside:
            confidence, right = np.array(inside, float).T
            gap += len(inside) / len(labels) * abs(right.mean() - confidence.mean())
    return gap


def test_values_worked_out_by_hand():
    # Confidences 0.8 (right) and 0.6 (wrong) share the bin (0.5, 1]: |1/2 - 0.7|
    found = calibration(np.array([[0.8, 0.2], [0.4, 0.6]]), np.array([0, 0]), bins=2)
    assert found.ece == pytest.approx(0.2, abs=1e-15)
    assert found.brier == pytest.approx((2 * 0.2**2 + 2 * 0.6**2) / 2, abs=1e-15)
    assert found.log_loss == pytest.approx(-(np.log(0.8) + np.log(0.4)) / 2, abs=1e-15)
    assert found.bins.count.tolist() == [0, 2]
    assert np.isnan(found.bins.accuracy[0])
    assert found.bins.confidence[1] == pytest.approx(0.7)


def test_one_score_column_is_binned_by_the_score_itself():
    # (0, 0.5]: 0.2 and 0.4, one positive; (0.5, 1]: 0.9, a positive
    found = calibration(np.array([0.2, 0.4, 0.9]), np.array([1, 0, 1]), bins=2)
    assert found.ece == pytest.approx(2 / 3 * 0.2 + 1 / 3 * 0.1, abs=1e-15)
    assert found.brier == pytest.approx((0.64 + 0.16 + 0.01) / 3, abs=1e-15)
    column = calibration(np.array([[0.2], [0.4], [0.9]]), np.array([1, 0, 1]), bins=2)
    assert column.ece == found.ece


def test_a_score_on_an_edge_belongs_to_the_bin_below():
    # 0.7 * 10 is above 7 in binary; 0 belongs to the first bin.
    found = calibration(np.array([0.0, 0.1, 0.3, 0.7, 1.0]), np.ones(5, int), bins=10)
    assert found.bins.count.tolist() == [2, 0, 1, 0, 0, 0, 1, 0, 0, 1]


@pytest.mark.parametrize("bins", [1, 10, 15])
@pytest.mark.parametrize("seed", range(3))
def test_agrees_with_the_definition(seed, bins):
    probs, labels = random_case(seed)
    ours = calibration(probs, labels, bins=bins)
    assert ours.ece == pytest.approx(naive_ece(probs, labels, bins), abs=1e-12)
    truth = np.eye(4)[labels]
    assert ours.brier == pytest.approx(((probs - truth) ** 2).sum(axis=1).mean(), abs=1e-12)
    assert ours.bins.count.sum() == len(labels)


def test_a_certain_mistake_costs_a_finite_log_loss():
    found = calibration(np.array([[1.0, 0.0]]), np.array([1]))
    assert found.log_loss == pytest.approx(-np.log(1e-15), abs=1e-12)
    assert (found.ece, found.brier) == (1, 2)


def test_weights_count_rows_more_than_once():
    probs, labels = random_case(4, n=40)
    times = np.random.default_rng(0).integers(0, 4, size=40)
    ours = calibration(probs, labels, weights=times.astype(float))
    repeated = calibration(np.repeat(probs, times, axis=0), np.repeat(labels, times))
    for name in ("ece", "brier", "log_loss"):
        assert getattr(ours, name) == pytest.approx(getattr(repeated, name), abs=1e-12)


@given(st.integers(0, 10**6))
@settings(deadline=None, max_examples=30)
def test_order_of_rows_and_names_of_classes_change_nothing(seed):
    probs, labels = random_case(seed, n=50)
    rng = np.random.default_rng(seed)
    rows, names = rng.permutation(50), rng.permutation(4)
    one, two = calibration(probs, labels), calibration(probs[rows], labels[rows])
    renamed = calibration(probs[:, names], names.argsort()[labels])
    for other in (two, renamed):
        for name in ("ece", "brier", "log_loss"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12)


def test_float32_scores_are_those_same_scores():
    probs, labels = random_case(5)
    single = probs.astype(np.float32)
    one, two = calibration(single, labels), calibration(single.astype(np.float64), labels)
    assert (one.ece, one.brier, one.log_loss) == (two.ece, two.brier, two.log_loss)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_score_on_an_edge_lies_below_it_in_every_precision(dtype):
    # As float32, 0.2 is a little more than a fifth.
    scores = np.array([0.2, 0.4, 0.6, 0.8, 1.0], dtype)
    found = calibration(scores, np.ones(5, int), bins=5)
    assert found.bins.count.tolist() == [1, 1, 1, 1, 1]


def test_an_all_but_perfect_brier_score_is_not_lost_in_rounding():
    found = calibration(np.array([[1 - 1e-10, 1e-10]]), np.array([0]))
    assert found.brier == pytest.approx(2e-20, rel=1e-5, abs=0)


def test_without_rows_nothing_is_defined():
    found = calibration(np.zeros((0, 3)), np.zeros(0, int))
    assert np.isnan([found.ece, found.brier, found.log_loss]).all()


@pytest.mark.parametrize("sharp", [0.5, 1.0, 3.0])
def test_the_temperature_is_where_the_log_loss_is_lowest(sharp):
    probs, labels = random_case(6, n=2000, sharp=sharp)
    found = fit_temperature(probs, labels)

    def loss(temperature):
        return calibration(with_temperature(probs, temperature), labels).log_loss

    best = minimize_scalar(loss, bounds=(0.05, 20), method="bounded", options={"xatol": 1e-9})
    assert found == pytest.approx(best.x, rel=1e-6)
    assert found == pytest.approx(sharp, rel=0.1)
    assert loss(found) <= loss(1.0)


def test_the_temperature_of_one_score_column_is_that_of_its_two_classes():
    probs, labels = random_case(7, n_classes=2)
    assert fit_temperature(probs[:, 1], labels) == pytest.approx(
        fit_temperature(probs, labels), rel=1e-9
    )
    np.testing.assert_allclose(
        with_temperature(probs[:, 1], 2.0), with_temperature(probs, 2.0)[:, 1], atol=1e-15
    )


@given(st.integers(0, 10**6), st.floats(0.05, 20))
@settings(deadline=None, max_examples=40)
def test_a_temperature_never_changes_the_order_of_the_classes(seed, temperature):
    probs, _ = random_case(seed, n=30)
    changed = with_temperature(probs, temperature)
    assert (changed.argmax(axis=1) == probs.argmax(axis=1)).all()
    np.testing.assert_allclose(changed.sum(axis=1), 1, atol=1e-12)


def test_temperature_one_changes_nothing_and_zero_stays_zero():
    probs = np.array([[0.7, 0.3, 0.0], [1.0, 0.0, 0.0]])
    np.testing.assert_allclose(with_temperature(probs, 1.0), probs, atol=1e-15)
    assert with_temperature(probs, 3.0)[:, 2].tolist() == [0, 0]


@pytest.mark.parametrize(
    "probs",
    [np.full((4, 3), 1 / 3), np.full(4, 0.5), np.eye(3)[[0, 1, 2, 1]], np.eye(3)[[1, 1, 2, 0]]],
)
def test_where_no_temperature_changes_the_log_loss_it_is_one(probs):
    labels = np.array([0, 1, 0, 1] if probs.ndim == 1 else [0, 1, 2, 1])
    assert fit_temperature(probs, labels) == 1


def test_a_class_that_was_ruled_out_does_not_make_the_temperature_of_other_rows_worse():
    # 0 stays 0 at any temperature: flattening the other rows for its sake would only cost.
    probs, labels = random_case(8, n=2000)
    ruled_out = np.vstack([probs, [[1.0, 0, 0, 0]] * 20])
    found = fit_temperature(ruled_out, np.append(labels, [1] * 20))
    assert found == pytest.approx(fit_temperature(probs, labels), rel=1e-12)


def test_weights_count_rows_as_often_as_they_say_in_the_temperature():
    probs, labels = random_case(9, n=200)
    weights = np.random.default_rng(9).integers(0, 4, 200)
    repeated = fit_temperature(probs.repeat(weights, axis=0), labels.repeat(weights))
    assert fit_temperature(probs, labels, weights=weights) == pytest.approx(repeated, rel=1e-9)


def test_a_model_that_is_never_wrong_gets_a_temperature_within_the_limits():
    sure = fit_temperature(np.full((3, 3), 0.1) + 0.7 * np.eye(3), np.arange(3))
    assert 0.01 <= sure < 0.2
    # Always wrong: the flattest answer is the least bad.
    assert fit_temperature(np.array([0.9, 0.2]), np.array([0, 1])) == pytest.approx(100, rel=1e-6)


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"probs \(2, 3\) and labels \(3,\)"):
        calibration(np.zeros((2, 3)), np.zeros(3, int))
    with pytest.raises(ValueError, match=r"must lie in \[0, 1\]"):
        calibration(np.array([1.5]), np.array([1]))
    with pytest.raises(ValueError, match=r"weights must be \(N,\)"):
        calibration(np.array([0.5]), np.array([1]), weights=np.ones(2))
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\). Got values from -1 to 1"):
        calibration(np.full((2, 2), 0.5), np.array([-1, 1]))
    with pytest.raises(ValueError, match="bins must be at least 1"):
        calibration(np.array([0.5]), np.array([1]), bins=0)
    with pytest.raises(ValueError, match="at least one row"):
        fit_temperature(np.zeros((0, 2)), np.zeros(0, int))
    with pytest.raises(ValueError, match="temperature must be above 0"):
        with_temperature(np.array([0.5]), 0)
