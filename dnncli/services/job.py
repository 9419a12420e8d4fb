"""A network ready to train, and what its validation rows say of it in the end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from dnncli.rundir import RunDir
from dnncli.services.plan import Plan

if TYPE_CHECKING:
    from dnncli.training.backup import TrainState
    from dnncli.training.loop import Fit


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What the validation rows say of the best epoch, and what they chose."""

    validation: dict[str, Any] = field(default_factory=dict)
    chosen: dict[str, Any] = field(default_factory=dict)
    calibration: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Job:
    """A network ready to train."""

    plan: Plan  # without rows that could not be decoded
    fit: "Fit"
    judge: Callable[[RunDir, "TrainState"], Outcome]  # of the network as it then is
