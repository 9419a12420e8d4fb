"""Everything of an evaluation in one folder."""

import csv
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from PIL import Image
from report_support import random_tables, results, tables

from dnncli.predictions import Predictions
from dnncli.report.files import write_results

ALWAYS = {"mistakes.csv", "confusion.png", "files.json"}
CURVES = {"curves.csv", "pr.png", "roc.png"}
BINS = {"reliability.csv", "reliability.png"}
POSITIVE = {"missed.csv", "false_alarms.csv"}


def write(folder, *tables_of, **options):
    written = write_results(folder, **results(*tables_of, **options))
    assert all(path.is_file() for path in written)
    assert {path.name for path in folder.iterdir()} == {path.name for path in written}
    return {path.name for path in written}


def rows(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_probabilities_give_curves_bins_and_mistakes(tmp_path):
    assert write(tmp_path, *random_tables(3, 60)) == ALWAYS | CURVES | BINS


def test_a_positive_class_adds_what_was_missed(tmp_path):
    predictions, truth = random_tables(3, 60)
    found = write(tmp_path, predictions, truth, positive="class 2", threshold=0.3)
    assert found == ALWAYS | CURVES | BINS | POSITIVE
    flagged = predictions.probs[:, 2] >= np.float32(0.3)
    of_class = truth.labels == 2
    ids = predictions.ids.to_numpy()
    assert {row["id"] for row in rows(tmp_path / "missed.csv")} == set(ids[of_class & ~flagged])
    alarms = {row["id"] for row in rows(tmp_path / "false_alarms.csv")}
    assert alarms == set(ids[~of_class & flagged])
    with Image.open(tmp_path / "roc.png") as image:
        said = image.text["Description"]
    recall = (of_class & flagged).sum() / of_class.sum()
    assert f"recall {recall:.3f}" in said
    assert "threshold 0.3:" in said


def test_one_score_column_is_about_its_class(tmp_path):
    predictions, truth = random_tables(2, 40, names=("P", "not P"))
    score = replace(predictions, kind="score", class_names=("P",), probs=predictions.probs[:, :1])
    assert write(tmp_path, score, truth) == ALWAYS | CURVES | BINS | POSITIVE
    assert {row["class"] for row in rows(tmp_path / "curves.csv")} == {"P"}
    for row in rows(tmp_path / "missed.csv"):
        assert (row["truth"], row["decision"], row["threshold"]) == ("P", "not P", "0.5")


def test_hard_labels_give_no_curves(tmp_path):
    predictions, truth = random_tables(3, 30)
    hard = replace(predictions, kind="label", probs=None, labels=truth.labels[::-1].copy())
    assert write(tmp_path, hard, truth) == ALWAYS


def test_multi_label_rows_have_no_confusion_matrix(tmp_path):
    rng = np.random.default_rng(0)
    ids, names = pl.Series([f"r{row}" for row in range(20)]), ("sun", "rain")
    scores = rng.random((20, 2))
    predictions = Predictions(
        ids=ids, class_names=names, kind="score", probs=scores, multi_label=True
    )
    members = rng.random((20, 2)) < 0.5
    truth = Predictions(ids=ids, class_names=names, kind="label", members=members, multi_label=True)
    written = write_results(
        tmp_path, predictions=predictions, truth=truth, decisions=scores >= 0.5, positive="sun"
    )
    assert {path.name for path in written} == POSITIVE | {"mistakes.csv", "files.json"}
    assert len(rows(tmp_path / "mistakes.csv")) == (members != (scores >= 0.5)).sum()


@pytest.mark.parametrize(
    ("probs", "labels"),
    [
        ([[1.0, 0.0]], [0]),
        ([[0.5, 0.5]], [1]),
        ([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7]], [0, 0, 0]),
    ],
    ids=["one row", "one tied row", "one class only"],
)
def test_little_data_can_be_written(probs, labels, tmp_path):
    found = write(tmp_path, *tables(probs, labels, ("a", "b")), positive="b")
    assert found == ALWAYS | CURVES | BINS | POSITIVE


def test_ids_stand_in_the_files_as_they_are_unless_a_spreadsheet_would_run_them(tmp_path):
    ids = ["=1+1", "007", 'a,"b"\nc', " @x ", "été"]
    probs = [[0.1, 0.9]] * 5
    write(tmp_path, *tables(probs, [0] * 5, ("a", "b"), ids=ids), positive="a")
    for name in ("mistakes.csv", "missed.csv"):
        found = sorted(row["id"].removeprefix("'") for row in rows(tmp_path / name))
        assert found == sorted(ids)
        assert "'=1+1" in [row["id"] for row in rows(tmp_path / name)]


def test_files_json_says_how_many_rows_each_table_has(tmp_path):
    write(tmp_path, *random_tables(3, 60), positive="class 0")
    about = json.loads((tmp_path / "files.json").read_text())
    assert about["schema"] == "dnncli.files/1"
    for name, entry in about["tables"].items():
        lines = rows(tmp_path / name)
        assert len(lines) == entry["rows"]
        if lines:
            assert list(lines[0]) == entry["columns"]


def test_the_sheet_shows_the_worst_mistakes_in_order(tmp_path):
    predictions, truth = random_tables(3, 300)
    asked = []

    def pictures(positions):
        asked.extend(positions.tolist())
        return [np.zeros((4, 4), np.uint8)] * len(positions)

    write_results(tmp_path, **results(predictions, truth), pictures=pictures)
    ids = [row["id"] for row in rows(tmp_path / "mistakes.csv")[:36]]
    assert [predictions.ids[position] for position in asked] == ids
    assert (tmp_path / "mistakes.png").is_file()


def test_without_a_mistake_there_is_no_sheet(tmp_path):
    predictions, truth = tables(np.eye(2), [0, 1], ("a", "b"))
    write_results(tmp_path, **results(predictions, truth), pictures=lambda positions: [])
    assert not (tmp_path / "mistakes.png").exists()
    assert rows(tmp_path / "mistakes.csv") == []


def test_progress_ends_at_its_total(tmp_path):
    seen = []
    write_results(
        tmp_path,
        **results(*random_tables(2, 20)),
        progress=lambda what, done, total: seen.append((done, total)),
    )
    assert seen[-1][0] == seen[-1][1]
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
