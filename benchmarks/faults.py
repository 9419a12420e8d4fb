"""What trainings survive: kills at random moments, full disks, vanishing files, lack of memory.

Prints what was tried, survived and lost. `python benchmarks/faults.py --kills 100`. Children are
forked from a process that has imported TensorFlow already, so that each costs a second or two; they
run the command line itself and die by SIGKILL.
"""

import argparse
import fcntl
import hashlib
import importlib
import json
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
import tomllib
import traceback
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image  # noqa: TID253

sys.path.insert(0, str(Path(__file__).parents[1]))
TALKS: dict[int, tuple[int, Path]] = {}  # process -> what it says, and where that is kept
QUIET = {"run.tensorboard": "false", "run.backup_seconds": "0", "optimizer.schedule": '"plateau"'}
COMMON = (
    "--model=mlp",
    "--image-size=8",
    "--batch-size=8",
    "--epochs=6",
    "--early-stop=4",
    "--deterministic",
)
SETTINGS = [f"--set={key}={value}" for key, value in QUIET.items()]
VANISH = """
import pathlib, keras

class Gone(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        for path in pathlib.Path("pictures/a").iterdir():
            path.unlink()

class Changed(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        for path in pathlib.Path("pictures/a").iterdir():
            path.write_bytes(b"something else")

class Hungry(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        raise MemoryError
"""


def write_pictures(root: Path, *, each: int = 12, classes: str = "ab") -> None:
    """Class folders of 16 x 16 noise, a little brighter from class to class."""
    draw = np.random.default_rng(0)
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for row in range(each):
            pixels = draw.integers(40 * number, 160 + 40 * number, (16, 16, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{row}.png")


def nothing() -> None:
    """Happens before most trainings."""


def start(folder: Path, *arguments: str, before: Callable[[], None] = nothing) -> int:
    """Fork a process that runs `dnncli ARGUMENTS` in a folder; `ended` writes FOLDER/talk."""
    # A pipe, because a file would meet the full disk, too; it holds all that a training says.
    read, write = os.pipe()
    fcntl.fcntl(write, fcntl.F_SETPIPE_SZ, 2**20)
    pid = os.fork()
    if pid:
        os.close(write)
        TALKS[pid] = (read, folder / "talk")
        return pid
    code = 1
    try:
        os.chdir(folder)
        sys.path.insert(0, str(folder))
        os.dup2(write, 1)
        os.dup2(write, 2)
        before()
        sys.argv = ["dnncli", *arguments]
        from dnncli.cli.app import app

        app(list(arguments))
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0
    except BaseException:  # noqa: BLE001 - a bug, which the parent finds in the talk
        traceback.print_exc()
    finally:
        sys.stderr.flush()
        os._exit(code)


def ended(pid: int, *, within: float = 300.0) -> int:
    """The exit status of a process; -9 where a signal ended it, -99 where it had to be ended."""
    limit = time.monotonic() + within
    status = -99
    while status == -99 and time.monotonic() < limit:
        done, found = os.waitpid(pid, os.WNOHANG)
        if done:
            status = os.waitstatus_to_exitcode(found)
        time.sleep(0.005)
    if status == -99:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    read, talk = TALKS.pop(pid)
    with os.fdopen(read, "rb") as pipe:
        talk.write_bytes(pipe.read())
    return status


def half_written(run: Path) -> list[str]:
    """Files of a run folder that are there and not whole; what is hidden does not count."""
    broken = []
    checks = {
        ".json": lambda path: json.loads(path.read_text()),
        ".toml": lambda path: tomllib.loads(path.read_text()),
        ".keras": lambda path: zipfile.ZipFile(path).testzip(),
        ".npz": lambda path: zipfile.ZipFile(path).testzip(),
        ".csv": lambda path: path.read_text().endswith("\n") or 1 / 0,
    }
    for path in sorted(run.rglob("*")):
        if path.is_file() and not any(
            part.startswith(".") for part in path.parts[len(run.parts) :]
        ):
            try:
                if checks.get(path.suffix, lambda _: None)(path) and path.suffix in (
                    ".keras",
                    ".npz",
                ):
                    broken.append(path.name)
            except Exception as error:  # noqa: BLE001
                broken.append(f"{path.name}: {error!r}")
    return broken


def outcome(run: Path) -> tuple[str, dict, str]:
    """History, chosen epoch and a digest of the final weights, of the optimizer's state too."""
    result = json.loads((run / "run.json").read_text())["result"]
    digest = hashlib.sha256()
    with np.load(run / "backup" / "state.npz") as archive:
        for name in sorted(archive.files):
            if name != "state":  # which holds seconds, too
                digest.update(name.encode() + archive[name].tobytes())
    keys = ("epochs", "best_epoch", "best_value", "stopped")
    return (run / "history.csv").read_text(), {key: result[key] for key in keys}, digest.hexdigest()


def kills(folder: Path, count: int, seed: int, limit: float) -> dict:
    """Kill one training after the other at random moments, `count` times or `limit` seconds."""
    whole = folder / "whole"
    whole.mkdir()
    write_pictures(folder / "pictures")
    train = ("train", "../pictures", "--out", "run", *COMMON, *SETTINGS)
    began = time.monotonic()
    if status := ended(start(whole, *train)):
        raise SystemExit(
            f"the uninterrupted run ended with {status}: {(whole / 'talk').read_text()}"
        )
    length = time.monotonic() - began
    expected = outcome(whole / "run")
    draw = random.Random(seed)
    tried = runs = 0
    lost: list[str] = []
    end = time.monotonic() + limit
    while tried < count and time.monotonic() < end:
        runs += 1
        place = folder / f"killed-{runs}"
        place.mkdir()
        while True:
            more = ("--resume",) if (place / "run" / "run.json").exists() else ()
            pid = start(place, *train, *more)
            if tried < count:
                time.sleep(draw.uniform(0, length))
                os.kill(pid, signal.SIGKILL)
            status = ended(pid)
            tried += status == -signal.SIGKILL
            if broken := half_written(place / "run"):
                lost.append(f"kill {tried}, run {runs}: {broken}")
            if status == -signal.SIGKILL:
                continue
            talk = (place / "talk").read_text()
            # Killed after its last line was written: the run is done.
            if status and "this run is finished" not in talk:
                lost.append(f"run {runs} ended with {status}: {talk[-500:]}")
            elif outcome(place / "run") != expected:
                lost.append(f"run {runs}: other numbers than the uninterrupted run")
            break
        shutil.rmtree(place)
    return {"tried": tried, "runs": runs, "survived": tried - len(lost), "lost": lost}


def limited(name: int, value: int) -> Callable[[], None]:
    """Sets a limit of the system in the child."""

    def before() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # the write fails, as on a full disk
        resource.setrlimit(name, (value, value))

    return before


def fault(folder: Path, name: str, *arguments: str, before: Callable[[], None]) -> str:
    """Why a training under a fault went wrong; empty if it ended as it should."""
    place = folder / name.replace(" ", "-")
    place.mkdir()
    write_pictures(place / "pictures")
    (place / "vanish.py").write_text(VANISH)
    train = ("train", "pictures", "--out", "run", *COMMON, *SETTINGS, *arguments)
    status = ended(start(place, *train, before=before))
    talk = (place / "talk").read_text()
    if status not in (0, 2) or not talk.strip():
        return f"{name}: exit {status}: {talk[-300:]}"
    if "Traceback" in talk:
        return f"{name}: a traceback: {talk[-300:]}"
    if (place / "run").exists() and (broken := half_written(place / "run")):
        return f"{name}: {broken}"
    last = talk.strip().splitlines()[-1:] or [""]
    sys.stdout.write(f"  {name}: exit {status}: {last[0][:150]}\n")
    return ""


def faults(folder: Path, *, few: bool) -> dict:
    """Trainings on machines that fail; only some of them if `few`."""
    sizes = [0, 200, 800, 2_000, 30_000, 200_000, 800_000, 2_000_000, 4_000_000]
    clock = iter(range(10**9, 0, -3600))
    vanish = '--set=fit.callbacks=["vanish:{}"]'
    kinds: list[tuple[str, tuple[str, ...], Callable[[], None]]] = [
        (f"disk full at {size}", (), limited(resource.RLIMIT_FSIZE, size))
        for size in ([2_000, 200_000] if few else sizes)
    ]
    callbacks = {"vanished": "Gone", "changed": "Changed", "memory": "Hungry"}
    for name, kind in callbacks.items():
        code = vanish.format(kind)
        kinds.append((f"pictures {name}", (code, "--cache=none"), nothing))
        if not few:
            kinds.append((f"pictures {name}, cached", (code,), nothing))
    if not few:
        backwards = partial(setattr, time, "time", lambda: next(clock))
        kinds.append(("clock backwards", (), backwards))
    lost = [fault(folder, name, *more, before=before) for name, more, before in kinds]
    return {"tried": len(lost), "survived": lost.count(""), "lost": [line for line in lost if line]}


def main() -> None:
    """Read the options, try, print figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=0, help="at random moments")
    parser.add_argument("--faults", action="store_true", help="of disk, memory, files and clock")
    parser.add_argument("--few", action="store_true", help="only some of the faults")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=60.0, help="begin no kill after that")
    asked = parser.parse_args()
    # Nothing is computed before the forks: TensorFlow's threads would be missing in the children.
    for name in ("keras", "dnncli.services.fitting", "dnncli.services.outcome"):
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        found = {}
        if asked.kills:
            found["kills"] = kills(folder, asked.kills, asked.seed, 60 * asked.minutes)
        if asked.faults:
            found["faults"] = faults(folder, few=asked.few)
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    sys.exit(any(entry["lost"] for entry in found.values()))


if __name__ == "__main__":
    main()
