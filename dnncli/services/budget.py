"""Training for a given time: as many epochs as fit, and a schedule that ends with them."""

import re
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from dnncli.config import TrainConfig
from dnncli.errors import ConfigError
from dnncli.services.settle import settle_length

if TYPE_CHECKING:
    from dnncli.training.loop import Fit

_UNITS = {"s": 1, "m": 60, "h": 3600}
_SHARE = 0.93  # of the time left; the rest is for saving models and for machines that slow down
_END_PASSES = 3  # over the validation rows after the last epoch: calibration, thresholds, scores


@dataclass(frozen=True, kw_only=True)
class Budget:
    """How long training may take, and what the user settled in spite of it."""

    deadline: float  # in time.monotonic()
    epochs: int | None  # at most
    early_stop: int | None


def seconds(text: str) -> float:
    """`90s`, `10m` or `1.5h` in seconds; a bare number is minutes.

    Raises:
        ConfigError: if it is nothing of the kind.
    """
    found = re.fullmatch(r"(\d+\.?\d*|\.\d+)\s*([smh]?)", text.strip())
    if not found or not float(found[1]):
        raise ConfigError(f"--time-budget {text}: must be a time such as 90s, 10m or 1.5h.")
    return float(found[1]) * _UNITS[found[2] or "m"]


def budget_of(config: TrainConfig, *, began: float) -> Budget | None:
    """The budget of settings that are not settled yet; None if there is none.

    Args:
        config: with `fit.time_budget`.
        began: when the time began to run, in time.monotonic().

    Raises:
        ConfigError: if the time cannot be read, or does not fit the rest.
    """
    if not config.fit.time_budget:
        return None
    wrong = {"model.unfreeze": config.model.unfreeze, "fit.initial_epoch": config.fit.initial_epoch}
    if names := [name for name, value in wrong.items() if value]:
        raise ConfigError(
            f"--time-budget: not with {', '.join(names)}, whose epochs are counted. Leave it out, "
            "or give --epochs alone."
        )
    return Budget(
        deadline=began + seconds(config.fit.time_budget),
        epochs=config.fit.epochs,
        early_stop=config.regime.early_stop,
    )


def within(budget: Budget | None, fit: "Fit") -> "Fit":
    """`fit` with as many epochs as there is time for, at least one; says how many.

    Args:
        budget: None: `fit` is left as it is.
        fit: what is to be trained.
    """
    if budget is None:
        return fit
    pace = fit.measure()
    passes = 2 if fit.judge else 1
    epoch = fit.batches.steps_per_epoch * pace.step + passes * pace.validation
    left = (budget.deadline - time.monotonic()) * _SHARE - _END_PASSES * pace.validation
    cycles = max(fit.config.fit.snapshots, 1)
    epochs = max(int(left / epoch) // cycles, 1) * cycles
    epochs = max(epochs, fit.config.fit.validation_freq)
    if budget.epochs is not None:
        epochs = min(epochs, budget.epochs)
    fit.listener.note(
        f"A step takes {1000 * pace.step:.0f} ms, an epoch {epoch:.1f} s: {epochs} epochs in the "
        f"{max(left, 0):.0f} s that are left."
    )
    config = fit.config
    config = replace(
        config,
        fit=replace(config.fit, epochs=epochs),
        regime=replace(config.regime, early_stop=budget.early_stop),
    )
    config = settle_length(config, updates=1, wanted=epochs, limits=(epochs, epochs))
    return replace(fit, config=config, deadline=budget.deadline)
