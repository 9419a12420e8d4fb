"""What times a training of Keras, ours and the rival's alike; prints JSON at its end."""

import json
import os
import resource
import time
from statistics import median
from typing import Any

import keras  # noqa: TID253


class Clock(keras.callbacks.Callback):
    """Seconds of `fit`, of the fastest-to-middle step, and of all but the first epoch.

    The first epoch traces the graph. With the environment variable CLOCK, the line goes to that
    file instead of the screen.
    """

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Start."""
        self.began = time.perf_counter()
        self.steps: list[float] = []
        self.epochs: list[float] = []

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """An epoch begins where the one before ended."""
        self.epochs.append(time.perf_counter())
        self.last = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """A step lasts from the end of the one before, so that waiting for input counts."""
        now = time.perf_counter()
        if self.last and len(self.epochs) > 1:
            self.steps.append(now - self.last)
        self.last = now

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Say what it took."""
        now = time.perf_counter()
        line = json.dumps(
            {
                "fit": now - self.began,
                "later_epochs": (now - self.epochs[1]) if len(self.epochs) > 1 else 0.0,
                "step": median(self.steps) if self.steps else 0.0,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
            }
        )
        if path := os.environ.get("CLOCK"):
            with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
                file.write(line)
        else:
            print(line, flush=True)
