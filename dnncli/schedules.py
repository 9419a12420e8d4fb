"""Learning-rate schedules that Keras lacks, counted in updates of the weights."""

from typing import Any

import keras  # noqa: TID253
from keras import ops  # noqa: TID253


@keras.saving.register_keras_serializable("dnncli")
class PerUpdate(keras.optimizers.schedules.LearningRateSchedule):
    """A schedule with a linear warm-up, counted in updates of the weights.

    Under gradient accumulation Keras 3.15 asks a schedule with the number of batches, although
    `optimizer.iterations` is the number of updates; this class divides first. Update u of a warm-up
    of w updates has the rate (u + 1) / (w + 1) of the schedule's first: never 0, unlike Keras' own.

    Args:
        schedule: the rate after the warm-up, from update 0 of its own count.
        warmup: w, in updates; >= 0.
        accumulate: batches per update; >= 1.
    """

    def __init__(
        self,
        schedule: keras.optimizers.schedules.LearningRateSchedule,
        *,
        warmup: int = 0,
        accumulate: int = 1,
    ) -> None:
        super().__init__()
        self.schedule, self.warmup, self.accumulate = schedule, warmup, accumulate

    def __call__(self, step: Any) -> Any:
        """The rate of the update that batch `step` (from 0) belongs to."""
        update = ops.cast(step // self.accumulate, "float32")
        rate = self.schedule(ops.maximum(update - self.warmup, 0.0))
        return rate * ops.minimum((update + 1) / (self.warmup + 1), 1.0)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build this schedule again."""
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "warmup": self.warmup, "accumulate": self.accumulate}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "PerUpdate":
        """The schedule that `get_config` described."""
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**{**config, "schedule": schedule})


@keras.saving.register_keras_serializable("dnncli")
class Triangular(keras.optimizers.schedules.LearningRateSchedule):
    """Up in a straight line to `peak`, then down in a straight line, once.

    Args:
        peak: the highest rate.
        steps: length in updates; the rate is `start * peak` at 0 and `end * peak` at `steps`.
        top: share of `steps` at which the peak is; in [0, 1).
        start: first rate as a share of the peak.
        end: last rate as a share of the peak.

    Source: Smith 2017, "Cyclical Learning Rates for Training Neural Networks", section 3.1,
    https://arxiv.org/abs/1506.01186 (one cycle, the two sides of different length)
    """

    def __init__(
        self, peak: float, steps: int, *, top: float = 0.3, start: float = 0.1, end: float = 0.0
    ) -> None:
        super().__init__()
        self.peak, self.steps, self.top, self.start, self.end = peak, steps, top, start, end

    def __call__(self, step: Any) -> Any:
        """The rate of update `step`."""
        done = ops.minimum(ops.cast(step, "float32") / self.steps, 1.0)
        up = 1.0 if self.top == 0 else self.start + (1 - self.start) * done / self.top
        down = 1 - (1 - self.end) * (done - self.top) / (1 - self.top)
        return self.peak * ops.minimum(up, down)

    def get_config(self) -> dict[str, Any]:
        """Arguments that build this schedule again."""
        return {name: getattr(self, name) for name in ("peak", "steps", "top", "start", "end")}
