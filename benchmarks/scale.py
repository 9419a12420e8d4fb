"""Opening a folder of very many small pictures: seconds, and memory at most.

    python benchmarks/scale.py [--files 1000000] [--rounds 1] [--folder FOLDER] [--predict]

Beside a bare listing of the folder, reading every file once, and what
`keras.utils.image_dataset_from_directory` takes to open it, TensorFlow's import included. With
`--predict`, also the predictions of all files by a small network. Without `--folder` the files are
made in a temporary folder, 0.8 kB of disk each at least, and removed.
"""

import argparse
import os
import struct
import subprocess
import sys
import tempfile
import time
import zlib
from functools import partial
from pathlib import Path

import turns

_CLASSES = 100
_LIST = "import os, sys; sum(len(files) for *_, files in os.walk(sys.argv[1]))"
_READ = """
import os, sys
for folder, _, files in os.walk(sys.argv[1]):
    for name in files:
        with open(f"{folder}/{name}", "rb") as file:
            file.read()
"""
_KERAS = """
import sys, keras
keras.utils.image_dataset_from_directory(
    sys.argv[1], image_size=(8, 8), validation_split=0.15, subset="both", seed=1, verbose=False
)
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--folder", type=Path, help="Made if it is not there, and kept.")
    parser.add_argument("--predict", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        root = options.folder or work / "pictures"
        if not root.exists():
            make(root, options.files)
        took = turns.alternate(
            {
                name: partial(run, command)
                for name, command in commands(root, work, predict=options.predict).items()
            },
            rounds=options.rounds,
        )
    bare, rival = took["os.walk"], took["image_dataset_from_directory"]
    rows = [
        (
            name,
            found["seconds"],
            found["seconds"] / bare["seconds"],
            rival["seconds"] / found["seconds"],
            found["processor"],
            found["memory"],
        )
        for name, found in took.items()
    ]
    heads = ("", "seconds", "of the listing", "Keras' / its", "processor seconds", "memory, MB")
    turns.report("scale", heads, rows)


def commands(root: Path, work: Path, *, predict: bool) -> dict[str, list[str]]:
    """What takes turns, by name."""
    python, dnncli = [sys.executable, "-c"], [sys.executable, "-m", "dnncli"]
    found = {
        "os.walk": [*python, _LIST, str(root)],
        "reading every file": [*python, _READ, str(root)],
        "image_dataset_from_directory": [*python, _KERAS, str(root)],
        "dnncli data inspect": [*dnncli, "data", "inspect", str(root)],
        "dnncli train --dry-run": [*dnncli, "train", str(root), "--dry-run"],
    }
    if predict:
        few, model, out = work / "few", work / "run", work / "predictions.parquet"
        make(few, 20 * _CLASSES)
        small = ["--model", "mlp", "--epochs", "1", "--out", str(model)]
        run([*dnncli, "train", str(few), *small])
        found["dnncli predict"] = [
            *(*dnncli, "predict", str(model), str(root), "--split", "all"),
            *("--out", str(out), "--overwrite", "--batch-size", "512"),
        ]
    return found


def run(command: list[str]) -> dict[str, float]:
    """Wall and processor `seconds` of a command, and its `memory` at most in MB."""
    quiet = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    with tempfile.TemporaryFile("w+") as said:
        began = time.perf_counter()
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, env=quiet)
        _, status, used = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            said.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{said.read()[-3000:]}")
    return {
        "seconds": seconds,
        "processor": used.ru_utime + used.ru_stime,
        "memory": used.ru_maxrss / 1000,
    }


def make(root: Path, files: int) -> None:
    """Different pictures of 4 x 4 pixels, in class folders."""
    each = files // _CLASSES
    for number in range(_CLASSES):
        folder = root / f"class_{number:03d}"
        folder.mkdir(parents=True)
        for place in range(each):
            (folder / f"img_{place:06d}.png").write_bytes(_png(number * each + place))


def _png(number: int) -> bytes:
    head = struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0)
    rows = b"".join(b"\0" + number.to_bytes(4, "big") * 3 for _ in range(4))
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, body) for kind, body in parts)


def _chunk(kind: bytes, body: bytes) -> bytes:
    checksum = struct.pack(">I", zlib.crc32(kind + body))
    return struct.pack(">I", len(body)) + kind + body + checksum


if __name__ == "__main__":
    main()
