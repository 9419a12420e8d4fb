"""`evaluate` with thresholds: what is decided, the verdict, and which rows are refused."""

import json
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from dnncli.errors import ConfigError, DataError
from dnncli.results import plain
from dnncli.services.evaluate import evaluate
from dnncli.services.threshold import threshold as choose

NAN = float("nan")


def write(path, head, rows):
    text = "\n".join([head, *(",".join(map(str, row)) for row in rows)])
    path.write_text(text + "\n", encoding="utf-8")
    return path


@pytest.fixture
def scores(tmp_path, monkeypatch):
    """Write val.csv and test.csv with the score of P, and their truth; positives score higher."""
    monkeypatch.chdir(tmp_path)

    def make(name, *, positives=100, negatives=50, low=0.4, seed=0):
        rng = np.random.default_rng(seed)
        values = [*rng.uniform(low, 1, positives), *rng.uniform(0, 0.6, negatives)]
        ids = [f"{name}{row}" for row in range(len(values))]
        labels = ["P"] * positives + ["N"] * negatives
        return (
            write(tmp_path / f"{name}.csv", "id,P", zip(ids, values)),
            write(tmp_path / f"{name}_truth.csv", "id,label", zip(ids, labels)),
        )

    return make


def chosen(scores, *, recall=0.9, **options):
    predictions, truth = scores("val", seed=1, **options)
    choose(predictions, truth=truth, recall=recall, out="thresholds.json")
    return "thresholds.json"


def test_the_threshold_of_the_file_decides_and_its_source_is_named(scores):
    file = chosen(scores)
    value = json.loads(Path(file).read_text())["threshold"]
    p, t = scores("test")
    report = evaluate(p, truth=t, thresholds=file)
    found = pl.read_csv(p)["P"].to_numpy() >= value
    assert report.threshold == value
    assert report.positive == "P"
    assert report.per_class["P"].predicted == found.sum()
    assert report.threshold_from.rule == "certified"
    assert report.threshold_from.chosen_on == "val.csv"
    assert any("certified on val.csv" in text for text in report.warnings)
    assert any("only for rows drawn like those that chose it" in text for text in report.warnings)
    assert len(report.missed) == report.per_class["P"].fn
    assert evaluate(p, truth=t, threshold=value).per_class == report.per_class


@pytest.mark.parametrize(
    ("positives", "low", "verdict"),
    [(400, 0.55, "met"), (400, 0.0, "not met"), (4, 0.9, "cannot tell"), (0, 0.9, "cannot tell")],
)
def test_the_verdict_follows_from_the_exact_interval(scores, positives, low, verdict):
    file = chosen(scores)
    report = evaluate(
        *(f := scores("test", positives=positives, low=low))[:1], truth=f[1], thresholds=file
    )
    found = report.verdict["P"]
    assert found.verdict == verdict
    assert (found.target_recall, found.n_positive) == (0.9, positives)
    if positives:
        low_end, high_end = found.interval
        assert low_end <= found.recall <= high_end
        assert found.misses == len(report.missed)
    else:
        assert plain(found)["recall"] is None
        assert found.interval is None


def test_rows_that_chose_the_threshold_are_refused_and_nothing_is_written(scores, tmp_path):
    file = chosen(scores)
    p, t = tmp_path / "val.csv", tmp_path / "val_truth.csv"
    with pytest.raises(DataError) as caught:
        evaluate(p, truth=t, thresholds=file, out=tmp_path / "out")
    assert caught.value.message.startswith("150 of the ids to be scored chose the thresholds in")
    assert "thresholds.json (val.csv)" in caught.value.message
    assert len(caught.value.problems) == 150
    assert str(caught.value).endswith("... and 130 more.")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("threshold", "said"),
    [
        (-3.0, "Every score of 'P' reaches the threshold -3.0: they lie from 0.25 to 0.75."),
        (0.25, "Every score of 'P' reaches the threshold 0.25: they lie from 0.25 to 0.75."),
        (0.5, None),
        (0.75, None),
        (50.0, "No score of 'P' reaches the threshold 50.0: they lie from 0.25 to 0.75."),
    ],
)
def test_a_threshold_beside_all_scores_is_remarked_on(tmp_path, threshold, said):
    p = write(tmp_path / "p.csv", "id,N,P", [("a", 0.25, 0.75), ("b", 0.75, 0.25)])
    t = write(tmp_path / "t.csv", "id,label", [("a", "P"), ("b", "N")])
    report = evaluate(p, truth=t, positive="P", threshold=threshold)
    found = [text for text in report.warnings if "reaches the threshold" in text]
    assert [text.startswith(said) for text in found] == ([True] if said else [])


@pytest.mark.parametrize("threshold", [1e300, -1e300])
def test_a_threshold_beyond_the_scores_precision_is_an_end_of_the_scores(tmp_path, threshold):
    table = {"id": ["a", "b"], "N": [0.25, 0.75], "P": [0.75, 0.25]}
    single = pl.DataFrame(table, schema_overrides={"N": pl.Float32, "P": pl.Float32})
    single.write_parquet(tmp_path / "p.parquet")
    t = write(tmp_path / "t.csv", "id,label", [("a", "P"), ("b", "N")])
    report = evaluate(
        tmp_path / "p.parquet", truth=t, positive="P", threshold=threshold, out=tmp_path / "out"
    )
    assert report.per_class["P"].predicted == (0 if threshold > 0 else 2)


def test_a_class_that_only_the_file_names_is_said_to_be_unknown_once(scores, tmp_path):
    file = chosen(scores)
    p = write(tmp_path / "p.csv", "id,A,B", [("a", 0.25, 0.75), ("b", 0.75, 0.25)])
    t = write(tmp_path / "t.csv", "id,label", [("a", "A"), ("b", "B")])
    with pytest.raises(ConfigError) as error:
        evaluate(p, truth=t, thresholds=file)
    assert "--positive" not in str(error.value)
    assert str(error.value).count("Unknown class 'P'") == 1


def test_one_shared_row_is_enough_to_refuse(scores, tmp_path):
    file = chosen(scores)
    p, t = scores("test")
    p.write_text(p.read_text() + "val7,0.9\n")
    t.write_text(t.read_text() + "val7,P\n")
    with pytest.raises(DataError, match=r"1 of the ids.*\n  id 'val7'"):
        evaluate(p, truth=t, thresholds=file)


def test_a_threshold_may_lie_anywhere_but_without_one_scores_are_shares(tmp_path):
    p = write(tmp_path / "p.csv", "id,P", [("a", 7.25), ("b", -3), ("c", 7.5)])
    t = write(tmp_path / "t.csv", "id,label", [("a", "P"), ("b", "N"), ("c", "N")])
    with pytest.raises(DataError, match=r"outside \[0, 1\]"):
        evaluate(p, truth=t)
    report = evaluate(p, truth=t, threshold=7.25)
    assert report.confusion.counts == [[1, 0], [1, 1]]
    assert report.calibration is None
    assert report.curves.roc_auc == 0.5


@pytest.fixture
def three(tmp_path):
    """Probabilities of three classes, and a file of thresholds for all of them."""

    def make(name, seed):
        rng = np.random.default_rng(seed)
        probs = rng.dirichlet(np.ones(3), 90).astype(np.float32)
        ids = [f"{name}{row}" for row in range(90)]
        table = pl.DataFrame({"id": ids, **dict(zip("abc", probs.T))})
        table.write_parquet(tmp_path / f"{name}.parquet")
        labels = ["abc"[k] for k in rng.integers(3, size=90)]
        write(tmp_path / f"{name}_truth.csv", "id,label", zip(ids, labels))
        return tmp_path / f"{name}.parquet", tmp_path / f"{name}_truth.csv"

    p, t = make("val", 0)
    choose(p, truth=t, recall=0.8, out=tmp_path / "thresholds.json")
    return *make("test", 1), tmp_path / "thresholds.json"


def test_a_file_about_several_classes_judges_each_and_decides_only_for_the_one_named(three):
    p, t, file = three
    report = evaluate(p, truth=t, thresholds=file)
    assert list(report.verdict) == ["a", "b", "c"]
    assert report.threshold is None
    assert report.per_class == evaluate(p, truth=t).per_class
    named = evaluate(p, truth=t, thresholds=file, positive="b")
    assert named.threshold == named.verdict["b"].threshold
    assert named.verdict == report.verdict
    assert named.per_class["b"].recall == named.verdict["b"].recall
    saved = json.loads(file.read_text())["per_class"]["b"]["threshold"]
    assert named.per_class["b"].predicted == (pl.read_parquet(p)["b"] >= saved).sum()


def test_what_does_not_fit_a_threshold_is_said_before_anything_is_computed(three, tmp_path):
    p, t, file = three
    labels = write(tmp_path / "l.csv", "id,label", [(f"test{row}", "a") for row in range(90)])
    with pytest.raises(ConfigError, match="--threshold: the predictions are labels"):
        evaluate(labels, truth=t, threshold=0.5)
    with pytest.raises(ConfigError, match="--thresholds: the predictions are labels"):
        evaluate(labels, truth=t, thresholds=file)
    with pytest.raises(ConfigError, match="--threshold: needs --positive CLASS"):
        evaluate(p, truth=t, threshold=0.5)
    with pytest.raises(ConfigError, match="--threshold and --thresholds: give one"):
        evaluate(p, truth=t, threshold=0.5, thresholds=file)
    with pytest.raises(ConfigError, match="--threshold nan: must be a finite number"):
        evaluate(p, truth=t, threshold=NAN)
    with pytest.raises(DataError, match="no such thresholds file"):
        evaluate(p, truth=t, thresholds=tmp_path / "no.json")
    pl.read_parquet(p).rename({"b": "bb"}).write_parquet(p)
    t.write_text(t.read_text().replace(",b", ",bb"))
    with pytest.raises(
        ConfigError, match=r"has a threshold for class 'b'. Unknown class 'b'. Did you mean 'bb'"
    ):
        evaluate(p, truth=t, thresholds=file)


def test_scores_that_are_no_number_count_as_flagged_only_if_asked_for(scores, tmp_path):
    p = write(tmp_path / "p.csv", "id,P", [("a", "nan"), ("b", "nan"), ("c", 0.7), ("d", 0.1)])
    t = write(tmp_path / "t.csv", "id,label", [("a", "P"), ("b", "N"), ("c", "N"), ("d", "P")])
    with pytest.raises(DataError, match="'a'"):
        evaluate(p, truth=t)
    report = evaluate(p, truth=t, nan="positive")
    assert report.confusion.counts == [[1, 1], [2, 0]]
    assert report.missed == ["d"]
    assert "2 of 4 rows hold NaN and count as 'P': 'a', 'b'." in report.warnings
    assert report.undecided == 0
    # Of two positives one comes with a NaN (before all scores), the other behind everything.
    assert report.curves.average_precision == pytest.approx((1 / 2 + 2 / 4) / 2, abs=1e-15)


def test_nan_needs_a_class_to_count_for(tmp_path):
    p = write(tmp_path / "p.csv", "id,P,N", [("a", "nan", "nan"), ("b", 0.2, 0.8)])
    t = write(tmp_path / "t.csv", "id,label", [("a", "P"), ("b", "N")])
    with pytest.raises(ConfigError, match="--nan positive: needs --positive CLASS"):
        evaluate(p, truth=t, nan="positive")
    assert evaluate(p, truth=t, nan="positive", positive="P").accuracy == 1
    assert evaluate(p, truth=t, nan="positive", positive="N").accuracy == 0.5
    out = tmp_path / "out"
    assert evaluate(p, truth=t, nan="positive", positive="P", out=out).out == out


def test_a_target_that_was_changed_by_hand_everywhere_is_refused(scores):
    file = Path(chosen(scores))
    data = json.loads(file.read_text())
    for entry in (data, *data["per_class"].values()):
        entry["target_recall"] = 0.5
    file.write_text(json.dumps(data))
    p, t = scores("test")
    with pytest.raises(DataError, match=r"per_class\.P\.certified\.needed_positives: found 29"):
        evaluate(p, truth=t, thresholds=file)
