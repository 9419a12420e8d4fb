"""Curves and bins as tables: the numbers of scikit-learn, and files that other tools can read."""

import csv

import numpy as np
import polars as pl
import pytest
from report_support import random_tables, results
from sklearn.metrics import precision_recall_curve, roc_curve

from dnncli.metrics.calibration import calibration
from dnncli.metrics.curves import curve
from dnncli.report.tables import curve_table, reliability_table, write_table
from dnncli.report.thinning import class_curve


def table_of(truth, scores, *, name="P", weights=None):
    found = class_curve(curve(truth, np.asarray(scores), weights), n_classes=1)
    return curve_table({name: found})[0]


def kind(table, which):
    return table.filter(pl.col("kind") == which)


def test_points_worked_out_by_hand():
    # Falling: 0.9 (+), 0.8 (-), 0.8 (+) together, 0.1 (-)
    table = table_of([True, False, True, False], [0.9, 0.8, 0.8, 0.1])
    assert table.columns == ["class", "kind", "threshold", "tp", "fp", "precision", "recall", "fpr"]
    assert kind(table, "pr").rows() == [
        ("P", "pr", 0.9, 1, 0, 1.0, 0.5, 0.0),
        ("P", "pr", 0.8, 2, 1, 2 / 3, 1.0, 0.5),
        ("P", "pr", 0.1, 2, 2, 0.5, 1.0, 1.0),
    ]
    first, *others = kind(table, "roc").rows()
    assert first[2:5] == (np.inf, 0, 0)
    assert first[6:] == (0, 0)
    assert [row[2:] for row in others] == [row[2:] for row in kind(table, "pr").rows()]


@pytest.mark.parametrize("digits", [1, 6])
@pytest.mark.parametrize("seed", range(3))
def test_points_are_those_of_scikit_learn(seed, digits):
    predictions, truth = random_tables(3, 300, seed=seed, digits=digits)
    is_positive, scores = truth.labels == 1, predictions.probs[:, 1]
    table = table_of(is_positive, scores)
    precision, recall, thresholds = precision_recall_curve(is_positive, scores)
    pr = kind(table, "pr").reverse()
    assert pr["threshold"].to_numpy() == pytest.approx(thresholds, abs=0)
    assert pr["precision"].to_numpy() == pytest.approx(precision[:-1], abs=1e-12)
    assert pr["recall"].to_numpy() == pytest.approx(recall[:-1], abs=1e-12)
    fpr, tpr, thresholds = roc_curve(is_positive, scores, drop_intermediate=False)
    roc = kind(table, "roc")
    assert roc["threshold"].to_numpy() == pytest.approx(thresholds, abs=0)
    assert roc["fpr"].to_numpy() == pytest.approx(fpr, abs=1e-12)
    assert roc["recall"].to_numpy() == pytest.approx(tpr, abs=1e-12)


def test_a_float32_threshold_stands_in_the_file_as_the_double_it_equals(tmp_path):
    scores = np.array([0.7, 0.1], np.float32)
    write_table(tmp_path / "curves.csv", table_of([True, False], scores))
    lines = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    assert float(lines[0]["threshold"]) == float(scores[0]) != 0.7


def test_undefined_numbers_are_empty_cells(tmp_path):
    write_table(tmp_path / "curves.csv", table_of([False, False], [0.5, 0.25]))
    lines = list(csv.DictReader((tmp_path / "curves.csv").read_text().splitlines()))
    assert [line["recall"] for line in lines] == [""] * 5
    assert [line["precision"] for line in lines] == ["0.0", "0.0", "", "0.0", "0.0"]


def test_class_names_with_commas_quotes_and_line_ends_come_back(tmp_path):
    name = 'a,"b"\nc;=d'
    write_table(tmp_path / "curves.csv", table_of([True, False], [0.5, 0.25], name=name))
    with (tmp_path / "curves.csv").open(newline="", encoding="utf-8") as file:
        assert {line["class"] for line in csv.DictReader(file)} == {name}


def test_what_is_left_out_is_said():
    rng = np.random.default_rng(0)
    whole = curve(rng.random(2_000) < 0.5, rng.random(2_000))
    table, notes = curve_table({"P": class_curve(whole, n_classes=500), "Q": class_curve(
        whole, n_classes=1)})  # fmt: skip
    kept = len(table.filter((pl.col("class") == "P") & (pl.col("kind") == "pr")))
    assert kept <= 200
    assert len(notes) == 1
    assert f"'P' keeps {kept} of 2,000" in notes[0]
    assert "'Q'" not in notes[0]


def test_weighted_curves_hold_sums_of_weights():
    table = table_of([True, False], [0.5, 0.25], weights=np.array([0.5, 2.0]))
    assert kind(table, "pr")["tp"].to_list() == [0.5, 0.5]
    assert kind(table, "pr")["precision"].to_list() == [1.0, 0.2]


def test_bins_have_exact_intervals_where_there_are_rows():
    found = calibration(np.array([0.95, 0.95, 0.1]), np.array([True, True, False]), bins=2)
    table = reliability_table(found)
    assert table["count"].to_list() == [1, 2]
    assert table["accuracy"].to_list() == [0.0, 1.0]
    # Clopper-Pearson for 2 of 2: (0.05 / 2) ** (1 / 2)
    assert table["accuracy_lo"].to_list() == pytest.approx([0, 0.025**0.5], abs=1e-9)
    assert table["accuracy_hi"].to_list() == pytest.approx([0.975, 1], abs=1e-9)


def test_weighted_and_empty_bins_have_no_interval():
    predictions, truth = random_tables(3, 50, weights=np.full(50, 0.5))
    found = results(predictions, truth)["calibration"]
    assert reliability_table(found, exact=False)["accuracy_lo"].is_nan().all()
    exact = reliability_table(calibration(np.array([0.95]), np.array([True])))
    assert exact["accuracy_lo"].is_nan().sum() == 14
