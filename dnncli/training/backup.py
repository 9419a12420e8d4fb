"""All that a killed run needs to go on with the numbers of an uninterrupted one, in one file."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
from numpy.typing import NDArray

from dnncli import archives
from dnncli.errors import ModelError
from dnncli.results import written


@dataclass
class TrainState:
    """What training has learned about itself; changes after every epoch."""

    epoch: int = 0  # epochs finished
    phase: int = 0  # 0: first phase; 1: after unfreezing the backbone
    phase_start: int = 0  # epochs finished when this phase began
    history: list[dict[str, float]] = field(default_factory=list)  # one entry per epoch
    best_epoch: int = 0  # counted from 1; 0: none yet
    best_value: float | None = None  # of the monitored score
    highest: float | None = None  # of the monitored score in any epoch
    best_ties: list[float] = field(default_factory=list)  # of that epoch; higher wins
    best_loss: float | None = None  # of that epoch, to break what ties are left
    stopping: dict[str, Any] = field(default_factory=dict)  # of the early-stopping callbacks
    plateau: dict[str, Any] = field(default_factory=dict)  # of the learning-rate plateau callback
    finished: str = ""  # why training ended, once it has
    seconds: float = 0.0  # spent in training


def save(
    path: Path,
    state: TrainState,
    *,
    variables: Sequence[NDArray],
    optimizer: Sequence[NDArray],
    best: Sequence[NDArray],
) -> None:
    """Write the state, the network's and optimizer's variables, and the best epoch's variables."""
    groups = {"model": variables, "optimizer": optimizer, "best": best}
    with written(path) as neighbour, ZipFile(neighbour, "w") as archive:
        _write(archive, "state", np.frombuffer(json.dumps(asdict(state)).encode(), np.uint8))
        for group, values in groups.items():
            for index, value in enumerate(values):  # np.savez would want all of them at once
                _write(archive, f"{group}/{index}", value)


def _write(archive: ZipFile, name: str, value: NDArray) -> None:
    with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
        np.lib.format.write_array(member, np.asanyarray(value), allow_pickle=False)


@dataclass(frozen=True)
class Backup:
    """A backup as read from its file."""

    state: TrainState
    variables: list[NDArray]
    optimizer: list[NDArray]
    best: list[NDArray]


def load(path: Path) -> Backup:
    """Read a backup.

    Raises:
        ModelError: if the file is missing or damaged.
    """
    try:
        if path.exists() and (problem := archives.npz_problem(path)):
            raise ValueError(problem)
        # A file of our own, because NumPy leaves its own open when the archive is damaged.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            state = TrainState(**json.loads(archive["state"].tobytes()))
            groups: dict[str, list[NDArray]] = {"model": [], "optimizer": [], "best": []}
            for group, values in groups.items():
                while (name := f"{group}/{len(values)}") in archive.files:
                    values.append(archive[name])
    except (*archives.BROKEN, TypeError, AttributeError) as error:
        raise ModelError(
            f"{path}: cannot be read ({error}), so this run cannot go on. Train again."
        ) from error
    return Backup(state, groups["model"], groups["optimizer"], groups["best"])


def values(variables: list[Any]) -> list[NDArray]:
    """Copies of Keras variables as NumPy arrays."""
    return [np.array(variable.numpy()) for variable in variables]


def assign(variables: list[Any], saved: list[NDArray], *, what: str) -> None:
    """Put saved values back.

    Raises:
        ModelError: if number or shapes do not fit: the backup is of another network.
    """
    shapes = [tuple(variable.shape) for variable in variables]
    if shapes != [value.shape for value in saved]:
        raise ModelError(
            f"The backup does not fit the {what}: it holds {len(saved)} variables, "
            f"{len(shapes)} are needed, or their shapes differ. Train again."
        )
    for variable, value in zip(variables, saved, strict=True):
        variable.assign(value)
