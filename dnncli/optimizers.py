"""How training minimises the loss: Keras' optimizers and learning-rate schedules, by name.

A schedule's rate depends on the number of updates alone, so a resumed run goes on where it was.
"""

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras  # noqa: TID253

from dnncli import registry
from dnncli.config import OptimizerConfig
from dnncli.errors import ConfigError
from dnncli.rate_factors import ScaledSGD
from dnncli.schedules import PerUpdate, Triangular

MOMENTUM = 0.9  # unless told otherwise; Keras' own default is 0 for sgd, 0.95 for muon
EMA_MOMENTUM = 0.99  # Keras' own default

# Starting rates. Keras' default is 0.001 for all but SGD (0.01): right for the Adam family, too
# small by orders of magnitude for the others.
LEARNING_RATES = {
    "adam": 1e-3,  # Kingma & Ba 2015, algorithm 1
    "sgd": 0.05,  # with momentum 0.9 and batch 32; He et al. 2015 take 0.1 at batch 128
    "rmsprop": 1e-3,  # Hinton's lecture 6e
    "adagrad": 0.01,  # the sum of squares only grows: Duchi et al. 2011 leave it open
    "adadelta": 1.0,  # the method sets its own step: Zeiler 2012 has no rate at all
    "ftrl": 0.05,  # McMahan et al. 2013 tune it; per-coordinate like adagrad
    "adamw": 1e-3,  # as adam; the decay is separate
    "adamax": 2e-3,  # Kingma & Ba 2015, algorithm 2
    "nadam": 1e-3,  # as adam: Dozat 2016
    "lamb": 5e-3,  # layer-wise normalised: larger than adam's (You et al. 2020)
    "lion": 1e-4,  # every step has full size: 3 to 10 times below adam's (Chen et al. 2023)
    "adafactor": 1e-2,  # upper bound of its relative step: Shazeer & Stern 2018
    "schedulefreeadamw": 2.5e-3,  # larger than adam's, averaged: Defazio et al. 2024
    "muon": 1e-3,  # as adam: Keras matches the update's RMS to adam's
    "muon-conv": 6e-3,  # several times adam's: docs/log.md
}
# Options that differ from Keras' own defaults.
_OPTIONS: dict[str, dict[str, Any]] = {
    "sgd": {"momentum": MOMENTUM},
    "muon-conv": {
        "momentum": MOMENTUM,
        "ns_steps": 3,  # orthogonal enough, as in the authors' runs of minutes
        "weight_decay": 0.05,
        "adam_weight_decay": 0.05,
    },
}


def _share(name: str, value: float, *, above: float = 0.0) -> None:
    """Raise ConfigError if `value` is not a share in [above, 1]."""
    if not above <= value <= 1:
        raise ConfigError(
            f"optimizer.schedule_options.{name}: must be in {above:g} to 1. Got {value}."
        )


def constant(rate: float, steps: int) -> keras.optimizers.schedules.LearningRateSchedule:
    """The same rate from the first update to the last."""
    return keras.optimizers.schedules.PolynomialDecay(rate, steps, end_learning_rate=rate)


def cosine(
    rate: float, steps: int, *, end: float = 0.0, cycles: int = 1
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Half a cosine from `rate` to `end * rate`, slow at both ends; `cycles` of them in a row.

    rate(t) = rate * (end + (1 - end) * (1 + cos(pi * (t mod T) / T)) / 2), T = steps / cycles

    Source: Loshchilov & Hutter 2017, "SGDR", eq. 5 with T_mult = 1,
    https://arxiv.org/abs/1608.03983
    """
    _share("end", end)
    if not isinstance(cycles, int) or not 1 <= cycles <= steps:
        raise ConfigError(f"optimizer.schedule_options.cycles: from 1 to {steps}. Got {cycles!r}.")
    if cycles == 1:
        return keras.optimizers.schedules.CosineDecay(rate, steps, alpha=end)
    return keras.optimizers.schedules.CosineDecayRestarts(rate, steps / cycles, 1.0, alpha=end)


def triangular(
    rate: float, steps: int, *, top: float = 0.3, start: float = 0.1, end: float = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Up to `rate` at `top * steps`, then down to `end * rate`: see `Triangular`."""
    for name, value in (("top", top), ("start", start), ("end", end)):
        _share(name, value)
    if top == 1:
        raise ConfigError("optimizer.schedule_options.top: must be below 1. Got 1.")
    return Triangular(rate, steps, top=top, start=start, end=end)


def exponential(
    rate: float, steps: int, *, end: float = 0.01
) -> keras.optimizers.schedules.LearningRateSchedule:
    """The same factor at every update, so that the last rate is `end * rate`.

    rate(t) = rate * end^(t / steps)
    """
    _share("end", end, above=1e-12)
    return keras.optimizers.schedules.ExponentialDecay(rate, steps, end)


def step(
    rate: float, steps: int, *, at: Sequence[float] = (0.5, 0.75), factor: float = 0.1
) -> keras.optimizers.schedules.LearningRateSchedule:
    """Multiplied by `factor` at each share of the run in `at`.

    Source: He et al. 2015, section 4.2 (CIFAR-10: by 0.1 at one half and three quarters),
    https://arxiv.org/abs/1512.03385
    """
    _share("factor", factor)
    if not at or sorted(set(at)) != list(at) or not (at[0] > 0 and at[-1] < 1):
        raise ConfigError(
            "optimizer.schedule_options.at: rising shares of the run between 0 and 1, such as "
            f"[0.5, 0.75]. Got {list(at)}."
        )
    # Keras changes the rate after the boundary: the last update before the drop is named.
    boundaries = [math.ceil(share * steps) - 1 for share in at]
    rates = [rate * factor**drops for drops in range(len(at) + 1)]
    return keras.optimizers.schedules.PiecewiseConstantDecay(boundaries, rates)


def polynomial(
    rate: float, steps: int, *, power: float = 1.0, end: float = 0.0
) -> keras.optimizers.schedules.LearningRateSchedule:
    """From `rate` to `end * rate` as a power of what is left; power 1 is a straight line.

    rate(t) = rate * (end + (1 - end) * (1 - t / steps)^power)
    """
    _share("end", end)
    if not power > 0:
        raise ConfigError(f"optimizer.schedule_options.power: must be above 0. Got {power}.")
    return keras.optimizers.schedules.PolynomialDecay(rate, steps, end * rate, power)


def plateau(
    *,
    factor: float = 0.3,
    patience: int = 5,
    min_delta: float = 0.0,
    cooldown: int = 0,
    min_lr: float = 0.0,
) -> dict[str, Any]:
    """Arguments of Keras' ReduceLROnPlateau: the rate falls when the score stops improving."""
    _share("factor", factor)
    return {
        "factor": factor,
        "patience": patience,
        "min_delta": min_delta,
        "cooldown": cooldown,
        "min_lr": min_lr,
    }


@dataclass(frozen=True)
class _Length:
    """How long a run is."""

    steps_per_epoch: int  # batches
    epochs: int
    accumulate: int  # batches per update
    cycles: int  # of the learning rate

    @property
    def updates(self) -> int:
        """Updates of the whole run; at least 1."""
        return max(self.steps_per_epoch * self.epochs // self.accumulate, 1)


def default_learning_rate(name: str) -> float:
    """The rate this tool starts with; 0.001 for an optimizer of the user's own."""
    return LEARNING_RATES.get(name, 1e-3)


def check_optimizer(config: OptimizerConfig) -> str:
    """The optimizer's name in the registry.

    Raises:
        ConfigError: if the name, an option or the schedule is unknown, or the optimizer has no
            momentum, or cannot multiply rates, and the user asked for it.
    """
    name = registry.check(registry.OPTIMIZERS, config.name, kind="optimizer")
    schedule = registry.check(registry.SCHEDULES, config.schedule, kind="schedule")
    if schedule == "plateau" and config.warmup:
        raise ConfigError(
            "optimizer.warmup: the plateau schedule lowers a constant rate, which cannot warm up. "
            "Use warmup 0, or another schedule."
        )
    part = registry.find(registry.OPTIMIZERS, name, kind="optimizer")
    known = inspect.signature(part).parameters
    if config.momentum is not None and "momentum" not in known:
        raise ConfigError(
            f"optimizer.momentum: {name} has no momentum. Leave it out, or use sgd or rmsprop."
        )
    named = {"learning_rate", "momentum", "gradient_accumulation_steps", "kwargs", "name"}
    _check_average(config.options)
    if config.multipliers:
        _check_scaled(name, config.options)
    for option in ("clipnorm", "clipvalue", "global_clipnorm", "weight_decay"):
        value = config.options.get(option, 1.0)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError(f"optimizer.options.{option}: must be a number. Got {value!r}.")
    allowed = [option for option in known if option not in named]
    wrong = [
        f"no such option '{option}' of {name}.{_elsewhere(option)}"
        f"{registry.suggest(option, allowed)} Known: {', '.join(allowed)}."
        for option in config.options
        if option not in allowed
    ]
    if wrong:
        raise ConfigError("optimizer.options:", wrong)
    return name


def _check_average(options: Mapping[str, Any]) -> None:
    """Raise ConfigError if the options of the average of the weights are wrong or do nothing."""
    use = options.get("use_ema", False)
    if not isinstance(use, bool):
        raise ConfigError(f"optimizer.options.use_ema: must be true or false. Got {use!r}.")
    idle = [option for option in ("ema_momentum", "ema_overwrite_frequency") if option in options]
    if idle and not use:
        raise ConfigError(
            f"optimizer.options.{idle[0]}: does nothing without use_ema = true. Add it."
        )
    momentum = options.get("ema_momentum", 0.0)
    if isinstance(momentum, bool) or not isinstance(momentum, int | float) or not 0 <= momentum < 1:
        raise ConfigError(
            "optimizer.options.ema_momentum: must be at least 0 and below 1, such as 0.99. "
            f"Got {momentum!r}."
        )


def _check_scaled(name: str, options: Mapping[str, Any]) -> None:
    """Raise ConfigError if rates cannot differ from layer to layer."""
    if name != "sgd":
        raise ConfigError(f"optimizer.multipliers: are for sgd, not for {name}. Leave them out.")
    if "weight_decay" in options:
        raise ConfigError(
            "optimizer.options.weight_decay: does not go with optimizer.multipliers, which would "
            "not change it. Use model.l2."
        )


def _elsewhere(option: str) -> str:
    """Where a setting lives that is not an option, or nothing."""
    places = {
        "learning_rate": " It is the setting optimizer.learning_rate (--lr).",
        "lr": " It is the setting optimizer.learning_rate (--lr).",
        "momentum": " It is the setting optimizer.momentum (--momentum).",
        "gradient_accumulation_steps": " It follows from --batch-size.",
    }
    return places.get(option, "")


def plateau_options(config: OptimizerConfig) -> dict[str, Any] | None:
    """Arguments for Keras' ReduceLROnPlateau (without `monitor`), or None for other schedules.

    Raises:
        ConfigError: if an option of the schedule is unknown or wrong.
    """
    if config.schedule.lower() != "plateau":
        return None
    _check_schedule_options(plateau, config)
    return plateau(**config.schedule_options)


def _check_schedule_options(schedule: Callable, config: OptimizerConfig) -> None:
    where = f"optimizer.schedule_options ({config.schedule})"
    registry.check_options(
        schedule, config.schedule_options, where=where, without=("rate", "steps")
    )


def _learning_rate(config: OptimizerConfig, *, rate: float, length: _Length) -> Any:
    """A number where the rate can stay constant, else a schedule over the run."""
    name = registry.check(registry.SCHEDULES, config.schedule, kind="schedule")
    warmup = round(config.warmup * length.steps_per_epoch / length.accumulate)
    if name == "plateau" or (name == "constant" and not warmup):
        return rate
    part = registry.find(registry.SCHEDULES, name, kind="schedule")
    _check_schedule_options(part, config)
    if warmup >= length.updates:
        raise ConfigError(
            f"optimizer.warmup: {config.warmup:g} epochs are the whole run of {length.epochs}. "
            "Use a shorter warm-up or more epochs."
        )
    options = config.schedule_options | ({"cycles": length.cycles} if length.cycles > 1 else {})
    schedule = part(rate, length.updates - warmup, **options)
    return PerUpdate(schedule, warmup=warmup, accumulate=length.accumulate)


def _average(config: OptimizerConfig, *, length: _Length) -> dict[str, Any]:
    """Keras' arguments for the average of the weights; its own, where given, come first."""
    if not config.options.get("use_ema", config.average > 0):
        return {}
    # At least one update, never left out: a short run may be resumed for more epochs.
    momentum = 1 - 1 / max(config.average * length.updates / length.cycles, 1)
    if config.options.get("use_ema"):
        momentum = config.options.get("ema_momentum", EMA_MOMENTUM)
    # Keras averages after every batch, not after every update.
    return {"use_ema": True, "ema_momentum": momentum ** (1 / length.accumulate)}


def build_optimizer(
    config: OptimizerConfig,
    *,
    steps_per_epoch: int,
    epochs: int,
    accumulate: int = 1,
    rate: float = 1.0,
    cycles: int = 1,
) -> keras.optimizers.Optimizer:
    """The optimizer of `config`, with its schedule over the whole run.

    Weight decay (an option of Keras') is left out for biases and for the gain and offset of
    normalisation layers.

    Args:
        config: the section of the settings.
        steps_per_epoch: batches per epoch.
        epochs: of the whole run, also when it is resumed.
        accumulate: batches per update.
        rate: factor on the learning rate.
        cycles: cosines in a row over the run.

    Raises:
        ConfigError: if a name, an option or its value is wrong.
    """
    name = check_optimizer(config)
    part = registry.find(registry.OPTIMIZERS, name, kind="optimizer")
    length = _Length(steps_per_epoch, epochs, accumulate, cycles)
    rate *= config.learning_rate or default_learning_rate(name)
    options: dict[str, Any] = _OPTIONS.get(name, {}) | config.options
    if config.momentum is not None:
        options["momentum"] = config.momentum
    if accumulate > 1:
        options["gradient_accumulation_steps"] = accumulate
    if config.multipliers:
        part, options["multipliers"] = ScaledSGD, config.multipliers
    options |= _average(config, length=length)
    options["learning_rate"] = _learning_rate(config, rate=rate, length=length)
    try:
        optimizer = part(**options)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"optimizer.options: {error}") from error
    if getattr(optimizer, "weight_decay", None):
        optimizer.exclude_from_weight_decay(var_names=["bias", "gamma", "beta"])
    return optimizer
