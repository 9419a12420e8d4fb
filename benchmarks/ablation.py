"""What each ingredient of a speed run adds to the default network, over several seeds.

    python benchmarks/ablation.py ARRAYS.npz [--seeds 0,1,2] [--epochs 8] [--only NAME,...]

ARRAYS holds `x_train`, `y_train`, and as `x_val`, `y_val` pictures to judge on: nothing is chosen
by them, the last epoch counts. Every variant is one `dnncli train` that differs in one thing.
"""

import argparse
import csv
import json
import statistics
import sys
import tempfile
from pathlib import Path

import tomli_w
import turns

from dnncli.augmentation.policies import LIGHT


def variants(arrays: str, flip: str) -> dict[str, list[str]]:
    """The settings that differ, by name."""
    net = "model.options"
    return {
        "as it is": [],
        "GELU": ["--set", f"{net}.activation=gelu"],
        "whitening first layer": ["--set", f"{net}.whiten={arrays}"],
        "dirac start": ["--set", f"{net}.dirac=true"],
        "batch-norm momentum .6": ["--set", f"{net}.momentum=0.6"],
        "triangular rate": ["--set", "optimizer.schedule=triangular"],
        "no label smoothing": ["--set", "loss.label_smoothing=0"],
        "no average of weights": ["--set", "optimizer.average=0"],
        "flips": ["--augment", flip],
        "AdamW 2e-3": ["--optimizer", "adamw", "--lr", "0.002"],
        "batches of 128": ["--batch-size", "128"],
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("arrays")
    parser.add_argument("--seeds", default="0,1,2")
    parser.add_argument("--epochs", default="8")
    parser.add_argument("--only", default="")
    asked = parser.parse_args()
    arrays = str(Path(asked.arrays).resolve())
    with tempfile.TemporaryDirectory() as folder:
        flip = Path(folder, "flip.toml")
        steps = [{"name": "flip", "mode": "horizontal"}]
        steps += [{"name": step.name, **step.options} for step in LIGHT.steps]
        flip.write_text(tomli_w.dumps({"step": steps}), encoding="utf-8")
        chosen = variants(arrays, str(flip))
        if asked.only:
            chosen = {name: chosen[name] for name in asked.only.split(",")}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in chosen}
        for seed in asked.seeds.split(","):
            for name, options in chosen.items():
                out = Path(folder, f"{len(found[name])}-{list(chosen).index(name)}")
                always = ["--model", "speedrun:cnn", "--optimizer", "muon-conv", "--seed", seed]
                always += ["--batch-size", "64", "--epochs", asked.epochs, "--out", str(out)]
                always += ["--set", f"fit.validation_freq={asked.epochs}"]
                got = _train([arrays, *always, *options], out)
                found[name].append(got)
                print(f"seed {seed}  {name}: {json.dumps(got)}", file=sys.stderr, flush=True)
    first = statistics.mean(got["accuracy"] for got in found["as it is"])
    rows = []
    for name, turn in found.items():
        scores = [got["accuracy"] for got in turn]
        mean = statistics.mean(scores)
        each = ", ".join(f"{score:.4f}" for score in scores)
        loss = statistics.mean(got["loss"] for got in turn)
        rows.append((name, f"{mean:.4f}", f"{mean - first:+.4f}", each, f"{loss:.4f}"))
    turns.report("ablation", ("", "accuracy", "difference", "by seed", "loss"), rows)


def _train(arguments: list[str], out: Path) -> dict[str, float]:
    """Accuracy and loss after the last epoch."""
    quiet = ["--set", "run.tensorboard=false", "--set", "regime.early_stop=0"]
    turns.run([sys.executable, "-m", "dnncli", "train", *arguments, *quiet])
    with (out / "history.csv").open(encoding="utf-8") as file:
        last = list(csv.DictReader(file))[-1]
    return {"accuracy": float(last["val_accuracy"]), "loss": float(last["val_loss"])}


if __name__ == "__main__":
    main()
