"""Decisions: labels, the best score, a threshold; ties and missing scores."""

import numpy as np
import polars as pl
import pytest

from dnncli.metrics.counts import UNDECIDED
from dnncli.metrics.decisions import decide_members, decisions_of
from dnncli.predictions import Predictions


def table(probs, *, kind="probability", classes=("a", "b", "c"), dtype=np.float64, **more):
    probs = np.array(probs, dtype=dtype)
    ids = pl.Series([f"row {index}" for index in range(len(probs))])
    return Predictions(ids=ids, class_names=classes, kind=kind, probs=probs, **more)


def test_a_threshold_decides_for_its_class_and_the_best_of_the_others_takes_the_rest():
    probs = [[0.3, 0.4, 0.3], [0.2, 0.3, 0.5], [0.2, 0.5, 0.3], [0.9, 0.1, 0.0]]
    decided = decisions_of(table(probs), positive="a", threshold=0.3)
    assert decided.classes.tolist() == [0, 2, 1, 0]
    assert decided.threshold == 0.3
    # The same class would have lost by its score alone.
    assert decisions_of(table(probs)).classes.tolist() == [1, 2, 1, 0]


def test_a_threshold_above_every_score_leaves_nothing_to_its_class_however_high_it_is():
    probs = [[0.9, 0.06, 0.04], [0.2, 0.3, 0.5]]
    decided = decisions_of(table(probs), positive="a", threshold=0.95)
    assert decided.classes.tolist() == [1, 2]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_score_equal_to_the_threshold_is_enough_in_the_scores_own_precision(dtype):
    probs = table([[0.7, 0.3], [0.1, 0.9]], classes=("p", "n"), dtype=dtype)
    assert decisions_of(probs, positive="p", threshold=0.7).classes.tolist() == [0, 1]
    single = table([[0.7], [0.1]], kind="score", classes=("p",), dtype=dtype)
    assert decisions_of(single, threshold=0.7).classes.tolist() == [0, 1]
    several = table([[0.7, 0.1]], kind="score", classes=("p", "n"), dtype=dtype, multi_label=True)
    assert decide_members(several, thresholds=(0.7, 0.1)).tolist() == [[True, True]]


def test_classes_that_tie_behind_the_positive_one_are_undecided_until_told_otherwise():
    probs = table([[0.2, 0.4, 0.4], [0.3, 0.35, 0.35]])
    decided = decisions_of(probs, positive="a", threshold=0.3)
    assert decided.classes.tolist() == [UNDECIDED, 0]
    assert decided.tied.tolist() == [True, False]
    ordered = decisions_of(probs, positive="a", threshold=0.3, tie="class-order")
    assert ordered.classes.tolist() == [1, 0]


@pytest.mark.parametrize("threshold", [None, 0.6])
def test_rows_without_scores_go_to_the_positive_class_only_if_asked_for(threshold):
    nan = float("nan")
    probs = table([[nan, nan], [0.2, 0.8], [0.2, nan]], classes=("p", "n"))
    decided = decisions_of(probs, positive="p", threshold=threshold, nan="positive")
    assert decided.classes.tolist() == [0, 1, 0]
    assert decided.notes == ("2 of 3 rows hold NaN and count as 'p': 'row 0', 'row 2'.",)
    assert decisions_of(probs, positive="n", nan="positive").classes.tolist() == [1, 1, 1]


def test_a_threshold_below_zero_flags_every_finite_score():
    scores = table([[-3.5], [12.0]], kind="score", classes=("p",))
    assert decisions_of(scores, threshold=-3.5).classes.tolist() == [0, 0]


def test_a_threshold_for_labels_or_without_its_class_is_a_mistake_of_the_caller():
    labels = Predictions(
        ids=pl.Series(["x"]), class_names=("a",), kind="label", labels=np.array([0], np.int32)
    )
    with pytest.raises(ValueError, match="labels have no score"):
        decisions_of(labels, positive="a", threshold=0.5)
    with pytest.raises(ValueError, match="needs the name of its class"):
        decisions_of(table([[0.2, 0.3, 0.5]]), threshold=0.5)
    with pytest.raises(ValueError, match="'z' is none of"):
        decisions_of(table([[0.2, 0.3, 0.5]]), positive="z", threshold=0.5)
