"""Runs of `dnncli train` in processes of their own, which can be killed where one wants."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
FASHION = ROOT / "sample_data" / "fashion_mini"
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


def train(folder, *options, data=FASHION, check=True):
    """Run `dnncli train` in a process of its own, in `folder`."""
    settings = [f"--set={key}={value}" for key, value in SETTINGS.items()]
    done = subprocess.run(
        [
            *(sys.executable, "-m", "dnncli", "train", data),
            *("--out", "run", "--epochs", "8", "--deterministic", "--json", *settings, *options),
            "--allow-code",  # a resumed run names the killer in its configuration
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
