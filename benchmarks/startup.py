"""From the key press to the first answer: commands that compute nothing.

    python benchmarks/startup.py [--rounds 7]

Each beside a bare `import typer, rich`, which every such tool pays, and where there is one beside
scikit-learn's way to the same report.
"""

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import turns

_BARE = "import typer, rich, rich.console, rich.table"
_SKLEARN = """
import csv, sys
from sklearn.metrics import classification_report
rows = list(csv.DictReader(open(sys.argv[1])))
truth = {row["id"]: row["label"] for row in csv.DictReader(open(sys.argv[2]))}
names = [name for name in rows[0] if name != "id"]
said = [max(names, key=lambda name: float(row[name])) for row in rows]
print(classification_report([truth[row["id"]] for row in rows], said))
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as folder:
        predictions, truth = _files(Path(folder))
        dnncli = [sys.executable, "-m", "dnncli"]
        commands = {
            "import typer, rich": [sys.executable, "-c", _BARE],
            "dnncli --help": [*dnncli, "--help"],
            "dnncli models": [*dnncli, "models"],
            "dnncli eval (10,000 rows)": [*dnncli, "eval", predictions, "--truth", truth],
            "scikit-learn, the same report": [sys.executable, "-c", _SKLEARN, predictions, truth],
        }
        took = turns.alternate(
            {name: partial(turns.run, command) for name, command in commands.items()},
            rounds=rounds,
        )
    bare = took["import typer, rich"]["seconds"]
    rows = [(name, found["seconds"], found["seconds"] / bare) for name, found in took.items()]
    turns.report("startup", ("command", "seconds", "ratio"), rows)


def _files(folder: Path) -> tuple[str, str]:
    """Predictions of 10 classes, and their truth."""
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(10), 10_000)
    names = [f"class{index}" for index in range(10)]
    said, truth = folder / "predictions.csv", folder / "truth.csv"
    lines = [f"id,{','.join(names)}"]
    lines += [
        f"p{row:05d},{','.join(f'{value:.7f}' for value in values)}"
        for row, values in enumerate(probabilities)
    ]
    said.write_text("\n".join(lines) + "\n", encoding="utf-8")
    labels = [f"p{row:05d},{names[rng.integers(10)]}" for row in range(10_000)]
    truth.write_text("\n".join(["id,label", *labels]) + "\n", encoding="utf-8")
    return str(said), str(truth)


if __name__ == "__main__":
    main()
