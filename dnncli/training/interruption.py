"""Ctrl-C and SIGTERM while training: stop between two steps, where everything can be saved."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras  # noqa: TID253


class Interruption(keras.callbacks.Callback):
    """Turns the first signal into a KeyboardInterrupt after the present step.

    An exception at any other moment could meet a half-updated epoch. A second signal is obeyed at
    once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.asked = False

    @contextmanager
    def caught(self) -> Iterator[None]:
        """Watch for signals inside this block; only the main thread may."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        watched = (signal.SIGINT, signal.SIGTERM)
        before = {number: signal.signal(number, self._ask) for number in watched}
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _ask(self, *_: Any) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Stop here if asked."""
        if self.asked:
            raise KeyboardInterrupt

    def on_test_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Stop here if asked."""
        if self.asked:
            raise KeyboardInterrupt
