"""A killed run, resumed, ends with the numbers of an uninterrupted one."""

import json
import signal

import numpy as np
import pytest
from resume_support import KILLER, outcome, train

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("uninterrupted")
    train(folder)
    return outcome(folder)


@pytest.mark.parametrize("place", ["batch 1 3", "batch 3 2", "end 4", "begin 5"])
def test_killed_and_resumed_equals_uninterrupted_bit_for_bit(tmp_path, uninterrupted, place):
    (tmp_path / "killer.py").write_text(KILLER)
    (tmp_path / "kill").write_text(place)
    killer = '--set=fit.callbacks=["killer:Killer"]'
    assert train(tmp_path, killer, check=False).returncode == -signal.SIGKILL
    assert json.loads((tmp_path / "run" / "run.json").read_text())["state"] == "running"
    train(tmp_path, "--resume")
    history, chosen, weights = outcome(tmp_path)
    assert history == uninterrupted[0]
    assert chosen == uninterrupted[1]
    assert weights == uninterrupted[2]


def test_averages_of_the_weights_are_resumed_bit_for_bit(tmp_path):
    average = "--set=optimizer.options={use_ema = true, ema_momentum = 0.9}"
    killer = '--set=fit.callbacks=["killer:Killer"]'
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    (killed / "killer.py").write_text(KILLER)
    (killed / "kill").write_text("batch 3 2")
    train(whole, average, "--epochs", "4")
    train(killed, average, killer, "--epochs", "4", check=False)
    train(killed, "--resume", "--epochs", "4")
    assert outcome(killed) == outcome(whole)
    with np.load(whole / "run" / "backup" / "state.npz") as archive:
        weights = {name: archive[name] for name in archive.files if name.startswith("model/")}
    import keras

    last = keras.models.load_model(whole / "run" / "last.keras")
    assert not np.array_equal(last.variables[0].numpy(), weights["model/0"])


def test_a_run_for_high_recall_is_resumed_bit_for_bit(tmp_path):
    goal = ("--regime", "high-recall", "--positive", "coat", "--recall", "0.6")
    options = (*goal, "--loss", "focal", "--early-stop", "4", '--set=regime.monitor="auto"')
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    (killed / "killer.py").write_text(KILLER)
    (killed / "kill").write_text("batch 3 2")
    train(whole, *options)
    train(killed, *options, '--set=fit.callbacks=["killer:Killer"]', check=False)
    train(killed, *options, "--resume")
    assert outcome(killed) == outcome(whole)
    assert "val_precision_at_recall" in outcome(whole)[0]
    thresholds = [(folder / "run" / "thresholds.json").read_bytes() for folder in (whole, killed)]
    assert thresholds[0] == thresholds[1]


def test_a_finished_run_says_so_instead_of_training_again(tmp_path, uninterrupted):
    train(tmp_path, "--epochs", "1")
    again = train(tmp_path, "--epochs", "1", "--resume", check=False)
    assert again.returncode == 2
    assert "finished after 1 epochs" in again.stderr
    other = train(tmp_path, "--epochs", "1", "--resume", "--lr", "0.5", check=False)
    assert other.returncode == 2
    assert "optimizer.learning_rate: the run has None, asked for is 0.5" in other.stderr


def test_cycles_and_their_snapshots_are_resumed_bit_for_bit(tmp_path):
    cycles = [
        *("--set=fit.snapshots=2", "--epochs", "4", "--early-stop", "0"),
        *('--set=optimizer.schedule="cosine"', "--set=optimizer.schedule_options={}"),
    ]
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    for folder in (whole, killed):
        folder.mkdir()
    (killed / "killer.py").write_text(KILLER)
    (killed / "kill").write_text("end 2")  # after the snapshot's epoch, before its backup
    train(whole, *cycles)
    train(killed, *cycles, '--set=fit.callbacks=["killer:Killer"]', check=False)
    train(killed, *cycles, "--resume")
    assert outcome(killed) == outcome(whole)
    import keras

    for name in ("1.keras", "2.keras"):
        one, other = (
            keras.models.load_model(folder / "run" / "snapshots" / name).weights
            for folder in (whole, killed)
        )
        assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(one, other, strict=True))
