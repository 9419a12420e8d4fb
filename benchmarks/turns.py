"""What all benchmarks share: contenders that take turns, and the table of what they took.

Every contender is one process a turn, and the turns go round: a slow minute of a shared machine
hits all of them. What is compared are medians over the rounds.
"""

import datetime
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
RESULTS = HERE / "results"


def run(command: Sequence[str], *, env: Mapping[str, str] | None = None) -> dict[str, float]:
    """Run a command to its end: wall `seconds`, and `memory` at most in MB, children included.

    If the last line it prints is a JSON object, its entries are added.

    Raises:
        SystemExit: if it fails; with the end of what it said.
    """
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONPATH": str(HERE), "PYTHONWARNINGS": "ignore"}
    began = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **quiet, **(env or {})},
    ) as process:
        # wait4 tells the memory of this child alone, so both pipes are read by helpers.
        out, err = process.communicate()
    seconds = time.perf_counter() - began
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{out[-2000:]}\n{err[-3000:]}")
    said = [line for line in out.splitlines() if line.startswith("{")]
    return {"seconds": seconds} | (json.loads(said[-1]) if said else {})


def alternate(
    contenders: Mapping[str, Callable[[], dict[str, float]]], *, rounds: int
) -> dict[str, dict[str, float]]:
    """Let everyone have a turn, `rounds` times; medians of what each returned."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name, turn in contenders.items():
            got = turn()
            found[name].append(got)
            line = "  ".join(f"{key} {value:.4g}" for key, value in got.items())
            print(f"round {number + 1}/{rounds}  {name}: {line}", file=sys.stderr, flush=True)
    return {
        name: {key: median(turn[key] for turn in turns) for key in turns[0]}
        for name, turns in found.items()
    }


def has(package: str, python: str) -> bool:
    """Whether an interpreter has a package; says so if not."""
    code = f"import importlib.util as u, sys; sys.exit(u.find_spec({package!r}) is None)"
    missing = subprocess.run([python, "-c", code], check=False).returncode
    if missing:
        print(f"{package} is not there: left out.", file=sys.stderr)
    return not missing


def machine() -> str:
    """Processor, cores and versions, for the head of a table."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    flags = next((line.split() for line in lines if line.startswith("flags")), [])
    model = next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")
    widest = next((flag for flag in ("avx512_bf16", "avx512f", "avx2") if flag in flags), "?")
    versions = ", ".join(
        f"{name} {metadata.version(name)}" for name in ("tensorflow", "keras", "typer")
    )
    return (
        f"{datetime.date.today():%d %B %Y}; {len(os.sched_getaffinity(0))} cores of {model}, "
        f"{widest}; Python {platform.python_version()}, {versions}"
    )


def report(name: str, head: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Print a table as Markdown, and keep it in results/."""
    lines = [
        f"`{' '.join(['python', f'benchmarks/{name}.py', *sys.argv[1:]])}` ({machine()})",
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(f"| {' | '.join(_shown(cell) for cell in row)} |" for row in rows),
    ]
    text = "\n".join(lines) + "\n"
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(text, encoding="utf-8")
    print(text)


def _shown(cell: Any) -> str:
    return (
        f"{cell:.3g}"
        if isinstance(cell, float) and abs(cell) < 1000
        else (f"{cell:,.0f}" if isinstance(cell, float) else str(cell))
    )
