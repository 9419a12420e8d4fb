"""What times a training of Keras, ours and the rival's alike; prints JSON at its end."""

import json
import os
import resource
import time
from pathlib import Path
from statistics import median
from typing import Any

import keras  # noqa: TID253
import tensorflow as tf  # noqa: TID253


class Clock(keras.callbacks.Callback):
    """Seconds of `fit`, of a step, and of all epochs but the first, which traces the graph.

    The environment variable BATCH says how many pictures a batch has; with CLOCK, the line goes to
    that file instead of the screen.
    """

    def on_train_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Start."""
        self.began = time.perf_counter()
        self.steps: list[float] = []
        self.epochs: list[float] = []
        self.validation = 0.0

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:  # noqa: ARG002
        """An epoch begins where the one before ended."""
        self.epochs.append(time.perf_counter())
        self.last = 0.0
        self.done = 0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:  # noqa: ARG002
        """A step lasts from the end of the one before, so that waiting for input counts."""
        now = time.perf_counter()
        if self.last and len(self.epochs) > 1:
            self.steps.append(now - self.last)
        self.last = now
        self.done += 1

    def on_test_begin(self, logs: Any = None) -> None:  # noqa: ARG002
        """Validation begins."""
        self.test_began = time.perf_counter()

    def on_test_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Validation ends."""
        if len(self.epochs) > 1:
            self.validation += time.perf_counter() - self.test_began

    def on_train_end(self, logs: Any = None) -> None:  # noqa: ARG002
        """Say what it took."""
        now = time.perf_counter()
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        later = now - self.epochs[1]
        ready = self._ready_step()
        line = json.dumps(
            {
                "fit": now - self.began,
                "later_epochs": later,
                "step": median(self.steps),
                "ready_step": ready,
                # Of the time after the first epoch: steps as they last without waiting for
                # anything, and validation.
                "busy": (self.done * (len(self.epochs) - 1) * ready + self.validation) / later,
                "memory": memory,
            }
        )
        if path := os.environ.get("CLOCK"):
            Path(path).write_text(line, encoding="utf-8")
        else:
            print(line, flush=True)

    def _ready_step(self) -> float:
        """Median of steps whose batch lies ready."""
        batch, model = int(os.environ["BATCH"]), self.model
        images = tf.random.uniform((batch, *model.input_shape[1:]), maxval=255.0)
        classes = model.output_shape[-1]
        labels = tf.range(batch) % classes
        if not isinstance(model.loss, keras.losses.SparseCategoricalCrossentropy):
            labels = tf.one_hot(labels, classes)
        source = iter(tf.data.Dataset.from_tensors((images, labels)).repeat().prefetch(2))
        took = []
        for _ in range(12):
            began = time.perf_counter()
            model.train_function(source)
            took.append(time.perf_counter() - began)
        return median(took[2:])
