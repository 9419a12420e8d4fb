"""Rows with several labels: counts, averages over rows, and losses."""

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, hamming_loss, precision_recall_fscore_support

from dnncli.metrics.multilabel import count_members
from dnncli.metrics.report import members_report

POLICIES = {"skip": np.nan, "0": 0, "1": 1}  # ours: scikit-learn's zero_division


def members(rows):
    return np.array(rows, bool)


def random_case(seed):
    rng = np.random.default_rng(seed)
    shape = int(rng.integers(1, 40)), int(rng.integers(2, 6))
    truth, decided = rng.random((2, *shape)) < rng.random()
    weights = rng.random(shape[0]) + 0.01 if seed % 2 else None
    return truth, decided, weights


def test_counts_worked_out_by_hand():
    truth = members([[1, 0, 1], [0, 0, 0], [1, 1, 0]])
    decided = members([[1, 1, 0], [0, 0, 0], [1, 1, 0]])
    counts = count_members(truth, decided)
    assert counts.tp.tolist() == [2, 1, 0]
    assert counts.fp.tolist() == [0, 1, 0]
    assert counts.fn.tolist() == [0, 0, 1]
    assert counts.tn.tolist() == [1, 1, 2]
    assert counts.support.tolist() == [2, 1, 1]
    assert counts.predicted.tolist() == [2, 2, 0]
    assert counts.subset_accuracy == 2 / 3
    assert counts.hamming_loss == 2 / 9
    assert counts.rows.sum() == 3


def test_a_row_without_labels_and_decisions_counts_as_asked():
    counts = count_members(members([[0, 0], [1, 0]]), members([[0, 0], [1, 0]]))
    found = {
        undefined: members_report(counts, classes=("a", "b"), undefined=undefined).averages.samples
        for undefined in POLICIES
    }
    assert (found["skip"].precision, found["skip"].f["1"]) == (1, 1)
    assert (found["0"].precision, found["0"].recall) == (0.5, 0.5)
    assert found["1"].f["1"] == 1


@pytest.mark.parametrize("undefined", POLICIES)
@pytest.mark.parametrize("seed", range(30))
def test_agrees_with_scikit_learn(seed, undefined):
    truth, decided, weights = random_case(seed)
    counts = count_members(truth, decided, weights)
    report = members_report(
        counts, classes=tuple("abcdef"[: truth.shape[1]]), betas=(2,), undefined=undefined
    )
    expected = accuracy_score(truth, decided, sample_weight=weights)
    assert report.subset_accuracy == pytest.approx(expected, abs=1e-12)
    expected = hamming_loss(truth, decided, sample_weight=weights)
    assert report.hamming_loss == pytest.approx(expected, abs=1e-12)
    for kind in ("macro", "weighted", "micro", "samples"):
        expected = precision_recall_fscore_support(
            truth.astype(int),
            decided.astype(int),
            beta=2,
            average=kind,
            sample_weight=weights,
            zero_division=POLICIES[undefined] if kind != "micro" else np.nan,
        )[:3]
        ours = getattr(report.averages, kind)
        found = [ours.precision, ours.recall, ours.f["2"]]
        expected = np.nan_to_num(np.array(expected, float))
        np.testing.assert_allclose(np.nan_to_num(found), expected, rtol=0, atol=1e-12)


def test_order_of_rows_and_weights_of_one_change_nothing():
    truth, decided, weights = random_case(9)
    order = np.random.default_rng(0).permutation(len(truth))
    one = count_members(truth, decided, weights)
    two = count_members(truth[order], decided[order], weights[order])
    plain, ones = count_members(truth, decided), count_members(truth, decided, np.ones(len(truth)))
    for name in ("tp", "fp", "fn", "tn", "rows"):
        assert (getattr(one, name) == getattr(two, name)).all()
        assert (getattr(plain, name) == getattr(ones, name)).all()
        assert getattr(ones, name).dtype == np.int64


def test_counting_in_blocks_loses_no_row():
    rng = np.random.default_rng(0)
    truth, decided = rng.random((2, 150_000, 3)) < 0.4
    counts = count_members(truth, np.asfortranarray(decided))
    assert (counts.tp == (truth & decided).sum(axis=0)).all()
    assert (counts.fp == (~truth & decided).sum(axis=0)).all()
    assert counts.rows.sum() == 150_000


def test_single_classes_have_intervals_and_averages_none():
    truth, decided, _ = random_case(10)
    report = members_report(count_members(truth, decided), classes=tuple("abcde"))
    entry = report.per_class["a"]
    low, high = entry.intervals.f["1"]
    assert low <= entry.f["1"] <= high
    assert report.averages.macro.intervals is None
    weighted = members_report(
        count_members(truth, decided, np.full(len(truth), 0.5)), classes=tuple("abcde")
    )
    assert weighted.per_class["a"].intervals is None
    assert "sums of weights" in weighted.notes[0]


def test_no_row_leaves_everything_undefined():
    counts = count_members(np.zeros((0, 2), bool), np.zeros((0, 2), bool))
    assert np.isnan([counts.subset_accuracy, counts.hamming_loss]).all()
    assert np.isnan(members_report(counts, classes=("a", "b")).averages.samples.precision)


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"truth \(2, 3\) and decided \(3, 2\)"):
        count_members(np.zeros((2, 3), bool), np.zeros((3, 2), bool))
    with pytest.raises(ValueError, match=r"weights must be \(N,\)"):
        count_members(np.zeros((2, 3), bool), np.zeros((2, 3), bool), np.ones(3))
