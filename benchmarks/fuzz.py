"""Damaged files for every reader: each must be read or refused, in 2 s and 1 GB, without a crash.

`python benchmarks/fuzz.py --inputs 100000` prints how many of each kind were tried and survived;
--keep FOLDER keeps the others. The damage follows from --seed.
"""

import argparse
import json
import random
import resource
import sys
import tempfile
import time
import warnings
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests")]


def main() -> None:
    """Read the options, damage, read, print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=600.0)
    parser.add_argument("--only", default="", help="part of the names of readers")
    parser.add_argument("--keep", type=Path, help="folder for the files that were lost")
    asked = parser.parse_args()
    import fuzz_support

    warnings.simplefilter("ignore")
    draw = random.Random(asked.seed)
    lost: list[str] = []
    tried: dict[str, int] = {}
    slowest: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        chosen = fuzz_support.readers(folder)
        chosen = {name: reader for name, reader in chosen.items() if asked.only in name}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        end = time.monotonic() + 60 * asked.minutes
        names = list(chosen)
        for number in range(asked.inputs):
            if time.monotonic() > end:
                break
            kind = names[number % len(names)]
            reader = chosen[kind]
            edits = [
                (draw.randrange(7), draw.randrange(2**20), draw.randrange(2**16))
                for _ in range(draw.choice((1, 1, 1, 2, 3, 8)))
            ]
            data = fuzz_support.damaged(draw.choice(reader.samples), edits)
            began = time.process_time()
            found = fuzz_support.trouble(reader, folder, data)
            took = time.process_time() - began
            tried[kind] = tried.get(kind, 0) + 1
            slowest[kind] = max(slowest.get(kind, 0.0), took)
            if not found and took > fuzz_support.SECONDS:
                found = f"takes {took:.1f} s of computing"
            if found:
                lost.append(f"{kind}, input {number}: {found}")
                if asked.keep:
                    asked.keep.mkdir(parents=True, exist_ok=True)
                    (asked.keep / f"{number}-{reader.file}").write_bytes(data)
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    told = {
        "tried": sum(tried.values()),
        "survived": sum(tried.values()) - len(lost),
        "lost": lost[:50],
        "by reader": tried,
        "slowest, seconds": {name: round(value, 3) for name, value in slowest.items()},
        "memory before and at most, MB": [before // 1024, after // 1024],
    }
    sys.stdout.write(json.dumps(told, indent=2) + "\n")
    sys.exit(bool(lost))


if __name__ == "__main__":
    main()
