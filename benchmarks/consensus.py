"""The consensus of ten million rows and five models, timed; and its vote beside other tools'.

Makes Parquet files of five models, labels and probabilities of 10 classes with ids of 26 letters,
and runs `dnncli consensus FILES --out FOLDER --format parquet` on them in fresh processes: from
files to decisions, agreement, coverage, review queue and pictures. Seconds on a busy machine say
little, so those of the processor are given, too (all cores together).

The vote itself, votes in memory to decisions in memory, runs alternately with crowd-kit's
`MajorityVote` and scikit-learn's `VotingClassifier` on the same rows; every figure is the best of
the repeats. All three must decide alike.

Run: python benchmarks/consensus.py --rows 10000000 --crowd-kit scratch/bin/python
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

CLASSES = tuple(f"class_{index}" for index in range(10))
MODELS = tuple(f"m{index}" for index in range(5))
GB = 1e9


def main() -> None:
    """Print the tables of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="of the files")
    parser.add_argument("--vote-rows", type=int, default=1_000_000, help="of the vote itself")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--crowd-kit", metavar="PYTHON", help="an interpreter that has crowd-kit")
    parser.add_argument("--stage", choices=sorted(STAGES), help="for use by the script itself")
    parser.add_argument("--folder", type=Path, help="for use by the script itself")
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(STAGES[options.stage](options.folder, options.vote_rows)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_votes(folder, options.vote_rows)
        show_votes(options, folder)
        print(f"\n{options.rows:,} rows, {len(MODELS)} models, {len(CLASSES)} classes\n")
        print("| files | seconds | processor seconds | memory at most |\n|---|---|---|---|")
        for what in ("labels", "shuffled", "probs"):
            make_files(folder, options.rows, what=what)
            runs = [run_consensus(folder) for _ in range(1 if what == "shuffled" else 2)]
            best = min(runs, key=lambda run: run["seconds"])
            print(
                f"| {WORDS[what]} | {best['seconds']:.1f} | {best['processor']:.1f} "
                f"| {best['peak'] / GB:.2f} GB |"
            )


WORDS = {
    "labels": "labels",
    "shuffled": "labels, one file in another order",
    "probs": "probabilities, float32",
}


def some_votes(rows: int) -> np.ndarray:
    """(M, N) class indices: each model is right in nine of ten rows, else it guesses."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, len(CLASSES), rows, dtype=np.int8)
    guesses = rng.integers(0, len(CLASSES), (len(MODELS), rows), dtype=np.int8)
    return np.where(rng.random((len(MODELS), rows), np.float32) < 0.9, truth, guesses)


def make_votes(folder: Path, rows: int) -> None:
    """Write votes.npy."""
    np.save(folder / "votes.npy", some_votes(rows))


def make_files(folder: Path, rows: int, *, what: str) -> None:
    """Write the models' files; earlier ones are overwritten."""
    import polars as pl

    numbers = pl.int_range(rows).cast(pl.String).str.zfill(18)
    ids = pl.select(pl.format("img_{}.png", numbers).alias("id")).to_series()
    rng = np.random.default_rng(1)
    votes = some_votes(rows)
    for index, model in enumerate(MODELS):
        if what == "probs":
            probs = rng.standard_normal((len(CLASSES), rows), dtype=np.float32)
            probs[votes[index], np.arange(rows)] += 2
            np.exp(probs, out=probs)
            probs /= probs.sum(axis=0)
            frame = pl.DataFrame([ids, *map(pl.Series, CLASSES, probs)])
        else:
            labels = pl.Series(CLASSES).gather(votes[index].astype(np.uint32))
            frame = pl.DataFrame({"id": ids, "label": labels})
        if what == "shuffled" and index == 1:
            frame = frame[rng.permutation(rows).astype(np.uint32)]
        frame.write_parquet(folder / f"{model}.parquet")


def run_consensus(folder: Path) -> dict[str, float]:
    """Seconds and memory of one run of the command in a process of its own."""
    files = [str(folder / f"{model}.parquet") for model in MODELS]
    call = [sys.executable, "-m", "dnncli", "consensus", *files, "--quiet"]
    call += ["--out", str(folder / "out"), "--format", "parquet", "--json"]
    start = time.perf_counter()
    process = subprocess.Popen(call, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"The command failed: {' '.join(call)}")
    return {
        "seconds": time.perf_counter() - start,
        "processor": used.ru_utime + used.ru_stime,
        "peak": used.ru_maxrss * 1024.0,
    }


def vote_by_us(folder: Path, rows: int) -> dict[str, float]:
    """Patterns, majority, agreement and entropy of each row."""
    from dnncli.voting.ballots import encode
    from dnncli.voting.rules import VoteOptions, majority

    votes = np.load(folder / "votes.npy")

    def vote() -> np.ndarray:
        ballots = encode(list(votes), MODELS, CLASSES)
        found = majority(ballots, options=VoteOptions(tie="class-order"))
        return found.decision[ballots.index]

    return timed(folder, vote, rows, name="ours")


def vote_by_sklearn(folder: Path, rows: int) -> dict[str, float]:
    """`VotingClassifier.predict`, whose estimators know their predictions already."""
    from sklearn.ensemble import VotingClassifier
    from sklearn.preprocessing import LabelEncoder

    class Column:
        def __init__(self, index: int) -> None:
            self.index = index

        def predict(self, votes: np.ndarray) -> np.ndarray:
            return votes[:, self.index]

    votes = np.load(folder / "votes.npy").T.astype(np.int64)
    classifier = VotingClassifier([(model, None) for model in MODELS], voting="hard")
    classifier.estimators_ = [Column(index) for index in range(len(MODELS))]
    classifier.le_ = LabelEncoder().fit(np.arange(len(CLASSES)))
    classifier.classes_ = classifier.le_.classes_
    return timed(folder, lambda: classifier.predict(votes), rows, name="sklearn")


def vote_by_crowd_kit(folder: Path, rows: int) -> dict[str, float]:
    """`MajorityVote`, which gets its long table as a gift."""
    import pandas as pd
    from crowdkit.aggregation import MajorityVote

    votes = np.load(folder / "votes.npy")
    table = pd.DataFrame(
        {
            "task": np.tile(np.arange(rows), len(MODELS)),
            "worker": np.repeat(np.arange(len(MODELS)), rows),
            "label": votes.ravel().astype(np.int64),
        }
    )
    return timed(
        folder,
        lambda: MajorityVote().fit_predict(table).sort_index().to_numpy(),
        rows,
        name="crowd-kit",
    )


def timed(
    folder: Path, vote: Callable[[], np.ndarray], rows: int, *, name: str
) -> dict[str, float]:
    """Seconds of one vote, whose decisions are saved; they must be those of our vote."""
    before = resource.getrusage(resource.RUSAGE_SELF)
    start = time.perf_counter()
    decided = vote()
    seconds = time.perf_counter() - start
    after = resource.getrusage(resource.RUSAGE_SELF)
    if len(decided) != rows:
        raise SystemExit(f"{name}: {len(decided)} of {rows} rows.")
    np.save(folder / f"{name}.npy", decided)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"seconds": seconds, "processor": used}


STAGES: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "ours": vote_by_us,
    "sklearn": vote_by_sklearn,
    "crowd-kit": vote_by_crowd_kit,
}


def show_votes(options: argparse.Namespace, folder: Path) -> None:
    """Print the seconds of each tool for the vote itself."""
    interpreters = {"ours": sys.executable, "sklearn": sys.executable}
    if options.crowd_kit:
        interpreters["crowd-kit"] = options.crowd_kit
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in interpreters}
    for _ in range(options.repeats):
        for name, python in interpreters.items():
            call = [python, __file__, "--stage", name, "--folder", str(folder)]
            call += ["--vote-rows", str(options.vote_rows)]
            done = subprocess.run(call, check=True, stdout=subprocess.PIPE)
            runs[name].append(json.loads(done.stdout))
    decided = {name: np.load(folder / f"{name}.npy") for name in interpreters}
    untied = is_untied(np.load(folder / "votes.npy"))
    print(f"{options.vote_rows:,} rows, the vote itself\n")
    print("| | seconds | processor seconds | ours is faster | rows decided differently |")
    print("|---|---|---|---|---|")
    ours = min(run["seconds"] for run in runs["ours"])
    for name, found in runs.items():
        best: Any = min(found, key=lambda run: run["seconds"])
        differ = int((decided[name] != decided["ours"])[untied].sum())
        print(
            f"| {name} | {best['seconds']:.3f} | {best['processor']:.3f} "
            f"| {best['seconds'] / ours:.0f} x | {differ} |"
        )


def is_untied(votes: np.ndarray) -> np.ndarray:
    """(N,) whether one class has most votes: how ties are broken differs between tools."""
    counts = np.stack([(votes == index).sum(axis=0) for index in range(len(CLASSES))])
    return (counts == counts.max(axis=0)).sum(axis=0) == 1


if __name__ == "__main__":
    main()
