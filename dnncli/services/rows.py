"""Which rows of a data set a model is to predict: opened, checked against the model, chosen."""

import csv
import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import ArrayImages, Dataset
from dnncli.data.detect import open_dataset
from dnncli.data.header import MAX_PIXELS
from dnncli.data.split import apply_split
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.networks.files import read_card
from dnncli.registry import suggest
from dnncli.results import Progress, no_progress
from dnncli.rundir import RunDir, is_run
from dnncli.services.places import fetched
from dnncli.urls import is_remote, told

ALL = "all"
OF_PIXELS = ("segment", "edges")  # tasks whose models say something of every pixel
_UNIT = 1.0  # pixels up to here are on the scale 0..1


@dataclass(frozen=True, kw_only=True)
class Opened:
    """A data set as one model sees it: with its classes, and its run's split if it has one."""

    dataset: Dataset
    card: dict[str, Any]
    model: Path
    run: RunDir | None


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows to predict, and how their pictures must look for the model."""

    dataset: Dataset
    rows: NDArray[np.int64]
    split: str  # train, val, test, or "all"
    card: dict[str, Any]
    model: Path
    notes: tuple[str, ...]


def metadata_of(chosen: Rows) -> dict[str, Any]:
    """What predictions say of where they come from."""
    return {
        "task": chosen.card["task"],
        "split": chosen.split,
        "model": chosen.card["model"],
        "model_data": chosen.card["data_fingerprint"],
        "data": chosen.dataset.fingerprint,
    }


def task_of(target: str | Path) -> str:
    """What a run or .keras file was trained for.

    Raises:
        ModelError: if there is no model.
    """
    return read_card(find_model(target))["task"]


def find_model(target: str | Path) -> Path:
    """The .keras file behind a run folder or a path.

    Raises:
        ModelError: if there is none.
    """
    path = Path(target)
    if is_run(path):
        if not RunDir(path).best.exists():
            state = RunDir(path).read().get("state")
            remedy = "It was removed." if state == "done" else "Finish it with --resume."
            raise ModelError(f"{path}: holds no best.keras (state: {state}). {remedy}")
        return RunDir(path).best
    if path.is_dir():
        inside = [str(entry) for entry in sorted(path.iterdir()) if is_run(entry)]
        hint = f" It holds runs: name one, such as {inside[0]}." if inside else ""
        raise ModelError(f"{path}: is not a run folder: it holds no run.json.{hint}")
    if not path.exists():
        near = suggest(path.name, [p.name for p in path.parent.glob("*")])
        raise ModelError(f"{path}: no such run folder or .keras file.{near}")
    return path


def open_rows(
    target: str | Path,
    data: str | Path | None,
    *,
    split: str | None,
    on_bad: str = "skip",
    labelled: bool = False,
    progress: Progress = no_progress,
) -> Rows:
    """Open the data set, check that it fits the model, and choose the rows."""
    opened = open_for(find_model(target), data, on_bad=on_bad, labelled=labelled, progress=progress)
    available = splits_of(opened)
    split = split or ("test" if "test" in available else ALL)
    if split not in available:
        raise ConfigError(f"--split {split}: this data set has {', '.join(available)}.")
    dataset = opened.dataset
    rows = np.arange(len(dataset)) if split == ALL else dataset.rows(split)
    return Rows(
        dataset=dataset,
        rows=rows,
        split=split,
        card=opened.card,
        model=opened.model,
        notes=notes_on(opened, rows, split=split),
    )


def open_for(
    model: Path,
    data: str | Path | None,
    *,
    on_bad: str = "skip",
    labelled: bool = False,
    opener: Callable[..., Dataset] = open_dataset,
    progress: Progress = no_progress,
) -> Opened:
    """Open a data set for a .keras file, and check that it fits.

    Args:
        model: the file.
        data: None: the data set of the run that the file lies in.
        on_bad: unreadable pictures: "skip" or "error".
        labelled: refuse pictures without classes.
        opener: opens the data set; for several models, one that remembers those it opened.
        progress: told how far reading is.

    Raises:
        ConfigError, DataError, ModelError: what does not fit.
    """
    card = read_card(model)
    run = run_of(model)
    if data is None:
        if run is None:
            raise ConfigError(f"{model}: name the data set to predict.")
        data = data_of(run, progress=progress)
    limit = card.get("max_pixels", MAX_PIXELS)
    options: dict[str, Any] = {"on_bad": on_bad, "max_pixels": limit, "progress": progress}
    if card["task"] in OF_PIXELS:
        dataset = _open_masks(Path(data), run, card, labelled=labelled, opener=opener, **options)
    else:
        dataset = _open(Path(data), run, card, labelled=labelled, opener=opener, options=options)
    check_range(dataset, card["input_range"], data=str(data))
    return Opened(dataset=dataset, card=card, model=model, run=run)


def splits_of(opened: Opened) -> tuple[str, ...]:
    """What --split can be."""
    return (*opened.dataset.declared_splits, ALL)


def notes_on(opened: Opened, rows: NDArray[np.int64], *, split: str) -> tuple[str, ...]:
    """What the user should know: skipped pictures, rows seen in training, how many rows."""
    dataset, run = opened.dataset, opened.run
    notes = [str(problem) for problem in dataset.problems if problem.action == "skipped"]
    if run is not None and dataset.fingerprint != opened.card["data_fingerprint"]:
        notes += _seen_in_training(dataset, rows, run)
    if split != ALL:
        notes.append(f"Rows of split '{split}': {len(rows)} of {len(dataset)}.")
    return tuple(notes)


def run_of(model: Path) -> RunDir | None:
    """The run folder that a model file, or a snapshot, lies in, if it lies in one."""
    folder = model.parent
    if folder.name == RunDir.SNAPSHOTS and is_run(folder.parent):
        folder = folder.parent
    return RunDir(folder) if is_run(folder) else None


def data_of(run: RunDir, *, progress: Progress = no_progress) -> str:
    """The data set that a run was trained on; its local copy if it is remote.

    Raises:
        DataError: if it is not there any more.
    """
    data = run.trained_on()
    if is_remote(data):
        return str(fetched(data, "data", progress=progress).local)
    if glob.has_magic(data) or Path(data).exists():
        return data
    raise DataError(
        f"{run.path}: was trained on {data}, which is not there any more. Name where it is now: "
        f"behind {run.path}; for consensus, by --data."
    )


def _open(
    data: Path,
    run: RunDir | None,
    card: dict[str, Any],
    *,
    labelled: bool,
    opener: Callable[..., Dataset],
    options: dict[str, Any],
) -> Dataset:
    """The data set with the model's classes; the data the run began with gets the run's split."""
    try:
        dataset = opener(data, classes=tuple(card["classes"]), **options)
    except DataError:
        # Pictures without classes can be predicted all the same, but nothing else is forgiven.
        if labelled or not _is_flat(data):
            raise
        return opener(data, labelled=False, **options)
    return _with_split(dataset, data, run, card)


def _open_masks(
    data: Path,
    run: RunDir | None,
    card: dict[str, Any],
    *,
    labelled: bool,
    opener: Callable[..., Dataset],
    **options: Any,
) -> Dataset:
    """The same for pictures with masks or edges; several annotators are merged as in training."""
    from dnncli.data.mask_values import MaskForm
    from dnncli.data.masks import has_masks

    form = MaskForm(
        class_names=tuple(card["classes"]), values=tuple(card["values"]), void=card["void"]
    )
    how: dict[str, Any] = {"task": card["task"], "like": form, **options}
    own = run is not None and run.trained_on() == told(str(data.resolve()))
    if not labelled and not has_masks(data):
        return opener(data, labelled=False, **how)
    if run is not None and own and (found := _merged(data, run, options["progress"])):
        return _with_split(found, data, run, card)
    try:
        dataset = opener(data, **how)
    except DataError:
        if labelled or own:
            raise
        return opener(data, labelled=False, **how)
    dataset = _with_split(dataset, data, run, card)
    lacks = any(problem.action == "skipped" for problem in dataset.problems)
    if labelled or not lacks or dataset.fingerprint == card["data_fingerprint"]:
        return dataset
    return opener(data, labelled=False, **how)  # with pictures whose mask cannot be used


def _merged(data: Path, run: RunDir, progress: Progress) -> Dataset | None:
    """The data set of a run whose masks are merged from those of several annotators, if it is."""
    from dnncli import config as configuration
    from dnncli.services.masks.plan import open_masks_of

    source = str(run.config)
    config = configuration.merge(configuration.read_toml(run.config), {}, source=source)
    if config.data.annotators is None:
        return None
    return open_masks_of(str(data), config, classes=(), split="", progress=progress)


def _with_split(dataset: Dataset, data: Path, run: RunDir | None, card: dict[str, Any]) -> Dataset:
    """With the split of the run, if it is the data that the run began with."""
    if run is None or not run.split.exists():
        return dataset
    if dataset.fingerprint == card["data_fingerprint"]:
        return apply_split(dataset, run.split)
    if run.trained_on() == told(str(data.resolve())):
        raise DataError(
            f"{data}: has changed since {run.path} was trained on it, so its split no longer fits. "
            "Restore it, or name a data set of other pictures."
        )
    return dataset


def _seen_in_training(dataset: Dataset, rows: NDArray[np.int64], run: RunDir) -> list[str]:
    """A note if rows bear the ids of rows that the model was made with."""
    with run.split.open(encoding="utf-8", newline="") as file:
        made = {row["id"]: row["split"] for row in csv.DictReader(file)}
    seen = [dataset.ids[row] for row in rows if made.get(dataset.ids[row]) in ("train", "val")]
    if not seen:
        return []
    return [
        f"{len(seen)} of these rows have ids of rows that {run.path} was trained or validated on "
        f"(first: {seen[0]}). If they are the same pictures, these are not scores on new data."
    ]


def _is_flat(data: Path) -> bool:
    """Whether a folder holds files but no class folders."""
    return data.is_file() or not any(
        entry.is_dir() and not entry.name.startswith(".") for entry in data.iterdir()
    )


def check_range(dataset: Dataset, trained: Sequence[float], *, data: str) -> None:
    """Refuse pixels on another scale than the network was trained on.

    Args:
        dataset: what is to be predicted.
        trained: smallest and largest pixel value in training.
        data: name of the data set, for the message.

    Raises:
        DataError: if 0..1 meets 0..255, in either direction.
    """
    images = dataset.images
    highest = 255.0
    if isinstance(images, ArrayImages) and images.arrays[0].dtype != np.uint8:
        highest = max(float(array[:1024].max(initial=0)) for array in images.arrays)
    if highest <= _UNIT < trained[1] / 10 or trained[1] <= _UNIT < highest / 10:
        raise DataError(
            f"{data}: pixel values reach {highest:g}, but the model was trained on "
            f"{trained[0]:g}..{trained[1]:g}. Bring them to that range."
        )
