"""A whole training, from the key press to test scores, beside the rivals.

    python benchmarks/training.py equal-time DATA [--rounds 1]
    python benchmarks/training.py to-90 DATA [--torch PYTHON] [--limit 600]

equal-time: `dnncli train DATA` without a flag; then keras.io's network on the same folders for as
long as that took. to-90: seconds until 90 % of the test rows are right: ours is the whole command,
fastai and Ultralytics train with their defaults and are stopped at 90 % or at the limit.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import turns


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=("equal-time", "to-90"))
    parser.add_argument("data", type=Path)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--torch", metavar="PYTHON", default=sys.executable)
    parser.add_argument("--limit", type=float, default=600.0)
    asked = parser.parse_args()
    (_equal_time if asked.kind == "equal-time" else _to_90)(asked)


def _equal_time(asked: argparse.Namespace) -> None:
    took = {"dnncli train": 0.0}

    def ours() -> dict[str, float]:
        found = _ours(asked.data)
        took["dnncli train"] = found["took"]
        return found

    def rival() -> dict[str, float]:
        script = [sys.executable, str(turns.HERE / "rival_kerasio.py"), str(asked.data)]
        return turns.run([*script, str(took["dnncli train"])])

    found = turns.alternate({"dnncli train": ours, "keras.io": rival}, rounds=asked.rounds)
    rows = [
        (name, each["took"], each["epochs"], f"{each['accuracy']:.2%}")
        for name, each in found.items()
    ]
    turns.report("training_equal_time", ("", "seconds", "epochs", "test accuracy"), rows)


def _to_90(asked: argparse.Namespace) -> None:
    contenders = {"dnncli train": lambda: _ours(asked.data)}
    for name, package in (("fastai", "fastai"), ("ultralytics", "ultralytics")):
        if turns.has(package, asked.torch):
            script = [asked.torch, str(turns.HERE / f"rival_{name}.py"), str(asked.data)]
            command = [*script, "20", str(asked.limit)]
            contenders[name] = lambda command=command: turns.run(command)
    found = turns.alternate(contenders, rounds=asked.rounds)
    rows = [
        (
            name,
            f"{each['to_90']:.0f}" if each["to_90"] else f"not in {each['took']:.0f}",
            f"{each['accuracy']:.2%}",
        )
        for name, each in found.items()
    ]
    turns.report("training_to_90", ("", "seconds to 90 %", "test accuracy then"), rows)


def _ours(data: Path) -> dict[str, float]:
    """`dnncli train DATA`, then the test rows by `dnncli eval`."""
    dnncli = [sys.executable, "-m", "dnncli"]
    with tempfile.TemporaryDirectory() as folder:
        out = str(Path(folder, "run"))
        took = turns.run([*dnncli, "train", str(data), "--out", out])["seconds"]
        turns.run([*dnncli, "eval", out, "--split", "test"])
        scores = json.loads(next(Path(out, "eval").rglob("metrics.json")).read_text())
        epochs = len(Path(out, "history.csv").read_text().splitlines()) - 1
    accuracy = scores["accuracy"]["value"]
    reached = took if accuracy >= 0.9 else 0.0
    return {"took": took, "accuracy": accuracy, "epochs": epochs, "to_90": reached}


if __name__ == "__main__":
    main()
