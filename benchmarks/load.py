"""Evaluations at the limit: a million rows of a thousand classes, and eight at once.

`python benchmarks/load.py --rows 1000000 --classes 1000 --at-once 8` prints seconds and peak
memory of the processes that did it, and whether their numbers agree.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
BLOCK = 50_000  # rows drawn at a time


def write(folder: Path, rows: int, classes: int) -> None:
    """Predictions of float32 probabilities and their truth, drawn block by block, as Parquet."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    draw = np.random.default_rng(0)
    names = [f"class{index:05}" for index in range(classes)]
    schema = pa.schema([("id", pa.string()), *((name, pa.float32()) for name in names)])
    labels: list[str] = []
    # One block of numbers, its classes moved on from block to block: drawing a billion takes longer
    # than scoring them.
    drawn = draw.random((min(BLOCK, rows), classes), dtype=np.float32) ** 8
    truth = draw.integers(0, classes, len(drawn))
    drawn[np.arange(len(drawn)), truth] += draw.random(len(drawn), dtype=np.float32) * 2
    drawn /= drawn.sum(axis=1, keepdims=True)
    columns = [pa.array(column) for column in drawn.T]
    with parquet.ParquetWriter(folder / "p.parquet", schema, compression="none") as file:
        for number, start in enumerate(range(0, rows, BLOCK)):
            count = min(BLOCK, rows - start)
            moved = [columns[(index - number) % classes][:count] for index in range(classes)]
            ids = [f"row{row:08}" for row in range(start, start + count)]
            file.write_table(pa.table([pa.array(ids), *moved], schema=schema))
            labels += [names[(index + number) % classes] for index in truth[:count]]
    rows_of = (f"row{row:08},{label}\n" for row, label in enumerate(labels))
    (folder / "t.csv").write_text("id,label\n" + "".join(rows_of))


def evaluate(folder: Path) -> subprocess.Popen:
    """Start `dnncli eval` of the files."""
    command = ["-m", "dnncli", "eval", "p.parquet", "--truth", "t.csv", "--json", "--quiet"]
    out = (folder / f"out-{time.monotonic_ns()}").open("w+b")
    return subprocess.Popen(
        [sys.executable, *command],
        cwd=folder,
        stdout=out,
        stderr=subprocess.STDOUT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )


def measured(folder: Path, at_once: int) -> dict:
    """Run so many at once: seconds, peak memory of the largest, exit codes, equal outputs."""
    began = time.monotonic()
    processes = [evaluate(folder) for _ in range(at_once)]
    codes, memory = [], 0
    for process in processes:
        _, status, usage = os.wait4(process.pid, 0)
        codes.append(os.waitstatus_to_exitcode(status))
        memory = max(memory, usage.ru_maxrss // 1024)
    outputs = {path.read_bytes() for path in folder.glob("out-*")}
    for path in folder.glob("out-*"):
        path.unlink()
    text = next(iter(outputs)).decode()
    return {
        "at once": at_once,
        "exit codes": codes,
        "seconds": round(time.monotonic() - began, 1),
        "peak MB of one": memory,
        "outputs that differ": len(outputs) - 1,
        "accuracy": json.loads(text)["accuracy"] if text.startswith("{") else text[-500:],
    }


def main() -> None:
    """Read the options, measure, print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--folder", help="for the files, 4 bytes a number")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        write(folder, asked.rows, asked.classes)
        size = (folder / "p.parquet").stat().st_size / 1e6
        found = [{"rows": asked.rows, "classes": asked.classes, "MB": round(size)}]
        found.append(measured(folder, 1))
        if asked.at_once > 1:
            found.append(measured(folder, asked.at_once))
    sys.stdout.write(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
