"""A run folder: where each file of a training run lies, and what state the run is in."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar, Literal

from dnncli import runlock
from dnncli.errors import ConfigError, ModelError
from dnncli.results import is_empty, write_json
from dnncli.urls import told

GROUP = "seeds.json"  # makes a folder one of the runs of several seeds
State = Literal["running", "done", "failed", "interrupted"]


@dataclass(frozen=True)
class RunDir:
    """Paths inside one run folder."""

    SNAPSHOTS: ClassVar[str] = "snapshots"  # folder of the models at the end of each cycle

    path: Path

    @property
    def run(self) -> Path:
        """Command, versions, seed, device, times, state, result."""
        return self.path / "run.json"

    @property
    def config(self) -> Path:
        """The merged, complete configuration."""
        return self.path / "config.toml"

    @property
    def data(self) -> Path:
        """Fingerprint, classes, counts, skipped files."""
        return self.path / "data.json"

    @property
    def split(self) -> Path:
        """`id,label,split,group` of every row."""
        return self.path / "split.csv"

    @property
    def history(self) -> Path:
        """One row per epoch."""
        return self.path / "history.csv"

    @property
    def best(self) -> Path:
        """The model of the best epoch."""
        return self.path / "best.keras"

    @property
    def last(self) -> Path:
        """The model of the last finished epoch."""
        return self.path / "last.keras"

    @property
    def thresholds(self) -> Path:
        """The thresholds that the validation rows chose."""
        return self.path / "thresholds.json"

    @property
    def backup(self) -> Path:
        """All that `--resume` needs, in one file."""
        return self.path / "backup" / "state.npz"

    @property
    def tensorboard(self) -> Path:
        """Logs for TensorBoard."""
        return self.path / "tensorboard"

    def snapshot(self, number: int) -> Path:
        """The model at the end of one cycle of the learning rate, counted from 1."""
        return self.path / self.SNAPSHOTS / f"{number}.keras"

    @property
    def snapshots(self) -> tuple[Path, ...]:
        """The models at the end of every cycle so far, in order."""
        folder = self.path / self.SNAPSHOTS
        found = [path for path in folder.glob("*.keras") if path.stem.isdigit()]
        return tuple(sorted(found, key=lambda path: int(path.stem)))

    def evaluation(self, name: str) -> Path:
        """Folder of one evaluation."""
        return self.path / "eval" / name

    def read(self) -> dict[str, Any]:
        """What run.json holds.

        Raises:
            ModelError: if there is no readable run.json.
        """
        try:
            return _table(self.run)
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(
                f"{self.path}: is not a run folder (run.json: {error}). "
                "Give a folder that `dnncli train` wrote."
            ) from error

    def trained_on(self) -> str:
        """The data set that the run was trained on, as run.json names it.

        Raises:
            ModelError: if there is no readable run.json, or it names none.
        """
        data = self.read().get("data")
        if not isinstance(data, str):
            raise ModelError(f"{self.run}: names no data set. Train again.")
        return data

    def read_data(self) -> dict[str, Any]:
        """What data.json holds.

        Raises:
            ModelError: if there is no readable data.json.
        """
        try:
            found = _table(self.data)
            if lacking := [key for key in ("fingerprint", "path") if key not in found]:
                raise ValueError(f"it has no '{lacking[0]}'")
        except (OSError, ValueError, RecursionError) as error:
            raise ModelError(f"{self.data}: cannot be read ({error}). Train again.") from error
        return found

    def update(self, **entries: Any) -> None:
        """Change entries of run.json, keeping the others."""
        known = self.read() if self.run.exists() else {}
        write_json(self.run, known | entries)


def _table(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object.

    Raises:
        OSError, ValueError: if there is none.
    """
    found = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def now() -> str:
    """The time, to the second, with its zone."""
    return datetime.now(UTC).astimezone().isoformat(timespec="seconds")


def is_run(path: Path) -> bool:
    """Whether `path` is a run folder."""
    return (path / "run.json").is_file()


def is_group(path: Path) -> bool:
    """Whether `path` is a folder of the runs of several seeds."""
    return (path / GROUP).is_file()


def read_group(path: Path) -> dict[str, Any]:
    """What seeds.json of a folder of runs holds.

    Raises:
        ModelError: if it cannot be read.
    """
    try:
        entries = _table(path / GROUP)
        seeds = entries.get("seeds")
        if not isinstance(seeds, list) or not all(type(seed) is int for seed in seeds):
            raise ValueError("it lists no seeds")
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"{path / GROUP}: cannot be read ({error}). Train again.") from error
    return entries


def lacking_seeds(path: Path) -> list[int]:
    """The seeds of a folder of runs whose run has not begun."""
    return [seed for seed in read_group(path)["seeds"] if not is_run(path / f"seed-{seed}")]


def choose(out: str, *, data: Path, model: str) -> RunDir:
    """The folder of a new run: `out`, or the next free runs/<data>-<model>[-2, -3 ...].

    Raises:
        ConfigError: if `out` exists and is not an empty folder, or another process trains there.
    """
    if out:
        path = Path(out)
        runlock.check_free(path)
        if is_empty(path):
            return RunDir(path)
        if path.exists():
            remedy = "Give another --out"
            if is_run(path) or is_group(path):
                remedy += ", or go on with what is there by --resume"
            raise ConfigError(f"--out {path}: exists already. {remedy}.")
        return RunDir(path)
    base = f"{data.resolve().stem}-{model.rpartition(':')[2]}"
    number = 1
    while (path := Path("runs") / (base if number == 1 else f"{base}-{number}")).exists():
        number += 1
    return RunDir(path)


def newest_unfinished(data: Path, *, seeds: bool = False) -> Path:
    """What lies in runs/, was trained on this data set, is not done, and was changed last.

    Args:
        data: the data set.
        seeds: only a folder of the runs of several seeds will do, not a single run.

    Raises:
        ConfigError: if there is none.
    """
    found = []
    for file in Path("runs").glob("*/*.json"):
        if file.name != GROUP and (seeds or file.name != "run.json"):
            continue
        try:
            entry = _table(file)
        except (OSError, ValueError, RecursionError):
            continue  # nothing can go on from there, but perhaps from another
        # A folder of runs has a result once all are done, and its runs change after it.
        is_done = entry.get("result") if file.name == GROUP else entry.get("state") == "done"
        if not is_done and str(entry.get("data")) == told(str(data.resolve())):
            files = [file, *file.parent.glob("*/run.json")]
            found.append((max(path.stat().st_mtime for path in files), file.parent))
    if not found:
        what = "unfinished folder of runs" if seeds else "unfinished run"
        raise ConfigError(
            f"--resume: no {what} on {data} lies in runs/. Name its folder with --out."
        )
    return max(found)[1]
