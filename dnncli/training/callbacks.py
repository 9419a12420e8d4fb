"""What happens around every epoch: keeping the best, backing up, stopping, watching for NaN."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras  # noqa: TID253
from numpy.typing import NDArray

from dnncli.errors import ModelError
from dnncli.results import plain, write_text
from dnncli.rundir import RunDir
from dnncli.training import backup
from dnncli.training.aside import Aside
from dnncli.training.averaging import averaged_values
from dnncli.training.backup import TrainState

# A save may cost this share of the time since the last one; a resumed run repeats what was not
# saved, with the same numbers.
_SAVE_SHARE = 0.02


class _Remembering(keras.callbacks.Callback):
    """Keeps what a monitoring callback of Keras has learned over a restart.

    Keras' own start anew in `on_train_begin`: a resumed run would stop later than an uninterrupted
    one, and take its first epoch for the best.

    Args:
        memory: holds the attributes named in `remembered`, as far as they are known.
    """

    remembered: tuple[str, ...] = ()

    def __init__(self, memory: dict[str, Any], **options: Any) -> None:
        super().__init__(**options)
        self.memory = memory

    def on_train_begin(self, logs: dict[str, float] | None = None) -> None:
        """Start where the run was left."""
        super().on_train_begin(logs)
        for name in self.remembered:
            if name in self.memory:
                setattr(self, name, self.memory[name])

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Judge the epoch, and remember the verdict; epochs without validation do not count."""
        if self.monitor not in (logs or {}):
            return
        super().on_epoch_end(epoch, logs)
        if self.best is not None:
            self.memory.update(plain({name: getattr(self, name) for name in self.remembered}))


class ResumableEarlyStopping(_Remembering, keras.callbacks.EarlyStopping):
    """Keras' EarlyStopping, with its patience and best value kept over a restart."""

    remembered = ("best", "wait", "best_epoch")


class ResumablePlateau(_Remembering, keras.callbacks.ReduceLROnPlateau):
    """Keras' ReduceLROnPlateau, with its counters kept over a restart."""

    remembered = ("best", "wait", "cooldown_counter")


class StopWhenSaturated(keras.callbacks.Callback):
    """Stop once training accuracy has stayed at or above a level: more epochs only over-fit."""

    def __init__(self, memory: dict[str, Any], *, level: float, patience: int) -> None:
        super().__init__()
        self.memory = memory
        self.level = level
        self.patience = patience

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Count epochs in a row at or above the level."""
        above = (logs or {}).get("accuracy", 0.0) >= self.level
        self.memory["saturated"] = self.memory.get("saturated", 0) + 1 if above else 0
        if self.memory["saturated"] >= self.patience:
            self.model.stop_training = True


class StopAtNaN(keras.callbacks.Callback):
    """Stop at the first batch whose loss is not a number."""

    def on_train_batch_end(self, batch: int, logs: dict[str, float] | None = None) -> None:
        """Look at the running loss: it is NaN from the first such batch on."""
        loss = (logs or {}).get("loss", 0.0)
        if not math.isfinite(loss):
            raise ModelError(
                f"The loss became {loss} in batch {batch + 1} of epoch {self.epoch + 1}. "
                "Try a smaller --lr, --set optimizer.options.clipnorm=1, another --normalize, "
                "or --precision float32."
            )

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:  # noqa: ARG002
        """Remember which epoch it is."""
        self.epoch = epoch


@dataclass(frozen=True, kw_only=True)
class Snapshot:
    """The variables of a network and its optimizer at one moment."""

    variables: Sequence[NDArray]  # those that training goes on with
    optimizer: Sequence[NDArray]
    averaged: list[NDArray]  # those to use: with the averages, where the optimizer keeps them

    @classmethod
    def of(cls, model: keras.Model, *, folder: Path) -> "Snapshot":
        """Copies of the variables as they are now, large ones in a file in `folder`."""
        return cls(
            variables=Aside(model.variables, folder=folder),
            optimizer=Aside(model.optimizer.variables, folder=folder),
            averaged=averaged_values(model),
        )


class Keeper(keras.callbacks.Callback):
    """Keeps history, best and last epoch, and saves all that a resumed run needs.

    Must come after the callbacks whose memories are in `state`, so that it saves their verdict.

    Args:
        state: read and updated.
        run: where history.csv, backup, best.keras and last.keras go.
        monitor: log name of the value that picks the best epoch.
        higher_is_better: for that value.
        ties: log names that decide between equal values, before the loss does; higher is better.
        tolerance: standard errors; a later epoch counts as better if its score, a share, is no
            further than this below the highest. 0: it must be higher.
        rows: validation rows, for the standard error; at least 1 if there is a tolerance.
        write_model: called with a path, writes the network with its present variables there.
        best: variables of the best epoch so far; empty if there is none.
        snapshot: after the last finished epoch, if there is one.
        backup_seconds: least time between saves; None: saving costs at most 2 % of the time.
        cycle: epochs after each of which a model is kept for good, as snapshots/<n>.keras; 0: none.
    """

    def __init__(
        self,
        state: TrainState,
        run: RunDir,
        *,
        monitor: str,
        higher_is_better: bool,
        ties: Sequence[str] = (),
        tolerance: float = 0.0,
        rows: int = 0,
        write_model: Callable[[Any], None],
        best: list[Any],
        snapshot: Snapshot | None = None,
        backup_seconds: float | None = None,
        cycle: int = 0,
    ) -> None:
        super().__init__()
        self.cycle = cycle
        self.backup_seconds = backup_seconds
        self.state = state
        self.run = run
        self.monitor = monitor
        self.higher_is_better = higher_is_better
        self.ties = ties
        self.tolerance = tolerance
        self.rows = rows
        self.write_model = write_model
        self.best = best
        self.snapshot = snapshot
        self.started = self.next_save = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Record the epoch; keep it if it is the best; save if the last save is long ago."""
        logs = {name: float(value) for name, value in (logs or {}).items()}
        state = self.state
        state.epoch = epoch + 1
        rate = float(keras.ops.convert_to_numpy(self.model.optimizer.learning_rate))
        state.history.append({"epoch": epoch, **logs, "learning_rate": rate})
        self.snapshot = None  # memory for the next; its best values are kept elsewhere
        self.snapshot = Snapshot.of(self.model, folder=self.run.path)
        value, loss = logs.get(self.monitor), logs.get(self._loss)
        ties = [logs[name] for name in self.ties if name in logs]
        if self._is_best(value, ties, loss):
            state.best_epoch, state.best_value = epoch + 1, value
            state.best_ties, state.best_loss = ties, loss
            self.best = self.snapshot.averaged
        if self.cycle and state.epoch % self.cycle == 0:  # before the backup that says it is done
            number = state.epoch // self.cycle
            self._write({self.run.snapshot(number): self.snapshot.averaged})
        now = time.monotonic()
        state.seconds += now - self.started
        self.started = now
        if now >= self.next_save:
            self.save()

    @property
    def best_or_last(self) -> list[Any]:
        """Variables of the best epoch; of the last where none was judged."""
        if self.best:
            return self.best
        return self.snapshot.averaged if self.snapshot else backup.values(self.model.variables)

    @property
    def _loss(self) -> str:
        return "val_loss" if self.monitor.startswith("val_") else "loss"

    def _is_best(self, value: float | None, ties: list[float], loss: float | None) -> bool:
        """Better than the best so far; of equals the one with higher ties, then lower loss."""
        best, best_loss = self.state.best_value, self.state.best_loss
        if value is None or math.isnan(value):
            return False
        if self.tolerance:
            self.state.highest = top = max(value, self.state.highest or 0.0)
            return value >= top - self.tolerance * math.sqrt(top * (1 - top) / self.rows)
        if best is None:
            return True
        if value != best:
            return value > best if self.higher_is_better else value < best
        if ties != self.state.best_ties:
            return ties > self.state.best_ties
        return loss is not None and best_loss is not None and loss < best_loss

    def save(self, *, goes_on: bool = True) -> None:
        """Write history, backup and both models; the next save waits in proportion to its cost.

        Args:
            goes_on: the network is trained or used after this, so it keeps its variables. After an
                error on JAX they may be gone.
        """
        if self.snapshot is None:
            return
        begin = time.monotonic()
        write_history(self.run, self.state.history)
        backup.save(
            self.run.backup,
            self.state,
            variables=self.snapshot.variables,
            optimizer=self.snapshot.optimizer,
            best=self.best,
        )
        self.write_models(goes_on=goes_on)
        end = time.monotonic()
        pause = (end - begin) / _SAVE_SHARE if self.backup_seconds is None else self.backup_seconds
        self.next_save = end + pause

    def write_models(self, *, goes_on: bool = True) -> None:
        """Write best.keras and last.keras; without a finished epoch, both as the network is now."""
        last = self.snapshot.averaged if self.snapshot else backup.values(self.model.variables)
        self._write({self.run.best: self.best_or_last, self.run.last: last}, goes_on=goes_on)

    def _write(self, models: Mapping[Path, list[NDArray]], *, goes_on: bool = True) -> None:
        """Write model files with these variables; the network keeps its own if it goes on."""
        now = backup.values(self.model.variables) if goes_on else None
        for path, variables in models.items():
            backup.assign(self.model.variables, variables, what="network")
            self.write_model(path)
        if now is not None:
            backup.assign(self.model.variables, now, what="network")


def write_history(run: RunDir, history: list[dict[str, float]]) -> None:
    """Write history.csv with the columns of Keras' CSVLogger: epoch, then names in order."""
    names = sorted({name for entry in history for name in entry} - {"epoch"})
    lines = [",".join(["epoch", *names])]
    for entry in history:
        row = [repr(entry[name]) if name in entry else "NA" for name in names]
        lines.append(",".join([str(int(entry["epoch"])), *row]))
    write_text(run.history, "\n".join(lines) + "\n")
