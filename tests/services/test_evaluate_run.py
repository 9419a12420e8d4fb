"""`evaluate` on a run: the same scores as on the files that it writes."""

from pathlib import Path

import pytest

from dnncli.errors import ConfigError
from dnncli.results import plain
from dnncli.services.evaluate import evaluate

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
