"""One epoch of every kind of network, loss and optimizer on TensorFlow and on JAX, compared.

    python benchmarks/backends.py [--only PART] [--folder DIR]

Each backend is a process of its own, on pictures drawn here. Told are the largest differences of
anything in history.csv and of the weights in last.keras, and the seconds of the whole training.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

_PIXELS = {"model": "unet", "settings": {"model.options": {"width": 4, "depth": 2}}}
_CASES: dict[str, dict[str, Any]] = {
    "mlp, adam": {"model": "mlp"},
    "mlp, sgd": {"model": "mlp", "optimizer": "sgd"},
    "focal": {"model": "mlp", "loss": "focal"},
    "high recall": {"model": "mlp", "regime": "high-recall", "positive": "dots", "recall": 0.9},
    "l1, l2, balanced": {"model": "mlp", "l1": 1e-4, "l2": 1e-3, "class_weight": "balanced"},
    "accumulated": {"model": "mlp", "batch_size": "full"},
    "multipliers": {
        "model": "mlp",
        "optimizer": "sgd",
        "settings": {"optimizer.multipliers": {"bias": 2.0, "logits": 0.5}},
    },
    "plateau": {"model": "mlp", "schedule": "plateau", "early_stop": 2},
    "saturation": {"model": "mlp", "settings": {"regime.saturation": 0.9}},
    "time budget": {"model": "mlp", "time_budget": "40s"},
    "bfloat16": {"model": "mlp", "precision": "bfloat16"},
    "float16": {"model": "mlp", "precision": "float16"},
    **{
        f"mlp, {name}": {"model": "mlp", "optimizer": name}
        for name in (
            *("rmsprop", "adagrad", "adadelta", "ftrl", "adamw", "adamax", "nadam", "lamb"),
            *("lion", "adafactor", "schedulefreeadamw", "muon"),
        )
    },
    "unet": _PIXELS,
    "unet, three classes": _PIXELS | {"data": "three"},
    "unet, tversky": _PIXELS | {"loss": "tversky"},
    "u-carfnet": {"model": "u-carfnet", "settings": {"model.options": {"width": 4}}},
    "hed": {"model": "hed", "data": "edges"},
    "cnn, muon-conv": {"model": "cnn"},
    "resnet20, se": {"model": "resnet20", "attention": "se"},
    "cnn, cbam": {"model": "cnn", "attention": "cbam"},
    "cnn, eca": {"model": "cnn", "attention": "eca"},
    "mobilenetv2": {"model": "mobilenetv2"},
    "efficientnetb0": {"model": "efficientnetb0"},
}


def main() -> None:
    """Print the table, or train on one backend."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", metavar="PART", help="cases with this in their name")
    parser.add_argument("--backend", help="train on this one, in this process")
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    cases = {name: case for name, case in _CASES.items() if asked.only in name}
    if asked.backend:
        _train(asked.backend, asked.folder, cases)
        return
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder or Path(made)
        _draw(folder)
        for backend in ("tensorflow", "jax"):
            command = [sys.executable, __file__, "--only", asked.only, "--backend", backend]
            subprocess.run([*command, "--folder", str(folder)], check=True)
        _report(folder, cases)


def _draw(folder: Path) -> None:
    rng = np.random.default_rng(0)
    rows, columns = np.indices((60, 16, 16))[1:] + rng.integers(0, 4, (2, 60, 1, 1))
    kinds = np.arange(60) % 3
    shown = np.select(
        [kinds[:, None, None] == 0, kinds[:, None, None] == 1],
        [rows % 4 < 2, columns % 4 < 2],
        (rows % 4 < 2) & (columns % 4 < 2),
    )
    noisy = (shown * 150 + rng.integers(0, 90, shown.shape)).astype(np.uint8)
    np.savez(folder / "kinds.npz", x=noisy, y=np.array(["across", "down", "dots"])[kinds])
    for name in ("squares", "three", "edges"):
        _draw_masks(folder / name, np.random.default_rng(1), name)


def _draw_masks(root: Path, rng: np.random.Generator, name: str) -> None:
    from PIL import Image

    for split, count in (("train", 12), ("val", 6)):
        for kind in ("images", "edges" if name == "edges" else "masks"):
            (root / split / kind).mkdir(parents=True)
        for number in range(count):
            mask = np.zeros((32, 32), np.uint8)
            top, left = rng.integers(0, 16, 2)
            mask[top : top + 14, left : left + 12] = 1
            if name == "three":
                mask[top : top + 5, left : left + 12] = 2
            picture = (mask * 90 + rng.integers(0, 70, mask.shape)).astype(np.uint8)
            if name == "edges":
                inner = np.zeros_like(mask)
                inner[top + 1 : top + 13, left + 1 : left + 11] = 1
                mask = (mask - inner) * 255
            elif name == "squares":
                mask = mask * 255
            Image.fromarray(picture).save(root / split / "images" / f"{number}.png")
            kind = "edges" if name == "edges" else "masks"
            Image.fromarray(mask).save(root / split / kind / f"{number}.png")


def _train(backend: str, folder: Path, cases: dict[str, dict[str, Any]]) -> None:
    """Train every case; what fails is kept as a message."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import dnncli
    from dnncli.errors import DnncliError

    told: dict[str, Any] = {}
    for name, case in cases.items():
        options = dict(case)
        of_pixels = case["model"] in ("unet", "u-carfnet", "hed")
        data = options.pop("data", "squares" if of_pixels else "kinds.npz")
        settings = {"run.tensorboard": False, **options.pop("settings", {})}
        if case["model"] in ("cnn", "mlp", "mobilenetv2", "efficientnetb0"):
            options["dropout"] = 0.0
        batch = {} if of_pixels else {"batch_size": 16}
        length = {} if "time_budget" in options else {"epochs": 1}
        out = folder / backend / name.replace(" ", "-").replace(",", "")
        began = time.perf_counter()
        try:
            dnncli.train(
                folder / data,
                **({"backend": backend, "out": out, "augment": "none"} | batch | length | options),
                settings=settings,
            )
            told[name] = {"seconds": time.perf_counter() - began, "run": str(out)}
        except (DnncliError, TypeError, ValueError, RuntimeError, NotImplementedError) as error:
            told[name] = {"error": f"{type(error).__name__}: {error}"[:300]}
        print(backend, name, told[name], flush=True)
        (folder / f"{backend}.json").write_text(json.dumps(told))


def _report(folder: Path, cases: dict[str, dict[str, Any]]) -> None:
    ours, theirs = (
        json.loads((folder / f"{backend}.json").read_text()) for backend in ("tensorflow", "jax")
    )
    print("| case | history | weights | TensorFlow, s | JAX, s |\n|---|---|---|---|---|")
    for name in cases:
        a, b = ours[name], theirs[name]
        if "error" in a or "error" in b:
            print(f"| {name} | {a.get('error', '')} | {b.get('error', '')} | | |")
            continue
        numbers = [_history(Path(found["run"])) for found in (a, b)]
        weights = [_weights(Path(found["run"], "last.keras")) for found in (a, b)]
        gap = max((np.abs(x - y).max(initial=0) for x, y in zip(*weights, strict=True)), default=0)
        apart = np.nanmax(np.abs(np.array(numbers[0]) - np.array(numbers[1])), initial=0.0)
        print(f"| {name} | {apart:.1e} | {gap:.1e} | {a['seconds']:.1f} | {b['seconds']:.1f} |")


def _history(run: Path) -> list[float]:
    """The first epoch of a run."""
    line = (run / "history.csv").read_text().splitlines()[1]
    return [float("nan") if cell == "NA" else float(cell) for cell in line.split(",")]


def _weights(model: Path) -> list[np.ndarray]:
    import keras

    import dnncli.networks.blocks  # noqa: F401  Keras finds our own layers by their names

    return keras.models.load_model(model, compile=False).get_weights()


if __name__ == "__main__":
    main()
