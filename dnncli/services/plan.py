"""What a training run will do, settled and checked before anything slow is imported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli.augmentation.policies import Policy, check_masks, load_policy
from dnncli.config import TrainConfig
from dnncli.data.dataset import ArrayImages, Dataset, Problem
from dnncli.data.detect import open_dataset
from dnncli.data.health import health
from dnncli.data.shapes import default_channels, default_image_size
from dnncli.data.split import assign_splits
from dnncli.errors import DataError
from dnncli.results import Progress, no_progress
from dnncli.services import regime
from dnncli.services.masks import plan as masks
from dnncli.services.regime import Goal
from dnncli.services.settle import settle, settle_length

# Pictures of a micro-batch times their pixels: keeps activations of the small networks near 0.5 GB.
_MICRO_BATCH_PIXELS = 2**18
# Rows from which on a batch size and a number of updates are chosen: small sets need the more
# numerous updates.
_LENGTHS = ((20_000, 128, 3_200), (2_000, 64, 2_400), (0, 16, 3_200))
_EPOCHS = (8, 80)  # fewest and most epochs that are chosen for the user
# Below both, training rows and pixels of the shorter side, one convolution a stage does better
# than two, at a third of the cost (docs/log.md).
_FEW = (1_000, 33)
_IMAGENET_SIZE = (224, 224)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything about a run that does not need Keras to be known."""

    config: TrainConfig
    dataset: Dataset  # all rows, with their final splits
    validation: Dataset  # where validation rows are: `dataset`, or a second data set
    train_rows: NDArray[np.int64]
    val_rows: NDArray[np.int64]  # rows of `validation`
    height_width: tuple[int, int]
    channels: int
    batch_size: int  # pictures per step
    accumulate: int  # steps per update of the weights
    policy: Policy
    class_weights: NDArray[np.float32] | None  # (C,) of pictures; of pixels where masks are learned
    loss_weights: NDArray[np.float64]  # (C,) class weight times the loss's alpha
    start_shares: NDArray[np.float64] | None  # (C,) what the untrained network answers; None: free
    positive: int | None  # index of the class that must not be missed
    monitor: str  # log name of the value that picks the best epoch
    notes: tuple[str, ...]  # what the user should know

    @property
    def steps_per_epoch(self) -> int:
        """Training batches per epoch."""
        return self.config.fit.steps_per_epoch or -(-len(self.train_rows) // self.batch_size)

    def summary(self) -> dict[str, Any]:
        """The plan in words and numbers, for `--dry-run` and the first lines of a run."""
        counts = {split: int((self.dataset.splits == split).sum()) for split in ("train", "test")}
        return {
            "classes": list(self.dataset.class_names),
            "train": counts["train"],
            "val": len(self.val_rows),
            "test": counts["test"],
            "image_shape": [*self.height_width, self.channels],
            "model": self.config.model.name,
            "batch_size": self.batch_size,
            "steps_per_epoch": self.steps_per_epoch,
            "steps_per_update": self.accumulate,
            "epochs": self.config.fit.epochs,
            "monitor": self.monitor,
            **self._goal(),
            "verbose": self.config.fit.verbose,
        }

    def _goal(self) -> dict[str, Any]:
        """What must not be missed, and what is done for it; as far as it was asked for."""
        wanted = self.config.regime
        goal: dict[str, Any] = {"regime": wanted.name}
        if self.positive is not None:
            in_training = regime.class_counts(self.dataset, self.train_rows)
            in_validation = regime.class_counts(self.validation, self.val_rows)
            goal |= {
                "positive": wanted.positive,
                "target_recall": wanted.recall,
                "confidence": wanted.confidence,
                "train_positives": int(in_training[self.positive]),
                "val_positives": int(in_validation[self.positive]),
            }
        if np.ptp(self.loss_weights):
            names = self.dataset.class_names
            goal["loss_weights"] = dict(
                zip(names, self.loss_weights.round(4).tolist(), strict=True)
            )
        return goal


def make_plan(
    config: TrainConfig, *, split: Path | None = None, progress: Progress = no_progress
) -> Plan:
    """Open and check the data, and settle every choice that was left to the tool.

    Args:
        config: merged settings.
        split: split.csv of a run that is resumed; it stands above `data.split`.
        progress: told how far reading is.

    Raises:
        DataError: if the data cannot be used.
        ConfigError: if a setting does not fit the data.
    """
    named = config.model.name != "auto"
    task = masks.task_of(config)
    config = settle(config, task) if task == "classify" else masks.settle_masks(config, task)
    policy = load_policy(config.augment.policy)
    dataset, validation, notes = _open_split(config, split=split, progress=progress)
    train_rows, val_rows = dataset.rows("train"), validation.rows("val")
    if not len(train_rows):
        raise DataError(f"{config.data.path}: no row is left for training. Lower data.val or test.")
    goal = _goal_of(config, dataset, train_rows, validation, val_rows, progress)
    if task == "classify":
        size = config.data.image_size or _image_size(config, dataset)
        if not named and len(train_rows) < _FEW[0] and min(size) < _FEW[1]:
            options = {"convolutions": 1} | config.model.options
            config = replace(config, model=replace(config.model, options=options))
        length = (_length(len(train_rows))[1], _EPOCHS)
    else:
        check_masks(policy)
        size = masks.window_of(config, dataset)
        length = (masks.UPDATES[task], masks.EPOCHS)
    config = replace(goal.config, model=config.model)
    batch_size, accumulate = batches(config, len(train_rows), size=size)
    config = settle_length(
        config,
        updates=-(-len(train_rows) // (batch_size * accumulate)),
        wanted=length[0],
        limits=length[1],
    )
    return Plan(
        config=config,
        dataset=dataset,
        validation=validation,
        train_rows=train_rows,
        val_rows=val_rows,
        height_width=size,
        channels=_channels(config, dataset),
        batch_size=batch_size,
        accumulate=accumulate,
        policy=policy,
        class_weights=goal.class_weights,
        loss_weights=goal.loss_weights,
        start_shares=goal.start_shares,
        positive=goal.positive,
        monitor=_monitor(config, has_validation=bool(len(val_rows))),
        notes=(*map(str, notes), *_health_notes(dataset), *goal.notes),
    )


def _goal_of(
    config: TrainConfig,
    dataset: Dataset,
    train_rows: NDArray[np.int64],
    validation: Dataset,
    val_rows: NDArray[np.int64],
    progress: Progress = no_progress,
) -> Goal:
    if dataset.task == "classify":
        return regime.settle(config, dataset, train_rows, validation, val_rows)
    return masks.settle_goal(config, dataset, train_rows, progress)


def without_bad(plan: Plan, train_rows: NDArray[np.int64], val_rows: NDArray[np.int64]) -> Plan:
    """The plan without the rows that could not be decoded, which become problems of the data.

    Args:
        plan: made before anything was decoded.
        train_rows: those that were decoded.
        val_rows: the same, of the validation data.

    Raises:
        DataError: if no row is left to train on, or to tell a good epoch by.
    """
    if not len(train_rows):
        raise DataError(
            f"{plan.config.data.path}: no training picture can be decoded. `dnncli data inspect` "
            "tells why."
        )
    bad = np.setdiff1d(plan.train_rows, train_rows)
    if plan.validation is plan.dataset:
        bad = np.union1d(bad, np.setdiff1d(plan.val_rows, val_rows))
    if not len(bad) and len(val_rows) == len(plan.val_rows):
        return plan
    # A resumed run knows these rows: weights and batches must follow from the others alone.
    goal = _goal_of(plan.config, plan.dataset, train_rows, plan.validation, val_rows)
    batch_size, accumulate = batches(plan.config, len(train_rows), size=plan.height_width)
    problems = [Problem(path=plan.dataset.ids[row], what="cannot be decoded") for row in bad]
    splits = plan.dataset.splits.copy()
    splits[bad] = ""
    dataset = replace(plan.dataset, splits=splits, problems=(*plan.dataset.problems, *problems))
    validation = dataset if plan.validation is plan.dataset else plan.validation
    return replace(
        plan,
        dataset=dataset,
        validation=validation,
        train_rows=train_rows,
        val_rows=val_rows,
        batch_size=batch_size,
        accumulate=accumulate,
        class_weights=goal.class_weights,
        loss_weights=goal.loss_weights,
        start_shares=goal.start_shares,
        monitor=plan.monitor if len(val_rows) else plan.monitor.removeprefix("val_"),
    )


def _open_split(
    config: TrainConfig, *, split: Path | None, progress: Progress
) -> tuple[Dataset, Dataset, Sequence[Problem]]:
    """The data set with its split, the data set of the validation rows, and notes on the split."""
    data = config.data
    dataset = _open(
        data.path, config, classes=data.classes, split=str(split or data.split), progress=progress
    )
    notes: Sequence[Problem] = ()
    if split is None:  # else rows whose pictures cannot be decoded must stay out
        splits, notes = assign_splits(
            dataset,
            val=0.0 if data.validation else _val_share(config),
            test=data.test,
            seed=config.run.seed,
            group_by=data.group_by,
            declared_only=bool(data.split),
        )
        dataset = replace(dataset, splits=splits)
    if not data.validation:
        return dataset, dataset, notes
    validation = _open(
        data.validation, config, classes=dataset.class_names, split="", progress=progress
    )
    return dataset, _only_validation(validation, dataset), notes


def _only_validation(validation: Dataset, dataset: Dataset) -> Dataset:
    """A second data set with its rows marked for validation.

    Raises:
        DataError: if it declares splits but none for validation, holds pictures of `dataset`, or
            has pixels of another type.
    """
    if known_range(dataset) != known_range(validation):
        raise DataError(
            f"data.validation {validation.root}: its pixels are of another type than those to "
            "train on. Save both as uint8, or both as floats in one range."
        )
    declared = validation.declared_splits
    if declared and "val" not in declared:
        raise DataError(
            f"data.validation {validation.root}: has the splits {', '.join(declared)}, but none "
            "for validation. Name a data set, or a folder, that may choose the epoch."
        )
    if not declared:
        validation = replace(validation, splits=np.full(len(validation), "val"))
    known = set(dataset.digests or ())
    same = [
        validation.ids[row]
        for row in validation.rows("val")
        if validation.digests and validation.digests[row] in known
    ]
    if same:
        raise DataError(
            f"data.validation {validation.root}: holds pictures of the training data set, too:",
            same,
        )
    return validation


def _open(
    path: str, config: TrainConfig, *, classes: Sequence[str], split: str, progress: Progress
) -> Dataset:
    if config.data.task != "classify":
        return masks.open_masks_of(
            path, config, classes=tuple(classes), split=split, progress=progress
        )
    return open_dataset(
        path,
        task=config.data.task,
        classes=tuple(classes),
        split_file=split or None,
        on_bad=config.data.on_bad,
        max_pixels=config.data.max_pixels,
        progress=progress,
    )


def _val_share(config: TrainConfig) -> float:
    """data.val, unless Keras' own name for it was used."""
    share = config.fit.validation_split
    return config.data.val if share is None else share


def _image_size(config: TrainConfig, dataset: Dataset) -> tuple[int, int]:
    if config.model.weights == "imagenet":
        return _IMAGENET_SIZE
    return default_image_size(dataset)


def _channels(config: TrainConfig, dataset: Dataset) -> int:
    match config.data.color:
        case "rgb":
            return 3
        case "grayscale":
            return 1
    return default_channels(dataset)


def batches(config: TrainConfig, n_rows: int, *, size: tuple[int, int]) -> tuple[int, int]:
    """Pictures per step, and steps per update: full batches that are too large are accumulated."""
    if config.fit.batch_size == "auto" and config.data.task != "classify":
        return masks.batch_of(size, n_rows), 1
    match config.fit.batch_size:
        case "auto":
            return min(_length(n_rows)[0], n_rows), 1
        case int() as wanted:
            return min(wanted, n_rows), 1
    micro = max(1, min(n_rows, _MICRO_BATCH_PIXELS // (size[0] * size[1])))
    return micro, -(-n_rows // micro)


def _length(n_rows: int) -> tuple[int, int]:
    """Pictures of a batch and updates of a run, for so many training rows."""
    return next((batch, updates) for rows, batch, updates in _LENGTHS if n_rows >= rows)


def _monitor(config: TrainConfig, *, has_validation: bool) -> str:
    """Log name of the value that picks the best epoch and stops training."""
    wanted = config.regime
    name: str = wanted.monitor
    if name == "auto":
        name = "precision-at-recall" if wanted.name == regime.HIGH_RECALL else "f"
    if name == "f":
        name = f"f{wanted.beta:g}"
    name = name.replace("-", "_")
    return f"val_{name}" if has_validation else name


def _health_notes(dataset: Dataset) -> list[str]:
    """Leaks, label conflicts and skipped files, one line each kind."""
    report = health(dataset)
    notes = []
    if report.leaks:
        notes.append(
            f"{len(report.leaks)} pictures stand in more than one split "
            f"(first: {' = '.join(report.leaks[0])}); scores on them say nothing."
        )
    if report.conflicts:
        notes.append(
            f"{len(report.conflicts)} pictures stand under two labels "
            f"(first: {' = '.join(report.conflicts[0])})."
        )
    skipped = [problem for problem in dataset.problems if problem.action == "skipped"]
    if skipped:
        notes.append(f"{len(skipped)} files were skipped (first: {skipped[0]}); see data.json.")
    return notes


def known_range(dataset: Dataset) -> tuple[float, float] | None:
    """(0, 255) for 8-bit pictures; None where the range has to be measured."""
    images = dataset.images
    if isinstance(images, ArrayImages) and images.arrays[0].dtype != np.uint8:
        return None
    return (0.0, 255.0)
