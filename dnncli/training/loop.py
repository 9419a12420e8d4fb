"""One run of Keras' `fit`: phases, callbacks, resuming, interrupting."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any, cast

import keras  # noqa: TID253

from dnncli import registry
from dnncli.config import STEADY_SCHEDULES, TrainConfig
from dnncli.errors import ConfigError
from dnncli.networks.files import save_model
from dnncli.networks.fused import fuse_normalization
from dnncli.networks.network import Network
from dnncli.optimizers import build_optimizer, plateau_options
from dnncli.rate_factors import check_multipliers
from dnncli.rundir import RunDir
from dnncli.training import backup, callbacks
from dnncli.training.averaging import ValidateAverages
from dnncli.training.backup import Backup, TrainState
from dnncli.training.interruption import Interruption
from dnncli.training.listener import Announcer, Listener
from dnncli.training.pace import Pace, StopAtDeadline, measure
from dnncli.training.stride import steps_at_once

# After unfreezing, ready-trained weights are moved in steps this much smaller.
_UNFROZEN_RATE = 0.1


@dataclass(frozen=True, kw_only=True)
class Batches:
    """What `fit` reads: `training(first_step)` gives endless batches from a global step on."""

    training: Any  # Callable[[int], tf.data.Dataset]
    validation: Any | None  # tf.data.Dataset, finite
    steps_per_epoch: int
    accumulate: int
    validation_rows: int = 0
    batch_size: int | None = None  # of pictures of one size; None: sizes may differ


@dataclass(frozen=True, kw_only=True)
class Phase:
    """A part of training with one set of trainable layers."""

    epochs: int  # epoch at which it ends, counted over all phases
    frozen: bool
    rate: float  # factor on the learning rate


@dataclass(frozen=True, kw_only=True)
class Fit:
    """Everything one run of training needs."""

    config: TrainConfig
    network: Network
    loss: Callable[[], keras.losses.Loss]
    metrics: Callable[[], list[keras.metrics.Metric]]
    batches: Batches
    monitor: str
    ties: tuple[str, ...] = ()  # log names that decide between epochs of equal `monitor`
    judge: keras.callbacks.Callback | None = None  # adds scores to the logs of every epoch
    run: RunDir
    card: dict[str, Any]  # goes into the model files
    tolerance: float = 0.0  # standard errors within which a later epoch counts as better
    deadline: float | None = None  # in time.monotonic(), when training must be over
    listener: Listener = field(default_factory=Listener)

    @property
    def phases(self) -> tuple[Phase, ...]:
        """Frozen backbone first, then all layers; one phase where nothing is frozen."""
        model, epochs = self.config.model, cast(int, self.config.fit.epochs)  # the plan settled it
        frozen = bool(self.network.backbone) and model.weights != "none"
        first = Phase(epochs=epochs, frozen=frozen, rate=1.0)
        if not model.unfreeze:
            return (first,)
        return first, Phase(epochs=epochs + model.unfreeze, frozen=False, rate=_UNFROZEN_RATE)

    def train(self, saved: Backup | None = None) -> TrainState:
        """Run every phase, from `saved` on if given; the network is left as in its best epoch.

        Raises:
            KeyboardInterrupt: after both models and the backup were written.
            ModelError: if the loss is no longer a number.
        """
        state = saved.state if saved else TrainState(epoch=self.config.fit.initial_epoch)
        state.finished = ""
        best = saved.best if saved else []
        while state.phase < len(self.phases):
            best = self._run_phase(state, saved, best)
            saved = None
            state.phase += 1
            state.phase_start = state.epoch
            state.stopping.clear()
            state.plateau.clear()
            backup.assign(self.network.training.variables, best, what="network")
        return state

    def _run_phase(self, state: TrainState, saved: Backup | None, best: list[Any]) -> list[Any]:
        """Run one phase to its end; returns the variables of the best epoch so far."""
        phase = self.phases[state.phase]
        if state.phase:  # the first may have stopped early
            phase = replace(phase, epochs=state.phase_start + self.config.model.unfreeze)
        model = self.network.training
        for layer in self.network.backbone:
            layer.trainable = not phase.frozen
        optimizer = self._compile(phase, epochs=phase.epochs - state.phase_start)
        snapshot = None
        if saved:
            backup.assign(model.variables, saved.variables, what="network")
            backup.assign(optimizer.variables, saved.optimizer, what="optimizer")
            snapshot = callbacks.Snapshot.of(model, folder=self.run.path)
        keeper = callbacks.Keeper(
            state,
            self.run,
            monitor=self.monitor,
            higher_is_better=self._higher_is_better,
            ties=self.ties,
            tolerance=self._tolerance,
            rows=self.batches.validation_rows,
            write_model=lambda path: save_model(self.network.serving, path, self.card),
            best=best,
            snapshot=snapshot,
            backup_seconds=self.config.run.backup_seconds,
            cycle=phase.epochs // self.config.fit.snapshots if self.config.fit.snapshots else 0,
        )
        keeper.set_model(model)  # `fit` is not called where nothing is left to train
        steps = self.batches.steps_per_epoch
        end = self._end(state, phase)
        interruption = Interruption()
        clock = StopAtDeadline(math.inf if self.deadline is None else self.deadline)
        try:
            if state.epoch < end:
                with interruption.caught():
                    model.fit(
                        self.batches.training(state.epoch * steps),
                        epochs=end,
                        initial_epoch=state.epoch,
                        steps_per_epoch=steps,
                        shuffle=False,  # the batches are shuffled already
                        validation_data=self.batches.validation,
                        validation_steps=self.config.fit.validation_steps,
                        validation_freq=self.config.fit.validation_freq,
                        callbacks=[
                            *self._callbacks(state, keeper, steps=steps),
                            clock,
                            interruption,
                        ],
                        verbose=0,
                    )
            if interruption.asked and state.phase + 1 < len(self.phases):
                raise KeyboardInterrupt
            if state.phase + 1 == len(self.phases):
                early = "time budget" if clock.has_stopped else "early stop"
                state.finished = early if state.epoch < phase.epochs else "all epochs"
            keeper.save()
            if not phase.epochs:
                state.finished = "ready weights as they are"
                keeper.write_models()
        except BaseException as error:
            keeper.save(goes_on=False)
            if keeper.snapshot is None and isinstance(error, KeyboardInterrupt):
                keeper.write_models()
            raise
        return keeper.best_or_last

    def _end(self, state: TrainState, phase: Phase) -> int:
        """The last epoch of a phase; the present one if its early stopping has already spoken."""
        patience = self.config.regime.early_stop
        stopped = patience and state.stopping.get("wait", 0) >= patience
        saturated = self.config.regime.saturation and (
            state.stopping.get("saturated", 0) >= self.config.regime.saturation_patience
        )
        return state.epoch if stopped or saturated else phase.epochs

    @property
    def _higher_is_better(self) -> bool:
        return not self.monitor.endswith("loss")

    @property
    def _tolerance(self) -> float:
        """How far below the best score, a share, a later epoch may be and count as better.

        A rate that falls over the run makes later epochs better than a few rows can tell.
        """
        judged_by_share = self.monitor.startswith("val_f") or self.monitor == "val_accuracy"
        falls = self.config.optimizer.schedule.lower() not in STEADY_SCHEDULES
        return self.tolerance if judged_by_share and falls else 0.0

    def check(self) -> None:
        """Build loss, optimizer and callbacks once, so that what is wrong is said before training.

        Raises:
            ConfigError: names the option.
        """
        paths = [weight.path for weight in self.network.training.weights]
        check_multipliers(self.config.optimizer.multipliers, paths)
        self._compile(self.phases[0], epochs=self.phases[0].epochs)
        for name in self.config.fit.callbacks:
            _user_callback(name)

    def measure(self) -> Pace:
        """How long its steps take; after `check`, which compiles the network."""
        return measure(
            self.network.training,
            training=self.batches.training(0),
            validation=self.batches.validation,
        )

    def _compile(self, phase: Phase, *, epochs: int) -> keras.optimizers.Optimizer:
        config = self.config
        model = self.network.training
        fuse_normalization(model)
        optimizer = build_optimizer(
            config.optimizer,
            steps_per_epoch=self.batches.steps_per_epoch,
            epochs=epochs,
            accumulate=self.batches.accumulate,
            rate=phase.rate,
            cycles=max(config.fit.snapshots, 1),
        )
        model.compile(
            optimizer=optimizer,
            loss=self.loss(),
            metrics=self.metrics(),
            steps_per_execution=self._steps_at_once(),
            # XLA on a CPU makes convolutions several times slower; JAX is slower still without.
            jit_compile=keras.backend.backend() == "jax",
        )
        optimizer = model.optimizer  # mixed precision may have wrapped it
        optimizer.build(model.trainable_variables)
        return optimizer

    def _steps_at_once(self) -> int:
        fit = self.config.fit
        if self.batches.batch_size is None or fit.callbacks or fit.validation_steps:
            return 1  # callbacks of the user's, and so many steps of validation, count steps
        if keras.backend.backend() != "tensorflow":
            return 1  # JAX returns to Python after each all the same
        return steps_at_once(
            self.network.training,
            batch_size=self.batches.batch_size,
            steps_per_epoch=self.batches.steps_per_epoch,
        )

    def _callbacks(
        self, state: TrainState, keeper: callbacks.Keeper, *, steps: int
    ) -> list[keras.callbacks.Callback]:
        config, regime = self.config, self.config.regime
        mode = "max" if self._higher_is_better else "min"
        chosen: list[keras.callbacks.Callback] = [callbacks.StopAtNaN(), ValidateAverages()]
        if self.judge is not None:  # first, because those that follow read its scores
            chosen.append(self.judge)
        if config.optimizer.schedule.lower() == "plateau":
            chosen.append(
                callbacks.ResumablePlateau(
                    state.plateau,
                    monitor=self.monitor,
                    mode=mode,
                    **(plateau_options(config.optimizer) or {}),
                )
            )
        if regime.early_stop:
            stopping = callbacks.ResumableEarlyStopping(
                state.stopping, monitor=self.monitor, mode=mode, patience=regime.early_stop
            )
            chosen.append(stopping)
        if regime.saturation:
            saturated = callbacks.StopWhenSaturated(
                state.stopping, level=regime.saturation, patience=regime.saturation_patience
            )
            chosen.append(saturated)
        if config.run.tensorboard:
            chosen.append(keras.callbacks.TensorBoard(str(self.run.tensorboard), write_graph=False))
        chosen += [_user_callback(name) for name in config.fit.callbacks]
        announcer = Announcer(self.listener, steps=steps, epochs=self.phases[-1].epochs)
        return [*chosen, keeper, announcer]


def _user_callback(name: str) -> keras.callbacks.Callback:
    """A callback of the user's own, by import string."""
    made = registry.find({}, name, kind="callback")()
    if not isinstance(made, keras.callbacks.Callback):
        raise ConfigError(f"fit.callbacks: '{name}' is not a keras.callbacks.Callback.")
    return made
