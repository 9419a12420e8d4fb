"""Where a training run tells what it is doing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras  # noqa: TID253


def _silent(*_: Any) -> None:
    """Say nothing."""


@dataclass(frozen=True, kw_only=True)
class Listener:
    """What to call while training; each does nothing unless given."""

    note: Callable[[str], None] = _silent  # something the user should know
    plan: Callable[[Mapping[str, Any]], None] = _silent  # what will be done
    step: Callable[[int, int, Mapping[str, float]], None] | None = None  # steps done, of all, logs
    epoch: Callable[[int, int, Mapping[str, float]], None] = _silent  # epochs done, of all, logs


class Announcer(keras.callbacks.Callback):
    """Passes steps and epochs on to a `Listener`.

    Args:
        listener: called after every step and epoch.
        steps: steps of one epoch.
        epochs: last epoch of the run, counted from 1.
    """

    def __init__(self, listener: Listener, *, steps: int, epochs: int) -> None:
        super().__init__()
        self.listener = listener
        self.steps = steps
        self.epochs = epochs
        self.epoch = 0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Remember which epoch it is."""
        self.epoch = epoch

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Tell the step."""
        if self.listener.step is not None:
            done = self.epoch * self.steps + batch + 1
            self.listener.step(done, self.epochs * self.steps, logs or {})

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Tell the epoch."""
        self.listener.epoch(epoch + 1, self.epochs, logs or {})
