"""What is in a data set, what a network would see of it, and what is wrong with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dnncli import registry
from dnncli.data.annotators import has_annotators
from dnncli.data.dataset import Dataset
from dnncli.data.detect import open_dataset
from dnncli.data.health import HealthReport, health, pixel_duplicates
from dnncli.data.shapes import default_channels, default_image_size
from dnncli.errors import ConfigError, DataError
from dnncli.results import Progress, no_progress
from dnncli.services.annotator_report import AnnotatorReport, inspect_annotated
from dnncli.services.mask_report import MaskReport, inspect_masks
from dnncli.services.places import takes_urls

LABEL_MODES = ("int", "categorical", "binary")
COLORS = ("auto", "rgb", "grayscale")

_BATCH = 32  # pictures, where nobody says


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Shapes and types of one batch, as text."""

    images: str
    labels: dict[str, str | None]  # label mode -> shape; binary only with two classes
    label_mode: str
    size: int  # pictures per batch
    last: int  # pictures of the last batch of a pass over the training rows
    steps: int  # batches of that pass


@dataclass(frozen=True, kw_only=True)
class WeightRule:
    """Rules of thumb for the number of training examples; informational, networks break them."""

    model: str
    parameters: int
    examples: int  # training rows
    per_weight: float  # examples / parameters
    needed: dict[str, int]  # rule -> examples it asks for
    met: dict[str, bool]  # rule -> whether there are as many


@dataclass(frozen=True, kw_only=True)
class InspectReport:
    """A data set as `dnncli data inspect` tells of it."""

    schema: str
    root: Path
    kind: str
    classes: tuple[str, ...]
    image_size: tuple[int, int]  # height, width in pixels
    channels: int
    batch: Batch
    pixels_compared: bool  # duplicates are by decoded pixels, not by bytes
    health: HealthReport
    weights: WeightRule | None


@takes_urls
def inspect(
    data: str | Path,
    *,
    task: str = "auto",
    classes: Sequence[str] = (),
    split: str | Path | None = None,
    model: str | None = None,
    batch_size: int | None = None,
    image_size: tuple[int, int] | None = None,
    color: str = "auto",
    label_mode: str = "categorical",
    pixels: bool = False,
    on_bad: str = "skip",
    progress: Progress = no_progress,
) -> InspectReport | MaskReport | AnnotatorReport:
    """Open a data set and report on it. TensorFlow is started only for `model`.

    Args:
        data: class folders, .npz/.npy, TFRecord or a CSV manifest; pictures with masks or edges,
            of which `MaskReport` tells; or with those of several annotators: `AnnotatorReport`.
        task: as in `open_dataset`.
        classes: declared class names in their order; empty: found in the data.
        split: a split.csv to use.
        model: name of a network whose weights are counted against the training rows.
        batch_size: pictures per batch; None: 32, of masks as training chooses.
        image_size: height and width in pixels; None: `default_image_size`, of masks the window
            that training chooses.
        color: "rgb", "grayscale", or "auto": grayscale if no picture has colour.
        label_mode: "int" (class indices), "categorical" (one-hot) or "binary" (0 or 1); not of
            masks.
        pixels: decode every picture: finds copies that were saved anew and damaged pixel data.
        on_bad: "skip" lists unreadable pictures, "error" stops at them.
        progress: told of the pictures read.

    Raises:
        DataError: what is wrong with the data set.
        ConfigError: what is wrong with the options.
    """
    _check(label_mode, color, batch_size)
    if has_annotators(Path(data)):
        if model is not None or split is not None or pixels:
            raise ConfigError(
                f"{data}: holds maps of annotators. --model, --split and --pixels are for classes."
            )
        return inspect_annotated(Path(data), classes=classes, progress=progress)
    if model is not None:
        model = registry.check(registry.MODELS, model, kind="model")
    dataset = open_dataset(
        Path(data),
        task=task,
        classes=tuple(classes),
        split_file=split,
        on_bad=on_bad,
        progress=progress,
    )
    _check_labels(dataset, label_mode)
    if model is not None:
        _check_model(dataset, model)
    if pixels:
        decoded = pixel_duplicates(dataset, progress=progress)
        if decoded.unreadable and on_bad == "error":
            raise DataError(f"{data}: unreadable:", [str(p) for p in decoded.unreadable])
        dataset = decoded.dataset
    channels = {"rgb": 3, "grayscale": 1}.get(color) or default_channels(dataset)
    if dataset.masks is not None:
        return inspect_masks(
            dataset,
            model=model,
            batch_size=batch_size,
            window=image_size,
            channels=channels,
            pixels_compared=pixels,
        )
    size = image_size or default_image_size(dataset)
    return InspectReport(
        schema="dnncli.inspect/1",
        root=Path(data),
        kind=dataset.kind,
        classes=dataset.class_names,
        image_size=size,
        channels=channels,
        batch=_batch(dataset, batch_size or _BATCH, (*size, channels), label_mode),
        pixels_compared=pixels,
        health=health(dataset),
        weights=None if model is None else _weights(model, dataset, size, channels),
    )


def _check_model(dataset: Dataset, model: str) -> None:
    """Refuse a network that is for another task than the data set."""
    if ":" in model or (model in registry.DENSE) == (dataset.masks is not None):
        return
    does = "says something of every pixel" if model in registry.DENSE else "names whole pictures"
    fitting = registry.CLASSIFIERS if model in registry.DENSE else registry.DENSE
    raise ConfigError(
        f"--model {model}: {does}; {dataset.root} is for --task {dataset.task}. Networks for it: "
        f"{', '.join(fitting)}{' ...' if model in registry.DENSE else ''}."
    )


def _check_labels(dataset: Dataset, label_mode: str) -> None:
    """Refuse labels that the data set cannot have."""
    n_classes = len(dataset.class_names)
    if label_mode != "binary" or (n_classes == 2 and dataset.masks is None):
        return
    found = "has masks" if dataset.masks is not None else f"has {n_classes}"
    raise ConfigError(
        f"--label-mode binary: needs two classes, {dataset.root} {found}. Use int or categorical."
    )


def _check(label_mode: str, color: str, batch_size: int | None) -> None:
    if label_mode not in LABEL_MODES:
        raise ConfigError(registry.unknown(label_mode, LABEL_MODES, kind="label mode"))
    if color not in COLORS:
        raise ConfigError(registry.unknown(color, COLORS, kind="color"))
    if batch_size is not None and batch_size < 1:
        raise ConfigError(f"batch size {batch_size}: must be at least 1.")


def _batch(
    dataset: Dataset, batch_size: int, shape: tuple[int, int, int], label_mode: str
) -> Batch:
    n_classes = len(dataset.class_names)
    rows = _training_rows(dataset)
    steps = -(-rows // batch_size)
    return Batch(
        images=f"{(batch_size, *shape)} float32",
        labels={
            "int": f"({batch_size},) int32",
            "categorical": f"({batch_size}, {n_classes}) float32",
            "binary": f"({batch_size}, 1) float32" if n_classes == 2 else None,
        },
        label_mode=label_mode,
        size=batch_size,
        last=rows - (steps - 1) * batch_size if steps else 0,
        steps=steps,
    )


def _training_rows(dataset: Dataset) -> int:
    """Rows of the train split; all rows where no split is declared."""
    return len(dataset.rows("train")) if "train" in dataset.declared_splits else len(dataset)


def _weights(model: str, dataset: Dataset, size: tuple[int, int], channels: int) -> WeightRule:
    from dnncli.services.models import ModelSummary, models

    summary = models(
        model,
        image_size=size,
        color="grayscale" if channels == 1 else "rgb",
        classes=len(dataset.class_names),
    )
    if not isinstance(summary, ModelSummary):  # only without a name
        raise TypeError("models() gave no summary of a network.")
    examples, parameters = _training_rows(dataset), summary.parameters
    needed = {"2-3 per weight": 2 * parameters, "10 per weight": 10 * parameters}
    return WeightRule(
        model=model,
        parameters=parameters,
        examples=examples,
        per_weight=examples / parameters,
        needed=needed,
        met={rule: examples >= count for rule, count in needed.items()},
    )
