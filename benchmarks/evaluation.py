"""Scores, a target-recall threshold and bootstrap intervals of ten million rows, timed.

Makes a Parquet file of predictions and one of the truth, and runs alternately, on the same rows:

- reading: polars alone against `read_predictions`; and with the truth, aligned, for memory;
- computing: counts, scores, an exact threshold for one class and 2,000 bootstrap replicates
  against scikit-learn's `classification_report` and `precision_recall_curve`.

Every figure is the best of the repeats. scikit-learn gets the decisions as a gift.

Run: python benchmarks/evaluation.py --rows 10000000
"""

import argparse
import json
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
POSITIVE = 3
TARGET = 0.95
REPLICATES = 2000
GB = 1e9


def main() -> None:
    """Print the table of results."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--stage", choices=sorted(STAGES), help="for use by the script itself")
    parser.add_argument("--folder", type=Path, help="for use by the script itself")
    options = parser.parse_args()
    if options.stage:
        print(json.dumps(STAGES[options.stage](options.folder, options.rows)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def stage(what: str) -> dict[str, float]:
            """Run one stage in a fresh process: its memory is its own."""
            call = [sys.executable, __file__, "--stage", what, "--folder", name]
            call += ["--rows", str(options.rows)]
            return json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE).stdout)

        made = stage("make")
        reads = [(stage("polars"), stage("ours")) for _ in range(options.repeats)]
        aligned, shuffled = stage("aligned"), stage("shuffled")
        computed = compute(folder, options.repeats)
    show(options.rows, made, reads, aligned, shuffled, computed)


def make(folder: Path, rows: int) -> dict[str, float]:
    """Write predictions.parquet and truth.parquet, and the truth in another order."""
    import polars as pl

    rng = np.random.default_rng(0)
    labels = rng.integers(0, len(CLASSES), rows, dtype=np.uint32)
    probs = rng.standard_normal((len(CLASSES), rows), dtype=np.float32)
    probs[labels, np.arange(rows)] += 2
    np.exp(probs, out=probs)
    probs /= probs.sum(axis=0)
    numbers = pl.int_range(rows).cast(pl.String).str.zfill(18)
    ids = pl.select(pl.format("img_{}.png", numbers).alias("id")).to_series()
    frame = pl.DataFrame([ids, *map(pl.Series, CLASSES, probs)])
    frame.write_parquet(folder / "predictions.parquet")
    truth = pl.DataFrame({"id": ids, "label": pl.Series(CLASSES).gather(labels)})
    truth.write_parquet(folder / "truth.parquet")
    shuffled = truth.select(pl.all().gather(rng.permutation(rows)))
    shuffled.write_parquet(folder / "shuffled.parquet")
    return {"predictions": frame.estimated_size(), "truth": truth.estimated_size()}


def read_by_polars(folder: Path, rows: int) -> dict[str, float]:
    """polars alone."""
    import polars as pl

    return measured(lambda: pl.read_parquet(folder / "predictions.parquet"), rows)


def read_by_us(folder: Path, rows: int) -> dict[str, float]:
    """Ids, class columns and numbers checked."""
    import polars  # noqa: F401 - its import is not what is measured

    from dnncli.data.predictions import read_predictions

    return measured(lambda: read_predictions(folder / "predictions.parquet"), rows)


def read_aligned(folder: Path, rows: int, *, truth: str = "truth") -> dict[str, float]:
    """Predictions and truth, with the same rows in the same order."""
    import polars  # noqa: F401

    from dnncli.data.align import align
    from dnncli.data.predictions import read_predictions, read_truth

    def read() -> Any:
        predictions = read_predictions(folder / "predictions.parquet")
        labels = read_truth(folder / f"{truth}.parquet", classes=predictions.class_names)
        return align(predictions, labels)[0]

    return measured(read, rows)


def read_shuffled(folder: Path, rows: int) -> dict[str, float]:
    """As `read_aligned`, from files in different orders."""
    return read_aligned(folder, rows, truth="shuffled")


def measured(read: Callable[[], Any], rows: int) -> dict[str, float]:
    """Seconds of one call, and the highest memory of this process in bytes."""
    start = time.perf_counter()
    table = read()
    seconds = time.perf_counter() - start
    if len(table) != rows:
        raise ValueError(f"{len(table)} of {rows} rows.")
    return {"seconds": seconds, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


STAGES: dict[str, Callable[[Path, int], dict[str, float]]] = {
    "make": make,
    "polars": read_by_polars,
    "ours": read_by_us,
    "aligned": read_aligned,
    "shuffled": read_shuffled,
}


def compute(folder: Path, repeats: int) -> dict[str, float]:
    """Best seconds of every step, ours and scikit-learn's in turn."""
    from sklearn.metrics import classification_report, precision_recall_curve

    from dnncli.data.align import align
    from dnncli.data.predictions import read_predictions, read_truth
    from dnncli.metrics.counts import count, decide
    from dnncli.metrics.f_intervals import f_intervals
    from dnncli.metrics.report import score_report
    from dnncli.metrics.thresholds import target

    predictions = read_predictions(folder / "predictions.parquet")
    truth = read_truth(folder / "truth.parquet", classes=predictions.class_names)
    predictions, truth = align(predictions, truth)
    probs, labels = predictions.probs, truth.labels
    if probs is None or labels is None:
        raise ValueError("The files hold no probabilities or no labels.")
    is_positive = labels == POSITIVE
    scores = probs[:, POSITIVE]
    best: dict[str, float] = {}

    def timed(name: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
        start = time.perf_counter()
        value = function(*args, **options)
        best[name] = min(best.get(name, np.inf), time.perf_counter() - start)
        return value

    n_classes = len(CLASSES)
    for _ in range(repeats):
        decisions, _ = timed("decisions", decide, probs)
        counts = timed("counts", count, labels, decisions, n_classes=n_classes)
        report = timed(
            "scores", score_report, counts, classes=CLASSES, betas=(1.0, 2.0), undefined="skip"
        )
        found = timed("threshold", target, is_positive, scores, recall=TARGET, confidence=0.95)
        timed("bootstrap", f_intervals, counts, method="bootstrap", replicates=REPLICATES)
        theirs = timed(
            "classification_report", classification_report, labels, decisions, output_dict=True
        )
        precision, recall, _ = timed(
            "precision_recall_curve", precision_recall_curve, is_positive, scores
        )
        check("macro F1", report.averages.macro.f["1"], theirs["macro avg"]["f1-score"])
        reached = recall >= TARGET
        check("best precision", found.max_precision.precision, precision[reached].max())
    return best


def check(what: str, ours: float, theirs: float) -> None:
    """Raise ValueError unless both tools give the same number."""
    if abs(ours - theirs) > 1e-9:
        raise ValueError(f"{what}: {ours} is not {theirs}.")


def show(
    rows: int,
    made: dict[str, float],
    reads: list[tuple[dict[str, float], dict[str, float]]],
    aligned: dict[str, float],
    shuffled: dict[str, float],
    computed: dict[str, float],
) -> None:
    """Print what was measured as a Markdown table."""
    table, both = made["predictions"], made["predictions"] + made["truth"]
    polars_seconds = min(theirs["seconds"] for theirs, _ in reads)
    our_seconds = min(ours["seconds"] for _, ours in reads)
    ours = sum(computed[name] for name in ("decisions", "counts", "scores"))
    both_steps = ours + computed["threshold"]
    theirs = computed["classification_report"] + computed["precision_recall_curve"]

    def memory(run: dict[str, float], size: float) -> str:
        return f"{run['peak'] / GB:.2f} GB = {run['peak'] / size:.2f} x the table"

    print(f"{rows:,} rows, {len(CLASSES)} classes; table {table / GB:.2f} GB, with truth ", end="")
    print(f"{both / GB:.2f} GB\n\n| step | seconds | |\n|---|---|---|")
    lines = [
        ("reading, polars alone", polars_seconds, memory(reads[0][0], table)),
        (
            "reading, ours",
            our_seconds,
            f"{our_seconds / polars_seconds:.2f} x polars; {memory(reads[0][1], table)}",
        ),
        ("with truth, aligned", aligned["seconds"], f"{memory(aligned, both)}s"),
        ("... in another order", shuffled["seconds"], f"{memory(shuffled, both)}s"),
        *((name, seconds, "") for name, seconds in computed.items()),
        ("ours: decisions, counts, scores", ours, ""),
        ("ours: the same and threshold", both_steps, f"{theirs / both_steps:.1f} x faster"),
        ("ours: the same and bootstrap", both_steps + computed["bootstrap"], ""),
        ("scikit-learn: report and curve", theirs, ""),
    ]
    for name, seconds, remark in lines:
        print(f"| {name} | {seconds:.2f} | {remark} |")


if __name__ == "__main__":
    main()
