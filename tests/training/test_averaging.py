"""The average of the weights, in the place of the weights."""

import keras
import numpy as np
import pytest

from dnncli.config import OptimizerConfig
from dnncli.optimizers import build_optimizer
from dnncli.rundir import RunDir
from dnncli.training import backup, callbacks
from dnncli.training.averaging import (
    ValidateAverages,
    averaged_values,
    averaged_weights,
    averages,
)
from dnncli.training.backup import TrainState


def compiled(**options):
    """A network of one weight and one bias, trained by plain gradient descent at rate 0.5."""
    inputs = keras.Input((1,))
    model = keras.Model(inputs, keras.layers.Dense(1, kernel_initializer="ones")(inputs))
    optimizer = build_optimizer(
        OptimizerConfig(
            name="sgd",
            learning_rate=0.5,
            momentum=0.0,
            schedule="constant",
            average=0.0,
            options=options,
        ),
        steps_per_epoch=2,
        epochs=2,
    )
    model.compile(optimizer=optimizer, loss="mse")
    model.optimizer.build(model.trainable_variables)
    return model


def fitted(*extra, **options):
    """After two epochs of two updates on y = 0, with validation."""
    model = compiled(**options)
    x, y = np.array([[1.0], [0.5]], np.float32), np.zeros((2, 1), np.float32)
    history = model.fit(
        *(x, y),
        batch_size=1,
        epochs=2,
        shuffle=False,
        validation_data=(x, y),
        callbacks=[ValidateAverages(), *extra],
        verbose=0,
    )
    return model, history.history


class Recorder(keras.callbacks.Callback):
    """Weights after every update, and while validating."""

    def __init__(self):
        super().__init__()
        self.weights, self.validated = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.weights.append(backup.values(self.model.variables))

    def on_test_batch_begin(self, batch, logs=None):
        self.validated.append(backup.values(self.model.variables))


def test_the_average_is_the_first_weight_and_then_moves_by_its_share():
    recorder = Recorder()
    model, _ = fitted(recorder, use_ema=True, ema_momentum=0.75)
    expected = recorder.weights[0]
    for weights in recorder.weights[1:]:
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, weights)]
    for average, value in zip([average for _, average in averages(model)], expected, strict=True):
        assert average.numpy() == pytest.approx(value, rel=1e-6)


def test_validation_sees_the_averages_and_training_goes_on_with_the_weights():
    plain, averaged = Recorder(), Recorder()
    _, without = fitted(plain)
    _, history = fitted(averaged, use_ema=True, ema_momentum=0.75)
    for weights, same in zip(plain.weights, averaged.weights, strict=True):
        assert [value.tobytes() for value in weights] == [value.tobytes() for value in same]
    assert history["loss"] == without["loss"]
    first = [0.75 * old + 0.25 * new for old, new in zip(averaged.weights[0], averaged.weights[1])]
    for seen, value in zip(averaged.validated[0], first, strict=True):
        assert seen == pytest.approx(value, rel=1e-6)
    assert history["val_loss"] != without["val_loss"]


def test_weights_come_back_bit_for_bit():
    model = compiled(use_ema=True)
    weight, average = averages(model)[0]
    weight.assign(np.float32([[1e-7]]))
    average.assign(np.float32([[1.0]]))  # a swap by sums would round the weight to 1.19e-7
    with averaged_weights(model):
        assert weight.numpy().item() == 1.0
    assert weight.numpy().item() == np.float32(1e-7)
    assert average.numpy().item() == 1.0


def test_weights_come_back_after_an_error():
    model = compiled(use_ema=True)
    weight, average = averages(model)[0]
    average.assign([[5.0]])
    with pytest.raises(KeyboardInterrupt), averaged_weights(model):
        raise KeyboardInterrupt
    assert weight.numpy().item() == 1.0


def test_without_an_average_nothing_changes():
    model = compiled()
    assert averages(model) == []
    with averaged_weights(model):
        assert averaged_values(model)[0].tobytes() == model.variables[0].numpy().tobytes()


@pytest.mark.parametrize("scaled", [False, True])
def test_averages_stand_where_their_weights_stand(scaled):
    model = compiled(use_ema=True)
    if scaled:  # as float16 wraps it
        wrapped = keras.optimizers.LossScaleOptimizer(model.optimizer)
        model.compile(optimizer=wrapped, loss="mse")
        wrapped.build(model.trainable_variables)
    for number, (_, average) in enumerate(averages(model), start=2):
        average.assign(np.full(average.shape, number, np.float32))
    assert [value.item() for value in averaged_values(model)] == [2.0, 3.0]


def test_best_and_last_are_averages_and_the_backup_goes_on_with_the_weights(tmp_path):
    run = RunDir(tmp_path)
    written, state = [], TrainState()
    keeper = callbacks.Keeper(
        state,
        run,
        monitor="val_loss",
        higher_is_better=False,
        write_model=lambda path: written.append((path.name, backup.values(keeper.model.variables))),
        best=[],
    )
    recorder = Recorder()
    fitted(recorder, keeper, use_ema=True, ema_momentum=0.75)
    keeper.save()
    saved = backup.load(run.backup)
    assert saved.variables[0].tobytes() == recorder.weights[-1][0].tobytes()
    averaged = {name: values[0] for name, values in written[-2:]}
    assert saved.best[0].tobytes() == averaged["best.keras"].tobytes()
    assert averaged["last.keras"].tobytes() == recorder.validated[-1][0].tobytes()
    assert averaged["last.keras"].tobytes() != saved.variables[0].tobytes()


def test_loss_scaling_hides_no_average():
    model = compiled(use_ema=True)
    wrapped = keras.optimizers.LossScaleOptimizer(model.optimizer)
    model.compile(optimizer=wrapped, loss="mse")
    wrapped.build(model.trainable_variables)
    assert len(averages(model)) == 2
