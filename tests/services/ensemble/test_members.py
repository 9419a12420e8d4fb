"""Runs and model files as members: predicted once, about the same rows, under their names."""

import shutil
import subprocess
import sys

import numpy as np
import pytest
from tests_support import write_patterns

import dnncli
from dnncli.data.predictions import read_predictions
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.results import write_json
from dnncli.rundir import RunDir
from dnncli.services.ensemble.members import are_models, predicted

QUICK = {"model": "mlp", "epochs": 1, "augment": "none"}
NO_LOGS = {"run.tensorboard": False}


@pytest.fixture(scope="module")
def runs(patterns, tmp_path_factory):
    """Two runs on the same rows; the second was trained with flips."""
    root = tmp_path_factory.mktemp("runs")
    for seed, policy in ((1, "none"), (2, "standard")):
        out = str(root / f"seed-{seed}")
        options = QUICK | {"seed": seed, "augment": policy}
        dnncli.train(patterns, out=out, settings=NO_LOGS, **options)
    return root


def probs_of(members):
    return {
        name: read_predictions(file).probs
        for name, file in zip(members.names, members.files, strict=True)
    }


def test_a_run_is_predicted_as_predict_does_it(runs, patterns, tmp_path):
    told = predicted([runs / "seed-1", runs / "seed-2"])
    assert told.names == ("seed-1", "seed-2")
    assert told.split == "test"
    assert told.class_names == ("across", "dots", "down")
    dnncli.predict(runs / "seed-2", patterns, out=tmp_path / "p.parquet")
    expected = read_predictions(tmp_path / "p.parquet")
    assert np.array_equal(probs_of(told)["seed-2"], expected.probs)
    assert told.truth.ids.equals(expected.ids)
    assert np.array_equal(np.bincount(told.truth.labels), [6, 6, 6])


def test_what_was_predicted_once_needs_no_tensorflow(runs):
    predicted([runs])
    code = (
        "import sys; from dnncli.services.ensemble.members import predicted; "
        f"told = predicted([{str(runs)!r}]); "
        "print(told.computed, len(told.files), 'tensorflow' in sys.modules, 'keras' in sys.modules)"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert shown.stdout.split() == ["0", "2", "False", "False"], shown.stderr


def test_another_model_file_data_set_or_split_is_predicted_anew(runs, patterns, tmp_path):
    run = tmp_path / "seed-1"
    shutil.copytree(runs / "seed-1", run)
    first = predicted([run])
    assert predicted([run]).computed == 0
    assert predicted([run], split="val").computed == 1
    data = write_patterns(tmp_path / "d", splits={"": 3}, seed=9)
    assert predicted([run], data).computed == 1
    shutil.copy(runs / "seed-2" / "best.keras", run / "best.keras")
    again = predicted([run])
    assert again.computed == 1
    assert again.files != first.files


def test_a_damaged_file_is_predicted_anew(runs, tmp_path):
    shutil.copytree(runs / "seed-1", tmp_path / "run")
    (file,) = predicted([tmp_path / "run"]).files
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    assert predicted([tmp_path / "run"]).computed == 1
    assert file.read_bytes() == whole


def test_a_file_that_is_damaged_in_its_middle_is_predicted_anew(runs, tmp_path):
    shutil.copytree(runs / "seed-1", tmp_path / "run")
    (file,) = predicted([tmp_path / "run"]).files
    whole = file.read_bytes()
    middle = slice(len(whole) // 4, len(whole) // 2)
    file.write_bytes(whole.replace(whole[middle], bytes(byte ^ 0x5A for byte in whole[middle])))
    told = predicted([tmp_path / "run"])
    assert told.computed == 1
    assert file.read_bytes() == whole


def test_where_nothing_can_be_kept_everything_is_predicted_all_the_same(runs, tmp_path):
    shutil.copytree(runs / "seed-1", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "predictions", ignore_errors=True)
    (tmp_path / "run" / "predictions").touch()  # no folder can be made there
    told = predicted([tmp_path / "run"])
    assert np.array_equal(probs_of(told)["run"], probs_of(predicted([runs]))["seed-1"])
    assert any("predictions: cannot be written (File exists)" in note for note in told.notes)


def test_what_an_earlier_model_said_is_removed(runs, patterns, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(runs / "seed-1", run)
    shutil.rmtree(run / "predictions", ignore_errors=True)
    shutil.copy(run / "best.keras", run / "best-test.keras")
    other = predicted([run / "best-test.keras"], patterns, tta=3).files
    earlier = [*predicted([run]).files, *predicted([run], split="val", tta=2).files]
    assert all(file.exists() for file in (*other, *earlier))
    (run / "predictions" / "notes.parquet").touch()
    shutil.copy(runs / "seed-2" / "best.keras", run / "best.keras")
    (new,) = predicted([run]).files
    expected = {*other, new, run / "predictions" / "notes.parquet"}
    assert set((run / "predictions").iterdir()) == expected


def test_members_that_are_not_trained_to_their_end_are_named(runs, tmp_path):
    group = tmp_path / "group"
    shutil.copytree(runs / "seed-1", group / "seed-1")
    RunDir(group / "seed-1").update(state="running")
    write_json(group / "seeds.json", {"seeds": [1, 2, 5]})
    notes = predicted([group]).notes
    assert f"{group}: no run yet of seed 2, 5." in notes
    assert f"{group / 'seed-1'}: is not trained to its end (state: running)." in notes
    shutil.rmtree(group / "seed-1")
    with pytest.raises(ModelError, match="group: none of its runs has begun.*--resume"):
        predicted([group])


def test_validation_rows_of_the_runs_teach_about_new_pictures(runs, patterns):
    run, new = runs / "seed-1", patterns / "test" / "dots"
    told = dnncli.consensus(
        [run, run / "last.keras"], data=new, method="weighted", weights_from="val"
    )
    assert told.n == 6
    assert set(told.weights) == {"seed-1", "seed-1-last"}


@pytest.mark.parametrize(("split", "rows"), [("val", 6), ("all", 66)])
def test_rows_that_taught_are_no_test_of_runs_either(runs, split, rows):
    run = runs / "seed-1"
    models = [run, run / "last.keras"]
    told = dnncli.consensus(models, split=split, method="weighted", weights_from="val")
    taught = f" of the {rows} rows of split '{split}' chose the weights"
    assert any(taught in warning for warning in told.warnings), told.warnings


def test_views_are_members_of_their_own_and_flips_need_training_with_flips(runs):
    told = predicted([runs], tta=3)
    assert told.names == (
        *("seed-1~plain", "seed-1~left", "seed-1~right"),
        *("seed-2~plain", "seed-2~flip", "seed-2~left"),
    )
    probs = probs_of(told)
    assert np.array_equal(probs["seed-1~plain"], probs_of(predicted([runs]))["seed-1"])
    assert not np.array_equal(probs["seed-1~plain"], probs["seed-1~left"])
    assert predicted([runs], tta=4).computed == 2  # one more view of each


def test_predict_takes_the_mean_over_the_views(runs, tmp_path):
    dnncli.predict(runs / "seed-2", out=tmp_path / "p.parquet", tta=3)
    found = read_predictions(tmp_path / "p.parquet")
    views = probs_of(predicted([runs / "seed-2"], tta=3))
    assert found.metadata["views"] == ["plain", "flip", "left"]
    assert found.probs == pytest.approx(np.mean(list(views.values()), axis=0), abs=1e-6)


def test_pictures_without_classes_are_predicted_without_truth(runs, patterns):
    told = predicted([runs], patterns / "test" / "dots")
    assert told.truth is None
    assert told.class_names == ("across", "dots", "down")
    assert len(read_predictions(told.files[0])) == 6


def test_one_run_of_a_folder_must_be_named_where_one_is_needed(runs, tmp_path):
    with pytest.raises(ModelError, match="It holds runs: name one, such as .*seed-1"):
        dnncli.predict(runs, out=tmp_path / "p.csv")


def test_names_of_runs_that_are_called_alike_hold_their_folder(runs, tmp_path):
    shutil.copytree(runs / "seed-1", tmp_path / "other" / "seed-1")
    told = predicted([runs / "seed-1", tmp_path / "other" / "seed-1"])
    assert told.names == (f"{runs.name}/seed-1", "other/seed-1")


def test_a_model_file_elsewhere_follows_the_split_of_the_runs(tmp_path):
    data = write_patterns(tmp_path / "d", splits={"": 10})
    dnncli.train(data, out=str(tmp_path / "run"), settings=NO_LOGS, **QUICK)
    shutil.copy(tmp_path / "run" / "last.keras", tmp_path / "alone.keras")
    told = predicted([tmp_path / "alone.keras", tmp_path / "run"])
    assert told.names == ("alone", "run")
    assert told.split == "test"
    assert len(told.truth) < 30


def test_runs_with_different_splits_are_refused(tmp_path):
    data = write_patterns(tmp_path / "d", splits={"": 10})
    for seed in (1, 2):
        out = str(tmp_path / f"s{seed}")
        dnncli.train(data, out=out, settings=NO_LOGS, **QUICK | {"seed": seed})
    with pytest.raises(DataError, match=r"s2: \d+ ids differ from those of s1 \(first: "):
        predicted([tmp_path / "s1", tmp_path / "s2"])
    told = predicted([tmp_path / "s1", tmp_path / "s2"], split="all")
    assert any("these are not scores on new data" in note for note in told.notes)


def test_what_does_not_fit_together_is_named_before_anything_is_predicted(runs, tmp_path):
    with pytest.raises(ConfigError, match=r"seed-1 is a model, but votes\.csv is none"):
        are_models([runs / "seed-1", "votes.csv"])
    with pytest.raises(ConfigError, match="Models that are named twice"):
        predicted([runs, runs / "seed-1"])
    with pytest.raises(ConfigError, match="--tta 99: there are 9 views at most"):
        predicted([runs], tta=99)
    with pytest.raises(ConfigError, match="--tta -1: a number of views"):
        predicted([runs], tta=-1)
    with pytest.raises(ConfigError, match="--split vall: this data set has train, val, test, all"):
        predicted([runs], split="vall")
    other = tmp_path / "data"
    for kind in ("across", "dot"):
        shutil.copytree(write_patterns(tmp_path / "d", splits={"": 6}) / "dots", other / kind)
    dnncli.train(other, out=str(tmp_path / "other"), settings=NO_LOGS, **QUICK)
    with pytest.raises(ConfigError) as refusal:
        predicted([runs, tmp_path / "other"])
    assert "other: has no class 'down', which seed-1 has." in str(refusal.value)
    assert "other: has the class 'dot', which seed-1 has not. Did you mean 'dots'?" in str(
        refusal.value
    )
    assert not (tmp_path / "other" / "predictions").exists()


def test_a_data_set_must_be_named_where_runs_do_not_agree_on_one(runs, small_run, tmp_path):
    shutil.copy(runs / "seed-1" / "best.keras", tmp_path / "alone.keras")
    with pytest.raises(ConfigError, match="--data: name the data set"):
        predicted([tmp_path / "alone.keras"])
    copy = write_patterns(tmp_path / "copy", splits={"train": 16, "test": 6})
    dnncli.train(copy, out=str(tmp_path / "run"), settings=NO_LOGS, **QUICK)
    with pytest.raises(ConfigError, match="several data sets"):
        predicted([small_run, tmp_path / "run"])


def test_a_data_set_that_was_moved_is_to_be_named(runs, tmp_path):
    shutil.copytree(runs / "seed-1", tmp_path / "run")
    RunDir(tmp_path / "run").update(data=str(tmp_path / "moved"))
    with pytest.raises(DataError, match="moved, which is not there any more. Name where it is"):
        predicted([tmp_path / "run"])
    with pytest.raises(DataError, match="not there any more"):
        dnncli.evaluate(tmp_path / "run")
