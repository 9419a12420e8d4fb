"""What a training run will do, settled and checked before anything slow is imported."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dnncli import registry
from dnncli.augmentation.policies import Policy, load_policy
from dnncli.config import STEADY_SCHEDULES, TrainConfig
from dnncli.data.dataset import ArrayImages, Dataset
from dnncli.data.detect import open_dataset
from dnncli.data.health import health
from dnncli.data.shapes import default_channels, default_image_size
from dnncli.data.split import assign_splits
from dnncli.errors import ConfigError, DataError
from dnncli.results import Progress, no_progress
from dnncli.services import regime

# Pictures of a micro-batch times their pixels: keeps activations of the small networks near 0.5 GB.
_MICRO_BATCH_PIXELS = 2**18
# Rows from which on a batch size is chosen: small sets need the more numerous updates.
_BATCH_SIZES = ((20_000, 64), (2_000, 32), (0, 16))
_UPDATES = 3_200
_EPOCHS = (12, 80)  # fewest and most epochs that are chosen for the user
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
    class_weights: NDArray[np.float32] | None  # (C,)
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
    config = _settle(config)
    policy = load_policy(config.augment.policy)
    dataset = _open(
        config.data.path,
        config,
        classes=config.data.classes,
        split=str(split or config.data.split),
        progress=progress,
    )
    splits, notes = assign_splits(
        dataset,
        val=0.0 if config.data.validation else _val_share(config),
        test=config.data.test,
        seed=config.run.seed,
        group_by=config.data.group_by,
    )
    dataset = replace(dataset, splits=splits)
    validation = dataset
    if config.data.validation:
        validation = _open(
            config.data.validation, config, classes=dataset.class_names, split="", progress=progress
        )
        validation = _only_validation(validation, dataset)
    train_rows, val_rows = dataset.rows("train"), validation.rows("val")
    if not len(train_rows):
        raise DataError(f"{config.data.path}: no row is left for training. Lower data.val or test.")
    goal = regime.settle(config, dataset, train_rows, validation, val_rows)
    config = goal.config
    size = config.data.image_size or _image_size(config, dataset)
    if not named and len(train_rows) < _FEW[0] and min(size) < _FEW[1]:
        options = {"convolutions": 1} | config.model.options
        config = replace(config, model=replace(config.model, options=options))
    batch_size, accumulate = batches(config, len(train_rows), pixels=size[0] * size[1])
    config = _settle_length(config, updates=-(-len(train_rows) // (batch_size * accumulate)))
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


def _only_validation(validation: Dataset, dataset: Dataset) -> Dataset:
    """A second data set with its rows marked for validation.

    Raises:
        DataError: if it declares splits but none for validation, or holds pictures of `dataset`.
    """
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
    return open_dataset(
        path,
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


def _settle(config: TrainConfig) -> TrainConfig:
    """Replace `auto` and file names by what they stand for; everything that needs no data."""
    model, loss, fit = config.model, config.loss, config.fit
    if config.data.annotators is not None:
        raise ConfigError(
            f"data.annotators {config.data.annotators}: is for masks or edges, and only "
            "classification is there yet. `dnncli data convert` merges them."
        )
    if isinstance(fit.class_weight, str) and fit.class_weight not in regime.CLASS_WEIGHTS:
        fit = replace(fit, class_weight=regime.read_class_weights(fit.class_weight))
    if model.name == "auto":
        model = replace(model, name="cnn")
    if loss.name == "auto":
        loss = replace(loss, name="cross-entropy")
    is_application = model.name.lower() in registry.BACKBONES
    if model.weights != "none" and not is_application:
        raise ConfigError(
            f"model.weights {model.weights}: '{model.name}' has no ready weights. "
            f"Networks that have: {', '.join(registry.BACKBONES)}."
        )
    if model.unfreeze and model.weights == "none":
        raise ConfigError("model.unfreeze: nothing is frozen without ready weights (--weights).")
    if model.weights != "none" and config.data.normalize not in ("auto", "none"):
        raise ConfigError(
            f"data.normalize {config.data.normalize}: ready weights bring their own. Use auto."
        )
    if model.weights not in ("none", "imagenet") and not Path(model.weights).is_file():
        raise ConfigError(
            f"model.weights {model.weights}: no such file. Give none, imagenet or a weights file."
        )
    if fit.snapshots:
        _check_snapshots(config)
    return replace(config, model=model, loss=loss, fit=fit)


def _check_snapshots(config: TrainConfig) -> None:
    """Raise ConfigError if something would end or move the cycles that snapshots are taken of."""
    fit, optimizer, wanted = config.fit, config.optimizer, config.regime
    wrong = {
        f"optimizer.schedule {optimizer.schedule}: use cosine": optimizer.schedule.lower()
        != "cosine",
        "optimizer.schedule_options.cycles: leave it out": "cycles" in optimizer.schedule_options,
        "optimizer.warmup: use 0": optimizer.warmup,
        "regime.early_stop: use 0": wanted.early_stop,
        "regime.saturation: use 0": wanted.saturation,
        "model.unfreeze: use 0": config.model.unfreeze,
        "fit.initial_epoch: use 0": fit.initial_epoch,
    }
    if problems := [f"{line}." for line, is_wrong in wrong.items() if is_wrong]:
        raise ConfigError(
            f"fit.snapshots {fit.snapshots}: needs {fit.snapshots} whole cosines in a row:",
            problems,
        )


def _settle_length(config: TrainConfig, *, updates: int) -> TrainConfig:
    """Choose epochs and patience where they were left open, from the updates of one epoch.

    Raises:
        ConfigError: if no epoch is left to train or to validate.
    """
    fit = config.fit
    epochs = fit.epochs
    if epochs is None:
        fewest, most = _EPOCHS
        epochs = min(max(round(_UPDATES / (fit.steps_per_epoch or updates)), fewest), most)
        epochs += -epochs % max(fit.snapshots, 1)  # cycles of equal length
    if fit.snapshots and epochs % fit.snapshots:
        near = epochs - epochs % fit.snapshots
        counts = [str(count) for count in (near, near + fit.snapshots) if count]
        raise ConfigError(
            f"fit.epochs {epochs}: is no multiple of fit.snapshots {fit.snapshots}. "
            f"Give {' or '.join(counts)}."
        )
    if epochs <= fit.initial_epoch:
        raise ConfigError(
            f"fit.initial_epoch {fit.initial_epoch}: leaves no epoch of {epochs} to train."
        )
    if fit.validation_freq > epochs - fit.initial_epoch:
        raise ConfigError(
            f"fit.validation_freq {fit.validation_freq}: no epoch would be validated. Lower it."
        )
    patience = config.regime.early_stop
    if patience is None:  # a rate that falls to the end earns its last epochs
        steady = config.optimizer.schedule.lower() in STEADY_SCHEDULES
        patience = -(-epochs // 2) if steady else 0
    return replace(
        config, fit=replace(fit, epochs=epochs), regime=replace(config.regime, early_stop=patience)
    )


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


def batches(config: TrainConfig, n_rows: int, *, pixels: int) -> tuple[int, int]:
    """Pictures per step, and steps per update: full batches that are too large are accumulated."""
    match config.fit.batch_size:
        case "auto":
            return min(next(size for rows, size in _BATCH_SIZES if n_rows >= rows), n_rows), 1
        case int() as wanted:
            return min(wanted, n_rows), 1
    micro = max(1, min(n_rows, _MICRO_BATCH_PIXELS // pixels))
    return micro, -(-n_rows // micro)


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
