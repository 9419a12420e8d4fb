"""How long a step of training takes, measured on the network and the batches themselves."""

import time
from dataclasses import dataclass
from typing import Any

import keras  # noqa: TID253

from dnncli.training import backup

_SECONDS = 2.0  # of steps that are timed, unless `_STEPS` come first
_STEPS = 40
_VALIDATION_BATCHES = 8


@dataclass(frozen=True, kw_only=True)
class Pace:
    """Seconds."""

    step: float  # of one batch of training
    validation: float  # of all validation batches


def measure(model: keras.Model, *, training: Any, validation: Any | None) -> Pace:
    """Time training and validation; the network is afterwards as it was before.

    Args:
        model: compiled; its optimizer has to be built anew.
        training: endless tf.data.Dataset of batches.
        validation: finite tf.data.Dataset, or None.
    """
    kept = backup.values(model.variables)
    try:
        return Pace(
            step=_step_seconds(model, training), validation=_pass_seconds(model, validation)
        )
    finally:
        backup.assign(model.variables, kept, what="network")
        model.reset_metrics()


class _Clock(keras.callbacks.Callback):
    """Takes the time after every call into the graph, and ends the epoch once that is enough."""

    def __init__(self) -> None:
        super().__init__()
        self.marks: list[float] = []

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Two calls for compiling, at least two to be timed."""
        self.marks.append(time.perf_counter())
        if len(self.marks) >= 4 and (self.steps >= _STEPS or self.seconds > _SECONDS):
            self.model.stop_training = True

    @property
    def steps(self) -> int:
        """Of all calls but the first two."""
        return (len(self.marks) - 2) * self.model.steps_per_execution

    @property
    def seconds(self) -> float:
        """What they took."""
        return self.marks[-1] - self.marks[1]


def _step_seconds(model: keras.Model, batches: Any) -> float:
    clock = _Clock()
    most = (_STEPS + 2) * model.steps_per_execution
    model.fit(batches, steps_per_epoch=most, shuffle=False, callbacks=[clock], verbose=0)
    return clock.seconds / clock.steps


def _pass_seconds(model: keras.Model, batches: Any | None) -> float:
    if batches is None:
        return 0.0
    whole = int(batches.cardinality())
    part = batches.take(_VALIDATION_BATCHES)
    model.evaluate(part, verbose=0)  # traces the graph
    began = time.perf_counter()
    model.evaluate(part, verbose=0)
    return (time.perf_counter() - began) * max(whole, 1) / max(min(whole, _VALIDATION_BATCHES), 1)


class StopAtDeadline(keras.callbacks.Callback):
    """Ends training where another epoch would end later than `deadline`, in time.monotonic().

    Only in case the machine has become slower than it was when the epochs were counted: an epoch
    may take half as long again before it stops.
    """

    def __init__(self, deadline: float) -> None:
        super().__init__()
        self.deadline = deadline
        self.has_stopped = False
        self._began = 0.0

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Take the time."""
        self._began = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Stop here if half of another epoch would be too much."""
        now = time.monotonic()
        if now + (now - self._began) / 2 > self.deadline:
            self.has_stopped = True
            self.model.stop_training = True
