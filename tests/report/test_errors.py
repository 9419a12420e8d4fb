"""Which rows were missed, which were false alarms, and how wrong their scores were."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from report_support import random_tables, results, tables

from dnncli.metrics.counts import UNDECIDED
from dnncli.predictions import Predictions
from dnncli.report.errors import missed_and_false_alarms, mistakes

NAMES = ("cat", "dog", "owl")


def hand_made():
    probs = np.array(
        [
            [0.6, 0.3, 0.1],  # a: cat, right
            [0.2, 0.5, 0.3],  # b: cat, taken for dog
            [0.4, 0.4, 0.2],  # c: cat, tied
            [0.7, 0.2, 0.1],  # d: dog, taken for cat
            [0.1, 0.1, 0.8],  # e: cat, taken for owl
        ]
    )
    predictions, truth = tables(probs, [0, 0, 0, 1, 0], NAMES, ids=list("abcde"))
    return predictions, truth, np.array([0, 1, UNDECIDED, 0, 2])


def test_misses_by_the_best_score_worked_out_by_hand():
    missed, alarms = missed_and_false_alarms(*hand_made(), positive="cat", threshold=None)
    assert missed.columns == ["id", "truth", "decision", "score", "threshold", "distance"]
    assert missed["id"].to_list() == ["e", "b", "c"]
    assert missed["decision"].to_list() == ["owl", "dog", None]
    assert missed["score"].to_list() == [0.1, 0.2, 0.4]
    assert missed["threshold"].to_list() == [None] * 3
    assert missed["distance"].to_list() == pytest.approx([0.7, 0.3, 0], abs=1e-12)
    assert alarms.select("id", "truth", "decision", "score").rows() == [("d", "dog", "cat", 0.7)]
    assert alarms["distance"].to_list() == pytest.approx([0.5], abs=1e-12)


def test_misses_by_a_threshold_worked_out_by_hand():
    predictions, truth, _ = hand_made()
    found = results(predictions, truth, positive="cat", threshold=0.25)
    missed, alarms = missed_and_false_alarms(
        predictions, truth, found["decisions"], positive="cat", threshold=0.25
    )
    assert missed["id"].to_list() == ["e", "b"]
    assert missed["threshold"].to_list() == [0.25, 0.25]
    assert missed["distance"].to_list() == pytest.approx([0.15, 0.05], abs=1e-12)
    assert alarms["distance"].to_list() == pytest.approx([0.45], abs=1e-12)


def test_the_threshold_is_in_the_precision_of_the_scores():
    probs = np.array([[0.7, 0.3], [0.6, 0.4]], np.float32)
    predictions, truth = tables(probs, [1, 0], ("P", "N"))
    found = results(predictions, truth, positive="P", threshold=0.7)
    missed, alarms = missed_and_false_alarms(
        predictions, truth, found["decisions"], positive="P", threshold=0.7
    )
    assert alarms["distance"].to_list() == [0.0]
    assert missed["threshold"].to_list() == [float(np.float32(0.7))]


def test_mistakes_worked_out_by_hand():
    table = mistakes(*hand_made())
    assert table.columns == ["id", "truth", "decision", "score_truth", "score_decision", "row"]
    assert table.rows() == [
        ("e", "cat", "owl", 0.1, 0.8, 4),
        ("b", "cat", "dog", 0.2, 0.5, 1),
        ("d", "dog", "cat", 0.2, 0.7, 3),
        ("c", "cat", None, 0.4, None, 2),
    ]


def test_hard_labels_have_no_scores_and_come_by_id():
    predictions, truth, decisions = hand_made()
    hard = replace(predictions, kind="label", probs=None, labels=decisions.astype(np.int32))
    assert mistakes(hard, truth, decisions)["id"].to_list() == ["b", "c", "d", "e"]
    missed, _ = missed_and_false_alarms(hard, truth, decisions, positive="cat", threshold=None)
    assert missed["id"].to_list() == ["b", "c", "e"]
    assert missed["distance"].to_list() == [None] * 3


def test_one_score_column_counts_against_the_rest():
    ids = pl.Series(["a", "b", "c"])
    predictions = Predictions(
        ids=ids, class_names=("P",), kind="score", probs=np.array([[0.25], [0.75], [0.5]])
    )
    truth = Predictions(
        ids=ids, class_names=("P", "not P"), kind="label", labels=np.array([0, 1, 1], np.int32)
    )
    decisions = np.array([1, 0, 0])
    assert mistakes(predictions, truth, decisions).rows() == [
        ("a", "P", "not P", 0.25, 0.75, 0),
        ("b", "not P", "P", 0.25, 0.75, 1),
        ("c", "not P", "P", 0.5, 0.5, 2),
    ]
    missed, alarms = missed_and_false_alarms(
        predictions, truth, decisions, positive="P", threshold=0.5
    )
    assert missed["distance"].to_list() == [0.25]
    assert alarms["id"].to_list() == ["b", "c"]
    rest, _ = missed_and_false_alarms(
        predictions, truth, decisions, positive="not P", threshold=0.5
    )
    assert rest["id"].to_list() == ["b", "c"]
    assert rest["score"].to_list() == [0.25, 0.5]
    assert rest["distance"].to_list() == [0.25, 0.0]


def test_every_wrong_pair_of_row_and_class_is_a_mistake_where_rows_have_several():
    ids = pl.Series(["a", "b"])
    scores = np.array([[0.75, 0.25], [0.75, 0.125]])
    predictions = Predictions(
        ids=ids, class_names=("sun", "rain"), kind="score", probs=scores, multi_label=True
    )
    members = np.array([[True, True], [False, True]])
    truth = Predictions(
        ids=ids, class_names=("sun", "rain"), kind="label", members=members, multi_label=True
    )
    assert mistakes(predictions, truth, scores >= 0.5).rows() == [
        ("b", "rain", "not rain", 0.125, 0.875, 1),
        ("a", "rain", "not rain", 0.25, 0.75, 0),
        ("b", "not sun", "sun", 0.25, 0.75, 1),
    ]
    missed, alarms = missed_and_false_alarms(
        predictions, truth, scores >= 0.5, positive="rain", threshold=0.5
    )
    assert missed["id"].to_list() == ["b", "a"]
    assert missed["distance"].to_list() == [0.375, 0.25]
    assert len(alarms) == 0


@pytest.mark.parametrize("seed", range(3))
def test_counts_and_order_agree_with_a_plain_loop(seed):
    predictions, truth = random_tables(4, 200, seed=seed, digits=1)
    found = results(predictions, truth)
    decisions = found["decisions"]
    wrong = {predictions.ids[row] for row in range(200) if decisions[row] != truth.labels[row]}
    table = mistakes(predictions, truth, decisions)
    assert set(table["id"].to_list()) == wrong
    keys = list(zip(table["score_truth"].to_list(), table["id"].to_list()))
    assert keys == sorted(keys)


def test_the_order_of_the_rows_does_not_matter():
    predictions, truth = random_tables(3, 100, digits=1)
    order = np.random.default_rng(0).permutation(100)
    tables_of = []
    for rows in (np.arange(100), order):
        p, t = predictions.take(rows), truth.take(rows)
        decisions = results(p, t)["decisions"]
        tables_of.append(
            (
                mistakes(p, t, decisions).drop("row"),
                *missed_and_false_alarms(p, t, decisions, positive="class 1", threshold=None),
            )
        )
    assert all(one.equals(two) for one, two in zip(*tables_of, strict=True))
