"""`evaluate` on predictions files: the numbers, what is written, and what is refused."""

import json
import math

import numpy as np
import polars as pl
import pytest

from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.results import plain
from dnncli.services.evaluate import evaluate

TRUTH = "id,label\na,P\nb,N\nc,P\nd,N\n"


@pytest.fixture
def files(tmp_path):
    def write(**texts):
        paths = []
        for name, text in texts.items():
            path = tmp_path / f"{name}.csv"
            path.write_text(text, encoding="utf-8")
            paths.append(path)
        return paths

    return write


def random_files(files, seed, *, rename=lambda name: name, weights=None):
    """Predictions and truth over four classes, with ties, in different row orders."""
    rng = np.random.default_rng(seed)
    names = [rename(name) for name in "ABCD"]
    ids = [f"row {index}" for index in range(60)]
    probs = rng.dirichlet(np.ones(4), 60)
    probs[::7] = 0.25
    labels = rng.integers(4, size=60)
    rows = [f"{i},{','.join(map(repr, row))}" for i, row in zip(ids, probs.tolist())]
    truth = [f"{i},{names[label]}" for i, label in zip(ids, labels)]
    head = "id,label"
    if weights is not None:
        head += ",weight"
        truth = [f"{row},{weight}" for row, weight in zip(truth, weights)]
    rng.shuffle(rows)
    return files(p="\n".join([f"id,{','.join(names)}", *rows]), t="\n".join([head, *truth]))


def numbers(report):
    return {
        key: value
        for key, value in plain(report).items()
        if key in ("n", "accuracy", "per_class", "averages", "confusion", "ties", "undecided")
    }


def test_a_report_worked_out_by_hand(files):
    p, t = files(p="id,label\nd,N\nb,P\na,P\nc,P\n", t=TRUTH)
    report = evaluate(p, truth=t, betas=(1, 0.5, 2, 1), positive="P")
    assert (report.n, report.classes, report.positive) == (4, ("N", "P"), "P")
    assert report.betas == (1.0, 0.5, 2.0)
    assert report.accuracy == 0.75
    p_class = report.per_class["P"]
    assert (p_class.tp, p_class.fp, p_class.fn, p_class.tn) == (2, 1, 0, 1)
    assert (p_class.precision, p_class.recall) == (2 / 3, 1)
    assert p_class.f == pytest.approx({"1": 0.8, "0.5": 2.5 / 3.5, "2": 10 / 11}, abs=1e-15)
    assert report.confusion.counts == [[1, 1], [0, 2]]
    assert report.majority.accuracy == 0.5
    assert report.warnings == ()


def test_json_has_the_keys_that_scripts_rely_on(files):
    p, t = files(p="id,label\nd,N\nb,P\na,P\nc,P\n", t=TRUTH)
    found = plain(evaluate(p, truth=t))
    assert found["schema"] == "dnncli.eval/1"
    assert {"n", "classes", "positive", "betas", "accuracy", "warnings", "ties"} <= set(found)
    assert set(found["per_class"]["P"]) == {
        *("tp", "fp", "fn", "tn", "support", "predicted", "precision", "recall", "f", "intervals")
    }
    assert set(found["averages"]) == {
        *("macro", "weighted", "micro", "samples", "undefined_classes", "undefined")
    }
    assert set(found["averages"]["macro"]) == {"precision", "recall", "f", "intervals"}
    assert found["confusion"]["classes"] == ["N", "P"]


def test_undefined_values_are_null_and_counted(files):
    p, t = files(p="id,label\na,N\nb,N\n", t="id,label\na,P\nb,N\n")
    report = evaluate(p, truth=t)
    assert math.isnan(report.per_class["P"].precision)
    assert plain(report)["per_class"]["P"]["precision"] is None
    assert report.averages.undefined_classes == 1
    assert report.averages.macro.precision == 0.5
    assert evaluate(p, truth=t, undefined="0").averages.macro.precision == 0.25
    assert evaluate(p, truth=t, undefined="1").averages.macro.precision == 0.75


def test_ties_count_as_wrong_until_class_order_is_asked_for(files):
    p, t = files(p="id,N,P\na,0.5,0.5\nb,0.5,0.5\nc,0.1,0.9\nd,0.8,0.2\n", t=TRUTH)
    report = evaluate(p, truth=t)
    assert (report.ties, report.undecided, report.accuracy) == (2, 2, 0.5)
    assert report.confusion.undecided == [1, 1]
    assert report.per_class["P"].fn == 1
    assert report.per_class["P"].fp == 0
    assert "2 of 4 rows have their highest score in several classes" in report.warnings[0]
    ordered = evaluate(p, truth=t, tie="class-order")
    assert (ordered.ties, ordered.undecided, ordered.accuracy) == (2, 0, 0.75)
    other = evaluate(p, truth=t, tie="class-order", classes=("P", "N"))
    assert other.confusion.counts == [[2, 0], [1, 1]]


def test_a_prediction_without_label_is_undecided_and_said_so(files):
    p, t = files(p="id,label\na,P\nb,\nc,P\nd,N\n", t=TRUTH)
    report = evaluate(p, truth=t)
    assert (report.undecided, report.ties, report.accuracy) == (1, 0, 0.75)
    assert "'b'" in report.warnings[0]


def test_a_single_score_column_decides_at_one_half_inclusive(files):
    p, t = files(p="id,P\nd,0.49\nb,0.9\na,0.5\nc,0.2\n", t=TRUTH)
    report = evaluate(p, truth=t)
    assert report.classes == ("P", "N")
    assert report.threshold == 0.5
    assert report.confusion.counts == [[1, 1], [1, 1]]
    assert report.warnings == ("Decided for 'P' where score >= 0.5.",)


def test_a_single_score_column_stands_against_all_other_classes(files):
    p, t = files(p="id,P\na,0.9\nb,0.1\nc,0.1\n", t="id,label\na,P\nb,N\nc,M\n")
    report = evaluate(p, truth=t)
    assert report.classes == ("P", "not P")
    assert report.confusion.counts == [[1, 0], [0, 2]]
    declared = evaluate(p, truth=t, classes=("M", "N", "P"))
    assert declared.confusion.counts == report.confusion.counts


def test_a_score_column_that_is_no_class_is_refused(files):
    p, t = files(p="id,score\na,0.9\nb,0.1\nc,0.1\nd,0.2\n", t=TRUTH)
    with pytest.raises(
        DataError, match=r"its only column 'score' is no class of the truth \(N, P\)"
    ):
        evaluate(p, truth=t)


@pytest.mark.parametrize("seed", range(3))
def test_the_order_of_rows_changes_nothing(files, seed):
    p, t = random_files(files, seed, weights=np.random.default_rng(1).random(60))
    first = numbers(evaluate(p, truth=t, betas=(0.5, 2)))
    for path in (p, t):
        head, *rows = path.read_text().splitlines()
        path.write_text("\n".join([head, *reversed(rows)]))
    assert numbers(evaluate(p, truth=t, betas=(0.5, 2))) == first


@pytest.mark.parametrize("seed", range(3))
def test_weights_of_one_change_nothing(files, seed):
    plain_numbers = numbers(evaluate(*(f := random_files(files, seed))[:1], truth=f[1]))
    p, t = random_files(files, seed, weights=np.ones(60))
    assert numbers(evaluate(p, truth=t)) == plain_numbers


def test_the_order_of_classes_changes_only_the_order(files):
    p, t = random_files(files, 0)
    first, second = evaluate(p, truth=t), evaluate(p, truth=t, classes=tuple("DBAC"))
    assert second.classes == tuple("DBAC")
    for name in "ABCD":
        assert first.per_class[name] == second.per_class[name]
    assert first.averages.macro.recall == pytest.approx(second.averages.macro.recall, abs=1e-15)


def test_other_class_names_change_only_the_names(files):
    p, t = random_files(files, 1)
    first = evaluate(p, truth=t)
    p, t = random_files(files, 1, rename={"A": "zebra", "B": "nan", "C": "007", "D": "é"}.get)
    second = evaluate(p, truth=t)
    for old, new in {"A": "zebra", "B": "nan", "C": "007", "D": "é"}.items():
        assert first.per_class[old] == second.per_class[new]


def test_nothing_is_written_unless_asked_for(files, tmp_path):
    p, t = files(p="id,label\nd,N\nb,P\na,P\nc,P\n", t=TRUTH)
    assert evaluate(p, truth=t).out is None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p.csv", "t.csv"]


def test_the_written_evaluation_gives_the_same_numbers_again(files, tmp_path):
    p, t = random_files(files, 2, weights=np.random.default_rng(1).random(60))
    out = tmp_path / "new" / "out"
    report = evaluate(p, truth=t, out=out)
    assert sorted(path.name for path in out.iterdir()) == [
        *("confusion.csv", "confusion.png", "curves.csv", "files.json", "metrics.json"),
        *("mistakes.csv", "pr.png", "predictions.parquet", "reliability.csv", "reliability.png"),
        *("roc.png", "truth.csv"),
    ]
    saved = json.loads((out / "metrics.json").read_text())
    assert saved == plain(report)
    again = evaluate(out / "predictions.parquet", truth=out / "truth.csv")
    assert numbers(again) == numbers(report)
    matrix = pl.read_csv(out / "confusion.csv")
    assert matrix.columns == ["truth", "A", "B", "C", "D", "undecided"]
    assert matrix.drop("truth", "undecided").rows() == [
        tuple(row) for row in report.confusion.counts
    ]


def test_a_folder_with_a_metrics_file_of_something_else_is_not_replaced(files, tmp_path):
    truth, predictions = files(truth=TRUTH, p="id,label\na,P\nb,N\nc,N\nd,N\n")
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "metrics.json").write_text('{"accuracy": 0.9}')
    (folder / "model.py").write_text("precious")
    with pytest.raises(ConfigError, match="project: exists and is no evaluation"):
        evaluate(predictions, truth=truth, out=folder)
    assert sorted(path.name for path in folder.iterdir()) == ["metrics.json", "model.py"]


def test_a_folder_cannot_lie_below_a_file(files, tmp_path):
    truth, predictions = files(truth=TRUTH, p="id,label\na,P\nb,N\nc,N\nd,N\n")
    with pytest.raises(ConfigError, match=r"p\.csv is a file"):
        evaluate(predictions, truth=truth, out=predictions / "out")


def test_an_earlier_evaluation_is_replaced_as_a_whole_and_nothing_else_ever(files, tmp_path):
    p, t = files(p="id,label\nd,N\nb,P\na,P\nc,P\n", t=TRUTH)
    out = tmp_path / "out"
    evaluate(p, truth=t, out=out)
    (out / "old.png").touch()
    evaluate(p, truth=t, out=out)
    assert not (out / "old.png").exists()
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    with pytest.raises(ConfigError, match="mine: exists and is no evaluation"):
        evaluate(p, truth=t, out=mine)
    assert (mine / "thesis.txt").exists()
    assert not list(tmp_path.glob(".tmp-*"))


def test_an_error_leaves_the_earlier_evaluation_alone(files, tmp_path):
    p, t = files(p="id,label\nd,N\nb,P\na,P\nc,P\n", t=TRUTH)
    out = tmp_path / "out"
    evaluate(p, truth=t, out=out)
    before = (out / "metrics.json").read_bytes()
    p.write_text("id,label\nd,N\n")
    with pytest.raises(DataError):
        evaluate(p, truth=t, out=out)
    assert (out / "metrics.json").read_bytes() == before


def test_all_wrong_options_are_named_together(files):
    p, t = files(p="id,label\nd,N\n", t=TRUTH)
    with pytest.raises(ConfigError) as caught:
        evaluate(
            p,
            truth=t,
            betas=(0, 1),
            undefined="none",
            tie="abstian",
            positive="Q",
            classes=("P", "N"),
        )
    assert caught.value.problems == (
        "--undefined: Unknown value 'none'. Known: skip, 0, 1.",
        "--tie: Unknown value 'abstian'. Did you mean 'abstain'? Known: abstain, class-order.",
        "--beta 0: must be greater than 0 (from 1e-06 to 1e+06).",
        "--positive: Unknown class 'Q'. Known: P, N.",
    )


def test_a_positive_class_that_is_none_is_named(files):
    p, t = files(p="id,label\nd,N\nb,P\na,P\nc,P\n", t=TRUTH)
    with pytest.raises(ConfigError, match=r"--positive: Unknown class 'p'. Did you mean 'P'\?"):
        evaluate(p, truth=t, positive="p")


def test_a_label_that_the_columns_do_not_have_is_named(files):
    p, t = files(p="id,cat,dog\na,0.5,0.5\n", t="id,label\na,catt\n")
    with pytest.raises(
        DataError, match=r"t.csv: .*\n  id 'a': class 'catt' is not one of cat, dog"
    ):
        evaluate(p, truth=t)


def test_what_does_not_go_together_is_said(files, tmp_path):
    p, t = files(p="id,label\nd,N\n", truth=TRUTH)
    with pytest.raises(
        ConfigError, match=r"give the true labels by --truth FILE.*--truth .*truth.csv"
    ):
        evaluate(p)
    with pytest.raises(ConfigError, match="is scored by --truth FILE, not by pictures"):
        evaluate(p, "pictures", truth=t)
    with pytest.raises(ConfigError, match="--name: is for runs"):
        evaluate(p, truth=t, name="x")
    with pytest.raises(DataError, match=r"no such file. Did you mean 'p.csv'\?"):
        evaluate(tmp_path / "pp.csv", truth=t)
    with pytest.raises(ModelError):
        evaluate(tmp_path / "no run", truth=t)


def test_predictions_on_rows_that_made_the_model_are_marked(files, tmp_path):
    p, t = random_files(files, 0)
    out = tmp_path / "out"
    evaluate(p, truth=t, out=out)
    for split, marked in (("val", True), ("train", True), ("all", True), ("test", False)):
        metadata = {"split": split, "data": "cafe", "model_data": "cafe"}
        pl.read_parquet(out / "predictions.parquet").write_parquet(
            tmp_path / "p.parquet", metadata={"dnncli": json.dumps(metadata)}
        )
        report = evaluate(tmp_path / "p.parquet", truth=t)
        assert any("not scores on new data" in text for text in report.warnings) is marked
        assert report.split == split
