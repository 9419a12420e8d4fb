"""The scores that a rule for a target recall is chosen by."""

import csv
import itertools

import numpy as np
import pytest

import dnncli
from dnncli.errors import DataError
from dnncli.services.ensemble.recall import _evened


def write(path, head, rows):
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([head, *rows])
    return path


def test_sums_of_the_same_numbers_in_any_order_are_one_score():
    sums = np.array([sum(order) / 4 for order in itertools.permutations((0.1, 0.7, 0.3, 0.6))])
    assert len(set(sums)) > 1  # the rounding that must not matter
    assert set(_evened(sums)) == {sums.min()}


@pytest.mark.parametrize("size", [1e-200, 1e-12, 1e-3, 1.0])
def test_scores_that_differ_by_more_than_rounding_stay_as_they_are(size):
    scores = size * np.array([1.0, 0.5, 0.5 + 1e-9, 0.25, 0.0])
    assert _evened(scores).tolist() == scores.tolist()


def test_no_scores_stay_none():
    assert _evened(np.empty(0)).tolist() == []


def test_tied_means_are_flagged_together(tmp_path):
    # (0.9 + 0.5 + 0.1) / 3 and (0.7 + 0.7 + 0.1) / 3 are 0.5, up to the last bit.
    orders = [(0.1, 0.5, 0.9), (0.9, 0.5, 0.1), (0.7, 0.1, 0.7), (0.1, 0.7, 0.7), (0.3, 0.8, 0.4)]
    ids = [f"i{place}" for place in range(20)]
    files = [
        write(
            tmp_path / f"m{model}.csv",
            ("id", "N", "P"),
            [(one, 1 - p, p) for one, p in zip(ids, [order[model] for order in orders * 4])],
        )
        for model in range(3)
    ]
    truth = write(tmp_path / "val.csv", ("id", "label"), zip(ids, "PNPNP" * 4))
    report = dnncli.consensus(
        files, truth_val=truth, positive="P", target_recall="0.5", method="mean"
    )
    assert (report.target.point.tp, report.target.point.fp) == (12, 8)
    assert report.decided == {"N": 0, "P": 20}


def test_flagging_rows_that_no_model_scores_is_refused(tmp_path):
    ids = [f"i{place}" for place in range(10)]
    probs = [("", ""), *[(0.1, 0.9)] * 4, *[(0.9, 0.1)] * 5]
    file = write(
        tmp_path / "a.csv", ("id", "N", "P"), [(one, *prob) for one, prob in zip(ids, probs)]
    )
    truth = write(tmp_path / "val.csv", ("id", "label"), zip(ids, ["P"] * 5 + ["N"] * 5))
    asked = {"truth_val": truth, "positive": "P", "method": "mean"}
    report = dnncli.consensus([file], target_recall="0.8", **asked)
    assert (report.target.point.tp, report.target.point.fn) == (4, 1)
    with pytest.raises(DataError, match="only flagging every row reaches it"):
        dnncli.consensus([file], target_recall="0.9", **asked)
