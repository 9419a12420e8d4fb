"""`evaluate` on a run: the same scores as on the files that it writes."""

import json
import shutil
from pathlib import Path

import pytest

from dnncli.errors import ConfigError, DataError
from dnncli.results import plain
from dnncli.rundir import RunDir
from dnncli.services.evaluate import evaluate
from dnncli.services.predict import predict
from dnncli.services.threshold import threshold as choose

DEFECTS = Path(__file__).parents[2] / "sample_data" / "defects"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    from dnncli.services.train import train

    out = tmp_path_factory.mktemp("runs") / "run"
    settings = {"model.name": "mlp", "data.image_size": [8, 8], "run.tensorboard": False}
    train(DEFECTS, settings=settings, epochs=1, out=str(out))
    return out


def test_a_run_is_scored_on_its_test_split_and_keeps_the_evaluation(run):
    report = evaluate(run, positive="defect", betas=(1, 2))
    assert report.split == "test"
    assert report.out == run / "eval" / "test"
    assert report.n == len(list((DEFECTS / "test").rglob("*.jpg")))
    assert report.classes == ("defect", "ok")
    again = evaluate(
        report.out / "predictions.parquet", truth=report.out / "truth.csv", betas=(1, 2)
    )
    for key in ("n", "accuracy", "per_class", "averages", "confusion", "ties", "split"):
        assert plain(getattr(again, key)) == plain(getattr(report, key))
    assert not any("not scores on new data" in text for text in report.warnings)


def test_the_split_that_chose_the_epoch_is_marked_as_such(run):
    report = evaluate(run, split="val", name="chosen")
    assert report.out == run / "eval" / "chosen"
    assert any("Split 'val' chose the epoch" in text for text in report.warnings)


def test_the_batch_size_changes_no_count(run):
    first, second = evaluate(run, batch_size=7), evaluate(run, batch_size=1000)
    assert first.confusion == second.confusion


def test_a_model_file_in_a_run_is_scored_like_the_run(run):
    report = evaluate(run / "best.keras", DEFECTS, split="test")
    assert report.out == run / "eval" / "defects-test"
    assert report.confusion == evaluate(run).confusion


def test_options_that_make_no_sense_for_a_run_are_all_named(run):
    with pytest.raises(ConfigError) as caught:
        evaluate(run, truth="t.csv", classes=("a", "b"), name="a/b", positive="a")
    assert [line.partition(":")[0] for line in caught.value.problems] == [
        *("--truth", "--classes", "--name 'a/b'", "--positive")
    ]


def test_an_evaluation_of_other_data_is_kept_and_the_new_one_gets_a_number(run, tmp_path):
    first = evaluate(run, split="test")
    other = tmp_path / "defects"
    shutil.copytree(DEFECTS / "test", other)
    next((other / "ok").iterdir()).unlink()
    one = evaluate(run, DEFECTS, split="test")
    two = evaluate(run, other, split="all", name="mine")
    assert (two.n, two.out.name) == (one.n - 1, "mine")
    assert evaluate(run, other, split="all", name="mine").out == two.out
    next((other / "ok").iterdir()).unlink()
    with pytest.raises(ConfigError, match="--name mine: .* holds an evaluation of other data"):
        evaluate(run, other, split="all", name="mine")
    automatic = evaluate(run, other, split="all")
    next((other / "ok").iterdir()).unlink()
    assert evaluate(run, other, split="all").out.name == f"{automatic.out.name}-2"
    assert evaluate(run, split="test").out == first.out


def test_the_rows_that_chose_a_threshold_cannot_judge_it_and_others_get_a_verdict(run, tmp_path):
    file = tmp_path / "thresholds.json"
    predict(run, split="val", out=tmp_path / "val.parquet")
    choose(
        tmp_path / "val.parquet",
        truth=run / "split.csv",
        split="val",
        positive="defect",
        recall=0.5,
        out=file,
    )
    with pytest.raises(DataError, match="chose the thresholds"):
        evaluate(run, split="val", thresholds=file, name="refused")
    assert not (run / "eval" / "refused").exists()
    report = evaluate(run, thresholds=file, slices=("folder:2", "split"), name="judged")
    assert report.positive == "defect"
    assert report.threshold == json.loads(file.read_text())["threshold"]
    assert report.threshold_from.split == "val"
    assert report.verdict["defect"].n_positive == report.per_class["defect"].support
    assert list(report.slices["folder:2"]) == ["defect", "ok"]
    assert list(report.slices["split"]) == ["test"]
    assert (report.out / "mistakes.png").exists()


@pytest.fixture(scope="module")
def high_recall_run(tmp_path_factory):
    from dnncli.services.train import train

    out = tmp_path_factory.mktemp("runs") / "high-recall"
    settings = {"model.name": "mlp", "data.image_size": [8, 8], "run.tensorboard": False}
    options = {"regime": "high-recall", "positive": "defect", "recall": 0.5, "val": 0.5}
    train(DEFECTS, settings=settings, epochs=1, out=str(out), **options)
    return out


def chosen_pictures(run):
    """Ids of the validation rows, which chose the thresholds of a run."""
    lines = (run / "split.csv").read_text().splitlines()[1:]
    return [line.split(",")[0] for line in lines if line.split(",")[2] == "val"]


def test_pictures_that_chose_a_threshold_are_known_under_other_ids(high_recall_run, tmp_path):
    for number, name in enumerate(chosen_pictures(high_recall_run)[:6]):
        for other in ("defect", "ok"):
            (tmp_path / "moved" / other).mkdir(parents=True, exist_ok=True)
        label = Path(name).parent.name
        shutil.copy(DEFECTS / name, tmp_path / "moved" / label / f"renamed{number}.jpg")
    for label in ("defect", "ok"):
        fresh = sorted((DEFECTS / "test" / label).glob("*.jpg"))[0]
        shutil.copy(fresh, tmp_path / "moved" / label / "fresh.jpg")
    with pytest.raises(DataError, match="6 of the ids to be scored chose the thresholds"):
        evaluate(
            high_recall_run, tmp_path / "moved", thresholds=high_recall_run / "thresholds.json"
        )


def test_other_pictures_with_the_same_ids_may_judge_a_threshold(high_recall_run, tmp_path):
    chosen = chosen_pictures(high_recall_run)
    for label in ("defect", "ok"):
        name = next(name for name in chosen if Path(name).parent.name == label)
        fresh = sorted((DEFECTS / "test" / label).glob("*.jpg"))[0]
        place = tmp_path / "other" / name
        place.parent.mkdir(parents=True)
        shutil.copy(fresh, place)
    report = evaluate(
        high_recall_run,
        tmp_path / "other",
        split="all",
        thresholds=high_recall_run / "thresholds.json",
    )
    assert report.verdict["defect"].n_positive == 1
    assert any("2 rows have ids of rows that chose" in text for text in report.warnings)


def test_the_temperature_of_the_run_is_applied_and_named(run):
    found = evaluate(run).calibration
    saved = RunDir(run).read()["result"]["calibration"]["temperature"]
    assert found.temperature == saved
    assert found.ece_after is not None
    report = evaluate(run / "last.keras", DEFECTS, split="test")
    assert report.calibration.temperature is None  # another model than the one it was fitted for
