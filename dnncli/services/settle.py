"""Settings that were left open, settled by what is known before the data is read."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

from dnncli import backends, devices, registry
from dnncli.config import STEADY_SCHEDULES, Precision, Resize, TrainConfig
from dnncli.data.dataset import Task
from dnncli.errors import ConfigError
from dnncli.services import regime

# How pictures get to image_size, augmentation, label smoothing: of classes, and of masks and edges.
_OF_CLASSES: tuple[Resize, str, float] = ("stretch", "light", 0.1)
_OF_PIXELS: tuple[Resize, str, float] = ("tile", "standard", 0.0)
_OPTIMIZERS = {"cnn": "muon-conv"}  # by network; adam for all others


def settle(config: TrainConfig, task: Task) -> TrainConfig:
    """Replace `auto` and file names by what they stand for; everything that needs no data.

    Raises:
        ConfigError: if settings do not fit together, or to the task.
    """
    fit = config.fit
    if isinstance(fit.class_weight, str) and fit.class_weight not in regime.CLASS_WEIGHTS:
        fit = replace(fit, class_weight=regime.read_class_weights(fit.class_weight))
    if fit.snapshots:
        _check_snapshots(config)
    if config.run.precision == "auto":  # settled here, so that a resumed run keeps it
        precision: Precision = "bfloat16" if devices.has_bfloat16() else "float32"
        config = replace(config, run=replace(config.run, precision=precision))
    backend = cast(backends.Backend, backends.choose(config.run.backend))
    config = replace(config, run=replace(config.run, backend=backend))
    resize, policy, smoothing = _OF_CLASSES if task == "classify" else _OF_PIXELS
    data, augment, loss = config.data, config.augment, config.loss
    if data.resize == "auto":
        data = replace(data, resize=resize)
    if augment.policy == "auto":
        augment = replace(augment, policy=policy)
    if loss.label_smoothing is None:
        loss = replace(loss, label_smoothing=smoothing)
    config = replace(config, fit=fit, data=replace(data, task=task), augment=augment, loss=loss)
    config = _classifier(config) if task == "classify" else config
    if config.optimizer.name == "auto":
        name = _OPTIMIZERS.get(config.model.name.lower(), "adam")
        config = replace(config, optimizer=replace(config.optimizer, name=name))
    return config


def _classifier(config: TrainConfig) -> TrainConfig:
    data, model, loss = config.data, config.model, config.loss
    if data.annotators is not None:
        raise ConfigError(
            f"data.annotators {data.annotators}: is for masks or edges, and {data.path} holds "
            "classes."
        )
    if data.resize == "tile":
        raise ConfigError("data.resize tile: is for masks or edges. Use stretch, crop or pad.")
    if model.name == "auto":
        model = replace(model, name="cnn")
    if model.name.lower() in registry.DENSE:
        raise ConfigError(
            f"model.name {model.name}: says something of every pixel, and {data.path} holds "
            f"classes of whole pictures. Networks for it: {', '.join(registry.CLASSIFIERS)} ..."
        )
    has_weights = model.name.lower() in registry.BACKBONES
    check_weights(config, ready=("imagenet",) if has_weights else ())
    if loss.name == "auto":
        loss = replace(loss, name="cross-entropy")
    registry.check(registry.LOSSES, loss.name, kind="loss")
    return replace(config, model=model, loss=loss)


def check_weights(config: TrainConfig, *, ready: Sequence[str]) -> None:
    """Refuse ready weights where there are none, and what does not go with them.

    Args:
        config: settings.
        ready: names of weights that the network can start from, besides files; empty: none.
    """
    model = config.model
    if model.weights != "none" and not ready:
        names = registry.BACKBONES if config.data.task == "classify" else ("hed",)
        raise ConfigError(
            f"model.weights {model.weights}: '{model.name}' has no ready weights. "
            f"Networks that have: {', '.join(names)}."
        )
    if model.unfreeze and model.weights == "none":
        raise ConfigError("model.unfreeze: nothing is frozen without ready weights (--weights).")
    if model.weights != "none" and config.data.normalize not in ("auto", "none"):
        raise ConfigError(
            f"data.normalize {config.data.normalize}: ready weights bring their own. Use auto."
        )
    if model.weights not in ("none", *ready) and not Path(model.weights).is_file():
        raise ConfigError(
            f"model.weights {model.weights}: no such file. Give none, {', '.join(ready)} or a "
            "weights file."
        )


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


def settle_length(
    config: TrainConfig, *, updates: int, wanted: int, limits: tuple[int, int]
) -> TrainConfig:
    """Choose epochs and patience where they were left open.

    Args:
        config: settings.
        updates: of one epoch.
        wanted: updates of a whole run.
        limits: fewest and most epochs that are chosen for the user.

    Raises:
        ConfigError: if no epoch is left to train or to validate.
    """
    fit = config.fit
    epochs = fit.epochs
    if epochs is None:
        fewest, most = limits
        epochs = min(max(round(wanted / (fit.steps_per_epoch or updates)), fewest), most)
        epochs += -epochs % max(fit.snapshots, 1)  # cycles of equal length
    if fit.snapshots and epochs % fit.snapshots:
        near = epochs - epochs % fit.snapshots
        counts = [str(count) for count in (near, near + fit.snapshots) if count]
        raise ConfigError(
            f"fit.epochs {epochs}: is no multiple of fit.snapshots {fit.snapshots}. "
            f"Give {' or '.join(counts)}."
        )
    if epochs == 0 and config.model.weights != "none":
        if fit.initial_epoch or fit.snapshots or config.model.unfreeze:
            raise ConfigError(
                "fit.epochs 0: takes ready weights as they are. Leave out initial_epoch, snapshots "
                "and unfreeze."
            )
        return replace(
            config, fit=replace(fit, epochs=0), regime=replace(config.regime, early_stop=0)
        )
    if epochs == 0:
        raise ConfigError("fit.epochs 0: nothing would be learned. Give at least 1, or --weights.")
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
