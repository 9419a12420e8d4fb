"""Snapshots: one model at the end of every cycle of the learning rate."""

import numpy as np
import pytest

import dnncli
from dnncli.errors import ConfigError
from dnncli.rundir import RunDir
from dnncli.services.ensemble.members import predicted

QUICK = {"model": "mlp", "augment": "none", "batch_size": 16}
CYCLES = {"run.tensorboard": False, "fit.snapshots": 2}


def weights(path):
    import keras

    return [variable.numpy() for variable in keras.models.load_model(path).weights]


def same(one, other):
    return all(np.array_equal(a, b) for a, b in zip(weights(one), weights(other), strict=True))


@pytest.fixture(scope="module")
def run(patterns, tmp_path_factory):
    out = tmp_path_factory.mktemp("runs") / "cycles"
    dnncli.train(patterns, out=str(out), epochs=4, settings=CYCLES, **QUICK)
    return RunDir(out)


def test_a_model_is_kept_after_every_cycle_and_the_last_is_the_last(run):
    assert [path.name for path in run.snapshots] == ["1.keras", "2.keras"]
    assert same(run.snapshots[1], run.last)
    assert not same(run.snapshots[0], run.last)


def test_the_first_cycle_is_a_run_of_its_length(run, patterns, tmp_path):
    settings = {"run.tensorboard": False}
    dnncli.train(patterns, out=str(tmp_path / "one"), epochs=2, settings=settings, **QUICK)
    found, expected = weights(run.snapshots[0]), weights(RunDir(tmp_path / "one").last)
    for one, other in zip(found, expected, strict=True):  # Keras rounds the two rates differently
        assert one == pytest.approx(other, abs=1e-5)


def test_a_snapshot_gets_the_split_of_its_run(run, tmp_path):
    assert dnncli.predict(run.snapshots[0], out=tmp_path / "a.csv").split == "test"


def test_the_snapshots_of_a_run_are_members_in_order(run):
    told = predicted([run.path])
    assert told.names == ("cycles-1", "cycles-2")
    assert predicted([run.path / "snapshots"]).files == told.files
    assert predicted([run.best, run.path]).names == ("cycles", "cycles-1", "cycles-2")


@pytest.mark.parametrize(
    ("options", "settings", "answer"),
    [
        ({"epochs": 5}, {}, r"fit\.epochs 5: is no multiple of fit\.snapshots 2\. Give 4 or 6\."),
        ({"epochs": 1}, {}, r"Give 2\."),
        ({"schedule": "constant"}, {}, r"optimizer\.schedule constant: use cosine\."),
        ({"early_stop": 3}, {"optimizer.warmup": 1}, r"warmup: use 0\.\n.*early_stop: use 0\."),
        ({}, {"fit.snapshots": -1}, r"fit\.snapshots: Input should be greater than or equal to 0"),
    ],
)
def test_what_would_break_the_cycles_is_refused(patterns, tmp_path, options, settings, answer):
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match=answer):
        dnncli.train(patterns, out=str(out), settings=CYCLES | settings, **(QUICK | options))
    assert not out.exists()


def test_epochs_left_open_are_divided_into_whole_cycles(patterns):
    settings = {"fit.snapshots": 7}
    told = dnncli.train(patterns, settings=settings, dry_run=True, **QUICK)
    assert told["plan"]["epochs"] == 84  # 80 without cycles


def test_more_epochs_are_refused_because_the_cycles_would_change(run, patterns):
    with pytest.raises(ConfigError, match="2 snapshots divide the 4 epochs"):
        dnncli.train(patterns, out=str(run.path), resume=True, epochs=6)
