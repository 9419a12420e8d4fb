"""Counting decisions: exact integers, nothing lost, ties in plain sight."""

import math

import numpy as np
import pytest

from dnncli.metrics.counts import (
    UNDECIDED,
    confusion,
    count,
    decide,
    decide_score,
    order_free_sums,
)


def random_case(seed, *, n=200, n_classes=5, undecided=True):
    rng = np.random.default_rng(seed)
    labels = rng.integers(n_classes, size=n)
    decisions = rng.integers(UNDECIDED if undecided else 0, n_classes, size=n)
    return labels, decisions, rng.random(n)


def naive_confusion(labels, decisions, n_classes, weights):
    matrix = np.zeros((n_classes, n_classes))
    for label, decision, weight in zip(labels, decisions, weights):
        if decision != UNDECIDED:
            matrix[label, decision] += weight
    return matrix


def test_counts_worked_out_by_hand():
    #            A A A B B C      rows = truth
    labels = np.array([0, 0, 0, 1, 1, 2])
    decisions = np.array([0, 0, 1, 1, UNDECIDED, 1])
    counts = count(labels, decisions, n_classes=3)
    assert counts.confusion.tolist() == [[2, 1, 0], [0, 1, 0], [0, 1, 0]]
    assert counts.undecided.tolist() == [0, 1, 0]
    assert counts.tp.tolist() == [2, 1, 0]
    assert counts.fp.tolist() == [0, 2, 0]
    assert counts.fn.tolist() == [1, 1, 1]
    assert counts.tn.tolist() == [3, 2, 5]
    assert counts.support.tolist() == [3, 2, 1]
    assert counts.predicted.tolist() == [2, 3, 0]
    assert counts.accuracy == 3 / 6


@pytest.mark.parametrize("seed", range(5))
def test_the_matrix_agrees_with_a_plain_loop(seed):
    labels, decisions, weights = random_case(seed)
    expected = naive_confusion(labels, decisions, 5, np.ones(len(labels)))
    assert (confusion(labels, decisions, n_classes=5) == expected).all()
    weighted = confusion(labels, decisions, n_classes=5, weights=weights)
    expected = naive_confusion(labels, decisions, 5, weights)
    np.testing.assert_allclose(weighted, expected, rtol=1e-13)


@pytest.mark.parametrize("seed", range(5))
def test_counts_are_consistent_with_each_other(seed):
    labels, decisions, _ = random_case(seed)
    counts = count(labels, decisions, n_classes=5)
    assert counts.confusion.sum() + counts.undecided.sum() == len(labels)
    assert (counts.support == np.bincount(labels, minlength=5)).all()
    assert (counts.tp + counts.fp + counts.fn + counts.tn == len(labels)).all()
    assert (counts.predicted.sum() + counts.undecided.sum()) == len(labels)


def test_weights_of_one_change_no_number():
    labels, decisions, _ = random_case(3)
    plain = count(labels, decisions, n_classes=5)
    weighted = count(labels, decisions, n_classes=5, weights=np.ones(len(labels)))
    assert (weighted.confusion == plain.confusion).all()
    assert (weighted.undecided == plain.undecided).all()


@pytest.mark.parametrize("seed", range(20))
def test_the_accuracy_of_weighted_rows_that_are_all_right_is_exactly_one(seed):
    labels, _, weights = random_case(seed, n=40, n_classes=9)
    assert count(labels, labels, n_classes=9, weights=weights).accuracy == 1


def test_weighted_counts_do_not_depend_on_the_order_of_rows():
    labels, decisions, weights = random_case(4, n=5000)
    order = np.random.default_rng(0).permutation(5000)
    first = confusion(labels, decisions, n_classes=5, weights=weights)
    second = confusion(labels[order], decisions[order], n_classes=5, weights=weights[order])
    assert (first == second).all()


def test_counts_beyond_float32_stay_exact():
    labels = np.zeros(2**24 + 3, np.uint8)
    counts = count(labels, labels, n_classes=1)
    assert counts.confusion.dtype == np.int64
    assert counts.tp.tolist() == [2**24 + 3]


def test_no_row_gives_zero_counts_and_an_undefined_accuracy():
    none = np.zeros(0, int)
    counts = count(none, none, n_classes=2)
    assert counts.confusion.tolist() == [[0, 0], [0, 0]]
    assert np.isnan(counts.accuracy)


def test_indices_that_are_no_classes_are_named():
    with pytest.raises(ValueError, match=r"labels must lie in \[0, 2\). Got values from 0 to 2"):
        count(np.array([0, 2]), np.array([0, 0]), n_classes=2)
    with pytest.raises(ValueError, match=r"decisions must lie in \[-1, 2\)"):
        count(np.array([0, 1]), np.array([0, -2]), n_classes=2)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"labels \(2,\) and decisions \(3,\)"):
        count(np.zeros(2, int), np.zeros(3, int), n_classes=1)
    with pytest.raises(ValueError, match=r"weights must be \(N,\)"):
        count(np.zeros(2, int), np.zeros(2, int), n_classes=1, weights=np.ones(3))
    with pytest.raises(ValueError, match=r"probs must be \(N, C\) with C >= 1. Got \(3,\)"):
        decide(np.zeros(3))


def test_the_highest_score_decides():
    decisions, tied = decide(np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]]))
    assert decisions.tolist() == [1, 0]
    assert not tied.any()


def test_a_tie_is_no_decision_unless_class_order_is_asked_for():
    probs = np.array([[0.4, 0.2, 0.4], [0.2, 0.4, 0.4], [0.2, 0.3, 0.5]])
    decisions, tied = decide(probs)
    assert decisions.tolist() == [UNDECIDED, UNDECIDED, 2]
    assert tied.tolist() == [True, True, False]
    decisions, tied = decide(probs, tie="class-order")
    assert decisions.tolist() == [0, 1, 2]
    assert tied.tolist() == [True, True, False]


def test_scores_one_bit_apart_are_no_tie():
    low = np.float32(0.5)
    high = np.nextafter(low, np.float32(1))
    decisions, tied = decide(np.array([[low, high]]))
    assert decisions.tolist() == [1]
    assert not tied.any()


@pytest.mark.parametrize("tie", ["abstain", "class-order"])
def test_a_row_with_nan_is_undecided_and_no_tie(tie):
    decisions, tied = decide(np.array([[np.nan, 0.9], [np.nan, np.nan]]), tie=tie)
    assert decisions.tolist() == [UNDECIDED, UNDECIDED]
    assert not tied.any()


def test_a_score_equal_to_the_threshold_is_positive():
    decisions = decide_score(np.array([0.5, 0.49, np.nan, 1.0]), threshold=0.5)
    assert decisions.tolist() == [0, 1, UNDECIDED, 0]


def test_float32_scores_are_compared_as_float32():
    # float32(0.7) is below the double 0.7.
    assert decide_score(np.array([0.7], np.float32), threshold=0.7).tolist() == [0]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(("n", "n_classes"), [(70_000, 3), (50, 300), (5, 1)])
def test_deciding_in_blocks_agrees_with_numpy(n, n_classes, order):
    rng = np.random.default_rng(0)
    probs = np.asarray(rng.integers(0, 50, (n, n_classes)) / 50, dtype=np.float32, order=order)
    decisions, tied = decide(probs)
    expected = (probs == probs.max(axis=1, keepdims=True)).sum(axis=1) > 1
    assert (tied == expected).all()
    assert (decisions[~tied] == probs.argmax(axis=1)[~tied]).all()
    assert (decisions[tied] == UNDECIDED).all()
    first, _ = decide(probs, tie="class-order")
    assert (first == probs.argmax(axis=1)).all()


def test_counts_of_merged_tables_are_the_sums_of_their_counts():
    one, two = random_case(1, n=40_000), random_case(2, n=50_000)
    merged = count(*(np.concatenate(pair) for pair in zip(one[:2], two[:2])), n_classes=5)
    parts = [count(*case[:2], n_classes=5) for case in (one, two)]
    assert (merged.confusion == parts[0].confusion + parts[1].confusion).all()
    assert (merged.undecided == parts[0].undecided + parts[1].undecided).all()


def test_order_free_sums_are_as_good_as_exact_ones():
    rng = np.random.default_rng(0)
    weights = 10.0 ** rng.uniform(-6, 6, 3000)
    places = rng.integers(0, 4, 3000)
    sums = order_free_sums(places, weights, minlength=5)
    expected = [math.fsum(weights[places == place]) for place in range(5)]
    np.testing.assert_allclose(sums, expected, rtol=1e-15)
    assert order_free_sums(places, np.zeros(3000), minlength=5).tolist() == [0] * 5
