"""Prediction: the right rows, on the right scale, whatever form the data has."""

import numpy as np
import pytest
from tests_support import CLASSES, pattern, write_patterns

import dnncli
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.rundir import RunDir


def lines(path):
    return path.read_text().splitlines()


def arrays(count, *, scale=1.0, dtype=np.uint8):
    rng = np.random.default_rng(5)
    labels = np.arange(count) % 3
    pictures = np.stack([pattern(CLASSES[label], rng) for label in labels])
    return (pictures * scale).astype(dtype), np.array(CLASSES)[labels]


def test_the_test_rows_are_predicted_unless_others_are_asked_for(small_run, patterns, tmp_path):
    assert dnncli.predict(small_run, patterns, out=tmp_path / "a.csv").split == "test"
    everything = dnncli.predict(small_run, patterns, out=tmp_path / "b.csv", split="all")
    assert everything.n == 66


def test_a_model_file_and_a_copy_of_the_data_get_the_runs_split_too(tmp_path):
    data = write_patterns(tmp_path / "d", splits={"": 10})
    run = tmp_path / "run"
    settings = {"run.tensorboard": False}
    dnncli.train(data, out=str(run), model="mlp", epochs=1, settings=settings)
    kept = dnncli.predict(run, out=tmp_path / "a.csv")
    copy = write_patterns(tmp_path / "copy", splits={"": 10})
    for number, target in enumerate((run, run / "last.keras")):
        told = dnncli.predict(target, copy, out=tmp_path / f"{number}.csv")
        assert (told.split, told.n) == ("test", kept.n)


def test_data_that_changed_since_training_is_refused(tmp_path):
    data = write_patterns(tmp_path / "d", splits={"": 10})
    run = tmp_path / "run"
    settings = {"run.tensorboard": False}
    dnncli.train(data, out=str(run), model="mlp", epochs=1, settings=settings)
    write_patterns(data, splits={"": 11}, seed=4)
    with pytest.raises(DataError, match="has changed since"):
        dnncli.predict(run, data, out=tmp_path / "p.csv")
    assert not (tmp_path / "p.csv").exists()


def test_a_flat_folder_without_classes_is_predicted(small_run, patterns, tmp_path):
    told = dnncli.predict(small_run, patterns / "test" / "dots", out=tmp_path / "p.csv")
    assert told.n == 6
    assert lines(tmp_path / "p.csv")[0] == "id,across,dots,down"


def test_pixels_on_another_scale_are_refused_in_both_directions(small_run, patterns, tmp_path):
    pictures, labels = arrays(30, scale=1 / 255, dtype=np.float32)
    np.savez(tmp_path / "unit.npz", x=pictures, y=labels)
    with pytest.raises(DataError, match="reach 1|reach 0.* trained on 0..255"):
        dnncli.predict(small_run, tmp_path / "unit.npz", out=tmp_path / "p.csv")
    dnncli.train(
        tmp_path / "unit.npz",
        out=str(tmp_path / "run"),
        model="mlp",
        epochs=1,
        settings={"run.tensorboard": False},
    )
    with pytest.raises(DataError, match="reach 255, but the model was trained on 0"):
        dnncli.predict(tmp_path / "run", patterns, out=tmp_path / "p.csv")


def test_folder_arrays_and_records_give_the_same_predictions(fashion, tmp_path):
    forms = {"npz": tmp_path / "f.npz", "records": tmp_path / "records"}
    dnncli.convert(fashion, forms["npz"], to="numpy")
    dnncli.convert(fashion, forms["records"], to="tfrecord", shards=2)
    found = []
    for name, data in {"folder": fashion, **forms}.items():
        dnncli.train(
            data,
            out=str(tmp_path / "runs" / name),
            epochs=1,
            settings={"run.tensorboard": False},
        )
        dnncli.predict(tmp_path / "runs" / name, data, out=tmp_path / f"{name}.csv")
        found.append(lines(tmp_path / f"{name}.csv"))
    assert found[0] == found[1] == found[2]
    assert len(found[0]) == 101


@pytest.mark.parametrize(
    ("target", "out", "split", "error", "answer"),
    [
        ("nowhere", "p.csv", None, ModelError, "no such run folder"),
        ("RUN", "p.txt", None, ConfigError, "written as .csv, .parquet or .npz"),
        ("RUN", "p.csv", "valid", ConfigError, "this data set has train, val, test, all"),
    ],
)
def test_what_cannot_be_is_said(small_run, patterns, tmp_path, target, out, split, error, answer):
    target = small_run if target == "RUN" else tmp_path / target
    with pytest.raises(error, match=answer):
        dnncli.predict(target, patterns, out=tmp_path / out, split=split)
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_kept(small_run, patterns, tmp_path):
    (tmp_path / "p.csv").write_text("mine")
    with pytest.raises(ConfigError, match="exists already"):
        dnncli.predict(small_run, patterns, out=tmp_path / "p.csv")
    assert (tmp_path / "p.csv").read_text() == "mine"


def test_a_run_without_a_model_says_how_to_get_one(tmp_path):
    RunDir(tmp_path / "r").update(state="failed", data="x")
    with pytest.raises(ModelError, match="holds no best.keras .state: failed"):
        dnncli.predict(tmp_path / "r", out=tmp_path / "p.csv")
