"""How a training run looks while it runs: one bar with an ETA, or a line per epoch."""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from dnncli.cli import output
from dnncli.results import Progress, no_progress

_SHOWN = (
    *("loss", "accuracy", "iou", "val_loss", "val_accuracy", "val_iou"),
    *("val_precision_at_recall", "val_average_precision"),
)


class LazyListener:
    """A `Listener` that can be made before TensorFlow is imported: same attributes."""

    def __init__(self, bars: Any = None) -> None:
        self._bars = bars
        self._task: Any = None
        self._scores = ""
        self._lines = bars is None
        self.step = self._step if bars else None

    def note(self, text: str) -> None:
        """Something the user should know."""
        output.hint(text)

    def plan(self, plan: Mapping[str, Any]) -> None:
        """Say what is about to happen, and heed fit.verbose."""
        if plan["verbose"] in (0, 2):
            self.step = None
        if plan["verbose"] != "auto":
            self._lines = plan["verbose"] == 2
        size = "x".join(str(length) for length in plan["image_shape"])
        output.hint(
            f"{plan['model']} ({plan['parameters']:,} parameters) on {plan['train']:,} pictures of "
            f"{size} in {len(plan['classes'])} classes; {plan['val']:,} to validate on, "
            f"{plan['test']:,} kept for the test. At most {plan['epochs']} epochs of "
            f"{plan['steps_per_epoch']:,} steps; the best epoch is chosen by {plan['monitor']}."
        )
        if "positive" in plan:
            output.hint(
                f"'{plan['positive']}' is to be found with recall >= {plan['target_recall']:g}: "
                f"{plan['train_positives']:,} to train on, "
                f"{plan['val_positives']:,} to validate on."
            )
        if "loss_weights" in plan:
            weights = plan["loss_weights"].items()
            shown = ", ".join(f"{name} {weight:.3g}" for name, weight in weights)
            output.hint(f"What a picture of each class weighs in the loss: {shown}.")

    def _step(self, done: int, total: int, logs: Mapping[str, float]) -> None:
        if self._task is None:
            self._task = self._bars.add_task("Training", total=total)
        text = f"Training  loss {logs.get('loss', 0):.4f}{self._scores}"
        self._bars.update(self._task, completed=done, total=total, description=text)

    def epoch(self, done: int, total: int, logs: Mapping[str, float]) -> None:
        """Show the scores of a finished epoch."""
        self._scores = _scores(logs, [name for name in _SHOWN if name != "loss"])
        if self._lines:
            output.hint(f"epoch {done}/{total}{_scores(logs, _SHOWN)}")


def _scores(logs: Mapping[str, float], names: Any) -> str:
    return "".join(f"  {name} {logs[name]:.4f}" for name in names if name in logs)


@contextmanager
def training() -> Iterator[tuple[Progress, LazyListener]]:
    """A progress callable and a listener for `train`, drawn on stderr."""
    if not sys.stderr.isatty() or output.is_quiet():
        yield no_progress, LazyListener()
        return
    with output.bars() as bars:
        yield output.bar_progress(bars), LazyListener(bars)
