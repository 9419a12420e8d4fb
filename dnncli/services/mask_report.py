"""What is in a data set of pictures with masks or edges, and what a network would see of it.

Shapes: N pictures, C classes, H and W in pixels.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dnncli.config import TrainConfig
from dnncli.data.dataset import SPLITS, ArrayImages, Dataset, Task, judged
from dnncli.data.health import HealthReport, health
from dnncli.data.masks import row_pixel_counts
from dnncli.services.masks.plan import batch_of, window_of
from dnncli.services.models import ModelSummary, models


@dataclass(frozen=True, kw_only=True)
class MaskBatch:
    """Shapes and types of one training batch, as text."""

    images: str
    masks: str
    size: int  # windows per batch
    steps: int  # batches of a pass over the training pictures, one window of each
    last: int  # windows of the last batch


@dataclass(frozen=True, kw_only=True)
class PixelRule:
    """How many training pixels there are for every weight of a network; informational."""

    model: str
    parameters: int
    pixels: int  # of training pictures, but those of no class
    per_weight: float


@dataclass(frozen=True, kw_only=True)
class MaskReport:
    """Pictures with masks or edges, as `dnncli data inspect` tells of them."""

    schema: str
    root: Path
    kind: str  # "masks" or "edges"
    task: Task
    classes: tuple[str, ...]
    values: dict[str, int]  # class -> how it is stored
    void: int  # how pixels of no class are stored
    window: tuple[int, int]  # height, width in pixels of what training shows at a time
    channels: int
    batch: MaskBatch
    pixels: dict[str, dict[str, int]]  # class -> split -> pixels
    shares: dict[str, float]  # class -> share of all pixels that are of a class
    void_pixels: dict[str, int]  # split -> pixels of no class
    empty: dict[str, int] | None  # split -> pictures of background alone; None: there is none
    pixels_compared: bool  # duplicates are by decoded pixels, not by bytes
    health: HealthReport  # a picture counts for every class in it
    weights: PixelRule | None


def inspect_masks(
    dataset: Dataset,
    *,
    channels: int,
    model: str | None = None,
    batch_size: int | None = None,
    window: tuple[int, int] | None = None,
    pixels_compared: bool = False,
) -> MaskReport:
    """Report on pictures with masks or edges. TensorFlow is started only for `model`.

    Args:
        dataset: pictures with masks.
        channels: 1 or 3.
        model: a network for masks whose weights are counted.
        batch_size: windows per batch; None: as training chooses.
        window: height and width in pixels; None: as training chooses.
        pixels_compared: whether the digests are of decoded pixels.
    """
    if dataset.masks is None:
        raise ValueError("a data set without masks.")
    window = window or window_of(TrainConfig(), dataset)
    splits = [split for split in ("", *SPLITS) if (dataset.splits == split).any()]
    of_split = {split: dataset.splits == split for split in splits}
    counts = row_pixel_counts(dataset, np.arange(len(dataset)))
    totals = counts.sum(axis=0)
    names = dataset.class_names
    void = _areas(dataset) - counts.sum(axis=1)
    empty = counts[:, 1:].sum(axis=1) == 0
    trained = dataset.splits == ("train" if "train" in splits else "")
    return MaskReport(
        schema="dnncli.inspect/1",
        root=dataset.root,
        kind="edges" if dataset.task == "edges" else "masks",
        task=dataset.task,
        classes=names,
        values=dict(zip(names, dataset.masks.values)),
        void=dataset.masks.void,
        window=window,
        channels=channels,
        batch=_batch(int(trained.sum()), window, channels, batch_size),
        pixels={
            name: {split: int(counts[of_split[split], place].sum()) for split in splits}
            for place, name in enumerate(names)
        },
        shares=dict(zip(names, (totals / max(int(totals.sum()), 1)).tolist())),
        void_pixels={split: int(void[of_split[split]].sum()) for split in splits},
        empty={split: int(empty[of_split[split]].sum()) for split in splits}
        if 0 not in judged(names)
        else None,
        pixels_compared=pixels_compared,
        health=health(dataset),
        weights=None
        if model is None
        else _weights(model, window, channels, len(names), int(counts[trained].sum())),
    )


def _areas(dataset: Dataset) -> np.ndarray:
    """(N,) pixels of each picture."""
    images = dataset.images
    if isinstance(images, ArrayImages):
        height, width = images.height_width
        return np.full(len(dataset), height * width, np.int64)
    return images.sizes.astype(np.int64).prod(axis=1)


def _batch(
    n_rows: int, window: tuple[int, int], channels: int, batch_size: int | None
) -> MaskBatch:
    size = batch_size or batch_of(window, max(n_rows, 1))
    steps = -(-n_rows // size)
    return MaskBatch(
        images=f"{(size, *window, channels)} float32",
        masks=f"{(size, *window)} uint8",
        size=size,
        steps=steps,
        last=n_rows - (steps - 1) * size if steps else 0,
    )


def _weights(
    model: str, window: tuple[int, int], channels: int, n_classes: int, pixels: int
) -> PixelRule:
    summary = models(
        model,
        image_size=window,
        color="grayscale" if channels == 1 else "rgb",
        classes=n_classes,
    )
    if not isinstance(summary, ModelSummary):  # only without a name
        raise TypeError("models() gave no summary of a network.")
    return PixelRule(
        model=model,
        parameters=summary.parameters,
        pixels=pixels,
        per_weight=pixels / summary.parameters,
    )
