"""Predict every row of a data set with a run or a .keras model."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.data.dataset import UNLABELLED, ArrayImages, Dataset
from dnncli.data.detect import open_dataset
from dnncli.data.header import MAX_PIXELS
from dnncli.data.ids import as_ids
from dnncli.data.predictions import write_predictions
from dnncli.data.split import apply_split
from dnncli.errors import ConfigError, DataError, ModelError
from dnncli.metrics.decisions import decisions_of
from dnncli.networks.files import read_card
from dnncli.predictions import Predictions
from dnncli.registry import suggest
from dnncli.results import Progress, no_progress
from dnncli.rundir import RunDir, is_run

ALL = "all"
BATCH_SIZE = 128  # pictures predicted at a time, unless told otherwise
_UNIT = 1.0  # pixels up to here are on the scale 0..1


@dataclass(frozen=True, kw_only=True)
class PredictResult:
    """What was predicted, and where it went."""

    schema: str
    out: Path
    n: int
    classes: tuple[str, ...]
    split: str
    counts: dict[str, int]  # rows decided for each class
    notes: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows to predict, and how their pictures must look for the model."""

    dataset: Dataset
    rows: NDArray[np.int64]
    split: str  # train, val, test, or "all"
    card: dict[str, Any]
    model: Path
    notes: tuple[str, ...]


def predict(
    target: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path,
    split: str | None = None,
    batch_size: int = BATCH_SIZE,
    on_bad: str = "skip",
    overwrite: bool = False,
    progress: Progress = no_progress,
) -> PredictResult:
    """Predict a data set and write a predictions file.

    Args:
        target: a run folder (its best.keras), or a .keras file written by dnncli.
        data: a data set, labelled or not; None: the data set of the run.
        out: .csv, .parquet or .npz.
        split: train, val, test or all. None: test if the data set has one, else all rows.
        batch_size: pictures predicted at a time; memory only, the numbers do not depend on it.

    Raises:
        DataError, ModelError, ConfigError: what does not fit, and what to do.
    """
    path = Path(out)
    if path.suffix not in (".csv", ".parquet", ".npz"):
        raise ConfigError(f"--out {path}: predictions are written as .csv, .parquet or .npz.")
    if path.exists() and not overwrite:
        raise ConfigError(f"--out {path}: exists already. Give another name, or --overwrite.")
    chosen = open_rows(target, data, split=split, on_bad=on_bad, progress=progress)
    predictions = compute(chosen, batch_size=batch_size, progress=progress)
    write_predictions(predictions, path)
    decided = decisions_of(predictions, tie="class-order").classes
    counts = np.bincount(decided, minlength=len(predictions.class_names))
    return PredictResult(
        schema="dnncli.predict/1",
        out=path,
        n=len(predictions),
        classes=predictions.class_names,
        split=chosen.split,
        counts=dict(zip(predictions.class_names, counts.tolist(), strict=True)),
        notes=chosen.notes,
    )


def find_model(target: str | Path) -> Path:
    """The .keras file behind a run folder or a path.

    Raises:
        ModelError: if there is none.
    """
    path = Path(target)
    if is_run(path):
        if not RunDir(path).best.exists():
            state = RunDir(path).read().get("state")
            raise ModelError(
                f"{path}: holds no best.keras (state: {state}). Finish it with --resume."
            )
        return RunDir(path).best
    if path.is_dir():
        raise ModelError(f"{path}: is not a run folder: it holds no run.json.")
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
    model = find_model(target)
    card = read_card(model)
    run = run_of(model)
    if data is None:
        if run is None:
            raise ConfigError(f"{target}: name the data set to predict.")
        data = run.read()["data"]
    dataset = _open(Path(data), run, card, labelled=labelled, on_bad=on_bad, progress=progress)
    check_range(dataset, card["input_range"], data=str(data))
    notes = tuple(str(p) for p in dataset.problems if p.action == "skipped")
    available = (*dataset.declared_splits, ALL)
    split = split or ("test" if "test" in available else ALL)
    if split not in available:
        raise ConfigError(f"--split {split}: this data set has {', '.join(available)}.")
    rows = np.arange(len(dataset)) if split == ALL else dataset.rows(split)
    if run is not None and dataset.fingerprint != card["data_fingerprint"]:
        notes = (*notes, *_seen_in_training(dataset, rows, run))
    if split != ALL:
        notes = (*notes, f"Rows of split '{split}': {len(rows)} of {len(dataset)}.")
    return Rows(dataset=dataset, rows=rows, split=split, card=card, model=model, notes=notes)


def run_of(model: Path) -> RunDir | None:
    """The run folder that a model file lies in, if it lies in one."""
    return RunDir(model.parent) if is_run(model.parent) else None


def _open(
    data: Path,
    run: RunDir | None,
    card: dict[str, Any],
    *,
    labelled: bool,
    on_bad: str,
    progress: Progress,
) -> Dataset:
    """The data set with the model's classes; the data the run began with gets the run's split."""
    limit = card.get("max_pixels", MAX_PIXELS)
    options: dict[str, Any] = {"on_bad": on_bad, "max_pixels": limit, "progress": progress}
    classes = tuple(card["classes"])
    try:
        dataset = open_dataset(data, classes=classes, **options)
    except DataError:
        # Pictures without classes can be predicted all the same, but nothing else is forgiven.
        if labelled or not _is_flat(data):
            raise
        return open_dataset(data, labelled=False, **options)
    if run is None or not run.split.exists():
        return dataset
    if dataset.fingerprint == card["data_fingerprint"]:
        return apply_split(dataset, run.split)
    if Path(run.read()["data"]) == data.resolve():
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


def compute(
    chosen: Rows, *, batch_size: int = BATCH_SIZE, progress: Progress = no_progress
) -> Predictions:
    """Load the model and predict the chosen rows, in order."""
    from dnncli import devices

    devices.load_tensorflow()
    from dnncli.data.pipeline import ImageFormat, Loader
    from dnncli.networks.files import load_model

    card = chosen.card
    loader = Loader(
        dataset=chosen.dataset,
        image_format=ImageFormat(
            height_width=tuple(card["image_size"]),
            channels=card["channels"],
            resize=card["resize"],
        ),
        workers=devices.cores(),
    )
    probs = run_model(
        forward(load_model(chosen.model)),
        loader,
        chosen.rows,
        batch_size=batch_size,
        progress=progress,
    )
    return Predictions(
        ids=as_ids(chosen.dataset.ids[row] for row in chosen.rows),
        class_names=tuple(card["classes"]),
        kind="probability",
        probs=probs,
        metadata={
            "task": card["task"],
            "split": chosen.split,
            "model": card["model"],
            "model_data": card["data_fingerprint"],
            "data": chosen.dataset.fingerprint,
        },
    )


def forward(model: Any) -> Any:
    """The model as one graph: (B, H, W, c) pictures -> (B, C) probabilities."""
    import tensorflow as tf

    return tf.function(lambda images: model(images, training=False), reduce_retracing=True)


def run_model(
    call: Any,
    loader: Any,
    rows: NDArray[np.int64],
    *,
    batch_size: int,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """(n, C) probabilities of `rows`, in order, by what `forward` made.

    Raises:
        DataError: if a picture cannot be decoded; it is named.
    """
    import tensorflow as tf

    from dnncli.data import pipeline

    found: list[NDArray[np.float32]] = []
    done = 0
    try:
        for images in pipeline.ordered(loader, rows, batch_size=batch_size):
            found.append(call(images).numpy())
            done += len(found[-1])
            progress("Predicting", done, len(rows))
    except tf.errors.OpError as error:
        _, bad = pipeline.decode_once(loader, rows[done : done + 4 * batch_size], keep=False)
        names = [loader.dataset.ids[row] for row in bad]
        raise DataError("Pictures that cannot be decoded:", names or [str(error)]) from error
    return np.concatenate(found) if found else np.zeros((0, 0), np.float32)


def truth_of(dataset: Dataset, rows: Sequence[int] | NDArray[np.int64]) -> Predictions:
    """The labels of `rows` as a truth table.

    Raises:
        DataError: if rows have no label.
    """
    labels = dataset.labels[rows]
    if (labels == UNLABELLED).any():
        missing = [dataset.ids[row] for row, label in zip(rows, labels) if label == UNLABELLED]
        raise DataError("Rows without a label cannot be evaluated:", missing)
    return Predictions(
        ids=as_ids(dataset.ids[row] for row in rows),
        class_names=dataset.class_names,
        kind="label",
        labels=labels,
        weights=None if dataset.weights is None else dataset.weights[rows].astype(np.float64),
    )
