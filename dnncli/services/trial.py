"""Building what training would build, without pictures: a wrong option is told by a dry run."""

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from dnncli import devices
from dnncli.config import ModelConfig, TrainConfig

if TYPE_CHECKING:
    from dnncli.networks.network import Network
    from dnncli.services.plan import Plan


# Settings that every network takes, or that need no network to be checked.
_COMMON = ("name", "weights", "unfreeze", "l1", "l2")


def has_own_parts(config: TrainConfig) -> bool:
    """Whether settings were given that only the parts themselves can judge."""
    model, loss, optimizer = config.model, config.loss, config.optimizer
    default = ModelConfig()
    given = [
        getattr(model, field.name) != getattr(default, field.name)
        for field in fields(ModelConfig)
        if field.name not in _COMMON
    ]
    given += [bool(loss.options), loss.label_smoothing is not None, bool(optimizer.options)]
    given += [bool(optimizer.schedule_options), bool(optimizer.multipliers)]
    return any(given) or any(":" in part.name for part in (model, loss, optimizer))


def build_parts(plan: "Plan") -> None:
    """Build network, loss and optimizer of `plan`, and let go of them; takes seconds.

    Raises:
        ConfigError, ModelError: what is wrong with an option, and what is allowed.
    """
    devices.load_tensorflow(plan.config.run.backend)
    from dnncli.optimizers import build_optimizer
    from dnncli.rate_factors import check_multipliers

    config = plan.config
    model = config.model
    if model.weights == "imagenet":
        model = replace(model, weights="none")  # a dry run downloads nothing
    network = bare_network(
        replace(config, model=model),
        task=plan.dataset.task,
        height_width=plan.height_width,
        channels=plan.channels,
        class_names=plan.dataset.class_names,
    )
    _build_loss(plan, network)
    check_multipliers(
        config.optimizer.multipliers, [weight.path for weight in network.training.weights]
    )
    build_optimizer(
        config.optimizer,
        steps_per_epoch=plan.steps_per_epoch,
        epochs=config.fit.epochs or 1,
        accumulate=plan.accumulate,
        cycles=max(config.fit.snapshots, 1),
    )


def bare_network(
    config: TrainConfig,
    *,
    task: str,
    height_width: tuple[int, int],
    channels: int,
    class_names: Sequence[str],
) -> "Network":
    """The network of settings, built without knowing any picture.

    Args:
        config: its sections model, loss and run matter.
        task: classify, segment or edges.
        height_width: of the pictures.
        channels: of the pictures.
        class_names: (C,).
    """
    common: dict[str, Any] = {
        "height_width": height_width,
        "channels": channels,
        "class_names": class_names,
        "seed": config.run.seed,
    }
    if task != "classify":
        from dnncli.networks.dense import build_dense

        return build_dense(config.model, task=task, **common)
    from dnncli.networks.network import build_network

    return build_network(config.model, loss=config.loss.name, **common)


def _build_loss(plan: "Plan", network: "Network") -> None:
    config, classes = plan.config.loss, plan.dataset.class_names
    if plan.dataset.task == "classify":
        from dnncli.losses import build_loss

        build_loss(config, class_names=classes)
        return
    from dnncli.mask_losses import build_mask_loss

    build_mask_loss(
        config, class_names=classes, maps=network.maps, class_weights=plan.class_weights
    )
