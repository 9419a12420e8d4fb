"""A step of training, ten short epochs and the memory they take, beside the rivals.

    python benchmarks/step.py [--network resnet18|resnet50] [--rounds 3] [--torch PYTHON]

Ours is `dnncli train` as users call it; plain Keras is `fit` on tf.data (rival_keras.py), with the
same network, optimizer and batch. PyTorch trains timm's network of that name (rival_torch.py).
Random pictures, in memory, no augmentation. Steps are medians, waiting for input included.
"""

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import turns

from dnncli.devices import has_bfloat16

# Pixels a side, pictures a batch, steps an epoch, epochs.
_WORK = {"resnet18": (64, 64, 2, 10), "resnet50": (224, 16, 2, 3)}
_OURS = ["--augment", "none", "--normalize", "minmax", "--set", "run.tensorboard=false"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", choices=_WORK, default="resnet18")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--torch", metavar="PYTHON", default=sys.executable)
    asked = parser.parse_args()
    side, batch, steps, epochs = _WORK[asked.network]
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data.npz")
        _write(data, side=side, rows=batch * steps, batch=batch)
        size = (str(batch), str(epochs))
        rival = partial(_python, sys.executable, "rival_keras", asked.network, str(data), *size)
        contenders = {
            "plain Keras fit": lambda: turns.run(rival(), env={"BATCH": str(batch)}),
            "dnncli train": lambda: _ours(Path(folder), data, asked.network, size, "float32"),
        }
        if has_bfloat16():
            contenders["dnncli train, --precision auto"] = lambda: _ours(
                Path(folder), data, asked.network, size, "auto"
            )
        if turns.has("timm", asked.torch):
            for kind in ("float32", "bfloat16"):
                other = _python(asked.torch, "rival_torch", asked.network, str(data), *size, kind)
                contenders[f"PyTorch, channels last, {kind}"] = partial(turns.run, other)
        took = turns.alternate(contenders, rounds=asked.rounds)
    first = took["plain Keras fit"]
    rows = [
        (
            name,
            1000 * found["step"],
            batch / found["step"],
            first["step"] / found["step"],
            found["later_epochs"],
            first["later_epochs"] / found["later_epochs"],
            f"{found['busy']:.1%}" if "busy" in found else "",
            found["memory"],
        )
        for name, found in took.items()
    ]
    head = (
        *("", "step, ms", "pictures/s", "Keras' step / its"),
        *(f"{epochs - 1} epochs, s", "Keras' / its", "busy", "memory, MB"),
    )
    turns.report("step", head, rows)


def _python(python: str, script: str, *arguments: str) -> list[str]:
    return [python, str(turns.HERE / f"{script}.py"), *arguments]


def _ours(
    folder: Path, data: Path, network: str, size: Sequence[str], precision: str
) -> dict[str, float]:
    """One `dnncli train`, timed from inside by `clock`."""
    clock = folder / "clock.json"
    out = folder / f"run{len(list(folder.iterdir()))}"
    options = ["--model", f"nets:{network}", "--precision", precision, "--out", str(out)]
    sizes = ["--batch-size", size[0], "--epochs", size[1], "--set", 'fit.callbacks=["clock:Clock"]']
    command = [sys.executable, "-m", "dnncli", "train", str(data), *options, *sizes, *_OURS]
    turns.run(command, env={"CLOCK": str(clock), "BATCH": size[0]})
    return json.loads(clock.read_text())


def _write(path: Path, *, side: int, rows: int, batch: int) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (("train", rows), ("val", batch)):
        arrays[f"x_{split}"] = rng.integers(0, 256, (count, side, side, 3), dtype=np.uint8)
        arrays[f"y_{split}"] = np.arange(count) % 10
    np.savez(path, **arrays)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
