"""A killed run, resumed, ends with the numbers of an uninterrupted one."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SETTINGS = {
    "run.backup_seconds": "0",
    "run.tensorboard": "false",
    "fit.batch_size": "64",
    "regime.early_stop": "2",
    "regime.monitor": '"accuracy"',
    "optimizer.schedule": '"plateau"',
    "optimizer.schedule_options": "{patience = 1}",
    "model.dropout": "0.3",
    "data.test": "0",
}
# Kills the process once, at a place named in a file; a resumed run finds the file gone.
KILLER = """
import os, signal, pathlib
import keras

class Killer(keras.callbacks.Callback):
    def _at(self, *place):
        file = pathlib.Path("kill")
        if file.exists() and file.read_text() == " ".join(map(str, place)):
            file.unlink()
            os.kill(os.getpid(), signal.SIGKILL)

    def on_epoch_begin(self, epoch, logs=None):
        self.epoch = epoch
        self._at("begin", epoch + 1)

    def on_epoch_end(self, epoch, logs=None):
        self._at("end", epoch + 1)

    def on_train_batch_end(self, batch, logs=None):
        self._at("batch", self.epoch + 1, batch + 1)
"""


def train(folder, *options, check=True):
    """Run `dnncli train` in a process of its own, in `folder`."""
    settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dnncli", "train", ROOT / "sample_data" / "fashion_mini"),
            *("--out", "run", "--epochs", "8", "--deterministic", "--json", *settings, *options),
        ],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), "."])},
        capture_output=True,
        text=True,
    )
    if check:
        assert done.returncode == 0, done.stderr
    return done


def outcome(folder):
    """History, best and stop epoch, and the final weights of a run."""
    run = folder / "run"
    result = json.loads((run / "run.json").read_text())["result"]
    with np.load(run / "backup" / "state.npz") as archive:
        weights = {name: archive[name].tobytes() for name in archive.files if name != "state"}
    chosen = {key: result[key] for key in ("epochs", "best_epoch", "best_value", "stopped")}
    return (run / "history.csv").read_text(), chosen, weights


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
