"""Predict every row of a data set with a run or a .keras model."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from dnncli import trust
from dnncli.augmentation.views import View, apply, views
from dnncli.data.dataset import UNLABELLED, Dataset
from dnncli.data.ids import as_ids
from dnncli.data.prediction_blocks import rows_of_block, write_blocks
from dnncli.errors import ConfigError, DataError
from dnncli.metrics.decisions import decisions_of
from dnncli.predictions import Predictions
from dnncli.results import Progress, no_progress
from dnncli.services.faults import too_little
from dnncli.services.places import takes_urls
from dnncli.services.rows import OF_PIXELS, Rows, metadata_of, open_rows, task_of

if TYPE_CHECKING:
    from dnncli.services.masks.predict import MaskPredictions

BATCH_SIZE = 128  # pictures predicted at a time, unless told otherwise


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


@trust.scoped
@takes_urls
def predict(
    target: str | Path,
    data: str | Path | None = None,
    *,
    out: str | Path | None = None,
    split: str | None = None,
    tta: int = 0,
    batch_size: int = BATCH_SIZE,
    on_bad: str = "skip",
    overwrite: bool = False,
    probabilities: bool = False,
    allow_code: bool = False,  # noqa: ARG001 - `scoped` reads it
    progress: Progress = no_progress,
) -> "PredictResult | MaskPredictions":
    """Predict a data set and write a predictions file; or masks and edges, one file per picture.

    Args:
        target: a run folder (its best.keras), or a .keras file written by dnncli.
        data: a data set, labelled or not; None: the data set of the run.
        out: .csv, .parquet or .npz; of masks and edges a folder or .npz. None: predictions.parquet,
            or the folder predictions.
        split: train, val, test or all. None: test if the data set has one, else all rows.
        tta: views of every picture to predict and take the mean of: the picture, its flips where
            training had them, and shifted ones; 0: the picture alone.
        batch_size: pictures predicted at a time; memory only, the numbers do not depend on it.
        on_bad: unreadable pictures: "skip" or "error".
        overwrite: replace what is there.
        probabilities: of masks: shares instead of classes.
        allow_code: let model files run code of their own.
        progress: told how far it is.

    Raises:
        DataError, ModelError, ConfigError: what does not fit, and what to do.
    """
    if task_of(target) in OF_PIXELS:
        from dnncli.services.masks.predict import predict_masks

        return predict_masks(
            target,
            data,
            out=out or "predictions",
            split=split,
            tta=tta,
            batch_size=batch_size,
            on_bad=on_bad,
            overwrite=overwrite,
            probabilities=probabilities,
            progress=progress,
        )
    if probabilities:
        raise ConfigError("--probabilities: is for masks; predictions of classes always have them.")
    path = Path(out or "predictions.parquet")
    if path.suffix not in (".csv", ".parquet", ".npz"):
        raise ConfigError(f"--out {path}: predictions are written as .csv, .parquet or .npz.")
    if path.exists() and not overwrite:
        raise ConfigError(f"--out {path}: exists already. Give another name, or --overwrite.")
    chosen = open_rows(target, data, split=split, on_bad=on_bad, progress=progress)
    names = tuple(chosen.card["classes"])
    counts = np.zeros(len(names), np.int64)

    def counted() -> Iterator[Predictions]:
        for block in _blocks(chosen, tta=tta, batch_size=batch_size, progress=progress):
            decided = decisions_of(block, tie="class-order").classes
            np.add.at(counts, decided, 1)
            yield block

    write_blocks(counted(), path, rows=len(chosen.rows), progress=progress)
    return PredictResult(
        schema="dnncli.predict/1",
        out=path,
        n=len(chosen.rows),
        classes=names,
        split=chosen.split,
        counts=dict(zip(names, counts.tolist(), strict=True)),
        notes=chosen.notes,
    )


def _blocks(
    chosen: Rows, *, tta: int, batch_size: int, progress: Progress
) -> Iterator[Predictions]:
    """As `compute`, some rows at a time, as they are predicted."""
    wanted = views_of(chosen, tta)
    metadata = _metadata(chosen, wanted if tta else ())
    ids = as_ids(chosen.dataset.ids[row] for row in chosen.rows)
    names = tuple(chosen.card["classes"])
    limit = rows_of_block(len(names))
    held: list[NDArray[np.float32]] = []
    done = rows = 0
    for batch in view_batches(chosen, wanted, batch_size=batch_size, progress=progress):
        held.append(batch.mean(axis=1))
        rows += len(batch)
        if rows < limit and done + rows < len(chosen.rows):
            continue
        yield Predictions(
            ids=ids.slice(done, rows),
            class_names=names,
            kind="probability",
            probs=np.concatenate(held),
            metadata=metadata,
        )
        done, rows, held = done + rows, 0, []


def compute(
    chosen: Rows,
    *,
    tta: int = 0,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Predictions:
    """Load the model and predict the chosen rows, in order; the mean over `tta` views."""
    wanted = views_of(chosen, tta)
    probs = compute_views(chosen, wanted, batch_size=batch_size, progress=progress).mean(axis=1)
    return as_predictions(chosen, probs, metadata=_metadata(chosen, wanted if tta else ()))


def _metadata(chosen: Rows, wanted: Sequence[View]) -> dict[str, Any]:
    views = {"views": [view.name for view in wanted]} if wanted else {}
    return metadata_of(chosen) | views


def views_of(chosen: Rows, count: int) -> tuple[View, ...]:
    """The views to predict: flips only where the model was trained with them.

    Raises:
        ConfigError: if there are not `count` of them.
    """
    return views(count, flips=chosen.card.get("flips", ()))


def compute_views(
    chosen: Rows,
    wanted: Sequence[View],
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """(n, V, C) probabilities of the chosen rows, in order, in every view; each is decoded once."""
    found = view_batches(chosen, wanted, batch_size=batch_size, progress=progress)
    return np.concatenate(list(found))


def view_batches(
    chosen: Rows,
    wanted: Sequence[View],
    *,
    batch_size: int = BATCH_SIZE,
    progress: Progress = no_progress,
) -> Iterator[NDArray[np.float32]]:
    """The same, (B, V, C) at a time."""
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
    yield from run_batches(
        forward_views(load_model(chosen.model), wanted),
        loader,
        chosen.rows,
        batch_size=batch_size,
        progress=progress,
    )


def as_predictions(
    chosen: Rows, probs: NDArray[np.float32], *, metadata: dict[str, Any]
) -> Predictions:
    """(n, C) probabilities of the chosen rows with their ids and classes."""
    return Predictions(
        ids=as_ids(chosen.dataset.ids[row] for row in chosen.rows),
        class_names=tuple(chosen.card["classes"]),
        kind="probability",
        probs=probs,
        metadata=metadata,
    )


def forward(model: Any) -> Any:
    """The model compiled: (B, H, W, c) pictures -> (B, C) probabilities."""
    from dnncli.networks.calls import compiled

    return compiled(model)


def forward_views(model: Any, wanted: Sequence[View]) -> Any:
    """The model compiled: (B, H, W, c) pictures -> (B, V, C) probabilities of every view."""
    import tensorflow as tf

    from dnncli.networks.calls import compiled

    call = compiled(model)
    return lambda images: tf.stack([call(apply(view, images)) for view in wanted], axis=1)


def run_model(
    call: Any,
    loader: Any,
    rows: NDArray[np.int64],
    *,
    batch_size: int,
    progress: Progress = no_progress,
) -> NDArray[np.float32]:
    """Probabilities of `rows`, in order, by what `forward` or `forward_views` made.

    Raises:
        DataError: if a picture cannot be decoded; it is named.
    """
    found = run_batches(call, loader, rows, batch_size=batch_size, progress=progress)
    return np.concatenate(list(found))


def run_batches(
    call: Any,
    loader: Any,
    rows: NDArray[np.int64],
    *,
    batch_size: int,
    progress: Progress = no_progress,
) -> Iterator[NDArray[np.float32]]:
    """The same, a batch at a time."""
    import tensorflow as tf

    from dnncli.data import pipeline

    done = 0
    try:
        for images in pipeline.ordered(loader, rows, batch_size=batch_size):
            found = np.asarray(call(images))
            done += len(found)
            progress("Predicting", done, len(rows))
            yield found
    except (MemoryError, tf.errors.ResourceExhaustedError) as error:
        raise too_little(batch_size) from error
    except tf.errors.OpError as error:
        bad = pipeline.decode_once(loader, rows[done : done + 4 * batch_size])
        names = [loader.dataset.ids[row] for row in bad]
        raise DataError("Pictures that cannot be decoded:", names or [str(error)]) from error


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
